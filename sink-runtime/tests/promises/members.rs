//! What composites owe their members, and members their composite: room that is given back, copies that are counted once, and what
//! became of each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{
    DynMessageSink, DynSink, Failover, FanOut, Level, Lost, Members, Message, MessageSink,
    MessageType, Receipt, Ref, SendError, ServiceRegistry, SinkState, Source,
};
use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

/// A direct service within the process, under a name of the test's own.
fn inproc(name: &str, more: &str) -> Arc<ServiceRegistry> {
    registry_at(&format!("inproc://members-{name}"), more)
}

fn orders<M: MessageType>(registry: &Arc<ServiceRegistry>) -> DynSink<M> {
    registry.sink::<M>("orders").unwrap()
}

async fn bound(registry: &Arc<ServiceRegistry>) -> Source<Message> {
    let mut source = registry.source::<Message>("orders").unwrap();
    source.start().await.unwrap();
    source
}

/// All that is there.
fn take_all(source: &mut Source<Message>) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some(Some(Ok(delivery))) = poll_once(source.recv()) {
        all.push(number_of(delivery.payload()));
    }
    all
}

/// The one that waits, without letting any other task run.
fn take_one(source: &mut Source<Message>) -> u64 {
    let delivery = poll_once(source.recv()).unwrap().unwrap().unwrap();
    number_of(delivery.payload())
}

fn members<M: MessageType>(sinks: &[&DynSink<M>]) -> Members<M> {
    Members::new(sinks.iter().map(|sink| ((*sink).clone(), false)).collect())
}

fn all_of<M: MessageType>(sinks: &[&DynSink<M>]) -> FanOut<Members<M>> {
    FanOut::new(members(sinks))
}

/// A link in backoff, whose next attempt hangs.
async fn unreachable(more: &str) -> DynSink {
    let net = Net::new(|attempt| match attempt {
        0 => Answer::Refuse(std::io::ErrorKind::ConnectionRefused),
        _ => Answer::Hang,
    });
    let sink = sink_over(&net, more);
    assert!(bounded(sink.connect()).await.is_err());
    sink
}

// --- 7.3: room that was set aside is given back, whatever happens

/// Armed, it does not survive being encoded.
#[derive(Debug, serde::Serialize, serde::Deserialize, sink_runtime::Message)]
struct Bomb {
    #[serde(serialize_with = "unless_armed")]
    armed: bool,
}

fn unless_armed<S: serde::Serializer>(armed: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    assert!(!armed, "it goes off");
    serializer.serialize_bool(*armed)
}

/// A user's own sink that panics on number 0.
struct Fragile;

impl MessageSink for Fragile {
    fn send(
        &self,
        message: Message,
    ) -> impl Future<Output = Result<Receipt, SendError<Message>>> + Send {
        std::future::ready(self.try_send(message))
    }

