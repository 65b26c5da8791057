//! Sinks of sinks: who waits, how long, what is counted, and who answers for a receipt.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sink_runtime::testing::Recording;
use sink_runtime::{
    DynMessageSink, DynSink, Failover, FanOut, Ledger, Level, Lost, Members, Message, MessageSink,
    Outcome, Receipt, Ref, SendError, SendErrorKind, ServiceRegistry, Source,
};
use tokio::time::Instant;

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

/// A direct service within the process, under a name of the test's own.
fn inproc(name: &str, more: &str) -> Arc<ServiceRegistry> {
    registry_at(&format!("inproc://composites-{name}"), more)
}

fn orders(registry: &Arc<ServiceRegistry>) -> DynSink {
    registry.sink::<Message>("orders").unwrap()
}

/// A member that has room for one message, and that holds one.
fn full_member(name: &str) -> (DynSink, Arc<ServiceRegistry>) {
    let registry = inproc(name, "buffer_size = 1\nsend_timeout_ms = 1000");
    let sink = orders(&registry);
    sink.try_send(numbered(0)).unwrap();
    (sink, registry)
}

async fn bound(registry: &Arc<ServiceRegistry>) -> Source<Message> {
    let mut source = registry.source::<Message>("orders").unwrap();
    source.start().await.unwrap();
    source
}

/// Takes the one message that waits, without letting any other task run.
fn take(source: &mut Source<Message>) -> u64 {
    let delivery = poll_once(source.recv())
        .expect("one is there")
        .unwrap()
        .unwrap();
    number_of(delivery.payload())
}

fn all_of(sinks: &[&DynSink]) -> FanOut<Members<Message>> {
    let members = sinks.iter().map(|sink| ((*sink).clone(), false));
    FanOut::new(Members::new(members.collect()))
}

