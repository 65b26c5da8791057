use std::io::Write;

use super::*;

const TOPIC: &str = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67";
const HASH: &str = "0xa47dbaeb8275a6a6e6f5cda339c3b982e71415a2947d1cbe4b4d0723c02137f6";

/// A file of that name, and the folder that goes with it.
fn file(name: &str, contents: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    File::create(&path).unwrap().write_all(contents).unwrap();
    (folder, path)
}

fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(contents).unwrap();
    packed.finish().unwrap()
}

fn pool_csv() -> String {
    format!(
        "block_number,block_timestamp,transaction_hash,pool_tx_index,pool_log_index,pool_topics,pool_data,proxy_topics\n\
         5,2022-01-05 00:00:02+00:00,{HASH},1,3,\"['{TOPIC}', '{HASH}']\",0x0102,[]\n"
    )
}

fn the_log(recording: &Recording) -> &Log {
    let [Entry::Log(log)] = &recording.entries[..] else {
        panic!("{recording:?}")
    };
    log
}

#[test]
fn a_pools_csv_takes_its_address_from_the_files_name() {
    let name = "polygon-0x45dda9cb7c25131df268515131f647d726f50608-2022-01-05.raw.csv";
    let (_folder, path) = file(name, pool_csv().as_bytes());
    let recording = Recording::open(&path).unwrap();
    let log = the_log(&recording);
    assert_eq!(
        log.address,
        "0x45dda9cb7c25131df268515131f647d726f50608"
            .parse::<Address>()
            .unwrap()
    );
    assert_eq!(
        log.topics,
        [TOPIC, HASH].map(|topic| topic.parse::<B256>().unwrap())
    );
    assert_eq!(
        (
            &log.data[..],
            log.block_number,
            log.transaction_index,
            log.log_index
        ),
        (&[1, 2][..], 5, 1, 3)
    );
    assert_eq!(log.block_timestamp, Some(1_641_340_802));

    let (_folder, path) = file(&format!("{name}.gz"), &gzip(pool_csv().as_bytes()));
    assert_eq!(Recording::open(&path).unwrap(), recording);
}

#[test]
fn a_csv_without_any_address_says_so() {
    let (_folder, path) = file("logs.csv", pool_csv().as_bytes());
    let error = Recording::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("logs.csv:1: no column `address`, and no address in the file's name"),
        "{error}"
    );
}

#[test]
fn a_blocks_csv_has_an_address_per_row() {
    let text = format!(
        "log_index,transaction_hash,transaction_index,block_hash,block_number,address,data,topics\n\
         3,{HASH},1,{HASH},5,0x7ceb23fd6bc0add59e62ac25578270cff1b9f619,0x,\"{TOPIC},{HASH}\"\n"
    );
    let (_folder, path) = file("logs.csv", text.as_bytes());
    let recording = Recording::open(&path).unwrap();
    let log = the_log(&recording);
    assert_eq!(
        (log.topics.len(), log.data.len(), log.block_timestamp),
        (2, 0, None)
    );
    assert_eq!(log.address[0], 0x7c);
}

#[test]
fn a_bad_row_is_named_by_its_line() {
    let text = pool_csv()
        + &pool_csv()
            .lines()
            .nth(1)
            .unwrap()
            .replace("0x0102", "0x010");
    let (_folder, path) = file(
        "0x45dda9cb7c25131df268515131f647d726f50608.csv",
        text.as_bytes(),
    );
    let error = Recording::open(&path).unwrap_err().to_string();
    assert!(
        error.ends_with(".csv:3: `0x010` in column 7 is not 0x-hex"),
        "{error}"
    );
}

#[test]
fn json_is_an_answer_a_receipt_a_list_or_lines() {
    let log = format!(
        r#"{{"address":"0x7ceb23fd6bc0add59e62ac25578270cff1b9f619","topics":["{TOPIC}"],"data":"0x","blockNumber":"0x5","transactionHash":"{HASH}","transactionIndex":"0x1","logIndex":"0x3","removed":true}}"#
    );
    let answer = Recording::from_json("a", &format!(r#"{{"id":1,"result":[{log}]}}"#)).unwrap();
    let receipt =
        Recording::from_json("r", &format!(r#"{{"id":1,"result":{{"logs":[{log}]}}}}"#)).unwrap();
    let list = Recording::from_json("l", &format!("[{log}]")).unwrap();
    let (_folder, path) = file("logs.jsonl", format!("{log}\n\n").as_bytes());
    let lines = Recording::open(&path).unwrap();
    assert!(the_log(&answer).removed);
    assert!(
        [receipt, list, lines]
            .iter()
            .all(|recording| *recording == answer)
    );
}

#[test]
fn frames_are_played_as_they_stand() {
    let (_folder, path) = file("captured.frames", b"{\"cut\nnot json\n");
    let frames = ["{\"cut", "not json"].map(|text| Entry::Frame(text.to_owned()));
    assert_eq!(Recording::open(&path).unwrap().entries, frames);
}

#[test]
fn other_files_are_refused_by_name() {
    let (_folder, path) = file("logs.txt", b"");
    assert!(matches!(
        Recording::open(&path),
        Err(RecordingError::Form { .. })
    ));
    assert!(matches!(
        Recording::open(Path::new("/nowhere/logs.csv")),
        Err(RecordingError::File { .. })
    ));
}

#[test]
fn times_are_seconds_since_1970() {
    assert_eq!(seconds("1970-01-01 00:00:00+00:00"), Ok(0));
    assert_eq!(seconds("2000-02-29 12:30:15"), Ok(951_827_415));
    assert_eq!(seconds("2024-12-31 23:59:59 UTC"), Ok(1_735_689_599));
    for wrong in ["", "yesterday", "2022-13-01 00:00:00", "2022-01-05"] {
        assert!(seconds(wrong).is_err(), "{wrong}");
    }
}
