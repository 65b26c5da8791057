//! §5 Buffer and backpressure. Memory (5.4) is `tests/memory.rs`, which counts allocations of its own process.

use std::time::Duration;

use sink_runtime::{
    DropCause, DynSink, GapCause, Level, Lost, Message, MessageSink, Outcome, SendErrorKind,
    ServiceRegistry, Source,
};
use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

fn received(all: &[(u64, bytes::Bytes)]) -> Vec<(u64, u64)> {
    all.iter()
        .map(|(at, payload)| (*at, number_of(payload)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn block_waits_for_room_and_then_gives_back_5() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "buffer_size = 2\nsend_timeout_ms = 1000");
    sink.try_send(numbered(0)).unwrap();
    sink.try_send(numbered(1)).unwrap();
    let before = Instant::now();
    let error = bounded(sink.send(numbered(2))).await.unwrap_err();
    assert!(before.elapsed() >= SECOND && before.elapsed() < SECOND + Duration::from_millis(5));
    assert_eq!(error.outcome(), Outcome::NotSent);
    match error.kind() {
        SendErrorKind::Full {
            held_messages: 2,
            buffer_size: 2,
            waited,
            ..
        } => assert!(*waited >= SECOND),
        other => panic!("{other}"),
    }
    for part in ["`orders`", "buffer_size", "when_full"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let ledger = ledger(&sink);
    assert_eq!(
        (ledger.attempted, ledger.buffered, ledger.returned.full),
        (3, 2, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn reject_gives_back_at_once_5() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "buffer_size = 2\nwhen_full = \"reject\"");
    for number in 0..2 {
        sink.try_send(numbered(number)).unwrap();
    }
    let error = poll_once(sink.send(numbered(2)))
        .expect("at once")
        .unwrap_err();
    assert!(error.is_full());
    assert_eq!(number_of(error.into_message().unwrap().payload()), 2);
    let ledger = ledger(&sink);
    assert_eq!(
        (ledger.attempted, ledger.returned.full),
        (3, 1),
        "{ledger:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn drop_newest_drops_itself_and_the_receiver_sees_the_gap_5() {
    let net = Net::new(|attempt| {
        if attempt == 0 {
            Answer::Refuse(std::io::ErrorKind::NotFound)
        } else {
            Answer::Connect(Rules::default())
        }
    });
    let sink = sink_over(&net, "buffer_size = 2\nwhen_full = \"drop_newest\"");
    let mut receipts = Vec::new();
    for number in 0..5 {
        receipts.push(poll_once(sink.send(numbered(number))).unwrap().unwrap());
    }
    assert_eq!(receipts[1].level(), Level::Accepted);
    for receipt in &receipts[2..] {
        assert_eq!(receipt.level(), Level::Dropped);
        let lost = bounded(sink.settled(*receipt, Level::Written))
            .await
            .unwrap_err();
        assert!(
            matches!(
                lost,
                Lost::Dropped {
                    cause: DropCause::Newest,
                    ..
                }
            ),
            "{lost}"
        );
    }
    let mut peer = bounded(net.greet()).await;
    bounded(sink.flush()).await.unwrap();
    sink.try_send(numbered(5)).unwrap();
    assert_eq!(received(&peer.rest().await), [(1, 0), (2, 1), (6, 5)]);
    let ledger = ledger(&sink);
    assert_eq!(
        (ledger.attempted, ledger.dropped.newest, ledger.done),
        (6, 3, 3),
        "{ledger:?}"
    );
}

/// The next message's number, and the gap before it.
async fn next(source: &mut Source<Message>) -> (u64, Option<(u64, u64, GapCause)>) {
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    let gap = delivery.gap().map(|gap| (gap.from, gap.to, gap.cause));
    (number_of(delivery.payload()), gap)
}

async fn until_idle(sink: &DynSink) {
    bounded(async {
        while sink.state().name() != "idle" {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// What was on no connection is missing to the first who hears of its sink; what was on one is nothing to a receiver that
/// comes after.
#[tokio::test]
#[cfg_attr(miri, ignore = "miri knows no sockets of this kind")]
async fn what_was_dropped_before_a_connection_is_a_gap_to_the_first_receiver_5() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(
        &endpoint,
        "buffer_size = 3\nwhen_full = \"drop_oldest\"\nreconnect_delay_ms = 5\nreconnect_max_delay_ms = 5",
    );
    let sink = registry.sink::<Message>("orders").unwrap();
    let send = async |from: u64, to: u64| {
        for number in from..=to {
            sink.send(numbered(number)).await.unwrap();
        }
    };
    send(1, 5).await;
    for (dropped, last) in [((1, 2), 5), ((6, 7), 10)] {
        let mut source = registry.source::<Message>("orders").unwrap();
        let gap = Some((dropped.0, dropped.1, GapCause::Producer));
        assert_eq!(next(&mut source).await, (last - 2, gap));
        assert_eq!(next(&mut source).await, (last - 1, None));
        assert_eq!(next(&mut source).await, (last, None));
        drop(source);
        until_idle(&sink).await;
        // It cannot be reached before somebody listens again.
        send(last + 1, last + 5).await;
    }
    let mut source = registry.source::<Message>("orders").unwrap();
    let gap = Some((11, 12, GapCause::Producer));
    assert_eq!(next(&mut source).await, (13, gap));
    ledger(&sink);
}

/// What was written to a receiver that is gone is no gap to the one that comes after it.
#[tokio::test]
#[cfg_attr(miri, ignore = "miri knows no sockets of this kind")]
async fn what_an_earlier_receiver_had_is_no_gap_to_the_next_5() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "reconnect_delay_ms = 5");
    let sink = registry.sink::<Message>("orders").unwrap();
    for round in 0..3 {
        let mut source = registry.source::<Message>("orders").unwrap();
        sink.send(numbered(round)).await.unwrap();
        assert_eq!(next(&mut source).await, (round, None));
        drop(source);
        until_idle(&sink).await;
    }
}

#[tokio::test(start_paused = true)]
async fn drop_newest_is_an_error_under_confirm_5() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(
        &net,
        "buffer_size = 1\nwhen_full = \"drop_newest\"\nconfirm = \"written\"",
    );
    assert!(poll_once(sink.send(numbered(0))).is_none());
    let error = poll_once(sink.send(numbered(1)))
        .expect("at once")
        .unwrap_err();
    assert!(
        matches!(error.kind(), SendErrorKind::Dropped { .. }),
        "{error}"
    );
    assert_eq!(ledger(&sink).dropped.newest, 1);
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_drops_the_oldest_that_is_not_being_written_5() {
    let net = Net::new(|attempt| {
        if attempt == 0 {
            Answer::Refuse(std::io::ErrorKind::NotFound)
        } else {
            Answer::Connect(Rules::default())
        }
    });
    let sink = sink_over(&net, "buffer_size = 3\nwhen_full = \"drop_oldest\"");
    let mut receipts = Vec::new();
    for number in 0..10 {
        receipts.push(poll_once(sink.send(numbered(number))).unwrap().unwrap());
    }
    for receipt in &receipts[..7] {
        let lost = bounded(sink.settled(*receipt, Level::Written))
            .await
            .unwrap_err();
        assert!(
            matches!(
                lost,
                Lost::Dropped {
                    cause: DropCause::Oldest,
                    ..
                }
            ),
            "{lost}"
        );
    }
    sink.try_send(numbered(10)).unwrap();
    let mut peer = bounded(net.greet()).await;
    assert_eq!(received(&peer.rest().await), [(9, 8), (10, 9), (11, 10)]);
    for receipt in &receipts[8..] {
        assert_eq!(
            bounded(sink.settled(*receipt, Level::Written))
                .await
                .unwrap(),
            Level::Written
        );
    }
    let ledger = ledger(&sink);
    assert_eq!((ledger.dropped.oldest, ledger.done), (8, 3), "{ledger:?}");
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_makes_room_in_bytes_too_5() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "buffer_bytes = 50000\nwhen_full = \"drop_oldest\"");
    for size in [20_000, 20_000, 5_000, 40_000, 100] {
        bounded(sink.send(Message::new(vec![0; size])))
            .await
            .unwrap();
    }
    let ledger = ledger(&sink);
    assert_eq!(
        (ledger.dropped.oldest, ledger.buffered),
        (2, 3),
        "{ledger:?}"
    );
}

#[test]
fn dropping_what_must_arrive_is_a_mistake_in_the_registry_5_1() {
    for policy in ["drop_newest", "drop_oldest"] {
        let error = ServiceRegistry::from_toml(&format!(
            "[services.a]\ntype = \"direct\"\nendpoint = \"inproc://a\"\ndelivery = \"at_least_once\"\nwhen_full = \"{policy}\"\n"
        ))
        .unwrap_err();
        assert!(error.to_string().contains("at_least_once"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_receipt_of_a_dropped_message_settles_as_acked_5_1() {
    let net = Net::open();
    let sink = sink_over(
        &net,
        "buffer_size = 2\nwhen_full = \"drop_oldest\"\nconfirm = \"acked\"",
    );
    let mut sends = Vec::new();
    for number in 0..6 {
        let sink = sink.clone();
        sends.push(tokio::spawn(async move {
            sink.send(numbered(number))
                .await
                .map(|receipt| receipt.level())
        }));
        if number < 5 {
            tokio::task::yield_now().await;
        }
    }
    let mut peer = bounded(net.greet()).await;
    let mut taken = Vec::new();
    for _ in 0..2 {
        let (sequence, payload) = bounded(peer.data()).await.unwrap();
        taken.push(number_of(&payload));
        peer.ack(sequence);
    }
    // An ack of everything is an ack of what was sent, not of what was dropped.
    peer.ack(6);
    for (number, send) in sends.into_iter().enumerate() {
        match bounded(send).await.unwrap() {
            Ok(level) => {
                assert_eq!(level, Level::Acked);
                assert!(taken.contains(&(number as u64)), "{number} was never sent");
            }
            Err(error) => assert!(
                matches!(error.kind(), SendErrorKind::Dropped { .. }),
                "{error}"
            ),
        }
    }
    let ledger = ledger(&sink);
    assert_eq!((ledger.done, ledger.dropped.oldest), (2, 4), "{ledger:?}");
}

#[tokio::test(start_paused = true)]
async fn in_flight_counts_against_the_bounds_under_at_least_once_5() {
    let net = Net::open();
    let sink = sink_over(&net, "buffer_size = 3\ndelivery = \"at_least_once\"");
    for number in 0..3 {
        sink.try_send(numbered(number)).unwrap();
    }
    let mut peer = bounded(net.greet()).await;
    for _ in 0..3 {
        bounded(peer.data()).await.unwrap();
    }
    settle().await;
    assert_eq!(ledger(&sink).in_flight, 3);
    assert!(sink.try_send(numbered(3)).unwrap_err().is_full());
    peer.ack(1);
    settle().await;
    sink.try_send(numbered(3)).unwrap();
    let ledger = ledger(&sink);
    assert_eq!((ledger.done, ledger.returned.full), (1, 1), "{ledger:?}");
}

#[tokio::test(start_paused = true)]
async fn the_ledger_balances_at_every_step_of_a_troubled_life_5_2() {
    for seed in 0..few(40) {
        let policies = ["block", "reject", "drop_newest", "drop_oldest"];
        let policy = policies[(seed % 4) as usize];
        let confirm = if seed % 3 == 0 {
            "confirm = \"written\"\n"
        } else {
            ""
        };
        let net = Net::new(
            move |attempt| match (attempt as u64).wrapping_mul(seed + 7) % 3 {
                0 => Answer::Refuse(std::io::ErrorKind::NotFound),
                _ => Answer::Connect(Rules {
                    chunk: 1 + (seed as usize * 13) % 50,
                    budget: 500 + (seed as usize * 97) % 900,
                    cut: true,
                    ..Rules::default()
                }),
            },
        );
        let sink = sink_over(
            &net,
            &format!("buffer_size = 5\nsend_timeout_ms = 700\nwhen_full = \"{policy}\"\n{confirm}"),
        );
        let server = tokio::spawn({
            let net = std::sync::Arc::clone(&net);
            async move {
                loop {
                    let mut peer = net.accept().await;
                    let _ = tokio::time::timeout(SECOND, async {
                        peer.greet().await;
                        while peer.data().await.is_some() {}
                    })
                    .await;
                }
            }
        });
        let mut sends = Vec::new();
        for number in 0..60 {
            let one = sink.clone();
            sends.push(tokio::spawn(async move {
                one.send(numbered(number)).await.map(|_| ())
            }));
            if number % 4 == seed % 4 {
                tokio::time::sleep(Duration::from_millis(seed % 90)).await;
            }
            if number % 11 == 3 {
                sends
                    .swap_remove((number as usize * 7) % sends.len())
                    .abort();
            }
            ledger(&sink);
        }
        for send in sends {
            let _ = bounded(send).await;
        }
        let report = bounded(sink.close(2 * SECOND)).await;
        assert!(
            report.ledger.is_balanced(),
            "seed {seed}: {:?}",
            report.ledger
        );
        let end = ledger(&sink);
        assert_eq!(
            end.waiting + end.buffered + end.in_flight,
            0,
            "seed {seed}: {end:?}"
        );
        server.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn one_message_larger_than_the_buffer_is_too_large_even_for_an_empty_one_5_3() {
    let net = Net::new(|_| Answer::Hang);
    for policy in ["block", "reject", "drop_newest", "drop_oldest"] {
        let sink = sink_over(
            &net,
            &format!("buffer_bytes = 40000\nwhen_full = \"{policy}\""),
        );
        for size in [40_000 + 1, 100_000] {
            let error = sink.try_send(Message::new(vec![0; size])).unwrap_err();
            assert!(
                matches!(error.kind(), SendErrorKind::TooLarge { .. }),
                "{policy}: {error}"
            );
            let error = poll_once(sink.send(Message::new(vec![0; size])))
                .expect("at once")
                .unwrap_err();
            assert!(
                matches!(error.kind(), SendErrorKind::TooLarge { .. }),
                "{policy}: {error}"
            );
        }
        // Also where the payload fits and its frame does not.
        let error = poll_once(sink.send(Message::new(vec![0; 39_990])))
            .expect("at once")
            .unwrap_err();
        assert!(
            matches!(
                error.kind(),
                SendErrorKind::TooLarge {
                    key: "buffer_bytes",
                    ..
                }
            ),
            "{policy}: {error}"
        );
        let ledger = ledger(&sink);
        assert_eq!(
            (ledger.attempted, ledger.returned.refused),
            (5, 5),
            "{policy}: {ledger:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn too_large_is_too_large_also_while_the_buffer_is_full_5_3() {
    let net = Net::new(|_| Answer::Hang);
    for policy in ["block", "reject", "drop_newest", "drop_oldest"] {
        let sink = sink_over(
            &net,
            &format!("buffer_size = 1\nbuffer_bytes = 40000\nwhen_full = \"{policy}\""),
        );
        sink.try_send(numbered(0)).unwrap();
        let error = sink.try_send(Message::new(vec![0; 50_000])).unwrap_err();
        assert!(
            matches!(error.kind(), SendErrorKind::TooLarge { .. }),
            "{policy}: {error}"
        );
        assert_eq!(ledger(&sink).buffered, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_answers_only_when_all_is_written_5_2() {
    let net = Net::new(|_| {
        Answer::Connect(Rules {
            chunk: 5000,
            capacity: 20_000,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, "");
    for number in 0..300u64 {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(500, 0);
        sink.try_send(Message::new(payload)).unwrap();
    }
    let flushing = tokio::spawn({
        let sink = sink.clone();
        async move {
            sink.flush().await.unwrap();
            ledger(&sink)
        }
    });
    let mut peer = bounded(net.greet()).await;
    for _ in 0..100 {
        bounded(peer.data()).await.unwrap();
    }
    settle().await;
    assert!(!flushing.is_finished());
    peer.rest().await;
    let ledger = bounded(flushing).await.unwrap();
    assert_eq!((ledger.buffered, ledger.done), (0, 300));
}

#[tokio::test]
async fn a_full_queue_within_the_process_speaks_of_messages_only_5() {
    let registry = registry_at("inproc://full-speaks-of-messages", "buffer_size = 1");
    let sink = registry.sink::<Message>("orders").unwrap();
    sink.try_send(numbered(0)).unwrap();
    assert_eq!(
        sink.try_send(numbered(1)).unwrap_err().to_string(),
        "`orders`: buffer full for 0ns (1 of 1 messages; see buffer_size, when_full)"
    );
}
