//! Feed, relay, adapter and consumer as four real processes, in every order: who starts first decides nothing.
#![cfg(unix)]

mod harness;

use std::thread;
use std::time::Duration;

use harness::{Count, Rig, concurrently, orders, swaps};

const LOGS: u64 = 300;
/// Runs at a time: they mostly wait for one another.
const AT_ONCE: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Feed,
    Relay,
    Adapter,
    Consumer,
}

fn runs_in(order: &[Part], gap: Duration) {
    let rig = Rig::new();
    let recording = rig.path("swaps.jsonl");
    swaps(&recording, LOGS);
    let (mut relay, mut others) = (None, Vec::new());
    for (at, part) in order.iter().enumerate() {
        if at > 0 {
            thread::sleep(gap);
        }
        match part {
            Part::Feed => others.push((*part, rig.start_feed(&recording, "max"))),
            Part::Adapter => others.push((*part, rig.start_adapter())),
            Part::Consumer => others.push((*part, rig.start_consumer("consumer"))),
            Part::Relay => relay = Some(rig.start_relay()),
        }
    }
    for (part, process) in others {
        let ended = process.end();
        assert!(
            ended.status.success(),
            "{part:?}: {}\n{}",
            ended.status,
            ended.text()
        );
        if part == Part::Consumer {
            let all = Count {
                sent: LOGS,
                received: LOGS,
                lost: 0,
                missing: 0,
                duplicated: 0,
            };
            assert_eq!(ended.count(), all, "{}", ended.text());
        }
    }
    assert_eq!(
        rig.column("consumer", "block"),
        (0..LOGS).collect::<Vec<_>>()
    );
    drop(relay);
}

#[test]
fn feed_relay_adapter_and_consumer_start_in_all_24_orders() {
    let parts = [Part::Feed, Part::Relay, Part::Adapter, Part::Consumer];
    let gaps = [Duration::ZERO, Duration::from_millis(300)];
    let cases: Vec<_> = gaps
        .iter()
        .flat_map(|gap| orders(&parts).into_iter().map(move |order| (order, *gap)))
        .collect();
    assert_eq!(cases.len(), 48);
    concurrently(cases, AT_ONCE, |(order, gap)| runs_in(order, *gap));
}
