//! §4 Send, cancel, frame. Receiving is `receive.rs`.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use sink_runtime::frame::{self, Assembler, Welcome};
use sink_runtime::{
    Codec, DecodeError, DropCause, EncodeError, GapCause, Level, Lost, Message, MessageSink,
    MessageType, Outcome, Payload, SendErrorKind,
};
use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

/// Bytes of the hello that a link of these tests writes, so that a wire can be cut behind it.
async fn hello_bytes(more: &str) -> usize {
    let net = Net::open();
    let sink = sink_over(&net, more);
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let mut peer = net.accept().await;
    let hello = peer.frame().await.unwrap();
    connecting.abort();
    hello.len()
}

/// A type whose encoder fails.
#[derive(Debug)]
struct Odd(u64);

impl MessageType for Odd {
    const NAME: &'static str = "Message";
    const SHAPE: &'static str = "Odd";
    const FINGERPRINT: u64 = 0;

    fn encode(&self, _: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(b"half of it is out already");
        if self.0 == 13 {
            panic!("an encoder panics");
        }
        if self.0 % 2 == 1 {
            return Err(EncodeError::new("odd", "odd numbers are not representable"));
        }
        out.clear_from(self.0);
        Ok(())
    }

    fn decode(_: Codec, _: Payload<'_>) -> Result<Self, DecodeError> {
        Err(DecodeError::new("odd", "never"))
    }
}

trait ClearFrom {
    fn clear_from(&mut self, number: u64);
}

