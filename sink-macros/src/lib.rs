//! Macros of `sink-runtime`, which re-exports them; do not depend on this crate.
//!
//! # Map
//!
//! `include_sinks!()` → [`__generated`] → what the build script left in `OUT_DIR`, its mistakes as errors at the user's line.
//! `sinks!("…")` → [`__inline`] → the same generator, run here. `derive(Message)` → [`derive_message`].

use proc_macro::TokenStream;

mod derive;
mod generated;
mod inline;
mod mistakes;

/// Includes `OUT_DIR/sinks.rs` and reports `OUT_DIR/sinks.mistakes`. `include_sinks!` is the way in, and says where the
/// runtime is.
#[doc(hidden)]
#[proc_macro]
pub fn __generated(input: TokenStream) -> TokenStream {
    generated::expand(&input.into()).into()
}

/// Generates from the registry named by the first literal. `sinks!` is the way in.
#[doc(hidden)]
#[proc_macro]
pub fn __inline(input: TokenStream) -> TokenStream {
    inline::expand(input.into()).into()
}

/// Documented where it is re-exported: `sink_runtime::Message`.
#[proc_macro_derive(Message, attributes(message, serde))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    derive::expand(input.into()).into()
}
