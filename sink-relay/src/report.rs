//! What a relay has done, in numbers: while it runs, and when it ended.

use std::fmt;
use std::sync::Arc;

/// A running relay's numbers, one snapshot per service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStatistics {
    /// Per service, in the registry's order.
    pub services: Vec<ServiceStatistics>,
}

/// One service's numbers since the relay started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceStatistics {
    /// The service.
    pub service: Arc<str>,
    /// Producers connected.
    pub producers: usize,
    /// Consumers connected.
    pub consumers: Vec<ConsumerStatistics>,
    /// Messages taken.
    pub messages_in: u64,
    /// Bytes of their frames.
    pub bytes_in: u64,
    /// Messages that had been taken before and were dropped.
    pub duplicates: u64,
    /// Messages sent to consumers, over all of them, those that are gone included.
    pub messages_out: u64,
    /// Bytes of their frames.
    pub bytes_out: u64,
    /// Gaps that consumers were told of.
    pub gaps: u64,
    /// Messages in those gaps.
    pub dropped: u64,
    /// Messages that can still be read.
    pub retained_messages: u64,
    /// Bytes of their frames.
    pub retained_bytes: u64,
    /// Offset of the oldest of them.
    pub oldest_offset: u64,
    /// Offset that the next message will have.
    pub next_offset: u64,
}

/// One connected consumer's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStatistics {
    /// Which, counted per service from 1.
    pub number: u64,
    /// Messages sent to it.
    pub messages: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Gaps it was told of.
    pub gaps: u64,
    /// Messages in those gaps.
    pub dropped: u64,
    /// Messages it has not been sent yet.
    pub behind: u64,
}

/// How a relay ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayReport {
    /// The numbers at the end.
    pub services: Vec<ServiceStatistics>,
    /// Connections that were cut because they did not end by themselves in time.
    pub cut: usize,
    /// Peers that were turned away.
    pub refused: u64,
}

// === impl RelayReport ===

impl RelayReport {
    /// One service's numbers.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceStatistics> {
        self.services
            .iter()
            .find(|service| &*service.service == name)
    }
}

impl RelayStatistics {
    /// One service's numbers.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceStatistics> {
        self.services
            .iter()
            .find(|service| &*service.service == name)
    }
}

impl fmt::Display for RelayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for service in &self.services {
            writeln!(f, "{service}")?;
        }
        write!(f, "{} refused, {} cut at the end", self.refused, self.cut)
    }
}

impl fmt::Display for ServiceStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} messages in, {} out, {} duplicates, {} dropped in {} gaps, {} retained",
            self.service,
            self.messages_in,
            self.messages_out,
            self.duplicates,
            self.dropped,
            self.gaps,
            self.retained_messages
        )
    }
}
