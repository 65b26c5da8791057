//! Foreign framings: how a peer that does not speak our protocol cuts its stream into messages. Pure; bytes in, bytes out.
//!
//! Inside this crate a message is always one of our frames ([`frame`]). On the way out [`Outward`] puts the payloads of such
//! frames into the peer's framing, on the way in [`Inward`] makes frames of what the peer sends, so that buffer, drops,
//! deadlines and backpressure are the same code whoever is at the other end.

use std::io::BufRead;

use bytes::{Buf, BytesMut};

pub(crate) use sink_schema::Framing;

use crate::frame::{self, Assembler, DATA_HEAD, FrameError, Kind, READ_CHUNK};

/// What is put together for one write; what is left over is put together again. With the last payload it fills 64 KiB.
const SCRATCH: usize = 48 * 1024;
/// Frames in one write: what is noted of each must not outgrow the link's allowance (PROMISES 5.4) where they are tiny.
const MOST_PUTS: usize = 1024;
/// Payloads of at least this length are written from where they are.
const AROUND: usize = 16 * 1024;
/// What is read at a time, and so the longest message under `raw`.
pub(crate) const RAW_CHUNK: usize = 16 * 1024;

/// Bytes of a message's length before it.
fn prefix_bytes(framing: Framing) -> usize {
    match framing {
        Framing::U32Be | Framing::U32Le => 4,
        Framing::Lines | Framing::Raw | Framing::Sink => 0,
    }
}

fn prefix(framing: Framing, length: usize) -> [u8; 4] {
    match framing {
        Framing::U32Be => (length as u32).to_be_bytes(),
        _ => (length as u32).to_le_bytes(),
    }
}

/// What ends a message.
fn suffix(framing: Framing) -> &'static [u8] {
    match framing {
        Framing::Lines => b"\n",
        _ => b"",
    }
}

/// Puts frames of ours into a foreign framing, as much at a time as one write takes.
#[derive(Debug)]
pub(crate) struct Outward {
    framing: Framing,
    /// The frame that is half on the wire.
    torn: Option<Put>,
    scratch: Vec<u8>,
    puts: Vec<Put>,
}

/// One frame of ours on its way out. What of it is half written counts as so many bytes of ours, which is never all of them:
/// our head is longer than any foreign one.
#[derive(Clone, Copy, Debug)]
struct Put {
    /// Bytes of our whole frame.
    total: usize,
    payload_at: usize,
    /// Bytes it comes to on the wire, and how many of them are there.
    foreign: usize,
    sent: usize,
}

/// What one write is made of.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) head: &'a [u8],
    /// A large payload, and what ends it.
    pub(crate) body: &'a [u8],
    pub(crate) end: &'static [u8],
}

// === impl Outward ===

impl Outward {
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            torn: None,
            scratch: Vec::new(),
            puts: Vec::new(),
        }
    }

    /// What of `ours`, whole frames in up to two pieces behind what [`wrote`](Self::wrote) used up, to write next.
    ///
    /// Control frames are nothing to a foreign peer: they come to no bytes, and are used up with the frames around them.
    pub(crate) fn parts<'a>(&'a mut self, ours: [&'a [u8]; 2]) -> Result<Parts<'a>, FrameError> {
        self.scratch.clear();
        self.puts.clear();
        let mut torn = self.torn;
        let mut at = 0;
        while self.scratch.len() < SCRATCH && self.puts.len() < MOST_PUTS {
            let put = match torn.take() {
                Some(torn) => torn,
                None => match begin(self.framing, ours[0].get(at..).unwrap_or_default())? {
                    Some(put) => put,
                    None => break,
                },
            };
            self.puts.push(put);
            let whole = put.total - put.payload_at;
            let prefix_bytes = prefix_bytes(self.framing);
            if put.sent < put.foreign.min(prefix_bytes) {
                let prefix = prefix(self.framing, whole);
                self.scratch.extend_from_slice(&prefix[put.sent..]);
            }
            let done = put.sent.saturating_sub(prefix_bytes).min(whole);
            let body = piece(ours, at + put.payload_at + done - put.sent, whole - done)?;
            let end = if put.sent < put.foreign {
                suffix(self.framing)
            } else {
                b""
            };
            if body.len() >= AROUND {
                let head = &self.scratch;
                return Ok(Parts { head, body, end });
            }
            self.scratch.extend_from_slice(body);
            self.scratch.extend_from_slice(end);
            at += put.total - put.sent;
        }
        Ok(Parts {
            head: &self.scratch,
            body: b"",
            end: b"",
        })
    }

    /// Notes that so many bytes of the last parts are on the wire; how many of ours that uses up.
    pub(crate) fn wrote(&mut self, mut count: usize) -> usize {
        let mut used = 0;
        self.torn = None;
        for put in &self.puts {
            let left = put.foreign - put.sent;
            if count < left {
                used += count;
                let sent = put.sent + count;
                self.torn = (sent > 0).then_some(Put { sent, ..*put });
                break;
            }
            count -= left;
            used += put.total - put.sent;
        }
        used
    }
}

