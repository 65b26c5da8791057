//! The wire format (docs/PROTOCOL.md): frame heads, control frames, hellos. Bytes in, values out; no sockets, no state.
//!
//! All integers are little-endian. Every frame is `length: u32, kind: u8, flags: u8, reserved: u16`, then its body;
//! `length` counts what follows it, so never less than four.

use std::fmt;

use bytes::Buf;

mod assembler;
mod fields;
mod greeting;
mod relayed;

pub use assembler::{Assembler, READ_CHUNK};
pub use greeting::{Bye, ByeCode, Hello, PeerRole, ProducerId, Refuse, RefuseCode, Start, Welcome};
pub use relayed::{Chunk, Producer, RelayGap};

/// `SNK1`, little-endian: first in every hello, so that a stranger is recognised at once.
pub const MAGIC: u32 = u32::from_le_bytes(*b"SNK1");
/// The version this crate speaks. Minor growth is new TLV tags and new control kinds, which are skipped if unknown.
pub const VERSION: u16 = 1;
/// Bytes before a frame's body: length, kind, flags, reserved.
pub const HEAD: usize = 8;
/// Bytes of a data frame before identity, metadata and payload: head and sequence.
pub const DATA_HEAD: usize = HEAD + 8;
/// Bytes of a composite's identity in a data frame.
pub const IDENTITY: usize = 16;
/// Most a frame may carry beside its payload: identity, and metadata with its length.
pub const OVERHEAD: usize = DATA_HEAD + IDENTITY + 2 + 512;
/// Longest hello, welcome or refusal: they are read before anything is known of the peer.
pub const MAX_HELLO_BYTES: usize = 64 * 1024;
/// The largest `max_frame_bytes` a registry may ask for.
pub const MAX_FRAME_LIMIT: u32 = 64 * 1024 * 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Hello = 1,
    Welcome = 2,
    Refuse = 3,
    Data = 4,
    Ack = 5,
    Heartbeat = 6,
    Bye = 7,
    Producer = 8,
    Chunk = 9,
    Gap = 10,
}

impl Kind {
    /// The kind of this number; `None` for one of a later version.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Refuse,
            4 => Self::Data,
            5 => Self::Ack,
            6 => Self::Heartbeat,
            7 => Self::Bye,
            8 => Self::Producer,
            9 => Self::Chunk,
            10 => Self::Gap,
            _ => return None,
        })
    }
}

/// Set in a data frame's flags where a composite's identity follows the sequence.
pub const FLAG_IDENTITY: u8 = 1;
/// Set in a data frame's flags where metadata (`u16` length, then that many bytes) precedes the payload.
pub const FLAG_METADATA: u8 = 2;
/// Set where the frame was on the wire before and may arrive twice.
pub const FLAG_POSSIBLE_DUPLICATE: u8 = 4;