    fn try_send(&self, message: Message) -> Result<Receipt, SendError<Message>> {
        assert_ne!(number_of(message.payload()), 0, "it breaks");
        Ok(Receipt::new(1, number_of(message.payload()), Level::Acked))
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_panics_when_it_is_encoded_leaves_no_room_set_aside_7_3() {
    let typed = "message = \"crate::Bomb\"\nbuffer_size = 1";
    let here = |name: &str| orders::<Bomb>(&inproc(name, typed));
    let link = registry_over(&Net::new(|_| Answer::Hang), typed).sink::<Bomb>("orders");
    let (first, second, third) = (here("bomb-1"), here("bomb-2"), here("bomb-3"));
    // In the one it goes off when room is set aside, in the other when the first takes it.
    for both in [
        all_of(&[&first, &link.unwrap()]),
        all_of(&[&second, &third]),
    ] {
        let nested = FanOut::new((Ref::Shared(Arc::new(both)),));
        let armed = catch_unwind(AssertUnwindSafe(|| nested.try_send(Bomb { armed: true })));
        assert!(armed.is_err(), "{armed:?}");
        nested.try_send(Bomb { armed: false }).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_of_another_make_that_panics_leaves_no_room_set_aside_7_3() {
    let sink = orders(&inproc("fragile", "buffer_size = 1"));
    let both = all_of(&[&sink, &DynSink::new(Fragile)]);
    let broken = catch_unwind(AssertUnwindSafe(|| both.try_send(numbered(0))));
    assert!(broken.is_err(), "{broken:?}");
    both.try_send(numbered(1)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_composite_that_is_a_member_twice_takes_what_it_set_aside_each_time_7_3() {
    let drops = orders(&inproc(
        "twice",
        "buffer_size = 1\nwhen_full = \"drop_newest\"",
    ));
    let inner = Arc::new(all_of(&[&drops]));
    let outer = FanOut::new((Ref::Shared(Arc::clone(&inner)), Ref::Shared(inner)));
    // There is room for one of the two copies.
    outer.try_send(numbered(1)).unwrap();
    let ledger = ledger(&drops);
    assert_eq!((ledger.in_flight, ledger.dropped.newest), (1, 1));
    assert_eq!(ledger.attempted, 2, "{ledger:?}");
}

// --- 5.2: what is counted, and where

#[tokio::test(start_paused = true)]
async fn a_member_drops_no_copy_of_what_is_given_back_5_2() {
    let drops = "buffer_size = 1\nwhen_full = \"drop_newest\"";
    let full = orders(&inproc("given-back", "buffer_size = 1"));
    full.try_send(numbered(0)).unwrap();
    for sink in [
        orders(&inproc("drops", drops)),
        sink_over(&Net::new(|_| Answer::Hang), drops),
    ] {
        sink.try_send(numbered(0)).unwrap();
        let before = ledger(&sink);
        let inner = FanOut::new(members(&[&sink]));
        let both = FanOut::new((sink.clone(), Ref::Shared(Arc::new(inner)), full.clone()));
        for number in 1..4 {
            assert!(both.try_send(numbered(number)).unwrap_err().is_full());
        }
        assert_eq!(ledger(&sink), before, "nobody has the message");
        // And one that goes to the others costs it one copy for each time that it is a member.
        let both = FanOut::new((sink.clone(), Failover::new(members(&[&sink]))));
        both.try_send(numbered(4)).unwrap();
        let after = ledger(&sink);
        assert_eq!(after.dropped.newest - before.dropped.newest, 2);
        assert!(after.is_balanced(), "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_every_member_dropped_is_not_done_5_2() {
    let drops = "buffer_size = 1\nwhen_full = \"drop_newest\"";
    let sink = orders(&inproc("all-dropped", drops));
    let all = all_of(&[&sink]);
    assert_eq!(all.try_send(numbered(0)).unwrap().level(), Level::Accepted);
    assert_eq!(all.try_send(numbered(1)).unwrap().level(), Level::Dropped);
    let ledger = all.ledger();
    assert_eq!((ledger.done, ledger.dropped.newest), (1, 1), "{ledger:?}");
    assert!(ledger.is_balanced(), "{ledger:?}");
}

#[tokio::test(start_paused = true)]
async fn who_only_waits_for_room_is_no_message_5_2() {
    let sink = orders(&inproc("ready", "buffer_size = 1"));
    sink.try_send(numbered(0)).unwrap();
    let before = ledger(&sink);
    let all = all_of(&[&sink]);
    let mut ready = Box::pin(sink.ready());
    let mut through = Box::pin(all.send(numbered(1)));
    assert!(poll_once(&mut ready).is_none());
    assert!(poll_once(&mut through).is_none());
    assert_eq!(ledger(&sink), before, "neither is a message of its");
    let mut send = Box::pin(sink.send(numbered(2)));
    assert!(poll_once(&mut send).is_none());
    assert_eq!((ledger(&sink).attempted, ledger(&sink).waiting), (2, 1));
}

// --- 5.1: what a receipt of a fan-out settles as

#[tokio::test(start_paused = true)]
async fn a_copy_that_a_member_dropped_does_not_settle_as_acked_5_1() {
    let drops = inproc("settles", "buffer_size = 1\nwhen_full = \"drop_oldest\"");
    let keeps = inproc("settles-too", "");
    let (a, b) = (orders(&drops), orders(&keeps));
    let inner = Arc::new(all_of(&[&a]));
    let both = FanOut::new((Ref::Shared(Arc::clone(&inner)), b.clone()));
    // The number that this one has in the inner fan-out is another's in the outer one.
    let direct = inner.try_send(numbered(0)).unwrap();
    let first = both.try_send(numbered(1)).unwrap();
    let second = both.try_send(numbered(2)).unwrap();
    let mut source = bound(&drops).await;
    assert_eq!(take_all(&mut source), [2]);
    assert_eq!(take_all(&mut bound(&keeps).await), [1, 2]);
    for lost in [
        bounded(inner.settled(direct, Level::Acked)).await,
        bounded(both.settled(first, Level::Acked)).await,
        bounded(both.settled(first, Level::Accepted)).await,
    ] {
        assert!(matches!(lost, Err(Lost::Dropped { .. })), "{lost:?}");
    }
    let acked = bounded(both.settled(second, Level::Acked)).await;
    assert_eq!(acked, Ok(Level::Acked));
}

#[tokio::test(start_paused = true)]
async fn what_is_merely_written_does_not_settle_as_acked_5_1() {
    let net = Net::open();
    let sink = sink_over(&net, "");
    let all = all_of(&[&sink]);
    let receipt = all.try_send(numbered(1)).unwrap();
    let mut peer = bounded(net.greet()).await;
    bounded(peer.data()).await.unwrap();
    let written = bounded(all.settled(receipt, Level::Written)).await;
    assert_eq!(written, Ok(Level::Written));
    let acked = bounded(all.settled(receipt, Level::Acked)).await;
    assert!(matches!(acked, Err(Lost::Unreachable { .. })), "{acked:?}");
}

#[tokio::test(start_paused = true)]
async fn behind_its_horizon_a_fan_out_does_not_know_5_1() {
    let registry = inproc("horizon", "buffer_size = 60000");
    let sink = orders(&registry);
    let mut source = bound(&registry).await;
    let all = all_of(&[&sink]);
    // Those that come one after the other are remembered as one, however many they are.
    let receipts: Vec<_> = (0..10_000)
        .map(|number| all.try_send(numbered(number)).unwrap())
        .collect();
    assert_eq!(take_all(&mut source).len(), 10_000);
    for at in [0, 9_999] {
        let level = bounded(all.settled(receipts[at], Level::Acked)).await;
        assert_eq!(level, Ok(Level::Acked));
    }
    // With others' in between they are not.
    let receipts: Vec<_> = (0..10_000)
        .map(|number| {
            sink.try_send(numbered(number)).unwrap();
            all.try_send(numbered(number)).unwrap()
        })
        .collect();
    assert_eq!(take_all(&mut source).len(), 20_000);
    let old = bounded(all.settled(receipts[0], Level::Acked)).await;
    assert!(matches!(old, Err(Lost::Unknown { .. })), "{old:?}");
    let new = bounded(all.settled(receipts[9_999], Level::Acked)).await;
    assert_eq!(new, Ok(Level::Acked));
}

#[tokio::test(start_paused = true)]
async fn a_confirming_send_waits_for_its_own_message_and_no_other_5_1() {
    // What the first member holds was never this fan-out's.
    let confirms = "confirm = \"written\"";
    let (stuck, net) = (unreachable("").await, Net::open());
    let reached = sink_over(&net, confirms);
    stuck.try_send(numbered(0)).unwrap();
    let either = Arc::new(Failover::new(members(&[&stuck, &reached])));
    let all = FanOut::new((Ref::Shared(either),));
    let (sent, _peer) = bounded(async { tokio::join!(all.send(numbered(1)), net.greet()) }).await;
    sent.unwrap();
    // And a copy that was dropped is not confirmed.
    let drops = "buffer_size = 1\nwhen_full = \"drop_newest\"\nconfirm = \"acked\"";
    let full = orders(&inproc("confirms", drops));
    full.try_send(numbered(0)).unwrap();
    let sent = bounded(all_of(&[&full]).send(numbered(1))).await;
    assert!(sent.is_err(), "{sent:?}");
}

// --- 8.1: closed and opened again

#[tokio::test(start_paused = true)]
async fn connect_opens_every_member_of_a_failover_again_8_1() {
    let (net_a, net_b) = (Net::open(), Net::open());
    let (a, b) = (sink_over(&net_a, ""), sink_over(&net_b, ""));
    let either = Failover::new(members(&[&a, &b]));
    assert!(bounded(either.close(SECOND)).await.is_clean());
    let (connected, _peer) = bounded(async { tokio::join!(either.connect(), net_a.greet()) }).await;
    connected.unwrap();
    let state = b.state();
    assert!(
        !matches!(state, SinkState::Closed),
        "nothing can fail over to it"
    );
}

#[tokio::test(start_paused = true)]
async fn an_optional_member_does_not_keep_the_others_closed_8_1() {
    let (optional, net) = (unreachable("").await, Net::open());
    let sink = sink_over(&net, "");
    let both = FanOut::new(Members::new(vec![(optional, true), (sink.clone(), false)]));
    assert!(bounded(both.close(SECOND)).await.is_clean());
    let before = Instant::now();
    let (connected, _peer) = bounded(async { tokio::join!(both.connect(), net.greet()) }).await;
    connected.unwrap();
    assert!(before.elapsed() < SECOND, "{:?}", before.elapsed());
    assert!(sink.is_connected());
}

#[tokio::test(start_paused = true)]
async fn close_refuses_what_comes_whichever_member_it_would_go_to_8_1() {
    let (stuck, roomy) = (unreachable("").await, orders(&inproc("closing", "")));
    stuck.try_send(numbered(0)).unwrap();
    let either = Failover::new(members(&[&stuck, &roomy]));
    let mut closing = Box::pin(either.close(SECOND));
    assert!(poll_once(&mut closing).is_none());
    let refused = either.try_send(numbered(1)).unwrap_err();
    assert!(refused.is_closed(), "{refused}");
    assert_eq!(bounded(closing).await.undelivered.len(), 1);
}

// --- 2.3: one bound for all members together

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_all_members_together_as_long_as_for_one_2_3() {
    let once = "send_timeout_ms = 1000";
    let (taken, stuck) = (inproc("flush-taken", once), inproc("flush-stuck", once));
    let (a, b) = (orders(&taken), orders(&stuck));
    let mut source = bound(&taken).await;
    let both = Arc::new(all_of(&[&a, &b]));
    let either = Arc::new(Failover::new(members(&[&a, &b])));
    for is_fan_out in [true, false] {
        both.try_send(numbered(1)).unwrap();
        let before = Instant::now();
        let (both, either) = (Arc::clone(&both), Arc::clone(&either));
        let flushing = tokio::spawn(async move {
            match is_fan_out {
                true => both.flush().await,
                false => either.flush().await,
            }
        });
        settle().await;
        tokio::time::advance(9 * SECOND / 10).await;
        take_all(&mut source);
        assert!(bounded(flushing).await.unwrap().is_err());
        assert_eq!(before.elapsed().as_millis() / 10, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn disconnect_reaches_every_member_though_one_fails_2_10() {
    let stuck = unreachable("send_timeout_ms = 1000").await;
    stuck.try_send(numbered(0)).unwrap();
    let net = Net::open();
    let sink = sink_over(&net, "");
    let (connected, mut peer) = bounded(async { tokio::join!(sink.connect(), net.greet()) }).await;
    connected.unwrap();
    let both = all_of(&[&stuck, &sink]);
    let (failed, _) = bounded(async { tokio::join!(both.disconnect(), peer.rest()) }).await;
    assert!(failed.is_err(), "what the first holds was not written");
    assert!(!sink.is_connected());
}

// --- 8.1: a close without bound

#[tokio::test(start_paused = true)]
async fn close_may_wait_for_ever_8_1() {
    let (registry, net) = (inproc("close-for-ever", ""), Net::open());
    let (here, link) = (orders(&registry), sink_over(&net, ""));
    let both = all_of(&[&here, &link]);
    both.try_send(numbered(1)).unwrap();
    let mut closing = Box::pin(both.close(Duration::MAX));
    assert!(poll_once(&mut closing).is_none());
    let (report, _, taken) = bounded(async {
        tokio::join!(
            closing,
            async {
                let mut peer = net.greet().await;
                peer.rest().await
            },
            async { take_all(&mut bound(&registry).await) }
        )
    })
    .await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(taken, [1]);
}

// --- 4.5: those who wait at a member, and those who wait for it through a composite

#[tokio::test(start_paused = true)]
async fn a_fan_out_does_not_overtake_another_that_waits_4_5() {
    let registry = inproc("another", "buffer_size = 1");
    let mut source = bound(&registry).await;
    let sink = orders(&registry);
    let inner = Arc::new(all_of(&[&sink]));
    let (outer, other) = (
        FanOut::new((Ref::Shared(Arc::clone(&inner)),)),
        all_of(&[&sink]),
    );
    sink.try_send(numbered(0)).unwrap();
    let mut first = inner.send_boxed(numbered(1));
    let mut second = outer.send_boxed(numbered(2));
    let mut third = other.send_boxed(numbered(3));
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(poll_once(waiting).is_none());
    }
    for (next, waiting) in [first, second, third].iter_mut().enumerate() {
        assert_eq!(take_one(&mut source), next as u64);
        for fan_out in [&outer as &dyn DynMessageSink<Message>, &*inner, &other] {
            let refused = fan_out.try_send_dyn(numbered(9)).unwrap_err();
            assert!(refused.is_full(), "{refused}");
        }
        assert!(poll_once(waiting).is_some(), "{next}");
    }
    assert_eq!(take_one(&mut source), 3);
    outer.try_send(numbered(4)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_no_message_waits_none_is_turned_away_for_one_4_5() {
    for policy in ["drop_newest", "reject"] {
        let more = format!("buffer_size = 1\nwhen_full = \"{policy}\"");
        let registry = inproc(policy, &more);
        let mut source = bound(&registry).await;
        let sink = orders(&registry);
        let all = all_of(&[&sink]);
        sink.try_send(numbered(0)).unwrap();
        // It waits to be told of room, and is not polled again.
        let mut ready = Box::pin(sink.ready());
        assert!(poll_once(&mut ready).is_none());
        assert_eq!(take_one(&mut source), 0);
        let receipt = sink.try_send(numbered(1)).unwrap();
        assert_eq!(receipt.level(), Level::Accepted);
        assert_eq!(take_one(&mut source), 1);
        let receipt = all.try_send(numbered(2)).unwrap();
        assert_eq!(receipt.level(), Level::Accepted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_takes_its_turn_among_those_who_wait_at_its_member_4_5() {
    let registry = inproc("in-turn", "buffer_size = 1");
    let mut source = bound(&registry).await;
    let sink = orders(&registry);
    let all = all_of(&[&sink]);
    sink.try_send(numbered(0)).unwrap();
    let mut first = Box::pin(sink.send(numbered(1)));
    assert!(poll_once(&mut first).is_none());
    // There is room, and who was told of it has not looked yet.
    assert_eq!(take_one(&mut source), 0);
    let refused = all.try_send(numbered(9)).unwrap_err();
    assert!(refused.is_full(), "{refused}");
    assert!(poll_once(&mut first).is_some());
    let mut second = Box::pin(all.send(numbered(2)));
    let mut third = Box::pin(sink.send(numbered(3)));
    let mut ready = Box::pin(sink.ready());
    assert!(poll_once(&mut second).is_none());
    assert!(poll_once(&mut third).is_none());
    assert!(poll_once(&mut ready).is_none());
    assert_eq!(take_one(&mut source), 1);
    assert!(poll_once(&mut second).is_some(), "it is its turn");
    assert!(poll_once(&mut third).is_none());
    assert_eq!(take_one(&mut source), 2);
    assert!(poll_once(&mut third).is_some());
    assert_eq!(take_one(&mut source), 3);
    assert!(poll_once(&mut ready).is_some());
}

/// However many wait, and whoever of them runs first when a place becomes free.
#[tokio::test]
async fn those_who_wait_within_the_process_are_served_in_turn_4_5() {
    for (size, senders) in [(1, 3), (1, 4), (2, 8), (3, 12), (4, 16), (16, 64)] {
        let name = format!("turns-{size}-{senders}");
        let registry = inproc(&name, &format!("buffer_size = {size}"));
        let mut source = bound(&registry).await;
        for sender in 0..senders {
            let sink = orders(&registry);
            tokio::spawn(async move { while sink.send(numbered(sender)).await.is_ok() {} });
        }
        let receiving = tokio::spawn(async move {
            let mut served = vec![0u64; senders as usize];
            for _ in 0..50 * senders {
                let next = source.recv().await.unwrap().unwrap();
                served[number_of(next.payload()) as usize] += 1;
            }
            served
        });
        let served = receiving.await.unwrap();
        let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
        // Those that stood first had the buffer to themselves.
        assert!(
            most - least <= size + 2,
            "buffer {size}, {senders} senders: {served:?}"
        );
        orders::<Message>(&registry).close(Duration::ZERO).await;
    }
}
