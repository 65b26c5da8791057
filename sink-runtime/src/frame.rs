//! The wire format (docs/PROTOCOL.md): frame heads, control frames, hellos. Bytes in, values out; no sockets, no state.
//!
//! All integers are little-endian. Every frame is `length: u32, kind: u8, flags: u8, reserved: u16`, then its body;
//! `length` counts what follows it, so never less than four.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

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

/// What a dialer wants to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeerRole {
    /// Sends messages.
    #[default]
    Producer,
    /// Receives a relay's messages.
    Consumer,
}

/// Where a consumer of a relay begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message retained.
    #[default]
    Retained,
    /// With the next one.
    Now,
    /// Behind this offset of this relay epoch; another epoch means `Retained`.
    After {
        /// The relay's epoch.
        epoch: u64,
        /// The last offset seen.
        offset: u64,
    },
}

/// A producer, for as long as it lives: its id and the epoch of this life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProducerId {
    /// Random, per link.
    pub id: u128,
    /// Nanoseconds since 1970 at which this life began.
    pub epoch: u64,
}

/// A dialer's first frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The service meant: one endpoint may serve several.
    pub service: Arc<str>,
    /// What the dialer wants to be.
    pub role: PeerRole,
    /// Whether acks are wanted.
    pub acks: bool,
    /// Whether unacked frames are sent again: duplicates may come.
    pub resends: bool,
    /// Who it is.
    pub producer: ProducerId,
    /// The first sequence it will send on this connection.
    pub first: u64,
    /// The lowest sequence that was on no earlier connection; 0, or one above `first`, reads as `first`. See [`Hello::begins`].
    pub begin: u64,
    /// Codec name.
    pub codec: Arc<str>,
    /// Largest payload it sends or takes.
    pub max_frame_bytes: u32,
    /// How often it sends a heartbeat.
    pub heartbeat_ms: u32,
    /// Its message type's fingerprint; 0 takes part in any.
    pub fingerprint: u64,
    /// Older fingerprints it decodes (consumers).
    pub accepts: Vec<u64>,
    /// Its message type's name.
    pub message: Arc<str>,
    /// Its message type's fields.
    pub shape: Arc<str>,
    /// Where to begin (consumers).
    pub start: Start,
    /// The consumer's name, where its cursor is kept.
    pub consumer: Option<Arc<str>>,
}

/// The acceptor's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// The highest sequence of this producer that was taken; 0 is none.
    pub acked: u64,
    /// The relay's epoch; 0 from a direct source.
    pub relay_epoch: u64,
    /// The offset of the first message the consumer will get (relay).
    pub next_offset: u64,
    /// Largest payload it takes or sends.
    pub max_frame_bytes: u32,
    /// How often it sends a heartbeat.
    pub heartbeat_ms: u32,
}

/// Why an acceptor turns a dialer away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)]
pub enum RefuseCode {
    Version = 1,
    UnknownService = 2,
    TypeMismatch = 3,
    TooManyConnections = 4,
    NotPermitted = 5,
    WrongRole = 6,
    ShuttingDown = 7,
    Malformed = 8,
    Unsupported = 9,
}

impl RefuseCode {
    /// Whether only a person can mend it.
    #[must_use]
    pub const fn is_permanent(code: u16) -> bool {
        !matches!(code, 4 | 7)
    }
}

/// An acceptor's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refuse {
    /// Why, for programs.
    pub code: u16,
    /// Why, for people.
    pub reason: String,
}

mod tag {
    pub(super) const SERVICE: u16 = 1;
    pub(super) const ROLE: u16 = 2;
    pub(super) const DELIVERY: u16 = 3;
    pub(super) const PRODUCER: u16 = 4;
    pub(super) const FIRST: u16 = 5;
    pub(super) const CODEC: u16 = 6;
    pub(super) const MAX_FRAME: u16 = 7;
    pub(super) const HEARTBEAT: u16 = 8;
    pub(super) const FINGERPRINT: u16 = 9;
    pub(super) const ACCEPTS: u16 = 10;
    pub(super) const MESSAGE: u16 = 11;
    pub(super) const SHAPE: u16 = 12;
    pub(super) const START: u16 = 13;
    pub(super) const CONSUMER: u16 = 14;
    pub(super) const ACKED: u16 = 15;
    pub(super) const RELAY_EPOCH: u16 = 16;
    pub(super) const NEXT_OFFSET: u16 = 17;
    pub(super) const BEGIN: u16 = 18;
}

