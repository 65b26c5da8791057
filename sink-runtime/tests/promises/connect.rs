//! §2 Lazy connect.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sink_runtime::frame::{self, Kind, Refuse, RefuseCode, Welcome};
use sink_runtime::transport::{Endpoint, Target, listen};
use sink_runtime::{
    ConnectError, DynSink, Level, Message, MessageSink, Outcome, SendErrorKind, SinkState,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

fn rounds() -> usize {
    std::env::var("SINKS_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(miri, ignore = "miri knows no sockets of this kind")]
async fn a_thousand_concurrent_first_sends_are_one_accept_2_2() {
    for round in 0..rounds() {
        let (directory, endpoint) = socket();
        let path = directory.path().join("orders.sock").display().to_string();
        let mut listener = listen(&Target::new(Endpoint::Unix(path))).await.unwrap();
        let accepts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepts);
        let server = tokio::spawn(async move {
            let mut peers = Vec::new();
            loop {
                let mut peer = accept(&mut listener).await;
                counted.fetch_add(1, Ordering::SeqCst);
                peers.push(tokio::spawn(async move {
                    peer.greet().await;
                    while peer.data().await.is_some() {}
                }));
            }
        });
        let sink = registry_at(&endpoint, "")
            .sink::<Message>("orders")
            .unwrap();
        let sends: Vec<_> = (0..1000)
            .map(|number| {
                let sink = sink.clone();
                tokio::spawn(async move { sink.send(numbered(number)).await.map(|_| ()) })
            })
            .collect();
        for send in sends {
            bounded(send).await.unwrap().unwrap();
        }
        bounded(sink.flush()).await.unwrap();
        let report = bounded(sink.close(10 * SECOND)).await;
        assert_eq!(report.ledger.done, 1000, "round {round}: {report}");
        assert!(report.ledger.is_balanced());
        assert_eq!(accepts.load(Ordering::SeqCst), 1, "round {round}");
        server.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_cancel_the_attempt_2_2() {
    let go = Arc::new(Notify::new());
    let answer = Arc::clone(&go);
    let net = Net::new(move |_| Answer::When(Arc::clone(&answer)));
    let sink = sink_over(&net, "");
    assert!(poll_once(sink.connect()).is_none(), "it waits");
    // Its future is dropped here; the attempt goes on, and is not begun again.
    settle().await;
    assert_eq!(sink.state().name(), "connecting");
    let joined = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    settle().await;
    go.notify_one();
    let _peer = bounded(net.greet()).await;
    bounded(joined).await.unwrap().unwrap();
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_everyone_gave_up_still_ends_ready_2_2() {
    let go = Arc::new(Notify::new());
    let answer = Arc::clone(&go);
    let net = Net::new(move |_| Answer::When(Arc::clone(&answer)));
    let sink = sink_over(&net, "");
    assert!(poll_once(sink.connect()).is_none());
    settle().await;
    go.notify_one();
    let _peer = bounded(net.greet()).await;
    settle().await;
    assert!(sink.is_connected());
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn send_does_not_wait_for_a_connection_while_there_is_room_2_3() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "buffer_size = 100");
    for number in 0..100 {
        let receipt = poll_once(sink.send(numbered(number)))
            .expect("it is accepted in its first poll")
            .unwrap();
        assert_eq!(receipt.level(), Level::Accepted);
    }
    assert!(
        poll_once(sink.send(numbered(100))).is_none(),
        "now it waits"
    );
    assert_eq!(ledger(&sink).buffered, 100);
}

#[tokio::test(start_paused = true)]
async fn connect_gets_the_attempts_error_2_3() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
    let sink = sink_over(&net, "");
    let before = Instant::now();
    let error = bounded(sink.connect()).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotThereYet { .. }), "{error}");
    assert_eq!(
        before.elapsed(),
        Duration::ZERO,
        "it does not wait for another"
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_lasts_at_most_connect_timeout_2_3() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "");
    let before = Instant::now();
    let error = bounded(sink.connect()).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    let took = before.elapsed();
    assert!(
        took >= 5 * SECOND && took < 5 * SECOND + Duration::from_millis(5),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_whose_peer_never_greets_is_bounded_too_2_3() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    let before = Instant::now();
    let error = bounded(sink.connect()).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    let took = before.elapsed();
    // The stream is there at once; then the hello has its own bound (10.5).
    assert!(
        took >= 2 * SECOND && took < 2 * SECOND + Duration::from_millis(5),
        "{took:?}"
    );
    assert!(error.to_string().contains("2s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_confirming_send_waits_through_failed_attempts_and_names_the_last_2_3() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::NotFound));
    let sink = sink_over(&net, "confirm = \"written\"");
    let before = Instant::now();
    let error = bounded(sink.send(numbered(7))).await.unwrap_err();
    let took = before.elapsed();
    assert!(
        took >= 30 * SECOND && took < 30 * SECOND + Duration::from_millis(5),
        "{took:?}"
    );
    assert!(net.dials() > 5, "{} attempts", net.dials());
    assert_eq!(error.outcome(), Outcome::NotSent);
    match error.kind() {
        SendErrorKind::Unconfirmed {
            last: Some(last), ..
        } => {
            assert!(matches!(**last, ConnectError::NotThereYet { .. }), "{last}");
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains("nobody listens"), "{error}");
    assert_eq!(number_of(error.into_message().unwrap().payload()), 7);
    assert_eq!(ledger(&sink).returned.withdrawn, 1);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_needs_room_waits_through_failed_attempts_and_names_the_last_2_3() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::NotFound));
    let sink = sink_over(&net, "buffer_size = 1\nsend_timeout_ms = 7000");
    sink.try_send(numbered(0)).unwrap();
    let before = Instant::now();
    let error = bounded(sink.send(numbered(1))).await.unwrap_err();
    let took = before.elapsed();
    assert!(
        took >= 7 * SECOND && took < 7 * SECOND + Duration::from_millis(5),
        "{took:?}"
    );
    match error.kind() {
        SendErrorKind::Full {
            last: Some(_),
            waited,
            ..
        } => assert!(*waited >= 7 * SECOND),
        other => panic!("{other}"),
    }
    assert_eq!(number_of(error.into_message().unwrap().payload()), 1);
    assert_eq!(ledger(&sink).returned.full, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_and_for_confirmation_share_one_deadline_2_3() {
    let go = Arc::new(Notify::new());
    let answer = Arc::clone(&go);
    let net = Net::new(move |_| Answer::When(Arc::clone(&answer)));
    let sink = sink_over(
        &net,
        "buffer_size = 1\nconfirm = \"acked\"\nconnect_timeout_ms = 60000",
    );
    let first = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(0)).await }
    });
    settle().await;
    let before = Instant::now();
    let second = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(1)).await }
    });
    tokio::time::sleep(20 * SECOND).await;
    go.notify_one();
    let mut peer = bounded(net.greet()).await;
    assert_eq!(bounded(peer.data()).await.unwrap().0, 1);
    peer.ack(1);
    bounded(first).await.unwrap().unwrap();
    // The second got its room after 20 s and is not acked: 10 s are left to it.
    bounded(second).await.unwrap().unwrap_err();
    let took = before.elapsed();
    assert!(took < 30 * SECOND + Duration::from_millis(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_readiness_ends_too_2_3() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "buffer_size = 1");
    sink.try_send(numbered(0)).unwrap();
    bounded(sink.ready()).await;
    assert!(sink.try_send(numbered(1)).unwrap_err().is_full());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_share_one_attempt_per_slot_and_its_error_2_4() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
    let sink = sink_over(&net, "");
    for slot in 1..=4 {
        let waiters: Vec<_> = (0..few(1000))
            .map(|_| {
                let sink = sink.clone();
                tokio::spawn(async move { sink.connect().await.unwrap_err() })
            })
            .collect();
        let mut shared = None;
        for waiter in waiters {
            match bounded(waiter).await.unwrap() {
                ConnectError::NotThereYet {
                    source, attempt, ..
                } => {
                    assert_eq!(attempt, slot);
                    let first = shared.get_or_insert_with(|| Arc::clone(&source));
                    assert!(Arc::ptr_eq(first, &source), "not the same error");
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(net.dials(), slot as usize);
    }
    let times = net.dial_times();
    for (slot, pair) in times.windows(2).enumerate() {
        let delay = Duration::from_millis(100) * (1 << slot);
        let waited = pair[1] - pair[0];
        assert!(
            waited >= delay / 2 && waited <= delay + Duration::from_millis(2),
            "{waited:?} of {delay:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_not_cached_2_4() {
    let net = Net::new(|attempt| match attempt {
        0 => Answer::Refuse(ErrorKind::ConnectionRefused),
        _ => Answer::Connect(Rules::default()),
    });
    let sink = sink_over(&net, "");
    bounded(sink.connect()).await.unwrap_err();
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let _peer = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn with_messages_buffered_the_sink_redials_by_itself_2_5() {
    let net = Net::new(|attempt| match attempt {
        0..6 => Answer::Refuse(ErrorKind::ConnectionRefused),
        _ => Answer::Connect(Rules::default()),
    });
    let sink = sink_over(&net, "");
    sink.try_send(numbered(5)).unwrap();
    let mut peer = bounded(net.greet()).await;
    assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 5);
    assert_eq!(net.dials(), 7);
}

#[tokio::test(start_paused = true)]
async fn with_nothing_buffered_it_does_not_dial_2_5() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
    let sink = sink_over(&net, "");
    bounded(sink.connect()).await.unwrap_err();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(net.dials(), 1);
    assert_eq!(sink.state().name(), "idle");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_appears_later_is_reached_within_one_slot_2_6() {
    for seed in 0..few(50) {
        let appears = Instant::now() + Duration::from_millis(seed * 613);
        let net = Net::new(move |_| {
            if Instant::now() < appears {
                Answer::Refuse(ErrorKind::NotFound)
            } else {
                Answer::Connect(Rules::default())
            }
        });
        let chance = Arc::new(sink_runtime::clock::SplitMix::new(seed));
        let sink = registry_with(&net, "", chance)
            .sink::<Message>("orders")
            .unwrap();
        sink.try_send(numbered(seed)).unwrap();
        let mut peer = bounded(net.greet()).await;
        let attempts = net.dials() as u32;
        let slot = Duration::from_millis(100) * (1 << (attempts.max(2) - 2));
        let late = Instant::now().saturating_duration_since(appears);
        assert!(
            late <= slot.min(10 * SECOND) + Duration::from_millis(2),
            "seed {seed}: {late:?} of {slot:?}"
        );
        assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), seed);
    }
}

#[tokio::test]
#[cfg_attr(miri, ignore = "miri knows no sockets of this kind")]
async fn no_start_order_matters_2_6() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "");
    let sink = registry.sink::<Message>("orders").unwrap();
    sink.send(numbered(1)).await.unwrap();
    // The path is absent at the first attempt.
    while !matches!(sink.state(), SinkState::Backoff { .. }) {
        tokio::task::yield_now().await;
    }
    let mut source = registry.source::<Message>("orders").unwrap();
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!(number_of(delivery.payload()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_cause_waits_the_longest_delay_and_says_so_2_6() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    sink.try_send(numbered(0)).unwrap();
    let mut peer = bounded(net.accept()).await;
    peer.hear_hello().await;
    peer.say(|out| {
        Refuse::encode(
            out,
            RefuseCode::TypeMismatch,
            "this carries Trade, not Tick",
        )
    });
    settle().await;
    match sink.state() {
        SinkState::Backoff {
            until, last_error, ..
        } => {
            let left = until - Instant::now();
            assert!(
                left >= 5 * SECOND - Duration::from_millis(1) && left <= 10 * SECOND,
                "{left:?}"
            );
            assert!(last_error.is_permanent());
            assert!(
                last_error.to_string().contains("this carries Trade"),
                "{last_error}"
            );
        }
        other => panic!("{other:?}"),
    }
    tokio::time::sleep(4 * SECOND).await;
    assert_eq!(net.dials(), 1);
    tokio::time::sleep(7 * SECOND).await;
    assert_eq!(net.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_no_confirmation_learns_why_nothing_arrived_8_1() {
    let net = Net::open();
    let sink = sink_over(&net, "send_timeout_ms = 2_000");
    sink.try_send(numbered(0)).unwrap();
    let mut peer = bounded(net.accept()).await;
    peer.hear_hello().await;
    peer.say(|out| {
        Refuse::encode(
            out,
            RefuseCode::TypeMismatch,
            "this carries Trade, not Tick",
        )
    });
    settle().await;
    let lost = bounded(sink.flush()).await.unwrap_err().to_string();
    assert!(
        lost.starts_with("`orders`: message 1 was not confirmed within 2s; last attempt: ")
            && lost.ends_with("refused: this carries Trade, not Tick"),
        "{lost}"
    );
    let report = bounded(sink.close(SECOND)).await;
    assert!(report.last.as_ref().unwrap().is_permanent());
    let said = report.to_string();
    assert!(
        said.starts_with("`orders`: 0 done, 1 undelivered, 0 unknown; last attempt: ")
            && said.ends_with("refused: this carries Trade, not Tick"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn want_of_permission_waits_the_longest_delay_2_6() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::PermissionDenied));
    let sink = sink_over(&net, "");
    sink.try_send(numbered(0)).unwrap();
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert_eq!(net.dials(), 1);
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    assert_eq!(net.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn being_turned_away_for_now_is_retried_soon_2_6() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    sink.try_send(numbered(0)).unwrap();
    let mut peer = bounded(net.accept()).await;
    peer.hear_hello().await;
    peer.say(|out| Refuse::encode(out, RefuseCode::ShuttingDown, "back in a moment"));
    drop(peer);
    tokio::time::sleep(Duration::from_millis(101)).await;
    assert_eq!(net.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_talks_nonsense_is_a_permanent_cause_2_6() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[0xff; 64],
        &[4, 0, 0, 0, 4, 0, 0, 0],
        &[0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let net = Net::open();
        let sink = sink_over(&net, "");
        sink.try_send(numbered(0)).unwrap();
        let mut peer = bounded(net.accept()).await;
        peer.hear_hello().await;
        peer.wire.try_write(bytes).unwrap();
        settle().await;
        match sink.state() {
            SinkState::Backoff { last_error, .. } => {
                assert!(last_error.is_permanent(), "{last_error}")
            }
            other => panic!("{bytes:?}: {other:?}"),
        }
        assert_eq!(ledger(&sink).buffered, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_an_idle_link_is_seen_and_is_no_failure_2_7() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    sink.try_send(numbered(0)).unwrap();
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    settle().await;
    assert_eq!(sink.state().name(), "ready");
    drop(peer);
    settle().await;
    assert_eq!(sink.state().name(), "idle");
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(net.dials(), 1);
    sink.try_send(numbered(1)).unwrap();
    let mut peer = bounded(net.greet()).await;
    assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 1);
    assert_eq!(ledger(&sink).unknown, 0);
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_was_held_up_reads_before_it_calls_its_peer_silent_10_5() {
    let net = Net::open();
    let sink = sink_over(&net, "heartbeat_ms = 100");
    sink.try_send(numbered(0)).unwrap();
    let mut peer = bounded(net.accept()).await;
    peer.hear_hello().await;
    peer.say(|out| {
        Welcome {
            heartbeat_ms: 100,
            max_frame_bytes: 1 << 20,
            ..Welcome::default()
        }
        .encode(out);
    });
    bounded(peer.data()).await.unwrap();
    for _ in 0..3 {
        // Its beat lies in the socket, and nobody had a turn for longer than three of them take.
        peer.say(|out| frame::heartbeat(out, 0));
        tokio::time::advance(Duration::from_secs(1)).await;
        settle().await;
        assert_eq!(sink.state().name(), "ready");
    }
    assert_eq!(net.dials(), 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_ne!(sink.state().name(), "ready", "now it is silent indeed");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_no_heartbeats_is_never_called_silent_10_5() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    // Its welcome says 0: it promises none (docs/PROTOCOL.md).
    let _peer = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(sink.state().name(), "ready");
}

#[tokio::test(start_paused = true)]
async fn disconnect_flushes_and_the_next_send_dials_again_2_10() {
    let net = Net::new(|_| {
        Answer::Connect(Rules {
            chunk: 3,
            capacity: 10_000,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, "");
    for number in 0..50 {
        sink.try_send(numbered(number)).unwrap();
    }
    let disconnecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.disconnect().await }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(disconnecting).await.unwrap().unwrap();
    assert_eq!(sink.state().name(), "idle");
    let numbers: Vec<u64> = peer
        .rest()
        .await
        .iter()
        .map(|(_, payload)| number_of(payload))
        .collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    assert!(!peer.is_torn());
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(net.dials(), 1);
    sink.try_send(numbered(50)).unwrap();
    let mut peer = bounded(net.greet()).await;
    assert_eq!(bounded(peer.data()).await.unwrap().0, 51);
    assert_eq!(ledger(&sink).done, 51);
}

#[tokio::test(start_paused = true)]
async fn disconnect_while_it_connects_ends_the_attempt_at_once_2_10() {
    let go = Arc::new(Notify::new());
    let answer = Arc::clone(&go);
    let net = Net::new(move |_| Answer::When(Arc::clone(&answer)));
    let sink = sink_over(&net, "");
    let begun = Instant::now();
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    settle().await;
    assert_eq!(sink.state().name(), "connecting");
    let dialing = Arc::strong_count(&go);
    bounded(sink.disconnect()).await.unwrap();
    assert_eq!(sink.state().name(), "idle");
    settle().await;
    assert_eq!(Arc::strong_count(&go), dialing - 1, "nobody dials");
    // Who waits for it is told, and does not ask again.
    let error = bounded(connecting).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("disconnect()"), "{error}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(net.dials(), 1);
    // The next use dials again.
    go.notify_one();
    sink.try_send(numbered(0)).unwrap();
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    assert_eq!(net.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_not_greeted_is_hung_up_on_at_once_by_a_disconnect_or_close_2_10() {
    for closes in [true, false] {
        let net = Net::open();
        let sink = sink_over(&net, "");
        assert!(poll_once(sink.connect()).is_none());
        let mut peer = bounded(net.accept()).await;
        peer.hear_hello().await;
        let begun = Instant::now();
        if closes {
            bounded(sink.close(30 * SECOND)).await;
        } else {
            bounded(sink.disconnect()).await.unwrap();
        }
        assert!(bounded(peer.frame()).await.is_none());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let state = if closes { "closed" } else { "idle" };
        assert_eq!(sink.state().name(), state);
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(net.dials(), 1);
    }
}

/// What is to be flushed first goes on being dialed for.
#[tokio::test(start_paused = true)]
async fn disconnect_while_it_connects_waits_for_what_was_sent_2_10() {
    let go = Arc::new(Notify::new());
    let answer = Arc::clone(&go);
    let net = Net::new(move |_| Answer::When(Arc::clone(&answer)));
    let sink = sink_over(&net, "");
    sink.try_send(numbered(0)).unwrap();
    settle().await;
    let disconnecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.disconnect().await }
    });
    settle().await;
    assert!(!disconnecting.is_finished());
    go.notify_one();
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    bounded(disconnecting).await.unwrap().unwrap();
    assert_eq!(sink.state().name(), "idle");
    assert_eq!(net.dials(), 1);
}

/// A sink that is connected, and its peer.
async fn connected(net: &Arc<Net>, more: &str) -> (DynSink, Peer) {
    let sink = sink_over(net, more);
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let peer = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
    (sink, peer)
}

#[tokio::test(start_paused = true)]
async fn a_link_unused_for_idle_timeout_ms_says_goodbye_and_the_next_send_dials_again_2_10() {
    // Heartbeats are no use, and one that is due in the same moment is in nobody's way.
    for heartbeat in [700, 1_000, 60_000] {
        let net = Net::open();
        let more = format!("idle_timeout_ms = 1000\nheartbeat_ms = {heartbeat}");
        let (sink, mut peer) = connected(&net, &more).await;
        // Each send, on the spot or not, begins the time anew.
        for number in 0..5 {
            tokio::time::sleep(Duration::from_millis(999)).await;
            sink.try_send(numbered(number)).unwrap();
            settle().await;
        }
        tokio::time::sleep(Duration::from_millis(998)).await;
        assert_eq!(sink.state().name(), "ready", "{heartbeat}");
        tokio::time::sleep(Duration::from_millis(4)).await;
        assert_eq!(sink.state().name(), "idle", "{heartbeat}");
        let mut last = 0;
        while let Some(frame) = bounded(peer.frame()).await {
            last = frame[4];
        }
        assert_eq!(last, Kind::Bye as u8, "{heartbeat}");
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(net.dials(), 1, "{heartbeat}: nothing is wanted");
        sink.try_send(numbered(5)).unwrap();
        let mut peer = bounded(net.greet()).await;
        assert_eq!(bounded(peer.data()).await.unwrap().0, 6);
        assert_eq!(ledger(&sink).done, 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_waits_for_an_ack_is_not_idle_however_long_it_takes_2_10() {
    let net = Net::open();
    let more = "idle_timeout_ms = 1000\ndelivery = \"at_least_once\"\nheartbeat_ms = 60000";
    let (sink, mut peer) = connected(&net, more).await;
    sink.try_send(numbered(0)).unwrap();
    assert_eq!(bounded(peer.data()).await.unwrap().0, 1);
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(sink.state().name(), "ready");
    peer.ack(1);
    settle().await;
    assert_eq!(sink.state().name(), "idle", "its time was up long ago");
    assert_eq!((ledger(&sink).done, net.dials()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_meets_the_goodbye_of_an_idle_link_goes_on_the_next_connection_2_10() {
    let net = Net::open();
    for number in (0..50).step_by(if cfg!(miri) { 10 } else { 1 }) {
        // From just before the goodbye to just after it.
        let (sink, mut peer) = connected(&net, "idle_timeout_ms = 1000").await;
        let send = tokio::spawn({
            let sink = sink.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(990 + number)).await;
                sink.send(numbered(number)).await.unwrap();
            }
        });
        bounded(send).await.unwrap();
        let came = match bounded(peer.data()).await {
            Some(came) => came,
            None => bounded(bounded(net.greet()).await.data()).await.unwrap(),
        };
        assert_eq!((came.0, number_of(&came.1)), (1, number));
        assert_eq!(ledger(&sink).done, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_idle_timeout_ms_a_link_stays_2_10() {
    for more in ["", "idle_timeout_ms = \"never\""] {
        let net = Net::open();
        let (sink, _peer) = connected(&net, more).await;
        tokio::time::sleep(100_000 * SECOND).await;
        assert_eq!(sink.state().name(), "ready");
    }
}

#[tokio::test(start_paused = true)]
async fn disconnect_ends_though_others_go_on_sending_2_10() {
    for more in [
        "",
        "confirm = \"acked\"",
        "delivery = \"at_least_once\"",
        "framing = \"raw\"",
    ] {
        let foreign = more.contains("framing");
        // A peer that is always behind: some frame is always half on the wire.
        let net = Net::new(|_| {
            Answer::Connect(Rules {
                capacity: 1_000,
                ..Rules::default()
            })
        });
        let sink = sink_over(&net, &format!("buffer_size = 50\n{more}"));
        let reader = tokio::spawn({
            let net = Arc::clone(&net);
            async move { serve_slowly(&net, foreign).await }
        });
        let sent = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..few(60))
            .map(|_| {
                let (sink, sent) = (sink.clone(), Arc::clone(&sent));
                tokio::spawn(async move {
                    loop {
                        let number = sent.fetch_add(1, Ordering::SeqCst) as u64;
                        sink.send(numbered(number)).await.unwrap();
                    }
                })
            })
            .collect();
        for round in 1..=few(3) as usize {
            tokio::time::sleep(SECOND).await;
            let begun = Instant::now();
            let before = sink.ledger().unwrap();
            bounded(sink.disconnect()).await.unwrap();
            // 50 messages at most, a few of them a tick.
            assert!(begun.elapsed() < SECOND, "{more}: {:?}", begun.elapsed());
            let after = ledger(&sink);
            assert!(after.done >= before.done + before.buffered, "{more}");
            assert_eq!(
                after.unknown, 0,
                "{more}: nothing is left behind on the wire"
            );
            tokio::time::sleep(SECOND).await;
            assert_eq!(
                net.dials(),
                round + 1,
                "{more}: the rest goes on another connection"
            );
        }
        senders.iter().for_each(tokio::task::JoinHandle::abort);
        reader.abort();
    }
}

/// Takes a little of whatever comes with every tick, and acks at once.
async fn serve_slowly(net: &Net, foreign: bool) {
    loop {
        let mut peer = if foreign {
            net.accept().await
        } else {
            net.greet().await
        };
        while take_a_little(&mut peer, foreign).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Whether there may be more.
async fn take_a_little(peer: &mut Peer, foreign: bool) -> bool {
    if foreign {
        let mut some = bytes::BytesMut::with_capacity(1_000);
        return !matches!(peer.wire.try_read(&mut some), Ok(0));
    }
    let Ok(Some((sequence, _))) = tokio::time::timeout(SECOND / 2, peer.data()).await else {
        return false;
    };
    if peer.hello.acks {
        peer.ack(sequence);
    }
    true
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_that_gives_up_lets_the_later_messages_go_on_2_10() {
    let net = Net::open();
    let more = "delivery = \"at_least_once\"\nsend_timeout_ms = 5000\nheartbeat_ms = 60000";
    let (sink, mut peer) = connected(&net, more).await;
    sink.try_send(numbered(0)).unwrap();
    assert_eq!(bounded(peer.data()).await.unwrap().0, 1);
    let disconnecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.disconnect().await }
    });
    settle().await;
    sink.try_send(numbered(1)).unwrap();
    assert!(
        tokio::time::timeout(SECOND, peer.data()).await.is_err(),
        "it would have to be written here and again on the next connection"
    );
    assert!(
        bounded(disconnecting).await.unwrap().is_err(),
        "nobody acks"
    );
    assert_eq!(bounded(peer.data()).await.unwrap().0, 2);
    peer.ack(2);
    settle().await;
    assert_eq!((ledger(&sink).done, net.dials()), (2, 1));
    assert_eq!(sink.state().name(), "ready");
}

#[tokio::test(start_paused = true)]
async fn of_two_disconnects_the_later_one_waits_for_what_was_sent_between_2_10() {
    let net = Net::open();
    let (sink, mut peer) = connected(&net, "delivery = \"at_least_once\"").await;
    let spawn = |sink: &DynSink| {
        let sink = sink.clone();
        tokio::spawn(async move { sink.disconnect().await })
    };
    sink.try_send(numbered(0)).unwrap();
    let first = spawn(&sink);
    settle().await;
    sink.try_send(numbered(1)).unwrap();
    let second = spawn(&sink);
    for sequence in 1..=2 {
        assert_eq!(bounded(peer.data()).await.unwrap().0, sequence);
        assert!(!second.is_finished());
        peer.ack(sequence);
        settle().await;
    }
    bounded(first).await.unwrap().unwrap();
    bounded(second).await.unwrap().unwrap();
    assert_eq!((ledger(&sink).done, net.dials()), (2, 1));
    assert_eq!(sink.state().name(), "idle");
}

#[tokio::test(start_paused = true)]
async fn who_answers_in_another_protocol_is_told_by_what_he_said_and_the_key_2_6() {
    for (said, first) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
        (b"\0\0\0\x05hello", "\\x00\\x00\\x00\\x05"),
    ] {
        let net = Net::open();
        let sink = sink_over(&net, "");
        sink.try_send(numbered(0)).unwrap();
        let peer = bounded(net.accept()).await;
        peer.wire.try_write(said).unwrap();
        let error = bounded(sink.connect()).await.unwrap_err();
        assert!(error.is_permanent());
        let told = error.to_string();
        assert!(told.contains(first) && told.contains("`framing`"), "{told}");
        assert!(!told.contains("max_frame_bytes"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirming_send_whose_connection_is_lost_says_so_2_3() {
    let net = Net::open();
    let (sink, mut peer) = connected(&net, "confirm = \"acked\"").await;
    let sending = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(0)).await }
    });
    bounded(peer.data()).await.unwrap();
    drop(peer);
    let error = bounded(sending).await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    let told = error.to_string();
    assert!(
        told.contains("the connection was lost before the message was acked"),
        "{told}"
    );
    assert!(
        told.contains("peer closed it") && !told.contains("send_timeout_ms"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn disconnecting_what_never_connected_does_nothing_2_10() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    bounded(sink.disconnect()).await.unwrap();
    assert_eq!(net.dials(), 0);
}

#[tokio::test]
async fn a_thousand_racing_lookups_are_one_link_2_2() {
    let net = Net::open();
    let registry = registry_over(&net, "");
    let ids: Vec<_> = (0..8)
        .map(|_| {
            let registry = Arc::clone(&registry);
            std::thread::spawn(move || {
                (0..125)
                    .map(|_| {
                        registry
                            .sink::<Message>("orders")
                            .unwrap()
                            .link_id()
                            .unwrap()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| *id == ids[0]));
}

mod events {
    use std::fmt::Write as _;
    use std::sync::Mutex;

    use tracing::field::{Field, Visit};

    use super::*;

    /// Collects events as lines.
    #[derive(Clone, Default)]
    pub(super) struct Lines(Arc<Mutex<Vec<String>>>);

    impl Lines {
        pub(super) fn take(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, " {field}={value:?}");
        }
    }

    impl tracing::Subscriber for Lines {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target().starts_with("sink_runtime")
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    /// Stands in the whole process and wants nothing: with it, no callsite is cached as unwanted while other tests, which
    /// have no subscriber of their own, meet it first.
    struct Undecided;

    impl tracing::Subscriber for Undecided {
        fn register_callsite(
            &self,
            _: &'static tracing::Metadata<'static>,
        ) -> tracing::subscriber::Interest {
            tracing::subscriber::Interest::sometimes()
        }
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            false
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {}
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    /// Collects the events of this thread.
    fn collect(lines: &Lines) -> tracing::subscriber::DefaultGuard {
        // The second test finds it there.
        let _ = tracing::subscriber::set_global_default(Undecided);
        tracing::subscriber::set_default(lines.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn each_state_change_is_one_event_and_repeats_are_counted_2_8() {
        let lines = Lines::default();
        let _guard = collect(&lines);
        let net = Net::new(|attempt| match attempt {
            0..20 => Answer::Refuse(ErrorKind::ConnectionRefused),
            _ => Answer::Connect(Rules::default()),
        });
        let sink = sink_over(&net, "");
        sink.try_send(numbered(0)).unwrap();
        let mut peer = bounded(net.greet()).await;
        bounded(peer.data()).await.unwrap();
        settle().await;
        let seen = lines.take();
        let names: Vec<_> = seen.iter().map(|line| state_in(line)).collect();
        assert_eq!(
            names,
            ["connecting", "backoff", "ready"],
            "20 failures are one event: {seen:#?}"
        );
        for line in &seen {
            for part in ["service=\"orders\"", "endpoint=", "attempt=", "cause="] {
                assert!(line.contains(part), "{part} is missing: {line}");
            }
        }
        assert!(seen[1].contains("attempt=1 "), "{}", seen[1]);
        assert!(
            seen[2].contains("attempt=21 ") && seen[2].contains("repeats=19"),
            "the rest are counted: {}",
            seen[2]
        );
        drop(peer);
        settle().await;
        let seen = lines.take();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        assert!(
            state_in(&seen[0]) == "idle" && seen[0].contains("peer closed it"),
            "{seen:#?}"
        );
        bounded(sink.close(SECOND)).await;
        let seen = lines.take();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        assert_eq!(state_in(&seen[0]), "closed");
    }

    fn state_in(line: &str) -> &str {
        let (_, rest) = line.split_once("state=\"").expect("each names the state");
        rest.split_once('"').expect("quoted").0
    }

    #[tokio::test(start_paused = true)]
    async fn another_cause_is_another_event_2_8() {
        let lines = Lines::default();
        let _guard = collect(&lines);
        let net = Net::new(|attempt| match attempt {
            0..5 => Answer::Refuse(ErrorKind::NotFound),
            _ => Answer::Refuse(ErrorKind::PermissionDenied),
        });
        let sink = sink_over(&net, "");
        sink.try_send(numbered(0)).unwrap();
        tokio::time::sleep(100 * SECOND).await;
        let seen = lines.take();
        let names: Vec<_> = seen.iter().map(|line| state_in(line)).collect();
        assert_eq!(names, ["connecting", "backoff", "backoff"], "{seen:#?}");
        assert!(seen[1].contains("not connected") && seen[1].contains("attempt=1 "));
        assert!(
            seen[2].contains("misconfigured")
                && seen[2].contains("attempt=6 ")
                && seen[2].contains("repeats=4"),
            "{}",
            seen[2]
        );
    }

    /// Sends a line of its own through the sink for each event it sees.
    #[derive(Clone)]
    struct Shipping(sink_runtime::DynSink, Arc<AtomicUsize>);

    impl tracing::Subscriber for Shipping {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target().starts_with("sink_runtime")
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            if self.0.try_send(numbered(7)).is_ok() {
                self.1.fetch_add(1, Ordering::SeqCst);
            }
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscriber_may_send_through_the_sink_that_tells_it_2_8() {
        let net = Net::open();
        let sink = sink_over(&net, "");
        let shipped = Arc::<AtomicUsize>::default();
        let _ = tracing::subscriber::set_global_default(Undecided);
        let _guard = tracing::subscriber::set_default(Shipping(sink.clone(), Arc::clone(&shipped)));
        sink.try_send(numbered(0)).unwrap();
        let mut peer = bounded(net.greet()).await;
        bounded(peer.data()).await.unwrap();
        drop(peer);
        settle().await;
        bounded(sink.close(SECOND)).await;
        assert!(shipped.load(Ordering::SeqCst) >= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn losing_a_connection_with_messages_on_it_is_an_event_2_8() {
        let lines = Lines::default();
        let _guard = collect(&lines);
        let net = Net::open();
        let sink = sink_over(&net, "delivery = \"at_least_once\"");
        sink.try_send(numbered(0)).unwrap();
        let mut peer = bounded(net.greet()).await;
        bounded(peer.data()).await.unwrap();
        settle().await;
        lines.take();
        drop(peer);
        settle().await;
        let seen = lines.take();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        assert!(seen[0].contains("lost"), "{seen:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_does_not_count_what_waits_for_the_next_connection_as_dropped_2_10() {
    let net = Net::open();
    let more = "buffer_size = 1\nwhen_full = \"drop_newest\"";
    let (sink, mut peer) = connected(&net, more).await;
    bounded(sink.send(numbered(0))).await.unwrap();
    assert_eq!(bounded(peer.data()).await.unwrap().0, 1);
    let mut disconnecting = std::pin::pin!(sink.disconnect());
    assert!(poll_once(disconnecting.as_mut()).is_none());
    // Before the goodbye one is taken, for the next connection, and the last one is dropped.
    sink.try_send(numbered(1)).unwrap();
    let dropped = sink.try_send(numbered(2)).unwrap();
    assert_eq!(dropped.level(), Level::Dropped);
    bounded(disconnecting).await.unwrap();
    let mut counted = 0;
    while let Some(whole) = bounded(peer.frame()).await {
        if whole[4] == Kind::Heartbeat as u8 {
            counted = counted.max(frame::number(&whole).unwrap());
        }
    }
    assert!(
        counted < 2,
        "up to {counted} nothing would be taken any more"
    );
    let mut peer = bounded(net.greet()).await;
    assert_eq!(bounded(peer.data()).await.unwrap().0, 2);
}
