//! The outbox against a model that is simple enough to be believed: random accepts, partial writes, acks, lost connections,
//! drops, withdrawals and lent segments. A failure names its seed; `SINKS_SEEDS` sets how many are run.

use std::collections::VecDeque;

use super::*;
use crate::clock::{Chance, SplitMix};

/// What the outbox ought to hold.
#[derive(Default)]
struct Model {
    keep: bool,
    acks: bool,
    /// The peer is of a foreign framing: what is torn is lost.
    restarts: bool,
    /// Accepted and not wholly written on this connection, oldest first.
    queue: VecDeque<(u64, Vec<u8>)>,
    /// Bytes of the front that are written.
    partial: usize,
    /// Written and kept until acked.
    kept: VecDeque<(u64, Vec<u8>)>,
    /// Written, not kept, an ack is due.
    flight: VecDeque<u64>,
    done: u64,
    unknown: Vec<u64>,
    dropped: Vec<(u64, DropCause)>,
    last: u64,
    highest_written: u64,
    acked_to: u64,
    accepted: u64,
    /// How many of `queue`'s front are in the flusher's hands.
    lent: usize,
}

impl Model {
    fn write(&mut self, mut bytes: &[u8], seed: u64) {
        while !bytes.is_empty() {
            let (sequence, frame) = self
                .queue
                .front()
                .unwrap_or_else(|| panic!("seed {seed}: bytes beyond what was accepted"));
            let rest = &frame[self.partial..];
            let count = rest.len().min(bytes.len());
            assert_eq!(
                &rest[..count],
                &bytes[..count],
                "seed {seed}: torn or wrong bytes"
            );
            self.partial += count;
            bytes = &bytes[count..];
            if self.partial == frame.len() {
                self.highest_written = self.highest_written.max(*sequence);
                let (sequence, frame) = self.queue.pop_front().unwrap();
                self.partial = 0;
                if self.keep {
                    self.kept.push_back((sequence, frame));
                } else if self.acks {
                    self.flight.push_back(sequence);
                } else {
                    self.done += 1;
                }
            }
        }
        self.ack(self.acked_to);
    }

    fn ack(&mut self, upto: u64) {
        self.acked_to = self.acked_to.max(upto);
        // What is kept until acked is let go of once the flusher has given its segment back.
        if self.keep && self.lent > 0 {
            return;
        }
        while self.kept.front().is_some_and(|(front, _)| *front <= upto) {
            self.kept.pop_front();
            self.done += 1;
        }
        while self.flight.front().is_some_and(|front| *front <= upto) {
            self.flight.pop_front();
            self.done += 1;
        }
        // A welcome may speak of frames that this connection has not carried yet.
        while self.keep
            && self.kept.is_empty()
            && self.partial == 0
            && self.queue.front().is_some_and(|(front, _)| *front <= upto)
        {
            self.queue.pop_front();
            self.done += 1;
        }
    }

    fn rewind(&mut self) {
        if self.restarts && self.partial > 0 {
            let (torn, _) = self.queue.pop_front().expect("it is half written");
            self.unknown.push(torn);
            self.highest_written = self.highest_written.max(torn);
        }
        self.partial = 0;
        self.unknown.extend(self.flight.drain(..));
        while let Some(frame) = self.kept.pop_back() {
            self.queue.push_front(frame);
        }
        self.ack(self.acked_to);
    }

    /// The first of the queue that may still be taken out.
    fn first_free(&self) -> usize {
        self.lent.max(usize::from(self.partial > 0))
    }

    fn is_done_to(&self, upto: u64) -> bool {
        !self.queue.iter().any(|(sequence, _)| *sequence <= upto)
            && !self.kept.iter().any(|(sequence, _)| *sequence <= upto)
            && !self.flight.iter().any(|sequence| *sequence <= upto)
    }