fn put(out: &mut Vec<u8>, tag: u16, value: &[u8]) {
    out.extend_from_slice(&tag.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
}

fn put_text(out: &mut Vec<u8>, tag: u16, text: &str, most: usize) {
    let end = text.floor_char_boundary(most.min(text.len()));
    put(out, tag, &text.as_bytes()[..end]);
}

/// Longest name in a hello.
const MAX_NAME: usize = 1024;
/// Longest shape text in a hello; longer ones are cut, the fingerprint still tells.
const MAX_SHAPE: usize = 16 * 1024;
/// Most older fingerprints in a hello.
const MAX_ACCEPTS: usize = 64;

/// Where it says more than `first` does.
fn put_begin(out: &mut Vec<u8>, begin: u64, first: u64) {
    if begin != 0 && begin < first {
        put(out, tag::BEGIN, &begin.to_le_bytes());
    }
}

/// The lowest sequence that a receiver who never heard of the producer accounts for.
fn begins(begin: u64, first: u64) -> u64 {
    let first = first.max(1);
    if begin == 0 { first } else { begin.min(first) }
}

impl Hello {
    /// The lowest sequence that a receiver who never heard of this producer accounts for: what was dropped before any connection
    /// is missing there, what went out on an earlier one is not.
    #[must_use]
    pub fn begins(&self) -> u64 {
        begins(self.begin, self.first)
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, Kind::Hello, |out| {
            out.extend_from_slice(&MAGIC.to_le_bytes());
            out.extend_from_slice(&VERSION.to_le_bytes());
            put_text(out, tag::SERVICE, &self.service, MAX_NAME);
            put(out, tag::ROLE, &[self.role as u8]);
            put(
                out,
                tag::DELIVERY,
                &[u8::from(self.acks) | u8::from(self.resends) << 1],
            );
            let mut producer = [0; 24];
            producer[..16].copy_from_slice(&self.producer.id.to_le_bytes());
            producer[16..].copy_from_slice(&self.producer.epoch.to_le_bytes());
            put(out, tag::PRODUCER, &producer);
            put(out, tag::FIRST, &self.first.to_le_bytes());
            put_begin(out, self.begin, self.first);
            put_text(out, tag::CODEC, &self.codec, MAX_NAME);
            put(out, tag::MAX_FRAME, &self.max_frame_bytes.to_le_bytes());
            put(out, tag::HEARTBEAT, &self.heartbeat_ms.to_le_bytes());
            put(out, tag::FINGERPRINT, &self.fingerprint.to_le_bytes());
            let accepts: Vec<u8> = self
                .accepts
                .iter()
                .take(MAX_ACCEPTS)
                .flat_map(|print| print.to_le_bytes())
                .collect();
            put(out, tag::ACCEPTS, &accepts);
            put_text(out, tag::MESSAGE, &self.message, MAX_NAME);
            put_text(out, tag::SHAPE, &self.shape, MAX_SHAPE);
            let mut start = [0; 17];
            match self.start {
                Start::Retained => {}
                Start::Now => start[0] = 1,
                Start::After { epoch, offset } => {
                    start[0] = 2;
                    start[1..9].copy_from_slice(&epoch.to_le_bytes());
                    start[9..].copy_from_slice(&offset.to_le_bytes());
                }
            }
            put(out, tag::START, &start);
            if let Some(name) = &self.consumer {
                put_text(out, tag::CONSUMER, name, MAX_NAME);
            }
        });
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// If it is no hello of ours, or of another version.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        const BAD: FrameError = FrameError::Malformed("hello");
        let mut body = frame.get(HEAD..).ok_or(BAD)?;
        if frame[4] != Kind::Hello as u8 || body.len() < 6 {
            return Err(FrameError::NotOurs([
                frame[0], frame[1], frame[2], frame[3],
            ]));
        }
        if body.get_u32_le() != MAGIC {
            return Err(FrameError::NotOurs([
                frame[8], frame[9], frame[10], frame[11],
            ]));
        }
        let theirs = body.get_u16_le();
        if theirs != VERSION {
            return Err(FrameError::Version { theirs });
        }
        let mut hello = Self::default();
        each_tag(body, |tag, mut value| {
            match tag {
                tag::SERVICE => hello.service = text(value)?,
                tag::ROLE => {
                    hello.role = if byte(value)? == 0 {
                        PeerRole::Producer
                    } else {
                        PeerRole::Consumer
                    }
                }
                tag::DELIVERY => {
                    let bits = byte(value)?;
                    hello.acks = bits & 1 != 0;
                    hello.resends = bits & 2 != 0;
                }
                tag::PRODUCER if value.len() == 24 => {
                    hello.producer = ProducerId {
                        id: value.get_u128_le(),
                        epoch: value.get_u64_le(),
                    };
                }
                tag::FIRST => hello.first = long(value)?,
                tag::BEGIN => hello.begin = long(value)?,
                tag::CODEC => hello.codec = text(value)?,
                tag::MAX_FRAME => hello.max_frame_bytes = int(value)?,
                tag::HEARTBEAT => hello.heartbeat_ms = int(value)?,
                tag::FINGERPRINT => hello.fingerprint = long(value)?,
                tag::ACCEPTS => {
                    hello.accepts = value
                        .chunks_exact(8)
                        .take(MAX_ACCEPTS)
                        .filter_map(long)
                        .collect()
                }
                tag::MESSAGE => hello.message = text(value)?,
                tag::SHAPE => hello.shape = text(value)?,
                tag::START if value.len() == 17 => {
                    hello.start = match value.get_u8() {
                        0 => Start::Retained,
                        1 => Start::Now,
                        _ => Start::After {
                            epoch: value.get_u64_le(),
                            offset: value.get_u64_le(),
                        },
                    };
                }
                tag::CONSUMER => hello.consumer = Some(text(value)?),
                _ => {}
            }
            Some(())
        })
        .ok_or(BAD)?;
        Ok(hello)
    }
}

