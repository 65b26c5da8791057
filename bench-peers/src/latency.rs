//! How long is the way of one message on an idle link? One message at a time, the paths in turn; one thread receives them all,
//! in the same turns, so that each wakes the same thread wherever the scheduler has put it.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use sink_runtime::Message;
use tokio::runtime::Runtime;

use crate::Peers;
use crate::ours::{self, ByHand, Generated};
use crate::peer::{Bind, Single};
use crate::service;
use crate::support::baseline::TokioStream;
use crate::support::flood::FRAMING;
use crate::support::reader::Place;
use crate::support::stats::{Spread, quantile};
use crate::support::table::{self, Target};
use crate::support::{self, BYTES};

service!(idle, Idle, Message);
service!(idle_source, IdleSource, Message);

/// What this question needs in the registry.
pub const SERVICES: [&str; 2] = ["idle", "idle_source"];

/// Messages before those that count; connections are made on the way.
const WARM: usize = 100;
/// Between two messages, whatever their paths.
const PAUSE: Duration = Duration::from_micros(300);
/// How often other tasks of the sender's runtime get their turn before the pause holds the thread: gRPC needs three turns to write.
const TURNS: usize = 10;
/// How long the last messages may take to arrive.
const END: Duration = Duration::from_secs(30);

const CASE: &str = "peers: idle, one way";
const SINK: &str = "sink";
const ZEROMQ: &str = "ZeroMQ, ipc";

struct Way {
    name: &'static str,
    sender: Box<dyn Single>,
    nanos: Vec<f64>,
}

pub fn run(runtime: &Runtime, directory: &Path, peers: &Peers) {
    let (mut ways, arrived) = connect(runtime, directory, peers);
    let messages = WARM + support::rounds(3000);
    let mut order = Order::of(ways.len());
    runtime.block_on(async {
        for _ in 0..messages {
            for &at in order.next() {
                let way = &mut ways[at];
                let mut message = [0; BYTES];
                message[..8].copy_from_slice(&support::nanos().to_le_bytes());
                way.sender.one(message).await;
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
                std::thread::sleep(PAUSE);
            }
        }
    });
    for _ in 0..messages * ways.len() {
        let (at, nanos) = arrived.recv_timeout(END).expect("every message");
        ways[at].nanos.push(nanos as f64);
    }
    for way in &mut ways {
        way.nanos.drain(..WARM);
    }
    report(&ways);
}

/// Turns in an order that both ends know and that differs each time: what a path leaves behind (threads that still spin, a core
/// in the wrong place) falls on all others alike, not on the one that always comes next.
struct Order {
    turns: Vec<usize>,
    state: u64,
}

