//! §3 Reconnect, at a link: the rules themselves are tested beside `policy/backoff.rs` and `life.rs`.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{Message, MessageSink, SendErrorKind};
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
