//! The relay killed with SIGKILL in the middle of a replay and started again. Its retention was memory, so what it held is
//! gone; that must show at the consumer, to the message, and nothing may come twice.
#![cfg(unix)]

mod harness;

use harness::{Count, Ended, Rig, swaps};
use rustix::process::Signal;

const LOGS: u64 = 3_000;
/// A log each millisecond.
const SPEED: &str = "1000";
const BEFORE_THE_KILL: usize = 500;

/// Kills the relay when the consumer has received some, with `meanwhile` in between; returns how the consumer ended.
fn killed_in_the_middle(
    rig: &Rig,
    before: impl Fn(&harness::Process),
    after: impl Fn(&harness::Process),
) -> Ended {
    let recording = rig.path("swaps.jsonl");
    swaps(&recording, LOGS);
    let relay = rig.start_relay();
    let consumer = rig.start_consumer("consumer");
    let adapter = rig.start_adapter();
    let feed = rig.start_feed(&recording, SPEED);

    rig.wait_for_rows("consumer", BEFORE_THE_KILL);
    before(&consumer);
    relay.kill();
    let _relay = rig.start_relay();
    after(&consumer);

    let adapter = adapter.end();
    assert!(adapter.status.success(), "{}", adapter.text());
    assert_eq!(
        adapter.line("adapter: sent"),
        format!("adapter: sent {LOGS}, unsent 0, connections 1")
    );
    assert!(feed.end().status.success());
    consumer.end()
}

/// What came is in order and once, and what did not come is what was reported as lost.
fn accounts_for_all(rig: &Rig, consumer: &Ended) -> Count {
    let count = consumer.count();
    let blocks = rig.column("consumer", "block");
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
    count
}

#[test]
fn what_a_killed_relay_took_with_it_is_counted_to_the_message() {
    let rig = Rig::new();
    let consumer = killed_in_the_middle(&rig, |_| (), |_| ());
    accounts_for_all(&rig, &consumer);
}

#[test]
fn what_a_killed_relay_held_for_a_slow_consumer_is_a_gap() {
    let rig = Rig::new();
    let stop = |consumer: &harness::Process| {
        // The relay goes on taking, and acking, what the consumer does not read: more than the socket holds.
        consumer.signal(Signal::STOP);
        std::thread::sleep(std::time::Duration::from_millis(1_000));
    };
    let consumer = killed_in_the_middle(&rig, stop, |consumer| consumer.signal(Signal::CONT));
    let count = accounts_for_all(&rig, &consumer);
    assert!(count.lost > 0, "{}", consumer.text());
}
