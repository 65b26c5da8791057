//! PROMISES 2.9: a runtime that exists but is not run does not hold up those who wait on another one.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use sink_runtime::{Message, MessageSink, ServiceRegistry};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    // The clock is paused: the ping's second passes as soon as nothing else can happen.
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn another_runtime_carries_on_and_nothing_is_lost() {
    let registry = Arc::new(
        ServiceRegistry::from_toml(
            "[services.orders]\ntype = \"direct\"\nendpoint = \"inproc://not-run\"\ndelivery = \"at_least_once\"\n",
        )
        .unwrap(),
    );
    let sink = registry.sink::<Message>("orders").unwrap();
    let stuck = runtime();
    // The driver starts here, and is polled no more once `block_on` has returned.
    stuck.block_on(async { sink.send(Message::new("from the first")).await.unwrap() });
    let running = runtime();
    running.block_on(async {
        let mut source = registry.source::<Message>("orders").unwrap();
        source.start().await.unwrap();
        sink.send(Message::new("from the second")).await.unwrap();
        let (flushed, received) = tokio::join!(sink.flush(), async {
            let first = source.recv().await.unwrap().unwrap().into_inner();
            let second = source.recv().await.unwrap().unwrap().into_inner();
            [first, second]
        });
        flushed.unwrap();
        assert_eq!(received[0].payload().as_ref(), b"from the first");
        assert_eq!(received[1].payload().as_ref(), b"from the second");
        assert_eq!(source.ledger().duplicates, 0);
    });
    // The first driver learns that it was replaced, and touches nothing.
    stuck.block_on(tokio::task::yield_now());
    running.block_on(async { sink.send(Message::new("again")).await.unwrap() });
    assert!(sink.ledger().unwrap().is_balanced());
}
