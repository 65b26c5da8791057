use super::*;

use std::collections::BTreeMap;

use bytes::Bytes;
use sink_runtime::clock::{Chance, SplitMix};
use sink_runtime::frame::{self, Hello, Kind, ProducerId};
use sink_runtime::transport::{Wire, memory};

/// What a consumer has learnt from one connection's bytes.
#[derive(Debug, Default)]
struct Reader {
    offset: u64,
    got: u64,
    gaps: u64,
    lost: u64,
    indices: BTreeMap<u32, u128>,
    /// Per producer: the lowest sequence not accounted for.
    next: BTreeMap<u128, u64>,
    seen: Vec<(u128, u64)>,
    /// Every gap is one frame.
    exact: bool,
}

impl Reader {
    fn read(&mut self, bytes: &[u8], all: &[(u128, u64)]) {
        let mut at = 0;
        let mut chunk: Option<(Chunk, u32)> = None;
        while at < bytes.len() {
            let head = frame::head(&bytes[at..], usize::MAX).unwrap().unwrap();
            let whole = &bytes[at..at + head.total];
            at += head.total;
            match Kind::from_u8(head.kind).unwrap() {
                Kind::Producer => {
                    let told = Producer::decode(whole).unwrap();
                    let id = *self.indices.entry(told.index).or_insert(told.producer.id);
                    assert_eq!(id, told.producer.id);
                    let next = self.next.entry(id).or_insert(told.first);
                    *next = told.first.max(*next);
                }
                Kind::Chunk => {
                    assert!(chunk.is_none());
                    chunk = Some((Chunk::decode(whole).unwrap(), 0));
                }
                Kind::Data => {
                    let (open, read) = chunk.as_mut().unwrap();
                    assert_eq!(open.first_offset + u64::from(*read), self.offset);
                    let id = self.indices[&open.producer];
                    let sequence = frame::data(whole).unwrap().sequence;
                    let next = self.next.get_mut(&id).unwrap();
                    assert!(
                        sequence >= *next,
                        "{sequence} of {id} after {next} was told"
                    );
                    *next = sequence + 1;
                    self.seen.push((id, sequence));
                    self.offset += 1;
                    self.got += 1;
                    *read += 1;
                    if *read == open.frames {
                        chunk = None;
                    }
                }
                Kind::Gap => {
                    let gap = RelayGap::decode(whole).unwrap();
                    assert_eq!(gap.from, self.offset);
                    // A frame of several that share a gap out names its producers' highest of the whole gap.
                    if self.exact {
                        let missing: BTreeMap<_, _> = all[gap.from as usize - 1..gap.to as usize]
                            .iter()
                            .copied()
                            .collect();
                        let named = gap
                            .producers
                            .iter()
                            .map(|(index, last)| (self.indices[index], *last));
                        assert_eq!(named.collect::<BTreeMap<_, _>>(), missing);
                    }
                    for (index, last) in gap.producers {
                        let next = self.next.get_mut(&self.indices[&index]).unwrap();
                        assert!(last >= *next, "nothing of it is missing");
                        *next = last + 1;
                    }
                    self.gaps += 1;
                    self.lost += gap.to - gap.from + 1;
                    self.offset = gap.to + 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(chunk.is_none(), "a chunk is gathered whole");
    }
}

fn hello(id: u128, first: u64) -> Hello {
    Hello {
        producer: ProducerId { id, epoch: 1 },
        first,
        ..Hello::default()
    }
}

struct World {
    ring: Ring,
    producers: Producers,
    /// Every message ever, by offset.
    all: Vec<(u128, u64)>,
}

impl World {
    fn new(retain: u32) -> Self {
        Self {
            ring: Ring::new(retain, 1 << 20),
            producers: Producers::default(),
            all: Vec::new(),
        }
    }

    fn append(&mut self, number: u64, sequences: &[u64]) {
        let mut out = Vec::new();
        for sequence in sequences {
            let start = out.len();
            frame::begin_data(&mut out, 0, *sequence);
            frame::finish(&mut out, start, 0);
        }
        let identity = std::sync::Arc::clone(&self.producers.get(number).unwrap().identity);
        let last = sequences[sequences.len() - 1];
        self.all.extend(
            sequences
                .iter()
                .map(|sequence| (identity.producer.id, *sequence)),
        );
        let offset = self.ring.next_offset();
        self.ring.append(
            &identity,
            Bytes::from(out),
            sequences.len() as u32,
            sequences[0],
            last,
        );
        self.producers.took(number, offset, last);
        while let Some(gone) = self.ring.evict() {
            self.producers.evicted(&gone);
        }
    }

    fn subscribe(&self, start: Start) -> (Subscription, Reader) {
        let subscription = Subscription::new(start, &self.ring, &self.producers, 1, Overtaken::Gap);
        let reader = Reader {
            offset: subscription.next_offset(),
            ..Reader::default()
        };
        (subscription, reader)
    }

    fn gather(&self, subscription: &mut Subscription, reader: &mut Reader) -> Gathered {
        let mut out = Outbox::default();
        let gathered = subscription.gather(&self.ring, &self.producers, &mut out);
        reader.read(&written(&mut out), &self.all);
        gathered
    }
}

fn written(out: &mut Outbox) -> Vec<u8> {
    let (near, far) = memory::pair(1 << 24);
    let count = out.bytes();
    out.write(&near).unwrap();
    assert!(out.is_empty());
    let mut read = bytes::BytesMut::with_capacity(count);
    while read.len() < count {
        read.reserve(count);
        far.try_read(&mut read).unwrap();
    }
    read.to_vec()
}

#[test]
fn a_producer_forgotten_and_met_again_is_announced_again() {
    let mut world = World::new(10);
    let (mut subscription, mut reader) = world.subscribe(Start::Now);
    for id in 1..=crate::producers::MAX_REMEMBERED as u128 + 1 {
        let number = world.producers.enter(&hello(id, 1));
        world.producers.leave(number);
        world.gather(&mut subscription, &mut reader);
    }
    let number = world.producers.enter(&hello(1, 1));
    world.append(number, &[1]);
    world.gather(&mut subscription, &mut reader);
    assert_eq!(reader.indices.len(), crate::producers::MAX_REMEMBERED + 2);
    assert_eq!(reader.got, 1);
}

#[test]
fn a_connection_names_a_bounded_number_of_producers() {
    let mut world = World::new(10);
    let (mut subscription, mut reader) = world.subscribe(Start::Now);
    for id in 1.. {
        let number = world.producers.enter(&hello(id, 1));
        world.producers.leave(number);
        match world.gather(&mut subscription, &mut reader) {
            Gathered::All => {}
            other => {
                assert_eq!(
                    (other, reader.indices.len()),
                    (Gathered::TooMany, MAX_ANNOUNCED + 1)
                );
                return;
            }
        }
    }
}

#[test]
fn a_relay_that_remembers_more_than_one_connection_may_be_told_of_serves_it_all_the_same() {
    let mut world = World::new(100_000);
    let many = MAX_ANNOUNCED as u128 + 1000;
    for id in 1..=many {
        let number = world.producers.enter(&hello(id, 1));
        world.append(number, &[1]);
        world.producers.leave(number);
    }
    let (epoch, offset) = (1, many as u64);
    let (mut subscription, mut reader) = world.subscribe(Start::After { epoch, offset });
    for round in 0..100 {
        let number = world.producers.enter(&hello(many + 1 + round, 1));
        world.append(number, &[1]);
        loop {
            let mut out = Outbox::default();
            let gathered = subscription.gather(&world.ring, &world.producers, &mut out);
            assert!(out.bytes() < BATCH_BYTES + 64 * 1024, "{}", out.bytes());
            reader.read(&written(&mut out), &world.all);
            match gathered {
                Gathered::All => break,
                Gathered::Full => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(reader.got, round as u64 + 1);
    }
    // Those of whom something became known last.
    assert!(reader.indices.values().any(|id| *id == many));
    assert!(!reader.indices.values().any(|id| *id == 1));
}

#[test]
fn a_gap_of_very_many_producers_is_several_frames_that_add_up() {
    let mut world = World::new(1);
    let (mut subscription, mut reader) = world.subscribe(Start::Now);
    for id in 1..=2500u128 {
        let number = world.producers.enter(&hello(id, 1));
        world.append(number, &[1, 2]);
    }
    assert_eq!(world.gather(&mut subscription, &mut reader), Gathered::All);
    assert_eq!((reader.gaps, reader.lost, reader.got), (3, 4998, 2));
    assert!(reader.next.values().all(|next| *next == 3));
}

/// However many producers a gap is about, what is gathered at once is a batch.
#[test]
fn a_gap_of_very_many_producers_is_gathered_in_batches() {
    for overtaken in [Overtaken::Gap, Overtaken::Disconnect] {
        let mut world = World::new(1);
        for id in 1..=20_000u128 {
            let number = world.producers.enter(&hello(id, 1));
            world.append(number, &[1, 2]);
        }
        let start = Start::After {
            epoch: 1,
            offset: 7,
        };
        let (mut subscription, mut reader) = world.subscribe(start);
        subscription.overtaken = overtaken;
        let mut batches = 0;
        loop {
            let mut out = Outbox::default();
            let gathered = subscription.gather(&world.ring, &world.producers, &mut out);
            assert!(out.bytes() < BATCH_BYTES + 128 * 1024, "{}", out.bytes());
            reader.read(&written(&mut out), &world.all);
            batches += 1;
            match gathered {
                Gathered::All => break,
                other => assert_eq!(other, Gathered::Full, "{overtaken:?}"),
            }
        }
        assert!(batches > 3, "{batches}");
        assert_eq!((reader.lost, reader.got), (39_998 - 7, 2));
        assert_eq!(subscription.counts.gaps, 1);
        assert!(reader.next.values().all(|next| *next == 3));
    }
}

/// Random producers with holes, random retention, consumers that come, lag, go and come back: nothing is handed out twice, and at the
/// end every message and every hole is accounted for, as a message, a gap's or a hole's.
#[test]
fn every_message_and_every_hole_is_accounted_for() {
    for seed in 0..400 {
        let chance = SplitMix::new(seed);
        let below = |bound: u64| chance.next() % bound;
        let mut world = World::new(1 + below(60) as u32);
        let mut given = [0u64; 4];
        let mut numbers: [Option<u64>; 4] = [None; 4];
        let (mut subscription, mut reader) = world.subscribe(Start::Retained);
        reader.exact = true;
        let began = reader.offset;
        for _ in 0..300 {
            let who = below(4) as usize;
            match (below(8), numbers[who]) {
                (0, Some(number)) => {
                    world.producers.leave(number);
                    numbers[who] = None;
                }
                (0, None) => {
                    given[who] += below(3);
                    numbers[who] = Some(
                        world
                            .producers
                            .enter(&hello(who as u128 + 1, given[who] + 1)),
                    );
                }
                (1..=4, Some(number)) => {
                    let batch: Vec<u64> = (0..=below(6))
                        .map(|_| {
                            given[who] += 1 + below(4) / 3;
                            given[who]
                        })
                        .collect();
                    world.append(number, &batch);
                }
                (5, Some(number)) => {
                    given[who] += below(2);
                    world.producers.counted(number, given[who]);
                }
                (6, _) => {
                    world.gather(&mut subscription, &mut reader);
                }
                (7, _) if below(3) == 0 => {
                    // It comes back with what it knows of sequences, and asks for what it has not had.
                    let (again, fresh) = world.subscribe(Start::After {
                        epoch: 1,
                        offset: reader.offset - 1,
                    });
                    assert_eq!(fresh.offset, reader.offset, "seed {seed}");
                    subscription = again;
                    reader.indices.clear();
                }
                _ => {}
            }
        }
        while world.gather(&mut subscription, &mut reader) != Gathered::All {}
        assert_eq!(reader.offset, world.ring.next_offset(), "seed {seed}");
        assert_eq!(
            reader.got + reader.lost,
            world.ring.next_offset() - began,
            "seed {seed}"
        );
        let mut had: Vec<_> = reader.seen.clone();
        had.sort_unstable();
        had.dedup();
        assert_eq!(had.len() as u64, reader.got, "seed {seed}: twice");
        for known in world.producers.all() {
            assert_eq!(
                reader.next.get(&known.identity.producer.id),
                Some(&known.expected),
                "seed {seed}"
            );
        }
        let in_order = reader.seen.iter().fold((0, true), |(at, sound), message| {
            let found = world.all[at..].iter().position(|other| other == message);
            (at + found.unwrap_or(0), sound && found.is_some())
        });
        assert!(in_order.1, "seed {seed}");
    }
}
