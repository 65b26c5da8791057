//! Any text as a registry: parse → plan → emit never panics, and what it prints is Rust.
//!
//! Generating and parsing again is most of the time, and most inputs come to a plan that was had before: each plan goes
//! through once.
#![no_main]

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use libfuzzer_sys::fuzz_target;
use sink_codegen::{Options, Registry};
use sink_schema::{Color, Format, SourceFile};

static SEEN: Mutex<Option<HashSet<u64>>> = Mutex::new(None);

fuzz_target!(|text: &str| {
    let registry = Registry {
        base: SourceFile::new("services.toml", text),
        overlays: Vec::new(),
    };
    let (plan, diagnostics) = sink_codegen::load(&registry, &Options::default());
    for format in [Format::Human, Format::Short, Format::Json, Format::Github] {
        let drawn = diagnostics.render(format, Color::Never);
        assert!(
            drawn.chars().all(|c| c == '\n' || !c.is_control()),
            "a terminal would obey {drawn:?}"
        );
    }
    let mut hasher = DefaultHasher::new();
    format!("{plan:?}").hash(&mut hasher);
    let mut seen = SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !seen.get_or_insert_default().insert(hasher.finish()) {
        return;
    }
    drop(seen);
    let generated = sink_codegen::generate(&registry, &Options::default());
    syn::parse_file(&generated.code).expect("the generator prints Rust, whatever is wrong with the registry");
});
