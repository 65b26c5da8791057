//! What the compiler says: each `tests/ui/*.rs` of the repository is a crate, its `.stderr` the whole of the output.
//!
//! Beside `rule.rs` may stand `rule.toml` (else `services.toml` is its registry), `rule.build` (its build script; an empty
//! one is none) and `rule.runtime` (the name under which it depends on the runtime). Words of rustc change between versions, so this runs on one version only. `UPDATE=1` rewrites.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const PINNED: &str = "rustc 1.95.";

#[test]
fn compile_errors_read_as_they_should() {
    let version = Command::new("rustc")
        .arg("--version")
        .output()
        .expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if !version.starts_with(PINNED) {
        println!("skipped: the texts are those of {PINNED}x, this is {version}");
        return;
    }
    let ui = Ui::new();
    let only = env::var("ONLY").unwrap_or_default();
    let cases: Vec<String> = ui
        .cases()
        .into_iter()
        .filter(|case| case.contains(&only))
        .collect();
    ui.prepare(&cases);
    let wrong: Vec<&String> = cases.iter().filter(|case| !ui.agrees(case)).collect();
    assert!(
        wrong.is_empty(),
        "differ from their .stderr; UPDATE=1 rewrites: {wrong:?}"
    );
}

struct Ui {
    /// The repository.
    root: PathBuf,
    /// Where the cases become crates.
    work: PathBuf,
}

