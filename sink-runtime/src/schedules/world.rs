//! What surrounds the link in a schedule: time, a network of memory wires, a peer, and the account of every message.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shuttle::rand::Rng;
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread::{self, JoinHandle, Thread};

use super::runtime::Handle;
use crate::carried::{Carried, SendFuture};
use crate::clock::{Clock, Instant, SplitMix, Surroundings, Timer};
use crate::frame::{self, Assembler, Hello, Kind, Welcome};
use crate::leaf::Leaf;
use crate::life::LifePolicy;
use crate::link::{Link, LinkConfig, MessageIdentity, WhenFull};
use crate::transport::memory::{self, MemoryWire};
use crate::transport::{BoxFuture, Dial, Endpoint, Target, Wire};
use crate::{Codec, DrainReport, Ledger, Level, Message, Outcome, Receipt, SendError, blocking};

/// Time passes up to a timer this near, whenever the scheduler likes. What only a later one would rescue is stuck.
const HORIZON: Duration = Duration::from_secs(20);
/// Beyond the horizon: never.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// How many turns the others get between two timers, at most.
const MOST_PATIENCE: u32 = 256;

// === time

/// Virtual time. Its own lock is no event of the schedule: no thread is switched while it is held.
pub(crate) struct Time {
    base: Instant,
    nanos: AtomicU64,
    /// How much passes at each look.
    step: u64,
    horizon: Duration,
    armed: std::sync::Mutex<Armed>,
}

#[derive(Default)]
struct Armed {
    timers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    keeper: Option<Thread>,
    stopped: bool,
}

impl Time {
    fn new(step: Duration, horizon: Duration) -> Arc<Self> {
        Arc::new(Self {
            base: Instant::now(),
            nanos: AtomicU64::new(0),
            step: step.as_nanos() as u64,
            horizon,
            armed: std::sync::Mutex::default(),
        })
    }

    fn read(&self) -> Instant {
        self.base + Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Lets time pass until it is stopped.
    fn keep(&self) {
        self.armed.lock().unwrap().keeper = Some(thread::current());
        let mut patience = 1;
        loop {
            let due = {
                let mut armed = self.armed.lock().unwrap();
                if armed.stopped {
                    return;
                }
                let near = armed
                    .timers
                    .first_key_value()
                    .map(|(&at, _)| at)
                    .filter(|(deadline, _)| *deadline <= self.read() + self.horizon);
                near.and_then(|at| {
                    let passed = at.0.saturating_duration_since(self.base).as_nanos() as u64;
                    self.nanos.fetch_max(passed, Ordering::Relaxed);
                    armed.timers.remove(&at)
                })
            };
            match due {
                Some(waker) => {
                    waker.wake();
                    // The first timers may fire at any moment; were all to, no attempt would ever be in time.
                    (0..patience).for_each(|_| thread::yield_now());
                    patience = (patience * 2).min(MOST_PATIENCE);
                }
                None => thread::park(),
            }
        }
    }

    fn stop(&self) {
        let keeper = {
            let mut armed = self.armed.lock().unwrap();
            armed.stopped = true;
            armed.keeper.clone()
        };
        keeper.iter().for_each(Thread::unpark);
    }
}

struct Ticking(Arc<Time>);

impl Clock for Ticking {
    fn now(&self) -> Instant {
        self.0.nanos.fetch_add(self.0.step, Ordering::Relaxed);
        self.0.read()
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        Box::pin(VirtualTimer {
            time: Arc::clone(&self.0),
            deadline,
            armed: None,
        })
    }
}

struct VirtualTimer {
    time: Arc<Time>,
    deadline: Instant,
    armed: Option<(Instant, u64)>,
}

impl VirtualTimer {
    fn disarm(&mut self) {
        if let Some(at) = self.armed.take() {
            self.time.armed.lock().unwrap().timers.remove(&at);
        }
    }
}

impl Future for VirtualTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.disarm();
        if self.time.read() >= self.deadline {
            return Poll::Ready(());
        }
        let (at, keeper) = {
            let mut armed = self.time.armed.lock().unwrap();
            armed.next += 1;
            let at = (self.deadline, armed.next);
            armed.timers.insert(at, cx.waker().clone());
            (at, armed.keeper.clone())
        };
        self.armed = Some(at);
        if self.deadline <= self.time.read() + self.time.horizon {
            keeper.iter().for_each(Thread::unpark);
        }
        Poll::Pending
    }
}

impl Timer for VirtualTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.disarm();
        self.deadline = deadline;
    }
}

impl Drop for VirtualTimer {
    fn drop(&mut self) {
        self.disarm();
    }
}

