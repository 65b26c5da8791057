//! What a registry says about one relay service, and the bounds that no registry changes.

use std::time::Duration;

use sink_schema::{Codec, LeafPlan, SlowConsumer};

/// A peer has this long to say who it is (PROMISES 10.5).
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// A peer that takes no byte and says nothing for this long is gone (PROMISES 10.5).
pub(crate) const WRITE_STALL: Duration = Duration::from_secs(10);
/// Heartbeats missed before a peer counts as lost (PROMISES 10.5).
pub(crate) const MISSED_HEARTBEATS: u32 = 3;
/// A frame that has begun has this long, and the time its size takes at [`FRAME_BYTES_PER_SECOND`], to arrive whole.
pub(crate) const FRAME_GRACE: Duration = Duration::from_secs(10);
/// The least progress a frame must make.
pub(crate) const FRAME_BYTES_PER_SECOND: u64 = 64 * 1024;
/// Consumers have this long to read what is retained when the relay ends.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);
/// Producers have this long to hand over what the kernel holds when the relay ends.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);
/// A peer that was told to go has this long to read why.
pub(crate) const LINGER: Duration = Duration::from_millis(500);
/// A producer that came back may have written on its old connection what is still under way: it has so long, counted from what
/// came last.
pub(crate) const UNDER_WAY: Duration = Duration::from_secs(1);
/// Services that one endpoint of [`crate::Relay::bind`] makes on demand.
pub(crate) const MAX_SERVICES: usize = 1024;

/// What becomes of a consumer that retention has overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overtaken {
    /// It goes on, with a gap.
    Gap,
    /// Its connection ends.
    Disconnect,
}

/// One service's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) retain: u32,
    pub(crate) retain_bytes: u64,
    pub(crate) overtaken: Overtaken,
    pub(crate) max_frame_bytes: u32,
    pub(crate) max_connections: u32,
    pub(crate) heartbeat: Duration,
    /// What producers and consumers must encode with; `None` lets any pass.
    pub(crate) codec: Option<&'static str>,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            retain: 65_536,
            retain_bytes: 64 * 1024 * 1024,
            overtaken: Overtaken::Gap,
            max_frame_bytes: 1024 * 1024,
            max_connections: 256,
            heartbeat: Duration::from_secs(10),
            codec: None,
        }
    }
}

impl Settings {
    /// A registry's; the schema has refused what is not built.
    pub(crate) fn of(leaf: &LeafPlan) -> Self {
        Self {
            retain: leaf.retain,
            retain_bytes: leaf.retain_bytes,
            overtaken: overtaken(leaf.slow_consumer),
            max_frame_bytes: leaf.max_frame_bytes,
            max_connections: leaf.max_connections,
            heartbeat: leaf.heartbeat,
            codec: Some(codec(leaf.codec)),
        }
    }

    /// The most bytes a whole frame may have.
    pub(crate) fn frame_limit(&self) -> usize {
        self.max_frame_bytes as usize + sink_runtime::frame::OVERHEAD
    }

    /// How long a frame may take to arrive whole.
    pub(crate) fn frame_time(&self) -> Duration {
        FRAME_GRACE
            + Duration::from_millis(self.frame_limit() as u64 * 1000 / FRAME_BYTES_PER_SECOND)
    }

    pub(crate) fn heartbeat_ms(&self) -> u32 {
        u32::try_from(self.heartbeat.as_millis()).unwrap_or(u32::MAX)
    }
}

/// `block` is refused by the schema; a plan made by other means gets the nearest that is built.
pub(crate) fn overtaken(policy: SlowConsumer) -> Overtaken {
    match policy {
        SlowConsumer::Disconnect => Overtaken::Disconnect,
        SlowConsumer::DropOldest | SlowConsumer::Block => Overtaken::Gap,
    }
}

fn codec(codec: Codec) -> &'static str {
    match codec {
        Codec::Postcard => "postcard",
        Codec::Json => "json",
        Codec::Raw => "raw",
    }
}
