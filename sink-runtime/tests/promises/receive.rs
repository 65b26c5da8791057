//! §4.9 Receiving.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use sink_runtime::{
    Codec, DecodeError, EncodeError, Message, MessageSink, MessageType, Payload, SourceError,
};

use crate::support::*;

#[tokio::test]
async fn a_recv_dropped_after_any_poll_has_taken_nothing_4_9() {
    for more in ["", "delivery = \"at_least_once\"", "buffer_size = 1"] {
        let (_directory, endpoint) = socket();
        let registry = registry_at(&endpoint, more);
        let sink = registry.sink::<Message>("orders").unwrap();
        let mut source = registry.source::<Message>("orders").unwrap();
        bounded(source.start()).await.unwrap();
        let sender = tokio::spawn(async move {
            for number in 0..500 {
                sink.send(numbered(number)).await.unwrap();
                if number % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            sink
        });
        let mut next = 0;
        let mut dropped = 0;
        while next < 500 {
            // Drop it after k polls, for every k up to five; the sixth waits.
            for polls in 0..=5 {
                let mut context = Context::from_waker(Waker::noop());
                let mut taken = None;
                if polls == 5 {
                    taken = bounded(source.recv()).await;
                } else {
                    let mut recv = pin!(source.recv());
                    for _ in 0..polls {
                        if let std::task::Poll::Ready(one) = recv.as_mut().poll(&mut context) {
                            taken = one;
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                    dropped += usize::from(taken.is_none());
                }
                if let Some(delivery) = taken {
                    let delivery = delivery.unwrap();
                    assert_eq!(number_of(delivery.payload()), next, "{more}");
                    assert!(delivery.gap().is_none());
                    next += 1;
                    if next == 500 {
                        break;
                    }
                }
            }
        }
        assert!(dropped > 50, "{dropped} were dropped unfinished");
        let sink = bounded(sender).await.unwrap();
        bounded(sink.flush()).await.unwrap();
        assert_eq!(source.ledger().received, 500);
        assert_eq!(source.ledger().duplicates, 0);
        assert_eq!(ledger(&sink).done, 500);
    }
}

#[tokio::test]
async fn a_recv_batch_dropped_has_taken_nothing_4_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "delivery = \"at_least_once\"");
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let mut next = 0;
    for round in 0..50 {
        for number in 0..20 {
            sink.send(numbered(round * 20 + number)).await.unwrap();
        }
        for _ in 0..3 {
            if let Some(batch) = poll_once(source.recv_batch(7)) {
                for delivery in batch {
                    assert_eq!(number_of(delivery.unwrap().payload()), next);
                    next += 1;
                }
            }
            tokio::task::yield_now().await;
        }
        while next < (round + 1) * 20 {
            let batch = bounded(source.recv_batch(7)).await;
            assert!(!batch.is_empty() && batch.len() <= 7);
            for delivery in batch {
                assert_eq!(number_of(delivery.unwrap().payload()), next);
                next += 1;
            }
        }
    }
    assert!(bounded(source.recv_batch(0)).await.is_empty());
    bounded(sink.flush()).await.unwrap();
    assert_eq!(ledger(&sink).done, 1000);
}

/// Decodes even numbers only.
#[derive(Debug)]
struct Even(u64);

impl MessageType for Even {
    const NAME: &'static str = "Message";
    const SHAPE: &'static str = "Even";
    const FINGERPRINT: u64 = 0;

    fn encode(&self, _: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.0.to_le_bytes());
        Ok(())
    }

    fn decode(_: Codec, payload: Payload<'_>) -> Result<Self, DecodeError> {
        match number_of(&payload) {
            even if even % 2 == 0 => Ok(Self(even)),
            odd => Err(DecodeError::new("even", format!("{odd} is odd"))),
        }
    }
}

#[tokio::test]
async fn what_does_not_decode_is_handed_up_counted_and_acked_4_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "delivery = \"at_least_once\"");
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Even>("orders").unwrap();
    for number in 0..6 {
        sink.send(numbered(number)).await.unwrap();
    }
    for number in 0..6 {
        match bounded(source.recv()).await.unwrap() {
            Ok(delivery) => assert_eq!(delivery.0, number),
            Err(SourceError::Decode { raw, sequence, .. }) => {
                assert_eq!(number_of(&raw), number);
                assert_eq!(sequence, number + 1);
                assert_eq!(number % 2, 1);
            }
            Err(other) => panic!("{other}"),
        }
    }
    let seen = source.ledger();
    assert_eq!((seen.received, seen.undecodable, seen.lost), (3, 3, 0));
    bounded(sink.flush()).await.unwrap();
    assert_eq!(ledger(&sink).done, 6);
}

