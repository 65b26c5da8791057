use super::*;

use sink_runtime::clock::{Chance, SplitMix};

fn identity(number: u64) -> Arc<Identity> {
    Arc::new(Identity {
        number,
        producer: ProducerId {
            id: u128::from(number),
            epoch: 1,
        },
        message: Arc::default(),
    })
}

/// Data frames with the given sequences and payloads of `bytes` bytes.
fn frames(sequences: &[u64], bytes: usize) -> Bytes {
    let mut out = Vec::new();
    for sequence in sequences {
        let start = out.len();
        frame::begin_data(&mut out, 0, *sequence);
        out.resize(out.len() + bytes, 7);
        frame::finish(&mut out, start, 0);
    }
    out.into()
}

fn append(ring: &mut Ring, producer: &Arc<Identity>, sequences: &[u64], bytes: usize) {
    ring.append(
        producer,
        frames(sequences, bytes),
        sequences.len() as u32,
        sequences[0],
        sequences[sequences.len() - 1],
    );
    while ring.evict().is_some() {}
}

/// Sequences of the frames in `parts`.
fn sequences(parts: impl Iterator<Item = Bytes>) -> Vec<u64> {
    let mut found = Vec::new();
    for part in parts {
        let mut at = 0;
        while at < part.len() {
            found.push(sequence(&part[at..]));
            at += total(&part[at..]);
        }
    }
    found
}

#[test]
fn an_empty_ring_has_nothing_to_read() {
    let ring = Ring::new(10, 1000);
    let mut position = ring.position(1);
    assert!(matches!(ring.next(&mut position, 1000), Next::End));
    assert_eq!(
        (ring.next_offset(), ring.oldest_offset(), ring.retained()),
        (1, 1, 1)
    );
    assert_eq!(ring.position(99), position);
}

#[test]
fn chunks_of_one_producer_are_read_as_one_run() {
    let mut ring = Ring::new(100, 10_000);
    let (one, two) = (identity(1), identity(2));
    append(&mut ring, &one, &[1, 2], 1);
    append(&mut ring, &one, &[3], 1);
    append(&mut ring, &two, &[8, 10], 1);
    let mut position = ring.position(1);
    let Next::Run(run) = ring.next(&mut position, 10_000) else {
        panic!("a run")
    };
    assert_eq!(
        (run.first_offset, run.frames, run.first, run.last, run.bytes),
        (1, 3, 1, 3, 3 * 17)
    );
    assert_eq!(sequences(run.parts()), [1, 2, 3]);
    let Next::Run(run) = ring.next(&mut position, 10_000) else {
        panic!("a run")
    };
    assert_eq!(
        (
            run.producer.number,
            run.first_offset,
            run.frames,
            run.first,
            run.last
        ),
        (2, 4, 2, 8, 10)
    );
    assert!(matches!(ring.next(&mut position, 10_000), Next::End));
    append(&mut ring, &one, &[4], 1);
    let Next::Run(run) = ring.next(&mut position, 10_000) else {
        panic!("a run")
    };
    assert_eq!((run.first_offset, sequences(run.parts())), (6, vec![4]));
}

#[test]
fn a_run_ends_when_it_holds_enough_bytes() {
    let mut ring = Ring::new(100, 10_000);
    let one = identity(1);
    (1..=10).for_each(|sequence| append(&mut ring, &one, &[sequence], 100));
    let mut position = ring.position(1);
    let Next::Run(run) = ring.next(&mut position, 200) else {
        panic!("a run")
    };
    assert_eq!(sequences(run.parts()), [1, 2]);
    let Next::Run(run) = ring.next(&mut position, 0) else {
        panic!("a run")
    };
    assert_eq!(sequences(run.parts()), [3]);
}

#[test]
fn a_reader_may_begin_inside_a_chunk() {
    let mut ring = Ring::new(100, 10_000);
    append(&mut ring, &identity(1), &[5, 6, 9, 10], 3);
    let mut position = ring.position(3);
    let Next::Run(run) = ring.next(&mut position, 10_000) else {
        panic!("a run")
    };
    assert_eq!(
        (run.first_offset, run.frames, run.first, run.last),
        (3, 2, 9, 10)
    );
    assert_eq!(sequences(run.parts()), [9, 10]);
}

