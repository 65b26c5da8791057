//! Who a peer is and what it is told: hello, welcome, refusal and goodbye.

use std::sync::Arc;

use bytes::Buf;

use super::fields::{
    MAX_ACCEPTS, MAX_NAME, MAX_SHAPE, begins, byte, each_tag, int, long, put, put_begin, put_text,
    read_begin, tag, text,
};
use super::{FrameError, HEAD, Kind, MAGIC, VERSION, control, escape};

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
        hello.begin = read_begin(hello.begin, hello.first);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    /// Whatever a stranger writes is read as what we would write for it.
    #[test]
    fn a_begin_that_says_no_more_than_first_is_read_as_none() {
        for (begin, first, read) in [(3, 5, 3), (5, 5, 0), (9, 5, 0), (7, 0, 0)] {
            let mut bytes = Vec::new();
            control(&mut bytes, Kind::Hello, |out| {
                out.extend_from_slice(&MAGIC.to_le_bytes());
                out.extend_from_slice(&VERSION.to_le_bytes());
                put(out, tag::BEGIN, &u64::to_le_bytes(begin));
                put(out, tag::FIRST, &u64::to_le_bytes(first));
            });
            let hello = Hello::decode(&bytes).unwrap();
            assert_eq!(hello.begin, read);
            let mut again = Vec::new();
            hello.encode(&mut again);
            assert_eq!(Hello::decode(&again).unwrap(), hello);
        }
    }
}
