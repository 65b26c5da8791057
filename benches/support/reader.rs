//! The other end: a thread that reads a socket in a plain blocking loop, 64 KiB at a time, and looks at nothing.
//! For a sink it answers the hello first. It runs in this process, beside every path alike.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// What a reader reads at a time.
pub const READ: usize = 64 * 1024;
/// How long a round may take; one that takes longer lacks a message and would never end.
pub const ROUND: Duration = Duration::from_secs(60);

/// Where a reader listens.
#[derive(Clone, Debug)]
pub enum Place {
    Unix(PathBuf),
    Tcp(std::net::SocketAddr),
}

impl Place {
    /// As the registry writes it.
    pub fn endpoint(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Tcp(address) => format!("tcp://{address}"),
        }
    }
}

/// One of several connections that a single reading thread serves in turn.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub name: &'static str,
    /// Bytes of one message on the wire.
    pub wire: usize,
    /// A sink, which says hello.
    pub sink: bool,
    /// What becomes of each message.
    pub then: Then,
}

/// What a turn does with a message.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Notes how long ago the time at this place in it was.
    Time(usize),
    /// Answers with an ack.
    Answer,
}

/// The lengths of both paths' ways so far, in nanoseconds.
pub type Ways = Arc<Mutex<[Vec<f64>; 2]>>;

/// Reads `block` messages from each connection in turn, blocking, on one thread: both paths wake the same thread, wherever the
/// scheduler has put it. Gives each path's socket and, behind a lock, the lengths of its ways.
pub fn in_turn(directory: &std::path::Path, block: usize, turns: [Turn; 2]) -> ([Place; 2], Ways) {
    let sockets = turns.map(|turn| {
        let path = directory.join(format!("{}.sock", turn.name));
        (UnixListener::bind(&path).expect("a free path"), path)
    });
    let places = [0, 1].map(|at| Place::Unix(sockets[at].1.clone()));
    let ways = Ways::default();
    let noted = Arc::clone(&ways);
    std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            let mut streams = [0, 1].map(|at| {
                let (mut stream, _) = sockets[at].0.accept().expect("a connection");
                if turns[at].sink {
                    welcome(&mut stream);
                }
                (stream, 0)
            });
            let mut buffer = vec![0; READ];
            loop {
                for at in [0, 1] {
                    let (stream, sequence) = &mut streams[at];
                    for _ in 0..block {
                        let Ok(()) = stream.read_exact(&mut buffer[..turns[at].wire]) else {
                            return;
                        };
                        *sequence += 1;
                        match turns[at].then {
                            Then::Time(stamp) => {
                                let sent = buffer[stamp..].first_chunk().expect("a stamp");
                                let way = super::nanos() - u64::from_le_bytes(*sent);
                                lock(&noted)[at].push(way as f64);
                            }
                            Then::Answer => {
                                let mut out = Vec::with_capacity(16);
                                sink_runtime::frame::ack(&mut out, *sequence);
                                stream.write_all(&out).expect("a sender that listens");
                            }
                        }
                    }
                }
            }
        })
        .expect("a thread");
    (places, ways)
}

/// A reading thread that serves one connection.
#[derive(Debug)]
pub struct Reader {
    pub place: Place,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Bytes at which the round ends.
    target: AtomicU64,
    done: Mutex<Option<Done>>,
    waiter: Mutex<Option<Thread>>,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            target: AtomicU64::new(u64::MAX),
            done: Mutex::new(None),
            waiter: Mutex::new(None),
        })
    }

    /// Ends the round if `total` is what it waits for.
    #[inline]
    fn reached(&self, total: u64) {
        let target = self.target.load(Ordering::Acquire);
        if total < target {
            return;
        }
        assert_eq!(total, target, "more than was sent");
        self.target.store(u64::MAX, Ordering::Release);
        *lock(&self.done) = Some(Done {
            at: Instant::now(),
            cpu: super::thread_cpu(),
        });
        if let Some(waiter) = lock(&self.waiter).take() {
            waiter.unpark();
        }
    }
}

/// How a round ended.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// When the last byte was read.
    pub at: Instant,
    /// CPU time the reading thread has used so far.
    pub cpu: Duration,
}

/// How a source is asked.
#[derive(Clone, Copy, Debug)]
pub enum Take {
    /// `recv_batch`: a vector of its own each time.
    Batch,
    /// `recv_many`: into one vector.
    Many,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Whoever writes bytes.
    Raw,
    /// A sink: it says hello and waits for the answer.
    Sink,
    /// A sink that wants acks: frames of this many bytes each are acked as they come, a chunk at a time.
    Acked(usize),
}

/// A directory for the sockets of this process, removed at its end.
pub fn directory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("sinks-bench-")
        .tempdir()
        .expect("a temporary directory")
}