impl Welcome {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, Kind::Welcome, |out| {
            out.extend_from_slice(&MAGIC.to_le_bytes());
            out.extend_from_slice(&VERSION.to_le_bytes());
            put(out, tag::ACKED, &self.acked.to_le_bytes());
            put(out, tag::RELAY_EPOCH, &self.relay_epoch.to_le_bytes());
            put(out, tag::NEXT_OFFSET, &self.next_offset.to_le_bytes());
            put(out, tag::MAX_FRAME, &self.max_frame_bytes.to_le_bytes());
            put(out, tag::HEARTBEAT, &self.heartbeat_ms.to_le_bytes());
        });
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// If it is no welcome of ours, or of another version.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        const BAD: FrameError = FrameError::Malformed("welcome");
        let mut body = frame.get(HEAD..).ok_or(BAD)?;
        if body.len() < 6 {
            return Err(BAD);
        }
        if body.get_u32_le() != MAGIC {
            return Err(FrameError::NotOurs([
                frame[8], frame[9], frame[10], frame[11],
            ]));
        }
        let theirs = body.get_u16_le();
        if theirs != VERSION {
            return Err(FrameError::Version { theirs });
        }
        let mut welcome = Self::default();
        each_tag(body, |tag, value| {
            match tag {
                tag::ACKED => welcome.acked = long(value)?,
                tag::RELAY_EPOCH => welcome.relay_epoch = long(value)?,
                tag::NEXT_OFFSET => welcome.next_offset = long(value)?,
                tag::MAX_FRAME => welcome.max_frame_bytes = int(value)?,
                tag::HEARTBEAT => welcome.heartbeat_ms = int(value)?,
                _ => {}
            }
            Some(())
        })
        .ok_or(BAD)?;
        Ok(welcome)
    }
}

impl Refuse {
    /// Appends the frame.
    pub fn encode(out: &mut Vec<u8>, code: RefuseCode, reason: &str) {
        control(out, Kind::Refuse, |out| {
            out.extend_from_slice(&(code as u16).to_le_bytes());
            let end = reason.floor_char_boundary(reason.len().min(MAX_SHAPE));
            out.extend_from_slice(&reason.as_bytes()[..end]);
        });
    }

    /// Reads a whole frame; what is not text is escaped.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let mut body = frame
            .get(HEAD..)
            .filter(|body| body.len() >= 2)
            .ok_or(FrameError::Malformed("refuse"))?;
        let code = body.get_u16_le();
        Ok(Self {
            code,
            reason: escape(body),
        })
    }
}

/// Why a side ends a connection that was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[allow(missing_docs)]
pub enum ByeCode {
    Done = 0,
    ShuttingDown = 1,
    TooSlow = 2,
    Superseded = 3,
    Malformed = 4,
    Silent = 5,
}

/// A side's last frame: nothing follows it. An empty body is [`ByeCode::Done`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bye {
    /// Why, for programs; a [`ByeCode`], or a later version's.
    pub code: u16,
    /// Why, for people.
    pub reason: String,
}

