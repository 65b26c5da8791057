//! Peers that are not ours: their framings, and what a lost connection costs there (DESIGN §3, PROMISES 4.4 and 4.6).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use sink_runtime::{
    DynSink, Level, Lost, Message, MessageSink, Outcome, SendErrorKind, ServiceRegistry, SinkState,
    SourceError,
};

use super::support::{
    Answer, Net, Peer, Rules, bounded, ledger, registry_at, registry_over, settle, sink_over,
    socket,
};

const FRAMINGS: [&str; 4] = ["u32be", "u32le", "lines", "raw"];

fn framing(name: &str) -> String {
    format!("framing = \"{name}\"")
}

/// One message as such a peer has it on the wire.
fn by_hand(framing: &str, message: &[u8]) -> Vec<u8> {
    let length = message.len() as u32;
    match framing {
        "u32be" => [&length.to_be_bytes(), message].concat(),
        "u32le" => [&length.to_le_bytes(), message].concat(),
        "lines" => [message, b"\n"].concat(),
        _ => message.to_vec(),
    }
}

fn all_by_hand(framing: &str, messages: &[Vec<u8>]) -> Vec<u8> {
    let each = messages.iter().map(|message| by_hand(framing, message));
    each.collect::<Vec<_>>().concat()
}

fn send(sink: &DynSink, message: &[u8]) -> sink_runtime::Receipt {
    sink.try_send(Message::new(message.to_vec())).unwrap()
}

/// All that has come over a wire; on a paused clock nothing more comes by itself.
async fn everything(peer: &Peer) -> Vec<u8> {
    let mut all = BytesMut::new();
    loop {
        settle().await;
        all.reserve(64 * 1024);
        if !matches!(peer.wire.try_read(&mut all), Ok(1..)) {
            return all.to_vec();
        }
    }
}

/// A sink and a listener of the standard library at the other end.
fn over_tcp(more: &str) -> (DynSink, TcpListener, Arc<ServiceRegistry>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let registry = registry_at(&format!("tcp://127.0.0.1:{port}"), more);
    (
        registry.sink::<Message>("orders").unwrap(),
        listener,
        registry,
    )
}

/// What a program of the standard library receives until the stream ends.
async fn received(listener: TcpListener) -> Vec<u8> {
    let reads = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    bounded(reads).await.unwrap()
}

