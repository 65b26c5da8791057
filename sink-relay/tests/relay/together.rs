//! The runtime's own sinks and sources at both ends.

use std::sync::Arc;
use std::time::Duration;

use sink_relay::{Relay, RunningRelay};
use sink_runtime::{Gap, Message, MessageSink, ServiceRegistry, Source, SourceError};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::inproc;

fn registry(endpoint: &str) -> Arc<ServiceRegistry> {
    let text = format!(
        "[services.ticks]\ntype = \"relay\"\nendpoint = \"{endpoint}\"\ndelivery = \"at_least_once\"\nreconnect_delay_ms = 5\nreconnect_max_delay_ms = 20\n"
    );
    Arc::new(ServiceRegistry::from_toml(&text).unwrap())
}

async fn start(endpoint: &str) -> RunningRelay {
    loop {
        // The address of a relay that was just cut off is free once its tasks are gone.
        match Relay::bind(endpoint).unwrap().start().await {
            Ok(relay) => return relay,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// The next message's number, or the gap before it.
async fn next(source: &mut Source<Message>) -> Result<u64, Gap> {
    match timeout(PATIENCE, source.recv())
        .await
        .expect("something arrives")
    {
        Some(Ok(delivery)) => {
            assert!(delivery.gap().is_none());
            let number = std::str::from_utf8(delivery.payload()).unwrap();
            Ok(number.parse().unwrap())
        }
        Some(Err(SourceError::Gap(gap))) => Err(gap),
        Some(Err(other)) => panic!("{other}"),
        None => panic!("the source ended"),
    }
}

/// A consumer whose runtime ends goes on under another one behind what it has read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_under_another_runtime() {
    let endpoint = inproc();
    let services = registry(&endpoint);
    let _relay = start(&endpoint).await;
    let sink = services.sink::<Message>("ticks").unwrap();
    let send = async |from: u64, to: u64| {
        for number in from..=to {
            sink.send(Message::new(number.to_string())).await.unwrap();
        }
        sink.flush().await.unwrap();
    };
    send(1, 100).await;
    let mut source = services.source::<Message>("ticks").unwrap();
    let elsewhere = tokio::task::spawn_blocking(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let other = builder.enable_all().build().unwrap();
        other.block_on(async {
            for number in 1..=100 {
                assert_eq!(next(&mut source).await, Ok(number));
            }
        });
        source
    });
    let mut source = elsewhere.await.unwrap();
    send(101, 200).await;
    for number in 101..=200 {
        assert_eq!(next(&mut source).await, Ok(number));
    }
    assert_eq!(source.ledger().duplicates, 0, "it was resumed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_and_sources_meet_in_any_order() {
    let endpoint = inproc();
    let services = registry(&endpoint);
    let sink = services.sink::<Message>("ticks").unwrap();
    for number in 1..=500u64 {
        sink.send(Message::new(number.to_string())).await.unwrap();
    }
    let mut early = services.source::<Message>("ticks").unwrap();
    let reading = tokio::spawn(async move {
        for number in 1..=20_000 {
            assert_eq!(next(&mut early).await, Ok(number));
        }
    });
    let relay = start(&endpoint).await;
    for number in 501..=20_000u64 {
        sink.send(Message::new(number.to_string())).await.unwrap();
    }
    sink.flush().await.unwrap();
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    let mut late = services.source::<Message>("ticks").unwrap();
    for number in 1..=20_000 {
        assert_eq!(next(&mut late).await, Ok(number));
    }
    sink.close(Duration::from_secs(5)).await;
    relay.shut_down().await;
}

/// What the dead relay held and a consumer had not read is a gap, counted to the message; nothing comes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_dies_again_and_again_loses_nothing_silently() {
    let endpoint = inproc();
    let services = registry(&endpoint);
    let sink = services.sink::<Message>("ticks").unwrap();
    let mut source = services.source::<Message>("ticks").unwrap();
    // Eight parts; in the middle of each, as the consumer has it, a relay dies, and the next part begins once it has.
    const PART: u64 = 30_000 / 8;
    let (progress, mut progressed) = watch::channel(1u64);
    let (deaths, mut died) = watch::channel(0u64);
    let sending = tokio::spawn(async move {
        for number in 1..=30_000u64 {
            sink.send(Message::new(number.to_string())).await.unwrap();
            if number % PART == 0 {
                died.wait_for(|deaths| *deaths >= number / PART)
                    .await
                    .unwrap();
            }
        }
        sink.flush().await.unwrap();
    });
    let restarting = {
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            for life in 0..8u64 {
                let relay = start(&endpoint).await;
                progressed
                    .wait_for(|next| *next > life * PART + PART / 2)
                    .await
                    .unwrap();
                drop(relay);
                deaths.send_replace(life + 1);
            }
            start(&endpoint).await
        })
    };
    let (mut expected, mut lost) = (1, 0);
    while expected <= 30_000 {
        match next(&mut source).await {
            Ok(number) => {
                assert_eq!(number, expected, "neither twice nor silently missing");
                expected += 1;
            }
            // One producer, so the numbers of its sequences are ours.
            Err(gap) => {
                assert_eq!(gap.from, expected, "{gap:?}");
                expected = gap.to + 1;
                lost += gap.to - gap.from + 1;
            }
        }
        progress.send_replace(expected);
    }
    sending.await.unwrap();
    let relay = restarting.await.unwrap();
    let ledger = source.ledger();
    assert_eq!((ledger.received + lost, ledger.lost), (30_000, lost));
    relay.shut_down().await;
}

