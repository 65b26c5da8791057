//! From what a Polygon node says to [`PoolEvent`](crate::PoolEvent)s. No sockets, no clock: frames and files in, values out.
//!
//! # Map
//! - [`frame`]: one WebSocket frame of the node's JSON-RPC → logs
//! - [`log`]: one log as the node writes it
//! - [`pools`]: the pools this application knows, and their tokens
//! - [`decode`]: log → [`PoolLog`](crate::pool_event::PoolLog), or the reason why not
//! - [`state`]: price, tick and liquidity of a pool, followed from its events
//! - [`recording`]: recorded logs from a file (CSV, gzipped CSV, JSON, raw frames)
//! - [`expect`]: field by field against somebody else's decode of the same logs

pub mod decode;
pub mod expect;
pub mod frame;
pub mod log;
pub mod pools;
pub mod recording;
pub mod state;
