//! What shows only where two things meet: a thread without a runtime, a rival for the same room, a full turn of the flusher.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use sink_runtime::frame::{self, Welcome};
use sink_runtime::{
    DynSink, FanOut, Lazy, Level, Lost, Members, Message, MessageSink, Optional, Ref,
    SendErrorKind, ServiceRegistry,
};
use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

async fn connected(sink: &DynSink, net: &Net) -> Peer {
    let (connected, peer) = bounded(async { tokio::join!(sink.connect(), net.greet()) }).await;
    connected.unwrap();
    peer
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls every future once, each under a waker that counts.
fn poll_all<F: Future + Unpin>(futures: &mut [F]) -> Vec<Arc<Count>> {
    let counts: Vec<Arc<Count>> = futures.iter().map(|_| Arc::default()).collect();
    for (future, count) in futures.iter_mut().zip(&counts) {
        let waker = Waker::from(Arc::clone(count));
        let mut context = Context::from_waker(&waker);
        assert!(pin!(future).poll(&mut context).is_pending());
    }
    counts
}

#[test]
fn who_asks_without_a_runtime_leaves_a_link_that_a_later_send_still_starts_2_9() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    // No runtime: refused, and nothing is pretended to be under way.
    assert!(poll_once(sink.connect()).expect("at once").is_err());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        sink.send(numbered(1)).await.unwrap();
        let mut peer = tokio::time::timeout(5 * SECOND, net.greet())
            .await
            .expect("the send dials");
        assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_though_the_last_write_was_the_last_of_the_drivers_turn_5_2() {
    // Three messages fill a segment, which is one write: some of these counts end with the last write of a turn.
    for count in 30..=60 {
        let net = Net::new(|_| {
            Answer::Connect(Rules {
                capacity: 1 << 24,
                ..Rules::default()
            })
        });
        let sink = sink_over(&net, "");
        let _peer = connected(&sink, &net).await;
        let before = Instant::now();
        for _ in 0..count {
            sink.try_send(Message::new(vec![7; 30_000])).unwrap();
        }
        bounded(sink.flush()).await.unwrap();
        assert!(before.elapsed() < SECOND, "{count}: {:?}", before.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn connect_ends_though_the_peer_says_welcome_and_goodbye_at_once_2_3() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let mut peer = bounded(net.accept()).await;
    bounded(peer.hear_hello()).await;
    peer.say(|out| {
        Welcome {
            max_frame_bytes: frame::MAX_FRAME_LIMIT,
            ..Welcome::default()
        }
        .encode(out);
        frame::control(out, frame::Kind::Bye, |_| {});
    });
    drop(peer);
    let before = Instant::now();
    let _ = bounded(connecting).await.unwrap();
    assert!(before.elapsed() < SECOND, "{:?}", before.elapsed());
    // And it was one attempt, not as many as there was time for.
    assert_eq!(net.dials(), 1);
}

/// Many threads on a buffer that is full in bytes, with nobody at the other end: all are taken at once, the oldest goes.
#[test]
fn rivals_for_the_room_that_a_drop_made_do_not_wait_for_a_dead_peer_5() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let net = Net::new(|_| Answer::Hang);
    let sink = runtime.block_on(async {
        sink_over(
            &net,
            "when_full = \"drop_oldest\"\nbuffer_bytes = 1048576\nconnect_timeout_ms = 60000",
        )
    });
    let done = runtime.block_on(async {
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let sink = sink.clone();
                tokio::spawn(async move {
                    for number in 0..20_000usize {
                        let size = 3_000 + (number * 37 + sender * 911) % 3_000;
                        sink.send(Message::new(vec![0; size])).await.unwrap();
                    }
                })
            })
            .collect();
        tokio::time::timeout(20 * SECOND, async {
            for sender in senders {
                sender.await.unwrap();
            }
        })
        .await
        .is_ok()
    });
    let ledger = ledger(&sink);
    assert!(done, "they wait: {ledger:?}");
    assert_eq!((ledger.attempted, ledger.waiting), (80_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_write_on_the_spot_wakes_nobody_who_waits_for_an_ack_5_5() {
    let net = Net::open();
    let sink = sink_over(&net, "confirm = \"acked\"");
    let _peer = connected(&sink, &net).await;
    let mut sends: Vec<_> = (0..10).map(|n| Box::pin(sink.send(numbered(n)))).collect();
    let counts = poll_all(&mut sends);
    settle().await;
    for count in &counts {
        count.0.store(0, Ordering::SeqCst);
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    // The link was silent: this one is written here and now.
    let mut last = pin!(sink.send(numbered(10)));
    assert!(poll_once(last.as_mut()).is_none());
    assert_eq!(ledger(&sink).in_flight, 11);
    let woken: usize = counts
        .iter()
        .map(|count| count.0.load(Ordering::SeqCst))
        .sum();
    assert_eq!(woken, 0);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_message_wakes_nobody_who_waits_for_an_ack_4_2() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(
        &net,
        "confirm = \"acked\"\nsend_timeout_ms = 1000\nconnect_timeout_ms = 600000",
    );
    let mut first = Box::pin(sink.send(numbered(0)));
    assert!(poll_once(&mut first).is_none());
    settle().await;
    tokio::time::advance(SECOND / 2).await;
    let mut sends: Vec<_> = (1..11).map(|n| Box::pin(sink.send(numbered(n)))).collect();
    let counts = poll_all(&mut sends);
    settle().await;
    tokio::time::advance(SECOND / 2).await;
    settle().await;
    for count in &counts {
        count.0.store(0, Ordering::SeqCst);
    }
    let error = poll_once(first).expect("its time is over").unwrap_err();
    assert!(matches!(error.kind(), SendErrorKind::Unconfirmed { .. }));
    assert_eq!(ledger(&sink).returned.withdrawn, 1);
    let woken: usize = counts
        .iter()
        .map(|count| count.0.load(Ordering::SeqCst))
        .sum();
    assert_eq!(woken, 0);
}

#[tokio::test(start_paused = true)]
async fn who_stood_behind_a_large_message_that_was_given_up_goes_in_where_there_is_room_2_3() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(
        &net,
        "buffer_bytes = 2097152\nmax_frame_bytes = 1048576\nconnect_timeout_ms = 600000",
    );
    // Nine tenths: less than a quarter is free.
    for _ in 0..18 {
        sink.try_send(Message::new(vec![0; 100_000])).unwrap();
    }
    let mut large = Box::pin(sink.send(Message::new(vec![0; 1_000_000])));
    assert!(poll_once(&mut large).is_none());
    let mut little = Box::pin(sink.send(numbered(1)));
    assert!(poll_once(&mut little).is_none());
    drop(large);
    let before = Instant::now();
    bounded(little).await.unwrap();
    assert!(before.elapsed() < SECOND, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_stood_behind_a_large_message_that_timed_out_goes_in_where_there_is_room_2_3() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(
        &net,
        "buffer_bytes = 2097152\nmax_frame_bytes = 1048576\nsend_timeout_ms = 10000\nconnect_timeout_ms = 600000",
    );
    for _ in 0..18 {
        sink.try_send(Message::new(vec![0; 100_000])).unwrap();
    }
    let large = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(Message::new(vec![0; 1_000_000])).await.is_err() }
    });
    settle().await;
    tokio::time::advance(5 * SECOND).await;
    let before = Instant::now();
    bounded(sink.send(numbered(1))).await.unwrap();
    assert!(before.elapsed() < 6 * SECOND, "{:?}", before.elapsed());
    assert!(bounded(large).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_message_unknown_at_a_close_is_not_called_acked_by_a_later_ack_5_1() {
    let net = Net::open();
    let sink = sink_over(&net, "confirm = \"acked\"");
    let receipt = sink.try_send(numbered(0)).unwrap();
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    let report = bounded(sink.close(SECOND)).await;
    assert_eq!(report.ledger.unknown, 1);
    drop(peer);
    let connected = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(connected).await.unwrap().unwrap();
    let second = sink.try_send(numbered(1)).unwrap();
    bounded(peer.data()).await.unwrap();
    peer.ack(second.sequence());
    assert_eq!(
        bounded(sink.settled(second, Level::Acked)).await.unwrap(),
        Level::Acked
    );
    let first = bounded(sink.settled(receipt, Level::Acked)).await;
    assert!(matches!(first, Err(Lost::Unknown { .. })), "{first:?}");
    let ledger = ledger(&sink);
    assert_eq!((ledger.unknown, ledger.done), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_do_not_pile_up_before_a_peer_that_does_not_read_5_4() {
    let net = Net::new(|_| {
        Answer::Connect(Rules {
            capacity: 4096,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, "heartbeat_ms = 1000\nsend_timeout_ms = \"never\"");
    sink.try_send(Message::new(vec![0; 64_000])).unwrap();
    let mut peer = bounded(net.accept()).await;
    bounded(peer.hear_hello()).await;
    peer.say(|out| {
        Welcome {
            max_frame_bytes: frame::MAX_FRAME_LIMIT,
            heartbeat_ms: 1000,
            ..Welcome::default()
        }
        .encode(out);
    });
    // It goes on speaking, and its caller does not read.
    for _ in 0..100 {
        tokio::time::sleep(SECOND).await;
        peer.say(|out| frame::heartbeat(out, 0));
    }
    let mut heartbeats = 0;
    while let Ok(Some(frame)) = tokio::time::timeout(SECOND / 2, peer.frame()).await {
        heartbeats += usize::from(frame[4] == frame::Kind::Heartbeat as u8);
    }
    assert!(heartbeats <= 2, "{heartbeats}");
}

// --- a runtime that exists and is not run

/// Asks the sink whatever it is told of, as one that exports ledgers may.
struct Asking(DynSink, Arc<AtomicUsize>);

impl tracing::Subscriber for Asking {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("sink_runtime")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        ledger(&self.0);
        self.1.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn another_runtime_carries_on_where_the_drivers_is_not_run_and_may_tell_of_it_2_9() {
    // The clock is paused: the second that a driver has to answer passes as soon as nothing else can happen.
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let net = Net::open();
    let sink = sink_over(&net, "delivery = \"at_least_once\"");
    let (stuck, running) = (runtime(), runtime());
    // The driver starts here, connects, and is polled no more once `block_on` has returned.
    let first = stuck.block_on(async {
        let peer = connected(&sink, &net).await;
        sink.send(numbered(1)).await.unwrap();
        peer
    });
    let told = Arc::<AtomicUsize>::default();
    let _guard = tracing::subscriber::set_default(Asking(sink.clone(), Arc::clone(&told)));
    running.block_on(async {
        sink.send(numbered(2)).await.unwrap();
        let (flushed, numbers) = tokio::join!(sink.flush(), async {
            let mut peer = bounded(net.greet()).await;
            let mut numbers = Vec::new();
            for _ in 0..2 {
                let (sequence, payload) = bounded(peer.data()).await.unwrap();
                numbers.push(number_of(&payload));
                peer.ack(sequence);
            }
            settle().await;
            numbers
        });
        flushed.unwrap();
        assert_eq!(numbers, [1, 2]);
    });
    assert_eq!(net.dials(), 2);
    assert!(told.load(Ordering::SeqCst) > 0);
    drop(first);
    // The first driver learns that it was replaced, and touches nothing.
    stuck.block_on(settle());
    assert_eq!((ledger(&sink).done, net.dials()), (2, 2));
}