// === the network and the peer

/// What varies between scenarios; the rest is drawn anew in each schedule.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) buffer_size: u32,
    pub(crate) when_full: WhenFull,
    pub(crate) confirm: Option<Level>,
    pub(crate) keep: bool,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) connect_timeout: Duration,
    /// What one direction of a wire holds: the hello goes in pieces if it is smaller.
    pub(crate) capacity: usize,
    /// How often the peer hangs up, at most.
    pub(crate) hang_ups: u32,
    /// Attempts refused before one succeeds.
    pub(crate) refusals: u32,
    /// How near a timer must be to fire at all.
    pub(crate) horizon: Duration,
    /// Bytes of a payload.
    pub(crate) payload: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            buffer_size: 100,
            when_full: WhenFull::Block,
            confirm: None,
            keep: false,
            send_timeout: None,
            connect_timeout: NEVER,
            capacity: 1024,
            hang_ups: 0,
            refusals: 0,
            horizon: HORIZON,
            payload: 8,
        }
    }
}

/// Listens, and hears what is sent.
pub(crate) struct Peer {
    acks: bool,
    keep: bool,
    /// Sequences may be missing.
    withdraws: bool,
    capacity: usize,
    state: Mutex<Listening>,
    changed: Condvar,
}

struct Listening {
    waiting: VecDeque<MemoryWire>,
    acceptor: Option<Waker>,
    dials: u64,
    refusals: u32,
    hang_ups: u32,
    closed: bool,
    /// Sequence and number of each message, without repeats.
    heard: Vec<(u64, u64)>,
    highest: u64,
    lost_connections: u32,
}

struct Network(Arc<Peer>);

impl Dial for Network {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Arc<dyn Wire>>> {
        Box::pin(async move {
            self.0.state.lock().unwrap().dials += 1;
            // Connecting takes a while.
            shuttle::future::yield_now().await;
            let mut state = self.0.state.lock().unwrap();
            if state.refusals > 0 {
                state.refusals -= 1;
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (near, far) = memory::pair(self.0.capacity);
            state.waiting.push_back(far);
            let acceptor = state.acceptor.take();
            drop(state);
            acceptor.into_iter().for_each(Waker::wake);
            let wire: Arc<dyn Wire> = Arc::new(near);
            Ok(wire)
        })
    }
}

impl Peer {
    fn new(shape: &Shape) -> Arc<Self> {
        Arc::new(Self {
            acks: shape.keep || shape.confirm == Some(Level::Acked),
            keep: shape.keep,
            withdraws: shape.send_timeout.is_some(),
            capacity: shape.capacity,
            state: Mutex::new(Listening {
                waiting: VecDeque::new(),
                acceptor: None,
                dials: 0,
                refusals: shape.refusals,
                hang_ups: shape.hang_ups,
                closed: false,
                heard: Vec::new(),
                highest: 0,
                lost_connections: 0,
            }),
            changed: Condvar::new(),
        })
    }

    fn listen(&self) {
        loop {
            let next = blocking::wait(poll_fn(|cx| {
                let mut state = self.state.lock().unwrap();
                if let Some(wire) = state.waiting.pop_front() {
                    return Poll::Ready(Some(wire));
                }
                if state.closed {
                    return Poll::Ready(None);
                }
                state.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }));
            let Some(wire) = next else { return };
            self.serve(&wire);
        }
    }

