//! The registry language of typed sinks: `services.toml` to a validated [`Plan`], with every mistake shown at its line.
//!
//! No I/O, no runtime, no panics: text in, plan and [`Diagnostics`] out. One validator serves build script, command line
//! and run time, so that they cannot disagree.
//!
//! # Map
//! text → tree → keys → schema → rules → [`Plan`]; beside it [`Diagnostics`] → render, and explain, JSON Schema, reference.

mod capabilities;
mod diagnostics;
mod endpoint;
mod layers;
mod names;
mod plan;
mod render;
mod text;

pub use capabilities::Capabilities;
pub use diagnostics::{Color, Diagnostic, Diagnostics, Format, Label, Patch, Severity};
pub use endpoint::{Endpoint, EndpointError, EndpointErrorKind, MAX_SOCKET_PATH_BYTES};
pub use layers::{Layers, load};
pub use plan::{
    Ack, Alias, BrokenService, Codec, CompositePlan, Delivery, Failback, Framing, From_, Kind,
    KindHint, LeafPlan, Level, OnDiskFull, Pattern, Plan, Role, Secret, ServicePlan, SlowConsumer,
    SyncMode, TextOrSecret, TlsPlan, WhenFull,
};
pub use text::{Location, SourceFile};