impl Order {
    fn of(paths: usize) -> Self {
        Self {
            turns: (0..paths).collect(),
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// Shuffled once more, by Fisher and Yates with the numbers of an xorshift.
    fn next(&mut self) -> &[usize] {
        for last in (1..self.turns.len()).rev() {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            self.turns
                .swap(last, (self.state % (last as u64 + 1)) as usize);
        }
        &self.turns
    }
}

/// All paths; and, as they come, which of them a message took and how long.
fn connect(
    runtime: &Runtime,
    directory: &Path,
    peers: &Peers,
) -> (Vec<Way>, mpsc::Receiver<(usize, u64)>) {
    let mut ends = ours(runtime, directory);
    ends.extend(theirs(runtime, directory, peers));
    let (ways, binds) = ends
        .into_iter()
        .map(|(name, sender, bind)| {
            let nanos = Vec::new();
            (
                Way {
                    name,
                    sender,
                    nanos,
                },
                bind,
            )
        })
        .unzip();
    (ways, receive_in_turn(binds))
}

/// A path's name, its sender and what makes its receiver.
type End = (&'static str, Box<dyn Single>, Bind);

fn ours(runtime: &Runtime, directory: &Path) -> Vec<End> {
    let socket = |name: &str| directory.join(format!("{name}.sock"));
    let by_hand = ours::reader(socket("by_hand"), 0);
    let stream = runtime.block_on(TokioStream::connect(&Place::Unix(socket("by_hand"))));
    vec![
        ("tokio write_all", Box::new(ByHand(stream)), by_hand),
        (
            SINK,
            Box::new(Generated(idle())),
            ours::reader(socket("idle"), FRAMING),
        ),
        (
            "sink, received by a source (recv)",
            Box::new(Generated(idle_source())),
            ours::source("idle_source"),
        ),
    ]
}

fn theirs(runtime: &Runtime, directory: &Path, peers: &Peers) -> Vec<End> {
    let _ = (runtime, directory, peers);
    #[allow(unused_mut)]
    let mut ends: Vec<End> = Vec::new();
    #[cfg(feature = "zeromq")]
    {
        let (push, bind) = crate::zeromq::pipe(directory, "idle");
        ends.push((ZEROMQ, Box::new(push), bind));
    }
    #[cfg(feature = "grpc")]
    {
        let (stub, bind) = crate::grpc::connection(runtime, directory, "idle");
        ends.push(("gRPC stream, Unix socket", Box::new(stub), bind));
    }
    #[cfg(feature = "nats")]
    if let Some(server) = &peers.nats {
        let (publisher, bind) = server.subject(runtime, "idle", 1024);
        ends.push(("core NATS, by its server", Box::new(publisher), bind));
    }
    ends
}

/// One thread that makes every receiver, before this returns, and then serves them in turn.
fn receive_in_turn(binds: Vec<Bind>) -> mpsc::Receiver<(usize, u64)> {
    let (arrived, ways) = mpsc::channel();
    let (ready, begins) = mpsc::channel();
    std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            let mut receivers: Vec<_> = binds.into_iter().map(|bind| bind()).collect();
            ready.send(()).expect("a bench that waits");
            let mut order = Order::of(receivers.len());
            loop {
                for &at in order.next() {
                    let Some(sent) = receivers[at].next() else {
                        return;
                    };
                    if arrived.send((at, support::nanos() - sent)).is_err() {
                        return;
                    }
                }
            }
        })
        .expect("a thread");
    begins.recv().expect("receivers");
    ways
}

/// The ratio of medians, its spread from ten blocks of neighbouring messages, as in `benches/latency.rs`.
fn times(ours: &[f64], theirs: &[f64]) -> Spread {
    let block = ours.len().min(theirs.len()).div_ceil(10);
    let ratios = ours
        .chunks(block)
        .zip(theirs.chunks(block))
        .map(|(ours, theirs)| {
            Spread::of(ours.to_vec()).median / Spread::of(theirs.to_vec()).median
        });
    Spread::of(ratios.collect())
}

fn report(ways: &[Way]) {
    println!(
        "\n{CASE}\n{:<40} {:>10} {:>10} {:>10} {:>24}",
        "path", "p50 µs", "p90 µs", "p99 µs", "p50, times the first"
    );
    for way in ways {
        let mut sorted = way.nanos.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share| quantile(&sorted, share) / 1e3;
        let times = times(&way.nanos, &ways[0].nanos);
        println!(
            "{:<40} {:>10.1} {:>10.1} {:>10.1} {:>24}",
            way.name,
            at(0.5),
            at(0.9),
            at(0.99),
            times.show(2)
        );
        for (figure, share) in [
            ("p50_micros", 0.5),
            ("p90_micros", 0.9),
            ("p99_micros", 0.99),
        ] {
            table::note("peers", CASE, way.name, figure, table::flat(at(share)));
        }
        table::note("peers", CASE, way.name, "p50_times_the_first", times);
    }
    let find = |name| ways.iter().find(|way| way.name == name);
    if let (Some(sink), Some(zeromq)) = (find(SINK), find(ZEROMQ)) {
        table::verdict(
            "peers",
            &format!("idle, one way: p50 of the sink, times {ZEROMQ}"),
            times(&sink.nanos, &zeromq.nanos),
            3,
            Target::AtMost(0.25),
        );
    }
}
