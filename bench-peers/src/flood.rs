//! How many messages a second go from one sender to one receiver, and what do they cost in CPU time at both ends?

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use sink_runtime::Message;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::Peers;
use crate::ours::{Blocking, Generated};
use crate::peer::{Bind, Flood, GRPC, NATS, ZEROMQ, beside};
use crate::service;
use crate::support::baseline::round;
use crate::support::flood::{COALESCED, FRAMING, RAW};
use crate::support::reader::{Peer, Place, ROUND, Reader, Stream, Take};
use crate::support::rounds::{Contender, Measure, Outcome, interleave};
use crate::support::table::{self, Target};
use crate::support::{self, BYTES};

service!(flooded, Flooded, Message);
service!(received, Received, Message);

/// What this question needs in the registry.
pub const SERVICES: [&str; 2] = ["flooded", "received"];
/// Messages a round for the peers: long enough that what begins and ends a round does not show.
const MESSAGES: u64 = 100_000;

const SINK: &str = "sink";
const WHOLE: &str = "sink, received by a source (recv_batch)";

/// One sender and one reading thread.
struct Lane<'a> {
    name: &'static str,
    sender: Box<dyn Flood + 'a>,
    reader: Reader,
    /// Messages in a round, and what the reader counts for each.
    messages: u64,
    unit: u64,
    /// CPU time of another process that carries the messages.
    beside: Box<dyn Fn() -> Duration + 'a>,
    sent: u64,
}

pub fn run(runtime: &Runtime, directory: &Path, peers: &Peers) {
    let mut paths = ours(runtime, directory);
    paths.extend(theirs(runtime, directory, peers));
    let mut contenders: Vec<_> = paths
        .iter_mut()
        .map(|path| Contender {
            name: path.name,
            run: Box::new(|| path.round(runtime)),
        })
        .collect();
    let outcomes = interleave(support::rounds(25), &mut contenders);
    table::floods(
        "peers",
        "flood, one sender; CPU of both ends and of a server",
        &outcomes,
    );
    println!("(allocations are Rust's: neither libzmq's nor a server's are counted)");
    verdicts(&outcomes);
}

fn ours(runtime: &Runtime, directory: &Path) -> Vec<Lane<'static>> {
    let raw = Reader::unix(directory, "raw", Peer::Raw);
    let stream = Stream::connect(&raw.place);
    let sink = Reader::unix(directory, "flooded", Peer::Sink);
    let source = Place::Unix(directory.join("received.sock"));
    let source = Reader::source::<Message>(source, "received", Take::Batch);
    runtime.block_on(async {
        use sink_runtime::MessageSink;
        flooded().connect().await.expect("a reader");
        received().connect().await.expect("a source");
    });
    let path = |name, sender, reader, messages, unit: usize| Lane {
        name,
        sender,
        reader,
        messages,
        unit: unit as u64,
        beside: Box::new(|| Duration::ZERO),
        sent: 0,
    };
    vec![
        path(
            "blocking write_all per message",
            Box::new(Blocking(stream)) as Box<dyn Flood>,
            raw,
            RAW,
            BYTES,
        ),
        path(
            SINK,
            Box::new(Generated(flooded())),
            sink,
            COALESCED,
            BYTES + FRAMING,
        ),
        path(WHOLE, Box::new(Generated(received())), source, COALESCED, 1),
    ]
}

fn theirs<'a>(runtime: &Runtime, directory: &Path, peers: &'a Peers) -> Vec<Lane<'a>> {
    let _ = (runtime, directory, peers);
    #[allow(unused_mut)]
    let mut paths = Vec::new();
    #[cfg(feature = "zeromq")]
    {
        let (push, bind) = crate::zeromq::pipe(directory, "flood");
        paths.push(Lane::to(ZEROMQ, Box::new(push), bind));
    }
    #[cfg(feature = "grpc")]
    {
        let (stub, bind) = crate::grpc::connection(runtime, directory, "flood");
        paths.push(Lane::to(GRPC, Box::new(stub), bind));
    }
    #[cfg(feature = "nats")]
    if let Some(server) = &peers.nats {
        let (publisher, bind) = server.subject(runtime, "flood", 2 * MESSAGES as usize);
        paths.push(Lane {
            beside: Box::new(|| server.cpu()),
            ..Lane::to(NATS, Box::new(publisher), bind)
        });
    }
    paths
}

impl<'a> Lane<'a> {
    /// A peer's, which counts messages; it is received on a thread of its own.
    fn to(name: &'static str, sender: Box<dyn Flood + 'a>, bind: Bind) -> Self {
        let (ready, begins) = mpsc::channel();
        let reader = Reader::counting(move |told| {
            let mut receiver = bind();
            ready.send(()).expect("a bench that waits");
            receiver.count(told);
        });
        begins.recv().expect("a receiver");
        Self {
            name,
            sender,
            reader,
            messages: MESSAGES,
            unit: 1,
            beside: Box::new(|| Duration::ZERO),
            sent: 0,
        }
    }

    /// One round; unlike the other benches' its CPU time is the whole process's, because some peers have threads at both ends.
    fn round(&mut self, runtime: &Runtime) -> Measure {
        let before = support::process_cpu() + (self.beside)();
        let measure = round(
            &self.reader,
            &mut self.sent,
            self.messages,
            self.unit,
            || {
                let flood = self.sender.flood(self.messages);
                runtime
                    .block_on(async { timeout(ROUND, flood).await.expect("an end of this flood") });
            },
        );
        Measure {
            cpu: support::process_cpu() + (self.beside)() - before,
            ..measure
        }
    }
}

/// Ratios within a round, to each peer that was there.
fn verdicts(outcomes: &[Outcome]) {
    let find = |name| outcomes.iter().find(|one| one.name == name);
    let (sink, whole) = (find(SINK), find(WHOLE));
    let (sink, whole) = sink.zip(whole).expect("they are always there");
    for (name, at_least) in [(ZEROMQ, Some(6.0)), (GRPC, Some(4.0)), (NATS, None)] {
        let Some(peer) = find(name) else { continue };
        let times = sink.times(peer);
        beside(
            "flood: rate, times the peer's",
            name,
            times,
            whole.times(peer),
        );
        if let Some(bound) = at_least {
            let what = format!("flood, one sender: sink, times {name}");
            table::verdict("peers", &what, times, 2, Target::AtLeast(bound));
        }
    }
}
