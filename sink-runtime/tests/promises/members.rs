//! What composites owe their members, and members their composite: room that is given back, copies that are counted once, and what
//! became of each.

use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{
    DynSink, Failover, FanOut, Members, Message, MessageSink, MessageType, ServiceRegistry,
    SinkState, Source,
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

// --- 5.2: what is counted, and where

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
