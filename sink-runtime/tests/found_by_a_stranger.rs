//! Mistakes that a newcomer found by trying: each stays found.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{Message, MessageSink, ServiceRegistry};

fn registry(text: &str) -> Arc<ServiceRegistry> {
    Arc::new(ServiceRegistry::from_toml(text).unwrap())
}

/// A member full by bytes, not by messages: the fan-out waits, and can be cancelled.
#[tokio::test(start_paused = true)]
async fn a_fanout_full_by_bytes_waits_and_can_be_cancelled() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(&format!(
        "[services.slow]\ntype = \"direct\"\nendpoint = \"unix://{0}/a.sock\"\nbuffer_bytes = 65536\n\
         [services.other]\ntype = \"direct\"\nendpoint = \"unix://{0}/b.sock\"\n\
         [services.both]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"slow\", \"other\"]\noptional = [\"other\"]\n",
        directory.path().display()
    ));
    let both = registry.sink::<Message>("both").unwrap();
    let mut taken = 0;
    loop {
        let send = both.send(Message::new(vec![7; 3000]));
        match tokio::time::timeout(Duration::from_secs(3), send).await {
            Ok(sent) => drop(sent.unwrap()),
            Err(_) => break,
        }
        taken += 1;
        assert!(
            taken < 100,
            "64 KiB hold no hundred messages of 3,000 bytes"
        );
    }
    assert!(taken >= 15);
}

/// `ready` waits for room for a message as large as the one that was refused.
#[tokio::test(start_paused = true)]
async fn ready_does_not_answer_while_a_message_like_the_refused_one_has_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(&format!(
        "[services.slow]\ntype = \"direct\"\nendpoint = \"unix://{}/a.sock\"\nbuffer_bytes = 65536\n",
        directory.path().display()
    ));
    let sink = registry.sink::<Message>("slow").unwrap();
    while sink.try_send(Message::new(vec![7; 3000])).is_ok() {}
    let ready = tokio::time::timeout(Duration::from_secs(3), sink.ready());
    assert!(
        ready.await.is_err(),
        "there is no room, and nobody makes any"
    );
}

/// A copy that a full optional member does not get is a gap at its receiver, and in its ledger.
#[tokio::test]
async fn an_optional_members_missing_copies_are_seen_by_its_receiver() {
    let directory = tempfile::tempdir().unwrap();
    let registry = registry(&format!(
        "[services.all]\ntype = \"direct\"\nendpoint = \"unix://{0}/a.sock\"\n\
         [services.few]\ntype = \"direct\"\nendpoint = \"unix://{0}/b.sock\"\nbuffer_size = 5\n\
         [services.both]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"all\", \"few\"]\noptional = [\"few\"]\n",
        directory.path().display()
    ));
    let both = registry.sink::<Message>("both").unwrap();
    let few = registry.sink::<Message>("few").unwrap();
    for number in 0..20u8 {
        both.send(Message::new(vec![number])).await.unwrap();
    }
    let ledger = few.ledger().unwrap();
    assert!(ledger.is_balanced(), "{ledger:?}");
    assert_eq!(ledger.dropped.optional, 15);
    let mut source = registry.source::<Message>("few").unwrap();
    for number in 0..5u8 {
        assert_eq!(
            source.recv().await.unwrap().unwrap().payload().as_ref(),
            [number]
        );
    }
    few.flush().await.unwrap();
    both.send(Message::new(vec![20])).await.unwrap();
    let delivery = source.recv().await.unwrap().unwrap();
    assert_eq!(delivery.gap().unwrap().lost(), 15);
}

