//! The real link over a simulated network and clock: delays, held packets, partitions, crashes and restarts, all from a seed.
//!
//! A failure prints its seed; `SINKS_SIMULATIONS` and `SINKS_REPLAYS` set how many are run, once and twice, `SINKS_SEED` runs one.
#![allow(
    clippy::unwrap_used,
    clippy::await_holding_refcell_ref,
    reason = "a test that panics has failed; what is borrowed is let go before each await"
)]

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use sink_runtime::clock::{Chance, SplitMix, Surroundings, TokioClock};
use sink_runtime::frame::{self, Assembler, Hello, Kind, ProducerId, Welcome};
use sink_runtime::transport::{BoxFuture, Dial, Target, Wire};
use sink_runtime::{DynSink, Ledger, Message, MessageSink, Outcome, ServiceRegistry};
use tokio::io::{AsyncRead, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// A simulated TCP stream as a wire.
#[derive(Debug)]
struct SimulatedWire(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    stream: TcpStream,
    arrived: BytesMut,
    ended: bool,
}

impl SimulatedWire {
    fn new(stream: TcpStream) -> Self {
        Self(Mutex::new(Inner {
            stream,
            arrived: BytesMut::new(),
            ended: false,
        }))
    }
}

impl Wire for SimulatedWire {
    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        if inner.arrived.is_empty() {
            return if inner.ended {
                Ok(0)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
        }
        let arrived = std::mem::take(&mut inner.arrived);
        buffer.extend_from_slice(&arrived);
        Ok(arrived.len())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(1000);
        self.0.lock().unwrap().stream.try_write(&bytes[..count])
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock().unwrap();
        if !inner.arrived.is_empty() || inner.ended {
            return Poll::Ready(Ok(()));
        }
        let mut space = [0; 4096];
        let mut buffer = ReadBuf::new(&mut space);
        match Pin::new(&mut inner.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {}
        }
        if buffer.filled().is_empty() {
            inner.ended = true;
        }
        let filled = buffer.filled().to_vec();
        inner.arrived.extend_from_slice(&filled);
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = self.0.lock().unwrap();
        pin!(inner.stream.writable()).poll(cx)
    }
}

struct SimulatedDial;

impl Dial for SimulatedDial {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Arc<dyn Wire>>> {
        Box::pin(async {
            let stream = TcpStream::connect(("server", 9000)).await?;
            Ok(Arc::new(SimulatedWire::new(stream)) as Arc<dyn Wire>)
        })
    }
}

/// What the server has taken; survives its crashes.
#[derive(Default)]
struct Taken {
    highest: HashMap<ProducerId, u64>,
    /// The numbers taken, and when.
    numbers: Vec<(u64, Duration)>,
    /// Every sequence that arrived whole.
    seen: HashSet<(ProducerId, u64)>,
    torn: u64,
    /// What must not have been; a panic in a task of the simulation would go unheard.
    wrong: Vec<String>,
}

type Shared = Rc<RefCell<Taken>>;

const BEAT: Duration = Duration::from_millis(400);

async fn serve(taken: Shared) -> turmoil::Result {
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9000)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::task::spawn_local(converse(stream, Rc::clone(&taken)));
    }
}

async fn converse(stream: TcpStream, taken: Shared) {
    let wire = SimulatedWire::new(stream);
    let mut assembler = Assembler::new(1 << 20);
    let Some(first) = next_frame(&wire, &mut assembler).await else {
        return;
    };
    let hello = Hello::decode(&first).expect("our own hello");
    let acked = taken
        .borrow()
        .highest
        .get(&hello.producer)
        .copied()
        .unwrap_or(0);
    let mut out = Vec::new();
    Welcome {
        acked,
        max_frame_bytes: 1 << 20,
        heartbeat_ms: BEAT.as_millis() as u32,
        ..Welcome::default()
    }
    .encode(&mut out);
    if say(&wire, &out).await.is_err() {
        return;
    }
    let mut silent = 0;
    loop {
        let Ok(frame) = tokio::time::timeout(BEAT, next_frame(&wire, &mut assembler)).await else {
            silent += 1;
            if silent > sink_runtime::life::MISSED_HEARTBEATS {
                return;
            }
            let mut out = Vec::new();
            frame::heartbeat(&mut out, acked);
            if say(&wire, &out).await.is_err() {
                return;
            }
            continue;
        };
        silent = 0;
        let Some(frame) = frame else {
            taken.borrow_mut().torn += u64::from(assembler.is_torn());
            return;
        };
        if frame[4] != Kind::Data as u8 {
            continue;
        }
        let parts = frame::data(&frame).expect("our own frame");
        let mut all = taken.borrow_mut();
        let number = u64::from_le_bytes(frame[parts.payload_at..][..8].try_into().unwrap());
        let rest = &frame[parts.payload_at + 8..];
        if rest.iter().any(|byte| *byte != number as u8) {
            all.wrong
                .push(format!("{number}: a message of mixed bytes"));
        }
        let is_new = all.seen.insert((hello.producer, parts.sequence));
        if !is_new && !hello.resends {
            let sequence = parts.sequence;
            all.wrong
                .push(format!("an at-most-once link sent {sequence} again"));
        }
        // What a partition or a hold kept back on an older connection may come behind what was sent after it.
        let highest = all.highest.entry(hello.producer).or_default();
        if parts.sequence > *highest {
            *highest = parts.sequence;
            all.numbers.push((number, turmoil::elapsed()));
        }
        drop(all);
        if hello.acks {
            let mut out = Vec::new();
            frame::ack(&mut out, parts.sequence);
            if say(&wire, &out).await.is_err() {
                return;
            }
        }
    }
}

