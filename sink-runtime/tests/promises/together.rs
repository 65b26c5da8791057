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

/// A direct service `orders` within the process, under a name of the test's own.
fn inproc(name: &str, more: &str) -> Arc<ServiceRegistry> {
    registry_at(&format!("inproc://together-{name}"), more)
}

fn orders(registry: &Arc<ServiceRegistry>) -> DynSink {
    registry.sink::<Message>("orders").unwrap()
}

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

// --- within the process

#[test]
fn a_ledger_within_the_process_balances_while_messages_go_through_5_2() {
    let registry = inproc("ledger", "");
    let sink = orders(&registry);
    let stop = Arc::<AtomicBool>::default();
    let auditor = std::thread::spawn({
        let (sink, stop) = (sink.clone(), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::SeqCst) {
                let ledger = ledger(&sink);
                assert!(ledger.in_flight <= 10_000, "{ledger:?}");
            }
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut source = registry.source::<Message>("orders").unwrap();
        source.start().await.unwrap();
        for number in 0..200_000 {
            sink.try_send(numbered(number)).unwrap();
            source.recv().await.unwrap().unwrap();
        }
    });
    stop.store(true, Ordering::SeqCst);
    auditor.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_waits_of_one_task_are_each_woken_within_the_process_1() {
    let registry = inproc("two-waits", "");
    let sink = orders(&registry);
    let first = sink.send(numbered(0)).await.unwrap();
    let second = sink.send(numbered(1)).await.unwrap();
    let waits = tokio::spawn({
        let sink = sink.clone();
        async move {
            let before = Instant::now();
            tokio::select! {
                biased;
                first = sink.settled(first, Level::Acked) => first.unwrap(),
                second = sink.settled(second, Level::Acked) => panic!("{second:?}"),
            };
            before.elapsed()
        }
    });
    settle().await;
    let mut source = registry.source::<Message>("orders").unwrap();
    source.start().await.unwrap();
    bounded(source.recv()).await.unwrap().unwrap();
    assert!(bounded(waits).await.unwrap() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_close_within_the_process_ends_with_the_last_message_though_a_newer_was_dropped_8_1() {
    let registry = inproc(
        "dropped-tail",
        "buffer_size = 2\nwhen_full = \"drop_newest\"",
    );
    let sink = orders(&registry);
    for number in 0..3 {
        sink.send(numbered(number)).await.unwrap();
    }
    let closing = tokio::spawn({
        let sink = sink.clone();
        async move {
            let before = Instant::now();
            sink.close(30 * SECOND).await;
            before.elapsed()
        }
    });
    settle().await;
    let mut source = registry.source::<Message>("orders").unwrap();
    source.start().await.unwrap();
    for _ in 0..2 {
        bounded(source.recv()).await.unwrap().unwrap();
    }
    assert!(bounded(closing).await.unwrap() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_flush_within_the_process_waits_for_what_was_taken_however_many_were_dropped_5_2() {
    let registry = inproc(
        "dropped-many",
        "buffer_size = 1\nwhen_full = \"drop_newest\"",
    );
    let sink = orders(&registry);
    for number in 0..70_000 {
        sink.try_send(numbered(number)).unwrap();
    }
    let mut source = registry.source::<Message>("orders").unwrap();
    source.start().await.unwrap();
    let flushing = tokio::spawn({
        let sink = sink.clone();
        async move { sink.flush().await }
    });
    settle().await;
    assert!(!flushing.is_finished());
    bounded(source.recv()).await.unwrap().unwrap();
    bounded(flushing).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_confirming_send_within_the_process_is_acked_while_its_sink_closes_8_1() {
    let registry = inproc("confirm-close", "confirm = \"acked\"");
    let sink = orders(&registry);
    let sending = tokio::spawn({
        let sink = sink.clone();
        async move {
            sink.send(numbered(0))
                .await
                .map_err(|error| error.to_string())
        }
    });
    settle().await;
    let closing = tokio::spawn({
        let sink = sink.clone();
        async move { sink.close(30 * SECOND).await }
    });
    settle().await;
    let mut source = registry.source::<Message>("orders").unwrap();
    source.start().await.unwrap();
    bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!(
        bounded(sending).await.unwrap().unwrap().level(),
        Level::Acked
    );
    assert!(bounded(closing).await.unwrap().is_clean());
}

#[tokio::test(start_paused = true)]
async fn readiness_within_the_process_is_bounded_too_2_3() {
    let registry = inproc("ready", "buffer_size = 1\nsend_timeout_ms = 1000");
    let sink = orders(&registry);
    sink.try_send(numbered(0)).unwrap();
    let before = Instant::now();
    bounded(sink.ready()).await;
    assert!(before.elapsed() >= SECOND);
}

// --- composites

#[tokio::test(start_paused = true)]
async fn a_fan_out_over_a_full_queue_within_the_process_gives_back_at_the_deadline_2_3() {
    let registry = inproc("fan-out", "buffer_size = 1\nsend_timeout_ms = 1000");
    let sink = orders(&registry);
    sink.try_send(numbered(0)).unwrap();
    let both = FanOut::new(Members::new(vec![(sink, false)]));
    let error = bounded(both.send(numbered(1))).await.unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(error.into_message().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_member_within_the_process_drops_as_its_when_full_says_5() {
    for policy in ["drop_newest", "drop_oldest"] {
        let registry = inproc(
            policy,
            &format!("buffer_size = 1\nwhen_full = \"{policy}\""),
        );
        let sink = orders(&registry);
        let both = FanOut::new(Members::new(vec![(sink.clone(), false)]));
        for number in 0..3 {
            poll_once(both.send(numbered(number)))
                .expect("nobody waits")
                .unwrap();
        }
        let ledger = ledger(&sink);
        assert_eq!(
            (ledger.attempted, ledger.in_flight),
            (3, 1),
            "{policy}: {ledger:?}"
        );
        assert_eq!(ledger.dropped.newest + ledger.dropped.oldest, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_one_member_drops_still_reaches_the_others_of_a_nested_fan_out_7_3() {
    let full = sink_over(
        &Net::new(|_| Answer::Hang),
        "buffer_size = 1\nwhen_full = \"drop_newest\"",
    );
    let roomy = sink_over(&Net::new(|_| Answer::Hang), "");
    static INNER: std::sync::OnceLock<FanOut<Members<Message>>> = std::sync::OnceLock::new();
    let inner = INNER.get_or_init(|| {
        FanOut::new(Members::new(vec![
            (roomy.clone(), false),
            (full.clone(), false),
        ]))
    });
    let outer = FanOut::new((Ref::Static(inner),));
    for number in 0..3 {
        poll_once(outer.send(numbered(number)))
            .expect("nobody waits")
            .unwrap();
    }
    assert_eq!(ledger(&full).dropped.newest, 2);
    let ledger = ledger(&roomy);
    assert_eq!((ledger.attempted, ledger.buffered), (3, 3), "{ledger:?}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_an_optional_member_drops_is_counted_once_7_1() {
    let full = sink_over(
        &Net::new(|_| Answer::Hang),
        "buffer_size = 1\nwhen_full = \"drop_newest\"",
    );
    let both = FanOut::new(Members::new(vec![(full.clone(), true)]));
    for number in 0..3 {
        both.try_send(numbered(number)).unwrap();
    }
    let ledger = ledger(&full);
    assert_eq!(
        (ledger.attempted, ledger.dropped.total()),
        (3, 2),
        "{ledger:?}"
    );
    assert_eq!(both.optional_dropped(), 2);
}

/// Of eight branches one takes a connection and never reads: the others get every message without a moment's wait.
#[tokio::test(start_paused = true)]
async fn a_stuck_member_does_not_slow_the_others_7_2() {
    let narrow = Rules {
        capacity: 2048,
        ..Rules::default()
    };
    let stuck = Net::new(move |_| Answer::Connect(narrow.clone()));
    let nets: Vec<_> = (0..7).map(|_| Net::open()).collect();
    let mut members = vec![(sink_over(&stuck, "buffer_size = 10"), true)];
    members.extend(nets.iter().map(|net| (sink_over(net, ""), false)));
    let all = FanOut::new(Members::new(members));

    let (mut readers, mut held) = (Vec::new(), Vec::new());
    for number in 0..500 {
        poll_once(all.send(numbered(number)))
            .expect("nobody waits")
            .unwrap();
        if readers.is_empty() {
            for net in &nets {
                readers.push(bounded(net.greet()).await);
            }
            held.push(bounded(stuck.greet()).await);
        }
        for reader in &mut readers {
            let (_, payload) = bounded(reader.data()).await.expect("connected");
            assert_eq!(number_of(&payload), number);
        }
    }
    assert!(all.optional_dropped() > 300, "{}", all.optional_dropped());
}

#[tokio::test(start_paused = true)]
async fn an_optional_member_that_opens_lazily_is_opened_by_the_first_send_2_2() {
    let sink = sink_over(&Net::new(|_| Answer::Hang), "");
    let lazy = Lazy::new({
        let sink = sink.clone();
        move || {
            let sink = sink.clone();
            async move { Ok::<_, std::convert::Infallible>(sink) }
        }
    });
    let both = FanOut::new((Optional(lazy),));
    for number in 0..3 {
        both.send(numbered(number)).await.unwrap();
        settle().await;
    }
    assert_eq!(ledger(&sink).buffered, 2);
}

/// Polled again and again while it opens, each waiter is remembered once.
#[tokio::test(start_paused = true)]
async fn a_sink_that_opens_remembers_each_waiter_once_5_4() {
    let held = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&held));
    let mut context = Context::from_waker(&waker);
    let lazy: Lazy<DynSink> =
        Lazy::new(std::future::pending::<Result<DynSink, std::convert::Infallible>>);
    let mut connecting = pin!(lazy.connect());
    for _ in 0..1000 {
        assert!(matches!(
            connecting.as_mut().poll(&mut context),
            Poll::Pending
        ));
    }
    assert!(
        Arc::strong_count(&held) < 10,
        "{}",
        Arc::strong_count(&held)
    );
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
