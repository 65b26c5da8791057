//! §4.9 Receiving.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use sink_runtime::frame::{self, Kind};
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
async fn a_gap_before_what_does_not_decode_is_told_first_4_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "");
    let mut source = registry.source::<Even>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let peer = producer_at(&endpoint, &hello_of(1)).await;
    for (sequence, number) in [(1, 0u64), (4, 1), (5, 2)] {
        let frame = data_frame(sequence, &number.to_le_bytes());
        assert_eq!(peer.wire.try_write(&frame).unwrap(), frame.len());
    }
    assert_eq!(bounded(source.recv()).await.unwrap().unwrap().0, 0);
    match bounded(source.recv()).await.unwrap() {
        Err(SourceError::Gap(gap)) => assert_eq!((gap.from, gap.to), (2, 3)),
        other => panic!("{other:?}"),
    }
    match bounded(source.recv()).await.unwrap() {
        Err(SourceError::Decode { sequence, .. }) => assert_eq!(sequence, 4),
        other => panic!("{other:?}"),
    }
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!((delivery.0, delivery.gap()), (2, None));
    let seen = source.ledger();
    assert_eq!((seen.received, seen.undecodable), (2, 1));
    assert_eq!((seen.gaps, seen.lost), (1, 2));
}

#[tokio::test]
async fn a_gap_before_a_composites_duplicate_is_told_6_1() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "");
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let peer = producer_at(&endpoint, &hello_of(1)).await;
    // Sent through a composite as its messages 1, 1 again, and 2; the link dropped its own 2 and 3.
    for (sequence, number) in [(1, 1u64), (4, 1), (5, 2)] {
        let mut frame = Vec::new();
        frame::begin_data(&mut frame, frame::FLAG_IDENTITY, sequence);
        frame.extend_from_slice(&7u64.to_le_bytes());
        frame.extend_from_slice(&number.to_le_bytes());
        frame::finish(&mut frame, 0, 0);
        assert_eq!(peer.wire.try_write(&frame).unwrap(), frame.len());
    }
    assert_eq!(bounded(source.recv()).await.unwrap().unwrap().sequence(), 1);
    match bounded(source.recv()).await.unwrap() {
        Err(SourceError::Gap(gap)) => assert_eq!((gap.from, gap.to), (2, 3)),
        other => panic!("{other:?}"),
    }
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!((delivery.sequence(), delivery.gap()), (5, None));
    let seen = source.ledger();
    assert_eq!((seen.received, seen.duplicates, seen.lost), (2, 1, 2));
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

/// Who follows at once need not know that the runtime has yet to come to what was dropped.
#[tokio::test]
async fn a_source_that_was_dropped_or_closed_makes_way_for_the_next_4_9() {
    let (_directory, unix) = socket();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    for endpoint in [unix.as_str(), &format!("tcp://127.0.0.1:{port}")] {
        let registry = registry_at(endpoint, "");
        let mut first = registry.source::<Message>("orders").unwrap();
        bounded(first.start()).await.unwrap();
        drop(first);
        let mut second = registry.source::<Message>("orders").unwrap();
        bounded(second.start()).await.unwrap();
        second.close();
        assert!(bounded(second.recv()).await.is_none());
        let mut third = registry.source::<Message>("orders").unwrap();
        bounded(third.start()).await.unwrap();
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

/// Writes numbered frames of `size` until the source reads no more; how many went, whole.
async fn until_it_stops_reading(peer: &Peer, size: usize) -> u64 {
    let mut sent = 0u64;
    let mut bytes = Vec::new();
    let mut refused = 0;
    while refused < 200 {
        if bytes.is_empty() {
            let mut payload = (sent + 1).to_le_bytes().to_vec();
            payload.resize(size, 0);
            bytes = data_frame(sent + 1, &payload);
            sent += 1;
        }
        match peer.wire.try_write(&bytes) {
            Ok(count) => {
                bytes.drain(..count);
                refused = 0;
            }
            Err(_) => {
                refused += 1;
                tokio::task::yield_now().await;
            }
        }
        assert!(sent < 1_000_000, "it reads without end");
    }
    sent - u64::from(!bytes.is_empty())
}

#[tokio::test]
async fn a_source_holds_at_most_buffer_size_messages_however_small_4_9() {
    for (limit, size) in [(1, 8), (10, 8), (100, 20), (10, 70_000)] {
        let (_directory, endpoint) = socket();
        let registry = registry_at(&endpoint, &format!("buffer_size = {limit}"));
        let mut source = registry.source::<Message>("orders").unwrap();
        bounded(source.start()).await.unwrap();
        let peer = producer_at(&endpoint, &hello_of(1)).await;
        let sent = until_it_stops_reading(&peer, size).await;
        assert!(sent > limit);
        // Half of it goes, and as much comes in again.
        for expected in 1..=limit / 2 {
            let delivery = bounded(source.recv()).await.unwrap().unwrap();
            assert_eq!(number_of(delivery.payload()), expected);
        }
        until_it_stops_reading(&peer, 0).await;
        source.close();
        let mut held = 0;
        while let Some(delivery) = bounded(source.recv()).await {
            held += 1;
            assert_eq!(number_of(delivery.unwrap().payload()), limit / 2 + held);
        }
        assert!(held <= limit && held > 0, "{held} of {limit} held");
    }
}

#[tokio::test]
async fn a_source_holds_no_more_bytes_than_buffer_bytes_and_one_read_4_9() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "buffer_bytes = 1048576\nmax_frame_bytes = 65536");
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let peer = producer_at(&endpoint, &hello_of(1)).await;
    let sent = until_it_stops_reading(&peer, 10_000).await;
    source.close();
    let mut held = 0;
    while let Some(delivery) = bounded(source.recv()).await {
        held += delivery.unwrap().payload().len();
    }
    assert!(
        held > 900_000 && held <= 1_048_576 + 65_536,
        "{held} bytes of {sent} messages held"
    );
}

