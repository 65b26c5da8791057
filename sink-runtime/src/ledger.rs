//! Where every message is: the ledger of one sink (PROMISES 5.2).

/// One snapshot under the link's lock: each message is in exactly one place, its last.
///
/// `attempted + recovered = waiting + returned + dropped + buffered + spooled + in_flight + done + unknown`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Messages a caller asked to send.
    pub attempted: u64,
    /// Messages read back from a spool at start.
    pub recovered: u64,
    /// Senders waiting for room.
    pub waiting: u64,
    /// Given back, or their future dropped before acceptance.
    pub returned: Returned,
    /// Dropped by a policy.
    pub dropped: Dropped,
    /// Accepted, not wholly written.
    pub buffered: u64,
    /// In the spool.
    pub spooled: u64,
    /// Written, and an ack is due.
    pub in_flight: u64,
    /// Reached the highest level this sink asks for: acked under at-least-once delivery, else written, which is not delivered.
    pub done: u64,
    /// Begun to be written and not known to have reached that level when the connection was lost or the sink closed: they may
    /// have arrived.
    pub unknown: u64,
}

/// Messages given back, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Returned {
    /// The buffer was full, at once or until the deadline.
    pub full: u64,
    /// Too large, or did not encode.
    pub refused: u64,
    /// The future was dropped before acceptance.
    pub cancelled: u64,
    /// The sink was closed, had no runtime, or could not connect.
    pub closed: u64,
    /// A confirming send withdrew it at its deadline.
    pub withdrawn: u64,
}

/// Messages dropped, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// `when_full = "drop_newest"`.
    pub newest: u64,
    /// `when_full = "drop_oldest"`.
    pub oldest: u64,
    /// The sink was closed or dropped with the message buffered.
    pub closed: u64,
    /// The copy for a full optional branch.
    pub optional: u64,
    /// It waited longer than `max_age_ms`.
    pub expired: u64,
    /// Larger than the receiver's `max_frame_bytes`, and accepted before that was known.
    pub too_large: u64,
}

impl Returned {
    /// All causes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.full + self.refused + self.cancelled + self.closed + self.withdrawn
    }
}

impl Dropped {
    /// All causes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.newest + self.oldest + self.closed + self.optional + self.expired + self.too_large
    }
}

impl Ledger {
    /// Whether every message is in exactly one place.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.attempted + self.recovered
            == self.waiting
                + self.returned.total()
                + self.dropped.total()
                + self.buffered
                + self.spooled
                + self.in_flight
                + self.done
                + self.unknown
    }
}
