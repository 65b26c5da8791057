//! A sink and a source over each byte stream, in one process.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{Level, Message, MessageSink, ServiceRegistry};

fn registry(endpoint: &str, more: &str) -> Arc<ServiceRegistry> {
    Arc::new(
        ServiceRegistry::from_toml(&format!(
            "[services.orders]\ntype = \"direct\"\nendpoint = \"{endpoint}\"\n{more}\n"
        ))
        .unwrap(),
    )
}

/// Sends `count` numbered messages and checks that all come, in order.
async fn numbers_arrive_in_order(endpoint: &str, more: &str, count: u64) {
    let registry = registry(endpoint, more);
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    let receiver = tokio::spawn(async move {
        for expected in 0..count {
            let delivery = source.recv().await.unwrap().unwrap();
            assert_eq!(delivery.payload().as_ref(), expected.to_le_bytes());
            assert!(delivery.gap().is_none());
        }
        source
    });
    for number in 0..count {
        sink.send(Message::new(number.to_le_bytes().to_vec()))
            .await
            .unwrap();
    }
    let flushed = sink.flush().await;
    let source = receiver.await.unwrap();
    assert_eq!(source.ledger().received, count);
    flushed.unwrap();
    let report = sink.close(Duration::from_secs(5)).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.ledger.is_balanced(), "{:?}", report.ledger);
    assert_eq!(report.ledger.done, count);
}

#[tokio::test]
async fn over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/orders.sock", directory.path().display());
    numbers_arrive_in_order(&endpoint, "", 50_000).await;
}

#[tokio::test]
async fn over_a_unix_socket_at_least_once() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/orders.sock", directory.path().display());
    numbers_arrive_in_order(&endpoint, "delivery = \"at_least_once\"", 50_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_unix_socket_at_least_once_on_two_workers() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/orders.sock", directory.path().display());
    numbers_arrive_in_order(
        &endpoint,
        "delivery = \"at_least_once\"\nbuffer_size = 100",
        50_000,
    )
    .await;
}

#[tokio::test]
async fn within_the_process() {
    numbers_arrive_in_order("inproc://end-to-end-orders", "", 50_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_the_process_on_two_workers_with_little_room() {
    numbers_arrive_in_order("inproc://end-to-end-little", "buffer_size = 10", 50_000).await;
}

#[tokio::test]
async fn within_the_process_with_every_message_confirmed() {
    numbers_arrive_in_order("inproc://end-to-end-confirmed", "confirm = \"acked\"", 200).await;
}

#[tokio::test]
async fn what_a_source_did_not_hand_up_is_there_for_the_next() {
    let registry = registry("inproc://end-to-end-next", "");
    let sink = registry.sink::<Message>("orders").unwrap();
    for number in 0..10u8 {
        sink.send(Message::new(vec![number])).await.unwrap();
    }
    let mut first = registry.source::<Message>("orders").unwrap();
    assert_eq!(first.recv().await.unwrap().unwrap().payload().as_ref(), [0]);
    let mut second = registry.source::<Message>("orders").unwrap();
    let refused = second.recv().await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("orders"), "{refused}");
    drop(first);
    for number in 1..10u8 {
        let delivery = second.recv().await.unwrap().unwrap();
        assert_eq!(delivery.payload().as_ref(), [number]);
        assert!(delivery.gap().is_none());
    }
    assert!(sink.ledger().unwrap().is_balanced());
}

#[tokio::test]
async fn with_every_message_confirmed() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/orders.sock", directory.path().display());
    numbers_arrive_in_order(&endpoint, "confirm = \"acked\"", 200).await;
}

#[tokio::test]
async fn with_a_buffer_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/orders.sock", directory.path().display());
    numbers_arrive_in_order(
        &endpoint,
        "buffer_size = 1\ndelivery = \"at_least_once\"",
        200,
    )
    .await;
}

#[tokio::test]
async fn large_messages_are_not_torn() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/orders.sock", directory.path().display());
    let registry = registry(&endpoint, "");
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    let sizes = [
        0,
        1,
        16 * 1024 - 1,
        16 * 1024,
        16 * 1024 + 1,
        64 * 1024 - 1,
        64 * 1024,
        64 * 1024 + 1,
        1024 * 1024,
    ];
    let receiver = tokio::spawn(async move {
        for (fill, size) in sizes.into_iter().enumerate() {
            let delivery = source.recv().await.unwrap().unwrap();
            assert_eq!(delivery.payload().len(), size);
            assert!(delivery.payload().iter().all(|byte| *byte == fill as u8));
        }
    });
    for (fill, size) in sizes.into_iter().enumerate() {
        sink.send(Message::new(vec![fill as u8; size]))
            .await
            .unwrap();
    }
    receiver.await.unwrap();
    let error = sink
        .try_send(Message::new(vec![0; 1024 * 1024 + 1]))
        .unwrap_err();
    assert!(error.to_string().contains("max_frame_bytes"), "{error}");
    assert_eq!(
        error.into_message().unwrap().payload().len(),
        1024 * 1024 + 1
    );
}

#[tokio::test]
async fn a_receipt_settles_when_the_message_was_handed_up() {
    let registry = registry(
        "inproc://end-to-end-settled",
        "delivery = \"at_least_once\"",
    );
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    let receipt = sink.send(Message::new("one")).await.unwrap();
    assert_ne!(receipt.level(), Level::Acked);
    let settled = tokio::spawn({
        let sink = sink.clone();
        async move { sink.settled(receipt, Level::Acked).await }
    });
    assert_eq!(
        source.recv().await.unwrap().unwrap().payload().as_ref(),
        b"one"
    );
    assert_eq!(settled.await.unwrap().unwrap(), Level::Acked);
}

/// Two shapes of one message, as two processes would have them.
mod old {
    #[derive(Debug, sink_runtime::Message)]
    #[message(serde)]
    pub(crate) struct Order {
        pub(crate) id: u64,
    }
}
mod new {
    #[derive(Debug, sink_runtime::Message)]
    #[message(serde)]
    #[allow(dead_code, reason = "what it holds is not looked at")]
    pub(crate) struct Order {
        pub(crate) id: u64,
        pub(crate) note: Option<String>,
    }
}

#[tokio::test]
async fn a_sender_that_is_turned_away_for_its_type_is_told_what_is_safe_by_the_report_of_its_close()
{
    for (codec, advice) in [
        ("postcard", "would admit it, but not safely: postcard"),
        ("json", "to admit it, write #[message(accepts = "),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = format!("unix://{}/orders.sock", directory.path().display());
        let more = format!("message = \"crate::Order\"\ncodec = \"{codec}\"");
        let (theirs, ours) = (registry(&endpoint, &more), registry(&endpoint, &more));
        let mut source = ours.source::<new::Order>("orders").unwrap();
        let received = tokio::spawn(async move { source.recv().await.is_some() });
        let sink = theirs.sink::<old::Order>("orders").unwrap();
        sink.send(old::Order { id: 1 }).await.unwrap();
        let refused = async {
            let refused = |state: &sink_runtime::SinkState| matches!(state, sink_runtime::SinkState::Backoff { last_error, .. } if last_error.is_permanent());
            while !refused(&sink.state()) {
                tokio::task::yield_now().await;
            }
        };
        let bound = Duration::from_secs(60);
        tokio::time::timeout(bound, refused).await.unwrap();
        let report = sink.close(Duration::ZERO).await.to_string();
        assert!(
            report.contains("1 undelivered, 0 unknown; last attempt:")
                && report.contains("only the consumer has `note:Option<String>`")
                && report.contains(advice),
            "{report}"
        );
        received.abort();
    }
}