impl Ui {
    fn new() -> Ui {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a crate of the workspace")
            .to_owned();
        Ui {
            root,
            work: Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui"),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.join("tests/ui").join(name)
    }

    fn cases(&self) -> Vec<String> {
        let files = fs::read_dir(self.file("")).expect("tests/ui is there");
        let paths = files.map(|file| file.expect("a file of tests/ui").path());
        let mut cases: Vec<String> = paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        cases.sort();
        cases
    }

    /// Writes one workspace with a crate per case; they share a target folder and the repository's lock file.
    fn prepare(&self, cases: &[String]) {
        let members = cases
            .iter()
            .map(|case| format!("{case:?}"))
            .collect::<Vec<_>>()
            .join(", ");
        write(
            &self.work.join("Cargo.toml"),
            &format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n"),
        );
        fs::copy(self.root.join("Cargo.lock"), self.work.join("Cargo.lock"))
            .expect("the repository has a lock file");
        for case in cases {
            self.prepare_case(case);
        }
    }

    fn prepare_case(&self, case: &str) {
        let folder = self.work.join(case);
        let root = self.root.display();
        let name = read(&self.file(&format!("{case}.runtime")))
            .unwrap_or_else(|| "sink-runtime".to_owned());
        let name = name.trim();
        let manifest = format!(
            "[package]\nname = \"{case}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             {name} = {{ package = \"sink-runtime\", path = \"{root}/sink-runtime\" }}\n\n[build-dependencies]\n\
             sink-codegen = {{ path = \"{root}/sink-codegen\" }}\n"
        );
        write(&folder.join("Cargo.toml"), &manifest);
        write(
            &folder.join("src/lib.rs"),
            &read(&self.file(&format!("{case}.rs"))).expect("the case"),
        );
        let registry =
            read(&self.file(&format!("{case}.toml"))).or_else(|| read(&self.file("services.toml")));
        write(
            &folder.join("services.toml"),
            &registry.expect("tests/ui/services.toml"),
        );
        let script = read(&self.file(&format!("{case}.build")));
        let script = script.unwrap_or_else(|| {
            "fn main() {\n    sink_codegen::Build::new(\"services.toml\").run();\n}\n".to_owned()
        });
        if script.is_empty() {
            let _ = fs::remove_file(folder.join("build.rs"));
        } else {
            write(&folder.join("build.rs"), &script);
        }
    }

    fn agrees(&self, case: &str) -> bool {
        let said = self.said(case);
        let expected = self.file(&format!("{case}.stderr"));
        if read(&expected).is_some_and(|text| text == said) {
            return true;
        }
        println!("=== {case} ===\n{said}");
        if env::var_os("UPDATE").is_some() {
            write(&expected, &said);
            return true;
        }
        false
    }

    /// What `cargo check` says of the case, without what differs between machines.
    fn said(&self, case: &str) -> String {
        let output = Command::new(env!("CARGO"))
            .args([
                "check",
                "--quiet",
                "--offline",
                "--color=never",
                "--package",
                case,
            ])
            .current_dir(&self.work)
            .env("CARGO_TARGET_DIR", self.work.join("target"))
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .expect("cargo runs");
        let text = String::from_utf8_lossy(&output.stderr);
        let text = text
            .lines()
            .filter_map(without_out_dir)
            .collect::<Vec<_>>()
            .join("\n");
        let text = text
            .replace(&format!("{case}/src/lib.rs"), "src/lib.rs")
            .replace(&self.work.join(case).display().to_string(), "$CRATE")
            .replace(&self.root.display().to_string(), "$SINKS");
        let blocks = text
            .split("\n\n")
            .filter(|block| !is_summary(block) && !is_warning_of_ours(block));
        let text = blocks
            .map(without_our_lines)
            .collect::<Vec<_>>()
            .join("\n\n");
        format!("{}\n", text.trim_end())
    }
}

/// Cargo's and rustc's last words, which only count.
fn is_summary(block: &str) -> bool {
    [
        "error: could not compile",
        "error: aborting",
        "For more information about this error",
        "Some errors have detailed",
    ]
    .iter()
    .any(|start| block.trim_start().starts_with(start))
}

/// What a crate of this repository warns of has a place of its own in CI.
fn is_warning_of_ours(block: &str) -> bool {
    let place = block
        .lines()
        .find(|line| line.trim_start().starts_with("-->"));
    block.starts_with("warning:") && place.is_some_and(|place| place.contains("$SINKS/"))
}

/// The hash in the name of `OUT_DIR` differs between machines, and where rustc keeps the long names of types.
fn without_out_dir(line: &str) -> Option<String> {
    if line.contains("the full name for the type has been written to")
        || line.contains("consider using `--verbose` to print the full type name")
    {
        return None;
    }
    Some(match (line.find('/'), line.find("/out/")) {
        (Some(start), Some(end)) if start < end && line[start..end].contains("/build/") => {
            format!("{}$OUT_DIR{}", &line[..start], &line[end + 4..])
        }
        _ => line.to_owned(),
    })
}

/// Notes that point into our own crates keep the file and lose the line, or each edit there would change them.
fn without_our_lines(block: &str) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut inside = false;
    for line in block.lines() {
        let trimmed = line.trim_start();
        if let Some(at) = line
            .find("$SINKS/")
            .filter(|_| trimmed.starts_with("-->") || trimmed.starts_with(":::"))
        {
            inside = true;
            let path = &line[at..];
            kept.push(format!(
                "{}{}",
                &line[..at],
                path.split(':').next().unwrap_or(path)
            ));
            continue;
        }
        inside = inside && is_snippet(trimmed);
        if !inside {
            kept.push(line.to_owned());
        }
    }
    if block.contains("$SINKS/") {
        with_narrow_gutter(&kept)
    } else {
        kept.join("\n")
    }
}

fn is_snippet(line: &str) -> bool {
    let rest = line
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start();
    rest.starts_with('|') || line.starts_with("...")
}

/// The gutter is as wide as the longest line number, of which some are gone.
fn with_narrow_gutter(lines: &[String]) -> String {
    let gutter = |line: &String| {
        let width = line.find("-->").or_else(|| line.find(":::"))?;
        line[..width].trim().is_empty().then_some(width)
    };
    let Some(old) = lines.iter().find_map(gutter) else {
        return lines.join("\n");
    };
    let number = |line: &str| {
        line.get(..old)
            .map(str::trim)
            .filter(|start| start.chars().all(|c| c.is_ascii_digit()))
            .map(str::to_owned)
    };
    let new = lines
        .iter()
        .filter_map(|line| number(line))
        .map(|number| number.len())
        .max()
        .unwrap_or(0)
        .max(1);
    let lines = lines.iter().map(|line| match number(line) {
        Some(number) => format!("{number:>new$}{}", &line[old..]),
        None => line.clone(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("the folder can be made");
    if read(path).is_none_or(|old| old != text) {
        fs::write(path, text).expect("the file can be written");
    }
}