/// What no source took from a queue within the process is in the drain report.
#[tokio::test(start_paused = true)]
async fn closing_gives_back_what_nobody_took_within_the_process() {
    let registry = registry(
        "[services.orders]\ntype = \"direct\"\nendpoint = \"inproc://found-by-a-stranger\"\n",
    );
    let sink = registry.sink::<Message>("orders").unwrap();
    for number in 0..10u8 {
        sink.send(Message::new(vec![number])).await.unwrap();
    }
    let report = sink.close(Duration::from_secs(1)).await;
    assert!(!report.is_clean());
    assert_eq!(report.undelivered.len(), 10);
    assert!(report.ledger.is_balanced(), "{:?}", report.ledger);
    let third = report.undelivered[3].decode::<Message>().unwrap();
    assert_eq!(third.payload().as_ref(), [3]);
}

/// A waiting send that is kept and not polled holds up nobody behind it.
#[tokio::test(start_paused = true)]
async fn an_inproc_send_that_is_not_polled_holds_up_nobody() {
    let registry = registry(
        "[services.orders]\ntype = \"direct\"\nendpoint = \"inproc://not-polled\"\nbuffer_size = 2\n",
    );
    let sink = registry.sink::<Message>("orders").unwrap();
    let mut source = registry.source::<Message>("orders").unwrap();
    source.start().await.unwrap();
    for number in 0..2u8 {
        sink.try_send(Message::new(vec![number])).unwrap();
    }
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut kept = Box::pin(sink.send(Message::new(vec![2])));
    assert!(kept.as_mut().poll(&mut context).is_pending());
    let others = tokio::spawn({
        let sink = sink.clone();
        async move {
            for number in 3..10u8 {
                sink.send(Message::new(vec![number])).await.unwrap();
            }
        }
    });
    let mut received = Vec::new();
    while received.len() < 9 {
        let next = tokio::time::timeout(Duration::from_secs(1), source.recv()).await;
        received.push(next.expect("nobody is held up").unwrap().unwrap().payload()[0]);
    }
    others.await.unwrap();
    assert_eq!(received, [0, 1, 3, 4, 5, 6, 7, 8, 9]);
    // And it is still a send: polled again, it goes.
    kept.await.unwrap();
    assert_eq!(source.recv().await.unwrap().unwrap().payload()[0], 2);
}

