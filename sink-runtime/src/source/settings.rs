//! What a source is told once, and whether a producer's type is its own.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Surroundings;
use crate::codec::Codec;
use crate::foreign::Framing;
use crate::frame::Start;
use crate::life::LifePolicy;
use crate::link::MessageIdentity;
use crate::preamble::Preamble;
use crate::source::shapes;
use crate::transport::Target;

/// Whether a source listens or subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Listen,
    Subscribe,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct SourceSettings {
    pub(crate) service: Arc<str>,
    pub(crate) role: Role,
    pub(crate) target: Target,
    pub(crate) codec: Codec,
    pub(crate) framing: Framing,
    pub(crate) preamble: Preamble,
    pub(crate) message: MessageIdentity,
    pub(crate) buffer_size: u32,
    pub(crate) buffer_bytes: u64,
    pub(crate) max_frame_bytes: u32,
    pub(crate) max_connections: u32,
    pub(crate) life: LifePolicy,
    pub(crate) start: Start,
    pub(crate) consumer: Option<Arc<str>>,
    pub(crate) acks: bool,
    pub(crate) surroundings: Surroundings,
}

impl SourceSettings {
    /// Largest frame in all.
    pub(crate) fn frame_limit(&self) -> usize {
        self.max_frame_bytes as usize + crate::frame::OVERHEAD
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        self.life.heartbeat
    }

    /// How often we speak to a peer that asks for no silence longer than `theirs` milliseconds; 0: it does not ask.
    pub(crate) fn heartbeat_for(&self, theirs: u32) -> Duration {
        match theirs {
            0 => self.heartbeat(),
            theirs => self.heartbeat().min(Duration::from_millis(theirs.into())),
        }
    }

    /// What to say of a producer whose type is not ours; `None` if it is, or if either side is untyped.
    pub(crate) fn mismatch(&self, fingerprint: u64, message: &str, shape: &str) -> Option<String> {
        let ours = &self.message;
        if fingerprint == 0
            || ours.fingerprint == 0
            || fingerprint == ours.fingerprint
            || ours.accepts.contains(&fingerprint)
        {
            return None;
        }
        let message = crate::frame::escape(message.as_bytes());
        let accepts = format!(
            "#[message(accepts = [\"{fingerprint:#018x}\"])] on `{}`",
            ours.name
        );
        Some(format!(
            "producer sends `{message}` {fingerprint:#018x}, consumer expects `{}` {:#018x}{}",
            ours.name,
            ours.fingerprint,
            shapes::differ(self.codec, shape, ours.shape, &accepts)
        ))
    }
}