#[tokio::test]
async fn all_of_a_source_that_stopped_for_want_of_room_still_comes_4_9() {
    for more in [
        "buffer_size = 1",
        "buffer_size = 3",
        "buffer_bytes = 65536\nmax_frame_bytes = 1024",
    ] {
        let (_directory, endpoint) = socket();
        let registry = registry_at(&endpoint, more);
        let mut source = registry.source::<Message>("orders").unwrap();
        bounded(source.start()).await.unwrap();
        let peers = [
            producer_at(&endpoint, &hello_of(1)).await,
            producer_at(&endpoint, &hello_of(2)).await,
        ];
        let mut sent = 0;
        for peer in &peers {
            sent += until_it_stops_reading(peer, 500).await;
        }
        let mut last = [0, 0];
        for _ in 0..sent {
            let delivery = bounded(source.recv()).await.unwrap().unwrap();
            let last = &mut last[delivery.producer().id as usize - 1];
            *last += 1;
            assert_eq!(number_of(delivery.payload()), *last);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_producer_wrote_before_it_came_back_is_read_first_4_9() {
    for round in 0..20 {
        let (_directory, endpoint) = socket();
        let registry = fast_registry_at(&endpoint, "buffer_size = 2", 20);
        let mut source = registry.source::<Message>("orders").unwrap();
        bounded(source.start()).await.unwrap();
        // Three connections of one producer, none of which was closed: as behind a partition.
        let mut peers = Vec::new();
        for connection in 0..3u64 {
            let peer = producer_at(&endpoint, &hello_of(7)).await;
            for number in connection * 40 + 1..=connection * 40 + 40 {
                let frame = data_frame(number, &number.to_le_bytes());
                assert_eq!(peer.wire.try_write(&frame).unwrap(), frame.len());
            }
            peers.push(peer);
        }
        for expected in 1..=120 {
            let delivery = bounded(source.recv()).await.unwrap().unwrap();
            assert_eq!(number_of(delivery.payload()), expected, "round {round}");
            assert!(delivery.gap().is_none(), "{:?}", delivery.gap());
        }
        assert_eq!(source.ledger().duplicates, 0);
        // The older ones are hung up on; the last one lives.
        for peer in &mut peers[..2] {
            while bounded(peer.frame()).await.is_some() {}
        }
        let frame = data_frame(121, &121u64.to_le_bytes());
        peers[2].wire.try_write(&frame).unwrap();
        assert_eq!(
            number_of(bounded(source.recv()).await.unwrap().unwrap().payload()),
            121
        );
    }
}

/// Feeds frames in pieces of `piece` and drops each `recv` after `polls` polls, until all have come.
async fn swept(sizes: &[usize], piece: usize, polls: usize) {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "delivery = \"at_least_once\"");
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let mut peer = producer_at(&endpoint, &hello_of(1)).await;
    let mut bytes = Vec::new();
    for (number, size) in sizes.iter().enumerate() {
        bytes.extend(data_frame(number as u64 + 1, &vec![number as u8; *size]));
    }
    let mut rest = &bytes[..];
    let (mut next, mut dropped) = (0, 0);
    while next < sizes.len() {
        let most = rest.len().min(piece);
        if let Ok(count) = peer.wire.try_write(&rest[..most]) {
            rest = &rest[count..];
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut taken = None;
        {
            let mut recv = pin!(source.recv());
            for _ in 0..polls {
                if let std::task::Poll::Ready(one) = recv.as_mut().poll(&mut context) {
                    taken = one;
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        match taken {
            None => {
                dropped += 1;
                assert!(dropped < 10_000_000, "it never comes");
                tokio::task::yield_now().await;
            }
            Some(delivery) => {
                let delivery = delivery.unwrap();
                assert_eq!(delivery.sequence(), next as u64 + 1);
                assert!(delivery.gap().is_none());
                assert_eq!(delivery.payload().len(), sizes[next]);
                assert!(delivery.payload().iter().all(|byte| *byte == next as u8));
                next += 1;
            }
        }
    }
    let seen = source.ledger();
    assert_eq!(
        (seen.received, seen.duplicates, seen.lost),
        (sizes.len() as u64, 0, 0)
    );
    // What was handed up is acked, and no more than that.
    let mut acked = 0;
    while acked < sizes.len() as u64 {
        let frame = bounded(peer.frame()).await.expect("acks");
        if frame[4] == Kind::Ack as u8 {
            acked = sink_runtime::frame::number(&frame).unwrap();
        }
    }
    assert_eq!(acked, sizes.len() as u64);
}

#[tokio::test]
async fn a_recv_dropped_after_its_kth_poll_tears_and_doubles_nothing_4_9() {
    let bounds = [
        0,
        1,
        64 * 1024 - 1,
        64 * 1024,
        64 * 1024 + 1,
        1024 * 1024,
        0,
        1,
    ];
    for polls in 1..=6 {
        for piece in [
            1000,
            4096,
            64 * 1024 - 1,
            64 * 1024,
            64 * 1024 + 1,
            usize::MAX,
        ] {
            swept(&bounds, piece, polls).await;
        }
        for piece in 1..=26 {
            swept(&[0, 1, 0, 1, 1], piece, polls).await;
        }
    }
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
    until(|| ledger(&sink).attempted == 3).await;
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

#[tokio::test]
async fn a_producer_that_reads_late_hears_of_all_that_was_taken_4_9() {
    const MESSAGES: u64 = 6_000;
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "");
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let mut peer = producer_at(&endpoint, &hello_of(1)).await;
    // Each is acked by itself, more than the kernel holds for one who does not read.
    for number in 1..=MESSAGES {
        let frame = data_frame(number, &number.to_le_bytes());
        assert_eq!(peer.wire.try_write(&frame).unwrap(), frame.len());
        bounded(source.recv()).await.unwrap().unwrap();
    }
    let hears = async {
        loop {
            let frame = peer.frame().await.expect("it stays");
            if frame[4] == Kind::Ack as u8 && frame::number(&frame) == Ok(MESSAGES) {
                return;
            }
        }
    };
    bounded(hears).await;
}

#[tokio::test]
async fn what_came_before_nonsense_is_handed_up_4_6() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "max_frame_bytes = 64");
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let nonsense = [vec![0xff; 16], vec![0; 16], data_frame(4, &[0; 4000])];
    for (id, nonsense) in (1..).zip(nonsense) {
        let mut peer = producer_at(&endpoint, &hello_of(id)).await;
        let mut bytes = Vec::new();
        for number in 1..=3u64 {
            bytes.extend(data_frame(number, &number.to_le_bytes()));
        }
        bytes.extend(nonsense);
        assert_eq!(peer.wire.try_write(&bytes).unwrap(), bytes.len());
        for number in 1..=3 {
            let delivery = bounded(source.recv()).await.unwrap().unwrap();
            assert_eq!(number_of(delivery.payload()), number);
        }
        while bounded(peer.frame()).await.is_some() {}
    }
}

#[tokio::test]
async fn a_closed_source_of_this_process_ends_and_frees_its_name_4_9() {
    let registry = registry_at("inproc://promises-closed-source", "");
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    for number in 0..3 {
        sink.try_send(numbered(number)).unwrap();
    }
    bounded(source.recv()).await.unwrap().unwrap();
    source.close();
    let mut left = Vec::new();
    // Its producer goes on all the while.
    for number in 3..100 {
        sink.try_send(numbered(number)).unwrap();
        match bounded(source.recv()).await {
            Some(delivery) => left.push(number_of(delivery.unwrap().payload())),
            None => break,
        }
    }
    assert_eq!(left, [1, 2]);
    let mut next = registry.source::<Message>("orders").unwrap();
    for number in 3..6 {
        let delivery = bounded(next.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(delivery.payload()), number);
        assert!(delivery.gap().is_none());
    }
    // The first, long gone, takes nothing with it.
    drop(source);
    sink.try_send(numbered(6)).unwrap();
    let delivery = bounded(next.recv()).await.unwrap().unwrap();
    assert_eq!(number_of(delivery.payload()), 6);
    let mut third = registry.source::<Message>("orders").unwrap();
    assert!(bounded(third.start()).await.is_err(), "the name is taken");
}

#[tokio::test]
async fn a_source_that_never_runs_dry_gives_way_to_the_rest_of_its_task_4_9() {
    let registry = registry_at("inproc://promises-gives-way", "");
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let receives = async {
        for number in 0..10_000 {
            sink.try_send(numbered(number)).unwrap();
            source.recv().await.unwrap().unwrap();
        }
    };
    tokio::select! {
        biased;
        () = receives => panic!("nobody else had a turn"),
        () = tokio::task::yield_now() => {}
    }
}