/// Writes all of it, however little fits at a time.
async fn say(wire: &SimulatedWire, mut out: &[u8]) -> io::Result<()> {
    poll_fn(|cx| {
        while !out.is_empty() {
            match wire.try_write(out) {
                Ok(count) => out = &out[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::task::ready!(wire.poll_writable(cx))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    })
    .await
}

async fn next_frame(wire: &SimulatedWire, assembler: &mut Assembler) -> Option<bytes::Bytes> {
    poll_fn(|cx| {
        loop {
            if let Some(frame) = assembler.take_one().expect("our own frames") {
                return Poll::Ready(Some(frame));
            }
            match wire.poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Ready(Ok(())) => {}
            }
            match wire.try_read(assembler.room()) {
                Ok(0) | Err(_) => return Poll::Ready(None),
                Ok(_) => {}
            }
        }
    })
    .await
}

/// What the producer saw.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sent {
    accepted: Vec<u64>,
    not_sent: Vec<u64>,
    unknown: Vec<u64>,
    ledger: Ledger,
    undelivered: usize,
    ended: bool,
    slowest: Duration,
}

const MESSAGES: u64 = 80;
const SEND_TIMEOUT: Duration = Duration::from_millis(1500);

async fn produce(sink: DynSink, seed: u64, sent: Rc<RefCell<Sent>>) -> turmoil::Result {
    let dice = SplitMix::new(seed);
    for number in 0..MESSAGES {
        let size = match dice.next() % 10 {
            0 => 20_000,
            1 => 3_000,
            _ => dice.next() % 200,
        };
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(8 + size as usize, number as u8);
        let before = tokio::time::Instant::now();
        let result = sink.send(Message::new(payload)).await;
        let mut sent = sent.borrow_mut();
        sent.slowest = sent.slowest.max(before.elapsed());
        match result {
            Ok(_) => sent.accepted.push(number),
            Err(error) if error.outcome() == Outcome::NotSent => sent.not_sent.push(number),
            Err(_) => sent.unknown.push(number),
        }
        drop(sent);
        assert!(sink.ledger().unwrap().is_balanced());
        tokio::time::sleep(Duration::from_millis(dice.next() % 60)).await;
    }
    let report = sink.close(Duration::from_secs(20)).await;
    let mut sent = sent.borrow_mut();
    sent.ledger = report.ledger;
    sent.undelivered = report.undelivered.len();
    sent.ended = true;
    Ok(())
}

/// All that a seed decides: two runs of one seed agree in every part of it.
#[derive(Debug, PartialEq)]
struct Outcomes {
    sent: Sent,
    taken: Vec<(u64, Duration)>,
    torn: u64,
    wrong: Vec<String>,
    /// What was done to the network, and when.
    faults: Vec<(&'static str, Duration)>,
}

/// Says which seed it was, however a run fails.
struct Named<'a>(u64, &'a str);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed with SINKS_SEED={} ({:?}); run it alone with that variable",
                self.0, self.1
            );
        }
    }
}

/// Faults end here; from then on everything must come right by itself.
const CALM: Duration = Duration::from_secs(4);

