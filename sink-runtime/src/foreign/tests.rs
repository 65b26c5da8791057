//! Foreign framings against encoders written by hand, however writes and reads cut the stream. A failure names its seed;
//! `SINKS_SEEDS` sets how many are run.

use super::*;
use crate::clock::{Chance, SplitMix};

const FRAMINGS: [Framing; 4] = [Framing::U32Be, Framing::U32Le, Framing::Lines, Framing::Raw];

fn seeds() -> u64 {
    std::env::var("SINKS_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(40)
}

fn below(dice: &SplitMix, most: u64) -> usize {
    (dice.next() % most) as usize
}

/// Messages of many lengths, without line breaks; some are long enough to be written from where they are, or to arrive in pieces.
fn messages(dice: &SplitMix) -> Vec<Vec<u8>> {
    let count = 1 + below(dice, 12);
    let lengths = [0, 1, 2, 3, 17, 300, 5_000, AROUND, 40_000, 150_000];
    let any = move || {
        let length = lengths[below(dice, lengths.len() as u64)];
        let byte = dice.next() as u8;
        let bytes = (0..length).map(|at| byte.wrapping_add(at as u8));
        bytes
            .map(|byte| {
                if matches!(byte, b'\n' | b'\r') {
                    b'x'
                } else {
                    byte
                }
            })
            .collect()
    };
    (0..count).map(|_| any()).collect()
}

fn by_hand(framing: Framing, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for message in messages {
        match framing {
            Framing::U32Be => out.extend_from_slice(&(message.len() as u32).to_be_bytes()),
            Framing::U32Le => out.extend_from_slice(&(message.len() as u32).to_le_bytes()),
            _ => {}
        }
        out.extend_from_slice(message);
        if framing == Framing::Lines {
            out.push(b'\n');
        }
    }
    out
}

/// Our frames of these messages, some with what a composite and metadata add; the last one's payload lies behind, if so asked.
fn ours(messages: &[Vec<u8>], dice: &SplitMix) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        let at = out.len();
        let flags = (dice.next() as u8) & (frame::FLAG_IDENTITY | frame::FLAG_METADATA);
        frame::begin_data(&mut out, flags, number as u64 + 1);
        if flags & frame::FLAG_IDENTITY != 0 {
            out.extend_from_slice(&[7; 16]);
        }
        if flags & frame::FLAG_METADATA != 0 {
            out.extend_from_slice(&[3, 0, 9, 9, 9]);
        }
        out.extend_from_slice(message);
        frame::finish(&mut out, at, 0);
        if dice.next().is_multiple_of(3) {
            frame::heartbeat(&mut out, number as u64);
        }
    }
    out
}

#[test]
fn whatever_a_write_takes_the_peer_gets_its_own_framing_and_nothing_twice() {
    for seed in 0..seeds() {
        let dice = SplitMix::new(seed);
        for framing in FRAMINGS {
            let messages = messages(&dice);
            let (ours, expected) = (ours(&messages, &dice), by_hand(framing, &messages));
            let cut = ours.len() - messages.last().map_or(0, Vec::len);
            // Where nothing stands behind the last payload, it may as well be a piece of its own.
            let two = cut > 0 && by_hand(Framing::Raw, &messages).ends_with(&ours[cut..]);
            let mut outward = Outward::new(framing);
            let (mut used, mut wire) = (0, Vec::new());
            while used < ours.len() {
                let pieces = match two && used < cut {
                    true => [&ours[used..cut], &ours[cut..]],
                    false => [&ours[used..], &[][..]],
                };
                let Parts { head, body, end } = outward.parts(pieces).unwrap();
                let whole = [head, body, end].concat();
                let most = 1 + below(&dice, 100_000);
                let took = if dice.next().is_multiple_of(4) {
                    1
                } else {
                    most
                };
                let took = took.min(whole.len());
                wire.extend_from_slice(&whole[..took]);
                let now = outward.wrote(took);
                assert!(
                    now > 0 || took == 0,
                    "seed {seed}: {framing:?} stands still"
                );
                used += now;
            }
            assert!(wire == expected, "seed {seed}: {framing:?}");
            assert_eq!(used, ours.len(), "seed {seed}: {framing:?}");
        }
    }
}

