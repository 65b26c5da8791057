//! A network of in-memory wires that can be refused, stalled and cut, and a peer that speaks the protocol by hand.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sink_runtime::clock::{Chance, Clock, SplitMix, Surroundings, Timer, TokioClock};
use sink_runtime::frame::{self, Assembler, Hello, Kind, ProducerId, Welcome};
use sink_runtime::transport::memory::{self, MemoryWire};
use sink_runtime::transport::{BoxFuture, Dial, Endpoint, Listen, SystemDial, Target, Wire};
use sink_runtime::{DynSink, Ledger, Message, ServiceRegistry};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// Longer than anything that is promised to end.
pub(crate) const BOUND: Duration = Duration::from_secs(120);

/// So many, or fewer where an interpreter runs them, which takes some hundred times as long.
pub(crate) fn few(many: u64) -> u64 {
    if cfg!(miri) { many.div_ceil(10) } else { many }
}

/// Waits for `future`, but not for ever.
#[track_caller]
pub(crate) fn bounded<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(BOUND, future).await {
            Ok(output) => output,
            Err(_) => panic!("{place}: hung"),
        }
    }
}

/// Polls once.
pub(crate) fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Lets every other task run, and the system's events come, until `holds`.
#[track_caller]
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    bounded(async move {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
}

/// The same for a thread that drives nothing.
#[track_caller]
pub(crate) fn block_until(mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < BOUND, "hung");
        std::thread::yield_now();
    }
}

/// Lets every other task run until none can go on; on a paused clock no time passes.
pub(crate) async fn settle() {
    for _ in 0..few(200) {
        tokio::task::yield_now().await;
    }
}

/// What one attempt comes to.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Refuse(io::ErrorKind),
    Hang,
    /// Connects when told to.
    When(Arc<Notify>),
    Connect(Rules),
}

/// How the dialer's end of a wire behaves.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Bytes a direction holds.
    pub(crate) capacity: usize,
    /// Most bytes one write takes.
    pub(crate) chunk: usize,
    /// Bytes written in all before it stalls or breaks.
    pub(crate) budget: usize,
    /// Whether it then breaks.
    pub(crate) cut: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            capacity: memory::CAPACITY,
            chunk: usize::MAX,
            budget: usize::MAX,
            cut: false,
        }
    }
}

/// A wire that obeys [`Rules`].
#[derive(Debug)]
pub(crate) struct Limited {
    wire: MemoryWire,
    chunk: usize,
    control: Arc<Control>,
}

type LastWords = (Arc<dyn Wire>, Vec<u8>);

/// Changes a limited wire from outside.
#[derive(Debug, Default)]
pub(crate) struct Control {
    budget: AtomicUsize,
    cut: bool,
    writer: Mutex<Option<Waker>>,
    /// What the other end says just before a write finds it gone, and by which wire.
    last_words: Mutex<Option<LastWords>>,
}

impl Control {
    /// The other end goes when it is written to next, and says this before.
    pub(crate) fn leave_saying(&self, wire: Arc<dyn Wire>, words: Vec<u8>) {
        *self.last_words.lock().unwrap() = Some((wire, words));
        self.budget.store(0, Ordering::SeqCst);
    }

    /// Lets this many more bytes through.
    pub(crate) fn allow(&self, bytes: usize) {
        let before = self.budget.load(Ordering::SeqCst);
        self.budget
            .store(before.saturating_add(bytes), Ordering::SeqCst);
        if let Some(writer) = self.writer.lock().unwrap().take() {
            writer.wake();
        }
    }
}

impl Wire for Limited {
    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.wire.try_read(buffer)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.control.budget.load(Ordering::SeqCst);
        if left == 0 && !bytes.is_empty() {
            if let Some((wire, words)) = self.control.last_words.lock().unwrap().take() {
                assert_eq!(wire.try_write(&words).unwrap(), words.len());
            }
            return Err(if self.control.cut {
                io::ErrorKind::BrokenPipe.into()
            } else {
                io::ErrorKind::WouldBlock.into()
            });
        }
        let most = bytes.len().min(self.chunk).min(left);
        let count = self.wire.try_write(&bytes[..most])?;
        if left != usize::MAX {
            self.control.budget.fetch_sub(count, Ordering::SeqCst);
        }
        Ok(count)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.control.budget.load(Ordering::SeqCst) == 0 && !self.control.cut {
            *self.control.writer.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.wire.poll_writable(cx)
    }
}

