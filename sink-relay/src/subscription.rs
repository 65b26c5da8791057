//! What one consumer is sent: announcements, chunk heads, frames and gaps, in ring order. Offsets in, bytes out; no sockets.

use std::collections::HashMap;

use sink_runtime::frame::{Chunk, Producer, RelayGap, Start};

use crate::outbox::Outbox;
use crate::producers::{Producers, Remembered};
use crate::ring::{Identity, Next, Position, Ring, Run};
use crate::settings::Overtaken;

#[cfg(test)]
mod tests;

/// Bytes gathered for one write: enough to keep a socket busy while the next are gathered.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;
/// Producers that one connection may be told of; a consumer then has to reconnect, which begins a new numbering.
pub(crate) const MAX_ANNOUNCED: usize = 65_536;
/// Of these, how many are for producers that a new connection is told of though it reads nothing of them, those with the
/// latest news: with all, a relay that remembers more could serve no connection past its first batch.
const MAX_CAUGHT_UP: usize = MAX_ANNOUNCED / 2;

/// Left retention before the consumer asked for it.
const CAUSE_RETENTION: u8 = 1;
/// The consumer was too slow.
const CAUSE_SLOW: u8 = 2;

/// One consumer's place in the ring and what it was told.
#[derive(Debug)]
pub(crate) struct Subscription {
    position: Position,
    overtaken: Overtaken,
    announced: HashMap<u64, Told>,
    /// The last news of producers that was told; 0 before any.
    seen_news: u64,
    /// News up to here is told of announced producers only.
    passed_over: u64,
    cause: u8,
    /// It asked for what comes from now on, and the producers up to this number were there: what they dropped before is nothing to it.
    met: u64,
    pub(crate) counts: Counts,
}

/// What a consumer knows of one producer.
#[derive(Clone, Copy, Debug)]
struct Told {
    index: u32,
    /// The lowest sequence that it still waits for.
    next: u64,
}

/// What went to one consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) gaps: u64,
    pub(crate) dropped: u64,
}

/// How far gathering came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// A batch is full; there may be more.
    Full,
    /// Everything there is was gathered.
    All,
    /// The consumer was overtaken and its service does not put up with that.
    TooSlow,
    /// More producers came by than one connection may be told of.
    TooMany,
}

// === impl Subscription ===

impl Subscription {
    /// A consumer that begins at `start`, told by a relay of this epoch.
    pub(crate) fn new(
        start: Start,
        ring: &Ring,
        producers: &Producers,
        epoch: u64,
        overtaken: Overtaken,
    ) -> Self {
        let offset = match start {
            Start::Now => ring.next_offset(),
            Start::After {
                epoch: theirs,
                offset,
            } if theirs == epoch => offset.saturating_add(1),
            Start::After { .. } | Start::Retained => ring.retained(),
        };
        Self {
            position: ring.position(offset),
            overtaken,
            announced: HashMap::new(),
            seen_news: 0,
            passed_over: 0,
            cause: CAUSE_RETENTION,
            met: match start {
                Start::Now => producers.last_number(),
                _ => 0,
            },
            counts: Counts::default(),
        }
    }

    /// The first offset that a message or a gap will account for.
    pub(crate) fn next_offset(&self) -> u64 {
        self.position.offset
    }

    /// Gathers what is new, up to a batch.
    pub(crate) fn gather(
        &mut self,
        ring: &Ring,
        producers: &Producers,
        out: &mut Outbox,
    ) -> Gathered {
        loop {
            if self.announced.len() > MAX_ANNOUNCED {
                return Gathered::TooMany;
            }
            if out.bytes() >= BATCH_BYTES {
                return Gathered::Full;
            }
            match ring.next(&mut self.position, BATCH_BYTES - out.bytes()) {
                Next::Run(run) => self.run(run, producers, out),
                Next::Gap { .. }
                    if self.overtaken == Overtaken::Disconnect && self.cause == CAUSE_SLOW =>
                {
                    return Gathered::TooSlow;
                }
                Next::Gap { from, to } => {
                    if !self.gap(from, to, producers, out) {
                        // Of one gap the cause is one.
                        continue;
                    }
                }
                Next::End => return self.news(producers, out),
            }
            self.cause = CAUSE_SLOW;
        }
    }

