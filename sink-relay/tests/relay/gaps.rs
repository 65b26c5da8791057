use sink_relay::{Relay, SlowConsumer};
use sink_runtime::frame::{ByeCode, Start};

use crate::client::{Consumer, Event, Sender, consumer, producer};
use crate::{inproc, relay, start};

#[tokio::test]
async fn a_hole_shows_though_nothing_follows() {
    let (_relay, endpoint) = relay().await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 10).await;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 10, 1).await;
    drop(sender);
    let mut hello = producer(1);
    hello.first = 18;
    let sender = Sender::connect(&endpoint, &hello).await;
    assert_eq!(sender.welcome.acked, 10);
    reader.producer(0, 1, 18).await;
    let mut late = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    late.producer(0, 1, 1).await;
    late.messages(0, 1, 10, 1).await;
    late.producer(0, 1, 18).await;
}

/// 1 to 5 left their sink on no connection. Who was there misses them; who begins now, or behind the first message, does not.
#[tokio::test]
async fn what_a_sink_dropped_before_it_connected_shows_to_who_was_there() {
    let (_relay, endpoint) = start(Relay::bind(inproc()).unwrap().retain(2)).await;
    let mut readers = Vec::new();
    for from in [Start::Retained, Start::Now] {
        readers.push(Consumer::connect(&endpoint, &consumer(from)).await);
    }
    let mut hello = producer(1);
    (hello.first, hello.begin) = (6, 1);
    let mut sender = Sender::connect(&endpoint, &hello).await;
    let mut now = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let announced = now.announced().await;
    assert_eq!((announced.first, announced.begins()), (6, 6));
    sender.send_acked(6, 6).await;
    for reader in &mut readers {
        let announced = reader.announced().await;
        assert_eq!((announced.first, announced.begins()), (6, 1));
        reader.messages(0, 6, 6, 1).await;
    }
    now.messages(0, 6, 6, 1).await;
    let mut late = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let announced = late.announced().await;
    assert_eq!((announced.first, announced.begins()), (6, 1));
    late.messages(0, 6, 6, 1).await;
    for sequence in 7..=9 {
        sender.send_acked(sequence, sequence).await;
    }
    // The offsets that left retention say what it misses.
    let mut later = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    assert_eq!(later.welcome.next_offset, 3);
    let announced = later.announced().await;
    assert_eq!((announced.first, announced.begins()), (8, 8));
    let mut now = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let announced = now.announced().await;
    assert_eq!((announced.first, announced.begins()), (10, 10));
}

#[tokio::test]
async fn a_drop_at_the_tail_shows_by_the_producers_heartbeat() {
    let (_relay, endpoint) = relay().await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 3).await;
    let mut out = Vec::new();
    sink_runtime::frame::heartbeat(&mut out, 3);
    sink_runtime::frame::heartbeat(&mut out, 7);
    sender.client.write(&out).await.unwrap();
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 3, 1).await;
    reader.producer(0, 1, 8).await;
}

