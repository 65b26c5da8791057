//! §3 Reconnect, at a link: the rules themselves are tested beside `policy/backoff.rs` and `life.rs`.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use sink_runtime::frame::{self, Chunk, Producer, ProducerId, Welcome};
use sink_runtime::{ConnectError, Message, MessageSink, SendErrorKind};
use tokio::time::Instant;

use crate::support::*;

/// How exact a tokio timer is.
const TICK: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn the_delays_between_attempts_are_those_of_the_formula_3_1() {
    for (dice, share) in [(0, 2), (u64::MAX, 1)] {
        let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
        let sink = registry_with(&net, "", Arc::new(Always(dice)))
            .sink::<Message>("orders")
            .unwrap();
        sink.try_send(numbered(0)).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let times = net.dial_times();
        for (attempt, pair) in times.windows(2).enumerate() {
            let delay = Duration::from_millis(10_000.min(100 << attempt)) / share;
            let waited = pair[1] - pair[0];
            assert!(
                waited >= delay && waited <= delay + TICK,
                "attempt {attempt}: {waited:?}, not {delay:?}"
            );
        }
        assert!(times.len() >= 10);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_connection_the_first_redial_is_within_the_first_delay_3_1() {
    for (dice, expected) in [(0, Duration::ZERO), (u64::MAX, Duration::from_millis(100))] {
        let net = Net::open();
        let sink = registry_with(&net, "delivery = \"at_least_once\"", Arc::new(Always(dice)))
            .sink::<Message>("orders")
            .unwrap();
        sink.try_send(numbered(0)).unwrap();
        let mut peer = bounded(net.greet()).await;
        bounded(peer.data()).await.unwrap();
        let lost = Instant::now();
        drop(peer);
        let _peer = bounded(net.greet()).await;
        let waited = net.dial_times()[1] - lost;
        assert!(
            waited >= expected && waited <= expected + TICK,
            "{waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn max_attempts_ends_it_and_connect_begins_anew_3_2() {
    let net = Net::new(|attempt| match attempt {
        0..3 => Answer::Refuse(ErrorKind::ConnectionRefused),
        _ => Answer::Connect(Rules::default()),
    });
    let sink = sink_over(&net, "max_attempts = 3\nbuffer_size = 1");
    sink.try_send(numbered(0)).unwrap();
    let error = bounded(sink.send(numbered(1))).await.unwrap_err();
    assert!(
        matches!(error.kind(), SendErrorKind::Connect { .. }),
        "{error}"
    );
    assert_eq!(number_of(error.into_message().unwrap().payload()), 1);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(net.dials(), 3);
    let error = sink.try_send(numbered(2)).unwrap_err();
    assert_eq!(number_of(error.into_message().unwrap().payload()), 2);
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
    // What was accepted before is not forgotten.
    assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 0);
    ledger(&sink);
}

#[tokio::test(start_paused = true)]
async fn after_max_attempts_a_send_is_refused_and_names_the_last_also_where_there_is_room_3_2() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
    let sink = sink_over(&net, "max_attempts = 1");
    sink.try_send(numbered(0)).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    for number in 1..3 {
        let error = bounded(sink.send(numbered(number))).await.unwrap_err();
        assert!(
            matches!(error.kind(), SendErrorKind::Connect { .. }),
            "{error}"
        );
        assert_eq!(number_of(error.into_message().unwrap().payload()), number);
    }
    assert_eq!(net.dials(), 1);
    ledger(&sink);
}

#[tokio::test(start_paused = true)]
async fn the_same_dice_give_the_same_attempts_3_4() {
    let run = |seed| async move {
        let start = Instant::now();
        let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
        let chance = Arc::new(sink_runtime::clock::SplitMix::new(seed));
        let sink = registry_with(&net, "", chance)
            .sink::<Message>("orders")
            .unwrap();
        sink.try_send(numbered(0)).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let times = net.dial_times();
        times.into_iter().map(|at| at - start).collect::<Vec<_>>()
    };
    let first = run(11).await;
    let second = run(11).await;
    let other = run(12).await;
    assert_eq!(first.len(), second.len());
    for (one, two) in first.iter().zip(&second) {
        assert!(one.abs_diff(*two) <= TICK);
    }
    assert_ne!(first, other);
}

#[tokio::test(start_paused = true)]
async fn asking_again_and_again_after_max_attempts_keeps_to_the_slots_2_4() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
    let sink = sink_over(&net, "max_attempts = 1");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        bounded(sink.connect()).await.unwrap_err();
    }
    assert!(
        net.dials() <= 21,
        "{} attempts in slots of 50 ms",
        net.dials()
    );
}