fn run(seed: u64, more: &str) -> Outcomes {
    let _named = Named(seed, more);
    let dice = SplitMix::new(seed ^ 0xFA17);
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(60))
        .tick_duration(Duration::from_millis(2))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(1 + dice.next() % 80))
        // Also the simulator's listen backlog, which must hold all attempts that a `hold` lets go at once.
        .tcp_capacity(32 + (dice.next() % 64) as usize)
        .build();
    let taken = Shared::default();
    let sent = Rc::<RefCell<Sent>>::default();
    sim.host("server", {
        let taken = Rc::clone(&taken);
        move || serve(Rc::clone(&taken))
    });
    let text = format!(
        "[services.orders]\ntype = \"direct\"\nendpoint = \"tcp://127.0.0.1:9000\"\nbuffer_size = 20\n\
         reconnect_delay_ms = 20\nreconnect_max_delay_ms = 300\nconnect_timeout_ms = 500\nheartbeat_ms = 400\n\
         send_timeout_ms = 1500\n{more}\n"
    );
    let registry = ServiceRegistry::from_toml(&text)
        .unwrap()
        .with_surroundings(Surroundings {
            clock: Arc::new(TokioClock),
            chance: Arc::new(SplitMix::new(seed)),
            dial: Arc::new(SimulatedDial),
        });
    let registry = Arc::new(registry);
    sim.client("producer", {
        let sent = Rc::clone(&sent);
        async move {
            let sink = registry.sink::<Message>("orders").unwrap();
            produce(sink, seed, sent).await
        }
    });
    let (mut down, mut calmed, mut next) = (false, false, Duration::ZERO);
    let mut faults = Vec::new();
    loop {
        if sim.elapsed() >= next && sim.elapsed() < CALM {
            next = sim.elapsed() + Duration::from_millis(dice.next() % 400);
            faults.push((inflict(&mut sim, dice.next() % 8, &mut down), sim.elapsed()));
        }
        if sim.elapsed() >= CALM && !calmed {
            calmed = true;
            sim.release("producer", "server");
            sim.repair("producer", "server");
            if down {
                sim.bounce("server");
            }
        }
        if sim
            .step()
            .unwrap_or_else(|error| panic!("seed {seed} {more:?}: {error}; {:?}", sent.borrow()))
        {
            break;
        }
    }
    let outcomes = Outcomes {
        sent: sent.borrow().clone(),
        taken: taken.borrow().numbers.clone(),
        torn: taken.borrow().torn,
        wrong: taken.borrow().wrong.clone(),
        faults,
    };
    check(seed, more, &outcomes);
    outcomes
}

/// Does one thing to the network or the server; its name.
fn inflict(sim: &mut turmoil::Sim<'_>, which: u64, down: &mut bool) -> &'static str {
    match which {
        0 => {
            sim.partition("producer", "server");
            "partition"
        }
        1 => {
            sim.partition_oneway("producer", "server");
            "partition there"
        }
        2 => {
            sim.partition_oneway("server", "producer");
            "partition back"
        }
        3 => {
            sim.hold("producer", "server");
            "hold"
        }
        4 => {
            sim.release("producer", "server");
            "release"
        }
        5 if !*down => {
            sim.crash("server");
            *down = true;
            "crash"
        }
        5 | 6 => {
            sim.bounce("server");
            *down = false;
            "bounce"
        }
        _ => {
            sim.repair("producer", "server");
            "repair"
        }
    }
}

fn check(seed: u64, more: &str, outcomes: &Outcomes) {
    let at = format!("seed {seed} {more:?}");
    let sent = &outcomes.sent;
    let taken: Vec<u64> = outcomes.taken.iter().map(|(number, _)| *number).collect();
    assert!(outcomes.wrong.is_empty(), "{at}: {:?}", outcomes.wrong);
    assert!(sent.ended, "{at}: it hangs");
    assert!(sent.ledger.is_balanced(), "{at}: {:?}", sent.ledger);
    assert!(
        sent.slowest < SEND_TIMEOUT + Duration::from_millis(100),
        "{at}: {:?}",
        sent.slowest
    );
    assert!(
        taken.is_sorted_by(|one, two| one < two),
        "{at}: out of order or doubled: {taken:?}"
    );
    for number in &sent.not_sent {
        assert!(
            !taken.contains(number),
            "{at}: {number} was given back and delivered"
        );
    }
    assert_eq!(
        sent.undelivered, 0,
        "{at}: all was calm, and it did not drain: {:?}",
        sent.ledger
    );
    let must_arrive = more.contains("at_least_once") || more.contains("acked");
    for number in sent.accepted.iter().filter(|_| must_arrive) {
        assert!(
            taken.contains(number),
            "{at}: {number} is lost: {:?}",
            sent.ledger
        );
    }
    if more.contains("at_least_once") {
        assert_eq!(sent.ledger.unknown, 0, "{at}");
        assert_eq!(sent.ledger.done as usize, taken.len(), "{at}");
    }
}

const KINDS: [&str; 7] = [
    "when_full = \"drop_oldest\"",
    "when_full = \"drop_newest\"",
    "",
    "delivery = \"at_least_once\"",
    "confirm = \"acked\"",
    "confirm = \"written\"",
    "delivery = \"at_least_once\"\nconfirm = \"acked\"",
];

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn nothing_is_lost_doubled_or_hung_whatever_the_network_does() {
    if let Ok(seed) = std::env::var("SINKS_SEED") {
        let seed = seed.parse().unwrap();
        run(seed, KINDS[(seed % 7) as usize]);
        return;
    }
    let mut arrived = 0;
    for seed in 0..from_environment("SINKS_SIMULATIONS", 40) {
        arrived += run(seed, KINDS[(seed % 7) as usize]).taken.len();
    }
    assert!(arrived > 0);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let seeds = from_environment("SINKS_REPLAYS", 10);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..seeds {
        let kind = KINDS[(seed % 7) as usize];
        let (one, two) = (run(seed, kind), run(seed, kind));
        assert_eq!(one, two, "seed {seed}");
        seen.extend(one.faults.into_iter().map(|(name, _)| name));
    }
    for fault in ["partition", "hold", "crash", "bounce", "repair"] {
        assert!(seeds < 10 || seen.contains(fault), "no seed had a {fault}");
    }
}