    fn fate(&self, sequence: u64) -> Option<Fate> {
        if let Some((_, cause)) = self.dropped.iter().find(|(one, _)| *one == sequence) {
            return Some(Fate::Dropped(*cause));
        }
        if self.unknown.contains(&sequence) {
            return Some(Fate::Unknown);
        }
        if self.keep && sequence <= self.acked_to && sequence > 0 {
            return Some(Fate::Acked);
        }
        if self.flight.contains(&sequence) || self.kept.iter().any(|(one, _)| *one == sequence) {
            return Some(Fate::Written);
        }
        if self.queue.iter().any(|(one, _)| *one == sequence) {
            // Under at-least-once it may have been written on an earlier connection.
            return (sequence > self.highest_written).then_some(Fate::Buffered);
        }
        let highest = if self.keep || self.acks {
            Fate::Acked
        } else {
            Fate::Written
        };
        (sequence <= self.last && sequence > 0).then_some(highest)
    }
}

struct Run {
    seed: u64,
    dice: SplitMix,
    outbox: Outbox,
    model: Model,
}

impl Run {
    fn new(seed: u64) -> Self {
        let dice = SplitMix::new(seed);
        let (keep, acks, restarts) = match dice.next() % 4 {
            0 => (false, false, false),
            1 => (false, false, true),
            2 => (false, true, false),
            _ => (true, true, false),
        };
        let outbox = Outbox::new(keep, acks);
        Self {
            seed,
            dice,
            outbox: if restarts {
                outbox.restarting()
            } else {
                outbox
            },
            model: Model {
                keep,
                acks,
                restarts,
                ..Model::default()
            },
        }
    }

    fn below(&self, limit: u64) -> u64 {
        self.dice.next() % limit.max(1)
    }

    fn accept(&mut self) {
        let sequence = self.outbox.next_sequence();
        assert_eq!(sequence, self.model.last + 1, "seed {}", self.seed);
        let size = match self.below(16) {
            0 => 0,
            1 => 9 * 1024,
            2 => SEGMENT - frame::DATA_HEAD,
            3 => SEGMENT + 1,
            _ => self.below(300) as usize,
        };
        let payload = vec![sequence as u8; size];
        let shared = size >= AROUND && self.below(2) == 0 || self.below(64) == 0;
        if shared {
            self.outbox.seal();
        }
        // An empty payload beyond is no payload beyond: the runtime never makes one.
        let beyond = shared && !payload.is_empty();
        let mut whole = Vec::new();
        let at_once = self.below(4) > 0;
        self.outbox.append(|out, told, _| {
            assert_eq!(told, sequence);
            let at = out.len();
            frame::begin_data(out, 0, sequence);
            if !beyond {
                out.extend_from_slice(&payload);
            }
            frame::finish(out, at, if beyond { payload.len() } else { 0 });
            whole.extend_from_slice(&out[at..]);
            !beyond && at_once
        });
        if beyond {
            whole.extend_from_slice(&payload);
            self.outbox.keep_with(Bytes::from(payload));
        } else if !at_once {
            assert!(
                self.outbox.begun_tail(size) == payload,
                "seed {}",
                self.seed
            );
            self.outbox.keep_begun();
        }
        self.model.queue.push_back((sequence, whole));
        self.model.last = sequence;
        self.model.accepted += 1;
    }

    fn begin_and_rescind(&mut self) {
        self.outbox.append(|out, _, _| {
            frame::begin_data(out, 0, 77);
            out.extend_from_slice(b"an encoder that failed");
            false
        });
        if self.below(2) == 0 {
            self.outbox.rescind();
        }
    }

    fn write(&mut self) {
        match self.outbox.next() {
            Next::Nothing => assert!(
                self.model.queue.is_empty(),
                "seed {}: {} frames were forgotten",
                self.seed,
                self.model.queue.len()
            ),
            Next::Here => {
                let bytes = joined(&self.outbox.slices());
                self.write_some(&bytes, Outbox::wrote);
            }
            Next::Lent(lent) => {
                let bytes = joined(&lent.slices());
                let (mut covered, mut frames) = (0, 0);
                while covered < bytes.len() + self.model.partial {
                    covered += self.model.queue[frames].1.len();
                    frames += 1;
                }
                self.model.lent = frames;
                for _ in 0..self.below(4) {
                    self.meanwhile();
                    self.check();
                }
                self.model.lent = 0;
                self.write_some(&bytes, |outbox, count| outbox.restore(lent, count));
            }
        }
    }

