//! How long is the way of one message on an idle link, and of one whose sender computes for 200 µs right after sending?
//! One message at a time, the paths in turn; one thread reads both, blocked in `read`.

use std::sync::{Mutex, PoisonError};
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

service!(idle, Idle, Message);

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
        1,
        [turn("raw", 0, false), turn("idle", FRAMING, true)],
    );
    service::compile(entry("idle", &places[1].endpoint(), None, ""));
    let runtime = support::current_thread();
    runtime.block_on(async {
        let mut stream = TokioStream::connect(&places[0]).await;
        idle().connect().await.expect("a reader");
        table::question(
            "one-way latency, 256 B, Unix socket, current-thread runtime, against tokio write_all",
        );
        for (case, busy, pause) in [
            ("idle", Duration::ZERO, Duration::from_micros(300)),
            (
                "the sender computes 200 µs after sending",
                Duration::from_micros(200),
                Duration::ZERO,
            ),
        ] {
            let messages = support::rounds(3000);
            for sent in 0..messages + 100 {
                if sent == 100 {
                    taken(&ways);
                }
                stream.write_all(&stamped()).await;
                rest(busy, pause).await;
                let _ = idle()
                    .send(Message::new(stamped().to_vec()))
                    .await
                    .expect("room");
                rest(busy, pause).await;
            }
            std::thread::sleep(Duration::from_millis(20));
            let [raw, sink] = taken(&ways);
            report(case, raw, sink);
        }
    });
}

fn taken(ways: &Mutex<[Vec<f64>; 2]>) -> [Vec<f64>; 2] {
    std::mem::take(&mut *ways.lock().unwrap_or_else(PoisonError::into_inner))
}

fn stamped() -> [u8; BYTES] {
    let mut message = [0; BYTES];
    message[..8].copy_from_slice(&support::nanos().to_le_bytes());
    message
}

/// Computes, then leaves the thread to others. A pause is not the runtime's timer: that rounds up to milliseconds.
async fn rest(busy: Duration, pause: Duration) {
    let until = Instant::now() + busy;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    tokio::task::yield_now().await;
    if !pause.is_zero() {
        std::thread::sleep(pause);
    }
}

/// The ratio of medians, its spread from ten blocks of neighbouring messages.
fn report(case: &str, raw: Vec<f64>, sink: Vec<f64>) {
    let block = raw.len().min(sink.len()).div_ceil(10);
    let ratios = raw
        .chunks(block)
        .zip(sink.chunks(block))
        .map(|(raw, sink)| Spread::of(sink.to_vec()).median / Spread::of(raw.to_vec()).median);
    let ratio = Spread::of(ratios.collect());
    println!(
        "\n{case}\n{:<30} {:>10} {:>10} {:>10}",
        "path", "p50 µs", "p90 µs", "p99 µs"
    );
    for (name, mut ways) in [("tokio write_all", raw), ("sink", sink)] {
        ways.sort_by(f64::total_cmp);
        let at = |share| quantile(&ways, share) / 1e3;
        println!(
            "{name:<30} {:>10.1} {:>10.1} {:>10.1}",
            at(0.5),
            at(0.9),
            at(0.99)
        );
        for (figure, share) in [
            ("p50_micros", 0.5),
            ("p90_micros", 0.9),
            ("p99_micros", 0.99),
        ] {
            table::note("latency", case, name, figure, table::flat(at(share)));
        }
    }
    let bound = if case == "idle" { 1.05 } else { 1.1 };
    table::verdict(
        "latency",
        &format!("{case}: p50, times tokio write_all"),
        ratio,
        3,
        Target::AtMost(bound),
    );
}
