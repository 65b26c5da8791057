//! The bytes a link owes: whole frames in segments, what of them is written, what acked. Pure; the link's lock is around it.
//!
//! A frame is appended once and stays where it is until it is written (or, under at-least-once, acked): no second copy.
//! The write cursor lives here and not in the task that writes, so a task may be dropped at any await point.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;

use bytes::Bytes;

use crate::frame;
use crate::receipt::DropCause;

mod acks;
mod drops;
mod writing;

/// A segment is closed once it holds this much: large enough that one write carries hundreds of messages
/// (the ceiling measured for one buffered writer), small enough to stay in cache.
pub(crate) const SEGMENT: usize = if cfg!(all(shuttle, test)) { 4 } else { 64 } * 1024;
/// Payloads that exist already as `Bytes` and are at least this long are referenced, not copied.
/// Below, one copy costs less than a write of its own.
pub(crate) const AROUND: usize = 32 * 1024;
/// Up to this much is written under the lock; more is lent to the flusher, so that senders go on meanwhile.
const LEND: usize = 8 * 1024;
/// What grew beyond is not kept.
const TWO_SEGMENTS: usize = 2 * SEGMENT;
/// Emptied segments kept while the link is silent: one filling, one being written, one in between. While it is busy all are
/// kept, which is never more than were needed at once: a full buffer would else give pages back and fault them in again.
const SPARE: usize = 2;
/// Runs of sequences whose fate differs from the watermarks that are remembered; older ones answer `Unknown`.
/// A run costs some 50 bytes: the worst pattern still fits the link's allowance (PROMISES 5.4) twice over.
pub(crate) const HORIZON: usize = 2_048;
/// Room for the head of a referenced payload; metadata makes it grow.
const HEAD_ROOM: usize = 64;
/// Heads of referenced payloads kept for the next.
const HEADS: usize = 64;
/// Segments beyond these are a backlog: they give back what they reserved and did not use.
const BACKLOG: usize = 2;

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// A large payload behind `bytes`; the segment is then one frame.
    beyond: Bytes,
    /// First byte still owed: what lies before was acked or dropped.
    start: usize,
    /// First byte not written.
    written: usize,
    /// Start of the first frame not wholly written.
    mark: usize,
    /// Frames from `start` on.
    frames: u64,
    /// Of those, before `mark`.
    marked: u64,
    /// The highest sequence in it, once another segment follows.
    last: u64,
    /// Nothing is appended any more.
    sealed: bool,
}

impl Segment {
    fn len(&self) -> usize {
        self.bytes.len() + self.beyond.len()
    }

    /// Frames from `mark` on.
    fn unwritten(&self) -> u64 {
        self.frames - self.marked
    }
}

/// What is counted for each message: so little that a send hardly pays for it; all else follows from it.
#[derive(Debug, Default)]
struct Held {
    /// Frames from each segment's `start` on.
    messages: u64,
    /// Their bytes.
    bytes: u64,
    last_sequence: u64,
}

/// A segment's bytes while the flusher writes them without the lock.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) bytes: Vec<u8>,
    pub(crate) beyond: Bytes,
    pub(crate) written: usize,
}

impl Lent {
    /// What is left to write, as up to two slices.
    pub(crate) fn slices(&self) -> [IoSlice<'_>; 2] {
        two_slices(&self.bytes, &self.beyond, self.written)
    }
}

fn two_slices<'a>(bytes: &'a [u8], beyond: &'a Bytes, written: usize) -> [IoSlice<'a>; 2] {
    let head = bytes.get(written..).unwrap_or_default();
    let tail = beyond
        .get(written.saturating_sub(bytes.len())..)
        .unwrap_or_default();
    [IoSlice::new(head), IoSlice::new(tail)]
}

/// What the flusher is to write next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing.
    Nothing,
    /// A little: write it where it is, through [`Outbox::slices`].
    Here,
    /// A lot: write it without the lock and give it back through [`Outbox::restore`].
    Lent(Lent),
}

/// How a sequence fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Buffered,
    Written,
    Acked,
    Dropped(DropCause),
    Unknown,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
    /// Index of the first segment not wholly written.
    current: usize,
    /// Keep frames until they are acked.
    keep: bool,
    /// Acks are expected.
    acks: bool,
    /// The first sequence that the flusher's segment owes, while it holds one.
    lent: Option<u64>,
    /// Where a frame was begun and not yet kept: an encoder that panics must leave nothing behind.
    begun: Option<usize>,
    /// The next segment opened is only the head of a payload referenced.
    around: bool,
    spare: Vec<Vec<u8>>,
    /// Emptied heads of referenced payloads.
    heads: Vec<Vec<u8>>,
    held: Held,
    /// Written on some connection and not yet acked, where acks are due.
    in_flight: u64,
    done: u64,
    unknown: u64,
    written_to: u64,
    acked_to: u64,
    /// Runs of dropped sequences: the first, the last and why.
    skipped: BTreeMap<u64, (u64, DropCause)>,
    lost: VecDeque<(u64, u64)>,
    horizon: u64,
    /// An ack spoke of a frame that is half on the wire, or came while the flusher held a segment: what it frees goes once the rest
    /// is written, or the segment is back.
    ack_owed: bool,
    /// What that ack said, where nothing is kept for it: it counts as far as is written.
    acked_early: u64,
    /// What is half written when the connection goes is not sent again: nobody there could tell it from another message.
    restarts: bool,
}

