//! The retention ring: chunks of whole frames by offset, bounded in messages and bytes. No sockets, no clock, no producers' state.

use std::collections::VecDeque;
use std::collections::vec_deque;
use std::sync::Arc;

use bytes::Bytes;
use sink_runtime::frame::{self, ProducerId};

#[cfg(test)]
mod tests;

/// Who sent a chunk and what its messages are; made once per producer, shared by all its chunks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Unique within the service, never given twice.
    pub(crate) number: u64,
    pub(crate) producer: ProducerId,
    pub(crate) message: Arc<MessageInfo>,
}

/// A message type as its producer names it; passed on, never understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageInfo {
    pub(crate) fingerprint: u64,
    pub(crate) name: Arc<str>,
    pub(crate) shape: Arc<str>,
}

/// Whole data frames of one producer, with dense offsets.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) producer: Arc<Identity>,
    pub(crate) first_offset: u64,
    pub(crate) frames: u32,
    /// Sequence of the first frame.
    pub(crate) first: u64,
    /// Sequence of the last frame; holes between the two are the producer's own.
    pub(crate) last: u64,
    pub(crate) data: Bytes,
}

impl Chunk {
    pub(crate) fn end_offset(&self) -> u64 {
        self.first_offset + u64::from(self.frames)
    }
}

/// Retained chunks, oldest first. Offsets begin at 1 and are never given twice.
#[derive(Debug)]
pub(crate) struct Ring {
    chunks: VecDeque<Chunk>,
    /// How many chunks were evicted: the absolute index of the front one.
    evicted: u64,
    next_offset: u64,
    messages: u64,
    bytes: u64,
    retain: u64,
    retain_bytes: u64,
}

/// A reader's place. It holds nothing: a reader that is overtaken finds a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The next offset to read.
    pub(crate) offset: u64,
    /// Absolute index of the chunk that holds it, or will.
    chunk: u64,
}

/// What a reader finds at its place.
#[derive(Debug)]
pub(crate) enum Next<'a> {
    /// Nothing yet.
    End,
    /// These offsets left the ring before they were read.
    Gap { from: u64, to: u64 },
    /// Chunks of one producer, one behind the other.
    Run(Run<'a>),
}

/// Consecutive chunks of one producer; the first may have been read in part.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) producer: &'a Arc<Identity>,
    pub(crate) first_offset: u64,
    pub(crate) frames: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) bytes: usize,
    head: Bytes,
    rest: vec_deque::Iter<'a, Chunk>,
}

impl Run<'_> {
    /// The frames, in order, shared.
    pub(crate) fn parts(self) -> impl Iterator<Item = Bytes> {
        std::iter::once(self.head).chain(self.rest.map(|chunk| chunk.data.clone()))
    }
}

// === impl Ring ===

impl Ring {
    /// Holds the last `retain` messages, in at most `retain_bytes`; never less than the newest chunk, which connected readers read from.
    pub(crate) fn new(retain: u32, retain_bytes: u64) -> Self {
        Self {
            chunks: VecDeque::new(),
            evicted: 0,
            next_offset: 1,
            messages: 0,
            bytes: 0,
            retain: u64::from(retain),
            retain_bytes,
        }
    }

    /// Appends whole frames; [`Self::evict`] then makes room.
    pub(crate) fn append(
        &mut self,
        producer: &Arc<Identity>,
        data: Bytes,
        frames: u32,
        first: u64,
        last: u64,
    ) {
        self.messages += u64::from(frames);
        self.bytes += data.len() as u64;
        self.chunks.push_back(Chunk {
            producer: Arc::clone(producer),
            first_offset: self.next_offset,
            frames,
            first,
            last,
            data,
        });
        self.next_offset += u64::from(frames);
    }

    /// Takes out the oldest chunk while the ring is over its bounds.
    ///
    /// Only whole chunks go, so up to one chunk more than `retain` messages stays readable; [`Self::retained`] hides the surplus.
    pub(crate) fn evict(&mut self) -> Option<Chunk> {
        let oldest = self.chunks.front()?;
        let surplus = self.messages - u64::from(oldest.frames) >= self.retain
            || self.bytes > self.retain_bytes;
        if !surplus || self.chunks.len() == 1 {
            return None;
        }
        self.messages -= u64::from(oldest.frames);
        self.bytes -= oldest.data.len() as u64;
        self.evicted += 1;
        self.chunks.pop_front()
    }

    /// The offset that the next message will have.
    pub(crate) fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// The offset of the oldest message that can still be read.
    pub(crate) fn oldest_offset(&self) -> u64 {
        self.next_offset - self.messages
    }

    /// The offset at which a consumer of everything retained begins: exactly the last `retain` messages, or what their bytes allow.
    pub(crate) fn retained(&self) -> u64 {
        self.next_offset - self.messages.min(self.retain)
    }

    /// Messages and bytes that can still be read.
    pub(crate) fn held(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }

    /// The place of an offset; one that lies ahead is brought back to the end.
    pub(crate) fn position(&self, offset: u64) -> Position {
        let offset = offset.clamp(1, self.next_offset);
        let before = self
            .chunks
            .partition_point(|chunk| chunk.end_offset() <= offset);
        Position {
            offset,
            chunk: self.evicted + before as u64,
        }
    }

    /// Reads on from `position` and moves it: a gap whole, or chunks of one producer until they hold `most` bytes.
    pub(crate) fn next(&self, position: &mut Position, most: usize) -> Next<'_> {
        let oldest = self.oldest_offset();
        if position.offset < oldest {
            let from = position.offset;
            *position = Position {
                offset: oldest,
                chunk: self.evicted,
            };
            return Next::Gap {
                from,
                to: oldest - 1,
            };
        }
        let at = (position.chunk - self.evicted) as usize;
        let Some(chunk) = self.chunks.get(at) else {
            return Next::End;
        };
        let read = (position.offset - chunk.first_offset) as usize;
        let head = if read == 0 {
            chunk.data.clone()
        } else {
            without_frames(&chunk.data, read)
        };
        let first = if read == 0 {
            chunk.first
        } else {
            sequence(&head)
        };
        let (mut bytes, mut last, mut end) = (head.len(), chunk.last, chunk.end_offset());
        let rest = self.chunks.range(at + 1..);
        let mut more = 0;
        for chunk in rest.clone() {
            if bytes >= most || chunk.producer.number != self.chunks[at].producer.number {
                break;
            }
            bytes += chunk.data.len();
            last = chunk.last;
            end = chunk.end_offset();
            more += 1;
        }
        let first_offset = position.offset;
        *position = Position {
            offset: end,
            chunk: position.chunk + 1 + more as u64,
        };
        let frames = (end - first_offset) as u32;
        Next::Run(Run {
            producer: &chunk.producer,
            first_offset,
            frames,
            first,
            last,
            bytes,
            head,
            rest: self.chunks.range(at + 1..at + 1 + more),
        })
    }
}

/// What is left of a chunk behind its first `count` frames, of which it holds more.
fn without_frames(data: &Bytes, count: usize) -> Bytes {
    let mut at = 0;
    for _ in 0..count {
        at += total(&data[at..]);
    }
    data.slice(at..)
}

fn total(frame: &[u8]) -> usize {
    frame::head(frame, usize::MAX)
        .ok()
        .flatten()
        .expect("chunks hold whole frames, checked as they arrived")
        .total
}

fn sequence(frame: &[u8]) -> u64 {
    frame::number(frame).expect("chunks hold whole data frames, checked as they arrived")
}
