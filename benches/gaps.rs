//! How long is the way of a message whose sender pauses for 2 to 50 µs after each send? Between a flood, where messages coalesce,
//! and silence, where each is written at once, lies the sender that the choice between the two could hurt.
//! Blocks of both paths in turn; one thread reads both. Between two sends the sender computes, then lets its runtime have a turn.

use std::time::{Duration, Instant};

use sink_runtime::{Message, MessageSink};

mod support;
use support::BYTES;
use support::baseline::TokioStream;
use support::flood::FRAMING;
use support::reader::{Then, Turn, in_turn};
use support::service::{self, entry};
use support::stats::{Spread, quantile};
use support::table::{self, Target};

service!(paced, Paced, Message);

/// Messages in one block.
const BLOCK: usize = 100;
const GAPS: [u64; 6] = [2, 5, 10, 15, 20, 50];

fn main() {
    let directory = support::reader::directory();
    let turn = |name, framing, sink| Turn {
        name,
        wire: BYTES + framing,
        sink,
        then: Then::Time(framing),
    };
    let (places, ways) = in_turn(
        directory.path(),
        BLOCK,
        [turn("raw", 0, false), turn("paced", FRAMING, true)],
    );
    service::compile(entry("paced", &places[1].endpoint(), None, ""));
    table::question(
        "one-way latency of a paced sender, 256 B, Unix socket, against tokio write_all",
    );
    println!(
        "{:<12} {:>18} {:>18} {:>18} {:>18}",
        "gap µs", "write_all p50 µs", "sink p50 µs", "write_all p99 µs", "sink p99 µs"
    );
    support::current_thread().block_on(async {
        let mut stream = TokioStream::connect(&places[0]).await;
        paced().connect().await.expect("a reader");
        for gap in GAPS {
            let pause = Duration::from_micros(gap);
            for block in 0..support::rounds(60) + 3 {
                if block == 3 {
                    settle().await;
                    take(&ways);
                }
                for _ in 0..BLOCK {
                    stream.write_all(&stamped()).await;
                    rest(pause).await;
                }
                settle().await;
                for _ in 0..BLOCK {
                    let _ = paced()
                        .send(Message::new(stamped().to_vec()))
                        .await
                        .expect("room");
                    rest(pause).await;
                }
                paced().flush().await.expect("a reader");
                settle().await;
            }
            report(gap, take(&ways));
        }
    });
}

fn take(ways: &std::sync::Mutex<[Vec<f64>; 2]>) -> [Vec<f64>; 2] {
    std::mem::take(
        &mut *ways
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    )
}

fn stamped() -> [u8; BYTES] {
    let mut message = [0; BYTES];
    message[..8].copy_from_slice(&support::nanos().to_le_bytes());
    message
}

async fn rest(pause: Duration) {
    let until = Instant::now() + pause;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    tokio::task::yield_now().await;
}

/// Until the reader has read the block and is asleep again.
async fn settle() {
    tokio::task::yield_now().await;
    std::thread::sleep(Duration::from_millis(1));
}

/// The ratio of medians, its spread from the blocks.
fn report(gap: u64, [raw, sink]: [Vec<f64>; 2]) {
    let median = |ways: &[f64]| Spread::of(ways.to_vec()).median;
    let ratios = raw
        .chunks(BLOCK)
        .zip(sink.chunks(BLOCK))
        .map(|(raw, sink)| median(sink) / median(raw));
    let ratio = Spread::of(ratios.collect());
    let case = format!("a gap of {gap} µs");
    let at = |ways: &[f64], share| {
        let mut sorted = ways.to_vec();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, share) / 1e3
    };
    println!(
        "{gap:<12} {:>18.1} {:>18.1} {:>18.1} {:>18.1}",
        at(&raw, 0.5),
        at(&sink, 0.5),
        at(&raw, 0.99),
        at(&sink, 0.99)
    );
    for (path, ways) in [("tokio write_all", &raw), ("sink", &sink)] {
        table::note(
            "gaps",
            &case,
            path,
            "p50_micros",
            table::flat(at(ways, 0.5)),
        );
        table::note(
            "gaps",
            &case,
            path,
            "p99_micros",
            table::flat(at(ways, 0.99)),
        );
    }
    table::verdict(
        "gaps",
        &format!("{case}: p50, times tokio write_all"),
        ratio,
        3,
        Target::AtMost(1.1),
    );
}
