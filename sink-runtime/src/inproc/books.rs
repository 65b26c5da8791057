//! What one sink in the process counts, under the channel's lock.

use super::*;

/// The sending end's own counts.
#[derive(Default)]
pub(super) struct Books {
    pub(super) last: u64,
    pub(super) accepted: u64,
    pub(super) attempted: u64,
    pub(super) returned: Returned,
    pub(super) dropped: Dropped,
    /// Runs of dropped sequences: the first, the last and why.
    pub(super) skipped: BTreeMap<u64, (u64, DropCause)>,
    /// The last that went into the queue.
    pub(super) last_put: u64,
    pub(super) reserved: u64,
    /// How many had been handed up when it was last asked.
    pub(super) received_then: u64,
    /// Nothing is taken any more.
    pub(super) closed: bool,
    /// And what nobody took has been given back.
    pub(super) ended: bool,
}

/// Runs of dropped sequences remembered; older ones answer `Unknown`.
pub(super) const HORIZON: usize = 65_536;

impl Books {
    /// Accepted, and dropped or withdrawn since.
    pub(super) fn gone(&self) -> u64 {
        self.dropped.oldest + self.dropped.closed + self.dropped.expired + self.returned.withdrawn
    }

    pub(super) fn skip(&mut self, sequence: u64, cause: DropCause) {
        let before = self.skipped.range_mut(..sequence).next_back();
        if let Some((_, (last, known))) = before
            && *last + 1 == sequence
            && *known == cause
        {
            *last = sequence;
            return;
        }
        if self.skipped.len() >= HORIZON {
            self.skipped.pop_first();
        }
        self.skipped.insert(sequence, (sequence, cause));
    }

    /// Why a message was dropped, if it was.
    pub(super) fn skipped(&self, sequence: u64) -> Option<DropCause> {
        let (_, &(last, cause)) = self.skipped.range(..=sequence).next_back()?;
        (sequence <= last).then_some(cause)
    }

    /// The last before the run of dropped ones that this one is in.
    pub(super) fn before_skipped(&self, sequence: u64) -> u64 {
        let run = self.skipped.range(..=sequence).next_back();
        run.map_or(0, |(first, _)| first - 1)
    }
}