/// The frame at the start of `bytes`; `None` at their end.
fn begin(framing: Framing, bytes: &[u8]) -> Result<Option<Put>, FrameError> {
    let Some(head) = frame::head(bytes, usize::MAX)? else {
        return Ok(None);
    };
    let is_data = head.kind == Kind::Data as u8;
    let payload_at = if is_data {
        frame::data(bytes)?.payload_at
    } else {
        head.total
    };
    let length = head.total - payload_at;
    let foreign = if is_data {
        prefix_bytes(framing) + length + suffix(framing).len()
    } else {
        0
    };
    Ok(Some(Put {
        total: head.total,
        payload_at,
        foreign,
        sent: 0,
    }))
}

/// `length` bytes from `at` of two pieces that follow one another; a payload lies in one of them.
fn piece(ours: [&[u8]; 2], at: usize, length: usize) -> Result<&[u8], FrameError> {
    let [first, second] = ours;
    let (piece, at) = match at.checked_sub(first.len()) {
        Some(at) if length > 0 => (second, at),
        _ => (first, at),
    };
    let found = if length == 0 {
        Some(&[][..])
    } else {
        piece.get(at..at + length)
    };
    found.ok_or(FrameError::Malformed("data"))
}

/// Makes frames of ours of what a foreign peer sends.
#[derive(Debug)]
pub(crate) struct Inward {
    framing: Framing,
    /// Longest message.
    limit: usize,
    /// What must come first and has not come yet.
    preamble: Vec<u8>,
    /// Read and not yet cut.
    raw: BytesMut,
    /// The number of the next message.
    sequence: u64,
    at: At,
    /// What broke the framing, behind what was cut.
    failed: Option<FrameError>,
}

/// Where in a message the stream stands.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Between two.
    Start,
    /// Within a length.
    Prefix { bytes: [u8; 4], count: usize },
    /// So many bytes of a payload are still to come.
    Payload { left: usize },
    /// So many bytes of a line have come, and a carriage return that may belong to its end.
    Line { length: usize, carriage: bool },
}

// === impl Inward ===

impl Inward {
    /// Messages of at most `limit` bytes, behind `preamble`.
    pub(crate) fn new(framing: Framing, limit: usize, preamble: Vec<u8>) -> Self {
        Self {
            framing,
            limit,
            preamble,
            raw: BytesMut::new(),
            sequence: 1,
            at: At::Start,
            failed: None,
        }
    }