/// What is wrong with bytes that are no frame; the connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than agreed.
    TooLong {
        /// Its length.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// Shorter than its kind needs, or its parts do not fit.
    Malformed(&'static str),
    /// A length of a foreign framing, longer than agreed.
    ForeignTooLong {
        /// The length it told.
        length: u64,
        /// The limit.
        limit: u64,
        /// The same bytes in the other order, where that would fit.
        swapped: Option<u32>,
    },
    /// A line longer than agreed.
    LineTooLong {
        /// The limit.
        limit: u64,
    },
    /// Something else came where the preamble was due.
    Preamble,
    /// Not our protocol.
    NotOurs([u8; 4]),
    /// A version this crate does not speak.
    Version {
        /// The peer's.
        theirs: u16,
    },
    /// A frame that may not come here.
    Unexpected(Kind),
}

impl FrameError {
    /// What to say where it came before a hello or its answer: whoever said it is hardly one of ours.
    pub(crate) fn of_a_stranger(&self) -> String {
        let first = match *self {
            // A length is told first, and of text it is a huge one.
            Self::TooLong { length, .. } => (length.saturating_sub(4) as u32).to_le_bytes(),
            Self::NotOurs(first) => first,
            Self::Version { .. } => return self.to_string(),
            _ => return format!("{self}; a program that is not ours needs another `framing`"),
        };
        format!(
            "it began with \"{}\", which is no greeting; a program that is not ours needs another `framing`",
            first.escape_ascii()
        )
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, limit } => write!(
                f,
                "frame of {length} bytes, at most {limit} are accepted (max_frame_bytes)"
            ),
            Self::Malformed(what) => write!(f, "malformed {what} frame"),
            Self::ForeignTooLong {
                length,
                limit,
                swapped,
            } => {
                let limit = format_args!("at most {limit} are accepted (max_frame_bytes)");
                write!(f, "length of {length} bytes, {limit}")?;
                match swapped {
                    Some(other) => {
                        write!(f, "; in the other byte order it is {other} (framing)")
                    }
                    None => Ok(()),
                }
            }
            Self::LineTooLong { limit } => {
                write!(f, "line of more than {limit} bytes (max_frame_bytes)")
            }
            Self::Preamble => f.write_str("what came first is not the preamble (preamble)"),
            Self::NotOurs(first) => {
                write!(f, "not the sink protocol (first bytes {first:02x?})")
            }
            Self::Version { theirs } => {
                write!(f, "protocol version {theirs}, this side speaks {VERSION}")
            }
            Self::Unexpected(kind) => write!(f, "unexpected {kind:?} frame"),
        }
    }
}

impl std::error::Error for FrameError {}

/// One frame's head and where its body lies.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Bytes of the whole frame, its length field included.
    pub total: usize,
    /// The kind, as on the wire.
    pub kind: u8,
    /// The flags.
    pub flags: u8,
}

/// Reads the head at the start of `bytes`; `None` if fewer than [`HEAD`] are there.
///
/// # Errors
/// If the length is impossible or over `limit` (of the whole frame).
#[inline]
pub fn head(bytes: &[u8], limit: usize) -> Result<Option<Head>, FrameError> {
    let Some(fixed) = bytes.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes([fixed[0], fixed[1], fixed[2], fixed[3]]) as usize;
    let total = length + 4;
    if total < HEAD {
        return Err(FrameError::Malformed("short"));
    }
    if total > limit {
        return Err(FrameError::TooLong {
            length: total as u64,
            limit: limit as u64,
        });
    }
    Ok(Some(Head {
        total,
        kind: fixed[4],
        flags: fixed[5],
    }))
}

/// How many bytes at the start of `bytes` are whole frames, and how many frames.
///
/// # Errors
/// If the first head is impossible or over `limit`.
pub fn whole_frames(bytes: &[u8], limit: usize) -> Result<(usize, usize), FrameError> {
    whole_frames_where(bytes, limit, |_| true)
}

/// The same, up to the first frame that is not `wanted`. What stands before a head that is impossible is sound, and given
/// out first.
#[inline]
fn whole_frames_where(
    bytes: &[u8],
    limit: usize,
    mut wanted: impl FnMut(&Head) -> bool,
) -> Result<(usize, usize), FrameError> {
    let (mut at, mut count) = (0, 0);
    loop {
        let head = match head(&bytes[at..], limit) {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(_) if at > 0 => break,
            Err(error) => return Err(error),
        };
        if bytes.len() - at < head.total || !wanted(&head) {
            break;
        }
        at += head.total;
        count += 1;
    }
    Ok((at, count))
}

/// The parts of one data frame, borrowed.
#[derive(Clone, Debug)]
pub struct Data<'a> {
    /// Sequence on its link.
    pub sequence: u64,
    /// The composite's identity `(producer, n)`, where sent through one.
    pub identity: Option<(u64, u64)>,
    /// Metadata in wire form.
    pub metadata: Option<&'a [u8]>,
    /// Where the payload begins in the frame.
    pub payload_at: usize,
    /// The frame's flags.
    pub flags: u8,
}