/// Reads until `received + lost` of `source` reaches `all`.
async fn account(source: &mut Source<Message>, all: u64) -> (u64, u64) {
    while source.ledger().received + source.ledger().lost < all {
        drop(
            timeout(PATIENCE, source.recv())
                .await
                .unwrap_or_else(|_| panic!("{:?} of {all}", source.ledger())),
        );
    }
    (source.ledger().received, source.ledger().lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_after_a_relay_died_is_told_what_each_producer_lost() {
    let endpoint = inproc();
    // Registries of their own: producers of their own.
    let producers = [registry(&endpoint), registry(&endpoint)];
    let sinks = producers
        .each_ref()
        .map(|services| services.sink::<Message>("ticks").unwrap());
    let relay = start(&endpoint).await;
    for number in 1..=100u64 {
        for sink in &sinks {
            sink.send(Message::new(number.to_string())).await.unwrap();
        }
    }
    for sink in &sinks {
        sink.flush().await.unwrap();
    }
    drop(relay);
    let _relay = start(&endpoint).await;
    for sink in &sinks {
        sink.send(Message::new("101")).await.unwrap();
        sink.flush().await.unwrap();
    }
    let mut late = producers[0].source::<Message>("ticks").unwrap();
    assert_eq!(account(&mut late, 202).await, (2, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_away_while_its_relay_died_is_told_what_left_retention() {
    let endpoint = inproc();
    let first = registry(&endpoint);
    let sink = first.sink::<Message>("ticks").unwrap();
    let relay = start(&endpoint).await;
    let mut consumer = first.source::<Message>("ticks").unwrap();
    sink.send(Message::new("1")).await.unwrap();
    assert_eq!(next(&mut consumer).await, Ok(1));
    drop(relay);
    let second = registry(&endpoint);
    let other = second.sink::<Message>("ticks").unwrap();
    let _relay = loop {
        match Relay::bind(&endpoint).unwrap().retain(100).start().await {
            Ok(relay) => break relay,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    for number in 1..=1_000u64 {
        other.send(Message::new(number.to_string())).await.unwrap();
    }
    other.flush().await.unwrap();
    let (received, lost) = account(&mut consumer, 1_001).await;
    assert_eq!(received + lost, 1_001);
}
