//! Each `tests/golden/*.toml` generates the `.rs` beside it, word for word. `UPDATE=1 cargo test -p sink-codegen` rewrites.
#![allow(clippy::unwrap_used, reason = "in a test, anything else is a failure")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use sink_codegen::{Options, generate, generate_pretty, read};

#[test]
fn registries_generate_what_is_beside_them() {
    let mut wrong = Vec::new();
    for registry in registries() {
        let options = Options::default();
        let shown = registry.file_name().expect("a registry has a file name");
        let generated = generate_pretty(&read(&registry, Path::new(shown)).unwrap(), &options);
        assert!(
            !generated.diagnostics.has_errors(),
            "{}:\n{}",
            registry.display(),
            generated.diagnostics
        );
        if !is_golden(&registry.with_extension("rs"), &generated.code) {
            wrong.push(registry);
        }
    }
    assert!(
        wrong.is_empty(),
        "these generate something else now; UPDATE=1 rewrites, git diff shows: {wrong:?}"
    );
}

#[test]
fn generating_twice_gives_the_same_text() {
    for registry in registries() {
        let read = read(&registry, &registry).unwrap();
        let once = generate(&read, &Options::default());
        assert_eq!(once.code, generate(&read, &Options::default()).code);
    }
}

fn registries() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let base = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
            && path
                .file_stem()
                .is_some_and(|stem| !stem.to_string_lossy().contains('.'))
    };
    let mut registries: Vec<PathBuf> = files.filter(base).collect();
    registries.sort();
    assert!(!registries.is_empty());
    registries
}

fn is_golden(golden: &Path, code: &str) -> bool {
    let same = fs::read_to_string(golden).is_ok_and(|text| text == code);
    if !same && env::var_os("UPDATE").is_some() {
        fs::write(golden, code).unwrap();
        return true;
    }
    same
}