    /// Serves one connection until either side ends it.
    fn serve(&self, wire: &MemoryWire) {
        let mut assembler = Assembler::new(1 << 20);
        let mut last = None;
        loop {
            if blocking::wait(poll_fn(|cx| wire.poll_readable(cx))).is_err() {
                return;
            }
            match wire.try_read(assembler.room()) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    continue;
                }
            }
            let mut acked = None;
            while let Some(bytes) = assembler.take_one().unwrap() {
                match Kind::from_u8(bytes[4]).unwrap() {
                    Kind::Hello => {
                        assert!(last.is_none(), "a second hello on one connection");
                        last = Some(self.greet(wire, &bytes));
                    }
                    Kind::Data => {
                        let data = frame::data(&bytes).unwrap();
                        let before = last.replace(data.sequence).expect("the hello comes first");
                        assert!(before < data.sequence, "{before} before {}", data.sequence);
                        let number = bytes[data.payload_at..][..8].try_into().unwrap();
                        self.hear(data.sequence, u64::from_le_bytes(number));
                        acked = last;
                    }
                    Kind::Bye => return,
                    Kind::Heartbeat => {}
                    other => panic!("{other:?} from a producer"),
                }
            }
            if self.hangs_up() {
                return;
            }
            if let Some(sequence) = acked.filter(|_| self.acks) {
                say(wire, |out| frame::ack(out, sequence));
            }
        }
    }

    /// Answers the hello; returns the sequence that the first frame must be beyond.
    fn greet(&self, wire: &MemoryWire, bytes: &[u8]) -> u64 {
        let hello = Hello::decode(bytes).unwrap();
        let highest = self.state.lock().unwrap().highest;
        if self.keep && !self.withdraws {
            assert!(
                hello.first <= highest + 1,
                "{} is owed after {highest}",
                hello.first
            );
        }
        let welcome = Welcome {
            acked: if self.keep { highest } else { 0 },
            max_frame_bytes: 1 << 20,
            heartbeat_ms: NEVER.as_millis() as u32,
            ..Welcome::default()
        };
        say(wire, |out| welcome.encode(out));
        hello.first - 1
    }

    fn hear(&self, sequence: u64, number: u64) {
        let mut state = self.state.lock().unwrap();
        if sequence <= state.highest {
            assert!(
                self.keep,
                "{sequence} came twice, or after {}",
                state.highest
            );
            assert!(
                state.heard.contains(&(sequence, number)),
                "{sequence} has changed"
            );
            return;
        }
        state.highest = sequence;
        state.heard.push((sequence, number));
        drop(state);
        self.changed.notify_all();
    }

    fn hangs_up(&self) -> bool {
        if self.state.lock().unwrap().hang_ups == 0 || !shuttle::rand::thread_rng().gen_bool(0.5) {
            return false;
        }
        let mut state = self.state.lock().unwrap();
        state.hang_ups -= 1;
        state.lost_connections += 1;
        true
    }

    pub(crate) fn dials(&self) -> u64 {
        self.state.lock().unwrap().dials
    }

    /// Waits, without touching the link, until so many messages have come.
    pub(crate) fn wait_for(&self, messages: usize) {
        let mut state = self.state.lock().unwrap();
        while state.heard.len() < messages {
            state = self.changed.wait(state).unwrap();
        }
    }

    /// The same, until this message has come.
    pub(crate) fn wait_for_number(&self, number: u64) {
        let mut state = self.state.lock().unwrap();
        while !state.heard.iter().any(|&(_, heard)| heard == number) {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn close(&self) {
        let acceptor = {
            let mut state = self.state.lock().unwrap();
            state.closed = true;
            state.acceptor.take()
        };
        acceptor.into_iter().for_each(Waker::wake);
    }
}

fn say(wire: &MemoryWire, write: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    write(&mut bytes);
    let mut rest = &*bytes;
    while !rest.is_empty() {
        match wire.try_write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if blocking::wait(poll_fn(|cx| wire.poll_writable(cx))).is_err() {
                    return;
                }
            }
            // The other end is gone: reading will say so.
            Err(_) => return,
        }
    }
}

// === the account

/// What its sender knows of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Accepted {
        sequence: u64,
    },
    /// Given back: never delivered.
    Returned,
    /// It may have arrived.
    Unknown,
    /// Its future was dropped: unsent, or sent whole.
    Cancelled,
}

#[derive(Default)]
pub(crate) struct Account(std::sync::Mutex<BTreeMap<u64, End>>);

impl Account {
    pub(crate) fn note(&self, number: u64, end: End) {
        let before = self.0.lock().unwrap().insert(number, end);
        assert_eq!(before, None, "{number} ended twice");
    }

    pub(crate) fn count(&self, which: impl Fn(&End) -> bool) -> usize {
        self.0
            .lock()
            .unwrap()
            .values()
            .filter(|end| which(end))
            .count()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.count(|end| matches!(end, End::Accepted { .. }))
    }
}

/// A thread's hold on the sink.
#[derive(Clone)]
pub(crate) struct User {
    carried: Carried<Message>,
    pub(crate) account: Arc<Account>,
    payload: usize,
}

impl User {
    pub(crate) fn leaf(&self) -> &Leaf<Message> {
        match &self.carried {
            Carried::Link(leaf) => leaf,
            Carried::Inproc(_) => unreachable!("it was made over a link"),
        }
    }

    pub(crate) fn message(&self, number: u64) -> Message {
        let mut payload = vec![0x5A; self.payload];
        payload[..8].copy_from_slice(&number.to_le_bytes());
        Message::new(payload)
    }

