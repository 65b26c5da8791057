//! PROMISES 5.4: memory of a link ≤ `buffer_bytes` · 1.05 + 256 KiB, whatever the peer does; counted by the allocator of a
//! process of its own.
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

use std::alloc::System;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sink_runtime::clock::{SplitMix, Surroundings, TokioClock};
use sink_runtime::transport::{BoxFuture, Dial, Target, Wire, memory};
use sink_runtime::{DynSink, Failover, FanOut, Message, MessageSink, ServiceRegistry};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated and not given back.
fn held_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// One test at a time: they share the count.
static TURN: Mutex<()> = Mutex::new(());

/// Connects to a peer that welcomes and then does as `reads` says; or never connects.
struct Deaf {
    connects: bool,
    far: Mutex<Vec<memory::MemoryWire>>,
}

impl Dial for Deaf {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, std::io::Result<Arc<dyn Wire>>> {
        Box::pin(async move {
            if !self.connects {
                return std::future::pending().await;
            }
            let (near, far) = memory::pair(4096);
            let mut welcome = Vec::new();
            sink_runtime::frame::Welcome::default().encode(&mut welcome);
            far.try_write(&welcome)?;
            self.far.lock().unwrap().push(far);
            Ok(Arc::new(near) as Arc<dyn Wire>)
        })
    }
}

fn sink(connects: bool, more: &str) -> DynSink {
    let text = format!(
        "[services.orders]\ntype = \"direct\"\nendpoint = \"unix:///run/user/0/nowhere/orders.sock\"\n{more}\n"
    );
    Arc::new(
        ServiceRegistry::from_toml(&text)
            .unwrap()
            .with_surroundings(Surroundings {
                clock: Arc::new(TokioClock),
                chance: Arc::new(SplitMix::new(1)),
                dial: Arc::new(Deaf {
                    connects,
                    far: Mutex::default(),
                }),
            }),
    )
    .sink("orders")
    .unwrap()
}

/// Fills a sink with messages of `size` until it is full; bytes it then holds beyond `buffer_bytes`.
fn filled(connects: bool, more: &str, size: usize, buffer_bytes: usize) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        // Whatever a first use sets up once for the whole process is not the link's.
        drop(sink(false, ""));
        tokio::task::yield_now().await;
        let payload = Bytes::from(vec![0; size]);
        let before = held_bytes();
        let sink = sink(connects, &format!("buffer_bytes = {buffer_bytes}\nbuffer_size = 4000000\n{more}"));
        let mut accepted = 0usize;
        let most = 3 * buffer_bytes / (size + 16) + 10;
        for number in 0..most {
            if number % 64 == 0 {
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
            }
            // Each message has a payload of its own: a shared one would be counted once.
            let message = Message::new(Bytes::copy_from_slice(&payload));
            match sink.try_send(message) {
                Ok(_) => accepted += 1,
                Err(_) => break,
            }
        }
        let held = held_bytes().saturating_sub(before);
        let bound = buffer_bytes + buffer_bytes / 20 + 256 * 1024;
        let ledger = sink.ledger().unwrap();
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert!(accepted > 0);
        assert!(
            held <= bound,
            "{more} connects {connects}, {size} B: {held} bytes held, {bound} allowed; {accepted} accepted, {ledger:?}"
        );
    });
    drop(runtime);
}

const MIB: usize = 1024 * 1024;

#[test]
fn a_full_buffer_of_small_messages_keeps_to_its_bound_5_4() {
    for size in [0, 8, 200, 1500] {
        for connects in [false, true] {
            filled(connects, "", size, 4 * MIB);
            filled(connects, "delivery = \"at_least_once\"", size, 4 * MIB);
        }
        for framing in ["u32be", "lines", "raw"] {
            let more = format!("framing = \"{framing}\"");
            filled(true, &more, size, 4 * MIB);
            filled(true, &more, 50 * size, 4 * MIB);
        }
    }
}

#[test]
fn a_full_buffer_of_large_messages_keeps_to_its_bound_5_4() {
    for size in [8 * 1024, 16 * 1024, 20_000, 64 * 1024, 70_000, MIB] {
        for connects in [false, true] {
            filled(connects, "", size, 16 * MIB);
            filled(connects, "delivery = \"at_least_once\"", size, 16 * MIB);
        }
    }
}

/// What a thousand sends allocate beyond what their queue holds, once all that grows has grown.
fn allocations(send: impl AsyncFn(Message)) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let payload = Bytes::from_static(b"always the same");
    runtime.block_on(async {
        for _ in 0..20_000 {
            send(Message::new(payload.clone())).await;
        }
        let before = ALLOCATOR.stats().allocations;
        for _ in 0..1000 {
            send(Message::new(payload.clone())).await;
        }
        ALLOCATOR.stats().allocations - before
    })
}

#[test]
fn a_composite_of_static_members_allocates_nothing_for_a_message() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let member = || sink(false, "buffer_size = 1000\nwhen_full = \"drop_oldest\"");
    let either = Failover::new((member(), member()));
    let sent = allocations(async |message| {
        either.send(message).await.unwrap();
    });
    assert!(sent < 100, "{sent} by the failover");
    let all = FanOut::new((
        member(),
        Failover::new((member(),)),
        FanOut::new((member(),)),
    ));
    let sent = allocations(async |message| {
        all.send(message).await.unwrap();
    });
    assert!(sent < 100, "{sent} by the fan-out");
}

#[test]
fn dropping_for_ever_keeps_to_the_bound_5_4() {
    for policy in ["drop_newest", "drop_oldest"] {
        for size in [8, 3000, 20_000] {
            filled(false, &format!("when_full = \"{policy}\""), size, MIB);
            filled(true, &format!("when_full = \"{policy}\""), size, MIB);
        }
    }
}

#[test]
fn a_small_bound_is_kept_too_5_4() {
    for size in [0, 100, 5_000, 17_000] {
        for more in [
            "",
            "delivery = \"at_least_once\"",
            "when_full = \"drop_oldest\"",
        ] {
            for connects in [false, true] {
                filled(connects, more, size, 64 * 1024);
                filled(connects, more, size, 256 * 1024);
            }
        }
    }
}

#[test]
fn a_receiver_allocates_at_most_64_kib_ahead_of_what_arrived_4_6() {
    use sink_runtime::frame::{Assembler, DATA_HEAD, MAX_FRAME_LIMIT, OVERHEAD};
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let frame = {
        let mut frame = vec![7; 20 * MIB];
        let length = frame.len() as u32 - 4;
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame[4..DATA_HEAD].fill(0);
        frame[4] = 4;
        frame
    };
    for piece in [1000, 65_536, 1_000_000] {
        let before = held_bytes();
        let mut assembler = Assembler::new(MAX_FRAME_LIMIT as usize + OVERHEAD);
        let mut at = 0;
        while at < frame.len() {
            let room = assembler.room();
            let count = (room.capacity() - room.len())
                .min(piece)
                .min(frame.len() - at);
            room.extend_from_slice(&frame[at..at + count]);
            at += count;
            let held = held_bytes() - before;
            // The list of the pieces is some bytes for each 64 KiB.
            assert!(
                held <= at + 64 * 1024 + at / 1000 + 1024,
                "{held} bytes held of {at} arrived"
            );
            if at < frame.len() {
                assert!(assembler.take().unwrap().is_none());
            }
        }
        let (whole, count) = assembler.take().unwrap().expect("all of it came");
        assert!(whole == frame && count == 1);
        drop(whole);
        // The memory of a large frame goes with it.
        assert!(held_bytes() - before <= 64 * 1024 + 1024);
    }
}