#[test]
fn a_frame_counts_as_written_with_its_last_byte_and_not_before() {
    for framing in FRAMINGS {
        let mut ours = Vec::new();
        frame::begin_data(&mut ours, 0, 1);
        ours.extend_from_slice(b"four");
        frame::finish(&mut ours, 0, 0);
        let foreign = by_hand(framing, &[b"four".to_vec()]);
        let mut outward = Outward::new(framing);
        let mut used = 0;
        for sent in 1..=foreign.len() {
            outward.parts([&ours[used..], &[]]).unwrap();
            used += outward.wrote(1);
            assert_eq!(
                used == ours.len(),
                sent == foreign.len(),
                "{framing:?} {sent}"
            );
            assert!(used > 0, "{framing:?}: what is begun is torn");
        }
    }
}

#[test]
fn a_write_that_takes_nothing_changes_nothing() {
    let mut ours = Vec::new();
    frame::begin_data(&mut ours, 0, 1);
    ours.extend_from_slice(b"four");
    frame::finish(&mut ours, 0, 0);
    let mut outward = Outward::new(Framing::U32Be);
    outward.parts([&ours, &[]]).unwrap();
    let used = outward.wrote(6);
    for _ in 0..3 {
        let parts = outward.parts([&ours[used..], &[]]).unwrap();
        assert_eq!(parts.head, b"ur", "the write that followed found no room");
    }
}

/// Feeds `stream` in pieces as `dice` says; the payloads that come out, and how it ended.
fn read(
    framing: Framing,
    limit: usize,
    preamble: &[u8],
    stream: &[u8],
    dice: &SplitMix,
) -> (Vec<Vec<u8>>, Result<Inward, FrameError>) {
    let mut inward = Inward::new(framing, limit, preamble.to_vec());
    let mut assembler = Assembler::new(limit + frame::OVERHEAD);
    let (mut at, mut out) = (0, Vec::new());
    while at < stream.len() {
        let room = inward.room();
        let most = (stream.len() - at).min(room.capacity());
        let count = 1 + match dice.next() % 3 {
            0 => 0,
            1 => below(dice, most as u64).min(20),
            _ => below(dice, most as u64),
        };
        room.extend_from_slice(&stream[at..at + count]);
        at += count;
        while inward.has_more() {
            if let Err(error) = inward.cut(&mut assembler) {
                return (out, Err(error));
            }
            take(&mut assembler, &mut out);
        }
    }
    (out, Ok(inward))
}

fn take(assembler: &mut Assembler, out: &mut Vec<Vec<u8>>) {
    while let Some((chunk, _)) = assembler.take().unwrap() {
        let mut at = 0;
        while at < chunk.len() {
            let head = frame::head(&chunk[at..], usize::MAX).unwrap().unwrap();
            let whole = &chunk[at..at + head.total];
            let parts = frame::data(whole).unwrap();
            out.push(whole[parts.payload_at..].to_vec());
            assert_eq!(parts.sequence, out.len() as u64);
            at += head.total;
        }
    }
}

#[test]
fn however_the_stream_is_chunked_the_same_messages_come_out() {
    for seed in 0..seeds() {
        let dice = SplitMix::new(seed);
        for framing in FRAMINGS {
            let messages = messages(&dice);
            let preamble = [&b"HELLO 1\n"[..], &b""[..]][below(&dice, 2)];
            let mut stream = preamble.to_vec();
            stream.extend_from_slice(&by_hand(framing, &messages));
            let (out, end) = read(framing, 200_000, preamble, &stream, &dice);
            let end = end.unwrap_or_else(|error| panic!("seed {seed}: {framing:?}: {error}"));
            assert!(!end.is_midway(), "seed {seed}: {framing:?}");
            if framing == Framing::Raw {
                // Where one message ends nobody says: the bytes are the same, in pieces of a read.
                assert!(out.concat() == messages.concat(), "seed {seed}");
                assert!(
                    out.iter()
                        .all(|piece| !piece.is_empty() && piece.len() <= RAW_CHUNK)
                );
            } else {
                assert!(out == messages, "seed {seed}: {framing:?}");
            }
        }
    }
}

