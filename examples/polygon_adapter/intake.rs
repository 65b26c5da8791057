//! What the adapter took in from the node and what it left, by cause.

use std::collections::BTreeMap;

use sinks::polygon::decode::Refused;
use sinks::polygon::frame::Malformed;

/// The adapter's count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intake {
    /// Events that the sink accepted.
    pub(crate) sent: u64,
    /// Events that the sink gave back or may have lost.
    pub(crate) unsent: u64,
    /// The sink's first reason.
    pub(crate) unsent_because: Option<String>,
    /// Connections made to the node.
    pub(crate) connections: u64,
    left: BTreeMap<&'static str, u64>,
}

// === impl Intake ===

impl Intake {
    /// A log that is no event of ours.
    pub(crate) fn refused(&mut self, why: &Refused) {
        self.leave(match why {
            Refused::LookAlike { .. } => "look-alike contract",
            Refused::UnknownContract { .. } => "unknown contract",
            Refused::UnknownTopic { .. } => "unknown topic of a known pool",
            Refused::TopicCount { .. } => "wrong number of topics",
            Refused::DataLength { .. } => "wrong length of data",
            Refused::Value => "value out of range",
        });
    }

    /// Something that cannot be read.
    pub(crate) fn malformed(&mut self, why: &Malformed) {
        self.leave(match why {
            Malformed::Truncated => "truncated JSON",
            Malformed::NotJsonRpc => "not JSON-RPC",
            Malformed::Log => "unreadable log",
        });
    }

    /// Something well-formed that is no log.
    pub(crate) fn other(&mut self) {
        self.leave("not a log");
    }

    /// Events that the sink gave back, or that did not arrive after all or may not have.
    #[allow(dead_code, reason = "an adapter by hand cannot know")]
    pub(crate) fn undelivered(&mut self, count: u64, why: impl FnOnce() -> String) {
        self.unsent += count;
        if count > 0 {
            self.unsent_because.get_or_insert_with(why);
        }
    }

    /// What was left, by cause.
    pub(crate) fn left(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.left.iter().map(|(cause, count)| (*cause, *count))
    }

    fn leave(&mut self, cause: &'static str) {
        *self.left.entry(cause).or_default() += 1;
    }
}