#[tokio::test]
async fn a_restarted_relay_shows_what_the_dead_one_held() {
    let name = inproc();
    let (first, endpoint) = start(Relay::bind(&name).unwrap()).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 100).await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let epoch = reader.welcome.relay_epoch;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 40, 1).await;
    drop((first, reader, sender));
    let second = loop {
        match Relay::bind(&name).unwrap().start().await {
            Ok(relay) => break relay,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let mut reader =
        Consumer::connect(&endpoint, &consumer(Start::After { epoch, offset: 40 })).await;
    assert_ne!(reader.welcome.relay_epoch, epoch);
    assert_eq!(reader.welcome.next_offset, 1);
    // 91 to 100 were not acked, say; 41 to 90 died with the relay.
    let mut hello = producer(1);
    hello.first = 91;
    let mut sender = Sender::connect(&endpoint, &hello).await;
    sender.send_acked(91, 120).await;
    reader.producer(0, 1, 91).await;
    reader.messages(0, 91, 120, 1).await;
    second.shut_down().await;
}

#[tokio::test]
async fn a_slow_consumer_is_told_to_the_message_and_slows_nobody() {
    let (relay, endpoint) = start(Relay::bind(inproc()).unwrap().retain(1000)).await;
    let mut slow = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let mut quick = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let mut senders = Vec::new();
    for id in 1..=3 {
        senders.push(Sender::connect(&endpoint, &producer(id)).await);
        quick.producer(id as u32 - 1, id, 1).await;
    }
    // Far more than the slow one's wire and one batch hold; every message at once at the quick one.
    let (rounds, each) = (400u64, 100u64);
    let mut offset = 1;
    for round in 0..rounds {
        for (at, sender) in senders.iter_mut().enumerate() {
            sender
                .send_acked(round * each + 1, round * each + each)
                .await;
            quick
                .messages(at as u32, round * each + 1, round * each + each, offset)
                .await;
            offset += each;
        }
    }
    let (mut next, mut last, mut lost, mut got) = (1, [0u64; 3], 0, 0);
    let mut names = [0u128; 3];
    while next < offset {
        match slow.event().await {
            Event::Producer(announced) => names[announced.index as usize] = announced.producer.id,
            Event::Message {
                offset,
                producer,
                sequence,
                ..
            } => {
                assert_eq!((offset, sequence), (next, last[producer as usize] + 1));
                last[producer as usize] = sequence;
                next += 1;
                got += 1;
            }
            Event::Gap(gap) => {
                assert_eq!((gap.from, gap.cause), (next, 2));
                let before: u64 = last.iter().sum();
                for (index, highest) in gap.producers {
                    assert!(highest > last[index as usize]);
                    last[index as usize] = highest;
                }
                // No holes here, so the producers' numbers add up to the offsets'.
                assert_eq!(last.iter().sum::<u64>() - before, gap.to - gap.from + 1);
                lost += gap.to - gap.from + 1;
                next = gap.to + 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(lost > 0, "the slow consumer was not slow enough");
    assert_eq!((got + lost, last), (3 * rounds * each, [rounds * each; 3]));
    assert_eq!(names, [1, 2, 3]);
    let statistics = relay.statistics();
    let service = statistics.service("ticks").unwrap();
    assert_eq!(
        (
            service.dropped,
            service.consumers[0].dropped,
            service.consumers[1].dropped
        ),
        (lost, lost, 0)
    );
}

#[tokio::test]
async fn a_consumer_that_comes_back_too_late_is_told_what_left_retention() {
    let (_relay, endpoint) = start(Relay::bind(inproc()).unwrap().retain(100)).await;
    let mut one = Sender::connect(&endpoint, &producer(1)).await;
    let mut two = Sender::connect(&endpoint, &producer(2)).await;
    one.send_acked(1, 50).await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let epoch = reader.welcome.relay_epoch;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 50, 1).await;
    drop(reader);
    two.send_acked(1, 30).await;
    one.send_acked(51, 100).await;
    two.send_acked(31, 130).await;
    let mut reader =
        Consumer::connect(&endpoint, &consumer(Start::After { epoch, offset: 50 })).await;
    assert_eq!(reader.welcome.next_offset, 51);
    reader.producer(0, 1, 1).await;
    reader.producer(1, 2, 1).await;
    let Event::Gap(gap) = reader.event().await else {
        panic!("no gap")
    };
    assert_eq!((gap.from, gap.to, gap.cause), (51, 130, 1));
    assert_eq!(gap.producers, [(0, 100), (1, 30)]);
    reader.messages(1, 31, 130, 131).await;
}

#[tokio::test]
async fn a_service_may_disconnect_slow_consumers() {
    let (_relay, endpoint) = start(
        Relay::bind(inproc())
            .unwrap()
            .retain(100)
            .slow_consumer(SlowConsumer::Disconnect),
    )
    .await;
    let mut slow = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    for round in 0..400 {
        sender.send_acked(round * 100 + 1, round * 100 + 100).await;
    }
    let mut next = 1;
    loop {
        match slow.event().await {
            Event::Producer(_) => {}
            Event::Message { offset, .. } => {
                assert_eq!(offset, next);
                next += 1;
            }
            Event::Bye(bye) => {
                assert_eq!(bye.code, ByeCode::TooSlow as u16);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(next < 40_000);
}