impl Bye {
    /// Appends the frame.
    pub fn encode(out: &mut Vec<u8>, code: ByeCode, reason: &str) {
        control(out, Kind::Bye, |out| {
            out.extend_from_slice(&(code as u16).to_le_bytes());
            let end = reason.floor_char_boundary(reason.len().min(MAX_SHAPE));
            out.extend_from_slice(&reason.as_bytes()[..end]);
        });
    }

    /// Reads a whole frame; what is not text is escaped.
    #[must_use]
    pub fn decode(frame: &[u8]) -> Self {
        match frame.get(HEAD..).filter(|body| body.len() >= 2) {
            Some(mut body) => Self {
                code: body.get_u16_le(),
                reason: escape(body),
            },
            None => Self::default(),
        }
    }
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

/// A relay's announcement of a producer: whose frames the chunks of this index carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producer {
    /// Index within this connection.
    pub index: u32,
    /// Who.
    pub producer: ProducerId,
    /// The lowest sequence that may still come: what lies before it and was not seen is lost.
    pub first: u64,
    /// What lies from here to `first` its sink dropped before it connected anywhere; 0, or one above `first`: nothing.
    pub begin: u64,
    /// Its message type's fingerprint.
    pub fingerprint: u64,
    /// Its message type's name.
    pub message: Arc<str>,
    /// Its message type's fields.
    pub shape: Arc<str>,
}

impl Producer {
    /// The lowest sequence that a consumer who never heard of this producer accounts for.
    #[must_use]
    pub fn begins(&self) -> u64 {
        begins(self.begin, self.first)
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, Kind::Producer, |out| {
            out.extend_from_slice(&self.index.to_le_bytes());
            let mut producer = [0; 24];
            producer[..16].copy_from_slice(&self.producer.id.to_le_bytes());
            producer[16..].copy_from_slice(&self.producer.epoch.to_le_bytes());
            put(out, tag::PRODUCER, &producer);
            put(out, tag::FIRST, &self.first.to_le_bytes());
            put_begin(out, self.begin, self.first);
            put(out, tag::FINGERPRINT, &self.fingerprint.to_le_bytes());
            put_text(out, tag::MESSAGE, &self.message, MAX_NAME);
            put_text(out, tag::SHAPE, &self.shape, MAX_SHAPE);
        });
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        const BAD: FrameError = FrameError::Malformed("producer");
        let mut body = frame
            .get(HEAD..)
            .filter(|body| body.len() >= 4)
            .ok_or(BAD)?;
        let mut announced = Self {
            index: body.get_u32_le(),
            ..Self::default()
        };
        each_tag(body, |tag, mut value| {
            match tag {
                tag::PRODUCER if value.len() == 24 => {
                    announced.producer = ProducerId {
                        id: value.get_u128_le(),
                        epoch: value.get_u64_le(),
                    };
                }
                tag::FIRST => announced.first = long(value)?,
                tag::BEGIN => announced.begin = long(value)?,
                tag::FINGERPRINT => announced.fingerprint = long(value)?,
                tag::MESSAGE => announced.message = text(value)?,
                tag::SHAPE => announced.shape = text(value)?,
                _ => {}
            }
            Some(())
        })
        .ok_or(BAD)?;
        Ok(announced)
    }
}

/// Precedes the data frames a relay forwards: whose they are and which offsets they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Index of the producer within this connection.
    pub producer: u32,
    /// How many data frames follow.
    pub frames: u32,
    /// The offset of the first; the rest follow densely.
    pub first_offset: u64,
}

impl Chunk {
    /// Bytes of the whole frame.
    pub const TOTAL: usize = HEAD + 16;

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, Kind::Chunk, |out| {
            out.extend_from_slice(&self.producer.to_le_bytes());
            out.extend_from_slice(&self.frames.to_le_bytes());
            out.extend_from_slice(&self.first_offset.to_le_bytes());
        });
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let mut body = frame
            .get(HEAD..)
            .filter(|body| body.len() >= 16)
            .ok_or(FrameError::Malformed("chunk"))?;
        Ok(Self {
            producer: body.get_u32_le(),
            frames: body.get_u32_le(),
            first_offset: body.get_u64_le(),
        })
    }
}

/// A relay's word that offsets are missing for this consumer, and how far each producer's sequence thereby moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayGap {
    /// First offset missing.
    pub from: u64,
    /// Last offset missing.
    pub to: u64,
    /// 1: left retention, 2: the consumer was too slow.
    pub cause: u8,
    /// Producer index, highest sequence among the missing.
    pub producers: Vec<(u32, u64)>,
}

