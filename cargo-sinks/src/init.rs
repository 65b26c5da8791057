//! `cargo sinks init`: a crate that has sinks, and builds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use crate::{
    cli::{InitArgs, RegistryArgs},
    failure::Failure,
};

const REGISTRY: &str = include_str!("init/services.toml");
const BUILD_SCRIPT: &str = include_str!("init/build.rs.txt");
const INCLUDE: &str = "sink_runtime::include_sinks!();";

/// Writes what is not there; what is there stays as it is, and is named.
pub(crate) fn run(registry: &RegistryArgs, args: &InitArgs) -> Result<(), Failure> {
    let folder = if args.folder == Path::new(".") {
        Path::new("")
    } else {
        &args.folder
    };
    let manifest = folder.join("Cargo.toml");
    if !manifest.exists() {
        return Err(Failure::Said(format!(
            "there is no {}: run `cargo new` first",
            manifest.display()
        )));
    }
    let name = registry
        .registry
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    write_new(&folder.join(&name), REGISTRY)?;
    write_new(
        &folder.join("build.rs"),
        &BUILD_SCRIPT.replace("services.toml", &name),
    )?;
    add_dependencies(&manifest, args.path.as_deref())?;
    include(folder)?;
    eprintln!(
        "\nnext: `cargo build`, then `Sinks::events()` is a sink; {name} says what else there is"
    );
    Ok(())
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    if path.exists() {
        eprintln!("   kept {}", path.display());
        return Ok(());
    }
    fs::write(path, text).map_err(Failure::at(path))?;
    eprintln!("  wrote {}", path.display());
    Ok(())
}

/// Adds the two dependencies, and leaves every other character of the manifest alone.
fn add_dependencies(manifest: &Path, checkout: Option<&Path>) -> Result<(), Failure> {
    let text = fs::read_to_string(manifest).map_err(Failure::at(manifest))?;
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error| Failure::Said(format!("{}: {error}", manifest.display())))?;
    let checkout = match checkout {
        Some(folder) => Some(absolute(folder)?),
        None => own_checkout(),
    };
    for (table, krate) in [
        ("dependencies", "sink-runtime"),
        ("build-dependencies", "sink-codegen"),
    ] {
        let table = document.entry(table).or_insert(Item::Table(Table::new()));
        let Some(table) = table.as_table_like_mut() else {
            return Err(Failure::Said(format!(
                "{}: dependencies are not a table",
                manifest.display()
            )));
        };
        if table.contains_key(krate) {
            eprintln!("   kept {krate} in {}", manifest.display());
            continue;
        }
        table.insert(krate, dependency(krate, checkout.as_deref()));
        eprintln!("  added {krate} to {}", manifest.display());
    }
    fs::write(manifest, document.to_string()).map_err(Failure::at(manifest))
}

/// Where this command was built, if that still is a checkout: a crate beside it uses the same code.
fn own_checkout() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    absolute(folder).ok()
}

fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    let folder = fs::canonicalize(folder).map_err(Failure::at(folder))?;
    match folder.join("sink-runtime/Cargo.toml").exists() {
        true => Ok(folder),
        false => Err(Failure::Said(format!(
            "{} is not a checkout of sinks: it has no sink-runtime",
            folder.display()
        ))),
    }
}

fn dependency(krate: &str, checkout: Option<&Path>) -> Item {
    let version = env!("CARGO_PKG_VERSION");
    let version = version
        .rsplit_once('.')
        .map_or(version, |(version, _)| version);
    let value: Value = match checkout {
        None => version.into(),
        Some(checkout) => {
            let mut table = InlineTable::new();
            table.insert(
                "path",
                checkout.join(krate).to_string_lossy().into_owned().into(),
            );
            table.into()
        }
    };
    Item::Value(value)
}

/// Adds the line that makes `Sinks`, to the library if the crate has one.
fn include(folder: &Path) -> Result<(), Failure> {
    let candidates = [folder.join("src/lib.rs"), folder.join("src/main.rs")];
    let Some(path) = candidates.into_iter().find(|path| path.exists()) else {
        eprintln!("   put `{INCLUDE}` into your library");
        return Ok(());
    };
    let text = fs::read_to_string(&path).map_err(Failure::at(&path))?;
    if text.contains("include_sinks!") {
        eprintln!("   kept {}", path.display());
        return Ok(());
    }
    let separator = if text.is_empty() { "" } else { "\n" };
    let text = format!("{}{separator}{INCLUDE}\n", ensure_newline(text));
    fs::write(&path, text).map_err(Failure::at(&path))?;
    eprintln!("  added include_sinks!() to {}", path.display());
    Ok(())
}

fn ensure_newline(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
