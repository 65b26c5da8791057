use super::*;
use crate::message::Message;

const WHO: &str = Message::NAME;

fn sink(name: &str, buffer_size: u32) -> Arc<Inproc<Message>> {
    let config = InprocConfig {
        service: Arc::from("orders"),
        name: name.to_owned(),
        buffer_size,
        max_frame_bytes: 1 << 20,
        max_age: None,
        when_full: WhenFull::DropNewest,
        confirm: None,
        send_timeout: Some(Duration::from_secs(1)),
    };
    Arc::new(Inproc::new(config, WHO, Surroundings::default()))
}

fn message() -> Message {
    Message::new("m")
}

fn seats(receiver: &Receiver<Message>) -> usize {
    receiver.channel.lock().senders.len()
}

#[test]
fn a_sink_that_is_gone_gives_its_seat_to_the_next_5_4() {
    let mut receiver = Receiver::<Message>::bind("seats", WHO).unwrap();
    let stays = sink("seats", 10);
    stays.try_send(message()).unwrap();
    let mut producers = Vec::new();
    for round in 1..=1000 {
        // One that leaves nothing behind, and one whose message is taken when it is gone.
        drop(sink("seats", 10));
        let gone = sink("seats", 1);
        for _ in 0..3 {
            gone.try_send(message()).unwrap();
        }
        drop(gone);
        stays.try_send(message()).unwrap();
        let mut taken = 0;
        let mut missing = 0;
        loop {
            match receiver.take() {
                Some(one) => {
                    taken += 1;
                    producers.push(one.producer);
                    assert_eq!(one.missing_from, None, "{round}");
                }
                None => match receiver.missing() {
                    Some(gap) => {
                        assert_eq!((gap.from, gap.to), (2, 3));
                        assert_ne!(gap.producer, stays.sender.producer);
                        missing += 1;
                    }
                    None => break,
                },
            }
        }
        let first = u32::from(round == 1);
        assert_eq!((taken, missing), (2 + first, 1), "{round}");
    }
    assert!(seats(&receiver) <= 4, "{}", seats(&receiver));
    // Each had a name of its own, though they had the same seat.
    producers.sort_by_key(|producer| producer.id);
    producers.dedup();
    assert_eq!(producers.len(), 1001);
}

#[test]
fn what_sinks_that_are_gone_dropped_is_remembered_of_so_many_5_4() {
    let holder = sink("departed", 1);
    for _ in 0..5_000 {
        // It drops its one message, and nothing of it is in the queue.
        sink("departed", 1).drop_optional();
    }
    let mut receiver = Receiver::<Message>::bind("departed", WHO).unwrap();
    assert!(seats(&receiver) <= 4_100, "{}", seats(&receiver));
    assert!(receiver.take().is_none());
    let mut told = 0;
    while receiver.missing().is_some() {
        told += 1;
    }
    assert_eq!(told, 4_096);
    assert!(receiver.take().is_none());
    drop(holder);
    let core = receiver.channel.lock();
    assert!(core.tails.is_empty());
}

#[tokio::test]
async fn who_no_longer_waits_is_forgotten_5_4() {
    let sink = sink("waits", 10);
    let receipt = sink.try_send(message()).unwrap();
    let Ok(channel) = &sink.channel else {
        panic!("it has a channel")
    };
    for _ in 0..100 {
        // Each in a task of its own, and so under a waker of its own.
        for what in 0..3 {
            let sink = Arc::clone(&sink);
            let waits = tokio::spawn(async move {
                match what {
                    0 => drop(sink.connect(Duration::from_secs(60)).await),
                    1 => drop(sink.settled(receipt, Level::Acked).await),
                    _ => drop(sink.flush().await),
                }
            });
            tokio::task::yield_now().await;
            waits.abort();
            assert!(waits.await.unwrap_err().is_cancelled());
        }
    }
    assert_eq!(channel.lock().callers.len(), 0);
    assert_eq!(sink.sender.waiting().levels.len(), 0);
}

#[test]
fn a_message_that_holds_a_sink_of_its_own_channel_may_be_dropped_5() {
    /// A message that is a sink.
    struct Holds(#[allow(dead_code, reason = "it is only held")] Option<Arc<Inproc<Holds>>>);

    impl MessageType for Holds {
        const NAME: &'static str = "Holds";
        const SHAPE: &'static str = "";
        const FINGERPRINT: u64 = 0;

        fn encode(
            &self,
            codec: crate::Codec,
            _: &mut Vec<u8>,
        ) -> Result<(), crate::error::EncodeError> {
            Err(crate::error::EncodeError::new(
                crate::codec::name(codec),
                "never",
            ))
        }

        fn decode(
            codec: crate::Codec,
            _: crate::message::Payload<'_>,
        ) -> Result<Self, crate::error::DecodeError> {
            Err(crate::error::DecodeError::new(
                crate::codec::name(codec),
                "never",
            ))
        }
    }

    let make = || {
        let config = InprocConfig {
            name: "holds".to_owned(),
            when_full: WhenFull::DropOldest,
            ..sink("holds-config", 1).config.clone()
        };
        Arc::new(Inproc::new(config, Holds::NAME, Surroundings::default()))
    };
    let sink = make();
    sink.try_send(Holds(Some(make()))).unwrap();
    sink.try_send(Holds(None)).unwrap();
    assert_eq!(sink.ledger().dropped.oldest, 1);
}
