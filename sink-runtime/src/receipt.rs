//! How far a message got: levels, receipts and what was lost. Plain data; nothing here waits.

use std::fmt;

/// How far a message got (PROMISES §1).
///
/// `Accepted` and `Spooled` are local; `Written`, `Acked` and `Stored` speak of the other end.
/// The two families do not compare: see [`Level::satisfies`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Level {
    /// A `drop_*` policy dropped it. Satisfies nothing.
    Dropped = 0,
    /// In the sink's bounded buffer, in this process.
    Accepted = 1,
    /// In the local spool, synced as its `sync` says.
    Spooled = 2,
    /// The kernel took every byte. Not yet delivered: see PROMISES §1 for how much may still be lost.
    Written = 3,
    /// The process at the other end took it.
    Acked = 4,
    /// The process at the other end holds it on disk.
    Stored = 5,
}

impl Level {
    /// Whether having reached `self` answers a wait for `wanted`.
    ///
    /// No local level satisfies a remote one; every remote level satisfies `Accepted`.
    #[must_use]
    pub const fn satisfies(self, wanted: Self) -> bool {
        match (self, wanted) {
            (Self::Dropped, _) | (_, Self::Dropped) => false,
            (Self::Written | Self::Acked | Self::Stored, Self::Spooled) => false,
            (have, want) => have as u8 >= want as u8,
        }
    }

    pub(crate) const fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Dropped,
            2 => Self::Spooled,
            3 => Self::Written,
            4 => Self::Acked,
            5 => Self::Stored,
            _ => Self::Accepted,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dropped => "dropped",
            Self::Accepted => "accepted",
            Self::Spooled => "spooled",
            Self::Written => "written",
            Self::Acked => "acked",
            Self::Stored => "stored",
        })
    }
}

/// What an accepted message is known by: 16 bytes, `Copy`, no allocation.
///
/// Ask [`MessageSink::settled`](crate::MessageSink::settled) of the sink that gave it how far the message got.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt {
    link: u32,
    generation: u16,
    level: u8,
    sequence: u64,
}

impl Receipt {
    /// A receipt for sinks written outside this crate: `link` tells their sinks apart, `sequence` their messages.
    #[must_use]
    pub const fn new(link: u32, sequence: u64, level: Level) -> Self {
        Self {
            link,
            generation: 0,
            level: level as u8,
            sequence,
        }
    }

    /// The link that took the message; unique in this process.
    #[must_use]
    pub const fn link(&self) -> u32 {
        self.link
    }

    /// The message's sequence number on its link, from 1.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The level reached when the receipt was made; it does not change afterwards.
    #[must_use]
    pub const fn level(&self) -> Level {
        Level::from_u8(self.level)
    }

    /// Of the message that came so many later.
    pub(crate) const fn later(mut self, messages: u64) -> Self {
        self.sequence += messages;
        self
    }

    pub(crate) const fn at(mut self, level: Level) -> Self {
        self.level = level as u8;
        self
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Receipt({}#{} {})",
            self.link,
            self.sequence,
            self.level()
        )
    }
}

/// Why a wait for a level ended without it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// It can no longer be known: the link went down after writing, or the message is behind the horizon.
    Unknown {
        /// The service.
        service: std::sync::Arc<str>,
        /// The message's sequence number.
        sequence: u64,
    },
    /// A policy dropped it.
    Dropped {
        /// The service.
        service: std::sync::Arc<str>,
        /// The message's sequence number.
        sequence: u64,
        /// Which policy.
        cause: DropCause,
    },
    /// The sink never reaches that level; `highest` is what it reaches.
    Unreachable {
        /// The service.
        service: std::sync::Arc<str>,
        /// The level asked for.
        wanted: Level,
        /// The highest level the sink reaches.
        highest: Level,
    },
    /// The deadline passed with the message still underway.
    TimedOut {
        /// The service.
        service: std::sync::Arc<str>,
        /// The message's sequence number.
        sequence: u64,
        /// How long was waited.
        waited: std::time::Duration,
        /// What the last connection attempt's error says, where none has succeeded since.
        last: Option<std::sync::Arc<str>>,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { service, sequence } => write!(
                f,
                "`{service}`: what became of message {sequence} is unknown"
            ),
            Self::Dropped {
                service,
                sequence,
                cause,
            } => write!(f, "`{service}`: message {sequence} was dropped ({cause})"),
            Self::Unreachable {
                service,
                wanted,
                highest,
            } => write!(
                f,
                "`{service}`: this sink reaches `{highest}` at most, `{wanted}` was asked for (set `delivery` or `confirm`)"
            ),
            Self::TimedOut {
                service,
                sequence,
                waited,
                last,
            } => {
                write!(
                    f,
                    "`{service}`: message {sequence} was not confirmed within {waited:?}"
                )?;
                match last {
                    Some(error) => write!(f, "; last attempt: {error}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for Lost {}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropCause {
    /// `when_full = "drop_newest"`: no room, and this message was the newest.
    Newest,
    /// `when_full = "drop_oldest"`: made room for a newer message.
    Oldest,
    /// Withdrawn by a confirming send at its deadline, before a byte was written.
    Withdrawn,
    /// The sink was closed or dropped with the message still buffered.
    Closed,
    /// The copy for a full optional branch.
    Optional,
    /// It waited longer than `max_age_ms`.
    Expired,
    /// It was accepted before the receiver was reached, and is larger than the receiver takes.
    TooLarge,
}

impl fmt::Display for DropCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Newest => "drop_newest",
            Self::Oldest => "drop_oldest",
            Self::Withdrawn => "withdrawn",
            Self::Closed => "closed",
            Self::Optional => "optional branch full",
            Self::Expired => "expired",
            Self::TooLarge => "larger than the receiver's max_frame_bytes",
        })
    }
}
