//! The registry language of typed sinks: `services.toml` to a validated [`Plan`], with every mistake shown at its line.
//!
//! No I/O, no runtime, no panics: text in, plan and [`Diagnostics`] out. One validator serves build script, command line
//! and run time, so that they cannot disagree.
//!
//! # Map
//! `layers` (base, overlay, environment; `text` and `tree` read them) → `schema` (each key by the one table in `keys`, each
//! value by `values`) → `draft` → `rules` (between keys, between services) → [`Plan`].
//! Beside it: `codes` → `mistakes` → [`Diagnostics`] → `render`, and from the same tables `explain`, `json_schema`, `reference`.

// the language
#[cfg_attr(
    not(feature = "documents"),
    allow(dead_code, reason = "what only documents say")
)]
mod keys;
mod names;
mod text;
mod tree;

// beneath all of it
mod by_name;

// from text to plan
mod capabilities;
mod draft;
mod endpoint;
mod layers;
mod plan;
mod raw;
mod rules;
mod schema;
mod values;

// mistakes
mod codes;
mod diagnostics;
#[cfg(feature = "documents")]
mod explain;
#[cfg(feature = "documents")]
mod json_schema;
mod mistakes;
#[cfg(feature = "documents")]
mod reference;
mod render;
mod unreadable;

pub use capabilities::Capabilities;
pub use diagnostics::{Color, Diagnostic, Diagnostics, Format, Label, Patch, Severity};
pub use endpoint::{Endpoint, EndpointError, EndpointErrorKind, MAX_SOCKET_PATH_BYTES};
#[cfg(feature = "documents")]
pub use explain::{Explanation, explain, explanations};
#[cfg(feature = "documents")]
pub use json_schema::json_schema;
pub use layers::{Layers, MAX_REGISTRY_BYTES, load, load_over};
pub use names::{is_rust_path, nearest, shortened};
pub use plan::{
    Ack, Alias, BrokenService, Codec, CompositePlan, Delivery, Failback, Framing, From_, Kind,
    KindHint, LeafPlan, Level, OnDiskFull, Pattern, Plan, Role, Secret, ServicePlan, SlowConsumer,
    SyncMode, TextOrSecret, TlsPlan, WhenFull,
};
#[cfg(feature = "documents")]
pub use reference::reference_markdown;
pub use text::{Location, SourceFile};
pub use unreadable::Unreadable;
