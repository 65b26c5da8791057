//! A node that sends rubbish between its logs, over a real WebSocket: each piece is counted by cause, and stops nothing.
#![allow(
    clippy::unwrap_used,
    reason = "in a test, anything unexpected is a failure"
)]

mod harness;

use std::fs;

use harness::Rig;

const POOL: &str = "0x45dda9cb7c25131df268515131f647d726f50608";
const SWAP: &str = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67";
const MINT: &str = "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde";

/// A hand-made notification of `topic` from `address`, the only one in `block`.
fn log(address: &str, topic: &str, words: usize, block: usize) -> String {
    let (data, word) = (format!("{:064x}", 1).repeat(words), format!("0x{:064x}", 1));
    format!(
        r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"0x1","result":{{"address":"{address}","topics":["{topic}","{word}","{word}"],"data":"0x{data}","blockNumber":"{block:#x}","transactionHash":"{word}","transactionIndex":"0x0","logIndex":"0x0","removed":false}}}}}}"#
    )
}

#[test]
fn rubbish_between_the_logs_is_counted_and_stops_nothing() {
    let rig = Rig::new();
    let good = |block| log(POOL, SWAP, 5, block);
    let batch: Vec<_> = (100..1_100).map(good).collect();
    let batch = format!("[{}]", batch.join(","));
    let padded = good(2_000).replace(
        r#""removed""#,
        &format!(r#""note":"{}","removed""#, "x".repeat(700_000)),
    );
    assert!(batch.len() > 700_000 && padded.len() > 700_000);
    let other_pool = format!("0x{}", "be".repeat(20));
    let frames = [
        good(1),
        good(2)[..300].to_owned(),
        "not json".to_owned(),
        "{}".to_owned(),
        good(3),
        log(POOL, SWAP, 4, 4),
        log(POOL, SWAP, 6, 5),
        log(POOL, &format!("0x{}", "ab".repeat(32)), 5, 6),
        log(POOL, MINT, 4, 7),
        log(&other_pool, MINT, 4, 8),
        log(&other_pool, &format!("0x{}", "ab".repeat(32)), 4, 9),
        good(10).replace(r#""0xa""#, r#""ten""#),
        r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x2","result":{"number":"0x1"}}}"#.to_owned(),
        batch,
        padded,
        good(3_000),
    ];
    let recording = rig.path("rubbish.frames");
    fs::write(&recording, frames.join("\n")).unwrap();

    let ended = rig
        .start("example", &["--input", recording.to_str().unwrap()])
        .end();
    assert!(ended.status.success(), "{}", ended.text());
    for line in [
        "Adapter: sent 1,004, connections to the node 1",
        "left out, truncated JSON: 1",
        "left out, not JSON-RPC: 2",
        "left out, wrong length of data: 2",
        "left out, unknown topic of a known pool: 1",
        "left out, wrong number of topics: 1",
        "left out, look-alike contract: 1",
        "left out, unknown contract: 1",
        "left out, unreadable log: 1",
        "left out, not a log: 1",
        "Result: complete",
    ] {
        ended.line(line);
    }
}