#[tokio::test]
async fn a_peer_that_is_not_ours_receives_its_own_framing_and_nothing_else_4_4() {
    let messages = [&b"one"[..], b"", b"three", &[b'x'; 70_000]].map(<[u8]>::to_vec);
    for name in FRAMINGS {
        let (sink, listener, _registry) = over_tcp(&framing(name));
        let reads = tokio::spawn(received(listener));
        for message in &messages {
            bounded(sink.send(Message::new(message.clone())))
                .await
                .unwrap();
        }
        bounded(sink.flush()).await.unwrap();
        let report = bounded(sink.close(Duration::from_secs(5))).await;
        assert!(report.undelivered.is_empty());
        assert!(
            bounded(reads).await.unwrap() == all_by_hand(name, &messages),
            "{name}"
        );
        assert_eq!(ledger(&sink).done, 4, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_framing_restarts_at_the_next_message_and_the_torn_one_is_unknown_4_4() {
    let messages = [&b"first"[..], b"second", b"3"].map(<[u8]>::to_vec);
    for name in FRAMINGS {
        let whole = all_by_hand(name, &messages);
        for cut in 0..whole.len() {
            let net = Net::new(move |attempt| {
                Answer::Connect(Rules {
                    budget: if attempt == 0 { cut } else { usize::MAX },
                    cut: attempt == 0,
                    ..Rules::default()
                })
            });
            let sink = sink_over(&net, &framing(name));
            let receipts = messages.clone().map(|message| send(&sink, &message));
            let first = bounded(net.accept()).await;
            assert_eq!(everything(&first).await, whole[..cut], "{name} {cut}");
            drop(first);
            // Whole ones are gone, the one whose first byte was written is given up, the others follow in order.
            let ends: Vec<_> = (0..=3)
                .map(|count| all_by_hand(name, &messages[..count]).len())
                .collect();
            let next = ends.iter().position(|end| *end >= cut).unwrap();
            let torn = (ends[next] != cut).then(|| next - 1);
            if next < 3 {
                let second = bounded(net.accept()).await;
                assert_eq!(
                    everything(&second).await,
                    whole[ends[next]..],
                    "{name} {cut}"
                );
            } else {
                tokio::time::sleep(Duration::from_secs(60)).await;
                assert_eq!(net.dials(), 1, "{name} {cut}: nothing is owed");
            }
            let ledger = ledger(&sink);
            assert_eq!(ledger.unknown, u64::from(torn.is_some()), "{name} {cut}");
            assert_eq!(ledger.done, 3 - ledger.unknown, "{name} {cut}");
            for (number, receipt) in receipts.into_iter().enumerate() {
                let settled = bounded(sink.settled(receipt, Level::Written)).await;
                match settled {
                    Ok(Level::Written) => assert_ne!(torn, Some(number), "{name} {cut}"),
                    Err(Lost::Unknown { .. }) => assert_eq!(torn, Some(number), "{name} {cut}"),
                    other => panic!("{name} {cut}: {other:?}"),
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirming_send_whose_frame_is_torn_is_told_that_it_is_unknown_4_4() {
    let net = Net::new(|attempt| {
        Answer::Connect(Rules {
            budget: if attempt == 0 { 6 } else { usize::MAX },
            cut: attempt == 0,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, "framing = \"u32le\"\nconfirm = \"written\"");
    let error = bounded(sink.send(Message::new(b"torn".to_vec())))
        .await
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    let sent = bounded(sink.send(Message::new(b"whole".to_vec())))
        .await
        .unwrap();
    assert_eq!(sent.level(), Level::Written);
    ledger(&sink);
}

#[tokio::test(start_paused = true)]
async fn large_payloads_are_torn_and_finished_like_small_ones_4_4() {
    // Some longer than a segment, some referenced instead of copied, on a wire that takes a little at a time.
    let messages: Vec<_> = [10, 20_000, 300, 200_000, 64 * 1024]
        .iter()
        .map(|length| vec![b'a' + (length % 7) as u8; *length])
        .collect();
    for name in FRAMINGS {
        let net = Net::new(|_| {
            Answer::Connect(Rules {
                chunk: 1_000,
                ..Rules::default()
            })
        });
        let sink = sink_over(&net, &framing(name));
        for message in &messages {
            send(&sink, message);
        }
        let peer = bounded(net.accept()).await;
        let mut came = Vec::new();
        while came.len() < all_by_hand(name, &messages).len() {
            let more = everything(&peer).await;
            assert!(!more.is_empty(), "{name}: it stands still");
            came.extend(more);
        }
        assert!(came == all_by_hand(name, &messages), "{name}");
        assert_eq!(ledger(&sink).done, 5, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_peer_that_closes_an_idle_link_is_seen_without_a_write_2_7() {
    let net = Net::open();
    let sink = sink_over(&net, &framing("lines"));
    send(&sink, b"hello");
    let peer = bounded(net.accept()).await;
    assert_eq!(everything(&peer).await, b"hello\n");
    assert!(matches!(sink.state(), SinkState::Ready));
    drop(peer);
    settle().await;
    assert!(
        matches!(sink.state(), SinkState::Idle),
        "{:?}",
        sink.state()
    );
    assert_eq!(net.dials(), 1, "nothing is owed");
    send(&sink, b"again");
    let peer = bounded(net.accept()).await;
    assert_eq!(everything(&peer).await, b"again\n");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_peer_is_never_beaten_at_nor_missed_and_hears_no_goodbye_4_4() {
    let net = Net::open();
    let sink = sink_over(&net, &framing("u32be"));
    bounded(sink.connect()).await.unwrap();
    let peer = bounded(net.accept()).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(
        matches!(sink.state(), SinkState::Ready),
        "silence is all it says"
    );
    assert!(everything(&peer).await.is_empty());
    let closing = tokio::spawn(async move { sink.disconnect().await });
    bounded(closing).await.unwrap().unwrap();
    assert!(everything(&peer).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_foreign_peer_sends_is_passed_over_4_4() {
    let net = Net::open();
    let sink = sink_over(&net, &framing("u32be"));
    bounded(sink.connect()).await.unwrap();
    let peer = bounded(net.accept()).await;
    for round in 0..200u8 {
        assert_eq!(peer.wire.try_write(&[round; 50_000]).unwrap(), 50_000);
        settle().await;
        send(&sink, &[round]);
        assert_eq!(everything(&peer).await, by_hand("u32be", &[round]));
    }
    assert!(matches!(sink.state(), SinkState::Ready));
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_foreign_peer_that_takes_nothing_is_given_up_after_ten_seconds_10_5() {
    let net = Net::new(|attempt| {
        Answer::Connect(Rules {
            capacity: if attempt == 0 { 10 } else { 1 << 20 },
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, &framing("lines"));
    send(&sink, b"longer than ten bytes");
    send(&sink, b"short");
    let stuck = bounded(net.accept()).await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(net.dials(), 1);
    let second = bounded(net.accept()).await;
    assert_eq!(everything(&second).await, b"short\n");
    assert_eq!(everything(&stuck).await, b"longer tha");
    assert_eq!(ledger(&sink).unknown, 1);
}

#[tokio::test(start_paused = true)]
async fn the_preamble_comes_first_on_every_connection_4_4() {
    let net = Net::open();
    let sink = sink_over(&net, "framing = \"lines\"\npreamble = \"HELLO 1\\n\"");
    bounded(sink.connect()).await.unwrap();
    let peer = bounded(net.accept()).await;
    assert_eq!(everything(&peer).await, b"HELLO 1\n", "before any message");
    send(&sink, b"a");
    assert_eq!(everything(&peer).await, b"a\n");
    drop(peer);
    settle().await;
    send(&sink, b"b");
    let peer = bounded(net.accept()).await;
    assert_eq!(everything(&peer).await, b"HELLO 1\nb\n");
}

#[tokio::test(start_paused = true)]
async fn a_preamble_kept_in_a_file_is_read_for_each_connection_and_never_printed_9_6() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("greeting");
    let net = Net::open();
    let more = format!(
        "framing = \"raw\"\npreamble = {{ file = \"{}\" }}",
        path.display()
    );
    let sink = sink_over(&net, &more);
    let error = bounded(sink.connect()).await.unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(told.contains("greeting") && error.is_permanent(), "{told}");
    assert_eq!(net.dials(), 0, "who cannot greet does not knock");
    for secret in ["s3cret", "0ther"] {
        std::fs::write(&path, secret).unwrap();
        send(&sink, b"!");
        let peer = bounded(net.accept()).await;
        assert_eq!(everything(&peer).await, format!("{secret}!").as_bytes());
        drop(peer);
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_break_within_a_line_is_refused_before_a_byte_is_sent_4_6() {
    let net = Net::open();
    let sink = sink_over(&net, "framing = \"lines\"\nbuffer_size = 1");
    let mut long = vec![b'x'; 100_000];
    long[77_777] = b'\n';
    let refused = |error: sink_runtime::SendError<Message>, payload: &[u8]| {
        assert!(
            matches!(error.kind(), SendErrorKind::Encode { .. }),
            "{error}"
        );
        let told = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            told.contains("line break") && told.contains("framing"),
            "{told}"
        );
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(error.into_message().unwrap().payload()[..] == *payload);
    };
    for bad in [&b"\n"[..], b"two\nlines", b"tail\n", &long] {
        let message = || Message::new(bad.to_vec());
        refused(sink.try_send(message()).unwrap_err(), bad);
        refused(bounded(sink.send(message())).await.unwrap_err(), bad);
    }
    assert_eq!(net.dials(), 0);
    // Full: who waits for room is looked at just so.
    send(&sink, b"good");
    for bad in [&b"two\nlines"[..], &long] {
        let waits = bounded(sink.send(Message::new(bad.to_vec()))).await;
        refused(waits.unwrap_err(), bad);
    }
    let peer = bounded(net.accept()).await;
    assert_eq!(everything(&peer).await, b"good\n");
    let ledger = ledger(&sink);
    assert_eq!((ledger.returned.refused, ledger.done), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_takes_no_line_break_for_a_member_that_writes_lines_7_3() {
    let text = "[services.text]\ntype = \"direct\"\nendpoint = \"tcp://127.0.0.1:1\"\nframing = \"lines\"\n\
        [services.other]\ntype = \"direct\"\nendpoint = \"tcp://127.0.0.1:2\"\nframing = \"u32be\"\n\
        [services.both]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"text\", \"other\"]\n";
    let registry = Arc::new(ServiceRegistry::from_toml(text).unwrap());
    let both = registry.sink::<Message>("both").unwrap();
    let error = both.try_send(Message::new(b"a\nb".to_vec())).unwrap_err();
    assert!(
        matches!(error.kind(), SendErrorKind::Encode { .. }),
        "{error}"
    );
    both.try_send(Message::new(b"a b".to_vec())).unwrap();
    for name in ["text", "other"] {
        let sink = registry.sink::<Message>(name).unwrap();
        assert_eq!(sink.ledger().unwrap().buffered, 1, "all or nothing: {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_over_max_frame_bytes_is_refused_in_every_framing_4_6() {
    for name in FRAMINGS {
        let net = Net::open();
        let sink = sink_over(&net, &format!("{}\nmax_frame_bytes = 1024", framing(name)));
        let error = sink.try_send(Message::new(vec![b'x'; 1025])).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                SendErrorKind::TooLarge {
                    bytes: 1025,
                    limit: 1024,
                    key: "max_frame_bytes",
                    ..
                }
            ),
            "{error}"
        );
        send(&sink, &[b'x'; 1024]);
        let peer = bounded(net.accept()).await;
        assert_eq!(everything(&peer).await, by_hand(name, &[b'x'; 1024]));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_acks_over_a_foreign_framing_1() {
    let net = Net::open();
    let sink = sink_over(&net, &framing("raw"));
    let receipt = send(&sink, b"x");
    let answer = bounded(sink.settled(receipt, Level::Acked)).await;
    assert!(
        matches!(
            answer,
            Err(Lost::Unreachable {
                highest: Level::Written,
                ..
            })
        ),
        "{answer:?}"
    );
    for (more, said) in [
        (
            "framing = \"u32be\"\ndelivery = \"at_least_once\"",
            "needs acks",
        ),
        (
            "framing = \"u32be\"\nconfirm = \"acked\"",
            "nobody confirms `acked`",
        ),
    ] {
        let text =
            format!("[services.a]\ntype = \"direct\"\nendpoint = \"tcp://127.0.0.1:1\"\n{more}\n");
        let error = ServiceRegistry::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_drop_oldest_and_max_age_the_peer_sees_whole_messages_only_5() {
    let net = Net::new(|attempt| match attempt {
        0 => Answer::Refuse(std::io::ErrorKind::ConnectionRefused),
        _ => Answer::Connect(Rules::default()),
    });
    let sink = registry_over(
        &net,
        "framing = \"u32be\"\nwhen_full = \"drop_oldest\"\nbuffer_size = 3",
    )
    .sink::<Message>("orders")
    .unwrap();
    for number in 0..10 {
        send(&sink, &[number; 3]);
    }
    let peer = bounded(net.accept()).await;
    let expected = [[7; 3], [8; 3], [9; 3]].map(|message| by_hand("u32be", &message));
    assert_eq!(everything(&peer).await, expected.concat());
    assert_eq!(ledger(&sink).dropped.oldest, 7);
}

// --- the receiving end

/// A source that listens, and a stream of the standard library to it.
async fn source_over_tcp(more: &str) -> (sink_runtime::Source<Message>, std::net::SocketAddr) {
    let more = format!("bind = \"tcp://127.0.0.1:0\"\n{more}");
    let registry = registry_at("tcp://127.0.0.1:1", &more);
    let mut source = registry.source::<Message>("orders").unwrap();
    let local = bounded(source.start()).await.unwrap().to_string();
    let address = local.trim_start_matches("tcp://").parse().unwrap();
    (source, address)
}

async fn next(source: &mut sink_runtime::Source<Message>) -> Result<(u64, Vec<u8>), SourceError> {
    let next = bounded(source.recv()).await.expect("it is open");
    next.map(|delivery| (delivery.sequence(), delivery.payload().to_vec()))
}

#[tokio::test]
async fn a_source_reads_what_a_program_of_the_standard_library_writes_4_4() {
    let messages = [&b"one"[..], b"", b"three", &[b'x'; 300_000]].map(<[u8]>::to_vec);
    for name in ["u32be", "u32le", "lines"] {
        let (mut source, address) = source_over_tcp(&framing(name)).await;
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(&all_by_hand(name, &messages[..3]))
            .unwrap();
        for (number, message) in messages[..3].iter().enumerate() {
            let (sequence, payload) = next(&mut source).await.unwrap();
            assert_eq!((sequence, &payload), (number as u64 + 1, message), "{name}");
        }
        let long = by_hand(name, &messages[3]);
        let writes = tokio::task::spawn_blocking(move || {
            long.chunks(9_999)
                .for_each(|chunk| stream.write_all(chunk).unwrap());
        });
        let (sequence, payload) = next(&mut source).await.unwrap();
        assert!(sequence == 4 && payload == messages[3], "{name}");
        bounded(writes).await.unwrap();
        // Another connection is another producer, counted anew.
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&by_hand(name, b"other")).unwrap();
        assert_eq!(next(&mut source).await.unwrap(), (1, b"other".to_vec()));
        assert_eq!(source.ledger().received, 5);
        assert_eq!((source.ledger().gaps, source.ledger().duplicates), (0, 0));
    }
}

#[tokio::test]
async fn under_raw_a_message_is_what_one_read_brings_4_4() {
    let (mut source, address) = source_over_tcp(&framing("raw")).await;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"first").unwrap();
    assert_eq!(next(&mut source).await.unwrap(), (1, b"first".to_vec()));
    stream.write_all(&[7; 100_000]).unwrap();
    drop(stream);
    let mut came = 0;
    while came < 100_000 {
        let (_, payload) = next(&mut source).await.unwrap();
        assert!(payload.iter().all(|byte| *byte == 7) && payload.len() <= 16 * 1024);
        came += payload.len();
    }
    assert_eq!(came, 100_000);
}

#[tokio::test]
async fn a_message_whose_rest_never_comes_is_not_handed_up_but_told_4_4() {
    for (name, torn, said) in [
        ("u32be", &b"\0\0"[..], "left within a message"),
        ("u32be", b"\0\0\0\x05half", "left within a message"),
        ("u32le", b"\x05\0\0\0half", "left within a message"),
        ("lines", b"no line break", "ends with a line break"),
        ("lines", b"\r", "ends with a line break"),
    ] {
        let (mut source, address) = source_over_tcp(&framing(name)).await;
        let mut stream = TcpStream::connect(address).unwrap();
        let whole = [by_hand(name, b"whole"), torn.to_vec()].concat();
        stream.write_all(&whole).unwrap();
        let peer = stream.local_addr().unwrap().to_string();
        drop(stream);
        assert_eq!(next(&mut source).await.unwrap(), (1, b"whole".to_vec()));
        let error = next(&mut source).await.unwrap_err();
        assert!(matches!(error, SourceError::Peer { .. }));
        let told = error.to_string();
        assert!(told.contains(said) && told.contains(&peer), "{told}");
        assert!(told.contains("`orders`"), "{told}");
    }
}

#[tokio::test]
async fn too_long_a_message_ends_its_connection_naming_peer_and_key_4_6() {
    for (name, bad) in [
        ("u32be", &b"\0\0\x04\x01"[..]),
        ("u32le", b"\x01\x04\0\0"),
        ("lines", &[b'x'; 1025]),
    ] {
        let (mut source, address) =
            source_over_tcp(&format!("{}\nmax_frame_bytes = 1024", framing(name))).await;
        let mut stream = TcpStream::connect(address).unwrap();
        let peer = stream.local_addr().unwrap().to_string();
        stream.write_all(&by_hand(name, b"before")).unwrap();
        stream.write_all(bad).unwrap();
        assert_eq!(next(&mut source).await.unwrap(), (1, b"before".to_vec()));
        let told = next(&mut source).await.unwrap_err().to_string();
        assert!(
            told.contains(&peer) && told.contains("max_frame_bytes"),
            "{told}"
        );
        let closed = tokio::task::spawn_blocking(move || stream.read(&mut [0; 8]));
        let closed = bounded(closed).await.unwrap();
        assert!(
            !matches!(closed, Ok(1..)),
            "the connection has ended: {closed:?}"
        );
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&by_hand(name, &[b'y'; 1024])).unwrap();
        assert_eq!(next(&mut source).await.unwrap(), (1, vec![b'y'; 1024]));
    }
}

#[tokio::test]
async fn a_source_expects_the_preamble_that_its_sinks_send_4_4() {
    let (mut source, address) =
        source_over_tcp("framing = \"lines\"\npreamble = \"HELLO 1\\n\"").await;
    let mut stranger = TcpStream::connect(address).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let told = next(&mut source).await.unwrap_err().to_string();
    assert!(told.contains("preamble"), "{told}");
    let mut friend = TcpStream::connect(address).unwrap();
    friend.write_all(b"HELLO 1\nmessage\n").unwrap();
    assert_eq!(next(&mut source).await.unwrap(), (1, b"message".to_vec()));
}

#[tokio::test]
async fn beyond_max_connections_a_foreign_peer_is_dropped_10_5() {
    let (mut source, address) = source_over_tcp("framing = \"lines\"\nmax_connections = 1").await;
    let mut first = TcpStream::connect(address).unwrap();
    first.write_all(b"one\n").unwrap();
    assert_eq!(next(&mut source).await.unwrap().1, b"one");
    let mut second = TcpStream::connect(address).unwrap();
    let ended = tokio::task::spawn_blocking(move || second.read(&mut [0; 8]));
    assert!(
        matches!(bounded(ended).await.unwrap(), Ok(0)),
        "there is no place for it"
    );
    first.write_all(b"two\n").unwrap();
    assert_eq!(next(&mut source).await.unwrap().1, b"two");
}

#[tokio::test]
async fn through_a_source_of_little_room_every_message_comes_in_order_4_9() {
    let (mut source, address) = source_over_tcp("framing = \"lines\"\nbuffer_size = 4").await;
    let writes = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        for number in 0..10_000 {
            writeln!(stream, "{number}").unwrap();
        }
    });
    for number in 0..10_000 {
        let (sequence, payload) = next(&mut source).await.unwrap();
        assert_eq!(sequence, number + 1);
        assert_eq!(payload, number.to_string().as_bytes());
    }
    bounded(writes).await.unwrap();
}

#[tokio::test]
async fn both_ends_of_a_foreign_framing_may_be_ours_4_4() {
    for name in ["u32be", "u32le", "lines"] {
        let (_directory, endpoint) = socket();
        let more = format!("{}\npreamble = \"hi\"", framing(name));
        let registry = registry_at(&endpoint, &more);
        let sink = registry.sink::<Message>("orders").unwrap();
        let mut source = registry.source::<Message>("orders").unwrap();
        let sends = tokio::spawn(async move {
            for number in 0..5_000u32 {
                let length = if number % 100 == 0 {
                    20_000
                } else {
                    number as usize % 50
                };
                let text = format!("{number} {}", "x".repeat(length));
                sink.send(Message::new(text.into_bytes())).await.unwrap();
            }
            sink.close(Duration::from_secs(5)).await
        });
        for number in 0..5_000u32 {
            let (_, payload) = next(&mut source).await.unwrap();
            let text = std::str::from_utf8(&payload).unwrap();
            let first = text.split(' ').next().unwrap();
            assert_eq!(first.parse::<u32>().unwrap(), number, "{name}");
        }
        let report = bounded(sends).await.unwrap();
        assert!(
            report.undelivered.is_empty() && report.ledger.done == 5_000,
            "{name}"
        );
    }
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, sink_runtime::Message)]
struct Quote {
    symbol: String,
    bid: f64,
}

fn quotes() -> Vec<Quote> {
    ["ABC", "line\nbreak", "ümlaut"]
        .iter()
        .zip([1.5, -0.0, 1e-300])
        .map(|(symbol, bid)| Quote {
            symbol: (*symbol).to_owned(),
            bid,
        })
        .collect()
}

fn json_lines(endpoint: &str) -> Arc<ServiceRegistry> {
    let text = format!(
        "[services.quotes]\ntype = \"direct\"\nendpoint = \"{endpoint}\"\nmessage = \"crate::Quote\"\n\
         codec = \"json\"\nframing = \"lines\"\n"
    );
    Arc::new(ServiceRegistry::from_toml(&text).unwrap())
}

#[tokio::test]
async fn lines_of_json_are_text_that_anyone_reads_4_4() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let registry = json_lines(&format!("tcp://{}", listener.local_addr().unwrap()));
    let sink = registry.sink::<Quote>("quotes").unwrap();
    for quote in quotes() {
        bounded(sink.send(quote)).await.unwrap();
    }
    let reads = tokio::task::spawn_blocking(move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let mut lines = [const { String::new() }; 3];
        for line in &mut lines {
            reader.read_line(line).unwrap();
        }
        lines
    });
    let lines = bounded(reads).await.unwrap();
    assert_eq!(lines[0], "{\"symbol\":\"ABC\",\"bid\":1.5}\n");
    assert_eq!(lines[1], "{\"symbol\":\"line\\nbreak\",\"bid\":-0.0}\n");
    let third: serde_json::Value = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!(third["symbol"], "ümlaut");
}

#[tokio::test]
async fn a_typed_source_reads_lines_of_json_and_hands_up_what_is_none_4_9() {
    let registry = json_lines("tcp://127.0.0.1:1\"\nbind = \"tcp://127.0.0.1:0");
    let mut source = registry.source::<Quote>("quotes").unwrap();
    let local = bounded(source.start()).await.unwrap().to_string();
    let mut stream = TcpStream::connect(local.trim_start_matches("tcp://")).unwrap();
    stream
        .write_all(
            b"{\"symbol\": \"ABC\", \"bid\": 1.5}\r\nnonsense\n{\"bid\":2,\"symbol\":\"D\"}\n",
        )
        .unwrap();
    let first = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!((&*first.symbol, first.bid), ("ABC", 1.5));
    let error = bounded(source.recv()).await.unwrap().unwrap_err();
    let SourceError::Decode { raw, sequence, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((&raw[..], sequence), (&b"nonsense"[..], 2));
    let third = bounded(source.recv()).await.unwrap().unwrap();
    assert_eq!((&*third.symbol, third.sequence()), ("D", 3));
}