type Answers = Box<dyn FnMut(usize) -> Answer + Send>;

/// Dials as the test says; the other ends come out of [`Net::accept`].
pub(crate) struct Net {
    answers: Mutex<Answers>,
    dials: Mutex<Vec<Instant>>,
    endpoints: Mutex<Vec<String>>,
    accepted: mpsc::UnboundedSender<Peer>,
    peers: tokio::sync::Mutex<mpsc::UnboundedReceiver<Peer>>,
}

impl Net {
    /// `answers` is asked with the number of the attempt, from 0.
    pub(crate) fn new(answers: impl FnMut(usize) -> Answer + Send + 'static) -> Arc<Self> {
        let (accepted, peers) = mpsc::unbounded_channel();
        Arc::new(Self {
            answers: Mutex::new(Box::new(answers)),
            dials: Mutex::default(),
            endpoints: Mutex::default(),
            accepted,
            peers: tokio::sync::Mutex::new(peers),
        })
    }

    /// Every attempt connects.
    pub(crate) fn open() -> Arc<Self> {
        Self::new(|_| Answer::Connect(Rules::default()))
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.lock().unwrap().len()
    }

    pub(crate) fn dial_times(&self) -> Vec<Instant> {
        self.dials.lock().unwrap().clone()
    }

    /// Where each attempt went.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.endpoints.lock().unwrap().clone()
    }

    /// The other end of the next connection.
    pub(crate) async fn accept(&self) -> Peer {
        self.peers.lock().await.recv().await.expect("the net lives")
    }

    /// The other end of the next connection, greeted.
    pub(crate) async fn greet(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.greet().await;
        peer
    }

    fn connect(&self, rules: &Rules) -> Arc<dyn Wire> {
        let (near, far) = memory::pair(rules.capacity);
        let control = Arc::new(Control {
            budget: AtomicUsize::new(rules.budget),
            cut: rules.cut,
            writer: Mutex::default(),
            last_words: Mutex::default(),
        });
        let mut peer = Peer::new(Arc::new(far));
        peer.control = Some(Arc::clone(&control));
        let _ = self.accepted.send(peer);
        Arc::new(Limited {
            wire: near,
            chunk: rules.chunk,
            control,
        })
    }
}

/// [`Net`] as a link sees it.
struct NetDial(Arc<Net>);

impl Dial for NetDial {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Arc<dyn Wire>>> {
        let net = Arc::clone(&self.0);
        let mut endpoints = net.endpoints.lock().unwrap();
        endpoints.push(target.endpoint.to_string());
        drop(endpoints);
        Box::pin(async move {
            let answer = {
                let mut dials = net.dials.lock().unwrap();
                dials.push(Instant::now());
                (net.answers.lock().unwrap())(dials.len() - 1)
            };
            match answer {
                Answer::Refuse(kind) => Err(kind.into()),
                Answer::Hang => std::future::pending().await,
                Answer::When(notify) => {
                    notify.notified().await;
                    Ok(net.connect(&Rules::default()))
                }
                Answer::Connect(rules) => Ok(net.connect(&rules)),
            }
        })
    }
}

/// The receiving end, by hand.
pub(crate) struct Peer {
    pub(crate) wire: Arc<dyn Wire>,
    pub(crate) control: Option<Arc<Control>>,
    assembler: Assembler,
    pub(crate) hello: Hello,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer")
    }
}

impl Peer {
    pub(crate) fn new(wire: Arc<dyn Wire>) -> Self {
        Self {
            wire,
            control: None,
            assembler: Assembler::new(frame::MAX_FRAME_LIMIT as usize + frame::OVERHEAD),
            hello: Hello::default(),
        }
    }