/// Splits a whole data frame into its parts.
///
/// # Errors
/// If the parts do not fit into the frame.
#[inline]
pub fn data(frame: &[u8]) -> Result<Data<'_>, FrameError> {
    const BAD: FrameError = FrameError::Malformed("data");
    let flags = *frame.get(5).ok_or(BAD)?;
    let sequence = u64::from_le_bytes(
        *frame
            .get(HEAD..)
            .and_then(|rest| rest.first_chunk())
            .ok_or(BAD)?,
    );
    let mut at = DATA_HEAD;
    let mut identity = None;
    if flags & FLAG_IDENTITY != 0 {
        let mut part = frame.get(at..at + IDENTITY).ok_or(BAD)?;
        identity = Some((part.get_u64_le(), part.get_u64_le()));
        at += IDENTITY;
    }
    let mut metadata = None;
    if flags & FLAG_METADATA != 0 {
        let length = usize::from(u16::from_le_bytes(
            *frame
                .get(at..)
                .and_then(|rest| rest.first_chunk())
                .ok_or(BAD)?,
        ));
        metadata = Some(frame.get(at + 2..at + 2 + length).ok_or(BAD)?);
        at += 2 + length;
    }
    Ok(Data {
        sequence,
        identity,
        metadata,
        payload_at: at,
        flags,
    })
}

/// Appends a data frame's head with its length still zero; [`finish`] sets it once the payload stands behind it.
#[inline]
pub fn begin_data(out: &mut Vec<u8>, flags: u8, sequence: u64) {
    let mut fixed = [0u8; DATA_HEAD];
    fixed[4] = Kind::Data as u8;
    fixed[5] = flags;
    fixed[8..].copy_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&fixed);
}

/// The head of a data frame with nothing but `payload` bytes behind it.
pub(crate) fn data_head(sequence: u64, payload: usize) -> [u8; DATA_HEAD] {
    let mut head = [0u8; DATA_HEAD];
    head[..4].copy_from_slice(&((DATA_HEAD - 4 + payload) as u32).to_le_bytes());
    head[4] = Kind::Data as u8;
    head[8..].copy_from_slice(&sequence.to_le_bytes());
    head
}

/// Sets the length of the frame that begins at `start` and ends with `out` (plus `beyond` bytes kept elsewhere).
#[inline]
pub fn finish(out: &mut [u8], start: usize, beyond: usize) {
    let length = (out.len() - start - 4 + beyond) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Appends a control frame whose body `body` writes.
pub fn control(out: &mut Vec<u8>, kind: Kind, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind as u8, 0, 0, 0]);
    body(out);
    finish(out, start, 0);
}

/// Appends an ack of all messages up to `sequence`.
pub fn ack(out: &mut Vec<u8>, sequence: u64) {
    control(out, Kind::Ack, |out| {
        out.extend_from_slice(&sequence.to_le_bytes())
    });
}

/// Appends a heartbeat; `last` is the highest sequence given so far, so that a drop at the tail is seen.
pub fn heartbeat(out: &mut Vec<u8>, last: u64) {
    control(out, Kind::Heartbeat, |out| {
        out.extend_from_slice(&last.to_le_bytes())
    });
}

/// Reads the number of an ack or heartbeat frame.
///
/// # Errors
/// If it is cut short.
pub fn number(frame: &[u8]) -> Result<u64, FrameError> {
    frame
        .get(HEAD..)
        .and_then(|body| body.first_chunk())
        .map(|bytes| u64::from_le_bytes(*bytes))
        .ok_or(FrameError::Malformed("control"))
}

/// What a peer said, safe for a terminal and a log line: control characters escaped, at most a few hundred characters.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    const MOST: usize = 2048;
    let text = String::from_utf8_lossy(bytes);
    let mut safe = String::with_capacity(text.len().min(MOST));
    for character in text.chars() {
        if safe.len() >= MOST {
            safe.push('…');
            break;
        }
        if character.is_control() {
            safe.extend(character.escape_default())
        } else {
            safe.push(character)
        }
    }
    safe
}