    fn write_some(&mut self, bytes: &[u8], wrote: impl FnOnce(&mut Outbox, usize)) {
        let count = match self.below(4) {
            // What was acked meanwhile was written.
            _ if self.model.acked_to > self.model.highest_written => bytes.len(),
            0 => bytes.len(),
            1 => 0,
            2 => self.below(20).min(bytes.len() as u64) as usize,
            _ => self.below(bytes.len() as u64 + 1) as usize,
        };
        wrote(&mut self.outbox, count);
        self.model.write(&bytes[..count], self.seed);
    }

    /// What senders may do while the flusher holds a segment.
    fn meanwhile(&mut self) {
        match self.below(10) {
            // A sender that waits for its ack reads it itself.
            8 | 9 => self.ack(),
            0 => self.drop_oldest(),
            1 => self.withdraw(),
            2 => self.begin_and_rescind(),
            3 => self.skip(),
            _ => self.accept(),
        }
    }

    fn drop_oldest(&mut self) {
        if self.model.keep {
            return;
        }
        let free = self.model.first_free();
        let dropped = self.outbox.drop_oldest();
        assert_eq!(
            dropped,
            self.model.queue.len() > free,
            "seed {}: drop_oldest with {} queued, {free} untouchable",
            self.seed,
            self.model.queue.len()
        );
        if dropped {
            let (sequence, _) = self.model.queue.remove(free).unwrap();
            self.model.dropped.push((sequence, DropCause::Oldest));
        }
    }

    fn withdraw(&mut self) {
        let sequence = 1 + self.below(self.model.last + 2);
        let free = self.model.first_free();
        let at = self
            .model
            .queue
            .iter()
            .position(|(one, _)| *one == sequence)
            .filter(|at| *at >= free && sequence > self.model.highest_written);
        assert_eq!(
            self.outbox.withdraw(sequence),
            at.is_some(),
            "seed {}: withdraw {sequence}",
            self.seed
        );
        if let Some(at) = at {
            self.model.queue.remove(at);
            self.model.dropped.push((sequence, DropCause::Withdrawn));
        }
    }

    fn skip(&mut self) {
        let sequence = self.outbox.skip(DropCause::Newest);
        self.model.last += 1;
        assert_eq!(sequence, self.model.last);
        self.model.dropped.push((sequence, DropCause::Newest));
    }

    fn ack(&mut self) {
        if !self.model.acks {
            return;
        }
        // A sender may hear an ack before the flusher has noted what it wrote.
        let lent = self
            .model
            .lent
            .checked_sub(1)
            .map(|at| self.model.queue[at].0);
        let highest = self.model.highest_written.max(lent.unwrap_or(0));
        let upto = self.below(highest + 1);
        self.outbox.ack(upto);
        self.model.ack(upto);
    }

    fn rewind(&mut self) {
        self.outbox.rewind();
        self.model.rewind();
        // The welcome of the next connection tells what the last one brought.
        if self.model.keep && self.below(2) == 0 {
            self.ack();
        }
        if self.below(8) == 0 {
            self.drop_larger();
        }
    }

    /// What the welcome says of the longest message.
    fn drop_larger(&mut self) {
        let limit = [100, 9_000, SEGMENT][self.below(3) as usize];
        let fits = |frame: &Vec<u8>| frame.len() - frame::DATA_HEAD <= limit;
        let before = self.model.dropped.len();
        for (sequence, frame) in &self.model.queue {
            if fits(frame) {
                continue;
            }
            if *sequence <= self.model.highest_written {
                // It may have arrived on an earlier connection.
                self.model.unknown.push(*sequence);
            } else {
                let one = (*sequence, DropCause::TooLarge);
                self.model.dropped.push(one);
            }
        }
        self.model.queue.retain(|(_, frame)| fits(frame));
        assert_eq!(
            self.outbox.drop_larger(limit as u64),
            (self.model.dropped.len() - before) as u64,
            "seed {}",
            self.seed
        );
    }