impl Reader {
    /// Listens on a Unix socket and reads the first connection.
    pub fn unix(directory: &std::path::Path, name: &str, peer: Peer) -> Self {
        let path = directory.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&path).expect("a free path");
        Self::spawn(Place::Unix(path), peer, move || {
            listener.accept().map(|(stream, _)| stream)
        })
    }

    /// Listens on TCP loopback and reads the first connection.
    pub fn tcp(peer: Peer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        Self::spawn(Place::Tcp(address), peer, move || {
            listener.accept().map(|(stream, _)| stream)
        })
    }

    fn spawn<S: Read + Write>(
        place: Place,
        peer: Peer,
        accept: impl FnOnce() -> std::io::Result<S> + Send + 'static,
    ) -> Self {
        let shared = Shared::new();
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                let mut stream = accept().expect("a connection");
                if peer != Peer::Raw {
                    welcome(&mut stream);
                }
                drain(&mut stream, &theirs, peer);
            })
            .expect("a thread");
        Self { place, shared }
    }

    /// CPU time the reading thread had used when the last round ended.
    pub fn cpu(&self) -> Duration {
        lock(&self.shared.done).map_or(Duration::ZERO, |done| done.cpu)
    }

    /// Receives through the library instead: a source of its own on a thread of its own, in batches; counts messages.
    pub fn source<M: sink_runtime::MessageType>(
        place: Place,
        service: &'static str,
        take: Take,
    ) -> Self {
        let shared = Shared::new();
        let theirs = Arc::clone(&shared);
        let (started, starts) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                super::current_thread().block_on(async move {
                    let mut source = super::service::registry()
                        .source::<M>(service)
                        .expect("it is registered");
                    source.start().await.expect("a free path");
                    started.send(()).expect("a bench that waits");
                    let (mut batch, mut total) = (Vec::new(), 0);
                    loop {
                        match take {
                            Take::Batch => batch = source.recv_batch(1024).await,
                            Take::Many => {
                                batch.clear();
                                source.recv_many(&mut batch, 1024).await;
                            }
                        }
                        total += batch.iter().filter(|one| one.is_ok()).count() as u64;
                        theirs.reached(total);
                    }
                });
            })
            .expect("a thread");
        starts.recv().expect("a source");
        Self { place, shared }
    }

    /// Any other receiving end, on a thread of its own; it calls its argument with all it has received so far.
    pub fn counting(receive: impl FnOnce(&dyn Fn(u64)) + Send + 'static) -> Self {
        let shared = Shared::new();
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || receive(&|total| theirs.reached(total)))
            .expect("a thread");
        Self {
            place: Place::Unix(PathBuf::new()),
            shared,
        }
    }

    /// Begins a round that ends when `bytes` in all were read since the connection was made; `await_round` waits for it.
    pub fn begin(&self, bytes: u64) {
        *lock(&self.shared.done) = None;
        *lock(&self.shared.waiter) = Some(std::thread::current());
        self.shared.target.store(bytes, Ordering::Release);
    }

    /// Waits until the round's last byte was read, [`ROUND`] at most.
    pub fn await_round(&self) -> Done {
        let begun = Instant::now();
        loop {
            if let Some(done) = *lock(&self.shared.done) {
                return done;
            }
            assert!(begun.elapsed() < ROUND, "no end of this round");
            std::thread::park_timeout(Duration::from_secs(1));
        }
    }
}

fn drain(stream: &mut (impl Read + Write), shared: &Shared, peer: Peer) {
    let mut buffer = vec![0; READ];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                total += count as u64;
                act(stream, peer, total);
            }
        }
        shared.reached(total);
    }
}

#[inline]
fn act(stream: &mut impl Write, peer: Peer, total: u64) {
    match peer {
        Peer::Raw | Peer::Sink => {}
        Peer::Acked(wire) => {
            let mut out = Vec::with_capacity(16);
            sink_runtime::frame::ack(&mut out, total / wire as u64);
            stream.write_all(&out).expect("a sender that listens");
        }
    }
}

/// Reads the hello whole and answers it.
pub fn welcome(stream: &mut (impl Read + Write)) {
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("a hello");
    let mut rest = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut rest).expect("a hello");
    stream
        .write_all(&super::null::welcome_bytes())
        .expect("a sink that listens");
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A blocking stream of the reader's kind.
#[derive(Debug)]
pub enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    /// Connects to a reader.
    pub fn connect(place: &Place) -> Self {
        match place {
            Place::Unix(path) => Self::Unix(UnixStream::connect(path).expect("a reader")),
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address).expect("a reader");
                stream.set_nodelay(true).expect("a socket option");
                Self::Tcp(stream)
            }
        }
    }
}

impl Write for Stream {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
