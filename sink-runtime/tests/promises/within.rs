//! Within the process: a direct service's `inproc://` keeps what its keys and the ledger promise, though no byte is written.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{
    DynSink, FanOut, GapCause, Level, Lost, Members, Message, MessageSink, Outcome, SendErrorKind,
    ServiceRegistry, Source, SourceError,
};

use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

/// A direct service `orders` within the process, under a name of the test's own.
fn inproc(name: &str, more: &str) -> Arc<ServiceRegistry> {
    registry_at(&format!("inproc://within-{name}"), more)
}

fn orders(registry: &Arc<ServiceRegistry>) -> DynSink {
    registry.sink::<Message>("orders").unwrap()
}

async fn bound(registry: &Arc<ServiceRegistry>) -> Source<Message> {
    let mut source = registry.source::<Message>("orders").unwrap();
    source.start().await.unwrap();
    source
}

/// The next message and the sequences missing before it.
async fn next(source: &mut Source<Message>) -> (u64, Option<(u64, u64)>) {
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    let gap = delivery.gap().map(|gap| (gap.from, gap.to));
    (number_of(delivery.payload()), gap)
}

/// What the source says is missing, with no message behind it.
async fn missing(source: &mut Source<Message>) -> (u64, u64) {
    match bounded(source.recv()).await.unwrap() {
        Err(SourceError::Gap(gap)) => {
            assert_eq!(gap.cause, GapCause::Producer);
            (gap.from, gap.to)
        }
        other => panic!("{other:?}"),
    }
}

// --- 4.2: a confirming send at its deadline

#[tokio::test(start_paused = true)]
async fn a_confirming_send_that_nobody_takes_is_withdrawn_at_its_deadline_4_2() {
    let registry = inproc("withdrawn", "confirm = \"acked\"\nsend_timeout_ms = 1000");
    let sink = orders(&registry);
    let error = bounded(sink.send(numbered(7))).await.unwrap_err();
    assert!(matches!(error.kind(), SendErrorKind::Unconfirmed { .. }));
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    assert_eq!(number_of(error.into_message().unwrap().payload()), 7);
    let after = ledger(&sink);
    assert_eq!((after.returned.withdrawn, after.in_flight), (1, 0));
    assert!(after.is_balanced(), "{after:?}");

    // It is never delivered later, and the receiver sees that one is missing.
    let sending = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(8)).await.unwrap() }
    });
    settle().await;
    let mut source = bound(&registry).await;
    assert_eq!(next(&mut source).await, (8, Some((1, 1))));
    let receipt = bounded(sending).await.unwrap();
    let first = sink_runtime::Receipt::new(receipt.link(), 1, Level::Accepted);
    let fate = bounded(sink.settled(first, Level::Acked)).await;
    assert!(matches!(fate, Err(Lost::Dropped { .. })), "{fate:?}");
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_message_makes_room_for_one_that_waits_4_2() {
    let registry = inproc(
        "withdrawn-room",
        "confirm = \"acked\"\nsend_timeout_ms = 1000\nbuffer_size = 1",
    );
    let sink = orders(&registry);
    let mut first = Box::pin(sink.send(numbered(1)));
    assert!(poll_once(&mut first).is_none());
    tokio::time::advance(SECOND / 2).await;
    let second = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(2)).await.map(|receipt| receipt.level()) }
    });
    settle().await;
    assert!(bounded(first).await.is_err());
    settle().await;
    let mut source = bound(&registry).await;
    assert_eq!(next(&mut source).await, (2, Some((1, 1))));
    assert_eq!(bounded(second).await.unwrap().unwrap(), Level::Acked);
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_what_stood_before_a_withdrawn_message_5_2() {
    let registry = inproc(
        "withdrawn-flush",
        "confirm = \"acked\"\nsend_timeout_ms = 1000",
    );
    let sink = orders(&registry);
    sink.try_send(numbered(1)).unwrap();
    assert!(bounded(sink.send(numbered(2))).await.is_err());
    let flushing = tokio::spawn({
        let sink = sink.clone();
        async move { sink.flush().await }
    });
    settle().await;
    assert!(!flushing.is_finished());
    let mut source = bound(&registry).await;
    assert_eq!(next(&mut source).await, (1, None));
    bounded(flushing).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_message_hears_at_once_that_it_was_dropped_5() {
    let registry = inproc(
        "told-oldest",
        "buffer_size = 1\nwhen_full = \"drop_oldest\"",
    );
    let sink = orders(&registry);
    let receipt = sink.try_send(numbered(1)).unwrap();
    let waiting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.settled(receipt, Level::Acked).await }
    });
    settle().await;
    sink.try_send(numbered(2)).unwrap();
    settle().await;
    assert!(waiting.is_finished());
    let fate = waiting.await.unwrap();
    assert!(matches!(fate, Err(Lost::Dropped { .. })), "{fate:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_other_end_has_taken_is_unknown_at_the_deadline_4_2() {
    let registry = inproc("taken", "confirm = \"acked\"\nsend_timeout_ms = 1000");
    let sink = orders(&registry);
    let mut source = bound(&registry).await;
    let (mut first, mut second) = (
        pin!(sink.send(numbered(1))),
        Box::pin(sink.send(numbered(2))),
    );
    assert!(poll_once(first.as_mut()).is_none());
    assert!(poll_once(&mut second).is_none());
    // Both are taken out of the queue with the first, and only the first is handed up.
    assert_eq!(next(&mut source).await, (1, None));
    assert_eq!(bounded(first).await.unwrap().level(), Level::Acked);
    let error = bounded(second).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert!(error.into_message().is_none());
    assert_eq!(next(&mut source).await, (2, None));
    assert!(ledger(&sink).is_balanced());
}

