//! What does one confirmed message cost against hand-written tokio on the same bytes? One at a time, each answered by the reader;
//! blocks of both in turn, the ratio of each pair of blocks, and an interval of the median without assumptions.

use std::time::Instant;

use sink_runtime::{Message, MessageSink, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

mod support;
use support::flood::FRAMING;
use support::reader::{Place, Then, Turn, in_turn};
use support::service::{self, entry};
use support::stats::{Spread, interval_of_median};
use support::table::{self, Target};
use support::{BYTES, PAYLOAD};

service!(confirmed, Confirmed, Message);

/// Round trips in one block.
const BLOCK: usize = 50;

fn main() {
    let wire = BYTES + FRAMING;
    let directory = support::reader::directory();
    let turn = |name, sink| Turn {
        name,
        wire,
        sink,
        then: Then::Answer,
    };
    let (places, _) = in_turn(
        directory.path(),
        BLOCK,
        [turn("by_hand", false), turn("confirmed", true)],
    );
    service::compile(entry(
        "confirmed",
        &places[1].endpoint(),
        None,
        "confirm = \"acked\"",
    ));
    let blocks = support::rounds(300);
    let (mut hand, mut ours) = (Vec::new(), Vec::new());
    support::current_thread().block_on(async {
        let Place::Unix(path) = &places[0] else {
            unreachable!("it is a Unix socket")
        };
        let mut stream = tokio::net::UnixStream::connect(path)
            .await
            .expect("a reader");
        confirmed().connect().await.expect("a reader");
        let mut sequence = 0;
        for block in 0..blocks + 5 {
            let begun = Instant::now();
            for _ in 0..BLOCK {
                sequence += 1;
                let mut out = Vec::with_capacity(wire);
                frame::begin_data(&mut out, 0, sequence);
                out.extend_from_slice(&PAYLOAD[..BYTES]);
                frame::finish(&mut out, 0, 0);
                stream.write_all(&out).await.expect("a reader");
                let mut answer = [0; 16];
                stream.read_exact(&mut answer).await.expect("an answer");
                assert_eq!(frame::number(&answer), Ok(sequence));
            }
            let half = Instant::now();
            for _ in 0..BLOCK {
                let _ = confirmed()
                    .send(Message::new(&PAYLOAD[..BYTES]))
                    .await
                    .expect("an answer");
            }
            if block >= 5 {
                hand.push((half - begun).as_secs_f64() * 1e6 / BLOCK as f64);
                ours.push(half.elapsed().as_secs_f64() * 1e6 / BLOCK as f64);
            }
        }
    });
    table::question(
        "one message at a time, confirmed by the reader, 256 B, against hand-written tokio on the same bytes",
    );
    let ratios: Vec<f64> = ours
        .iter()
        .zip(&hand)
        .map(|(ours, hand)| ours / hand)
        .collect();
    println!(
        "hand-written tokio: {} µs a round trip",
        Spread::of(hand.clone()).show(1)
    );
    println!(
        "confirming sink:    {} µs a round trip",
        Spread::of(ours.clone()).show(1)
    );
    table::note(
        "ping_pong",
        "round trip",
        "hand-written tokio",
        "micros",
        Spread::of(hand),
    );
    table::note(
        "ping_pong",
        "round trip",
        "confirming sink",
        "micros",
        Spread::of(ours),
    );
    let (low, median, high) = interval_of_median(ratios);
    println!("95 % interval of the median of {blocks} ratios: {low:.3}–{high:.3}");
    table::verdict(
        "ping_pong",
        "confirmed round trip, times hand-written tokio (95 % interval)",
        Spread { low, median, high },
        3,
        Target::AtMost(1.01),
    );
}
