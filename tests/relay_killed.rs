//! The relay killed with SIGKILL in the middle of a replay and started again. Its retention was memory, so what it held is
//! gone; that must show at the consumer, to the message, and nothing may come twice. The adapter notices nothing.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "in a test, anything unexpected is a failure"
)]

mod harness;

use std::thread;
use std::time::Duration;

use harness::{Count, Ended, Process, Rig, swaps};
use rustix::process::Signal;

const LOGS: u64 = 3_000;
/// A log each millisecond.
const SPEED: &str = "1000";
const BEFORE_THE_KILL: usize = 500;
/// Long enough for hundreds of logs, several times what a socket holds of them.
const A_WHILE: Duration = Duration::from_millis(800);

/// A replay in the middle: some of it has been received.
struct Replay {
    rig: Rig,
    feed: Process,
    relay: Option<Process>,
    adapter: Process,
    consumer: Process,
}

// === impl Replay ===

impl Replay {
    fn in_the_middle() -> Self {
        let rig = Rig::new();
        let recording = rig.path("swaps.jsonl");
        swaps(&recording, LOGS);
        let (relay, consumer) = (Some(rig.start_relay()), rig.start_consumer("consumer"));
        let (adapter, feed) = (rig.start_adapter(), rig.start_feed(&recording, SPEED));
        rig.wait_for_rows("consumer", BEFORE_THE_KILL);
        Self {
            rig,
            feed,
            relay,
            adapter,
            consumer,
        }
    }

    fn kill_and_restart_relay(&mut self) {
        self.relay.take().unwrap().kill();
        self.relay = Some(self.rig.start_relay());
    }

    /// Lets it end; every part but the killed one must have done its work.
    fn end(self) -> (Count, String) {
        let adapter = self.adapter.end();
        assert!(adapter.status.success(), "{}", adapter.text());
        assert_eq!(
            adapter.line("adapter: sent"),
            format!("adapter: sent {LOGS}, unsent 0, connections 1")
        );
        assert!(self.feed.end().status.success());
        let consumer = self.consumer.end();
        (accounted(&self.rig, "consumer", &consumer), consumer.text())
    }
}

/// What came is in order and once, and what did not come is what was reported as lost.
fn accounted(rig: &Rig, name: &str, consumer: &Ended) -> Count {
    let count = consumer.count();
    let blocks = rig.column(name, "block");
    assert!(
        blocks.is_sorted_by(|a, b| a < b),
        "handed up twice or out of order: {}",
        consumer.text()
    );
    assert_eq!(count.received, blocks.len() as u64);
    assert_eq!(
        count,
        Count {
            sent: LOGS,
            received: LOGS - count.lost,
            missing: 0,
            duplicated: 0,
            ..count
        }
    );
    println!("{}", consumer.line("consumer: sent"));
    count
}

#[test]
fn what_a_killed_relay_took_with_it_is_counted_to_the_message() {
    let mut replay = Replay::in_the_middle();
    replay.kill_and_restart_relay();
    replay.end();
}

#[test]
fn what_a_killed_relay_held_for_a_slow_consumer_is_a_gap() {
    let mut replay = Replay::in_the_middle();
    // The relay goes on taking, and acking, what the consumer does not read: more than the socket holds.
    replay.consumer.signal(Signal::STOP);
    thread::sleep(A_WHILE);
    replay.kill_and_restart_relay();
    replay.consumer.signal(Signal::CONT);
    let (count, text) = replay.end();
    assert!(count.lost > 0, "{text}");
}

#[test]
fn what_a_killed_relay_had_not_acked_is_sent_again() {
    let mut replay = Replay::in_the_middle();
    // The adapter goes on writing what the relay neither reads nor acks.
    replay.relay.as_ref().unwrap().signal(Signal::STOP);
    thread::sleep(A_WHILE);
    replay.kill_and_restart_relay();
    let (count, text) = replay.end();
    assert!(count.lost < 100, "{text}");
}

#[test]
fn a_consumer_that_comes_after_the_kill_is_told_what_it_missed() {
    let mut replay = Replay::in_the_middle();
    replay.kill_and_restart_relay();
    let late = replay.rig.start_consumer("late");
    let late = late.end();
    let count = accounted(&replay.rig, "late", &late);
    assert!(count.lost > 0, "{}", late.text());
    replay.end();
}