#[test]
fn a_stream_that_ends_within_a_message_is_midway_and_hands_up_what_was_whole() {
    for seed in 0..seeds() {
        let dice = SplitMix::new(seed);
        for framing in [Framing::U32Be, Framing::U32Le, Framing::Lines] {
            let messages = messages(&dice);
            let whole = by_hand(framing, &messages);
            let end = below(&dice, whole.len() as u64 + 1);
            let (out, inward) = read(framing, 200_000, b"", &whole[..end], &dice);
            let count = (0..=messages.len())
                .rfind(|count| by_hand(framing, &messages[..*count]).len() <= end)
                .unwrap();
            assert!(
                out == messages[..count],
                "seed {seed}: {framing:?} to {end}"
            );
            let between = by_hand(framing, &messages[..count]).len() == end;
            assert_eq!(
                inward.unwrap().is_midway(),
                !between,
                "seed {seed}: {framing:?}"
            );
        }
    }
}

#[test]
fn a_carriage_return_before_the_break_goes_and_any_other_stays() {
    let dice = SplitMix::new(1);
    for _ in 0..200 {
        let stream = b"a\r\n\r\nb\rc\r\r\n\n\r\r\n";
        let (out, _) = read(Framing::Lines, 5, b"", stream, &dice);
        let lines: [&[u8]; 5] = [b"a", b"", b"b\rc\r", b"", b"\r"];
        assert_eq!(out, lines);
    }
}

#[test]
fn a_message_of_the_limit_passes_and_one_byte_more_does_not() {
    let dice = SplitMix::new(1);
    for framing in [Framing::U32Be, Framing::U32Le, Framing::Lines] {
        for _ in 0..50 {
            let messages = [vec![b'a'; 3], vec![b'b'; 9], vec![b'c'; 10], vec![b'd'; 1]];
            let (out, end) = read(framing, 9, b"", &by_hand(framing, &messages), &dice);
            assert_eq!(out, messages[..2], "what came before is handed up");
            let said = end.unwrap_err().to_string();
            assert!(
                said.contains("max_frame_bytes") && said.contains('9'),
                "{said}"
            );
        }
    }
    let messages = [b"aaaaaaaaa\r".to_vec(), b"aaaaaaaaa\rb".to_vec()];
    let (out, end) = read(
        Framing::Lines,
        9,
        b"",
        &by_hand(Framing::Lines, &messages),
        &dice,
    );
    assert_eq!(out, [b"aaaaaaaaa"]);
    assert!(end.is_err(), "a carriage return within a line counts");
}

#[test]
fn a_length_in_the_other_byte_order_is_told() {
    let dice = SplitMix::new(1);
    let stream = 5u32.to_le_bytes();
    let (_, end) = read(Framing::U32Be, 1000, b"", &stream, &dice);
    assert_eq!(
        end.unwrap_err().to_string(),
        "length of 83886080 bytes, at most 1000 are accepted (max_frame_bytes); in the other byte order it is 5 (framing)"
    );
}

#[test]
fn another_preamble_is_refused_at_its_first_wrong_byte() {
    let dice = SplitMix::new(1);
    let (out, end) = read(Framing::Lines, 9, b"HELLO\n", b"HELP", &dice);
    assert!(out.is_empty());
    assert_eq!(end.unwrap_err(), FrameError::Preamble);
    let (_, end) = read(Framing::Lines, 9, b"HELLO\n", b"HEL", &dice);
    assert!(end.unwrap().is_midway(), "its rest is due");
}

#[test]
fn a_length_that_is_told_allocates_nothing_ahead_of_what_comes() {
    let mut inward = Inward::new(Framing::U32Be, 64 << 20, Vec::new());
    let mut assembler = Assembler::new((64 << 20) + frame::OVERHEAD);
    inward
        .room()
        .extend_from_slice(&(60u32 << 20).to_be_bytes());
    inward.cut(&mut assembler).unwrap();
    assert!(assembler.take().unwrap().is_none() && assembler.is_torn());
    assert!(assembler.room().capacity() <= READ_CHUNK);
}
