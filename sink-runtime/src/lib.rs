//! Typed, lazily connected sinks: send to a service by name, over Unix sockets, TCP or in process.
//!
//! `services.toml` names every place a message may go; a build script turns it into `Sinks::market_data_relay()`.
//! Nothing connects until data flows, so no start order matters, and adapters say *where* a message goes, never *how*.
//!
//! # Map
//! `services.toml` → (build script) → `Sinks::name()` → [`Lazy`] → [`Relay`] · [`Direct`] · [`FanOut`] · [`Failover`]
//! → link → outbox → [`frame`] → [`transport`]; the other end is [`Source`].
//!
//! - the promise every sink makes: [`MessageSink`], [`Receipt`], [`Level`], [`SendError`]
//! - what is sent: [`struct@Message`], [`MessageType`]
//! - names known only at run time: [`SinkFactory`], [`DynSink`], [`ServiceRegistry`]
//! - beneath, for relays, simulators and tools: [`frame`], [`transport`], [`clock`], [`life`], [`policy`]

// --- what a user writes
#[cfg(feature = "macros")]
mod include;
mod message;
mod sink;

// --- kinds of sinks
mod composite;
mod direct;
mod dynamic;
mod failover;
mod fanout;
mod lazy;
mod relay;

// --- by name
mod factory;
mod registry;
mod service;
mod set;
mod slot;

// --- the send path
mod ages;
mod bell;
mod blocking;
mod carried;
mod driver;
mod foreign;
mod inproc;
mod leaf;
mod line;
mod link;
mod outbox;
mod preamble;
mod sync;
mod told;
mod turn;
mod watchdog;

// --- the receiving end
mod source;

// --- beneath
mod carrier;
pub mod clock;
mod codec;
pub mod frame;
pub mod life;
pub mod policy;
pub mod transport;

// --- for tests
pub mod testing;

// --- what is said of it all
mod error;
mod gap;
mod ledger;
mod receipt;
mod report;

#[cfg(all(shuttle, test))]
mod schedules;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use carrier::{Carrier, Dialing};
pub use codec::Codec;
pub use composite::{
    AtLeastOnceBranch, Branch, Branches, Encoded, Member, Members, Optional, Ref, Reserved, Single,
};
pub use direct::Direct;
pub use dynamic::{AtLeastOnceSink, DynMessageSink, DynSink};
pub use error::{
    ConnectError, DecodeError, EncodeError, Outcome, RegistryError, SendError, SendErrorKind,
    SourceError,
};
pub use factory::{Resolver, SinkFactory};
pub use failover::Failover;
pub use fanout::FanOut;
pub use gap::{Gap, GapCause};
#[cfg(feature = "macros")]
pub use include::*;
pub use lazy::Lazy;
pub use ledger::{Dropped, Ledger, Returned};
pub use life::SinkState;
pub use message::{MAX_TRACE_CONTEXT_BYTES, Message, MessageType, Metadata, Payload};
pub use receipt::{DropCause, Level, Lost, Receipt};
#[doc(hidden)]
pub use registry::read_file as registry_file;
pub use registry::{CompiledRegistry, PROFILE_VARIABLE, REGISTRY_VARIABLE, ServiceRegistry};
pub use relay::Relay;
pub use report::{BatchError, BatchReport, DrainReport, UndeliveredMessage};
#[doc(no_inline)]
pub use serde;
pub use service::{Compiled, Expect, LeafService, Leaves, PromisesAtLeastOnce, Service};
pub use set::Set;
pub use sink::{AtLeastOnce, MessageSink};
pub use slot::Slot;
pub use source::{Delivery, From, Source, SourceLedger};
pub use transport::Endpoint;

/// So many rounds of a test, or fewer where an interpreter runs them.
#[cfg(test)]
fn rounds(many: usize) -> usize {
    if cfg!(miri) { many.div_ceil(200) } else { many }
}
