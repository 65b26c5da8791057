use sink_relay::{Relay, RelayError};
use sink_runtime::frame::{self, Bye, ByeCode, Hello, Kind, MAGIC, RefuseCode, Start};

use crate::client::{Client, Consumer, Sender, consumer, data, producer};
use crate::{inproc, relay, start};

async fn refused(endpoint: &sink_relay::Endpoint, hello: &Hello) -> (u16, String) {
    let mut client = Client::dial(endpoint).await;
    client.hello(hello).await;
    let refusal = client.refusal().await;
    drop(client);
    (refusal.code, refusal.reason)
}

#[tokio::test]
async fn a_named_consumer_is_refused_until_cursors_are_built() {
    let (relay, endpoint) = relay().await;
    let hello = Hello {
        consumer: Some("books".into()),
        ..consumer(Start::Now)
    };
    let (code, reason) = refused(&endpoint, &hello).await;
    assert_eq!(code, RefuseCode::Unsupported as u16);
    assert!(reason.contains("consumer"), "{reason}");
    assert_eq!(relay.shut_down().await.refused, 1);
}

#[tokio::test]
async fn bytes_that_are_no_hello_are_refused_and_harm_nobody() {
    let (_relay, endpoint) = relay().await;
    let mut other_version = Vec::new();
    frame::control(&mut other_version, Kind::Hello, |out| {
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&9u16.to_le_bytes());
    });
    let mut cut_tag = Vec::new();
    frame::control(&mut cut_tag, Kind::Hello, |out| {
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out.extend_from_slice(&1u16.to_le_bytes());
        out.extend_from_slice(&[1, 0, 255, 255, 0]);
    });
    let cases: [(&[u8], RefuseCode); 7] = [
        (
            b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
            RefuseCode::Malformed,
        ),
        (&[0xff; 64], RefuseCode::Malformed),
        (&[0; 64], RefuseCode::Malformed),
        (
            &[8, 0, 0, 0, 1, 0, 0, 0, b'N', b'O', b'P', b'E'],
            RefuseCode::Malformed,
        ),
        (&data(1, 3), RefuseCode::Malformed),
        (&other_version, RefuseCode::Version),
        (&cut_tag, RefuseCode::Malformed),
    ];
    for (bytes, code) in cases {
        let mut client = Client::dial(&endpoint).await;
        client.write(bytes).await.unwrap();
        assert_eq!(client.refusal().await.code, code as u16, "{bytes:?}");
    }
    Sender::connect(&endpoint, &producer(1))
        .await
        .send_acked(1, 10)
        .await;
}

#[tokio::test]
async fn a_producer_that_breaks_the_protocol_is_cut_off_and_told_why() {
    let (relay, endpoint) = relay().await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    let mut zero = Vec::new();
    crate::client::frame_of(&mut zero, 0, b"x");
    let mut bad_metadata = Vec::new();
    frame::begin_data(&mut bad_metadata, frame::FLAG_METADATA, 1);
    bad_metadata.extend_from_slice(&[200, 0]);
    frame::finish(&mut bad_metadata, 0, 0);
    let mut chunk = Vec::new();
    frame::Chunk::default().encode(&mut chunk);
    let huge = 0xffff_fff0u32.to_le_bytes();
    let cases: [Vec<u8>; 6] = [
        zero,
        bad_metadata,
        chunk,
        [&huge[..], &[4, 0, 0, 0]].concat(),
        vec![0; 32],
        vec![4, 0, 0, 0, 4, 0, 0, 0],
    ];
    for (at, bytes) in cases.iter().enumerate() {
        let mut sender = Sender::connect(&endpoint, &producer(at as u128 + 1)).await;
        sender.client.write(bytes).await.unwrap();
        let frame = sender.client.frame().await.expect("a goodbye");
        assert_eq!(
            (frame[4], Bye::decode(&frame).code),
            (Kind::Bye as u8, ByeCode::Malformed as u16),
            "case {at}"
        );
        assert!(sender.client.frame().await.is_none());
        reader.producer(at as u32, at as u128 + 1, 1).await;
    }
    assert_eq!(relay.statistics().service("ticks").unwrap().messages_in, 0);
}

