//! The relay of typed sinks, embedded: producers and consumers connect in any order, late consumers get what is retained,
//! a slow one costs only itself. Frames are forwarded as bytes and never decoded. The protocol is `docs/PROTOCOL.md`.
//!
//! ```no_run
//! # async fn run() -> Result<(), sink_relay::RelayError> {
//! sink_relay::Relay::from_registry("services.toml")?.serve(async { /* until Ctrl-C */ }).await?;
//! # Ok(()) }
//! ```
//!
//! # Map
//! relay → registry, settings; accept → connection (hello, producer, consumer) → line → outbox; service → ring, producers;
//! intake (a producer's bytes in), subscription (a consumer's bytes out).

mod relay;

mod registry;
mod settings;

mod accept;
mod directory;

mod connection;
mod line;
mod outbox;

mod bell;
mod service;

mod intake;
mod producers;
mod ring;
mod subscription;

mod error;
mod report;

pub use error::RelayError;
pub use relay::{LocalEndpoint, Relay, RelayHandle, RunningRelay};
pub use report::{ConsumerStatistics, RelayReport, RelayStatistics, ServiceStatistics};
pub use sink_runtime::transport::Endpoint;
pub use sink_schema::SlowConsumer;
