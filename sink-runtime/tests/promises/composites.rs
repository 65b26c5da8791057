//! Sinks of sinks: who waits, how long, what is counted, and who answers for a receipt.

use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{
    DynSink, FanOut, Members, Message, MessageSink, SendErrorKind, ServiceRegistry, Source,
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
