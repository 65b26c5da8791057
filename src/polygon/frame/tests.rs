use alloy_primitives::{Address, B256, Bytes};

use super::*;

fn a_log() -> Log {
    Log {
        address: Address::repeat_byte(0x11),
        topics: vec![B256::repeat_byte(0x22)],
        data: Bytes::from(vec![0; 64]),
        block_number: 31,
        transaction_hash: B256::repeat_byte(0x33),
        transaction_index: 2,
        log_index: 0,
        removed: false,
        block_timestamp: None,
    }
}

fn only(text: &str) -> Item {
    let mut items = items(text);
    assert_eq!(items.len(), 1, "{text}");
    items.remove(0)
}

fn malformed(text: &str) -> Malformed {
    match only(text) {
        Item::Malformed(why) => why,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn a_notification_comes_back_as_its_log() {
    let text = notification("0x1", &a_log());
    let Item::Log(log) = only(&text) else {
        panic!("{text}")
    };
    assert_eq!(*log, a_log());
}

#[test]
fn numbers_are_hex_as_nodes_write_them() {
    let text = notification("0x1", &a_log());
    assert!(
        text.contains(r#""blockNumber":"0x1f""#) && text.contains(r#""logIndex":"0x0""#),
        "{text}"
    );
    assert_eq!(malformed(&text.replace(r#""0x1f""#, "31")), Malformed::Log);
    assert_eq!(
        malformed(&text.replace(r#""0x1f""#, r#""31""#)),
        Malformed::Log
    );
}

#[test]
fn fields_that_nodes_add_are_ignored() {
    let text = notification("0x1", &a_log())
        .replace(r#""removed""#, r#""blockHash":null,"extra":[1],"removed""#);
    assert!(matches!(only(&text), Item::Log(_)), "{text}");
}

#[test]
fn a_cut_frame_is_truncated_wherever_it_is_cut() {
    let text = notification("0x1", &a_log());
    for cut in 1..text.len() {
        let why = malformed(&text[..cut]);
        assert_eq!(why, Malformed::Truncated, "cut at {cut}");
    }
}

#[test]
fn what_is_no_json_rpc_is_said_to_be_none() {
    for text in [
        "hello",
        "42",
        "\"text\"",
        "null",
        "{}",
        "{\"id\":1}",
        "{\"id\":{}}",
        "[1,2",
        "{} {}",
    ] {
        let why = items(text)
            .into_iter()
            .all(|item| matches!(item, Item::Malformed(_)));
        assert!(why, "{text}");
    }
    assert!(items("[]").is_empty());
}

#[test]
fn an_empty_frame_is_truncated() {
    assert_eq!(malformed(""), Malformed::Truncated);
}

#[test]
fn other_subscriptions_and_methods_are_neither_logs_nor_malformed() {
    let head = r#"{"method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0x1","hash":"0x2"}}}"#;
    let pending =
        r#"{"method":"eth_subscription","params":{"subscription":"0x1","result":"0xabc"}}"#;
    let method = r#"{"method":"net_version","params":[]}"#;
    for text in [head, pending, method] {
        assert!(matches!(only(text), Item::Other), "{text}");
    }
}

#[test]
fn answers_carry_the_result_or_the_error() {
    let Item::Answer(answer) = only(r#"{"jsonrpc":"2.0","id":1,"result":"0x5eed"}"#) else {
        panic!()
    };
    assert_eq!(
        answer,
        Answer {
            id: 1,
            result: Ok("\"0x5eed\"".to_owned())
        }
    );
    let Item::Answer(answer) = only(r#"{"id":1,"error":{"code":-1}}"#) else {
        panic!()
    };
    assert_eq!(answer.result, Err(r#"{"code":-1}"#.to_owned()));
}

#[test]
fn a_batch_yields_each_of_its_objects() {
    let log = notification("0x1", &a_log());
    let broken = log.replace(r#""0x1f""#, r#""?""#);
    let items = items(&format!("[{log},{broken},{log}]"));
    assert!(matches!(
        items[..],
        [Item::Log(_), Item::Malformed(Malformed::Log), Item::Log(_)]
    ));
}

#[test]
fn a_batch_of_700_kilobytes_is_read_whole() {
    let log = notification("0x1", &a_log());
    let count = 700_000 / log.len() + 1;
    let text = format!("[{}]", vec![log; count].join(","));
    assert!(text.len() > 700_000);
    let logs = items(&text);
    assert_eq!(logs.len(), count);
    assert!(logs.iter().all(|item| matches!(item, Item::Log(_))));
}

#[test]
fn a_log_with_700_kilobytes_around_it_is_read() {
    let padding = "x".repeat(700_000);
    let text = notification("0x1", &a_log())
        .replace(r#""removed""#, &format!(r#""note":"{padding}","removed""#));
    assert!(matches!(only(&text), Item::Log(_)));
}
