use sink_relay::Relay;
use sink_runtime::frame::Start;

use crate::client::{Consumer, Event, Sender, consumer, producer};
use crate::{relay, start};

#[tokio::test]
async fn messages_arrive_in_order_with_dense_offsets() {
    let (_relay, endpoint) = relay().await;
    let mut late = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    assert_eq!(sender.welcome.acked, 0);
    sender.send_acked(1, 1000).await;
    assert_eq!(late.welcome.next_offset, 1);
    late.producer(0, 1, 1).await;
    late.messages(0, 1, 1000, 1).await;
}

#[tokio::test]
async fn the_same_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relay.sock");
    let (relay, endpoint) = start(Relay::bind(format!("unix://{}", path.display())).unwrap()).await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 50_000).await;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 50_000, 1).await;
    let statistics = relay.statistics();
    let service = statistics.service("ticks").unwrap();
    assert_eq!(
        (
            service.messages_in,
            service.messages_out,
            service.producers,
            service.consumers.len()
        ),
        (50_000, 50_000, 1, 1)
    );
    relay.shut_down().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn the_same_over_tcp() {
    let (_relay, endpoint) = start(Relay::bind("tcp://127.0.0.1:0").unwrap()).await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 5000).await;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 5000, 1).await;
}

#[tokio::test]
async fn a_late_consumer_gets_exactly_what_is_retained() {
    let (_relay, endpoint) = start(Relay::bind(crate::inproc()).unwrap().retain(100)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    for at in 0..10 {
        sender.send_acked(at * 30 + 1, at * 30 + 30).await;
    }
    let mut late = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    assert_eq!(late.welcome.next_offset, 201);
    late.producer(0, 1, 201).await;
    late.messages(0, 201, 300, 201).await;
}

#[tokio::test]
async fn a_returning_consumer_goes_on_behind_what_it_has() {
    let (_relay, endpoint) = relay().await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 100).await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let epoch = reader.welcome.relay_epoch;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 10, 1).await;
    drop(reader);
    let mut reader =
        Consumer::connect(&endpoint, &consumer(Start::After { epoch, offset: 42 })).await;
    assert_eq!(
        (reader.welcome.relay_epoch, reader.welcome.next_offset),
        (epoch, 43)
    );
    reader.producer(0, 1, 43).await;
    reader.messages(0, 43, 100, 43).await;
    let mut elsewhere = Consumer::connect(
        &endpoint,
        &consumer(Start::After {
            epoch: epoch + 1,
            offset: 42,
        }),
    )
    .await;
    assert_eq!(elsewhere.welcome.next_offset, 1);
    elsewhere.producer(0, 1, 1).await;
    let mut ahead = Consumer::connect(
        &endpoint,
        &consumer(Start::After {
            epoch,
            offset: u64::MAX,
        }),
    )
    .await;
    assert_eq!(ahead.welcome.next_offset, 101);
    ahead.producer(0, 1, 101).await;
}

#[tokio::test]
async fn what_is_sent_again_is_dropped_and_acked() {
    let (relay, endpoint) = relay().await;
    let mut first = Sender::connect(&endpoint, &producer(1)).await;
    first.send_acked(1, 20).await;
    drop(first);
    let mut again = Sender::connect(&endpoint, &producer(1)).await;
    assert_eq!(again.welcome.acked, 20);
    again.send_acked(11, 30).await;
    // Another producer, and another life of the same one, count for themselves.
    Sender::connect(&endpoint, &producer(2))
        .await
        .send_acked(1, 5)
        .await;
    let mut reborn = producer(1);
    reborn.producer.epoch = 2;
    Sender::connect(&endpoint, &reborn)
        .await
        .send_acked(1, 5)
        .await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 30, 1).await;
    reader.producer(1, 2, 1).await;
    reader.messages(1, 1, 5, 31).await;
    reader.producer(2, 1, 1).await;
    reader.messages(2, 1, 5, 36).await;
    assert_eq!(relay.statistics().service("ticks").unwrap().duplicates, 10);
}

#[tokio::test]
async fn several_producers_keep_their_own_order() {
    let (_relay, endpoint) = relay().await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let senders = (1..=4u128).map(|id| {
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            let mut sender = Sender::connect(&endpoint, &producer(id)).await;
            for at in 0..20 {
                sender.send_acked(at * 100 + 1, at * 100 + 100).await;
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    let (mut next, mut offset) = ([1u64; 4], 1);
    while offset <= 8000 {
        match reader.event().await {
            Event::Producer(announced) => assert!(announced.index < 4 && announced.first == 1),
            Event::Message {
                offset: at,
                producer,
                sequence,
                ..
            } => {
                assert_eq!((at, sequence), (offset, next[producer as usize]));
                next[producer as usize] += 1;
                offset += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }
}

#[tokio::test]
async fn a_producer_is_announced_before_it_sends_anything() {
    let (_relay, endpoint) = relay().await;
    let mut early = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let mut hello = producer(9);
    hello.first = 18;
    let _sender = Sender::connect(&endpoint, &hello).await;
    early.producer(0, 9, 18).await;
    let mut late = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    late.producer(0, 9, 18).await;
}

#[tokio::test]
async fn a_frame_of_the_largest_size_passes() {
    let (_relay, endpoint) = start(
        Relay::bind(crate::inproc())
            .unwrap()
            .max_frame_bytes(3 << 20),
    )
    .await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let sender = Sender::connect(&endpoint, &producer(1)).await;
    let payload: Vec<u8> = (0..3 << 20).map(|at: u32| at as u8).collect();
    let mut out = Vec::new();
    crate::client::frame_of(&mut out, 1, &payload);
    let (written, _) = tokio::join!(sender.client.write(&out), async {
        reader.producer(0, 1, 1).await;
        assert_eq!(
            reader.event().await,
            Event::Message {
                offset: 1,
                producer: 0,
                sequence: 1,
                payload
            }
        );
    });
    written.unwrap();
}
