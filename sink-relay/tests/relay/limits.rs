use std::time::Duration;

use sink_relay::Relay;
use sink_runtime::frame::{Bye, ByeCode, Hello, Kind, Start};
use tokio::time::{Instant, sleep};

use crate::client::{Client, Consumer, Event, Sender, consumer, data, producer};
use crate::{inproc, relay, start};

#[tokio::test(start_paused = true)]
async fn an_idle_relay_sends_heartbeats_that_say_how_far_it_is() {
    let (_relay, endpoint) = start(
        Relay::bind(inproc())
            .unwrap()
            .heartbeat(Duration::from_secs(3)),
    )
    .await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 5).await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    assert_eq!(reader.welcome.heartbeat_ms, 3000);
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 5, 1).await;
    let begun = Instant::now();
    assert_eq!(reader.event().await, Event::Heartbeat(5));
    assert_eq!(reader.event().await, Event::Heartbeat(5));
    assert!(
        (6000..6100).contains(&begun.elapsed().as_millis()),
        "{:?}",
        begun.elapsed()
    );
    let frame = sender.client.frame().await.unwrap();
    assert_eq!(
        (frame[4], sink_runtime::frame::number(&frame).unwrap()),
        (Kind::Heartbeat as u8, 5)
    );
    let impatient = Hello {
        heartbeat_ms: 500,
        ..consumer(Start::Now)
    };
    assert_eq!(
        Consumer::connect(&endpoint, &impatient)
            .await
            .welcome
            .heartbeat_ms,
        500
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_misses_three_heartbeats_is_lost() {
    let (relay, endpoint) = relay().await;
    let mut sender = Sender::connect(
        &endpoint,
        &Hello {
            heartbeat_ms: 1000,
            ..producer(1)
        },
    )
    .await;
    let begun = Instant::now();
    sender.send_acked(1, 5).await;
    let bye = loop {
        let frame = sender.client.frame().await.unwrap();
        if frame[4] == Kind::Bye as u8 {
            break Bye::decode(&frame);
        }
    };
    assert_eq!(bye.code, ByeCode::Silent as u16);
    assert!(
        (3000..3200).contains(&begun.elapsed().as_millis()),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(relay.statistics().service("ticks").unwrap().producers, 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_promised_no_heartbeats_is_never_called_lost() {
    let (relay, endpoint) = relay().await;
    let _sender = Sender::connect(&endpoint, &producer(1)).await;
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(relay.statistics().service("ticks").unwrap().producers, 1);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_takes_no_byte_for_ten_seconds_is_cut_off() {
    let (relay, endpoint) = relay().await;
    let stuck = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 60_000).await;
    sleep(Duration::from_millis(9000)).await;
    assert_eq!(
        relay.statistics().service("ticks").unwrap().consumers.len(),
        1
    );
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(
        relay.statistics().service("ticks").unwrap().consumers.len(),
        0
    );
    drop(stuck);
}

/// One that speaks is only slow: it is told what it missed, and then gets the newest.
#[tokio::test(start_paused = true)]
async fn a_consumer_that_takes_no_byte_and_speaks_is_waited_for() {
    let (relay, endpoint) = start(Relay::bind(inproc()).unwrap().retain(1_000)).await;
    let mut slow = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 10).await;
    slow.producer(0, 1, 1).await;
    slow.messages(0, 1, 10, 1).await;
    sender.send_acked(11, 60_000).await;
    let mut beat = Vec::new();
    sink_runtime::frame::heartbeat(&mut beat, 0);
    for _ in 0..12 {
        sleep(Duration::from_secs(5)).await;
        slow.client.write(&beat).await.unwrap();
    }
    let statistics = relay.statistics();
    assert_eq!(statistics.service("ticks").unwrap().consumers.len(), 1);
    let (mut next, mut gaps) = (11, 0);
    while next <= 60_000 {
        match slow.event().await {
            Event::Message { offset, .. } => {
                assert_eq!(offset, next);
                next += 1;
            }
            Event::Gap(gap) => {
                assert_eq!((gap.from, gap.cause), (next, 2));
                next = gap.to + 1;
                gaps += 1;
            }
            Event::Producer(_) | Event::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(gaps > 0);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_trickles_in_is_given_up() {
    let (_relay, endpoint) = relay().await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    let begun = Instant::now();
    let mut frame = vec![0, 0, 1, 0, 4, 0, 0, 0];
    frame.resize(65_000, 0);
    for byte in frame.chunks(1) {
        if sender.client.write(byte).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
        if begun.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    let bye = loop {
        let frame = sender.client.frame().await.unwrap();
        if frame[4] == Kind::Bye as u8 {
            break Bye::decode(&frame);
        }
    };
    assert_eq!(bye.code, ByeCode::Malformed as u16);
    assert!(
        begun.elapsed() < Duration::from_secs(35),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_producer_that_comes_back_is_read_to_its_end_first() {
    let (relay, endpoint) = relay().await;
    let old = Sender::connect(&endpoint, &producer(1)).await;
    // Written and not read by anyone yet, as a dialer leaves it that disconnects and dials again.
    let bytes = data(1, 5000);
    let mut at = 0;
    while let Ok(count) = old.client.wire.try_write(&bytes[at..]) {
        at += count;
        if at == bytes.len() {
            break;
        }
    }
    assert_eq!(at, bytes.len());
    let mut hello = producer(1);
    hello.first = 5001;
    let new = Sender::connect(&endpoint, &hello).await;
    assert_eq!(new.welcome.acked, 5000);
    assert_eq!(relay.statistics().service("ticks").unwrap().producers, 1);
}

/// Over a network what a producer wrote before it dialed again may still be under way: its end is waited for, for a second in
/// which nothing comes.
#[tokio::test]
async fn what_is_under_way_on_a_producers_old_connection_is_waited_for() {
    let (_relay, endpoint) = start(Relay::bind("tcp://127.0.0.1:0").unwrap()).await;
    for ends in [true, false] {
        let id = if ends { 1 } else { 2 };
        let mut old = Sender::connect(&endpoint, &producer(id)).await;
        old.send_acked(1, 3).await;
        let mut hello = producer(id);
        hello.first = 5;
        let mut new = Client::dial(&endpoint).await;
        new.hello(&hello).await;
        // Whoever says hello after it is answered after it: it has been read by now.
        drop(Sender::connect(&endpoint, &producer(id + 10)).await);
        old.send(4, 4).await;
        if ends {
            drop(old);
        }
        assert_eq!(new.welcome().await.acked, 4);
    }
}

#[tokio::test]
async fn memory_is_bounded_by_retain_bytes() {
    let (relay, endpoint) = start(Relay::bind(inproc()).unwrap().retain_bytes(200_000)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    for round in 0..100 {
        sender
            .send_acked(round * 1000 + 1, round * 1000 + 1000)
            .await;
        let statistics = relay.statistics();
        let service = statistics.service("ticks").unwrap();
        assert!(service.retained_bytes <= 200_000, "{service:?}");
    }
}

#[tokio::test]
async fn a_producer_that_comes_back_takes_its_own_place_in_a_full_relay() {
    let (_relay, endpoint) = start(Relay::bind(inproc()).unwrap().max_connections(1)).await;
    let mut old = Sender::connect(&endpoint, &producer(1)).await;
    old.send_acked(1, 3).await;
    // Its old connection is not gone yet, as far as the relay knows.
    let new = Sender::connect(&endpoint, &producer(1)).await;
    assert_eq!(new.welcome.acked, 3);
}

#[tokio::test]
async fn strangers_take_no_place_from_who_is_welcome() {
    let (_relay, endpoint) = start(Relay::bind(inproc()).unwrap().max_connections(1)).await;
    let mut strangers = Vec::new();
    for _ in 0..16 {
        strangers.push(crate::client::Client::dial(&endpoint).await);
    }
    let begun = Instant::now();
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 3).await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "they are waited for"
    );
}
