//! `cargo sinks generate`: generated code that is checked in, and the check that it is up to date.

use std::{fs, io::ErrorKind, path::Path};

use sink_codegen::Options;

use crate::{
    cli::{GenerateArgs, RegistryArgs},
    failure::Failure,
    registry,
};

/// Keeps `cargo fmt` from the file, which would differ from what is generated ever after. An inner `#![rustfmt::skip]` does not
/// compile on the stable compiler; this form does, and is gone before it looks.
const LEFT_ALONE: &str = "#![cfg_attr(rustfmt, rustfmt_skip)]\n";

/// Writes the file, or compares it.
pub(crate) fn run(registry: &RegistryArgs, args: &GenerateArgs) -> Result<(), Failure> {
    let options = Options {
        runtime_path: Some(args.runtime_path.clone()),
        ..Options::default()
    };
    let loaded = registry::load(registry, options)?;
    loaded.report()?;
    let code = sink_codegen::generate_pretty(&loaded.registry, &loaded.options).code;
    let code = format!("{LEFT_ALONE}{code}");
    if args.check {
        compare(&code, &args.out)
    } else {
        write(&code, &args.out)
    }
}

fn write(code: &str, out: &Path) -> Result<(), Failure> {
    if fs::read_to_string(out).is_ok_and(|old| old == code) {
        tell!("{} is up to date", out.display());
        return Ok(());
    }
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(Failure::at(folder))?;
    }
    fs::write(out, code).map_err(Failure::at(out))?;
    tell!("wrote {}", out.display());
    Ok(())
}

fn compare(code: &str, out: &Path) -> Result<(), Failure> {
    let old = fs::read_to_string(out).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let out = out.display();
            let help =
                "run `cargo sinks generate` and commit the result; `--out` names another file";
            Failure::Said(format!("{out} is not there\n\nhelp: {help}"))
        }
        _ => Failure::at(out)(error),
    })?;
    let old = old.replace("\r\n", "\n");
    if old == code {
        return Ok(());
    }
    let same = old
        .lines()
        .zip(code.lines())
        .take_while(|(old, new)| old == new)
        .count();
    let mut text = format!(
        "{}:{}: not what the registry generates\n",
        out.display(),
        same + 1
    );
    for (sign, line) in [("-", old.lines().nth(same)), ("+", code.lines().nth(same))] {
        if let Some(line) = line {
            text.push_str(&format!("{sign} {line}\n"));
        }
    }
    text.push_str("help: run `cargo sinks generate` and commit the result");
    Err(Failure::Said(text))
}
