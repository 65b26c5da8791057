//! What `include_sinks!` includes.

use std::{env, fs, path::PathBuf};

use proc_macro2::{Literal, Span, TokenStream};
use quote::quote;

use crate::mistakes;

const NO_BUILD_SCRIPT: &str =
    "include_sinks!() found no generated code: this crate's build script did not run \
`sink_codegen::Build`

help: add a build.rs beside Cargo.toml:

    fn main() {
        sink_codegen::Build::new(\"services.toml\").run();
    }

and to Cargo.toml:

    [build-dependencies]
    sink-codegen = \"0.1\"

help: `cargo sinks init` does both";

/// The code and the mistakes that the build script left in `OUT_DIR`.
pub(crate) fn expand() -> TokenStream {
    let span = Span::call_site();
    let Some(out) = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .filter(|out| out.join("sinks.rs").exists())
    else {
        let mistakes = mistakes::emit(&[NO_BUILD_SCRIPT.to_owned()], span);
        return quote! { #mistakes pub type Sinks = __Broken; pub type Sources = __Broken; };
    };
    let mistakes = mistakes::emit(
        &read(&fs::read_to_string(out.join("sinks.mistakes")).unwrap_or_default()),
        span,
    );
    quote! {
        ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/sinks.rs"));
        #mistakes
    }
}

/// One Rust string literal per line.
fn read(mistakes: &str) -> Vec<String> {
    let literals = mistakes
        .lines()
        .filter_map(|line| line.parse::<Literal>().ok());
    literals
        .filter_map(|literal| syn::parse2::<syn::LitStr>(quote! { #literal }).ok())
        .map(|text| text.value())
        .collect()
}
