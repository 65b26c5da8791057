//! §8 Close.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use sink_runtime::clock::{SplitMix, Surroundings, TokioClock};
use sink_runtime::transport::memory::{self, MemoryWire};
use sink_runtime::transport::{BoxFuture, Dial, Target, Wire};
use sink_runtime::{Message, MessageSink, Outcome, ServiceRegistry};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_sink_that_never_connected_closes_without_io_8_1() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    let report = bounded(sink.close(SECOND)).await;
    assert!(report.is_clean());
    assert_eq!(sink.state().name(), "closed");
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(net.dials(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_the_attempt_under_way_8_1() {
    for messages in [0, 1] {
        let go = Arc::new(Notify::new());
        let answer = Arc::clone(&go);
        let net = Net::new(move |_| Answer::When(Arc::clone(&answer)));
        let sink = sink_over(&net, "connect_timeout_ms = 60000");
        assert!(poll_once(sink.connect()).is_none());
        for number in 0..messages {
            sink.try_send(numbered(number)).unwrap();
        }
        settle().await;
        let (dialing, begun) = (Arc::strong_count(&go), Instant::now());
        let report = bounded(sink.close(SECOND)).await;
        assert_eq!(report.undelivered.len() as u64, messages);
        // With messages it is worth waiting for until the deadline, and no longer.
        assert_eq!(begun.elapsed().as_secs(), messages);
        settle().await;
        assert_eq!(Arc::strong_count(&go), dialing - 1, "nobody dials");
    }
}

#[tokio::test(start_paused = true)]
async fn close_flushes_waits_for_acks_and_says_goodbye_8_1() {
    let net = Net::open();
    let sink = sink_over(&net, "delivery = \"at_least_once\"");
    for number in 0..3 {
        sink.try_send(numbered(number)).unwrap();
    }
    let closing = tokio::spawn({
        let sink = sink.clone();
        async move { sink.close(30 * SECOND).await }
    });
    let mut peer = bounded(net.greet()).await;
    for _ in 0..3 {
        bounded(peer.data()).await.unwrap();
    }
    settle().await;
    assert!(!closing.is_finished(), "the acks are due");
    assert_eq!(sink.state().name(), "draining");
    let error = sink.try_send(numbered(9)).unwrap_err();
    assert!(error.is_closed() && error.outcome() == Outcome::NotSent);
    peer.ack(3);
    let report = bounded(closing).await.unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.ledger.done, report.ledger.returned.closed), (3, 1));
    assert!(report.ledger.is_balanced());
    let bye = bounded(peer.frame()).await.expect("a goodbye");
    assert_eq!(bye[4], sink_runtime::frame::Kind::Bye as u8);
    assert!(bounded(peer.frame()).await.is_none());
    assert_eq!(sink.state().name(), "closed");
}

