//! Random valid registries compile, each a module of one crate: a few in every run, a thousand in the nightly one
//! (`SINKS_REGISTRIES=1000`), which takes minutes.
#![allow(clippy::unwrap_used, reason = "in a test, anything else is a failure")]

use std::{fmt::Write, fs, path::Path, process::Command};

use sink_codegen::{Options, Registry, generate};
use sink_schema::SourceFile;

#[path = "../../sink-codegen/tests/registries/mod.rs"]
mod registries;

const HEAD: &str = "#![deny(warnings)]\n
#[derive(sink_runtime::Message)]\n#[message(serde)]\npub struct Tick {\n    pub price: u64,\n}\n
pub mod nested {\n    #[derive(sink_runtime::Message)]\n    #[message(serde)]\n    pub struct Order {\n        pub size: u32,\n    }\n}\n\n";

/// What may stand beside generated code, used or not.
const BESIDE: &str = "#[allow(unused_imports)]\nuse crate::nested::Order;\n#[allow(unused_imports)]\nuse sink_runtime::Message;\n\n\
#[derive(Debug, Default)]\npub(crate) struct Local;\n\n\
pub fn prelude() -> Option<Result<String, Vec<Order>>> {\n    Some(Ok(format!(\"{:?}\", Local::default())))\n}\n\n";

#[test]
fn random_valid_registries_compile() {
    let most = std::env::var("SINKS_REGISTRIES")
        .ok()
        .and_then(|most| most.parse().ok())
        .unwrap_or(20);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("random");
    fs::create_dir_all(folder.join("src")).unwrap();
    let runtime = repository.join("sink-runtime");
    let manifest = format!(
        "[package]\nname = \"random\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         sink-runtime = {{ path = {runtime:?} }}\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::copy(repository.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let mut modules = HEAD.to_owned();
    for seed in 0..most {
        fs::write(
            folder.join(format!("src/seed_{seed}.rs")),
            BESIDE.to_owned() + &code(seed),
        )
        .unwrap();
        let _ = writeln!(modules, "pub mod seed_{seed};");
    }
    fs::write(folder.join("src/lib.rs"), modules).unwrap();
    let check = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet"])
        .current_dir(&folder)
        // The folder of the tests that build a crate after `init`: the dependencies are compiled once.
        .env("CARGO_TARGET_DIR", folder.with_file_name("init"))
        .output()
        .unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
}

/// Every other one as code that is checked in, the rest in a module, as `include_sinks!` has it.
fn code(seed: u64) -> String {
    let base = SourceFile {
        path: "services.toml".to_owned(),
        text: registries::registry(seed),
    };
    let nested = seed % 2 == 1;
    let options = Options {
        runtime_path: Some("::sink_runtime".to_owned()),
        nested,
        ..Options::default()
    };
    let registry = Registry {
        base,
        overlays: Vec::new(),
    };
    let generated = generate(&registry, &options);
    if !nested {
        return generated.code;
    }
    format!(
        "#[allow(unused_imports)]\nmod __sinks {{\nuse super::*;\n{}}}\n#[allow(unreachable_pub, unused_imports)]\n\
         pub use __sinks::{{Sinks, Sources, SinkSet, SinkSetBuilder, {}}};\n",
        generated.code,
        generated.handed_out.join(", ")
    )
}