impl ClearFrom for Vec<u8> {
    /// Replaces what this encoder appended; what stood before is not its own.
    fn clear_from(&mut self, number: u64) {
        let keep = self.len() - b"half of it is out already".len();
        self.truncate(keep);
        self.extend_from_slice(&number.to_le_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_gives_the_message_back_and_it_is_never_delivered_later_4_1() {
    let net = Net::open();
    let registry = registry_over(
        &net,
        "buffer_size = 4\nmax_frame_bytes = 1000\nbuffer_bytes = 2000",
    );
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut back = 0;
    let mut give_back = |error: sink_runtime::SendError<Message>, number: u64| {
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
        let message = error.into_message().expect("it comes back");
        assert_eq!(number_of(message.payload()), number);
        back += 1;
    };
    for number in 0..4 {
        sink.try_send(numbered(number)).unwrap();
    }
    give_back(sink.try_send(numbered(90)).unwrap_err(), 90);
    let mut large = numbered(91).into_payload().to_vec();
    large.resize(1001, 0);
    let error = bounded(sink.send(Message::new(large))).await.unwrap_err();
    assert!(
        matches!(
            error.kind(),
            SendErrorKind::TooLarge {
                key: "max_frame_bytes",
                ..
            }
        ),
        "{error}"
    );
    give_back(error, 91);
    let mut peer = bounded(net.greet()).await;
    let got: Vec<u64> = peer
        .rest()
        .await
        .iter()
        .map(|(_, payload)| number_of(payload))
        .collect();
    assert_eq!(got, [0, 1, 2, 3]);
    bounded(sink.close(SECOND)).await;
    let error = bounded(sink.send(numbered(92))).await.unwrap_err();
    assert!(error.is_closed());
    give_back(error, 92);
    give_back(sink.try_send(numbered(93)).unwrap_err(), 93);
    assert!(peer.rest().await.is_empty());
    let ledger = ledger(&sink);
    assert_eq!(back, 4);
    assert_eq!(
        ledger.attempted, 8,
        "each message is counted once: {ledger:?}"
    );
    assert_eq!(ledger.returned.total(), 4);
    assert_eq!(ledger.done, 4);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_encode_leaves_nothing_behind_4_1() {
    let net = Net::open();
    let sink = registry_over(&net, "").sink::<Odd>("orders").unwrap();
    for number in 0..10 {
        let result = bounded(sink.send(Odd(number))).await;
        if number % 2 == 0 {
            result.unwrap();
        } else {
            let error = result.unwrap_err();
            assert!(
                matches!(error.kind(), SendErrorKind::Encode { .. }),
                "{error}"
            );
            assert_eq!(error.into_message().unwrap().0, number);
        }
    }
    let mut peer = bounded(net.greet()).await;
    let got: Vec<_> = peer
        .rest()
        .await
        .iter()
        .map(|(at, payload)| (*at, number_of(payload)))
        .collect();
    assert_eq!(got, [(1, 0), (2, 2), (3, 4), (4, 6), (5, 8)]);
    let ledger = sink.ledger().unwrap();
    assert!(
        ledger.is_balanced() && ledger.returned.refused == 5,
        "{ledger:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_panics_leaves_a_sink_that_works_4_1() {
    let net = Net::open();
    let sink = registry_over(&net, "").sink::<Odd>("orders").unwrap();
    sink.try_send(Odd(0)).unwrap();
    let other = sink.clone();
    tokio::spawn(async move { other.send(Odd(13)).await.map(|_| ()) })
        .await
        .unwrap_err();
    sink.try_send(Odd(2)).unwrap();
    let mut peer = bounded(net.greet()).await;
    let got: Vec<_> = peer
        .rest()
        .await
        .iter()
        .map(|(at, payload)| (*at, number_of(payload)))
        .collect();
    assert_eq!(got, [(1, 0), (2, 2)]);
    assert!(sink.ledger().unwrap().is_balanced());
}

#[tokio::test(start_paused = true)]
async fn at_its_deadline_a_confirming_send_is_withdrawn_or_unknown_4_2() {
    let more = "confirm = \"written\"\nsend_timeout_ms = 2000";
    let hello = hello_bytes(more).await;
    let net = Net::new(move |_| {
        Answer::Connect(Rules {
            budget: hello + 10,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, more);
    let send = |number| {
        let sink = sink.clone();
        tokio::spawn(async move { sink.send(numbered(number)).await })
    };
    let torn = send(1);
    let mut peer = bounded(net.greet()).await;
    settle().await;
    let behind = send(2);
    let error = bounded(torn).await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert!(
        error.into_message().is_none(),
        "it may still arrive, so it is not given back"
    );
    let error = bounded(behind).await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    assert_eq!(number_of(error.into_message().unwrap().payload()), 2);
    peer.control.as_ref().unwrap().allow(1 << 20);
    bounded(send(3)).await.unwrap().unwrap();
    let got: Vec<_> = peer
        .rest()
        .await
        .iter()
        .map(|(at, payload)| (*at, number_of(payload)))
        .collect();
    assert_eq!(got, [(1, 1), (3, 3)], "the receiver sees the gap");
    let ledger = ledger(&sink);
    assert_eq!(
        (ledger.returned.withdrawn, ledger.done),
        (1, 2),
        "{ledger:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_a_confirming_future_withdraws_nothing_4_2() {
    let net = Net::open();
    let sink = sink_over(&net, "confirm = \"acked\"");
    assert!(poll_once(sink.send(numbered(1))).is_none());
    let mut peer = bounded(net.greet()).await;
    assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 1);
    let flight = ledger(&sink);
    assert_eq!(
        (flight.in_flight, flight.returned.total()),
        (1, 0),
        "{flight:?}"
    );
    peer.ack(1);
    settle().await;
    assert_eq!(ledger(&sink).done, 1);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_of_a_connection_lost_for_good_settles_as_unknown_4_2() {
    let net = Net::open();
    let sink = sink_over(&net, "confirm = \"acked\"");
    let sending = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(1)).await }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    drop(peer);
    let error = bounded(sending).await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(ledger(&sink).unknown, 1);
}

/// Sends one message while the buffer is full, drops its future after `polls` polls, and says whether it arrived.
async fn cancelled_after(polls: usize, size: usize, chunk: usize, more: &str) -> (bool, bool) {
    let net = Net::new(move |_| {
        Answer::Connect(Rules {
            chunk,
            capacity: 4 << 20,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, more);
    let peer = tokio::spawn({
        let net = Arc::clone(&net);
        async move {
            let mut peer = net.greet().await;
            let mut all = Vec::new();
            // Slowly, so that there are many polls to drop at.
            loop {
                tokio::task::yield_now().await;
                match peer.data().await {
                    Some((sequence, payload)) => {
                        peer.say(|out| frame::ack(out, sequence));
                        let last = payload.as_ref() == b"the last";
                        all.push(payload);
                        if last {
                            return all;
                        }
                    }
                    None => panic!("cut"),
                }
            }
        }
    });
    // Fills the buffer of one.
    let blocker = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(Message::new(vec![1; 100])).await.map(|_| ()) }
    });
    tokio::task::yield_now().await;
    let mut done = false;
    {
        let mut context = Context::from_waker(Waker::noop());
        let mut send = Box::pin(sink.send(Message::new(vec![2; size])));
        for _ in 0..polls {
            if let std::task::Poll::Ready(result) = send.as_mut().poll(&mut context) {
                result.unwrap();
                done = true;
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(send);
    }
    bounded(blocker).await.unwrap().unwrap();
    bounded(sink.send(Message::new("the last"))).await.unwrap();
    let all = bounded(peer).await.unwrap();
    let copies: Vec<&Bytes> = all
        .iter()
        .filter(|payload| payload.len() == size && payload.iter().all(|byte| *byte == 2))
        .collect();
    assert!(copies.len() <= 1, "doubled");
    assert_eq!(
        all.len(),
        2 + copies.len(),
        "torn: {:?}",
        all.iter().map(Bytes::len).collect::<Vec<_>>()
    );
    bounded(sink.flush()).await.unwrap();
    let ledger = ledger(&sink);
    let arrived = copies.len() == 1;
    assert_eq!(ledger.done, 2 + u64::from(arrived), "{ledger:?}");
    assert_eq!(
        ledger.returned.cancelled,
        u64::from(polls > 0 && !arrived),
        "the ledger says which: {ledger:?}"
    );
    assert!(!done || arrived, "a send that answered Ok arrives");
    (done, arrived)
}

/// Payload sizes about every bound, the largest included, and how many bytes a write takes at most: for a small frame, each
/// number there is.
fn sizes_and_chunks() -> Vec<(usize, usize)> {
    let step = if cfg!(miri) { 12 } else { 1 };
    let small = (1..=frame::DATA_HEAD + 1)
        .step_by(step)
        .flat_map(|chunk| [(0, chunk), (1, chunk)]);
    let large = [
        (64 * 1024 - 1, 4096),
        (64 * 1024 - 1, 64 * 1024),
        (64 * 1024, 64 * 1024),
        (64 * 1024, 64 * 1024 - 1),
        (64 * 1024 + 1, 5000),
        (64 * 1024 + 1, 64 * 1024 + 1),
        (1024 * 1024, 100_000),
        (1024 * 1024, usize::MAX),
    ];
    let large = large.into_iter().filter(|_| !cfg!(miri));
    small.chain(large).collect()
}

#[tokio::test(start_paused = true)]
async fn a_send_dropped_after_any_poll_is_unsent_or_accepted_whole_4_3() {
    let (mut unsent, mut sent) = (0, 0);
    for confirm in [
        "",
        "\nconfirm = \"acked\"",
        "\ndelivery = \"at_least_once\"",
    ] {
        for (size, chunk) in sizes_and_chunks() {
            for polls in 0..400 {
                let (done, arrived) =
                    cancelled_after(polls, size, chunk, &format!("buffer_size = 1{confirm}")).await;
                if arrived {
                    sent += 1
                } else {
                    unsent += 1
                }
                if done {
                    break;
                }
                assert!(polls < 399, "never done");
            }
        }
    }
    assert!(
        unsent > 20 && sent > 20,
        "the sweep saw both: {unsent} unsent, {sent} sent"
    );
}

#[tokio::test(start_paused = true)]
async fn ready_then_try_send_gives_the_message_back_if_a_rival_was_faster_4_3() {
    let net = Net::open();
    let sink = sink_over(&net, "buffer_size = 1\ndelivery = \"at_least_once\"");
    sink.try_send(numbered(0)).unwrap();
    let waiting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.ready().await }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    assert!(!waiting.is_finished());
    peer.ack(1);
    bounded(waiting).await.unwrap();
    sink.try_send(numbered(1)).unwrap();
    let error = sink.try_send(numbered(2)).unwrap_err();
    assert!(error.is_full());
    assert_eq!(number_of(error.into_message().unwrap().payload()), 2);
    ledger(&sink);
}

#[tokio::test(start_paused = true)]
async fn a_torn_frame_is_sent_again_whole_under_its_number_4_4() {
    for more in ["", "delivery = \"at_least_once\""] {
        let hello = hello_bytes(more).await;
        // Two frames; the wire breaks after each possible byte of them.
        for cut in (0..=2 * NUMBERED).step_by(if cfg!(miri) { 7 } else { 1 }) {
            let net = Net::new(move |attempt| {
                Answer::Connect(Rules {
                    budget: if attempt == 0 {
                        hello + cut
                    } else {
                        usize::MAX
                    },
                    cut: attempt == 0,
                    ..Rules::default()
                })
            });
            let sink = sink_over(&net, more);
            sink.try_send(numbered(10)).unwrap();
            sink.try_send(numbered(20)).unwrap();
            let mut first = bounded(net.greet()).await;
            let mut before = Vec::new();
            while let Some(data) = bounded(first.data()).await {
                before.push((data.0, number_of(&data.1)));
                if before.len() == 2 {
                    break;
                }
            }
            assert_eq!(before.len(), cut / NUMBERED, "cut {cut}");
            assert_eq!(first.is_torn(), cut % NUMBERED != 0 && cut < 2 * NUMBERED);
            // With everything written, nothing more is attempted and the break stays unseen.
            let whole = cut == 2 * NUMBERED;
            drop(first);
            let mut after = Vec::new();
            if !(whole && more.is_empty()) {
                let mut second = bounded(net.greet()).await;
                after = second
                    .rest()
                    .await
                    .iter()
                    .map(|(at, payload)| (*at, number_of(payload)))
                    .collect();
            }
            let expected: &[_] = &[(1, 10), (2, 20)];
            if more.is_empty() {
                before.extend(after);
                assert_eq!(before, expected, "cut {cut}: each once, in order");
            } else {
                assert_eq!(after, expected, "cut {cut}: nothing was acked");
            }
            ledger(&sink);
        }
    }
}

/// Welcomes the next connection, and takes messages of at most `limit` bytes.
async fn greet_with_limit(net: &Net, limit: u32) -> Peer {
    let mut peer = bounded(net.accept()).await;
    bounded(peer.hear_hello()).await;
    peer.say(|out| {
        let max_frame_bytes = limit;
        Welcome {
            max_frame_bytes,
            ..Welcome::default()
        }
        .encode(out);
    });
    peer
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_the_receiver_takes_is_dropped_once_that_is_known_and_then_refused_4_6()
{
    for more in ["", "delivery = \"at_least_once\"", "confirm = \"acked\""] {
        let net = Net::open();
        let sink = sink_over(&net, more);
        // Small, encoded, referenced instead of copied, a whole segment of its own, small.
        let receipts = [10, 5_000, 20_000, 70_000, 1_000]
            .map(|length| sink.try_send(Message::new(vec![7; length])).unwrap());
        let mut peer = greet_with_limit(&net, 1_000).await;
        for (sequence, length) in [(1, 10), (5, 1_000)] {
            let (seen, payload) = bounded(peer.data()).await.unwrap();
            assert_eq!((seen, payload.len()), (sequence, length), "{more}");
            peer.ack(sequence);
        }
        settle().await;
        for receipt in &receipts[1..4] {
            let lost = bounded(sink.settled(*receipt, Level::Written))
                .await
                .unwrap_err();
            assert!(
                matches!(
                    lost,
                    Lost::Dropped {
                        cause: DropCause::TooLarge,
                        ..
                    }
                ),
                "{lost}"
            );
        }
        // From now on it is refused, on every way in.
        for length in [1_001, 40_000] {
            let message = || Message::new(vec![7; length]);
            let tried = sink.try_send(message()).unwrap_err();
            let sent = bounded(sink.send(message())).await.unwrap_err();
            for error in [tried, sent] {
                let told = error.to_string();
                assert!(
                    told.contains("1000 (max_frame_bytes of the receiver)"),
                    "{told}"
                );
                assert_eq!(error.outcome(), Outcome::NotSent);
                assert_eq!(error.into_message().unwrap().payload().len(), length);
            }
        }
        let ledger = ledger(&sink);
        assert_eq!((ledger.dropped.too_large, ledger.done), (3, 2), "{more}");
        assert_eq!((ledger.returned.refused, net.dials()), (4, 1), "{more}");
        // Another receiver may take more, or not have said.
        drop(peer);
        for (limit, takes) in [(2_000, 2_000), (0, 1 << 20), (5_000, 5_000)] {
            settle().await;
            sink.try_send(Message::new(vec![7; 10])).unwrap();
            let mut peer = greet_with_limit(&net, limit).await;
            let (sequence, _) = bounded(peer.data()).await.unwrap();
            peer.ack(sequence);
            settle().await;
            let error = sink.try_send(Message::new(vec![7; takes + 1])).unwrap_err();
            assert!(
                matches!(error.kind(), SendErrorKind::TooLarge { .. }),
                "{error}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_with_more_than_the_receiver_takes_gets_it_back_4_6() {
    let net = Net::open();
    let sink = sink_over(&net, "buffer_size = 1");
    sink.try_send(Message::new(vec![7; 10])).unwrap();
    let waiting = [5_000, 40_000, 10].map(|length| {
        let sink = sink.clone();
        tokio::spawn(async move { sink.send(Message::new(vec![7; length])).await })
    });
    settle().await;
    assert_eq!(sink.ledger().unwrap().waiting, 3);
    let mut peer = greet_with_limit(&net, 1_000).await;
    let [first, second, third] = waiting;
    for refused in [first, second] {
        let error = bounded(refused).await.unwrap().unwrap_err();
        assert!(
            matches!(error.kind(), SendErrorKind::TooLarge { limit: 1_000, .. }),
            "{error}"
        );
        assert!(error.into_message().is_some());
    }
    bounded(third).await.unwrap().unwrap();
    for sequence in 1..=2 {
        assert_eq!(bounded(peer.data()).await.unwrap().0, sequence);
    }
    assert_eq!(ledger(&sink).returned.refused, 2);
}

#[tokio::test]
#[cfg_attr(miri, ignore = "miri knows no sockets of this kind")]
async fn a_real_receiver_with_a_smaller_limit_sees_a_gap_and_no_connection_in_vain_4_6() {
    let (_directory, endpoint) = socket();
    let sending = registry_at(&endpoint, "delivery = \"at_least_once\"");
    let receiving = registry_at(
        &endpoint,
        "delivery = \"at_least_once\"\nmax_frame_bytes = 1024",
    );
    let sink = sending.sink::<Message>("orders").unwrap();
    for length in [10, 1_025, 1_024] {
        bounded(sink.send(Message::new(vec![7; length])))
            .await
            .unwrap();
    }
    let mut source = receiving.source::<Message>("orders").unwrap();
    let first = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!((first.sequence(), first.payload().len()), (1, 10));
    let second = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!((second.sequence(), second.payload().len()), (3, 1_024));
    let gap = second.gap().expect("number 2 is missing");
    assert_eq!((gap.from, gap.to, gap.cause), (2, 2, GapCause::Producer));
    bounded(sink.flush()).await.unwrap();
    let ledger = ledger(&sink);
    assert_eq!((ledger.dropped.too_large, ledger.done), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn waiting_senders_are_served_first_come_first_served_4_5() {
    let net = Net::open();
    let sink = sink_over(&net, "buffer_size = 1\ndelivery = \"at_least_once\"");
    sink.try_send(numbered(0)).unwrap();
    let mut waiting = Vec::new();
    for number in 1..=100 {
        let sink = sink.clone();
        waiting.push(tokio::spawn(async move {
            sink.send(numbered(number)).await.map(|_| ())
        }));
        tokio::task::yield_now().await;
    }
    let mut peer = bounded(net.greet()).await;
    for number in 0..=100 {
        let (sequence, payload) = bounded(peer.data()).await.unwrap();
        assert_eq!(number_of(&payload), number);
        let error = sink.try_send(numbered(999)).unwrap_err();
        assert!(error.is_full(), "try_send does not overtake");
        peer.ack(sequence);
        settle().await;
    }
    for sender in waiting {
        bounded(sender).await.unwrap().unwrap();
    }
    assert_eq!(ledger(&sink).done, 101);
}

#[tokio::test(start_paused = true)]
async fn try_send_does_not_overtake_also_where_there_is_room_for_it_4_5() {
    let net = Net::open();
    let sink = sink_over(&net, "buffer_size = 2000\ndelivery = \"at_least_once\"");
    for number in 0..2000 {
        sink.try_send(numbered(number)).unwrap();
    }
    let waiting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(2000)).await.map(|_| ()) }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    // There is room for a few; the sender that waits is let in once there is room for many.
    peer.ack(10);
    settle().await;
    let held = ledger(&sink);
    assert_eq!((held.done, held.waiting), (10, 1), "{held:?}");
    assert!(sink.try_send(numbered(9999)).unwrap_err().is_full());
    peer.ack(1000);
    bounded(waiting).await.unwrap().unwrap();
    sink.try_send(numbered(2001)).unwrap();
    ledger(&sink);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_sender_that_is_dropped_lets_the_next_one_in_4_5() {
    let net = Net::open();
    let sink = sink_over(&net, "buffer_size = 1\ndelivery = \"at_least_once\"");
    sink.try_send(numbered(0)).unwrap();
    let send = |number| {
        let sink = sink.clone();
        tokio::spawn(async move { sink.send(numbered(number)).await.map(|_| ()) })
    };
    let first = send(1);
    settle().await;
    let second = send(2);
    settle().await;
    assert_eq!(ledger(&sink).waiting, 2);
    first.abort();
    settle().await;
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    peer.ack(1);
    assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 2);
    peer.ack(2);
    bounded(second).await.unwrap().unwrap();
    settle().await;
    let ledger = ledger(&sink);
    assert_eq!(
        (ledger.returned.cancelled, ledger.done),
        (1, 2),
        "{ledger:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_is_refused_before_a_byte_is_sent_4_6() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    let limit = 1024 * 1024;
    for payload in [vec![0; limit + 1], vec![0; 20 << 20]] {
        for when in ["try_send", "send"] {
            let message = Message::new(payload.clone());
            let error = match when {
                "send" => bounded(sink.send(message)).await.unwrap_err(),
                _ => sink.try_send(message).unwrap_err(),
            };
            assert!(
                matches!(error.kind(), SendErrorKind::TooLarge { .. }),
                "{error}"
            );
            assert!(error.to_string().contains("max_frame_bytes"), "{error}");
            assert_eq!(error.into_message().unwrap().payload().len(), payload.len());
        }
    }
    settle().await;
    assert_eq!(net.dials(), 0, "a refused message does not even connect");
    sink.try_send(Message::new(vec![7; limit])).unwrap();
    let mut peer = bounded(net.greet()).await;
    assert_eq!(bounded(peer.data()).await.unwrap().1.len(), limit);
    assert_eq!(ledger(&sink).returned.refused, 4);
}

#[test]
fn a_receiver_has_never_more_than_64_kib_of_room_ahead_4_6() {
    let mut assembler = Assembler::new(frame::MAX_FRAME_LIMIT as usize + frame::OVERHEAD);
    let length = frame::MAX_FRAME_LIMIT;
    let room = assembler.room();
    room.extend_from_slice(&length.to_le_bytes());
    room.extend_from_slice(&[4, 0, 0, 0]);
    assert!(assembler.take().unwrap().is_none());
    for _ in 0..3000 {
        let room = assembler.room();
        let ahead = room.capacity() - room.len();
        assert!(ahead > 0 && ahead <= frame::READ_CHUNK, "{ahead} ahead");
        let some = ahead.min(1000);
        room.extend_from_slice(&[0; 1000][..some]);
        assert!(assembler.take().unwrap().is_none());
    }
}

#[test]
fn frames_of_any_size_come_whole_out_of_pieces_of_any_size_4_6() {
    let sizes = [
        0,
        1,
        100,
        32_752,
        65_519,
        65_520,
        65_521,
        200_000,
        1 << 20,
        3,
    ];
    let mut bytes = Vec::new();
    for (number, size) in sizes.into_iter().enumerate() {
        bytes.extend(data_frame(number as u64 + 1, &vec![number as u8; size]));
    }
    let pieces = [1, 7, 1000, 4096, 65_535, 65_536, 100_000, usize::MAX];
    for piece in pieces.into_iter().skip(if cfg!(miri) { 2 } else { 0 }) {
        for one_by_one in [true, false] {
            let mut assembler = Assembler::new(frame::MAX_FRAME_LIMIT as usize);
            let (mut at, mut got) = (0, Vec::new());
            while at < bytes.len() {
                let room = assembler.room();
                let count = (room.capacity() - room.len())
                    .min(piece)
                    .min(bytes.len() - at);
                assert!(count > 0 && room.capacity() - room.len() <= frame::READ_CHUNK);
                room.extend_from_slice(&bytes[at..at + count]);
                at += count;
                if one_by_one {
                    while let Some(frame) = assembler.take_one().unwrap() {
                        got.extend_from_slice(&frame);
                    }
                } else if let Some((frames, _)) = assembler.take().unwrap() {
                    assert!(
                        assembler.take().unwrap().is_none(),
                        "it takes all there are"
                    );
                    got.extend_from_slice(&frames);
                }
            }
            assert!(got == bytes, "pieces of {piece}");
            assert!(!assembler.is_torn());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_answers_per_message_and_gives_back_what_was_not_attempted_4_7() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "buffer_size = 3\nwhen_full = \"reject\"");
    let empty = bounded(sink.send_batch(Vec::new())).await;
    assert!(empty.is_complete() && empty.receipts.is_empty());
    settle().await;
    assert_eq!(net.dials(), 0, "an empty batch does not connect");
    let report = bounded(sink.send_batch((0..6).map(numbered).collect())).await;
    let sequences: Vec<u64> = report
        .receipts
        .iter()
        .map(|receipt| receipt.sequence())
        .collect();
    assert_eq!(sequences, [1, 2, 3]);
    let rest: Vec<u64> = report
        .rest
        .iter()
        .map(|message| number_of(message.payload()))
        .collect();
    assert_eq!(rest, [4, 5]);
    let error = report.into_result().unwrap_err();
    assert_eq!(error.taken, 3);
    assert_eq!(number_of(error.error.into_message().unwrap().payload()), 3);
    let ledger = ledger(&sink);
    assert_eq!(
        (ledger.attempted, ledger.buffered, ledger.returned.full),
        (4, 3, 1),
        "{ledger:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_blocks_for_ever_on_a_peer_that_accepts_and_does_not_read_4_8() {
    let net = Net::new(|_| {
        Answer::Connect(Rules {
            capacity: 4096,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, "buffer_size = 10");
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let _deaf = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
    let before = Instant::now();
    let mut full = None;
    for number in 0..10_000 {
        if let Err(error) = bounded(sink.send(numbered(number))).await {
            full = Some(error);
            break;
        }
    }
    let error = full.expect("the peer does not read");
    assert!(error.is_full(), "{error}");
    let took = before.elapsed();
    assert!(took >= 30 * SECOND && took < 31 * SECOND, "{took:?}");
    let before = Instant::now();
    bounded(sink.flush()).await.unwrap_err();
    assert!(before.elapsed() < 31 * SECOND);
    let report = bounded(sink.close(5 * SECOND)).await;
    assert!(!report.is_clean());
    assert!(report.ledger.is_balanced(), "{:?}", report.ledger);
}

#[tokio::test(start_paused = true)]
async fn what_waited_longer_than_max_age_is_dropped_at_flush_and_seen_as_a_gap_4_10() {
    let go = Arc::new(tokio::sync::Notify::new());
    let answer = Arc::clone(&go);
    let net = Net::new(move |_| Answer::When(Arc::clone(&answer)));
    let sink = sink_over(
        &net,
        "max_age_ms = 1000\nbuffer_size = 25\nconnect_timeout_ms = 60000",
    );
    let mut receipts = Vec::new();
    for number in 0..20 {
        receipts.push(sink.try_send(numbered(number)).unwrap());
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    // A second has passed for numbers 0 to 9; number 10 has waited for it exactly.
    assert_eq!(
        ledger(&sink).buffered,
        20,
        "it is dropped when it would be written"
    );
    go.notify_one();
    let mut peer = bounded(net.greet()).await;
    let got: Vec<_> = peer
        .rest()
        .await
        .iter()
        .map(|(at, payload)| (*at, number_of(payload)))
        .collect();
    assert_eq!(
        got,
        (10..20)
            .map(|number| (number + 1, number))
            .collect::<Vec<_>>()
    );
    let held = ledger(&sink);
    assert_eq!((held.dropped.expired, held.done), (10, 10), "{held:?}");
    let lost = sink.settled(receipts[9], Level::Written).await.unwrap_err();
    assert!(lost.to_string().contains("expired"), "{lost}");
    assert_eq!(
        sink.settled(receipts[10], Level::Written).await.unwrap(),
        Level::Written
    );
    // On a link that is up nothing grows old.
    for number in 20..30 {
        sink.try_send(numbered(number)).unwrap();
        assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), number);
        tokio::time::advance(Duration::from_millis(700)).await;
    }
    assert_eq!(ledger(&sink).dropped.expired, 10);
}

#[tokio::test(start_paused = true)]
async fn a_confirming_send_whose_message_grew_too_old_gets_it_back_4_10() {
    let net = Net::new(|attempt| match attempt {
        0..6 => Answer::Refuse(std::io::ErrorKind::NotFound),
        _ => Answer::Connect(Rules::default()),
    });
    let sink = sink_over(&net, "max_age_ms = 500\nconfirm = \"written\"");
    let sending = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(4)).await }
    });
    let mut peer = bounded(net.greet()).await;
    let error = bounded(sending).await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.to_string().contains("max_age_ms"), "{error}");
    assert_eq!(number_of(error.into_message().unwrap().payload()), 4);
    assert!(peer.rest().await.is_empty());
    assert_eq!(ledger(&sink).dropped.expired, 1);
}

#[tokio::test]
#[cfg_attr(miri, ignore = "miri knows no sockets of this kind")]
async fn a_source_sees_what_grew_too_old_as_a_gap_4_10() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "max_age_ms = 50\nheartbeat_ms = 20");
    let sink = registry.sink::<Message>("orders").unwrap();
    sink.try_send(numbered(0)).unwrap();
    sink.try_send(numbered(1)).unwrap();
    // The clock is the machine's here: nobody listens for longer than a message may wait.
    tokio::time::sleep(Duration::from_millis(60)).await;
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let gap = match bounded(source.recv()).await.unwrap() {
        Ok(delivery) => *delivery.gap().expect("a gap before it"),
        // Nothing follows: the heartbeat's count tells.
        Err(sink_runtime::SourceError::Gap(gap)) => gap,
        Err(other) => panic!("{other}"),
    };
    assert_eq!((gap.from, gap.to), (1, 2));
    assert_eq!(gap.cause, sink_runtime::GapCause::Producer);
}

#[tokio::test(start_paused = true)]
async fn with_never_a_send_waits_as_long_as_it_takes_2_3() {
    let net = Net::new(|_| Answer::Refuse(std::io::ErrorKind::NotFound));
    let sink = sink_over(&net, "buffer_size = 1\nsend_timeout_ms = \"never\"");
    sink.try_send(numbered(0)).unwrap();
    let waiting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(1)).await.map(|_| ()) }
    });
    tokio::time::sleep(100_000 * SECOND).await;
    assert!(!waiting.is_finished());
    bounded(sink.close(SECOND)).await;
    let error = bounded(waiting).await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_byte_and_says_nothing_is_left_after_ten_seconds_10_5() {
    for speaks in [false, true] {
        let net = Net::new(|_| {
            Answer::Connect(Rules {
                capacity: 4096,
                ..Rules::default()
            })
        });
        // Its own heartbeats come once an hour: they move no timer that is looked at here.
        let sink = sink_over(&net, "heartbeat_ms = 3600000");
        for number in 0..1000 {
            sink.try_send(numbered(number)).unwrap();
        }
        let deaf = bounded(net.greet()).await;
        let start = Instant::now();
        settle().await;
        let speaking = tokio::spawn(async move {
            while speaks && start.elapsed() < 60 * SECOND {
                tokio::time::sleep(5 * SECOND).await;
                deaf.say(|out| frame::heartbeat(out, 0));
            }
            tokio::time::sleep(3600 * SECOND).await;
            drop(deaf);
        });
        tokio::time::sleep(Duration::from_millis(9_990)).await;
        assert_eq!(sink.state().name(), "ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
        if speaks {
            tokio::time::sleep(48 * SECOND).await;
            assert_eq!(
                (net.dials(), sink.state().name()),
                (1, "ready"),
                "a peer that waits for its caller is not left"
            );
        } else {
            assert_ne!(sink.state().name(), "ready");
            tokio::time::sleep(SECOND).await;
            assert_eq!(net.dials(), 2);
        }
        let held = ledger(&sink);
        assert_eq!(held.unknown, 0, "{held:?}");
        speaking.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_on_an_idle_link_is_written_in_the_callers_own_poll_5_5() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
    let level = |number| {
        poll_once(sink.send(numbered(number)))
            .unwrap()
            .unwrap()
            .level()
    };
    assert_eq!(level(0), Level::Written);
    tokio::time::advance(Duration::from_nanos(9_999)).await;
    assert_eq!(level(1), Level::Accepted, "sooner than 10 µs it coalesces");
    settle().await;
    tokio::time::advance(Duration::from_micros(10)).await;
    assert_eq!(level(2), Level::Written);
    tokio::time::advance(Duration::from_micros(10)).await;
    assert_eq!(level(3), Level::Written);
    for number in 0..4 {
        assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), number);
    }
    assert_eq!(ledger(&sink).done, 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_over_of_a_write_on_the_spot_goes_out_by_itself_5_5() {
    let net = Net::new(|_| {
        Answer::Connect(Rules {
            chunk: 1,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, "");
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
    tokio::time::advance(SECOND).await;
    let receipt = poll_once(sink.send(numbered(9))).unwrap().unwrap();
    assert_eq!(
        receipt.level(),
        Level::Accepted,
        "one byte of it is written"
    );
    assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 9);
}