#[test]
fn eviction_keeps_at_least_retain_messages_and_at_most_retain_bytes() {
    let mut ring = Ring::new(5, 10_000);
    let one = identity(1);
    append(&mut ring, &one, &[1, 2, 3], 1);
    append(&mut ring, &one, &[4, 5, 6], 1);
    // Six are there; without the first chunk three would be, which is too few.
    assert_eq!((ring.oldest_offset(), ring.retained()), (1, 2));
    append(&mut ring, &one, &[7, 8], 1);
    assert_eq!(
        (ring.oldest_offset(), ring.retained(), ring.held().0),
        (4, 4, 5)
    );
    let mut narrow = Ring::new(5, 40);
    (1..=5).for_each(|sequence| append(&mut narrow, &one, &[sequence], 4));
    assert_eq!((narrow.oldest_offset(), narrow.held()), (4, (2, 40)));
}

#[test]
fn the_newest_chunk_stays_whatever_its_size() {
    let mut ring = Ring::new(0, 10);
    let one = identity(1);
    append(&mut ring, &one, &[1, 2], 100);
    assert_eq!((ring.held().0, ring.retained()), (2, 3));
    append(&mut ring, &one, &[3], 100);
    assert_eq!(ring.oldest_offset(), 3);
}

#[test]
fn an_overtaken_reader_finds_one_gap_and_goes_on() {
    let mut ring = Ring::new(2, 10_000);
    let one = identity(1);
    append(&mut ring, &one, &[1, 2], 1);
    let mut position = ring.position(2);
    (3..=9).for_each(|sequence| append(&mut ring, &one, &[sequence], 1));
    let Next::Gap { from, to } = ring.next(&mut position, 1000) else {
        panic!("a gap")
    };
    assert_eq!((from, to), (2, 7));
    let Next::Run(run) = ring.next(&mut position, 1000) else {
        panic!("a run")
    };
    assert_eq!((run.first_offset, sequences(run.parts())), (8, vec![8, 9]));
    // A position asked for behind the ring is a gap as well.
    let mut late = ring.position(0);
    assert!(matches!(
        ring.next(&mut late, 1000),
        Next::Gap { from: 1, to: 7 }
    ));
}

/// Random appends and readers, against a list of everything that ever was.
#[test]
fn readers_see_everything_once_in_order_or_as_a_gap() {
    for seed in 0..300 {
        let chance = SplitMix::new(seed);
        let below = |bound: u64| chance.next() % bound;
        let mut ring = Ring::new(below(40) as u32, 100 + below(3000));
        let producers: Vec<_> = (0..3).map(identity).collect();
        let mut last = [0u64; 3];
        let mut all: Vec<(u64, u64)> = Vec::new();
        let mut readers: Vec<Position> = Vec::new();
        for _ in 0..200 {
            match below(4) {
                0 | 1 => {
                    let who = below(3) as usize;
                    let batch: Vec<u64> = (0..=below(8))
                        .map(|_| {
                            last[who] += 1 + below(2);
                            last[who]
                        })
                        .collect();
                    all.extend(batch.iter().map(|sequence| (who as u64, *sequence)));
                    append(&mut ring, &producers[who], &batch, below(20) as usize);
                }
                2 if readers.len() < 5 => {
                    readers.push(ring.position(1 + below(all.len() as u64 + 3)))
                }
                _ => {
                    for position in &mut readers {
                        let before = position.offset;
                        match ring.next(position, below(400) as usize) {
                            Next::End => assert_eq!(before, all.len() as u64 + 1, "seed {seed}"),
                            Next::Gap { from, to } => {
                                assert_eq!(
                                    (from, to, position.offset),
                                    (before, ring.oldest_offset() - 1, to + 1),
                                    "seed {seed}"
                                );
                            }
                            Next::Run(run) => {
                                assert_eq!(run.first_offset, before, "seed {seed}");
                                let (number, frames, first, final_) =
                                    (run.producer.number, run.frames, run.first, run.last);
                                let expected = &all[before as usize - 1..][..frames as usize];
                                let found: Vec<_> = sequences(run.parts())
                                    .into_iter()
                                    .map(|sequence| (number, sequence))
                                    .collect();
                                assert_eq!(found, expected, "seed {seed}");
                                assert_eq!(
                                    (first, final_),
                                    (expected[0].1, expected[expected.len() - 1].1),
                                    "seed {seed}"
                                );
                                assert_eq!(
                                    position.offset,
                                    before + u64::from(frames),
                                    "seed {seed}"
                                );
                            }
                        }
                    }
                }
            }
            let (messages, bytes) = ring.held();
            assert!(
                ring.chunks.len() <= 1 || bytes <= ring.retain_bytes,
                "seed {seed}"
            );
            assert_eq!(ring.oldest_offset() + messages, ring.next_offset());
            assert_eq!(
                bytes,
                ring.chunks
                    .iter()
                    .map(|chunk| chunk.data.len() as u64)
                    .sum::<u64>()
            );
        }
    }
}