#[tokio::test(start_paused = true)]
async fn what_is_undelivered_at_the_deadline_is_in_the_report_8_1() {
    let net = Net::new(|_| Answer::Refuse(std::io::ErrorKind::NotFound));
    let sink = sink_over(&net, "");
    for number in 0..4 {
        sink.try_send(numbered(number).with_correlation_id(7))
            .unwrap();
    }
    sink.try_send(Message::new(vec![4; 100_000])).unwrap();
    let before = Instant::now();
    let report = bounded(sink.close(5 * SECOND)).await;
    assert!(
        before.elapsed() < 5 * SECOND + Duration::from_millis(5),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(report.undelivered.len(), 5);
    assert!(
        report.ledger.is_balanced() && report.ledger.dropped.closed == 5,
        "{:?}",
        report.ledger
    );
    let other = Net::open();
    let resend = sink_over(&other, "");
    for (number, message) in report.undelivered.iter().enumerate() {
        assert_eq!(message.service(), "orders");
        assert_eq!(message.sequence(), number as u64 + 1);
        assert!(!message.may_have_arrived());
        let decoded = message.decode::<Message>().unwrap();
        if number < 4 {
            assert_eq!(number_of(decoded.payload()), number as u64);
            assert_eq!(decoded.metadata().correlation_id, Some(7));
        } else {
            assert_eq!(decoded.payload().as_ref(), &[4; 100_000][..]);
        }
        bounded(message.resend::<Message, _>(&resend))
            .await
            .unwrap();
    }
    assert_eq!(ledger(&resend).buffered, 5);
    let again = bounded(sink.close(SECOND)).await;
    assert!(again.is_clean(), "closing twice tells nothing twice");
    assert_eq!(again.ledger, report.ledger);
}

#[tokio::test(start_paused = true)]
async fn what_was_on_the_wire_at_the_deadline_may_have_arrived_8_1() {
    let net = Net::open();
    let sink = sink_over(&net, "delivery = \"at_least_once\"");
    sink.try_send(numbered(0)).unwrap();
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    let report = bounded(sink.close(SECOND)).await;
    assert_eq!(report.undelivered.len(), 1);
    assert!(report.undelivered[0].may_have_arrived());
    assert_eq!(report.ledger.unknown, 1);
    assert!(report.ledger.is_balanced());
}

#[tokio::test(start_paused = true)]
async fn senders_that_wait_are_let_in_or_turned_away_by_a_close_8_1() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "buffer_size = 1");
    sink.try_send(numbered(0)).unwrap();
    let waiting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(1)).await }
    });
    settle().await;
    let report = bounded(sink.close(SECOND)).await;
    let error = bounded(waiting).await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
    assert_eq!(number_of(error.into_message().unwrap().payload()), 1);
    assert_eq!(report.undelivered.len(), 1);
    let ledger = ledger(&sink);
    assert_eq!(
        (ledger.returned.closed, ledger.dropped.closed),
        (1, 1),
        "{ledger:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_confirming_sender_learns_that_the_sink_was_closed_8_1() {
    let net = Net::new(|_| Answer::Hang);
    let sink = sink_over(&net, "confirm = \"written\"");
    let waiting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.send(numbered(1)).await }
    });
    settle().await;
    bounded(sink.close(SECOND)).await;
    let error = bounded(waiting).await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn connect_opens_a_closed_sink_again_8_1() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    bounded(sink.close(SECOND)).await;
    assert!(sink.try_send(numbered(0)).unwrap_err().is_closed());
    let connecting = tokio::spawn({
        let sink = sink.clone();
        async move { sink.connect().await }
    });
    let mut peer = bounded(net.greet()).await;
    bounded(connecting).await.unwrap().unwrap();
    sink.try_send(numbered(1)).unwrap();
    assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 1);
    let report = bounded(sink.close(SECOND)).await;
    assert!(
        report.is_clean() && report.ledger.is_balanced(),
        "{:?}",
        report.ledger
    );
}

#[tokio::test(start_paused = true)]
async fn close_is_bounded_with_a_peer_that_does_not_read_8_1() {
    let net = Net::new(|_| {
        Answer::Connect(Rules {
            capacity: 2000,
            ..Rules::default()
        })
    });
    let sink = sink_over(&net, "");
    for number in 0..1000 {
        sink.try_send(numbered(number)).unwrap();
    }
    let _deaf = bounded(net.greet()).await;
    settle().await;
    let before = Instant::now();
    let report = bounded(sink.close(3 * SECOND)).await;
    assert!(before.elapsed() < 3 * SECOND + Duration::from_millis(5));
    assert!(!report.is_clean());
    let torn: Vec<_> = report
        .undelivered
        .iter()
        .filter(|one| one.may_have_arrived())
        .collect();
    assert!(torn.len() <= 1, "one frame at most is half on the wire");
    assert!(report.ledger.is_balanced(), "{:?}", report.ledger);
}

#[tokio::test(start_paused = true)]
#[cfg_attr(miri, ignore = "miri knows no sockets of this kind")]
async fn close_all_closes_every_link_within_one_deadline_8_2() {
    let registry = sink_runtime::ServiceRegistry::from_toml(
        "[services.a]\ntype = \"direct\"\nendpoint = \"unix:///run/user/0/nowhere/a.sock\"\n\
         [services.b]\ntype = \"direct\"\nendpoint = \"unix:///run/user/0/nowhere/b.sock\"\n\
         [services.c]\ntype = \"direct\"\nendpoint = \"unix:///run/user/0/nowhere/c.sock\"\n",
    )
    .unwrap();
    let registry = std::sync::Arc::new(registry);
    for name in ["a", "b"] {
        let sink = registry.sink::<Message>(name).unwrap();
        sink.try_send(numbered(1)).unwrap();
    }
    let before = Instant::now();
    let reports = bounded(registry.close_all(2 * SECOND)).await;
    assert!(
        before.elapsed() < 2 * SECOND + Duration::from_millis(5),
        "all at once: {:?}",
        before.elapsed()
    );
    let names: Vec<_> = reports
        .iter()
        .map(|report| (&*report.service, report.undelivered.len()))
        .collect();
    assert_eq!(names, [("a", 1), ("b", 1)], "c was never used");
}