#[test]
fn who_waits_without_a_runtime_stops_at_the_deadline_too_2_3() {
    let registry = inproc("no-runtime", "buffer_size = 1\nsend_timeout_ms = 1");
    let sink = orders(&registry);
    sink.try_send(numbered(0)).unwrap();
    let mut waits = Box::pin(sink.send(numbered(1)));
    assert!(poll_once(&mut waits).is_none());
    // Longer than its deadline, however late it is.
    std::thread::sleep(Duration::from_millis(2));
    let error = poll_once(waits).expect("its time is over").unwrap_err();
    assert!(error.is_full(), "{error}");
}

// --- what was dropped behind the last message

#[tokio::test(start_paused = true)]
async fn what_was_dropped_behind_the_last_message_is_told_5() {
    let registry = inproc("tail", "buffer_size = 1\nwhen_full = \"drop_newest\"");
    let sink = orders(&registry);
    for number in 0..3 {
        sink.try_send(numbered(number)).unwrap();
    }
    let mut source = bound(&registry).await;
    assert_eq!(next(&mut source).await, (0, None));
    assert_eq!(missing(&mut source).await, (2, 3));
    assert!(poll_once(source.recv()).is_none());
    // Told once, and not again with the message that follows.
    sink.try_send(numbered(3)).unwrap();
    assert_eq!(next(&mut source).await, (3, None));
    assert!(poll_once(source.recv()).is_none());
    let told = source.ledger();
    assert_eq!((told.received, told.lost, told.gaps), (2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_close_gave_back_before_there_was_a_source_is_told_8_1() {
    let registry = inproc("tail-close", "");
    let sink = orders(&registry);
    sink.try_send(numbered(0)).unwrap();
    sink.try_send(numbered(1)).unwrap();
    let report = bounded(sink.close(SECOND)).await;
    assert_eq!(report.undelivered.len(), 2);
    let mut source = bound(&registry).await;
    assert_eq!(missing(&mut source).await, (1, 2));
    assert!(poll_once(source.recv()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_sleeps_is_woken_for_what_was_dropped_7_1() {
    let registry = inproc("tail-asleep", "");
    let sink = orders(&registry);
    bounded(sink.close(SECOND)).await;
    let mut source = bound(&registry).await;
    let receiving = tokio::spawn(async move { missing(&mut source).await });
    settle().await;
    // Closed, and optional: its copy is dropped.
    let both = FanOut::new(Members::new(vec![(sink, true)]));
    both.try_send(numbered(0)).unwrap();
    settle().await;
    assert!(receiving.is_finished());
    assert_eq!(receiving.await.unwrap(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_goes_leaves_what_it_did_not_tell_to_the_next_4_9() {
    let registry = inproc("tail-next", "buffer_size = 1\nwhen_full = \"drop_newest\"");
    let sink = orders(&registry);
    sink.try_send(numbered(0)).unwrap();
    sink.try_send(numbered(1)).unwrap();
    let mut source = bound(&registry).await;
    assert_eq!(next(&mut source).await, (0, None));
    drop(source);
    let mut source = bound(&registry).await;
    assert_eq!(missing(&mut source).await, (2, 2));
    // One that was closed tells it all before it ends.
    sink.try_send(numbered(2)).unwrap();
    sink.try_send(numbered(3)).unwrap();
    source.close();
    assert_eq!(next(&mut source).await, (2, None));
    assert_eq!(missing(&mut source).await, (4, 4));
    assert!(bounded(source.recv()).await.is_none());
}

// --- 4.6: a message that is too large

#[tokio::test(start_paused = true)]
async fn bytes_over_max_frame_bytes_are_refused_within_the_process_too_4_6() {
    let registry = inproc("too-large", "max_frame_bytes = 64");
    let sink = orders(&registry);
    sink.try_send(Message::new(vec![0; 64])).unwrap();
    let error = sink.try_send(Message::new(vec![0; 65])).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            SendErrorKind::TooLarge {
                bytes: 65,
                limit: 64,
                key: "max_frame_bytes",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.into_message().is_some());
    let error = bounded(sink.send(Message::new(vec![0; 65]))).await;
    assert!(error.is_err());
    let both = FanOut::new(Members::new(vec![(sink.clone(), false)]));
    let error = both.try_send(Message::new(vec![0; 65])).unwrap_err();
    assert!(
        matches!(error.kind(), SendErrorKind::TooLarge { .. }),
        "{error}"
    );
    let after = ledger(&sink);
    assert_eq!((after.returned.refused, after.in_flight), (2, 1));
    assert!(after.is_balanced(), "{after:?}");
}

// --- 4.10: what waited too long

#[tokio::test(start_paused = true)]
async fn what_waited_longer_than_max_age_is_not_handed_up_4_10() {
    let registry = inproc("too-old", "max_age_ms = 1000");
    let sink = orders(&registry);
    let old = sink.try_send(numbered(0)).unwrap();
    sink.try_send(numbered(1)).unwrap();
    tokio::time::advance(Duration::from_millis(1)).await;
    let young = sink.try_send(numbered(2)).unwrap();
    tokio::time::advance(SECOND).await;
    let mut source = bound(&registry).await;
    // The last has waited for its second exactly.
    assert_eq!(next(&mut source).await, (2, Some((1, 2))));
    let held = ledger(&sink);
    assert_eq!((held.dropped.expired, held.done), (2, 1), "{held:?}");
    assert!(held.is_balanced(), "{held:?}");
    let lost = sink.settled(old, Level::Acked).await.unwrap_err();
    assert!(lost.to_string().contains("expired"), "{lost}");
    let level = sink.settled(young, Level::Acked).await.unwrap();
    assert_eq!(level, Level::Acked);
}

#[tokio::test(start_paused = true)]
async fn what_grows_old_in_the_hands_of_a_slow_source_is_not_handed_up_4_10() {
    let registry = inproc("too-slow", "max_age_ms = 1000");
    let sink = orders(&registry);
    let mut source = bound(&registry).await;
    for number in 0..3 {
        sink.try_send(numbered(number)).unwrap();
    }
    let waiting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.flush().await }
    });
    // All three are taken out of the queue with the first.
    assert_eq!(next(&mut source).await, (0, None));
    settle().await;
    tokio::time::advance(SECOND + Duration::from_millis(1)).await;
    // Nothing follows: it is told all the same, and who waits hears of it.
    assert_eq!(missing(&mut source).await, (2, 3));
    assert!(poll_once(source.recv()).is_none());
    settle().await;
    assert!(waiting.is_finished());
    assert_eq!(ledger(&sink).dropped.expired, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_takes_no_room_4_10() {
    let registry = inproc("too-old-room", "max_age_ms = 1000\nbuffer_size = 2");
    let sink = orders(&registry);
    sink.try_send(numbered(0)).unwrap();
    sink.try_send(numbered(1)).unwrap();
    // Nobody takes any, and nobody but time makes room.
    let before = Instant::now();
    bounded(sink.send(numbered(2))).await.unwrap();
    assert!(before.elapsed() > SECOND, "{:?}", before.elapsed());
    assert!(before.elapsed() < 2 * SECOND, "{:?}", before.elapsed());
    sink.try_send(numbered(3)).unwrap();
    let before = Instant::now();
    bounded(sink.ready()).await;
    assert!(before.elapsed() < 2 * SECOND, "{:?}", before.elapsed());
    let both = FanOut::new(Members::new(vec![(sink.clone(), false)]));
    both.try_send(numbered(4)).unwrap();
    let held = ledger(&sink);
    assert_eq!((held.dropped.expired, held.in_flight), (4, 1), "{held:?}");
    let mut source = bound(&registry).await;
    assert_eq!(next(&mut source).await, (4, Some((1, 4))));
}

#[tokio::test(start_paused = true)]
async fn a_confirming_send_within_the_process_gets_back_what_grew_too_old_4_10() {
    let registry = inproc("too-old-back", "max_age_ms = 1000\nconfirm = \"acked\"");
    let sink = orders(&registry);
    let sending = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(4)).await }
    });
    settle().await;
    tokio::time::advance(2 * SECOND).await;
    let mut source = bound(&registry).await;
    assert_eq!(missing(&mut source).await, (1, 1));
    settle().await;
    assert!(sending.is_finished());
    let error = sending.await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.to_string().contains("max_age_ms"), "{error}");
    assert_eq!(number_of(error.into_message().unwrap().payload()), 4);
    let after = ledger(&sink);
    assert_eq!(after.dropped.expired, 1);
    assert!(after.is_balanced(), "{after:?}");
}