impl Outbox {
    pub(crate) fn new(keep: bool, acks: bool) -> Self {
        Self {
            segments: VecDeque::new(),
            current: 0,
            keep,
            acks: acks || keep,
            lent: None,
            begun: None,
            around: false,
            spare: Vec::new(),
            heads: Vec::new(),
            held: Held::default(),
            in_flight: 0,
            done: 0,
            unknown: 0,
            written_to: 0,
            acked_to: 0,
            skipped: BTreeMap::new(),
            lost: VecDeque::new(),
            horizon: 0,
            ack_owed: false,
            acked_early: 0,
            restarts: false,
        }
    }

    /// For a peer of a foreign framing: after a lost connection it goes on with the next message (PROMISES 4.4).
    pub(crate) fn restarting(mut self) -> Self {
        self.restarts = true;
        self
    }

    // --- what is held

    #[inline]
    pub(crate) fn held_messages(&self) -> u64 {
        self.held.messages
    }

    #[inline]
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held.bytes
    }

    /// Frames not wholly written.
    #[inline]
    pub(crate) fn unwritten(&self) -> u64 {
        // What is written is held only where it is kept until acked.
        if self.keep {
            self.held.messages - self.in_flight
        } else {
            self.held.messages
        }
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    pub(crate) fn unknown(&self) -> u64 {
        self.unknown
    }

    pub(crate) fn written_to(&self) -> u64 {
        self.written_to
    }

    pub(crate) fn acked_to(&self) -> u64 {
        self.acked_to
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.held.last_sequence
    }

    /// Whether nothing is owed: all written and, where acks are due, acked or given up.
    pub(crate) fn is_settled(&self) -> bool {
        self.unwritten() == 0 && self.in_flight == 0
    }

    /// Whether everything up to `sequence` has got as far as it can: written, and acked where acks are due.
    pub(crate) fn is_done_to(&self, sequence: u64) -> bool {
        self.first_owed() > sequence && (self.in_flight == 0 || self.acked_to >= sequence)
    }

    /// The lowest sequence that will still be sent.
    pub(crate) fn first_owed(&self) -> u64 {
        for (index, segment) in self.segments.iter().enumerate() {
            if let (Some(first), true) = (self.lent, index == self.current) {
                return first;
            }
            let at = if self.keep {
                segment.start
            } else {
                segment.mark
            };
            if at < self.end_of(index) {
                return sequence_at(&segment.bytes, at);
            }
        }
        self.held.last_sequence + 1
    }

    /// The lowest sequence that was wholly on no connection: whoever never heard of this sink misses what was dropped from there on.
    pub(crate) fn first_unsent(&self) -> u64 {
        self.first_owed().min(self.written_to + 1)
    }

    /// The lowest sequence that is not wholly written on this connection, or one before it while the flusher holds a segment.
    pub(crate) fn first_unwritten(&self) -> u64 {
        for (index, segment) in self.segments.iter().enumerate().skip(self.current) {
            if let (Some(first), true) = (self.lent, index == self.current) {
                return first;
            }
            if segment.mark < self.end_of(index) {
                return sequence_at(&segment.bytes, segment.mark);
            }
        }
        self.held.last_sequence + 1
    }

    /// Where a segment's frames end: what an encoder that panicked left behind is none.
    fn end_of(&self, index: usize) -> usize {
        match self.begun {
            Some(begun) if index + 1 == self.segments.len() => begun,
            _ => self.segments[index].bytes.len(),
        }
    }

    // --- appending

    /// The sequence the next message gets.
    #[inline]
    pub(crate) fn next_sequence(&self) -> u64 {
        self.held.last_sequence + 1
    }

    /// Gives a sequence to a message that is dropped at once: the receiver sees the gap.
    pub(crate) fn skip(&mut self, cause: DropCause) -> u64 {
        self.held.last_sequence += 1;
        self.except(self.held.last_sequence, cause);
        self.held.last_sequence
    }

    /// Has `put` append a frame under the sequence it is told, and keeps it if `put` says so, given the bytes held beside it;
    /// else it stays begun, for [`keep_with`](Self::keep_with) or [`rescind`](Self::rescind).
    #[inline(always)]
    pub(crate) fn append(&mut self, put: impl FnOnce(&mut Vec<u8>, u64, u64) -> bool) -> bool {
        self.rescind_begun();
        let segment = match self.segments.back_mut() {
            Some(last) if !last.sealed && last.bytes.len() < SEGMENT => last,
            _ => {
                self.open_segment();
                self.segments.back_mut().expect("a segment was opened")
            }
        };
        let at = segment.bytes.len();
        self.begun = Some(at);
        let sequence = self.held.last_sequence + 1;
        let keeps = put(&mut segment.bytes, sequence, self.held.bytes);
        if keeps {
            self.begun = None;
            segment.frames += 1;
            self.held.messages += 1;
            self.held.bytes += (segment.bytes.len() - at) as u64;
            self.held.last_sequence = sequence;
        }
        keeps
    }

    /// Keeps the frame that was begun last, with a payload behind it that is referenced instead of copied.
    pub(crate) fn keep_with(&mut self, beyond: Bytes) -> u64 {
        let at = self.begun.take().expect("a frame was begun");
        let segment = self.segments.back_mut().expect("a frame was begun in it");
        segment.frames += 1;
        self.held.messages += 1;
        self.held.bytes += (segment.bytes.len() - at + beyond.len()) as u64;
        self.held.last_sequence += 1;
        segment.beyond = beyond;
        segment.sealed = true;
        segment.last = self.held.last_sequence;
        self.held.last_sequence
    }

    /// The last `count` bytes of the frame that was begun.
    pub(crate) fn begun_tail(&self, count: usize) -> &[u8] {
        let bytes = self.segments.back().map_or(&[][..], |last| &last.bytes);
        &bytes[bytes.len() - count..]
    }

    /// Keeps the frame that was begun after all.
    pub(crate) fn keep_begun(&mut self) {
        let at = self.begun.take().expect("a frame was begun");
        let segment = self.segments.back_mut().expect("a frame was begun in it");
        segment.frames += 1;
        self.held.messages += 1;
        self.held.bytes += (segment.bytes.len() - at) as u64;
        self.held.last_sequence += 1;
    }

    #[cold]
    fn open_segment(&mut self) {
        if let Some(last) = self.segments.back_mut() {
            last.sealed = true;
            last.last = self.held.last_sequence;
        }
        self.fit_last();
        let bytes = if std::mem::take(&mut self.around) {
            self.heads
                .pop()
                .unwrap_or_else(|| Vec::with_capacity(HEAD_ROOM))
        } else {
            self.spare
                .pop()
                .unwrap_or_else(|| Vec::with_capacity(SEGMENT + SEGMENT / 16))
        };
        self.segments.push_back(Segment {
            bytes,
            ..Segment::default()
        });
    }

    /// In a backlog a sealed segment gives back what it reserved and did not use: memory counts there, time does not.
    fn fit_last(&mut self) {
        let backlog = self.segments.len() > BACKLOG;
        if let Some(last) = self.segments.back_mut()
            && last.beyond.is_empty()
        {
            let unused = last.bytes.capacity() - last.bytes.len();
            if (backlog || unused > SEGMENT) && unused > last.bytes.len() / 64 {
                last.bytes.shrink_to_fit();
            }
        }
    }

    /// An encoder that panicked left half a frame: it goes before anyone takes it for a whole one.
    #[inline]
    fn rescind_begun(&mut self) {
        if self.begun.is_some() {
            self.rescind();
        }
    }

    /// Takes back the frame that was begun: it did not encode, or there is no room.
    #[cold]
    pub(crate) fn rescind(&mut self) {
        if let (Some(at), Some(segment)) = (self.begun.take(), self.segments.back_mut()) {
            segment.bytes.truncate(at);
        }
    }

    /// Closes the tail so that the next frame opens a segment of its own: before a referenced payload.
    pub(crate) fn seal(&mut self) {
        self.around |= self.close_tail();
    }

    /// Closes the tail: what comes later is in no write with what is there. Whether there is anything.
    pub(crate) fn close_tail(&mut self) -> bool {
        self.rescind_begun();
        match self.segments.back_mut() {
            Some(segment) if !segment.bytes.is_empty() => {
                segment.sealed = true;
                true
            }
            _ => false,
        }
    }
}