#[tokio::test(start_paused = true)]
async fn dropping_without_close_does_not_block_and_still_writes_what_it_can_8_2() {
    let net = Net::open();
    {
        let sink = sink_over(&net, "");
        for number in 0..3 {
            sink.try_send(numbered(number)).unwrap();
        }
    }
    let mut peer = bounded(net.greet()).await;
    let all: Vec<_> = peer
        .rest()
        .await
        .iter()
        .map(|(_, payload)| number_of(payload))
        .collect();
    assert_eq!(all, [0, 1, 2]);
    assert!(
        bounded(peer.frame()).await.is_none(),
        "and the connection ends"
    );
}

#[tokio::test(start_paused = true)]
async fn a_close_ends_with_the_last_ack_whoever_reads_it_8_1() {
    for close in [true, false] {
        let net = Net::open();
        let sink = sink_over(&net, "confirm = \"acked\"");
        let sending = tokio::spawn({
            let sink = sink.clone();
            async move { sink.send(numbered(0)).await }
        });
        let mut peer = bounded(net.greet()).await;
        bounded(peer.data()).await.unwrap();
        settle().await;
        let ending = tokio::spawn({
            let sink = sink.clone();
            async move {
                if close {
                    assert!(sink.close(60 * SECOND).await.is_clean());
                } else {
                    sink.disconnect().await.unwrap();
                }
            }
        });
        settle().await;
        let before = Instant::now();
        peer.ack(1);
        bounded(sending).await.unwrap().unwrap();
        bounded(ending).await.unwrap();
        assert!(before.elapsed() < SECOND, "{:?}", before.elapsed());
    }
}

/// Over TCP, whoever closes while the peer still says something loses what the kernel had not sent: so the goodbye waits to be read.
#[tokio::test]
#[cfg_attr(miri, ignore = "miri knows no sockets of this kind")]
async fn a_close_over_tcp_waits_for_a_slow_reader_to_hear_the_goodbye_8_1() {
    const COUNT: u64 = 20_000;
    let receiving = registry_at(
        "tcp://127.0.0.1:1",
        "bind = \"tcp://127.0.0.1:0\"\nbuffer_size = 10",
    );
    let mut source = receiving.source::<Message>("orders").unwrap();
    let local = bounded(source.start()).await.unwrap().to_string();
    let sending = registry_at(&local, "buffer_size = 20000");
    let sink = sending.sink::<Message>("orders").unwrap();
    for number in 0..COUNT {
        sink.try_send(numbered(number)).unwrap();
    }
    bounded(sink.flush()).await.unwrap();
    let mut closing = Box::pin(sink.close(30 * SECOND));
    // Once the goodbye is written there is nothing more that this end could do; the other has read ten messages and a chunk.
    for _ in 0..5_000 {
        assert!(poll_once(&mut closing).is_none(), "it is closed");
        tokio::task::yield_now().await;
    }
    let receiving = async {
        for number in 0..COUNT {
            let delivery = bounded(source.recv()).await.expect("it is open").unwrap();
            assert_eq!(number_of(delivery.payload()), number);
        }
        // Nobody reads a goodbye who does not ask for more.
        source.recv().await
    };
    tokio::select! {
        more = receiving => panic!("{more:?}"),
        report = bounded(&mut closing) => {
            assert!(report.is_clean(), "{report}");
            assert_eq!(report.ledger.done, COUNT);
        }
    }
}