// --- 4.5 and 2.3: who waits for room, and how long

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_room_in_several_members_go_in_as_they_came_4_5() {
    let ((a, at_a), (b, at_b)) = (full_member("order-a"), full_member("order-b"));
    let (mut from_a, mut from_b) = (bound(&at_a).await, bound(&at_b).await);
    let both = Arc::new(all_of(&[&a, &b]));
    let send = |number| {
        let both = Arc::clone(&both);
        tokio::spawn(async move { both.send(numbered(number)).await.map(|_| ()) })
    };
    let first = send(1);
    settle().await;
    // There is room in one member now, and the first in line has not looked yet.
    take(&mut from_a);
    let mut second = Box::pin(both.send(numbered(2)));
    assert!(poll_once(&mut second).is_none());
    let refused = both.try_send(numbered(3)).unwrap_err();
    assert!(refused.is_full(), "{refused}");
    settle().await;
    take(&mut from_b);
    assert!(poll_once(&mut second).is_none(), "it overtakes");
    bounded(first).await.unwrap().unwrap();
    assert_eq!((take(&mut from_a), take(&mut from_b)), (1, 1));
    bounded(second).await.unwrap();
    assert_eq!((take(&mut from_a), take(&mut from_b)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_line_lets_the_next_look_4_5() {
    let (a, at_a) = full_member("leaves");
    let mut from_a = bound(&at_a).await;
    let both = Arc::new(all_of(&[&a]));
    let mut first = Box::pin(both.send(numbered(1)));
    assert!(poll_once(&mut first).is_none());
    let second = tokio::spawn({
        let both = Arc::clone(&both);
        async move { both.send(numbered(2)).await.map(|_| ()) }
    });
    settle().await;
    take(&mut from_a);
    settle().await;
    assert!(!second.is_finished());
    drop(first);
    let before = Instant::now();
    bounded(second).await.unwrap().unwrap();
    assert!(before.elapsed() < SECOND / 2, "{:?}", before.elapsed());
    assert_eq!(take(&mut from_a), 2);
}

#[tokio::test(start_paused = true)]
async fn a_send_waits_for_all_members_together_as_long_as_for_one_2_3() {
    let ((a, at_a), (b, _at_b)) = (full_member("once-a"), full_member("once-b"));
    let mut from_a = bound(&at_a).await;
    let both = Arc::new(all_of(&[&a, &b]));
    let before = Instant::now();
    let sending = tokio::spawn({
        let both = Arc::clone(&both);
        async move { both.send(numbered(1)).await.map(|_| ()) }
    });
    settle().await;
    tokio::time::advance(9 * SECOND / 10).await;
    take(&mut from_a);
    let error = bounded(sending).await.unwrap().unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(before.elapsed().as_millis() / 10, 100);
}

#[tokio::test(start_paused = true)]
async fn who_stands_behind_one_that_is_never_polled_is_given_back_at_the_deadline_2_3() {
    let (a, _at_a) = full_member("unpolled");
    let both = all_of(&[&a]);
    let mut first = Box::pin(both.send(numbered(1)));
    assert!(poll_once(&mut first).is_none());
    let before = Instant::now();
    let error = bounded(both.send(numbered(2))).await.unwrap_err();
    assert!(error.is_full(), "{error}");
    bounded(both.ready()).await;
    assert!(before.elapsed() < 3 * SECOND, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn members_that_confirm_are_waited_for_at_once_2_3() {
    let member = || {
        sink_over(
            &Net::new(|_| Answer::Hang),
            "confirm = \"written\"\nsend_timeout_ms = 1000\nconnect_timeout_ms = 600000",
        )
    };
    let (a, b) = (member(), member());
    let both = all_of(&[&a, &b]);
    let before = Instant::now();
    let error = bounded(both.send(numbered(1))).await.unwrap_err();
    assert!(
        matches!(error.kind(), SendErrorKind::Partial { failed: 2, .. }),
        "{error}"
    );
    assert!(before.elapsed() < 3 * SECOND / 2, "{:?}", before.elapsed());
}

// --- 5.2: the fan-out's own ledger

/// Every message of the fan-out is in one place, and none is still under way.
#[track_caller]
fn assert_settled(fan_out: &FanOut<Members<Message>>, attempted: u64) -> Ledger {
    let ledger = fan_out.ledger();
    assert!(ledger.is_balanced(), "{ledger:?}");
    assert_eq!(
        (ledger.attempted, ledger.waiting),
        (attempted, 0),
        "{ledger:?}"
    );
    ledger
}

#[tokio::test(start_paused = true)]
async fn a_send_dropped_at_any_poll_is_in_one_place_of_the_ledger_5_2() {
    // Two full members and one that confirms; room comes in one after the other, so a send is polled many times.
    for polls in 0.. {
        let ((a, at_a), (b, at_b)) = (
            full_member(&format!("drop-a-{polls}")),
            full_member(&format!("drop-b-{polls}")),
        );
        let confirms = orders(&inproc(
            &format!("drop-c-{polls}"),
            "confirm = \"acked\"\nsend_timeout_ms = 1000",
        ));
        let (mut from_a, mut from_b) = (bound(&at_a).await, bound(&at_b).await);
        let both = all_of(&[&a, &b, &confirms]);
        let mut rival = Box::pin(both.send(numbered(1)));
        assert!(poll_once(&mut rival).is_none());
        assert_eq!(both.ledger().waiting, 1);
        let mut send = Box::pin(both.send(numbered(2)));
        let mut ended = false;
        for poll in 0..polls {
            if let Some(answer) = poll_once(&mut send) {
                assert!(answer.is_err(), "nobody takes what is to be confirmed");
                ended = true;
                break;
            }
            assert!(both.ledger().is_balanced());
            match poll {
                1 => drop(std::mem::replace(
                    &mut rival,
                    Box::pin(both.send(numbered(9))),
                )),
                2 => drop(take(&mut from_a)),
                3 => drop(take(&mut from_b)),
                5 => tokio::time::advance(2 * SECOND).await,
                _ => {}
            }
        }
        // The rival was polled once and dropped, or is dropped here; its successor never was polled.
        drop((send, rival));
        let attempted = 1 + u64::from(polls > 0);
        let ledger = assert_settled(&both, attempted);
        let accepted = u64::from(polls > 4);
        assert_eq!(ledger.done, accepted, "{polls}: {ledger:?}");
        assert_eq!(
            ledger.returned.cancelled,
            attempted - accepted,
            "{polls}: {ledger:?}"
        );
        if ended {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_fan_out_answers_is_in_its_ledger_once_5_2() {
    let (full, _at) = full_member("ledger");
    let roomy = orders(&inproc("ledger-roomy", "max_frame_bytes = 64"));
    let both = all_of(&[&roomy, &full]);
    assert!(bounded(both.send(numbered(1))).await.is_err());
    assert!(both.try_send(numbered(2)).is_err());
    assert!(both.try_send(Message::new(vec![0; 65])).is_err());
    let one = all_of(&[&roomy]);
    one.try_send(numbered(3)).unwrap();
    let nested = FanOut::new(Members::new(vec![(DynSink::new(one), false)]));
    nested.try_send(numbered(4)).unwrap();
    let ledger = assert_settled(&both, 3);
    assert_eq!((ledger.returned.full, ledger.returned.refused), (2, 1));
    assert_eq!(assert_settled(&nested, 1).done, 1);
}

// --- 7: more members than a tuple holds

#[tokio::test(start_paused = true)]
async fn a_fan_out_of_a_hundred_members_that_drop_keeps_their_books_7_3() {
    let registry_of = |name: String| inproc(&name, "buffer_size = 1\nwhen_full = \"drop_newest\"");
    let sinks: Vec<DynSink> = (0..100)
        .map(|index| orders(&registry_of(format!("many-{index}"))))
        .collect();
    let links: Vec<DynSink> = (0..70)
        .map(|_| {
            let more = "buffer_size = 1\nwhen_full = \"drop_newest\"";
            sink_over(&Net::new(|_| Answer::Hang), more)
        })
        .collect();
    let members: Vec<&DynSink> = sinks.iter().chain(&links).collect();
    let wide = Arc::new(all_of(&members));
    // Directly, and within another: the rooms are set aside in one call and taken in the next.
    static WIDE: std::sync::OnceLock<Arc<FanOut<Members<Message>>>> = std::sync::OnceLock::new();
    let nested = FanOut::new((Ref::Static(&**WIDE.get_or_init(|| Arc::clone(&wide))),));
    for number in 0..3 {
        wide.try_send(numbered(number)).unwrap();
        nested.try_send(numbered(number)).unwrap();
    }
    for sink in &members {
        let ledger = ledger(sink);
        assert_eq!(
            (ledger.attempted, ledger.dropped.newest),
            (6, 5),
            "{ledger:?}"
        );
        assert!(ledger.is_balanced(), "{ledger:?}");
        // Nothing is still set aside: there is room for one as soon as the one that is held is gone.
        bounded(sink.close(SECOND)).await;
    }
}

// --- 7.3: members of another make, which cannot set room aside

/// A user's own sink: takes so many messages, and says nothing of room before.
#[derive(Clone)]
struct Own {
    room: Arc<AtomicUsize>,
    taken: Recording<Message>,
}

impl Own {
    fn with_room(room: usize) -> Self {
        Self {
            room: Arc::new(AtomicUsize::new(room)),
            taken: Recording::new(),
        }
    }

    fn numbers(&self) -> Vec<u64> {
        let taken = self.taken.take();
        taken.iter().map(|one| number_of(one.payload())).collect()
    }
}

impl MessageSink for Own {
    fn send(
        &self,
        message: Message,
    ) -> impl Future<Output = Result<Receipt, SendError<Message>>> + Send {
        std::future::ready(self.try_send(message))
    }

    fn try_send(&self, message: Message) -> Result<Receipt, SendError<Message>> {
        let left = self.room.load(Ordering::SeqCst).checked_sub(1);
        let Some(left) = left else {
            let kind = SendErrorKind::Other {
                service: Arc::from("own"),
                text: Arc::from("no room"),
            };
            return Err(SendError::new(kind, Some(message)));
        };
        self.room.store(left, Ordering::SeqCst);
        self.taken.try_send(message)
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_of_another_make_that_refuses_leaves_the_others_without_7_3() {
    let registry = inproc("own-refuses", "");
    let sink = orders(&registry);
    let own = Own::with_room(1);
    for nested in [false, true] {
        own.room.store(1, Ordering::SeqCst);
        let both = all_of(&[&DynSink::new(own.clone()), &sink]);
        let both: &dyn DynMessageSink<Message> = if nested {
            &FanOut::new((Ref::Shared(Arc::new(both)), sink.clone()))
        } else {
            &both
        };
        both.send_boxed(numbered(1)).await.unwrap();
        let before = ledger(&sink);
        let error = both.send_boxed(numbered(2)).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
        assert!(error.into_message().is_some());
        assert_eq!(ledger(&sink), before, "it got a copy of what was not sent");
        assert_eq!(own.numbers(), [1]);
    }
    // Nothing is still set aside either.
    let mut source = bound(&registry).await;
    for _ in 0..3 {
        take(&mut source);
    }
    assert!(bounded(sink.close(SECOND)).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn what_only_some_members_of_another_make_took_is_partial_7_3() {
    let sink = orders(&inproc("own-partial", ""));
    let (takes, refuses) = (Own::with_room(9), Own::with_room(0));
    let members = [
        &DynSink::new(takes.clone()),
        &DynSink::new(refuses.clone()),
        &sink,
    ];
    let error = all_of(&members).try_send(numbered(1)).unwrap_err();
    assert_eq!(error.outcome(), Outcome::Partial, "{error}");
    let SendErrorKind::Partial {
        failed,
        branches,
        first,
        ..
    } = error.kind()
    else {
        panic!("{error}");
    };
    assert_eq!((*failed, *branches), (1, 3));
    assert!(first.contains("no room"), "{first}");
    assert_eq!(takes.numbers(), [1]);
    assert_eq!(ledger(&sink).attempted, 1);
    // One that is closed says so before anybody takes.
    bounded(sink.close(SECOND)).await;
    let error = all_of(&members).try_send(numbered(2)).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    assert!(takes.numbers().is_empty());
}

/// Always ready, never with room: full, it is waited for, and no longer than any other, nor without giving way.
struct Liar(AtomicUsize);

impl MessageSink for Liar {
    fn send(
        &self,
        message: Message,
    ) -> impl Future<Output = Result<Receipt, SendError<Message>>> + Send {
        std::future::ready(self.try_send(message))
    }

    fn try_send(&self, message: Message) -> Result<Receipt, SendError<Message>> {
        assert!(
            self.0.fetch_add(1, Ordering::SeqCst) < 10_000,
            "it is asked without end"
        );
        let full = SendErrorKind::Full {
            service: Arc::from("liar"),
            held_messages: 1,
            buffer_size: 1,
            held_bytes: 0,
            buffer_bytes: 0,
            waited: Duration::ZERO,
            last: None,
        };
        Err(SendError::new(full, Some(message)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_ready_and_full_is_not_asked_without_end_2_3() {
    let both = FanOut::new(Members::new(vec![(
        DynSink::new(Liar(AtomicUsize::new(0))),
        false,
    )]));
    let before = Instant::now();
    let error = bounded(both.send(numbered(1))).await.unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(before.elapsed().as_secs(), 30);
}

// --- 7.1: a copy that an optional member does not get

#[tokio::test(start_paused = true)]
async fn a_copy_that_an_optional_member_refuses_is_counted_once_7_1() {
    let reject = "buffer_size = 1\nwhen_full = \"reject\"";
    let link = || sink_over(&Net::new(|_| Answer::Hang), reject);
    let (full, closed) = (link(), link());
    let (full_here, closed_here) = (
        orders(&inproc("optional-full", reject)),
        orders(&inproc("optional-closed", reject)),
    );
    for sink in [&full, &full_here] {
        sink.try_send(numbered(0)).unwrap();
    }
    for sink in [&closed, &closed_here] {
        bounded(sink.close(SECOND)).await;
    }
    for sink in [&full, &full_here, &closed, &closed_here] {
        let before = ledger(sink);
        let both = FanOut::new(Members::new(vec![(sink.clone(), true)]));
        for number in 0..3 {
            both.try_send(numbered(number)).unwrap();
        }
        let after = ledger(sink);
        assert_eq!(after.attempted - before.attempted, 3, "{after:?}");
        assert_eq!(after.dropped.optional, 3, "{after:?}");
        assert_eq!(after.returned, before.returned);
        assert!(after.is_balanced(), "{after:?}");
        assert_eq!(both.optional_dropped(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_asked_to_take_a_message_counts_none_7_3() {
    let (roomy, closed) = (
        sink_over(&Net::new(|_| Answer::Hang), ""),
        sink_over(&Net::new(|_| Answer::Hang), ""),
    );
    bounded(closed.close(SECOND)).await;
    let both = all_of(&[&roomy, &closed]);
    assert!(both.try_send(numbered(0)).unwrap_err().is_closed());
    assert_eq!(assert_settled(&both, 1).returned.total(), 1);
    for sink in [&roomy, &closed] {
        assert_eq!(ledger(sink).attempted, 0, "{:?}", ledger(sink));
    }
}

// --- 1: who answers for a receipt that a failover gave

#[tokio::test(start_paused = true)]
async fn the_member_that_gave_a_receipt_answers_for_it_after_a_switch_1() {
    let (net_a, net_b) = (
        Net::new(|attempt| match attempt {
            0 => Answer::Refuse(std::io::ErrorKind::ConnectionRefused),
            _ => Answer::Connect(Rules::default()),
        }),
        Net::open(),
    );
    let (a, b) = (sink_over(&net_a, ""), sink_over(&net_b, ""));
    // The first is in backoff: what comes meanwhile is the second's.
    assert!(bounded(a.connect()).await.is_err());
    let either = Failover::new(Members::new(vec![(a.clone(), false), (b.clone(), false)]));
    let receipt = either.try_send(numbered(1)).unwrap();
    assert_eq!(ledger(&b).attempted, 1);
    let mut at_b = bounded(net_b.greet()).await;
    let (connected, _at_a) = bounded(async { tokio::join!(a.connect(), net_a.greet()) }).await;
    connected.unwrap();
    either.try_send(numbered(2)).unwrap();
    assert_eq!(ledger(&a).attempted, 1, "it is back at the first");
    let (sequence, _) = bounded(at_b.data()).await.unwrap();
    at_b.ack(sequence);
    let level = bounded(either.settled(receipt, Level::Written)).await;
    assert!(level.unwrap().satisfies(Level::Written));
}

#[tokio::test(start_paused = true)]
async fn a_member_of_another_make_does_not_answer_for_a_leafs_receipt_1() {
    let registry = inproc("settled-own", "");
    let sink = orders(&registry);
    let mut source = bound(&registry).await;
    let own = DynSink::new(Recording::<Message>::new());
    for members in [
        vec![(sink.clone(), false), (own.clone(), false)],
        vec![(own, false), (sink.clone(), false)],
    ] {
        let either = Failover::new(Members::new(members));
        let receipt = sink.try_send(numbered(1)).unwrap();
        take(&mut source);
        let level = bounded(either.settled(receipt, Level::Acked)).await;
        assert_eq!(level, Ok(Level::Acked));
        // And what that sink gave itself is still its own to tell.
        let acked = Receipt::new(77, 1, Level::Acked);
        assert_eq!(
            bounded(either.settled(acked, Level::Acked)).await,
            Ok(Level::Acked)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_answers_for_its_own_receipts_only_1() {
    let sink = orders(&inproc(
        "settled-leaf",
        "buffer_size = 1\nwhen_full = \"drop_oldest\"",
    ));
    let (first, second) = (inproc("settled-first", ""), inproc("settled-second", ""));
    let shared =
        |registry: &Arc<ServiceRegistry>| Ref::Shared(Arc::new(all_of(&[&orders(registry)])));
    let (one, two) = (shared(&first), shared(&second));
    let either = Failover::new((sink.clone(), one.clone(), two.clone()));
    // Dropped by the leaf: no fan-out, which has nothing outstanding, may call it acked.
    let dropped = sink.try_send(numbered(1)).unwrap();
    sink.try_send(numbered(2)).unwrap();
    let fate = bounded(either.settled(dropped, Level::Acked)).await;
    assert!(matches!(fate, Err(Lost::Dropped { .. })), "{fate:?}");
    // The second's is not the first's to tell: it is acked when it is taken there.
    let receipt = two.try_send(numbered(3)).unwrap();
    assert_ne!(receipt.link(), one.try_send(numbered(4)).unwrap().link());
    take(&mut bound(&first).await);
    let waiting = tokio::spawn(async move { either.settled(receipt, Level::Acked).await });
    settle().await;
    assert!(!waiting.is_finished());
    take(&mut bound(&second).await);
    assert_eq!(bounded(waiting).await.unwrap(), Ok(Level::Acked));
    let fate = bounded(one.settled(receipt, Level::Acked)).await;
    assert!(matches!(fate, Err(Lost::Unknown { .. })), "{fate:?}");
}