#[tokio::test]
async fn frames_and_tags_of_a_later_version_are_passed_over() {
    let (_relay, endpoint) = relay().await;
    let mut sender = Sender::connect(&endpoint, &producer(1)).await;
    let mut out = vec![5, 0, 0, 0, 99, 0, 0, 0, 42];
    out.extend_from_slice(&data(1, 2));
    out.extend_from_slice(&[5, 0, 0, 0, 99, 0, 0, 0, 42]);
    out.extend_from_slice(&data(3, 3));
    sender.client.write(&out).await.unwrap();
    sender.acked(3).await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 3, 1).await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_places_become_free() {
    let (_relay, endpoint) = start(Relay::bind(inproc()).unwrap().max_connections(2)).await;
    let sender = Sender::connect(&endpoint, &producer(1)).await;
    let _reader = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let (code, reason) = refused(&endpoint, &producer(2)).await;
    assert_eq!(code, RefuseCode::TooManyConnections as u16);
    assert!(reason.contains("max_connections"), "{reason}");
    drop(sender);
    loop {
        let mut client = Client::dial(&endpoint).await;
        client.hello(&producer(2)).await;
        let Some(frame) = client.frame().await else {
            continue;
        };
        if frame[4] == Kind::Welcome as u8 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_shown_out_after_two_seconds() {
    let (_relay, endpoint) = relay().await;
    for bytes in [&b""[..], &[40, 0, 0, 0, 1, 0, 0, 0, b'S', b'N', b'K', b'1']] {
        let begun = tokio::time::Instant::now();
        let mut client = Client::dial(&endpoint).await;
        client.write(bytes).await.unwrap();
        assert!(client.refusal().await.reason.contains("hello"));
        assert!(
            (2000..2100).contains(&begun.elapsed().as_millis()),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let name = inproc();
    let (_relay, _) = start(Relay::bind(&name).unwrap()).await;
    let error = Relay::bind(&name).unwrap().start().await.unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
    assert!(matches!(error, RelayError::Bind { .. }));
    assert!(matches!(
        Relay::bind("nonsense").unwrap_err(),
        RelayError::Endpoint { .. }
    ));
    let missing = Relay::from_registry("no/such/services.toml").unwrap_err();
    assert!(
        missing.to_string().contains("no/such/services.toml"),
        "{missing}"
    );
}

#[tokio::test]
async fn an_unknown_service_is_refused_with_the_nearest_name() {
    let directory = tempfile::tempdir().unwrap();
    let registry = directory.path().join("services.toml");
    let (ticks, orders) = (inproc(), inproc());
    let text = format!(
        "[services.ticks]\ntype = \"relay\"\nendpoint = \"{ticks}\"\naliases = [\"quotes\"]\nmax_connections = 3\n
         [services.orders]\ntype = \"relay\"\nendpoint = \"{orders}\"\nretain = 10\n
         [services.desk]\ntype = \"direct\"\nendpoint = \"tcp://127.0.0.1:9\"\n"
    );
    std::fs::write(&registry, text).unwrap();
    let (relay, endpoint) = start(Relay::from_registry(&registry).unwrap()).await;
    let names: Vec<_> = relay
        .local_endpoints()
        .iter()
        .map(|local| &*local.services[0])
        .collect();
    assert_eq!(names, ["ticks", "orders"]);
    let (code, reason) = refused(
        &endpoint,
        &Hello {
            service: "tick".into(),
            ..producer(1)
        },
    )
    .await;
    assert_eq!(code, RefuseCode::UnknownService as u16);
    assert!(reason.contains("`ticks`?"), "{reason}");
    let (_, reason) = refused(
        &endpoint,
        &Hello {
            service: "a\u{1b}[2J".into(),
            ..producer(1)
        },
    )
    .await;
    assert!(reason.contains("\\u{1b}[2J"), "{reason}");
    let (code, _) = refused(
        &endpoint,
        &Hello {
            service: "orders".into(),
            ..producer(1)
        },
    )
    .await;
    assert_eq!(code, RefuseCode::UnknownService as u16);
    let (code, reason) = refused(
        &endpoint,
        &Hello {
            codec: "json".into(),
            ..producer(1)
        },
    )
    .await;
    assert_eq!(code, RefuseCode::TypeMismatch as u16, "{reason}");
    // A former name is the same service.
    Sender::connect(
        &endpoint,
        &Hello {
            service: "quotes".into(),
            ..producer(1)
        },
    )
    .await
    .send_acked(1, 10)
    .await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Retained)).await;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 10, 1).await;
}

#[tokio::test]
async fn a_registry_without_relays_or_with_mistakes_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let registry = directory.path().join("services.toml");
    std::fs::write(
        &registry,
        "[services.desk]\ntype = \"direct\"\nendpoint = \"tcp://127.0.0.1:9\"\n",
    )
    .unwrap();
    assert!(matches!(
        Relay::from_registry(&registry).unwrap_err(),
        RelayError::NothingToServe { .. }
    ));
    std::fs::write(
        &registry,
        "[services.ticks]\ntype = \"relay\"\nendpoint = \"inproc://ticks\"\nretian = 5\n",
    )
    .unwrap();
    let error = Relay::from_registry(&registry).unwrap_err();
    assert!(
        matches!(error, RelayError::Invalid { count: 1, .. })
            && error.to_string().contains("retian"),
        "{error}"
    );
}

#[tokio::test]
async fn services_behind_one_address_do_not_mix() {
    let (relay, endpoint) = relay().await;
    Sender::connect(&endpoint, &producer(1))
        .await
        .send_acked(1, 10)
        .await;
    Sender::connect(
        &endpoint,
        &Hello {
            service: "orders".into(),
            ..producer(1)
        },
    )
    .await
    .send_acked(1, 20)
    .await;
    let mut reader = Consumer::connect(
        &endpoint,
        &Hello {
            service: "orders".into(),
            ..consumer(Start::Retained)
        },
    )
    .await;
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 20, 1).await;
    assert_eq!(relay.statistics().service("ticks").unwrap().messages_in, 10);
}

#[tokio::test]
async fn what_a_producer_sent_before_nonsense_is_taken() {
    let (_relay, endpoint) = relay().await;
    let mut reader = Consumer::connect(&endpoint, &consumer(Start::Now)).await;
    let sender = Sender::connect(&endpoint, &producer(1)).await;
    let mut bytes = data(1, 3);
    bytes.extend([0xff; 16]);
    sender.client.write(&bytes).await.unwrap();
    reader.producer(0, 1, 1).await;
    reader.messages(0, 1, 3, 1).await;
}