/// A drop behind the last message is told before the goodbye: no heartbeat comes after it.
#[tokio::test(start_paused = true)]
async fn a_goodbye_tells_of_what_was_dropped_last_8_1() {
    let net = Net::open();
    let sink = sink_over(&net, "buffer_size = 2\nwhen_full = \"drop_newest\"");
    for number in 0..5 {
        sink.try_send(numbered(number)).unwrap();
    }
    let closing = tokio::spawn({
        let sink = sink.clone();
        async move { sink.close(30 * SECOND).await }
    });
    let mut peer = bounded(net.greet()).await;
    for _ in 0..2 {
        bounded(peer.data()).await.unwrap();
    }
    let told = bounded(peer.frame()).await.expect("a heartbeat");
    assert_eq!(told[4], sink_runtime::frame::Kind::Heartbeat as u8);
    assert_eq!(sink_runtime::frame::number(&told).unwrap(), 5);
    let bye = bounded(peer.frame()).await.expect("a goodbye");
    assert_eq!(bye[4], sink_runtime::frame::Kind::Bye as u8);
    drop(peer);
    assert!(bounded(closing).await.unwrap().ledger.is_balanced());
}

/// A peer that hung up on an idle connection is dialed a moment later: no reason to give up what was accepted.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_peer_that_hung_up_is_sent_though_the_sink_is_dropped_8_2() {
    let net = Net::open();
    let registry = registry_with(&net, "", Arc::new(Always(u64::MAX)));
    let sink = registry.sink::<Message>("orders").unwrap();
    let (connected, peer) = bounded(async { tokio::join!(sink.connect(), net.greet()) }).await;
    connected.unwrap();
    drop(peer);
    settle().await;
    assert_eq!(sink.state().name(), "idle");
    sink.try_send(numbered(7)).unwrap();
    settle().await;
    assert_eq!(net.dials(), 1, "it is dialed after a delay");
    drop((sink, registry));
    let mut peer = bounded(net.greet()).await;
    assert_eq!(number_of(&bounded(peer.data()).await.unwrap().1), 7);
}

/// A wire whose long writes take until the test says so.
#[derive(Debug)]
struct Slow {
    wire: MemoryWire,
    begun: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Wire for Slow {
    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.wire.try_read(buffer)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > 16 * 1024 {
            self.begun.send(()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
        }
        self.wire.try_write(bytes)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_writable(cx)
    }
}

/// Its first connection is this one.
struct Once(Mutex<Option<Slow>>);

impl Dial for Once {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Arc<dyn Wire>>> {
        let wire = self.0.lock().unwrap().take();
        Box::pin(async move {
            let wire = wire.ok_or(io::ErrorKind::ConnectionRefused)?;
            Ok(Arc::new(wire) as Arc<dyn Wire>)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_given_up_while_a_write_is_under_way_closes_all_the_same_8_1() {
    let (wire, far) = memory::pair(memory::CAPACITY);
    let (begun, write_begun) = mpsc::channel();
    let (let_write, go) = mpsc::channel();
    let go = Mutex::new(go);
    let slow = Slow { wire, begun, go };
    let text = "[services.orders]\ntype = \"direct\"\nendpoint = \"unix:///run/user/0/sinks-test/orders.sock\"\n";
    let registry = ServiceRegistry::from_toml(text)
        .unwrap()
        .with_surroundings(Surroundings {
            clock: Arc::new(TokioClock),
            chance: Arc::new(SplitMix::new(1)),
            dial: Arc::new(Once(Mutex::new(Some(slow)))),
        });
    let sink = Arc::new(registry).sink::<Message>("orders").unwrap();
    sink.try_send(Message::from(vec![7; 20 * 1024])).unwrap();
    let mut peer = Peer::new(Arc::new(far));
    bounded(peer.greet()).await;
    write_begun.recv().unwrap();
    {
        let mut closing = std::pin::pin!(sink.close(Duration::ZERO));
        assert!(poll_once(closing.as_mut()).is_none());
    }
    let_write.send(()).unwrap();
    assert_eq!(bounded(peer.data()).await.unwrap().1.len(), 20 * 1024);
    let ends = async { while peer.frame().await.is_some() {} };
    let ended = tokio::time::timeout(5 * SECOND, ends).await;
    assert!(ended.is_ok(), "it is closed, and never hangs up");
    bounded(async {
        while sink.state().name() != "closed" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