/// serde's attributes that bring lifetimes or functions of their own stand beside ours.
#[test]
fn attributes_of_serde_keep_their_meaning_under_json() {
    use sink_runtime::{Codec, MessageType, Payload};

    mod cents {
        use sink_runtime::serde::{Deserialize, Deserializer, Serializer};

        pub(super) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_u64(value * 100)
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
            Ok(u64::deserialize(from)? / 100)
        }
    }

    #[derive(Debug, PartialEq, sink_runtime::Message)]
    #[message(serde)]
    #[serde(tag = "kind", content = "value")]
    enum Order {
        Limit(u64),
        Level { price: u64, size: String },
    }

    #[derive(Debug, PartialEq, sink_runtime::Message)]
    #[message(serde)]
    struct Tick {
        #[serde(with = "cents")]
        price: u64,
        symbol: String,
    }

    fn comes_back<M: MessageType + PartialEq + std::fmt::Debug>(message: &M, wanted: &str) {
        let mut bytes = Vec::new();
        message.encode(Codec::Json, &mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), wanted);
        let bytes = bytes.into();
        assert_eq!(
            &M::decode(Codec::Json, Payload::new(&bytes)).unwrap(),
            message
        );
    }

    comes_back(&Order::Limit(5), r#"{"kind":"Limit","value":5}"#);
    let level = Order::Level {
        price: 1,
        size: "two".to_owned(),
    };
    comes_back(
        &level,
        r#"{"kind":"Level","value":{"price":1,"size":"two"}}"#,
    );
    let tick = Tick {
        price: 3,
        symbol: "ACME".to_owned(),
    };
    comes_back(&tick, r#"{"price":300,"symbol":"ACME"}"#);
    // By postcard the one is refused, the other not.
    let error = Order::Limit(5).encode(Codec::Postcard, &mut Vec::new());
    assert!(error.unwrap_err().to_string().contains("codec = \"json\""));
    tick.encode(Codec::Postcard, &mut Vec::new()).unwrap();
}

mod within {
    use sink_runtime::{Codec, MessageType};

    #[derive(sink_runtime::Message)]
    #[message(serde)]
    struct Position {
        legs: Vec<Option<Leg>>,
        #[serde(skip)]
        _cached: Option<Skipped>,
    }

    #[derive(sink_runtime::Message)]
    #[message(serde)]
    struct Leg {
        #[serde(skip_serializing, default)]
        _seen: bool,
        _size: u64,
    }

    #[derive(sink_runtime::Message)]
    #[message(serde)]
    struct Plain {
        #[serde(skip)]
        _cached: Option<Skipped>,
        size: u64,
    }

    #[derive(Default, sink_runtime::Message)]
    #[message(serde)]
    #[serde(untagged)]
    enum Skipped {
        #[default]
        _One,
    }

    /// `Leg` was written without `seen`, and its size was read in the place of it.
    #[test]
    fn what_postcard_cannot_carry_is_refused_in_a_type_within_a_message_too() {
        let position = Position {
            legs: Vec::new(),
            _cached: None,
        };
        let error = position.encode(Codec::Postcard, &mut Vec::new());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`Leg._seen` needs a codec"), "{error}");
        let leg = Leg {
            _seen: true,
            _size: 7,
        };
        let position = Position {
            legs: vec![Some(leg)],
            _cached: None,
        };
        let mut out = Vec::new();
        position.encode(Codec::Json, &mut out).unwrap();
        assert_eq!(out, br#"{"legs":[{"_size":7}]}"#);
        // What serde skips is not encoded at all.
        let plain = Plain {
            _cached: Some(Skipped::_One),
            size: 7,
        };
        let mut out = Vec::new();
        plain.encode(Codec::Postcard, &mut out).unwrap();
        assert_eq!(out, [7]);
    }
    type Legs = Vec<Option<Leg>>;

    #[derive(sink_runtime::Message)]
    #[message(serde)]
    struct Aliased {
        legs: Legs,
    }

    #[test]
    fn an_alias_hides_nothing_of_what_postcard_cannot_carry() {
        let aliased = Aliased { legs: Vec::new() };
        let error = aliased.encode(Codec::Postcard, &mut Vec::new());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`Leg._seen` needs a codec"), "{error}");
    }

    macro_rules! quotes {
        ($($module:ident $first:ident $second:ident $prices:ty;)*) => {
            $(mod $module {
                #[derive(sink_runtime::Message)]
                #[message(serde)]
                pub(super) struct Level {
                    _a: $first,
                    _b: $second,
                }
                type Levels = std::collections::VecDeque<(Level, Option<Box<Level>>)>;
                type Prices = $prices;
                #[derive(sink_runtime::Message)]
                #[message(serde)]
                pub(super) struct Quote {
                    _levels: Levels,
                    _prices: Prices,
                }
            })*
        };
    }

    quotes! {
        one u8 u64 Vec<u32>;
        same u8 u64 Vec<u32>;
        swapped u64 u8 Vec<u32>;
        wider u8 u64 Vec<u64>;
        fixed u8 u64 [u32; 2];
        longer u8 u64 [u32; 3];
    }

    /// Both were `Quote{_levels:Levels,_prices:Prices}`, and one read the other's numbers in another order.
    #[test]
    fn an_alias_hides_nothing_of_what_two_processes_compare() {
        let prints = [
            one::Quote::FINGERPRINT,
            swapped::Quote::FINGERPRINT,
            wider::Quote::FINGERPRINT,
            fixed::Quote::FINGERPRINT,
            longer::Quote::FINGERPRINT,
        ];
        for (at, print) in prints.iter().enumerate() {
            assert!(!prints[..at].contains(print), "{at}");
        }
        assert_eq!(prints[0], same::Quote::FINGERPRINT);
    }
}