    fn step(&mut self) {
        match self.below(40) {
            0..16 => self.accept(),
            16..30 => self.write(),
            30..34 => self.ack(),
            34 => self.rewind(),
            35 => self.skip(),
            36 => self.drop_oldest(),
            37..39 => self.withdraw(),
            _ => self.begin_and_rescind(),
        }
    }

    fn check(&self) {
        let (outbox, model, seed) = (&self.outbox, &self.model, self.seed);
        let held = model.queue.iter().chain(&model.kept);
        let bytes: usize = held.clone().map(|(_, frame)| frame.len()).sum();
        assert_eq!(outbox.unwritten(), model.queue.len() as u64, "seed {seed}");
        assert_eq!(outbox.held_messages(), held.count() as u64, "seed {seed}");
        assert_eq!(outbox.held_bytes(), bytes as u64, "seed {seed}");
        let flight = model.kept.len() + model.flight.len();
        assert_eq!(outbox.in_flight(), flight as u64, "seed {seed}: in flight");
        assert_eq!(outbox.done(), model.done, "seed {seed}: done");
        assert_eq!(
            outbox.unknown(),
            model.unknown.len() as u64,
            "seed {seed}: unknown"
        );
        let taken_out = model
            .dropped
            .iter()
            .filter(|(_, cause)| *cause != DropCause::Newest)
            .count() as u64;
        assert_eq!(
            model.accepted,
            taken_out + outbox.unwritten() + outbox.in_flight() + outbox.done() + outbox.unknown(),
            "seed {seed}: each message is in exactly one place"
        );
        let sequence = self.below(model.last + 2);
        if let Some(fate) = model.fate(sequence) {
            assert_eq!(
                outbox.fate(sequence),
                fate,
                "seed {seed}: fate of {sequence}"
            );
        }
        if outbox.is_done_to(sequence) {
            assert!(
                model.is_done_to(sequence),
                "seed {seed}: {sequence} is not done"
            );
        } else if model.queue.is_empty() && flight == 0 {
            assert!(sequence > model.last, "seed {seed}: {sequence} is done");
        }
    }

    /// Everything still owed goes out whole and in order, or is told when the sink is closed.
    fn end(mut self) {
        if self.below(2) == 0 {
            self.rewind();
            for _ in 0..100_000 {
                if self.model.queue.is_empty() {
                    break;
                }
                self.write();
            }
            if self.model.acks {
                self.outbox.ack(self.model.last);
                self.model.ack(self.model.last);
            }
            self.check();
            assert!(self.outbox.is_settled(), "seed {}", self.seed);
        }
        let expected: Vec<(u64, bool)> = self
            .model
            .kept
            .iter()
            .map(|(sequence, _)| (*sequence, true))
            .chain(
                self.model
                    .queue
                    .iter()
                    .enumerate()
                    .map(|(at, (sequence, _))| {
                        let torn = at == 0 && self.model.partial > 0;
                        (*sequence, torn || *sequence <= self.model.highest_written)
                    }),
            )
            .collect();
        let frames: Vec<Vec<u8>> = self
            .model
            .kept
            .iter()
            .chain(&self.model.queue)
            .map(|(_, frame)| frame.clone())
            .collect();
        let before = self.outbox.unknown();
        let flight = self.model.flight.len() as u64;
        let taken = self.outbox.take_undelivered();
        let told: Vec<(u64, bool)> = taken
            .iter()
            .map(|one| (one.sequence, one.on_wire))
            .collect();
        assert_eq!(told, expected, "seed {}: undelivered", self.seed);
        for (one, frame) in taken.iter().zip(&frames) {
            assert!(
                one.frame == *frame,
                "seed {}: frame {} differs",
                self.seed,
                one.sequence
            );
        }
        let on_wire = told.iter().filter(|(_, on_wire)| *on_wire).count() as u64;
        assert_eq!(
            self.outbox.unknown(),
            before + flight + on_wire,
            "seed {}: unknown at the end",
            self.seed
        );
        assert!(self.outbox.is_settled());
        assert_eq!(self.outbox.held_bytes(), 0);
    }
}

