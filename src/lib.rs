//! The reference application: Polygon DEX events, from a node's logs to typed messages on their way through generated sinks.
//!
//! # Map
//! - [`pool_event`]: [`PoolEvent`], the message that `services.toml` names
//! - [`polygon`]: logs in, pool events out; pure text and bytes, no sockets
//!
//! The programs around it are in `examples/polygon_adapter`.

pub mod polygon;
pub mod pool_event;

pub use pool_event::PoolEvent;