    /// The next frame; `None` at the end of the stream, however it ends.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        poll_fn(|cx| {
            loop {
                if let Some(frame) = self.assembler.take_one().expect("our own frames") {
                    return Poll::Ready(Some(frame));
                }
                match self.wire.poll_readable(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                    Poll::Ready(Ok(())) => {}
                }
                match self.wire.try_read(self.assembler.room()) {
                    Ok(0) => return Poll::Ready(None),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Poll::Ready(None),
                }
            }
        })
        .await
    }

    /// Whether a part of a frame came and its rest did not.
    pub(crate) fn is_torn(&self) -> bool {
        self.assembler.is_torn()
    }

    /// Reads the hello.
    pub(crate) async fn hear_hello(&mut self) {
        let first = self.frame().await.expect("a hello");
        self.hello = Hello::decode(&first).expect("a hello");
    }

    /// Reads the hello and answers it.
    pub(crate) async fn greet(&mut self) {
        self.greet_with(0).await;
    }

    /// The same, with what was taken before.
    pub(crate) async fn greet_with(&mut self, acked: u64) {
        self.hear_hello().await;
        self.say(|out| {
            Welcome {
                acked,
                max_frame_bytes: frame::MAX_FRAME_LIMIT,
                ..Welcome::default()
            }
            .encode(out);
        });
    }

    /// The next data frame's sequence and payload, control frames passed over; `None` at the end of the stream.
    pub(crate) async fn data(&mut self) -> Option<(u64, Bytes)> {
        loop {
            let whole = self.frame().await?;
            if whole[4] == Kind::Data as u8 {
                let parts = frame::data(&whole).expect("our own frames");
                return Some((parts.sequence, whole.slice(parts.payload_at..)));
            }
        }
    }

    /// All data frames that come until the stream ends or nothing more comes for a while.
    pub(crate) async fn rest(&mut self) -> Vec<(u64, Bytes)> {
        let mut all = Vec::new();
        while let Ok(Some(next)) =
            tokio::time::timeout(Duration::from_millis(500), self.data()).await
        {
            all.push(next);
        }
        all
    }

    pub(crate) fn say(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(self.wire.try_write(&out).expect("room"), out.len());
    }

    pub(crate) fn ack(&self, sequence: u64) {
        self.say(|out| frame::ack(out, sequence));
    }
}

/// A clock that runs this many times faster than the machine's: what takes seconds over real sockets takes little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fast {
    start: Instant,
    times: u32,
}

impl Fast {
    pub(crate) fn new(times: u32) -> Self {
        Self {
            start: Instant::now(),
            times,
        }
    }

    fn real(self, fast: Instant) -> Instant {
        self.start + fast.saturating_duration_since(self.start) / self.times
    }
}

impl Clock for Fast {
    fn now(&self) -> Instant {
        self.start + self.start.elapsed() * self.times
    }

    fn timer(&self, deadline: Instant) -> Pin<Box<dyn Timer>> {
        Box::pin(FastTimer {
            clock: *self,
            sleep: Box::pin(tokio::time::sleep_until(self.real(deadline))),
        })
    }
}

struct FastTimer {
    clock: Fast,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Future for FastTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

impl Timer for FastTimer {
    fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        let real = self.clock.real(deadline);
        self.sleep.as_mut().reset(real);
    }
}

/// Dice that always show the same.
pub(crate) struct Always(pub u64);

impl Chance for Always {
    fn next(&self) -> u64 {
        self.0
    }
}

/// A registry of the direct service `orders` over `net`.
pub(crate) fn registry_over(net: &Arc<Net>, more: &str) -> Arc<ServiceRegistry> {
    registry_with(net, more, Arc::new(SplitMix::new(1)))
}

