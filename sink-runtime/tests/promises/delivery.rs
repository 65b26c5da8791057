//! §6 Delivery, and the type check at connect.

use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{
    Codec, ConnectError, DecodeError, EncodeError, GapCause, Level, Lost, Message, MessageSink,
    MessageType, Payload, SinkState,
};

use crate::support::*;

fn received(all: &[(u64, bytes::Bytes)]) -> Vec<(u64, u64)> {
    all.iter()
        .map(|(at, payload)| (*at, number_of(payload)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn unacked_frames_are_sent_again_in_order_before_new_ones_6_1() {
    let net = Net::open();
    let sink = sink_over(&net, "delivery = \"at_least_once\"");
    for number in 1..=5 {
        sink.try_send(numbered(number)).unwrap();
    }
    let mut first = bounded(net.greet()).await;
    for _ in 0..5 {
        bounded(first.data()).await.unwrap();
    }
    first.ack(2);
    settle().await;
    drop(first);
    settle().await;
    sink.try_send(numbered(6)).unwrap();
    let mut second = bounded(net.accept()).await;
    second.greet_with(2).await;
    assert_eq!(second.hello.first, 3, "it says where it begins");
    assert!(second.hello.acks && second.hello.resends);
    assert_eq!(
        received(&second.rest().await),
        [(3, 3), (4, 4), (5, 5), (6, 6)]
    );
    second.ack(6);
    bounded(sink.flush()).await.unwrap();
    let ledger = ledger(&sink);
    assert_eq!((ledger.done, ledger.unknown), (6, 0), "{ledger:?}");
}

#[tokio::test(start_paused = true)]
async fn the_welcome_says_what_need_not_be_sent_again_6_1() {
    let net = Net::open();
    let sink = sink_over(&net, "delivery = \"at_least_once\"");
    for number in 1..=4 {
        sink.try_send(numbered(number)).unwrap();
    }
    let mut first = bounded(net.greet()).await;
    for _ in 0..4 {
        bounded(first.data()).await.unwrap();
    }
    // The acks are lost with the connection.
    drop(first);
    let mut second = bounded(net.accept()).await;
    second.greet_with(3).await;
    assert_eq!(received(&second.rest().await), [(4, 4)]);
    assert_eq!(ledger(&sink).done, 3);
}

/// An ack that comes while the next message is being written, by one who then goes, counts.
#[tokio::test(start_paused = true)]
async fn what_a_peer_acked_before_it_went_is_not_sent_again_6_1() {
    let net = Net::new(|_| {
        Answer::Connect(Rules {
            cut: true,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, "delivery = \"at_least_once\"");
    sink.try_send(numbered(1)).unwrap();
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    let mut ack = Vec::new();
    sink_runtime::frame::ack(&mut ack, 1);
    let control = peer.control.clone().unwrap();
    control.leave_saying(std::sync::Arc::clone(&peer.wire), ack);
    // More than is written on the spot.
    for number in 2..2_000 {
        sink.try_send(numbered(number)).unwrap();
    }
    let mut peer = bounded(net.greet()).await;
    assert_eq!(peer.hello.first, 2);
    assert_eq!(bounded(peer.data()).await.unwrap().0, 2);
    ledger(&sink);
}

/// What a consumer handed up and then leaves, its successor does not get again; what it did not, it does.
#[tokio::test]
async fn a_consumer_that_leaves_acks_what_it_handed_up_6_1() {
    const SENT: u64 = 40;
    for (closes, drains) in [(false, false), (true, false), (true, true)] {
        let (_directory, endpoint) = socket();
        let registry = registry_at(
            &endpoint,
            "delivery = \"at_least_once\"\nreconnect_delay_ms = 5",
        );
        let sink = registry.sink::<Message>("orders").unwrap();
        for number in 1..=SENT {
            sink.send(numbered(number)).await.unwrap();
        }
        let mut source = registry.source::<Message>("orders").unwrap();
        let mut handed = 0;
        while handed < SENT / 2 {
            let next = bounded(source.recv()).await.unwrap().unwrap();
            handed = number_of(next.payload());
        }
        if closes {
            source.close();
        }
        if drains {
            while let Some(next) = bounded(source.recv()).await {
                handed = number_of(next.unwrap().payload());
            }
            assert_eq!(handed, SENT, "all was read before");
            sink.send(numbered(SENT + 1)).await.unwrap();
        }
        drop(source);
        let mut source = registry.source::<Message>("orders").unwrap();
        // The address is free once the tasks of the one before have ended.
        while bounded(source.start()).await.is_err() {}
        let next = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(next.payload()), handed + 1, "{closes} {drains}");
        drop(source);
        ledger(&sink);
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_once_sends_nothing_twice_6_1() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    for number in 1..=3 {
        sink.try_send(numbered(number)).unwrap();
    }
    let mut first = bounded(net.greet()).await;
    for _ in 0..3 {
        bounded(first.data()).await.unwrap();
    }
    drop(first);
    settle().await;
    sink.try_send(numbered(4)).unwrap();
    let mut second = bounded(net.greet()).await;
    assert_eq!(second.hello.first, 4);
    assert!(!second.hello.resends);
    assert_eq!(received(&second.rest().await), [(4, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_never_reaches_a_level_it_does_not_ask_for_6_1() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    let receipt = sink.try_send(numbered(1)).unwrap();
    let lost = bounded(sink.settled(receipt, Level::Acked))
        .await
        .unwrap_err();
    assert!(
        matches!(
            lost,
            Lost::Unreachable {
                highest: Level::Written,
                ..
            }
        ),
        "{lost}"
    );
    let other = sink_over(&net, "");
    let lost = bounded(other.settled(receipt, Level::Written))
        .await
        .unwrap_err();
    assert!(
        matches!(lost, Lost::Unknown { .. }),
        "another sink's receipt: {lost}"
    );
}

#[tokio::test]
async fn duplicates_are_removed_at_the_source_and_told_to_the_producer_6_1() {
    // The producer's wire breaks again and again; the source is slow to take what came.
    let (_directory, endpoint) = socket();
    let registry = registry_at(
        &endpoint,
        "delivery = \"at_least_once\"\nreconnect_delay_ms = 1\nreconnect_max_delay_ms = 5",
    );
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let path = endpoint.trim_start_matches("unix://").to_owned();
    let net = Net::new(move |attempt| {
        Answer::Connect(Rules {
            budget: 400 + attempt * 300,
            cut: true,
            ..Rules::default()
        })
    });
    // Between them: what the sink writes is copied to a real connection of the source.
    let bridge = tokio::spawn(bridge(Arc::clone(&net), path));
    let sink = registry_over(
        &net,
        "delivery = \"at_least_once\"\nreconnect_delay_ms = 1\nreconnect_max_delay_ms = 5",
    )
    .sink::<Message>("orders")
    .unwrap();
    for number in 0..200 {
        bounded(sink.send(numbered(number))).await.unwrap();
    }
    // Before anything is handed up, the connections follow one another.
    until(|| net.dials() > 3).await;
    for expected in 0..200 {
        let delivery = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(delivery.payload()), expected);
        assert!(delivery.gap().is_none(), "{:?}", delivery.gap());
    }
    // What comes again is passed over while we wait for more; its producer must hear that it was taken.
    let passing = tokio::spawn(async move {
        let _ = tokio::time::timeout(Duration::from_secs(20), source.recv()).await;
        source
    });
    bounded(sink.flush()).await.unwrap();
    assert!(net.dials() > 3, "{} connections", net.dials());
    assert_eq!(ledger(&sink).done, 200);
    passing.abort();
    bridge.abort();
}

#[tokio::test]
async fn who_sends_again_what_was_taken_from_an_earlier_connection_is_told_so_6_1() {
    use sink_runtime::frame::{self, Hello, Kind, ProducerId};
    use sink_runtime::transport::{Dial, Endpoint, SystemDial, Target};
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "delivery = \"at_least_once\"");
    let mut source = registry.source::<Message>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let path = endpoint.trim_start_matches("unix://").to_owned();
    let target = Target::new(Endpoint::Unix(path));
    let mut hello = Vec::new();
    Hello {
        service: "orders".into(),
        acks: true,
        resends: true,
        producer: ProducerId { id: 7, epoch: 7 },
        first: 1,
        codec: "raw".into(),
        max_frame_bytes: 1 << 20,
        ..Hello::default()
    }
    .encode(&mut hello);
    let mut frames = Vec::new();
    for number in 1..=3u64 {
        let at = frames.len();
        frame::begin_data(&mut frames, 0, number);
        frames.extend_from_slice(&number.to_le_bytes());
        frame::finish(&mut frames, at, 0);
    }
    // Both connections carry all three before the first is handed up: no ack can reach the first any more.
    let mut last = None;
    for _ in 0..2 {
        let mut peer = Peer::new(SystemDial.dial(&target).await.unwrap());
        peer.wire.try_write(&hello).unwrap();
        let welcome = frame::Welcome::decode(&bounded(peer.frame()).await.unwrap()).unwrap();
        assert_eq!(welcome.acked, 0);
        peer.wire.try_write(&frames).unwrap();
        last = Some(peer);
    }
    for expected in 1..=3 {
        let delivery = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(number_of(delivery.payload()), expected);
    }
    let mut peer = last.unwrap();
    let waiting = tokio::spawn(async move {
        let _ = source.recv().await;
    });
    loop {
        let frame = bounded(peer.frame()).await.expect("it is up");
        if frame[4] == Kind::Ack as u8 {
            assert_eq!(frame::number(&frame).unwrap(), 3);
            break;
        }
    }
    waiting.abort();
}

/// Copies each connection of `net` to a connection of the socket at `path`.
async fn bridge(net: Arc<Net>, path: String) {
    use sink_runtime::transport::{Dial, Endpoint, SystemDial, Target};
    loop {
        let near = net.accept().await.wire;
        let Ok(far) = SystemDial
            .dial(&Target::new(Endpoint::Unix(path.clone())))
            .await
        else {
            continue;
        };
        let one = tokio::spawn(copy(Arc::clone(&near), Arc::clone(&far)));
        tokio::spawn(async move {
            copy(far, near).await;
            one.abort();
        });
    }
}

async fn copy(
    from: Arc<dyn sink_runtime::transport::Wire>,
    to: Arc<dyn sink_runtime::transport::Wire>,
) {
    use std::future::poll_fn;
    let mut buffer = bytes::BytesMut::new();
    loop {
        buffer.reserve(4096);
        if poll_fn(|cx| from.poll_readable(cx)).await.is_err() {
            return;
        }
        match from.try_read(&mut buffer) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
        while !buffer.is_empty() {
            if poll_fn(|cx| to.poll_writable(cx)).await.is_err() {
                return;
            }
            match to.try_write(&buffer) {
                Ok(count) => {
                    let _ = buffer.split_to(count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

#[tokio::test]
async fn what_a_producer_dropped_is_a_gap_of_its_cause_6_1() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "buffer_size = 2\nwhen_full = \"drop_newest\"");
    let sink = registry.sink::<Message>("orders").unwrap();
    for number in 0..5 {
        sink.try_send(numbered(number)).unwrap();
    }
    let mut source = registry.source::<Message>("orders").unwrap();
    for expected in 0..2 {
        let delivery = bounded(source.recv()).await.unwrap().unwrap();
        assert_eq!(
            (number_of(delivery.payload()), delivery.sequence()),
            (expected, expected + 1)
        );
    }
    bounded(sink.flush()).await.unwrap();
    sink.try_send(numbered(5)).unwrap();
    let delivery = bounded(source.recv()).await.unwrap().unwrap();
    let gap = delivery.gap().expect("three are missing");
    assert_eq!(
        (gap.from, gap.to, gap.cause, gap.lost()),
        (3, 5, GapCause::Producer, 3)
    );
    assert_eq!(source.ledger().lost, 3);
}

#[tokio::test]
async fn the_guarantee_is_asked_for_by_name_6_2() {
    let net = Net::open();
    let error = sink_over(&net, "").at_least_once().unwrap_err();
    assert!(
        error.to_string().contains("`orders`") && error.to_string().contains("delivery"),
        "{error}"
    );
    let sink = sink_over(&net, "delivery = \"at_least_once\"")
        .at_least_once()
        .unwrap();
    fn needs(_: &(impl MessageSink<Message> + sink_runtime::AtLeastOnce)) {}
    needs(&sink);
}

macro_rules! shape {
    ($name:ident, $shape:literal, $print:literal, $accepts:expr) => {
        #[derive(Debug)]
        struct $name;
        impl MessageType for $name {
            const NAME: &'static str = "Tick";
            const SHAPE: &'static str = $shape;
            const FINGERPRINT: u64 = $print;
            const ACCEPTS: &'static [u64] = $accepts;
            fn encode(&self, _: Codec, _: &mut Vec<u8>) -> Result<(), EncodeError> {
                Ok(())
            }
            fn decode(_: Codec, _: Payload<'_>) -> Result<Self, DecodeError> {
                Ok(Self)
            }
        }
    };
}
shape!(Old, "Tick{price:u64,side:Side}", 0x1111, &[]);
shape!(New, "Tick{price:u128,side:Side,venue:u8}", 0x2222, &[]);
shape!(Lenient, "Tick{price:u128,side:Side}", 0x3333, &[0x1111]);

#[tokio::test]
async fn another_message_type_is_refused_naming_fingerprints_and_fields_6() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "message = \"crate::Tick\"");
    let mut source = registry.source::<New>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let sink = registry.sink::<Old>("orders").unwrap();
    let error = bounded(sink.connect()).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Refused { .. }) && error.is_permanent(),
        "{error}"
    );
    let text = error.to_string();
    for part in [
        "0x0000000000001111",
        "0x0000000000002222",
        "`price:u64`",
        "`price:u128`",
        "`venue:u8`",
        "accepts",
        "`orders`",
    ] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(!text.contains("side"), "side is the same in both: {text}");
}

/// One program's messages; a field's own type is what each of them makes of it.
macro_rules! program {
    ($name:ident { $($inner:item)* }) => {
        mod $name {
            $($inner)*

            #[derive(Debug, sink_runtime::Message)]
            #[message(serde)]
            pub(super) struct Order {
                pub(super) id: u64,
                pub(super) legs: Vec<Leg>,
                pub(super) price: Price,
            }
        }
    };
}
program!(first {
    pub(super) type Price = u32;
    #[derive(Debug, sink_runtime::Message)]
    #[message(serde)]
    pub(super) struct Leg { pub(super) bid: u8, pub(super) ask: u8 }
});
program!(same {
    pub(super) type Price = u32;
    #[derive(Debug, sink_runtime::Message)]
    #[message(serde)]
    pub(super) struct Leg { pub(super) bid: u8, pub(super) ask: u8 }
});
program!(swapped {
    pub(super) type Price = u32;
    #[derive(Debug, sink_runtime::Message)]
    #[message(serde)]
    pub(super) struct Leg { pub(super) ask: u8, pub(super) bid: u8 }
});
program!(signed {
    pub(super) type Price = i32;
    #[derive(Debug, sink_runtime::Message)]
    #[message(serde)]
    pub(super) struct Leg { pub(super) bid: u8, pub(super) ask: u8 }
});

/// What the types of fields hold is part of a message's shape, also where they are spelt alike.
#[tokio::test]
async fn a_message_whose_fields_types_differ_within_is_refused_naming_the_field_6() {
    assert_eq!(first::Order::SHAPE, same::Order::SHAPE);
    assert_eq!(first::Order::FINGERPRINT, same::Order::FINGERPRINT);
    for (told, differing) in [
        (
            told::<swapped::Order>().await,
            "`legs:Vec<Leg>` is spelt alike",
        ),
        (
            told::<signed::Order>().await,
            "`price:Price` is spelt alike",
        ),
    ] {
        assert!(told.contains(differing) && !told.contains("`id"), "{told}");
    }
}

/// What a sink is told that sends `first::Order` to a source of another.
async fn told<M: MessageType>() -> String {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "message = \"crate::Order\"");
    let mut source = registry.source::<M>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let sink = registry.sink::<first::Order>("orders").unwrap();
    bounded(sink.connect()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_older_type_is_admitted_where_the_newer_accepts_it_6() {
    let (_directory, endpoint) = socket();
    let registry = registry_at(&endpoint, "message = \"crate::Tick\"");
    let mut source = registry.source::<Lenient>("orders").unwrap();
    bounded(source.start()).await.unwrap();
    let sink = registry.sink::<Old>("orders").unwrap();
    bounded(sink.connect()).await.unwrap();
    assert!(matches!(sink.state(), SinkState::Ready));
}

#[tokio::test]
async fn one_name_with_two_types_is_refused_by_the_registry_6() {
    let registry = registry_at("inproc://two-types", "message = \"crate::Tick\"");
    let error = registry.sink::<Message>("orders").unwrap_err();
    for part in ["`orders`", "Tick", "Message"] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// With thousands of confirming senders an ack must not wake them all.
#[tokio::test(start_paused = true)]
async fn an_ack_wakes_those_it_concerns_1() {
    #[derive(Default)]
    struct Count(std::sync::atomic::AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let net = Net::open();
    let sink = sink_over(&net, "confirm = \"acked\"");
    let counts: Vec<_> = (0..10)
        .map(|_| std::sync::Arc::new(Count::default()))
        .collect();
    let mut sends: Vec<_> = (0..10)
        .map(|number| Box::pin(sink.send(numbered(number))))
        .collect();
    for (send, count) in sends.iter_mut().zip(&counts) {
        let waker = std::task::Waker::from(std::sync::Arc::clone(count));
        let mut context = std::task::Context::from_waker(&waker);
        assert!(send.as_mut().poll(&mut context).is_pending());
    }
    let mut peer = bounded(net.greet()).await;
    for _ in 0..10 {
        bounded(peer.data()).await.unwrap();
    }
    settle().await;
    let woken =
        |count: &std::sync::Arc<Count>| count.0.swap(0, std::sync::atomic::Ordering::Relaxed);
    for count in &counts {
        woken(count);
    }
    peer.ack(3);
    settle().await;
    let woken: Vec<_> = counts.iter().map(woken).collect();
    assert_eq!(woken[..3], [1, 1, 1]);
    // The one that looked last hears the bell, too.
    assert_eq!(woken[3..9], [0; 6]);
}

/// What a peer acked before it hung up is not sent again, also where we write before we read: the reactor has not seen its ack yet.
#[cfg(unix)]
#[tokio::test]
async fn an_ack_before_a_failed_write_is_heard_6_2() {
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    use sink_runtime::frame::{self, Hello, Kind, Welcome};

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let registry = registry_at(
        &format!("unix://{}", path.display()),
        "delivery = \"at_least_once\"\nreconnect_delay_ms = 10",
    );
    let sink = registry.sink::<Message>("orders").unwrap();
    let greet = async |acked| {
        let accepting = listener.try_clone().unwrap();
        let (stream, hello) = tokio::task::spawn_blocking(move || {
            let (mut stream, _) = accepting.accept().unwrap();
            let hello = Hello::decode(&frame_of(&mut stream)).unwrap();
            (stream, hello)
        })
        .await
        .unwrap();
        let mut out = Vec::new();
        Welcome {
            acked,
            max_frame_bytes: frame::MAX_FRAME_LIMIT,
            ..Welcome::default()
        }
        .encode(&mut out);
        (&stream).write_all(&out).unwrap();
        (stream, hello)
    };
    let receipt = sink.try_send(numbered(1)).unwrap();
    let (mut first, _) = greet(0).await;
    sink.settled(receipt, Level::Written).await.unwrap();
    // From here on the runtime is not run until the write has failed.
    while frame_of(&mut first)[4] != Kind::Data as u8 {}
    let mut ack = Vec::new();
    frame::ack(&mut ack, 1);
    first.write_all(&ack).unwrap();
    drop(first);
    sink.try_send(numbered(2)).unwrap();
    let (_second, hello) = greet(0).await;
    assert_eq!(hello.first, 2, "the first was acked");
}

/// Over TCP a socket that is closed with something unread takes back what it has not sent yet: a source's last ack could be that.
/// It says goodbye instead, and reads on until the producer hangs up.
#[tokio::test]
async fn a_source_that_goes_sees_its_producer_off_over_tcp_4_9() {
    use std::io::Write;
    use std::net::TcpStream;

    use sink_runtime::Endpoint;
    use sink_runtime::frame::{self, Kind};

    let registry = registry_at(
        "tcp://127.0.0.1:1",
        "bind = \"tcp://127.0.0.1:0\"\nbuffer_size = 1",
    );
    let mut source = registry.source::<Message>("orders").unwrap();
    let Endpoint::Tcp { host, port } = source.start().await.unwrap() else {
        panic!("it is bound to TCP");
    };
    let mut producer = TcpStream::connect((host.as_str(), port)).unwrap();
    let mut bytes = Vec::new();
    hello_of(1).encode(&mut bytes);
    for number in 1..=100 {
        bytes.extend(data_frame(number, &[0; 2000]));
    }
    producer.write_all(&bytes).unwrap();
    // One of a hundred is handed up, and most lie unread in the socket.
    assert_eq!(bounded(source.recv()).await.unwrap().unwrap().sequence(), 1);
    drop(source);
    let heard = tokio::task::spawn_blocking(move || {
        let mut heard = Vec::new();
        loop {
            let frame = frame_of(&mut producer);
            heard.push((frame[4], frame::number(&frame).ok()));
            if frame[4] == Kind::Bye as u8 {
                // It is still there, and takes what we had sent before we heard.
                producer.write_all(&data_frame(101, &[0; 2000])).unwrap();
                return heard;
            }
        }
    });
    let heard = bounded(heard).await.unwrap();
    let acked = (Kind::Ack as u8, Some(1));
    assert!(heard.contains(&acked), "{heard:?}");
}

/// Reads one frame, blocking.
fn frame_of(stream: &mut impl std::io::Read) -> Vec<u8> {
    let mut frame = vec![0; 4];
    stream.read_exact(&mut frame).unwrap();
    let length = u32::from_le_bytes(frame[..4].try_into().unwrap()) as usize;
    frame.resize(4 + length, 0);
    stream.read_exact(&mut frame[4..]).unwrap();
    frame
}
