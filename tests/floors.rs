//! Floors between crates (ARCHITECTURE.md): who may depend on whom, and what no crate may know.

use std::collections::BTreeMap;
use std::path::Path;

/// Each crate and the crates of this workspace it may use; nothing else of the workspace.
const FLOORS: [(&str, &[&str]); 6] = [
    ("sink-schema", &[]),
    ("sink-codegen", &["sink-schema"]),
    ("sink-macros", &["sink-codegen", "sink-schema"]),
    ("sink-runtime", &["sink-macros", "sink-schema"]),
    ("sink-relay", &["sink-runtime", "sink-schema"]),
    (
        "cargo-sinks",
        &["sink-codegen", "sink-relay", "sink-runtime", "sink-schema"],
    ),
];

/// The names under `[dependencies]` of a manifest, build and test dependencies left out.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && !line.starts_with('#') && line.contains('=') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.push(name.to_owned());
        }
    }
    names
}

fn manifests() -> BTreeMap<&'static str, Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    FLOORS
        .iter()
        .map(|(name, _)| {
            let path = root.join(name).join("Cargo.toml");
            let text = std::fs::read_to_string(&path)
                .expect("every crate has a manifest in the folder of its name");
            (*name, dependencies(&text))
        })
        .collect()
}

#[test]
fn crates_depend_only_downward() {
    for (name, found) in manifests() {
        let (_, allowed) = FLOORS
            .iter()
            .find(|(floor, _)| *floor == name)
            .expect("the list was made from FLOORS");
        for dependency in found
            .iter()
            .filter(|dependency| FLOORS.iter().any(|(floor, _)| floor == dependency))
        {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} may not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_schema_does_no_io_and_the_generator_knows_no_runtime() {
    let found = manifests();
    for forbidden in ["tokio", "serde", "serde_derive"] {
        assert!(
            !found["sink-schema"].iter().any(|name| name == forbidden),
            "sink-schema may not know {forbidden}"
        );
        assert!(
            !found["sink-codegen"].iter().any(|name| name == forbidden),
            "sink-codegen may not know {forbidden}"
        );
    }
    for forbidden in ["syn", "quote", "prettyplease"] {
        assert!(
            !found["sink-runtime"].iter().any(|name| name == forbidden),
            "sink-runtime may not generate code"
        );
    }
}

#[test]
fn only_transports_touch_sockets() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("sink-runtime/src");
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)
            .expect("sources are there")
            .map(|entry| entry.expect("readable"))
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&source).expect("it was found beneath");
            if inside.starts_with("transport")
                || inside.extension().is_none_or(|extension| extension != "rs")
            {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            // An example may show the other end.
            let text: String = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            assert!(
                !text.contains("tokio::net"),
                "{} touches sockets",
                inside.display()
            );
            assert!(
                !text.contains("std::net"),
                "{} touches sockets",
                inside.display()
            );
        }
    }
}

#[test]
fn no_crate_allows_unsafe_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in FLOORS {
        let manifest =
            std::fs::read_to_string(root.join(name).join("Cargo.toml")).expect("readable");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name} must take the workspace's lints, which forbid unsafe code"
        );
    }
}
