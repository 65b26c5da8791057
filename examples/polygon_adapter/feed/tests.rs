use sinks::polygon::decode::SIGNATURES;
use sinks::polygon::frame::{Item, items};
use tokio_tungstenite::connect_async;

use super::*;
use crate::args::Args;
use crate::input::Input;
use crate::node::Node;

const PATIENCE: Duration = Duration::from_secs(10);

fn sample() -> Recording {
    let args = <Args as clap::Parser>::parse_from(["polygon_adapter"]);
    Input::open(&args).unwrap().recording
}

async fn feed(recording: Recording) -> (String, tokio::task::JoinHandle<io::Result<Played>>) {
    let feed = Feed::bind("127.0.0.1:0", recording, Speed::Max)
        .await
        .unwrap();
    let url = feed.url().unwrap();
    (
        url,
        tokio::spawn(async move { feed.play(&Progress::of(0)).await }),
    )
}

async fn ask(url: &str, requests: &[&str]) -> Vec<String> {
    let (mut client, _) = connect_async(url).await.unwrap();
    for request in requests {
        client.send(Message::text(*request)).await.unwrap();
    }
    let mut said = Vec::new();
    while let Ok(Some(Ok(Message::Text(text)))) = timeout(PATIENCE, client.next()).await {
        let is_over = text.contains(frame::END_OF_RECORDING);
        said.push(text.to_string());
        if is_over {
            break;
        }
    }
    client.close(None).await.unwrap();
    while client.next().await.is_some_and(|said| said.is_ok()) {}
    said
}

#[tokio::test]
async fn a_subscriber_gets_the_logs_it_asked_for_and_the_end() {
    let (url, feed) = feed(sample()).await;
    let said = ask(&url, &[&frame::subscribe(1, &SIGNATURES)]).await;
    assert!(
        said[0].contains(r#""id":1"#) && said[0].contains("0x5eed"),
        "{}",
        said[0]
    );
    let logs = said
        .iter()
        .flat_map(|text| items(text))
        .filter(|item| matches!(item, Item::Log(_)))
        .count();
    let all = sample().logs().count();
    assert_eq!(logs, all - 1, "all but the token transfer");
    let played = feed.await.unwrap().unwrap();
    assert_eq!(
        played,
        Played {
            sent: logs as u64,
            filtered: 1,
            subscribers: 1
        }
    );
}

#[tokio::test]
async fn an_address_filters_too_and_topics_may_be_left_open() {
    let (url, feed) = feed(sample()).await;
    let request = r#"{"jsonrpc":"2.0","id":7,"method":"eth_subscribe","params":["logs",{"address":"0x4a35582a710e1f4b2030a3f826da20bfb6703c09","topics":[null]}]}"#;
    let said = ask(&url, &[request]).await;
    assert_eq!(said.len(), 1 + 4 + 1, "answer, four logs of that pool, end");
    feed.await.unwrap().unwrap();
}

#[tokio::test]
async fn other_requests_are_answered_with_errors_and_end_nothing() {
    let (url, feed) = feed(sample()).await;
    let heads = r#"{"jsonrpc":"2.0","id":2,"method":"eth_subscribe","params":["newHeads"]}"#;
    let other = r#"{"jsonrpc":"2.0","id":3,"method":"eth_blockNumber","params":[]}"#;
    let all = r#"{"jsonrpc":"2.0","id":4,"method":"eth_subscribe","params":["logs"]}"#;
    let said = ask(&url, &["{", heads, other, all]).await;
    for (answer, code) in said.iter().zip(["-32700", "-32602", "-32601"]) {
        assert!(answer.contains(code), "{answer}");
    }
    assert_eq!(said.len(), 4 + sample().entries.len() + 1);
    feed.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_comes_back_is_carried_on_where_it_was_left() {
    // More than sockets hold, so that the feed is in the middle when the first subscriber goes.
    let logs: Vec<_> = sample().entries.into_iter().cycle().take(30_000).collect();
    let (url, feed) = feed(Recording {
        entries: logs.clone(),
    })
    .await;
    let subscribe = r#"{"id":1,"method":"eth_subscribe","params":["logs"]}"#;
    let (mut client, _) = connect_async(&url).await.unwrap();
    client.send(Message::text(subscribe)).await.unwrap();
    client.next().await.unwrap().unwrap();
    client.close(None).await.unwrap();
    let mut before = 0;
    while let Some(Ok(said)) = client.next().await {
        before += usize::from(said.is_text());
    }
    assert!(before < logs.len(), "the first subscriber had it all");
    let after = ask(&url, &[subscribe]).await.len() - 2;
    assert_eq!(before + after, logs.len());
    assert_eq!(feed.await.unwrap().unwrap().subscribers, 2);
}

#[tokio::test]
async fn a_node_that_listens_hears_everything() {
    let (url, feed) = feed(sample()).await;
    let mut node = Node::new(&url, &SIGNATURES).unwrap();
    let mut logs = 0;
    loop {
        match node.next().await {
            Item::Log(_) => logs += 1,
            Item::EndOfRecording => break,
            other => panic!("{other:?}"),
        }
    }
    node.close().await;
    assert_eq!(feed.await.unwrap().unwrap().sent, logs);
}

#[test]
fn entries_are_due_by_the_recordings_own_clock() {
    let entries = sample().entries;
    let time = |entry: &Entry| match entry {
        Entry::Log(log) => log.block_timestamp.unwrap(),
        Entry::Frame(_) => panic!("the sample has logs"),
    };
    let there = Duration::from_secs(time(entries.last().unwrap()) - time(&entries[0]));
    let mut clock = None;
    let first = due(&mut clock, Speed::Times(10.0), &entries[0]).unwrap();
    let last = due(&mut clock, Speed::Times(10.0), entries.last().unwrap()).unwrap();
    assert_eq!(last - first, there / 10);
    assert_eq!(due(&mut clock, Speed::Max, &entries[0]), None);
}
