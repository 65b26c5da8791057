//! Typed, lazily connected sinks.

pub mod clock;
mod codec;
mod error;
pub mod frame;
mod message;
pub mod policy;
mod receipt;
mod source;
pub mod transport;

pub use codec::{Codec, Encodable};
pub use error::*;
pub use message::*;
pub use receipt::*;