    fn run(&mut self, run: Run<'_>, producers: &Producers, out: &mut Outbox) {
        let known = producers.get(run.producer.number);
        let begin = known.map_or(0, |known| known.begin_at(run.first_offset));
        let index = self.announce(run.producer, run.first, begin, out);
        self.told(run.producer.number, run.last);
        self.counts.messages += u64::from(run.frames);
        self.counts.bytes += run.bytes as u64;
        let head = Chunk {
            producer: index,
            frames: run.frames,
            first_offset: run.first_offset,
        };
        out.control(|frame| head.encode(frame));
        for part in run.parts() {
            out.share(part);
        }
    }

    /// Tells of missing offsets, and of every producer's highest sequence among them; with more producers than a frame can name,
    /// of as many offsets as those account for. Whether that was all.
    fn gap(&mut self, from: u64, to: u64, producers: &Producers, out: &mut Outbox) -> bool {
        let mut gap = RelayGap {
            from,
            to,
            cause: self.cause,
            producers: Vec::new(),
        };
        let mut lost = producers.lost_since(from);
        let mut named: Vec<_> = lost.by_ref().take(RelayGap::MAX_PRODUCERS).collect();
        if let Some((_, (offset, _))) = named.last() {
            gap.to = *offset;
        }
        let is_whole = lost.next().is_none();
        if is_whole {
            gap.to = to;
            self.counts.gaps += 1;
        } else {
            // What is left is found again.
            self.position.offset = gap.to + 1;
        }
        self.counts.dropped += gap.to - gap.from + 1;
        // Announced in the order in which they came.
        named.sort_unstable_by_key(|(known, _)| known.identity.number);
        for (known, (_, last)) in named {
            let begin = known.begin_at(from);
            let index = self.announce(&known.identity, known.begin, begin, out);
            self.told(known.identity.number, last);
            gap.producers.push((index, last));
        }
        out.control(|frame| gap.encode(frame));
        is_whole
    }

    /// With the ring read to its end: tells of producers, and of holes in what they sent, that no chunk told of.
    fn news(&mut self, producers: &Producers, out: &mut Outbox) -> Gathered {
        if self.seen_news == producers.last_news() {
            return Gathered::All;
        }
        if self.seen_news == 0 {
            let room = MAX_CAUGHT_UP.saturating_sub(self.announced.len());
            let mut unknown = producers
                .news_since(0)
                .rev()
                .filter(|known| !self.announced.contains_key(&known.identity.number));
            self.passed_over = unknown.nth(room).map_or(0, |known| known.news);
        }
        for known in producers.news_since(self.seen_news) {
            if out.bytes() >= BATCH_BYTES {
                return Gathered::Full;
            }
            self.seen_news = known.news;
            self.tell(known, out);
        }
        self.seen_news = producers.last_news();
        Gathered::All
    }

    fn tell(&mut self, known: &Remembered, out: &mut Outbox) {
        match self.announced.get_mut(&known.identity.number) {
            Some(told) if told.next >= known.expected => {}
            Some(told) => {
                told.next = known.expected;
                let index = told.index;
                out.control(|frame| {
                    announcement(index, &known.identity, known.expected, 0).encode(frame)
                });
            }
            None if known.news <= self.passed_over => {}
            None => {
                let begin = known.begin_at_end();
                self.announce(&known.identity, known.expected, begin, out);
            }
        }
    }

    /// The producer's index on this connection; the first time, it is announced.
    fn announce(&mut self, identity: &Identity, first: u64, begin: u64, out: &mut Outbox) -> u32 {
        if let Some(told) = self.announced.get(&identity.number) {
            return told.index;
        }
        let begin = if identity.number > self.met { begin } else { 0 };
        let index = self.announced.len() as u32;
        self.announced
            .insert(identity.number, Told { index, next: first });
        out.control(|frame| announcement(index, identity, first, begin).encode(frame));
        index
    }

    fn told(&mut self, number: u64, last: u64) {
        if let Some(told) = self.announced.get_mut(&number) {
            told.next = told.next.max(last.saturating_add(1));
        }
    }
}

fn announcement(index: u32, identity: &Identity, first: u64, begin: u64) -> Producer {
    Producer {
        index,
        producer: identity.producer,
        first,
        begin,
        fingerprint: identity.message.fingerprint,
        message: identity.message.name.clone(),
        shape: identity.message.shape.clone(),
    }
}
