use sink_relay::Relay;
use sink_runtime::frame::{Bye, ByeCode, Kind, Start};

use crate::client::{Consumer, Event, Sender, consumer, producer};
use crate::{inproc, relay, start};

#[tokio::test]
async fn a_relay_that_ends_lets_consumers_read_what_there_is() {
    let (relay, endpoint) = relay().await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 30_000).await;
    // Written, and perhaps not read yet.
    sender.send(30_001, 40_000).await;
    let ends = tokio::spawn(relay.shut_down());
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 40_000, 1).await;
    let Event::Bye(bye) = reader.event().await else {
        panic!("no goodbye")
    };
    assert_eq!(bye.code, ByeCode::ShuttingDown as u16);
    drop(reader);
    sender.acked(40_000).await;
    let frame = sender.client.frame().await.unwrap();
    assert_eq!(
        (frame[4], Bye::decode(&frame).code),
        (Kind::Bye as u8, ByeCode::ShuttingDown as u16)
    );
    drop(sender);
    let report = ends.await.unwrap();
    assert_eq!(
        (report.cut, report.service("ticks").unwrap().messages_out),
        (0, 40_000)
    );
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_does_not_read_holds_the_end_up_for_a_bounded_time() {
    let (relay, endpoint) = relay().await;
    let stuck = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    sender.send_acked(1, 60_000).await;
    let begun = tokio::time::Instant::now();
    let report = relay.shut_down().await;
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    assert_eq!(report.cut, 1);
    drop(stuck);
}

#[tokio::test]
async fn serving_ends_with_its_shutdown() {
    let relay = Relay::bind(inproc()).unwrap();
    let report = relay.serve(async {}).await.unwrap();
    assert!(report.services.is_empty());
}

#[tokio::test]
async fn a_dropped_relay_frees_its_address() {
    let name = inproc();
    let (relay, _) = start(Relay::bind(&name).unwrap()).await;
    drop(relay);
    while Relay::bind(&name).unwrap().start().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_never_stops_does_not_hold_the_end_up() {
    let (relay, endpoint) = relay().await;
    let sender = Sender::connect(
        &endpoint,
        &sink_runtime::frame::Hello {
            acks: false,
            ..producer(1)
        },
    )
    .await;
    let floods = tokio::spawn(async move {
        let mut next = 1;
        while sender
            .client
            .write(&crate::client::data(next, next + 99))
            .await
            .is_ok()
        {
            next += 100;
        }
    });
    let report = relay.shut_down().await;
    assert_eq!(report.cut, 0);
    floods.await.unwrap();
}
