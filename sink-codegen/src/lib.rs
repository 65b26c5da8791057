//! Generates typed sinks from `services.toml` in a build script.
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     sink_codegen::Build::new("services.toml").run();
//! }
//! ```
//!
//! and, once, in a library: `sink_runtime::include_sinks!();`.
//!
//! # Map
//!
//! text → [`sink_schema::load`] → `Plan` → `emit` → `layout` → text. [`Build`] alone touches files and the environment.
//!
//! The build never fails here. A mistake in the registry is handed to `include_sinks!()`, which reports it as a
//! compile error at the user's own line, next to the errors rustc finds in the rest of the crate.

#![allow(
    clippy::needless_doctest_main,
    reason = "the example is a whole build script"
)]

mod build;
mod emit;
mod generate;
mod input;
mod layout;
mod read;
mod text;

pub use build::Build;
pub use emit::Whole;
#[cfg(feature = "pretty")]
pub use generate::generate_pretty;
pub use generate::{
    Generated, Tokens, generate, in_module, load, mistake_text, nothing_known, tokens,
    unreadable_text,
};
pub use input::{Carrier, Options, Overlay, Registry};
pub use read::{find_overlays, read};