    /// Begins a send as a generated sink does.
    pub(crate) fn begin(&self, number: u64) -> Sending<'_> {
        Sending {
            number,
            sending: self.carried.send(self.message(number)),
            account: &self.account,
            ended: false,
        }
    }

    /// Sends on this thread; whether it was accepted.
    pub(crate) fn send(&self, number: u64) -> bool {
        let sent = blocking::wait(self.begin(number)).is_ok();
        self.look();
        sent
    }

    pub(crate) fn try_send(&self, number: u64) -> Option<Receipt> {
        let sent = self.leaf().try_send(self.message(number));
        note(&self.account, number, &sent);
        self.look();
        sent.ok()
    }

    /// Every snapshot balances.
    pub(crate) fn look(&self) -> Ledger {
        let ledger = self.leaf().ledger();
        assert!(ledger.is_balanced(), "{ledger:?}");
        ledger
    }

    pub(crate) fn close(&self, deadline: Duration) -> DrainReport {
        blocking::wait(self.leaf().close(deadline))
    }
}

fn note(account: &Account, number: u64, sent: &Result<Receipt, SendError<Message>>) {
    let end = match sent {
        Ok(receipt) => End::Accepted {
            sequence: receipt.sequence(),
        },
        Err(error) if error.outcome() == Outcome::NotSent => End::Returned,
        Err(_) => End::Unknown,
    };
    account.note(number, end);
}

/// One send under way; dropped before its end, it counts as cancelled.
pub(crate) struct Sending<'a> {
    number: u64,
    sending: SendFuture<'a, Message>,
    account: &'a Account,
    ended: bool,
}

impl Future for Sending<'_> {
    type Output = Result<Receipt, SendError<Message>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Poll::Ready(mut sent) = Pin::new(&mut this.sending).poll(cx) else {
            return Poll::Pending;
        };
        this.ended = true;
        note(this.account, this.number, &sent);
        if let Err(error) = sent {
            // What was not sent comes back, and is what was given.
            let (kind, message) = error.into_parts();
            let number = message.as_ref().map(number_of);
            let expected = (kind.outcome() == Outcome::NotSent).then_some(this.number);
            assert_eq!(number, expected, "{kind:?}");
            sent = Err(SendError::new(kind, message));
        }
        Poll::Ready(sent)
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.account.note(self.number, End::Cancelled);
        }
    }
}

fn number_of(message: &Message) -> u64 {
    u64::from_le_bytes(message.payload()[..8].try_into().unwrap())
}

// === all of it

pub(crate) struct World {
    pub(crate) home: Handle,
    pub(crate) peer: Arc<Peer>,
    pub(crate) user: User,
    time: Arc<Time>,
    service: Vec<JoinHandle<()>>,
    users: Vec<JoinHandle<()>>,
}

