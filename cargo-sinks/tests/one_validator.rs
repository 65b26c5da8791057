//! One validator: build script, `cargo sinks check` and the run-time loader judge every registry of the corpus the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use sink_codegen::{Options, Registry};
use sink_runtime::{RegistryError, ServiceRegistry};
use sink_schema::SourceFile;

/// Code, line and column of an error.
type Verdict = BTreeSet<(String, u32, u32)>;

/// Registries of one layer that are judged for what a program has built in: the other layers and capabilities have no
/// equal on all three ways.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/registry")
        .join(folder);
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .filter(|path| !path.to_string_lossy().ends_with(".overlay.toml"))
        .filter(|path| {
            !path.with_extension("env").exists() && !path.with_extension("overlay.toml").exists()
        })
        .filter(|path| {
            std::fs::read_to_string(path).is_ok_and(|text| !text.contains("# capabilities:"))
        })
        .collect();
    found.sort();
    found
}

/// What a build script finds.
fn by_build_script(path: &Path) -> Verdict {
    let registry = Registry {
        base: SourceFile::new("services.toml", std::fs::read_to_string(path).unwrap()),
        overlays: Vec::new(),
    };
    let (_, mistakes) = sink_codegen::load(&registry, &Options::default());
    mistakes
        .errors()
        .map(|mistake| (mistake.code.to_string(), mistake.line, mistake.column))
        .collect()
}

/// What a drawn text says: `error: [E0102] …` or `error[E0102]: …`, then `--> path:line:column`.
fn drawn(text: &str) -> Verdict {
    let mut verdict = Verdict::new();
    let mut code: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_start();
        if line.starts_with("error") || line.starts_with("warning") {
            let found = line
                .split_once('[')
                .and_then(|(_, rest)| rest.split_once(']'));
            code = found
                .map(|(code, _)| code.to_owned())
                .filter(|_| line.starts_with("error"));
        } else if let Some(place) = line.strip_prefix("--> ")
            && let Some(code) = code.take()
        {
            let mut parts = place.trim().rsplitn(3, ':');
            let column = parts.next().unwrap().parse().unwrap();
            let line = parts.next().unwrap().parse().unwrap();
            verdict.insert((code, line, column));
        }
    }
    verdict
}

/// What the command line finds, and whether it failed.
fn by_check(path: &Path) -> (Verdict, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-sinks"))
        .args(["sinks", "check", "--format", "human", "--registry"])
        .arg(path)
        .env_clear()
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        drawn(&String::from_utf8_lossy(&text)),
        !output.status.success(),
    )
}

/// What a program finds when it starts.
fn by_runtime(path: &Path) -> Verdict {
    match ServiceRegistry::from_file(path) {
        Ok(_) => Verdict::new(),
        Err(RegistryError::Invalid { text, .. }) => drawn(&text),
        Err(other) => panic!("{}: {other}", path.display()),
    }
}

#[test]
fn all_three_ways_judge_every_bad_registry_the_same() {
    let cases = cases("bad");
    let count = cases.len();
    assert!(count >= 150, "only {count} cases");
    let mut differing = BTreeMap::new();
    for path in cases {
        let built = by_build_script(&path);
        let (checked, failed) = by_check(&path);
        let started = by_runtime(&path);
        if built != checked || built != started || failed == built.is_empty() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            differing.insert(
                name,
                format!("build {built:?}\ncheck {checked:?} (failed: {failed})\nstart {started:?}"),
            );
        }
    }
    let told: Vec<String> = differing
        .iter()
        .map(|(name, told)| format!("{name}:\n{told}"))
        .collect();
    assert!(
        told.is_empty(),
        "{} of {count} judged differently:\n{}",
        told.len(),
        told.join("\n\n")
    );
}

#[test]
fn all_three_ways_take_every_good_registry() {
    for path in cases("good") {
        assert_eq!(by_build_script(&path), Verdict::new(), "{}", path.display());
        assert_eq!(
            by_check(&path),
            (Verdict::new(), false),
            "{}",
            path.display()
        );
        assert_eq!(by_runtime(&path), Verdict::new(), "{}", path.display());
    }
}
