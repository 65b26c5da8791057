//! The example as a user runs it.
#![allow(
    clippy::unwrap_used,
    reason = "in a test, anything unexpected is a failure"
)]

mod harness;

use std::path::{Path, PathBuf};

use harness::{PATIENCE, Rig, swaps};

const DAY: &str = "polygon_dex/polygon-0x45dda9cb7c25131df268515131f647d726f50608-2022-01-05";

fn recordings() -> Option<PathBuf> {
    let data = std::env::var_os("SINKS_DATA").map(PathBuf::from);
    if data.is_none() {
        println!("skipped: SINKS_DATA does not name the folder of the recordings");
    }
    data
}

fn is_complete(table: &str) {
    assert!(
        table.contains("Result: complete: everything sent was received, once"),
        "{table}"
    );
}

#[test]
fn without_arguments_it_plays_the_sample_and_prints_the_table() {
    let ended = Rig::new().start("example", &[]).end();
    assert!(ended.status.success(), "{}", ended.text());
    is_complete(&ended.text());
    ended.line("Hand-made sample, no real trades");
    ended.line("left out, look-alike contract: 1");
    ended.line("of these taken back by a reorganisation: 1");
    assert!(
        ended
            .line("USDC/WETH v3  3,801.75 USDC per WETH")
            .contains("193887")
    );
    for consumer in ["consumer 1", "consumer 2"] {
        let cells: Vec<_> = ended
            .line(consumer)
            .split_whitespace()
            .skip(2)
            .take(5)
            .collect();
        assert_eq!(cells, ["12", "12", "0", "0", "0"], "{}", ended.text());
    }
}

#[test]
fn by_hand_it_prints_the_same_but_for_latencies() {
    let rig = Rig::new();
    let table = |example: &str| {
        let said = harness::Process::start(example, &mut rig.command(example))
            .end()
            .said;
        let stable = |line: String| {
            // A column is as wide as its latencies are long.
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty() && !cell.ends_with('s'))
                .collect::<Vec<_>>()
                .join("  ")
        };
        said.into_iter().map(stable).collect::<Vec<_>>()
    };
    assert_eq!(table("polygon_adapter"), table("polygon_adapter_before"));
}

#[test]
fn a_recording_is_compared_with_its_published_decode() {
    let Some(data) = recordings() else { return };
    let rig = Rig::new();
    let (raw, tick) = (
        data.join(format!("{DAY}.raw.csv.gz")),
        data.join(format!("{DAY}.tick.csv.gz")),
    );
    let out = rig.path("out.csv");
    let args = [
        "--input",
        text(&raw),
        "--expect",
        text(&tick),
        "--out",
        text(&out),
    ];
    let ended = rig.start("example", &args).end();
    assert!(ended.status.success(), "{}", ended.text());
    is_complete(&ended.text());
    for consumer in ["consumer 1", "consumer 2"] {
        let cells: Vec<_> = ended
            .line(consumer)
            .split_whitespace()
            .skip(2)
            .take(5)
            .collect();
        assert_eq!(cells, ["4,158", "4,158", "0", "0", "0"], "{}", ended.text());
        ended.line(&format!(
            "{consumer} against the published decode: 4,158 rows, 0 mismatched"
        ));
    }
    assert_eq!(rig.column("out", "block").len(), 4_158);
}

#[test]
fn a_decode_that_differs_in_one_digit_is_exit_status_1() {
    let Some(data) = recordings() else { return };
    let rig = Rig::new();
    let mut published = String::new();
    let packed = std::fs::File::open(data.join(format!("{DAY}.tick.csv.gz"))).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut published)
        .unwrap();
    let tick = rig.path("tick.csv");
    std::fs::write(
        &tick,
        published.replacen(
            "1287118070971117051322430346813440",
            "1287118070971117051322430346813441",
            1,
        ),
    )
    .unwrap();
    let raw = data.join(format!("{DAY}.raw.csv.gz"));
    let ended = rig
        .start("example", &["--input", text(&raw), "--expect", text(&tick)])
        .end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.text());
    ended.line("consumer 1 against the published decode: 4,158 rows, 1 mismatched");
    ended.line("Result: INCOMPLETE");
}

#[cfg(unix)]
#[test]
fn an_interrupt_drains_and_reports() {
    let rig = Rig::new();
    let recording = rig.path("swaps.jsonl");
    swaps(&recording, 100_000);
    let out = rig.path("out.csv");
    let args = [
        "--input",
        text(&recording),
        "--speed",
        "1000",
        "--out",
        text(&out),
    ];
    let example = rig.start("example", &args);
    rig.wait_for_rows("out", 100);
    example.signal(rustix::process::Signal::INT);
    let began = std::time::Instant::now();
    let ended = example.end();
    assert!(
        began.elapsed() < PATIENCE / 4,
        "draining took {:?}",
        began.elapsed()
    );
    ended.line("Result: stopped early; everything sent until then was received, once");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