#[tokio::test(start_paused = true)]
async fn the_count_starts_over_only_after_five_seconds_of_ready_3_2() {
    for (up, next) in [(4_900, 800), (5_001, 100)] {
        let net = Net::new(|attempt| match attempt {
            3 => Answer::Connect(Rules::default()),
            _ => Answer::Refuse(ErrorKind::ConnectionRefused),
        });
        let chance = Arc::new(Always(u64::MAX));
        let sink = registry_with(&net, "delivery = \"at_least_once\"", chance)
            .sink::<Message>("orders")
            .unwrap();
        sink.try_send(numbered(0)).unwrap();
        let mut peer = bounded(net.greet()).await;
        bounded(peer.data()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(up)).await;
        drop(peer);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let times = net.dial_times();
        let waited = times[5] - times[4];
        let expected = Duration::from_millis(next);
        assert!(
            waited >= expected && waited <= expected + TICK,
            "up {up} ms: {waited:?}"
        );
    }
}

/// A sink whose dice always show the longest delay.
fn unlucky(net: &Arc<Net>) -> sink_runtime::DynSink {
    let chance = Arc::new(Always(u64::MAX));
    let registry = registry_with(net, "", chance);
    registry.sink::<Message>("orders").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_welcomes_and_hangs_up_is_dialed_ever_more_rarely_3_2() {
    let net = Net::open();
    let sink = unlucky(&net);
    let serving = tokio::spawn({
        let net = Arc::clone(&net);
        async move {
            let mut taken = Vec::new();
            while taken.len() < few(4_000) as usize {
                let mut peer = net.greet().await;
                settle().await;
                while let Some(Some((_, payload))) = poll_once(peer.data()) {
                    taken.push(number_of(&payload));
                }
            }
            taken
        }
    });
    for number in 0..few(4_000) {
        sink.try_send(numbered(number)).unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        bounded(serving).await.unwrap(),
        (0..few(4_000)).collect::<Vec<_>>()
    );
    let times = net.dial_times();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (lost, waited) in waits.iter().enumerate() {
        let delay = match lost {
            0 => 100,
            _ => 10_000.min(50 << lost),
        };
        // The next message comes within 10 ms of the slot's beginning.
        let (delay, slack) = (Duration::from_millis(delay), Duration::from_millis(12));
        assert!(*waited >= delay && *waited <= delay + slack, "{waits:?}");
    }
    ledger(&sink);
}

#[tokio::test(start_paused = true)]
async fn connect_waits_through_the_delay_behind_a_connection_that_did_not_last_3_2() {
    for (up, delay) in [(4_999, 100), (5_001, 0)] {
        let net = Net::open();
        let sink = unlucky(&net);
        sink.try_send(numbered(0)).unwrap();
        let mut peer = bounded(net.greet()).await;
        bounded(peer.data()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(up)).await;
        let lost = Instant::now();
        drop(peer);
        settle().await;
        assert_eq!(sink.state().name(), "idle", "not a failure");
        let connecting = tokio::spawn({
            let sink = sink.clone();
            async move { sink.connect().await }
        });
        let _peer = bounded(net.greet()).await;
        bounded(connecting).await.unwrap().unwrap();
        let (waited, delay) = (net.dial_times()[1] - lost, Duration::from_millis(delay));
        assert!(waited >= delay && waited <= delay + TICK, "{waited:?}");
    }
}

/// A consumer of the relay service `orders` over `net`.
fn consumer_over(net: &Arc<Net>, more: &str) -> sink_runtime::Source<Message> {
    let text = format!(
        "[services.orders]\ntype = \"relay\"\nendpoint = \"unix:///run/user/0/sinks-test/orders.sock\"\n{more}\n"
    );
    sink_runtime::ServiceRegistry::from_toml(&text)
        .unwrap()
        .with_surroundings(surroundings_over(net))
        .source::<Message>("orders")
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_consumer_keeps_to_the_slots_whatever_max_attempts_says_2_4() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
    let mut source = consumer_over(&net, "max_attempts = 1");
    let waiting = tokio::time::timeout(Duration::from_secs(60), source.recv());
    assert!(waiting.await.is_err(), "it waits for its relay");
    let dials = net.dials();
    assert!((8..=25).contains(&dials), "{dials} attempts in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_waits_two_seconds_for_its_relays_first_frame_10_5() {
    let net = Net::open();
    let mut source = consumer_over(&net, "");
    let waiting = tokio::time::timeout(Duration::from_secs(4), source.recv());
    assert!(waiting.await.is_err());
    let times = net.dial_times();
    let waited = times[1] - times[0];
    assert!(
        waited >= Duration::from_secs(2) && waited <= Duration::from_millis(2_110),
        "{waited:?}"
    );
}

/// A relay's welcome, its announcement of a producer with a type of so many bytes, and `messages` of it.
fn serve_consumer(peer: &Peer, shape: usize, messages: u64) {
    peer.say(|out| {
        Welcome {
            relay_epoch: 1,
            next_offset: 1,
            ..Welcome::default()
        }
        .encode(out);
        Producer {
            producer: ProducerId { id: 7, epoch: 1 },
            first: 1,
            shape: "x".repeat(shape).into(),
            ..Producer::default()
        }
        .encode(out);
        Chunk {
            producer: 0,
            frames: messages as u32,
            first_offset: 1,
        }
        .encode(out);
        for sequence in 1..=messages {
            out.extend(data_frame(sequence, &sequence.to_le_bytes()));
        }
    });
}

#[tokio::test]
async fn what_a_relay_says_of_producers_is_under_no_max_frame_bytes_4_6() {
    let net = Net::open();
    let mut source = consumer_over(&net, "max_frame_bytes = 64");
    bounded(source.start()).await.unwrap();
    let mut peer = bounded(net.accept()).await;
    bounded(peer.hear_hello()).await;
    serve_consumer(&peer, 10_000, 1);
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!(number_of(delivery.payload()), 1);
}

#[tokio::test]
async fn a_closed_consumer_lets_go_of_its_relay_though_messages_wait_4_9() {
    let net = Net::open();
    let mut source = consumer_over(&net, "");
    bounded(source.start()).await.unwrap();
    let mut peer = bounded(net.accept()).await;
    bounded(peer.hear_hello()).await;
    serve_consumer(&peer, 10, 3);
    bounded(source.recv()).await.unwrap().unwrap();
    source.close();
    while let Some(frame) = bounded(peer.frame()).await {
        assert_eq!(frame[4], frame::Kind::Heartbeat as u8);
    }
    for number in 2..=3 {
        let delivery = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(delivery.payload()), number);
    }
    assert!(bounded(source.recv()).await.is_none());
}

fn elsewhere() -> sink_runtime::transport::Endpoint {
    sink_runtime::transport::Endpoint::Unix("/run/user/0/elsewhere/orders.sock".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_new_endpoint_is_dialed_at_once_and_the_count_starts_over_3_3() {
    for (dice, jitter) in [(0, 0), (u64::MAX, 100)] {
        let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
        let registry = registry_with(&net, "", Arc::new(Always(dice)));
        let sink = registry.sink::<Message>("orders").unwrap();
        sink.try_send(numbered(0)).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let before = net.dials();
        let now = Instant::now();
        registry.reprovision("orders", elsewhere()).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let times = net.dial_times();
        let jitter = Duration::from_millis(jitter);
        let waited = times[before] - now;
        assert!(waited >= jitter && waited <= jitter + TICK, "{waited:?}");
        let delay = Duration::from_millis(if dice == 0 { 50 } else { 100 });
        let next = times[before + 1] - times[before];
        assert!(next >= delay && next <= delay + TICK, "{next:?}");
        let endpoints = net.endpoints();
        assert!(
            endpoints[..before]
                .iter()
                .all(|one| one.contains("sinks-test"))
                && endpoints[before..]
                    .iter()
                    .all(|one| one.contains("elsewhere")),
            "{endpoints:?}"
        );
        // Told the same again, nothing changes.
        let before = net.dials();
        registry.reprovision("orders", elsewhere()).unwrap();
        settle().await;
        assert_eq!(net.dials(), before);
        match sink.state() {
            sink_runtime::SinkState::Backoff { last_error, .. } => {
                assert!(last_error.to_string().contains("elsewhere"), "{last_error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_to_the_old_endpoint_ends_and_what_is_owed_goes_to_the_new_3_3() {
    for more in ["", "delivery = \"at_least_once\""] {
        let net = Net::new(|attempt| {
            Answer::Connect(Rules {
                // The first takes the hello and a little more: a frame is torn when the service moves.
                budget: if attempt == 0 { 2_000 } else { usize::MAX },
                capacity: 1 << 20,
                ..Rules::default()
            })
        });
        let registry = registry_over(&net, more);
        let sink = registry.sink::<Message>("orders").unwrap();
        for number in 0..100 {
            sink.try_send(numbered(number)).unwrap();
        }
        let mut old = bounded(net.greet()).await;
        settle().await;
        registry.reprovision("orders", elsewhere()).unwrap();
        let there: Vec<u64> = old
            .rest()
            .await
            .iter()
            .map(|(_, got)| number_of(got))
            .collect();
        let mut new = bounded(net.greet()).await;
        let here: Vec<u64> = new
            .rest()
            .await
            .iter()
            .map(|(_, got)| number_of(got))
            .collect();
        assert!(!there.is_empty() && there.len() < 100, "{}", there.len());
        let all: Vec<u64> = if more.is_empty() {
            there.into_iter().chain(here).collect()
        } else {
            // Nothing was acked: all of it is sent again.
            here
        };
        assert_eq!(all, (0..100).collect::<Vec<_>>(), "{more}");
        assert_eq!(ledger(&sink).unknown, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_connection_gets_the_one_to_the_new_endpoint_3_3() {
    let net = Net::new(|attempt| match attempt {
        0 => Answer::Hang,
        _ => Answer::Connect(Rules::default()),
    });
    let registry = registry_over(&net, "");
    let sink = registry.sink::<Message>("orders").unwrap();
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    settle().await;
    registry.reprovision("orders", elsewhere()).unwrap();
    let _peer = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
    assert_eq!(net.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_cannot_flush_after_max_attempts_and_nothing_is_taken_after_it_3_2() {
    let net = Net::new(|_| Answer::Refuse(ErrorKind::ConnectionRefused));
    let sink = sink_over(&net, "max_attempts = 2");
    sink.try_send(numbered(0)).unwrap();
    // Once while it tries, once when it has given up.
    for _ in 0..2 {
        let error = bounded(sink.disconnect()).await.unwrap_err();
        assert!(matches!(error, ConnectError::GaveUp { .. }), "{error}");
        let error = sink.try_send(numbered(1)).unwrap_err();
        assert!(
            matches!(error.kind(), SendErrorKind::Connect { .. }),
            "{error}"
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!((net.dials(), sink.state().name()), (2, "closed"));
    }
    ledger(&sink);
}
