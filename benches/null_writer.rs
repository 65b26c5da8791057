//! What does a send cost in our own code? The writer discards, so nothing but the library is measured: a generated accessor
//! (lazy, typed) against the link alone, and against a lock, a buffer and a flusher written by hand for the same bytes.
//! `SINKS_BENCH_CALLGRIND=path` runs one path a fixed number of times, for instruction counts (scripts/callgrind.sh).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sink_runtime::{Message, MessageSink, frame};

mod support;
use support::rounds::{Contender, Measure, interleave};
use support::service::{self, Block, entry};
use support::stats::Spread;
use support::table::{self, Target};
use support::{BYTES, PAYLOAD};

const SENDS: u64 = 200_000;

/// A realistic typed message: what a market data tick looks like, some 40 bytes in postcard.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize, sink_runtime::Message)]
struct Tick {
    instrument: u64,
    price: i64,
    size: u64,
    bid: i64,
    ask: i64,
    sequence: u64,
    venue: u16,
    side: bool,
}

const TICK: Tick = Tick {
    instrument: 0x0123_4567_89ab,
    price: 1_234_567_890,
    size: 1_000,
    bid: 1_234_567_880,
    ask: 1_234_567_900,
    sequence: 42,
    venue: 7,
    side: true,
};

service!(untyped, Untyped, Message);
service!(block, BlockService, Block<BYTES>);
service!(tick, TickService, Tick);

/// What one writes by hand: a lock, a buffer, a task that swaps it out.
struct Hand {
    state: Mutex<HandState>,
}

#[derive(Default)]
struct HandState {
    buffer: Vec<u8>,
    spare: Vec<u8>,
    sequence: u64,
    flushing: bool,
    flusher: Option<std::task::Waker>,
}

impl Hand {
    fn open() -> Arc<Self> {
        let hand = Arc::new(Self {
            state: Mutex::default(),
        });
        let theirs = Arc::clone(&hand);
        tokio::spawn(std::future::poll_fn::<(), _>(move |cx| {
            loop {
                let mut state = theirs.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.buffer.is_empty() {
                    state.flushing = false;
                    state.flusher = Some(cx.waker().clone());
                    return std::task::Poll::Pending;
                }
                let spare = std::mem::take(&mut state.spare);
                let mut full = std::mem::replace(&mut state.buffer, spare);
                drop(state);
                std::hint::black_box(&full);
                full.clear();
                theirs
                    .state
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .spare = full;
            }
        }));
        hand
    }

    #[inline]
    async fn send(&self, payload: &[u8]) {
        tokio::task::coop::consume_budget().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sequence += 1;
        let (sequence, at) = (state.sequence, state.buffer.len());
        frame::begin_data(&mut state.buffer, 0, sequence);
        state.buffer.extend_from_slice(payload);
        frame::finish(&mut state.buffer, at, 0);
        if !state.flushing {
            state.flushing = true;
            let flusher = state.flusher.take();
            drop(state);
            if let Some(flusher) = flusher {
                flusher.wake();
            }
        }
    }
}

fn main() {
    let null = |name: &str, message| entry(name, &format!("null://{name}"), message, "");
    service::compile(
        null("untyped", None) + &null("block", Some("Block")) + &null("tick", Some("Tick")),
    );
    let runtime = support::current_thread();
    let bare = service::registry()
        .dynamic::<Message>("untyped")
        .expect("it is registered");
    let hand = runtime.block_on(async {
        for connected in [
            untyped().connect().await,
            block().connect().await,
            tick().connect().await,
        ] {
            connected.expect("a null writer always answers");
        }
        Hand::open()
    });

    macro_rules! path {
        ($name:literal, |$count:ident| $body:expr) => {
            Contender {
                name: $name,
                run: Box::new(|| measured(|$count| runtime.block_on($body))),
            }
        };
    }
    let mut contenders = vec![
        path!("lock, buffer and flusher by hand", |count| async {
            for _ in 0..count {
                hand.send(&PAYLOAD[..BYTES]).await;
            }
        }),
        path!("the link alone, behind DynSink", |count| async {
            for _ in 0..count {
                let _ = bare
                    .send(Message::new(&PAYLOAD[..BYTES]))
                    .await
                    .expect("room");
            }
        }),
        path!("generated accessor, untyped 256 B", |count| async {
            for _ in 0..count {
                let _ = untyped()
                    .send(Message::new(&PAYLOAD[..BYTES]))
                    .await
                    .expect("room");
            }
        }),
        path!(
            "generated accessor, try_send, untyped 256 B",
            |count| async {
                for sent in 0..count {
                    if sent % 256 == 255 {
                        tokio::task::yield_now().await;
                    }
                    let _ = untyped()
                        .try_send(Message::new(&PAYLOAD[..BYTES]))
                        .expect("room");
                }
            }
        ),
        path!("generated accessor, typed 256 B of bytes", |count| async {
            for _ in 0..count {
                let _ = block().send(Block([0x5a; BYTES])).await.expect("room");
            }
        }),
        path!(
            "generated accessor, typed tick in postcard",
            |count| async {
                for _ in 0..count {
                    let _ = tick().send(std::hint::black_box(TICK)).await.expect("room");
                }
            }
        ),
    ];
    if let Ok(only) = std::env::var("SINKS_BENCH_CALLGRIND") {
        // Twice as many sends cost twice the instructions: the difference is free of start and stop.
        let sends = std::env::var("SINKS_BENCH_ROUNDS")
            .ok()
            .and_then(|text| text.parse().ok());
        let chosen = contenders
            .iter_mut()
            .find(|one| one.name == only)
            .expect("a path of this name");
        for _ in 0..sends.unwrap_or(1) {
            (chosen.run)();
        }
        return;
    }
    table::question("one send over a writer that discards, current-thread runtime");
    let outcomes = interleave(support::rounds(25), &mut contenders);
    let nanos = |at: usize| outcomes[at].cpu_nanos;
    println!(
        "{:<46} {:>22} {:>9}",
        "path", "ns per send (CPU)", "alloc/msg"
    );
    for one in &outcomes {
        println!(
            "{:<46} {:>22} {:>9.4}",
            one.name,
            one.cpu_nanos.show(1),
            one.allocations
        );
        table::note(
            "null_writer",
            "null writer",
            &one.name,
            "cpu_nanos",
            one.cpu_nanos,
        );
        table::note(
            "null_writer",
            "null writer",
            &one.name,
            "allocations",
            table::flat(one.allocations),
        );
    }
    let more = |at: usize, than: usize| Spread {
        low: nanos(at).low - nanos(than).high,
        median: nanos(at).median - nanos(than).median,
        high: nanos(at).high - nanos(than).low,
    };
    table::verdict(
        "null_writer",
        "lazy and accessor over the link alone, ns",
        more(2, 1),
        1,
        Target::AtMost(9.0),
    );
    table::verdict(
        "null_writer",
        "allocations per message",
        table::flat((outcomes[2].allocations * 1e3).round() / 1e3),
        3,
        Target::AtMost(0.0),
    );
}

fn measured(send: impl FnOnce(u64)) -> Measure {
    let (cpu, allocated, begun) = (
        support::thread_cpu(),
        support::allocations(),
        Instant::now(),
    );
    send(SENDS);
    Measure {
        messages: SENDS,
        wall: begun.elapsed(),
        cpu: support::thread_cpu() - cpu,
        allocations: support::allocations() - allocated,
    }
}
