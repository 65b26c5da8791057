//! How many messages a second does a relay carry? Blocking peers on raw Unix sockets, one thread each, 256 B frames;
//! the baseline in the same run is the same bytes copied from socket to socket by one thread. The producer stays at most
//! [`AHEAD`] messages before the slowest consumer, or the figure would be that of retention overtaking it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sink_relay::Relay;
use sink_runtime::frame::{self, Chunk, Hello, Kind, PeerRole, ProducerId, Start};

const PAYLOAD: usize = 240;
const FRAME: usize = frame::DATA_HEAD + PAYLOAD;
const BATCH: usize = 256;
const AHEAD: u64 = 32_768;

fn main() {
    let messages = std::env::var("MESSAGES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4_000_000);
    for round in 1..=3 {
        let base = copied(messages);
        println!(
            "round {round}: copied from socket to socket {}",
            rate(messages, base)
        );
        for workers in [1, 2] {
            for consumers in [1, 4] {
                let (taken, lost) = relayed(messages, consumers, workers);
                let ratio = base.as_secs_f64() / taken.as_secs_f64();
                println!(
                    "round {round}: relayed, {workers} worker(s), {consumers} consumer(s) {} each, {ratio:.2} of the copy, {lost} overtaken",
                    rate(messages, taken)
                );
            }
        }
    }
}

fn rate(messages: u64, taken: Duration) -> String {
    format!("{:.2} M/s", messages as f64 / taken.as_secs_f64() / 1e6)
}

fn relayed(messages: u64, consumers: usize, workers: usize) -> (Duration, u64) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("relay.sock");
    let mut builder = if workers == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("a runtime");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let relay = Relay::bind(format!("unix://{}", path.display())).expect("an endpoint");
    let running = runtime.block_on(relay.start()).expect("a free address");
    let relay =
        thread::spawn(move || runtime.block_on(running.serve(async { drop(stopped.await) })));
    let progress: Vec<_> = (0..consumers)
        .map(|_| Arc::<AtomicU64>::default())
        .collect();
    let readers: Vec<_> = progress
        .iter()
        .map(|progress| consumer(&path, messages, Arc::clone(progress)))
        .collect();
    let begun = Instant::now();
    producer(&path, messages, &progress);
    let lost = readers
        .into_iter()
        .map(|reader| reader.join().expect("a consumer"))
        .sum();
    let taken = begun.elapsed();
    drop(stop);
    relay.join().expect("a relay");
    (taken, lost)
}

fn producer(path: &Path, messages: u64, progress: &[Arc<AtomicU64>]) {
    let mut socket = UnixStream::connect(path).expect("the relay");
    greet(
        &mut socket,
        &Hello {
            role: PeerRole::Producer,
            producer: ProducerId { id: 1, epoch: 1 },
            first: 1,
            ..hello()
        },
    );
    send(&mut socket, messages, progress);
}

fn send(socket: &mut UnixStream, messages: u64, progress: &[Arc<AtomicU64>]) {
    let mut batch = Vec::new();
    for _ in 0..BATCH {
        let start = batch.len();
        frame::begin_data(&mut batch, 0, 0);
        batch.resize(batch.len() + PAYLOAD, 1);
        frame::finish(&mut batch, start, 0);
    }
    let mut sequence = 1;
    while sequence <= messages {
        while progress
            .iter()
            .any(|progress| progress.load(Ordering::Relaxed) + AHEAD < sequence)
        {
            thread::yield_now();
        }
        for frame in batch.chunks_exact_mut(FRAME) {
            frame[frame::HEAD..frame::DATA_HEAD].copy_from_slice(&sequence.to_le_bytes());
            sequence += 1;
        }
        socket.write_all(&batch).expect("the relay reads");
    }
}

fn consumer(path: &Path, messages: u64, progress: Arc<AtomicU64>) -> thread::JoinHandle<u64> {
    let mut socket = UnixStream::connect(path).expect("the relay");
    greet(
        &mut socket,
        &Hello {
            role: PeerRole::Consumer,
            start: Start::Retained,
            ..hello()
        },
    );
    thread::spawn(move || {
        let (mut offset, mut lost) = (1, 0);
        let mut buffer = vec![0; 256 * 1024];
        let mut held = 0;
        while offset <= messages {
            held += socket.read(&mut buffer[held..]).expect("the relay writes");
            let mut at = 0;
            while let Some(head) = frame::head(&buffer[at..held], usize::MAX).expect("frames") {
                if held - at < head.total {
                    break;
                }
                let whole = &buffer[at..at + head.total];
                at += head.total;
                if head.kind == Kind::Data as u8 {
                    offset += 1;
                } else if head.kind == Kind::Chunk as u8 {
                    assert_eq!(Chunk::decode(whole).expect("a chunk").first_offset, offset);
                } else if head.kind == Kind::Gap as u8 {
                    let gap = frame::RelayGap::decode(whole).expect("a gap");
                    lost += gap.to - gap.from + 1;
                    offset = gap.to + 1;
                }
            }
            buffer.copy_within(at..held, 0);
            held -= at;
            progress.store(offset, Ordering::Relaxed);
        }
        lost
    })
}

fn hello() -> Hello {
    Hello {
        service: "ticks".into(),
        acks: false,
        ..Hello::default()
    }
}

fn greet(socket: &mut UnixStream, hello: &Hello) {
    let mut out = Vec::new();
    hello.encode(&mut out);
    socket.write_all(&out).expect("the relay reads");
    let mut length = [0; 4];
    socket.read_exact(&mut length).expect("an answer");
    let mut rest = vec![0; u32::from_le_bytes(length) as usize];
    socket.read_exact(&mut rest).expect("an answer");
    assert_eq!(rest[0], Kind::Welcome as u8);
}

/// The ceiling: nobody looks at the bytes.
fn copied(messages: u64) -> Duration {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (front, back) = (
        directory.path().join("front"),
        directory.path().join("back"),
    );
    let (inward, outward) = (
        UnixListener::bind(&front).expect("front"),
        UnixListener::bind(&back).expect("back"),
    );
    let relay = thread::spawn(move || {
        let (mut from, _) = inward.accept().expect("a producer");
        let (mut to, _) = outward.accept().expect("a consumer");
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut buffer).expect("the producer writes");
            if count == 0 {
                break;
            }
            to.write_all(&buffer[..count]).expect("the consumer reads");
        }
    });
    let mut near = UnixStream::connect(&front).expect("front");
    let mut far = UnixStream::connect(&back).expect("back");
    let reader = thread::spawn(move || {
        let (mut buffer, mut left) = (vec![0; 256 * 1024], messages as usize * FRAME);
        while left > 0 {
            left -= far.read(&mut buffer).expect("the relay writes").min(left);
        }
    });
    let begun = Instant::now();
    send(&mut near, messages, &[]);
    drop(near);
    reader.join().expect("a consumer");
    let taken = begun.elapsed();
    relay.join().expect("a relay");
    taken
}