impl RelayGap {
    /// Most producers one frame can name; a relay with more sends several frames.
    pub const MAX_PRODUCERS: usize = 1024;

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, Kind::Gap, |out| {
            out.extend_from_slice(&self.from.to_le_bytes());
            out.extend_from_slice(&self.to.to_le_bytes());
            out.push(self.cause);
            for (index, last) in self.producers.iter().take(Self::MAX_PRODUCERS) {
                out.extend_from_slice(&index.to_le_bytes());
                out.extend_from_slice(&last.to_le_bytes());
            }
        });
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let mut body = frame
            .get(HEAD..)
            .filter(|body| body.len() >= 17)
            .ok_or(FrameError::Malformed("gap"))?;
        let (from, to, cause) = (body.get_u64_le(), body.get_u64_le(), body.get_u8());
        let producers = body
            .chunks_exact(12)
            .take(Self::MAX_PRODUCERS)
            .map(|mut entry| (entry.get_u32_le(), entry.get_u64_le()))
            .collect();
        if from > to {
            return Err(FrameError::Malformed("gap"));
        }
        Ok(Self {
            from,
            to,
            cause,
            producers,
        })
    }
}

fn each_tag<'a>(
    mut body: &'a [u8],
    mut see: impl FnMut(u16, &'a [u8]) -> Option<()>,
) -> Option<()> {
    while !body.is_empty() {
        if body.len() < 4 {
            return None;
        }
        let tag = body.get_u16_le();
        let length = usize::from(body.get_u16_le());
        let (value, rest) = body.split_at_checked(length)?;
        see(tag, value)?;
        body = rest;
    }
    Some(())
}

fn byte(value: &[u8]) -> Option<u8> {
    value.first().copied()
}

fn int(value: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(value.try_into().ok()?))
}

fn long(value: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(value.try_into().ok()?))
}

fn text(value: &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(value).ok().map(Arc::from)
}

/// Collects bytes as they arrive and gives out chunks of whole frames; a frame is never cut.
///
/// Bytes are read into pieces of [`READ_CHUNK`]. A frame longer than one piece is put together once all of it has come:
/// growing one buffer instead would double it, and so run ahead of a peer that only told a length (PROMISES 4.6).
#[derive(Debug, Default)]
pub struct Assembler {
    /// Full pieces of a frame that is longer than one; the frame's head is at the start of the first.
    pieces: Vec<BytesMut>,
    pieces_bytes: usize,
    arrived: BytesMut,
    limit: usize,
}

/// How many bytes are read at a time, and so the most that is allocated ahead of bytes that arrived.
pub const READ_CHUNK: usize = 64 * 1024;

impl Assembler {
    /// Frames of at most `limit` bytes in all.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Another limit, once a hello has told it.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Where to read into, once [`take`](Self::take) has nothing more to give: never more room than [`READ_CHUNK`], and
    /// within a long frame only what is left of a piece.
    pub fn room(&mut self) -> &mut BytesMut {
        let free = self.arrived.capacity() - self.arrived.len();
        let enough = if self.pieces.is_empty() {
            READ_CHUNK / 2
        } else {
            1
        };
        if free < enough {
            self.make_room();
        }
        &mut self.arrived
    }

    fn make_room(&mut self) {
        let held = self.arrived.len();
        if !self.pieces.is_empty() || (held >= READ_CHUNK / 2 && self.begins_unfinished()) {
            // So much of one frame that its rest would not fit behind it.
            let piece = std::mem::replace(&mut self.arrived, BytesMut::with_capacity(READ_CHUNK));
            self.pieces_bytes += held;
            self.pieces.push(if piece.capacity() == held {
                piece
            } else {
                BytesMut::from(&piece[..])
            });
            return;
        }
        if held < READ_CHUNK / 2 && self.arrived.try_reclaim(READ_CHUNK - held) {
            return;
        }
        let mut other = BytesMut::with_capacity(READ_CHUNK.max(held + READ_CHUNK / 2));
        other.extend_from_slice(&self.arrived);
        self.arrived = other;
    }

    /// Takes the whole frames that have arrived, and how many they are.
    ///
    /// # Errors
    /// If the first head is impossible or over the limit.
    pub fn take(&mut self) -> Result<Option<(Bytes, usize)>, FrameError> {
        self.take_where(|_| true)
    }

