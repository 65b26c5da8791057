//! Any text as a registry: parse → plan → emit never panics, and what it prints is Rust.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sink_codegen::{Options, Registry};
use sink_schema::{Color, Format, SourceFile};

fuzz_target!(|text: &str| {
    let registry = Registry {
        base: SourceFile::new("services.toml", text),
        overlays: Vec::new(),
    };
    let generated = sink_codegen::generate(&registry, &Options::default());
    syn::parse_file(&generated.code).expect("the generator prints Rust, whatever is wrong with the registry");
    for format in [Format::Human, Format::Short, Format::Json, Format::Github] {
        let _ = generated.diagnostics.render(format, Color::Never);
    }
});
