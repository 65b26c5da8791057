//! What is missing, and why.

use crate::frame::ProducerId;

/// Messages that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// First number missing: the producer's sequence, or the relay's offset (see [`Gap::cause`]).
    pub from: u64,
    /// Last number missing.
    pub to: u64,
    /// Why.
    pub cause: GapCause,
    /// Whose numbers they are; `None` for a relay's offsets.
    pub producer: Option<ProducerId>,
}

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapCause {
    /// The producer's sink dropped or withdrew them: its own policy.
    Producer,
    /// They were on a connection, or in a relay's memory, that is gone.
    Lost,
    /// They had left the relay's retention before this consumer asked.
    Retention,
    /// This consumer was too slow.
    SlowConsumer,
}

impl Gap {
    /// How many messages are missing.
    #[must_use]
    pub fn lost(&self) -> u64 {
        (self.to - self.from).saturating_add(1)
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.cause {
            GapCause::Producer => "dropped by the producer",
            GapCause::Lost => "lost with a connection or relay",
            GapCause::Retention => "no longer retained",
            GapCause::SlowConsumer => "dropped for a slow consumer",
        };
        write!(
            f,
            "gap of {} messages ({}..={}): {why}",
            self.lost(),
            self.from,
            self.to
        )
    }
}
