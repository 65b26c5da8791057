//! How long is the way of one message on an idle link? One message at a time, a block of each path in turn; one thread receives
//! them all in the same turns, as in `benches/ping_pong.rs`.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use sink_runtime::Message;
use tokio::runtime::Runtime;

use crate::Peers;
use crate::ours::{self, ByHand, Generated};
use crate::peer::{Bind, GRPC, NATS, Receive, Single, ZEROMQ, beside};
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

/// Messages that a path sends before it is another's turn, and how many of them are left out: the scheduler's choice of cores is
/// then the one that this path by itself leads to, as on a link that nobody else disturbs. Turn by turn, what one path left behind
/// decided how long the next one took.
const BLOCK: usize = 50;
const SETTLE: usize = 10;
/// Blocks before those that count; connections are made on the way.
const WARM: usize = 2;
/// Between two messages, whatever their paths.
const PAUSE: Duration = Duration::from_micros(300);
/// How often other tasks of the sender's runtime get their turn before the pause holds the thread: gRPC needs three turns to write.
const TURNS: usize = 10;
/// How long the last messages may take to arrive.
const END: Duration = Duration::from_secs(30);

const CASE: &str = "idle, one way";
const SINK: &str = "sink";
const WHOLE: &str = "sink, received by a source (recv)";

struct Way {
    name: &'static str,
    sender: Box<dyn Single>,
    /// Nanoseconds of each message that counts, block by block.
    blocks: Vec<Vec<f64>>,
}

pub fn run(runtime: &Runtime, directory: &Path, peers: &Peers) {
    let (mut ways, arrived) = connect(runtime, directory, peers);
    let blocks = WARM + support::rounds(60);
    let mut order = Order::of(ways.len());
    runtime.block_on(async {
        for _ in 0..blocks {
            for &at in order.next() {
                for _ in 0..BLOCK {
                    ways[at].sender.one(stamped()).await;
                    for _ in 0..TURNS {
                        tokio::task::yield_now().await;
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    });
    for _ in 0..blocks * ways.len() {
        let (at, nanos) = arrived.recv_timeout(END).expect("every message");
        ways[at].blocks.push(nanos);
    }
    for way in &mut ways {
        way.blocks.drain(..WARM);
    }
    report(&ways);
}

fn stamped() -> [u8; BYTES] {
    let mut message = [0; BYTES];
    message[..8].copy_from_slice(&support::nanos().to_le_bytes());
    message
}

/// Turns in an order that both ends know and that differs each time: what a path leaves behind, such as threads that still spin,
/// falls on all others alike, not on the one that always comes next.
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

/// All paths; and, as they come, which of them a block took and how long its messages did.
fn connect(
    runtime: &Runtime,
    directory: &Path,
    peers: &Peers,
) -> (Vec<Way>, mpsc::Receiver<(usize, Vec<f64>)>) {
    let mut ends = ours(runtime, directory);
    ends.extend(theirs(runtime, directory, peers));
    let (ways, binds) = ends
        .into_iter()
        .map(|(name, sender, bind)| {
            let blocks = Vec::new();
            (
                Way {
                    name,
                    sender,
                    blocks,
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
            WHOLE,
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
        ends.push((GRPC, Box::new(stub), bind));
    }
    #[cfg(feature = "nats")]
    if let Some(server) = &peers.nats {
        let (publisher, bind) = server.subject(runtime, "idle", 1024);
        ends.push((NATS, Box::new(publisher), bind));
    }
    ends
}

/// One thread that makes every receiver, before this returns, and then serves them in turn.
fn receive_in_turn(binds: Vec<Bind>) -> mpsc::Receiver<(usize, Vec<f64>)> {
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
                    let Some(block) = block(&mut *receivers[at]) else {
                        return;
                    };
                    if arrived.send((at, block)).is_err() {
                        return;
                    }
                }
            }
        })
        .expect("a thread");
    begins.recv().expect("receivers");
    ways
}

/// How long the messages of one block took, those left out with which it began.
fn block(receiver: &mut dyn Receive) -> Option<Vec<f64>> {
    let mut nanos = Vec::with_capacity(BLOCK);
    for _ in 0..BLOCK {
        let sent = receiver.next()?;
        nanos.push((support::nanos() - sent) as f64);
    }
    nanos.drain(..SETTLE);
    Some(nanos)
}

/// The ratio of two blocks' medians in the same round.
fn times(ours: &Way, theirs: &Way) -> Spread {
    let median = |block: &Vec<f64>| Spread::of(block.clone()).median;
    let pairs = ours.blocks.iter().zip(&theirs.blocks);
    Spread::of(
        pairs
            .map(|(ours, theirs)| median(ours) / median(theirs))
            .collect(),
    )
}

fn report(ways: &[Way]) {
    println!(
        "\n{CASE}\n{:<40} {:>10} {:>10} {:>10} {:>24}",
        "path", "p50 µs", "p90 µs", "p99 µs", "p50, times the first"
    );
    for way in ways {
        let mut sorted = way.blocks.concat();
        sorted.sort_by(f64::total_cmp);
        let at = |share| quantile(&sorted, share) / 1e3;
        let times = times(way, &ways[0]);
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
    let (sink, whole) = find(SINK).zip(find(WHOLE)).expect("they are always there");
    for name in [ZEROMQ, GRPC, NATS] {
        let Some(peer) = find(name) else { continue };
        let ratio = times(sink, peer);
        beside(
            "idle, one way: p50, times the peer's",
            name,
            ratio,
            times(whole, peer),
        );
        if name == ZEROMQ {
            let what = format!("idle, one way: p50 of the sink, times {name}");
            table::verdict("peers", &what, ratio, 3, Target::AtMost(0.25));
        }
    }
}
