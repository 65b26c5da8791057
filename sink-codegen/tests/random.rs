//! Random registries: whatever is valid generates Rust that parses, and in the nightly run (`SINKS_NIGHTLY=1`) compiles.
#![allow(clippy::unwrap_used, reason = "in a test, anything else is a failure")]

use quote::quote;
use sink_codegen::{Options, Registry, generate, tokens};
use sink_schema::SourceFile;

mod registries;

use registries::registry;

#[test]
fn a_thousand_valid_registries_generate_rust() {
    for seed in 0..1_000 {
        let text = registry(seed);
        let registry = Registry {
            base: SourceFile {
                path: "services.toml".to_owned(),
                text: text.clone(),
            },
            overlays: Vec::new(),
        };
        let generated = generate(&registry, &Options::default());
        assert!(
            !generated.diagnostics.has_errors(),
            "seed {seed} is not valid:\n{}\n{text}",
            generated.diagnostics
        );
        let file = syn::parse_file(&generated.code);
        let file = file.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        let meant: syn::File = syn::parse2(tokens(&registry, &Options::default()).tokens).unwrap();
        // `quote` writes its own documentation as raw strings, the text has it as comments: `r" a"` and `" a"`.
        let tokens = |file: &syn::File| {
            quote! { #file }
                .to_string()
                .replace("doc = r\"", "doc = \"")
        };
        assert_eq!(
            tokens(&file),
            tokens(&meant),
            "seed {seed}: the text says something else than the tokens\n{text}"
        );
        assert!(
            !generated.code.contains("compile_error"),
            "seed {seed}:\n{text}"
        );
    }
}