/// A frame that was accepted and not delivered when its sink was closed.
#[derive(Debug)]
pub(crate) struct Undelivered {
    pub(crate) sequence: u64,
    pub(crate) frame: Vec<u8>,
    /// Bytes of it may have arrived.
    pub(crate) on_wire: bool,
}

/// Bytes of the frame that begins at `at`, or `None` at the end.
#[inline]
fn frame_at(segment: &Segment, at: usize) -> Option<usize> {
    let length = segment.bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*length) as usize + 4)
}

/// Bytes of payload of the frame of `total` bytes that begins at `at`.
fn payload_at(segment: &Segment, at: usize, total: usize) -> u64 {
    let parts = frame::data(&segment.bytes[at..]);
    parts.map_or(0, |parts| (total - parts.payload_at) as u64)
}

#[inline]
fn sequence_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at + frame::HEAD..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |eight| u64::from_le_bytes(*eight))
}

fn reset(segment: &mut Segment) {
    segment.bytes.clear();
    segment.start = 0;
    segment.written = 0;
    segment.mark = 0;
    segment.frames = 0;
    segment.marked = 0;
}

/// Removes one unwritten frame from the middle.
fn cut(segment: &mut Segment, at: usize, total: usize) {
    if segment.beyond.is_empty() {
        segment.bytes.drain(at..at + total);
    } else {
        segment.bytes.truncate(at);
        segment.beyond = Bytes::new();
    }
    segment.frames -= 1;
}

#[cfg(test)]
mod tests;