    /// Where to read into, while there is no more to cut.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        self.raw.clear();
        self.raw.reserve(RAW_CHUNK);
        &mut self.raw
    }

    /// Whether there is more to cut, or to say.
    pub(crate) fn has_more(&self) -> bool {
        !self.raw.is_empty() || self.failed.is_some()
    }

    /// Whether a message, or the preamble, has begun and not ended.
    pub(crate) fn is_midway(&self) -> bool {
        !self.preamble.is_empty() || !matches!(self.at, At::Start)
    }

    /// Appends frames to `into`, which holds no whole one, a bounded number of bytes at a time: call it until there is no more.
    ///
    /// # Errors
    /// If the peer breaks the framing; told once what came before is cut and taken.
    pub(crate) fn cut(&mut self, into: &mut Assembler) -> Result<(), FrameError> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        if let Err(error) = self.cut_some(into) {
            self.raw.clear();
            self.failed = Some(error);
        }
        Ok(())
    }

    fn cut_some(&mut self, into: &mut Assembler) -> Result<(), FrameError> {
        self.match_preamble()?;
        let most = into.held() + READ_CHUNK / 2;
        while !self.raw.is_empty() && into.held() < most {
            match self.framing {
                Framing::Lines => self.cut_line(into)?,
                Framing::U32Be | Framing::U32Le => self.cut_counted(into)?,
                Framing::Raw | Framing::Sink => {
                    let length = self.raw.len().min(self.limit);
                    self.begin(into, length);
                    self.cut_payload(into, length);
                }
            }
            if into.is_in_pieces() && matches!(self.at, At::Start) {
                // A frame that is in pieces is taken before another may stand behind it.
                break;
            }
        }
        Ok(())
    }

    fn match_preamble(&mut self) -> Result<(), FrameError> {
        let count = self.preamble.len().min(self.raw.len());
        if self.raw[..count] != self.preamble[..count] {
            return Err(FrameError::Preamble);
        }
        self.preamble.drain(..count);
        self.raw.advance(count);
        Ok(())
    }

    fn cut_counted(&mut self, into: &mut Assembler) -> Result<(), FrameError> {
        let (mut bytes, had) = match self.at {
            At::Payload { left } => {
                self.cut_payload(into, left);
                return Ok(());
            }
            At::Prefix { bytes, count } => (bytes, count),
            At::Start | At::Line { .. } => ([0; 4], 0),
        };
        let count = self.raw.len().min(bytes.len() - had);
        bytes[had..had + count].copy_from_slice(&self.raw[..count]);
        self.raw.advance(count);
        let count = had + count;
        if count < bytes.len() {
            self.at = At::Prefix { bytes, count };
            return Ok(());
        }
        let length = self.checked_length(bytes)?;
        self.begin(into, length);
        self.cut_payload(into, length);
        Ok(())
    }

    fn checked_length(&self, prefix: [u8; 4]) -> Result<usize, FrameError> {
        let (length, swapped) = match self.framing {
            Framing::U32Be => (u32::from_be_bytes(prefix), u32::from_le_bytes(prefix)),
            _ => (u32::from_le_bytes(prefix), u32::from_be_bytes(prefix)),
        };
        if length as usize <= self.limit {
            return Ok(length as usize);
        }
        Err(FrameError::ForeignTooLong {
            length: u64::from(length),
            limit: self.limit as u64,
            swapped: (swapped as usize <= self.limit).then_some(swapped),
        })
    }

    /// Appends the head of a frame of so much payload.
    fn begin(&mut self, into: &mut Assembler, length: usize) {
        put(into, &frame::data_head(self.sequence, length));
        self.sequence += 1;
    }

    /// Appends what has come of a payload of which `left` bytes are to come.
    fn cut_payload(&mut self, into: &mut Assembler, left: usize) {
        let count = left.min(self.raw.len());
        put(into, &self.raw[..count]);
        self.raw.advance(count);
        self.at = match left - count {
            0 => At::Start,
            left => At::Payload { left },
        };
    }

    /// Appends what has come of a line. Its length is known at its end: until then its frame says that more is to come.
    fn cut_line(&mut self, into: &mut Assembler) -> Result<(), FrameError> {
        let (mut length, carriage) = match self.at {
            At::Line { length, carriage } => (length, carriage),
            _ => {
                self.begin(into, self.limit + 2);
                (0, false)
            }
        };
        let end = line_break(&self.raw);
        let come = end.unwrap_or(self.raw.len());
        if carriage && come > 0 {
            put(into, b"\r");
            length += 1;
        }
        let ends_with_carriage = come > 0 && self.raw[come - 1] == b'\r';
        let count = come - usize::from(ends_with_carriage);
        if length + count > self.limit {
            return Err(FrameError::LineTooLong {
                limit: self.limit as u64,
            });
        }
        put(into, &self.raw[..count]);
        length += count;
        self.raw.advance(come + usize::from(end.is_some()));
        if end.is_some() {
            into.end_open(DATA_HEAD + length);
            self.at = At::Start;
        } else {
            let carriage = ends_with_carriage || (carriage && come == 0);
            self.at = At::Line { length, carriage };
        }
        Ok(())
    }
}

/// Appends `bytes` as if they had been read.
fn put(into: &mut Assembler, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = into.room();
        let count = bytes.len().min(room.capacity() - room.len());
        room.extend_from_slice(&bytes[..count]);
        bytes = &bytes[count..];
    }
}

/// Where the first line break is: a payload under `lines` must have none.
pub(crate) fn line_break(bytes: &[u8]) -> Option<usize> {
    // The standard library's way to look at many bytes at a time.
    let mut rest = bytes;
    let count = rest.skip_until(b'\n').ok()?;
    bytes[..count].ends_with(b"\n").then(|| count - 1)
}

#[cfg(test)]
mod tests;