#[tokio::test]
async fn a_second_bind_is_refused_by_name_4_9() {
    let (_directory, unix) = socket();
    for endpoint in [unix.as_str(), "inproc://promises-second-bind"] {
        let registry = registry_at(endpoint, "");
        let mut first = registry.source::<Message>("orders").unwrap();
        bounded(first.start()).await.unwrap();
        let mut second = registry.source::<Message>("orders").unwrap();
        let error = bounded(second.start()).await.unwrap_err();
        assert!(matches!(error, SourceError::Bind { .. }), "{error:?}");
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(
            text.contains("`orders`") && text.contains(endpoint.trim_start_matches("unix://")),
            "{text}"
        );
        // The first is untouched, and the second takes over once it is gone.
        let sink = registry.sink::<Message>("orders").unwrap();
        sink.send(numbered(1)).await.unwrap();
        assert_eq!(
            number_of(bounded(first.recv()).await.unwrap().unwrap().payload()),
            1
        );
    }
}

#[tokio::test]
async fn a_source_stops_reading_when_it_holds_enough_4_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "buffer_size = 8\nsend_timeout_ms = 300");
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let mut sent = 0u64;
    let error = loop {
        let mut payload = sent.to_le_bytes().to_vec();
        payload.resize(4096, 0);
        match bounded(sink.send(Message::new(payload))).await {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 10_000, "it reads without end");
    };
    assert!(error.is_full(), "{error}");
    for expected in 0..sent {
        assert_eq!(
            number_of(bounded(source.recv()).await.unwrap().unwrap().payload()),
            expected
        );
    }
    bounded(sink.flush()).await.unwrap();
    assert_eq!(ledger(&sink).done, sent);
}

#[tokio::test]
async fn what_was_read_before_close_is_still_handed_up_4_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "");
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    for number in 0..3 {
        sink.send(numbered(number)).await.unwrap();
    }
    bounded(sink.flush()).await.unwrap();
    assert_eq!(
        number_of(bounded(source.recv()).await.unwrap().unwrap().payload()),
        0
    );
    source.close();
    let mut left = Vec::new();
    while let Some(delivery) = bounded(source.recv()).await {
        left.push(number_of(delivery.unwrap().payload()));
    }
    assert_eq!(left, [1, 2]);
}

#[tokio::test]
async fn what_was_written_before_a_disconnect_is_not_lost_by_the_next_connection_4_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "buffer_size = 2");
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    // The source reads nothing yet: each connection's messages wait in a socket of their own.
    for connection in 0..3u64 {
        for number in 0..40 {
            let mut payload = (connection * 40 + number).to_le_bytes().to_vec();
            payload.resize(3000, 0);
            bounded(sink.send(Message::new(payload))).await.unwrap();
        }
        bounded(sink.disconnect()).await.unwrap();
    }
    for expected in 0..120 {
        let delivery = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(delivery.payload()), expected);
        assert!(delivery.gap().is_none(), "{:?}", delivery.gap());
    }
}

#[tokio::test]
async fn a_message_is_acked_when_it_was_handed_up_though_others_of_its_chunk_wait_4_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "confirm = \"acked\"\nsend_timeout_ms = 2000");
    let sink = registry.sink::<Message>("orders").unwrap();
    let sends: Vec<_> = (0..3)
        .map(|number| {
            let sink = sink.clone();
            tokio::spawn(async move { sink.send(numbered(number)).await.map(|_| ()) })
        })
        .collect();
    let mut sends = sends.into_iter();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut source = registry.source::<Message>("orders").unwrap();
    assert_eq!(
        number_of(bounded(source.recv()).await.unwrap().unwrap().payload()),
        0
    );
    bounded(sends.next().unwrap())
        .await
        .unwrap()
        .expect("it was handed to the caller of recv");
    let _others: Vec<_> = sends.collect();
    let _keep = Arc::clone(&registry);
}
