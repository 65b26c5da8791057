use sinks::polygon::decode::SIGNATURES;
use sinks::polygon::frame::Malformed;
use tokio::net::TcpListener;

use super::*;

type Client = WebSocketStream<TcpStream>;

/// A node of one's own, and where it is.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Takes the next client and its subscription.
async fn subscriber(listener: &TcpListener) -> Client {
    let (stream, _) = listener.accept().await.unwrap();
    let mut client = tokio_tungstenite::accept_async(stream).await.unwrap();
    let request = client.next().await.unwrap().unwrap();
    assert!(
        request.to_text().unwrap().contains("eth_subscribe"),
        "{request}"
    );
    client
        .send(Message::text(r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#))
        .await
        .unwrap();
    client
}

async fn say(client: &mut Client, text: impl Into<tungstenite::Utf8Bytes>) {
    client.send(Message::text(text)).await.unwrap();
}

const OTHER: &str = r#"{"method":"other"}"#;

#[tokio::test]
async fn a_node_that_hangs_up_is_called_again() {
    let (listener, url) = listen().await;
    let server = async {
        for _ in 0..3 {
            let mut client = subscriber(&listener).await;
            say(&mut client, OTHER).await;
            // Dropped without a word.
        }
    };
    let mut node = Node::new(&url, &SIGNATURES).unwrap();
    let client = async {
        for _ in 0..3 {
            assert!(matches!(node.next().await, Item::Other));
        }
        node.connections
    };
    assert_eq!(tokio::join!(server, client).1, 3);
}

#[tokio::test]
async fn a_node_that_is_not_there_yet_is_waited_for() {
    let (listener, url) = listen().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut node = Node::new(&url, &SIGNATURES).unwrap();
    let client = tokio::spawn(async move { matches!(node.next().await, Item::Other) });
    sleep(BACKOFF.0 * 2).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let mut server = subscriber(&listener).await;
    say(&mut server, OTHER).await;
    assert!(client.await.unwrap());
}

#[tokio::test]
async fn a_refused_subscription_is_asked_for_again() {
    let (listener, url) = listen().await;
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut client = tokio_tungstenite::accept_async(stream).await.unwrap();
        client.next().await.unwrap().unwrap();
        say(
            &mut client,
            r#"{"id":1,"error":{"code":-32000,"message":"too many subscriptions"}}"#,
        )
        .await;
        subscriber(&listener).await
    };
    let mut node = Node::new(&url, &SIGNATURES).unwrap();
    let (mut server, ()) = tokio::join!(server, async {
        tokio::select! {
            item = node.next() => panic!("{item:?}"),
            () = sleep(BACKOFF.1 + BACKOFF.0) => {}
        }
    });
    say(&mut server, OTHER).await;
    assert!(matches!(node.next().await, Item::Other));
}

#[tokio::test]
async fn malformed_frames_are_handed_up_and_cost_no_connection() {
    let (listener, url) = listen().await;
    let mut node = Node::new(&url, &SIGNATURES).unwrap();
    let server = async {
        let mut client = subscriber(&listener).await;
        say(&mut client, r#"{"method":"eth_subscr"#).await;
        client.send(Message::binary(vec![0xff])).await.unwrap();
        say(
            &mut client,
            format!(
                r#"{{"method":"other","padding":"{}"}}"#,
                "x".repeat(700_000)
            ),
        )
        .await;
        client
    };
    let client = async {
        assert!(matches!(
            node.next().await,
            Item::Malformed(Malformed::Truncated)
        ));
        assert!(matches!(node.next().await, Item::Other));
        node.connections
    };
    assert_eq!(tokio::join!(server, client).1, 1);
}

#[test]
fn only_urls_that_can_work_are_taken() {
    assert!(Node::new("ws://127.0.0.1:1", &SIGNATURES).is_ok());
    for url in ["wss://node", "http://node", "node", ""] {
        assert!(Node::new(url, &SIGNATURES).is_err(), "{url}");
    }
}