pub(crate) fn registry_with(
    net: &Arc<Net>,
    more: &str,
    chance: Arc<dyn Chance>,
) -> Arc<ServiceRegistry> {
    let text = format!(
        "[services.orders]\ntype = \"direct\"\nendpoint = \"unix:///run/user/0/sinks-test/orders.sock\"\n{more}\n"
    );
    let registry = ServiceRegistry::from_toml(&text)
        .unwrap()
        .with_surroundings(Surroundings {
            clock: Arc::new(TokioClock),
            chance,
            dial: Arc::new(NetDial(Arc::clone(net))),
        });
    Arc::new(registry)
}

/// What a link or source needs of the world, its connections made by `net`.
pub(crate) fn surroundings_over(net: &Arc<Net>) -> Surroundings {
    Surroundings {
        clock: Arc::new(TokioClock),
        chance: Arc::new(SplitMix::new(1)),
        dial: Arc::new(NetDial(Arc::clone(net))),
    }
}

/// A sink of `orders` over `net`.
pub(crate) fn sink_over(net: &Arc<Net>, more: &str) -> DynSink {
    registry_over(net, more).sink::<Message>("orders").unwrap()
}

/// A registry of the direct service `orders` at an endpoint of its own, over the real network.
pub(crate) fn registry_at(endpoint: &str, more: &str) -> Arc<ServiceRegistry> {
    let text = format!("[services.orders]\ntype = \"direct\"\nendpoint = \"{endpoint}\"\n{more}\n");
    Arc::new(ServiceRegistry::from_toml(&text).unwrap())
}

/// The same, under a clock that runs `times` faster.
pub(crate) fn fast_registry_at(endpoint: &str, more: &str, times: u32) -> Arc<ServiceRegistry> {
    let registry = Arc::into_inner(registry_at(endpoint, more)).expect("it is nobody else's");
    Arc::new(registry.with_surroundings(Surroundings {
        clock: Arc::new(Fast::new(times)),
        ..Surroundings::default()
    }))
}

/// A producer by hand at a real socket: its stream, welcomed.
pub(crate) async fn producer_at(endpoint: &str, hello: &Hello) -> Peer {
    let path = endpoint.trim_start_matches("unix://").to_owned();
    let wire = SystemDial
        .dial(&Target::new(Endpoint::Unix(path)))
        .await
        .unwrap();
    let mut out = Vec::new();
    hello.encode(&mut out);
    assert_eq!(wire.try_write(&out).unwrap(), out.len());
    let mut peer = Peer::new(wire);
    let answer = bounded(peer.frame()).await.expect("an answer");
    assert_eq!(answer[4], Kind::Welcome as u8);
    peer
}

/// The hello of producer number `id` of `orders`.
pub(crate) fn hello_of(id: u128) -> Hello {
    Hello {
        service: "orders".into(),
        acks: true,
        producer: ProducerId { id, epoch: 1 },
        first: 1,
        codec: "raw".into(),
        max_frame_bytes: 1 << 20,
        ..Hello::default()
    }
}

/// A data frame by hand.
pub(crate) fn data_frame(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::begin_data(&mut out, 0, sequence);
    out.extend_from_slice(payload);
    frame::finish(&mut out, 0, 0);
    out
}

/// A directory of a test's own, and the endpoint of a socket in it.
pub(crate) fn socket() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/orders.sock", directory.path().display());
    (directory, endpoint)
}

/// The ledger, which balances.
#[track_caller]
pub(crate) fn ledger(sink: &DynSink) -> Ledger {
    let ledger = sink.ledger().expect("a leaf has one");
    assert!(ledger.is_balanced(), "{ledger:?}");
    ledger
}

/// A message that carries a number.
pub(crate) fn numbered(number: u64) -> Message {
    Message::new(number.to_le_bytes().to_vec())
}

pub(crate) fn number_of(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

/// A frame of a numbered message, in all.
pub(crate) const NUMBERED: usize = frame::DATA_HEAD + 8;

/// Accepts the next connection of a real listener.
pub(crate) async fn accept(listener: &mut Box<dyn Listen>) -> Peer {
    let wire = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    Peer::new(wire)
}