fn joined(slices: &[IoSlice<'_>; 2]) -> Vec<u8> {
    [&slices[0][..], &slices[1][..]].concat()
}

#[test]
fn an_outbox_does_what_its_model_does() {
    let seeds = std::env::var("SINKS_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(2_000u64);
    for seed in 0..seeds {
        let mut run = Run::new(seed);
        for _ in 0..120 {
            run.step();
            run.check();
        }
        run.end();
    }
}

/// A link that is never silent for long keeps no more memory than it needed at once, whatever sizes take turns.
#[test]
fn spare_memory_is_bounded_however_long_large_payloads_flow() {
    let mut outbox = Outbox::new(false, false);
    let payload = Bytes::from_static(&[0x5a; AROUND]);
    for round in 0..crate::rounds(1_000) {
        outbox.seal();
        outbox.append(|out, sequence, _| {
            let at = out.len();
            frame::begin_data(out, 0, sequence);
            frame::finish(out, at, payload.len());
            false
        });
        outbox.keep_with(payload.clone());
        outbox.append(|out, sequence, _| {
            let at = out.len();
            frame::begin_data(out, 0, sequence);
            out.extend_from_slice(&payload[..1_000]);
            frame::finish(out, at, 0);
            true
        });
        assert!(
            outbox.segments.back().unwrap().bytes.capacity() >= SEGMENT,
            "round {round}: a head was taken for a segment"
        );
        loop {
            match outbox.next() {
                Next::Nothing => break,
                Next::Here => {
                    let [head, tail] = outbox.slices();
                    let count = head.len() + tail.len();
                    outbox.wrote(count);
                }
                Next::Lent(lent) => {
                    let [head, tail] = lent.slices();
                    let count = head.len() + tail.len();
                    outbox.restore(lent, count);
                }
            }
        }
        assert!(
            outbox.spare.len() <= 2,
            "round {round}: {}",
            outbox.spare.len()
        );
        assert!(
            outbox.heads.len() <= 1,
            "round {round}: {}",
            outbox.heads.len()
        );
    }
}

/// A sender that hears its own ack may be faster than the flusher, who has not noted yet what it wrote.
#[test]
fn an_ack_that_comes_while_what_it_acks_is_lent_settles_it() {
    for keep in [false, true] {
        let mut outbox = Outbox::new(keep, true);
        for _ in 0..3 {
            outbox.append(|out, sequence, _| {
                let at = out.len();
                frame::begin_data(out, 0, sequence);
                out.resize(at + LEND, 0);
                frame::finish(out, at, 0);
                true
            });
        }
        let Next::Lent(lent) = outbox.next() else {
            panic!("so much is lent");
        };
        outbox.ack(2);
        assert_eq!(outbox.fate(3), Fate::Buffered);
        outbox.restore(lent, 2 * LEND);
        assert_eq!(
            (outbox.in_flight(), outbox.done(), outbox.acked_to()),
            (0, 2, 2),
            "keep: {keep}"
        );
        assert!(matches!(outbox.next(), Next::Here));
        outbox.wrote(LEND);
        assert_eq!((outbox.in_flight(), outbox.done()), (1, 2));
        outbox.ack(3);
        assert!(outbox.is_settled(), "keep: {keep}");
    }
}

/// What went out on an earlier connection and is too large for the one who welcomes now may have arrived: that is not said not to be sent.
#[test]
fn what_may_have_arrived_and_is_too_large_now_is_unknown() {
    let mut outbox = Outbox::new(true, true);
    for size in [100, 10, 100] {
        outbox.append(|out, sequence, _| {
            let at = out.len();
            frame::begin_data(out, 0, sequence);
            out.resize(at + frame::DATA_HEAD + size, 0);
            frame::finish(out, at, 0);
            true
        });
    }
    assert!(matches!(outbox.next(), Next::Here));
    outbox.wrote(2 * frame::DATA_HEAD + 110);
    outbox.rewind();
    assert_eq!(outbox.drop_larger(50), 1);
    assert_eq!((outbox.unknown(), outbox.unwritten()), (1, 1));
    assert_eq!(outbox.fate(1), Fate::Unknown);
    assert_eq!(outbox.fate(3), Fate::Dropped(DropCause::TooLarge));
}