    /// The same, up to the first frame that is not `wanted`, which stays with all that is behind it.
    ///
    /// # Errors
    /// If the first head is impossible or over the limit.
    pub fn take_where(
        &mut self,
        mut wanted: impl FnMut(&Head) -> bool,
    ) -> Result<Option<(Bytes, usize)>, FrameError> {
        if !self.pieces.is_empty() {
            let Some((first, missing)) = self.missing()? else {
                return Ok(None);
            };
            if !wanted(&first) {
                return Ok(None);
            }
            // Nonsense behind it is for the next look.
            let (end, count) =
                whole_frames_where(&self.arrived[missing..], self.limit, wanted).unwrap_or((0, 0));
            return Ok(Some((self.join(missing + end), 1 + count)));
        }
        let (end, count) = whole_frames_where(&self.arrived, self.limit, wanted)?;
        Ok(if end == 0 {
            None
        } else {
            Some((self.arrived.split_to(end).freeze(), count))
        })
    }

    /// Takes one frame: before the hello nothing may be taken that belongs behind it.
    ///
    /// # Errors
    /// If its head is impossible or over the limit.
    pub fn take_one(&mut self) -> Result<Option<Bytes>, FrameError> {
        if !self.pieces.is_empty() {
            let missing = self.missing()?;
            return Ok(missing.map(|(_, missing)| self.join(missing)));
        }
        match head(&self.arrived, self.limit)? {
            Some(head) if self.arrived.len() >= head.total => {
                Ok(Some(self.arrived.split_to(head.total).freeze()))
            }
            _ => Ok(None),
        }
    }

    /// The first whole frame, left where it is: control frames are read and passed over, nobody keeps them.
    ///
    /// # Errors
    /// If its head is impossible or over the limit.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if !self.pieces.is_empty() {
            let Some((_, missing)) = self.missing()? else {
                return Ok(None);
            };
            let mut whole = BytesMut::from(&self.join(missing)[..]);
            whole.extend_from_slice(&self.arrived);
            self.arrived = whole;
        }
        Ok(head(&self.arrived, self.limit)?.and_then(|head| self.arrived.get(..head.total)))
    }

    /// Passes over `count` bytes, as many as [`peek`](Self::peek) showed.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.arrived.advance(count);
    }

    /// Whether what has arrived begins with no frame: taking will say why.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.pieces.is_empty() && head(&self.arrived, self.limit).is_err()
    }

    /// Whether nothing is left of what has arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arrived.is_empty() && self.pieces.is_empty()
    }

    /// Whether what has arrived is a part of one frame, and no whole one was left lying before it.
    fn begins_unfinished(&self) -> bool {
        matches!(head(&self.arrived, usize::MAX), Ok(Some(head)) if head.total > self.arrived.len())
    }

    /// The frame in pieces, and how many of the bytes behind them end it; `None` while some are still to come.
    fn missing(&self) -> Result<Option<(Head, usize)>, FrameError> {
        let Some(head) = head(&self.pieces[0], self.limit)? else {
            return Ok(None);
        };
        let missing = head.total.saturating_sub(self.pieces_bytes);
        Ok((missing <= self.arrived.len()).then_some((head, missing)))
    }

    /// The pieces and the first `end` bytes behind them, as one.
    fn join(&mut self, end: usize) -> Bytes {
        let mut whole = BytesMut::with_capacity(std::mem::take(&mut self.pieces_bytes) + end);
        for piece in std::mem::take(&mut self.pieces) {
            whole.extend_from_slice(&piece);
        }
        whole.extend_from_slice(&self.arrived[..end]);
        self.arrived.advance(end);
        whole.freeze()
    }

    /// Bytes held.
    pub(crate) fn held(&self) -> usize {
        self.pieces_bytes + self.arrived.len()
    }

    /// Whether what is held begins with a frame longer than one piece.
    pub(crate) fn is_in_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// The frame that ends with what is held is whole, and has `total` bytes: its head said that more would come.
    pub(crate) fn end_open(&mut self, total: usize) {
        let length = ((total - 4) as u32).to_le_bytes();
        let at = self.held() - total;
        let head = match at.checked_sub(self.pieces_bytes) {
            Some(at) => &mut self.arrived[at..at + 4],
            None => &mut self.pieces[0][at..at + 4],
        };
        head.copy_from_slice(&length);
    }

    /// Whether a part of a frame is waiting for its rest.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        !self.arrived.is_empty() || !self.pieces.is_empty()
    }
}