impl World {
    pub(crate) fn new(shape: &Shape) -> Self {
        let mut random = shuttle::rand::thread_rng();
        // Nothing is idle, some things are, everything is (PROMISES 5.5).
        let time = Time::new(
            Duration::from_micros([0, 4, 20][random.gen_range(0..3)]),
            shape.horizon,
        );
        let peer = Peer::new(shape);
        let surroundings = Surroundings {
            clock: Arc::new(Ticking(Arc::clone(&time))),
            chance: Arc::new(SplitMix::new(random.r#gen())),
            dial: Arc::new(Network(Arc::clone(&peer))),
        };
        let user = User {
            carried: Carried::Link(Leaf::new(Link::new(config(shape), surroundings))),
            account: Arc::default(),
            payload: shape.payload,
        };
        let service = vec![
            thread::spawn({
                let time = Arc::clone(&time);
                move || time.keep()
            }),
            thread::spawn({
                let peer = Arc::clone(&peer);
                move || peer.listen()
            }),
        ];
        Self {
            home: Handle::new(),
            peer,
            user,
            time,
            service,
            users: Vec::new(),
        }
    }

    /// Runs `act` on a thread of its own, on a runtime or outside all.
    pub(crate) fn spawn(
        &mut self,
        runtime: Option<&Handle>,
        act: impl FnOnce(&User) + Send + 'static,
    ) {
        let (user, runtime) = (self.user.clone(), runtime.cloned());
        self.users.push(thread::spawn(move || {
            if let Some(runtime) = runtime {
                runtime.enter();
            }
            act(&user);
        }));
    }

    pub(crate) fn join_users(&mut self) {
        for user in self.users.drain(..) {
            user.join().unwrap();
        }
    }

    /// Closes, waiting for everything to be written and acked.
    pub(crate) fn close(&mut self) -> DrainReport {
        self.join_users();
        self.home.enter();
        self.user.close(NEVER)
    }

    /// Lets the last handle go, and checks that everything ends by itself and every message is accounted for.
    pub(crate) fn end(self, report: &DrainReport) -> Told {
        let ledger = self.user.look();
        let link = Arc::clone(self.user.leaf().link());
        let (account, peer) = (self.user.account, self.peer);
        drop(self.user.carried);
        self.home.join();
        peer.close();
        self.time.stop();
        for thread in self.service {
            thread.join().unwrap();
        }
        let state = peer.state.lock().unwrap();
        let told = Told {
            ends: account.0.lock().unwrap().clone(),
            heard: state.heard.clone(),
            lost_connections: state.lost_connections,
            undelivered: report
                .undelivered
                .iter()
                .map(|one| (number_of(&one.decode().unwrap()), one.may_have_arrived()))
                .collect(),
            ledger,
        };
        drop(state);
        assert_eq!(link.ledger(), ledger, "nothing moves after the end");
        told.check();
        told
    }
}

fn config(shape: &Shape) -> LinkConfig {
    LinkConfig {
        service: Arc::from("orders"),
        target: Target::new(Endpoint::Inproc("orders".to_owned())),
        life: LifePolicy {
            reconnect_delay: Duration::from_millis(100),
            reconnect_max_delay: Duration::from_secs(10),
            connect_timeout: shape.connect_timeout,
            max_attempts: None,
            heartbeat: NEVER,
        },
        buffer_size: shape.buffer_size,
        buffer_bytes: 1 << 20,
        max_frame_bytes: 1 << 20,
        when_full: shape.when_full,
        confirm: shape.confirm,
        keep: shape.keep,
        max_age: None,
        idle_timeout: None,
        send_timeout: shape.send_timeout,
        codec: Codec::Postcard,
        framing: crate::foreign::Framing::Sink,
        message: MessageIdentity::of::<Message>(),
    }
}

/// What all sides say in the end.
pub(crate) struct Told {
    pub(crate) ends: BTreeMap<u64, End>,
    pub(crate) heard: Vec<(u64, u64)>,
    pub(crate) undelivered: BTreeMap<u64, bool>,
    pub(crate) lost_connections: u32,
    pub(crate) ledger: Ledger,
}

impl Told {
    /// Exactly once, or given back; in order; and the ledger says so.
    fn check(&self) {
        let ledger = &self.ledger;
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert_eq!(ledger.attempted, self.ends.len() as u64, "{ledger:?}");
        assert_eq!(
            (ledger.waiting, ledger.buffered, ledger.in_flight),
            (0, 0, 0),
            "{ledger:?}"
        );
        let mut delivered = BTreeSet::new();
        let mut latest = BTreeMap::new();
        for &(sequence, number) in &self.heard {
            assert!(delivered.insert(number), "{number} came twice");
            let end = self.ends.get(&number).expect("what came was sent");
            assert_ne!(*end, End::Returned, "{number} was given back and came");
            if let End::Accepted { sequence: promised } = *end {
                assert_eq!(promised, sequence, "{number} came under another sequence");
            }
            // The sender's number is above, its count below.
            let before = latest.insert(number >> 32, number);
            assert!(before < Some(number), "{before:?} came before {number}");
        }
        let returned = self
            .ends
            .values()
            .filter(|end| **end == End::Returned)
            .count() as u64;
        // Of those whose future was dropped some had come back already.
        let cancelled = self
            .ends
            .values()
            .filter(|end| **end == End::Cancelled)
            .count() as u64;
        let might = returned..=returned + cancelled;
        assert!(might.contains(&ledger.returned.total()), "{ledger:?}");
        for (number, end) in &self.ends {
            let there = delivered.contains(number);
            match (end, self.undelivered.get(number)) {
                (End::Returned, reported) => assert_eq!(reported, None, "{number}"),
                (_, Some(false)) => assert!(!there, "{number} is undelivered and came"),
                (End::Accepted { .. }, None) => {
                    assert!(
                        there || self.lost_connections > 0,
                        "{number} is lost: {ledger:?}"
                    );
                }
                _ => {}
            }
        }
        if self.lost_connections == 0 {
            let unknown = self.undelivered.values().filter(|might| **might).count();
            assert_eq!(ledger.unknown, unknown as u64, "{ledger:?}");
        }
    }

    /// Every message accepted came.
    pub(crate) fn all_came(&self) {
        for (number, end) in &self.ends {
            let came = self.heard.iter().any(|(_, heard)| heard == number);
            if let End::Accepted { .. } = end {
                assert!(came, "{number} is lost: {:?}", self.ledger);
            }
        }
        assert!(self.undelivered.is_empty());
    }
}
