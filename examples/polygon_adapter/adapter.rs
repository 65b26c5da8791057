//! The adapter: what a node says → events → the relay. It names a service, and neither transport nor address nor retry.

use std::time::Duration;

use sink_runtime::MessageSink;
use sinks::Sinks;
use sinks::polygon::decode::decode;
use sinks::polygon::frame::Item;
use sinks::polygon::pools::Pools;
use sinks::pool_event::{Body, PoolEvent};

use crate::account::now_ns;
use crate::intake::Intake;
use crate::node::Node;
use crate::stop::Stop;

/// How long what is on its way may take to arrive once the adapter is done.
const DRAIN: Duration = Duration::from_secs(30);

/// Sends what `node` says of `pools`, until the recording is over or a stop is wished for.
pub(crate) async fn run(mut node: Node, pools: Pools, stop: Stop) -> Intake {
    let mut intake = Intake::default();
    loop {
        let item = tokio::select! {
            item = node.next() => item,
            () = stop.wished() => break,
        };
        match item {
            Item::Log(log) => match decode(&log, &pools) {
                Ok(log) => send(Body::Log(log), &mut intake).await,
                Err(why) => intake.refused(&why),
            },
            Item::EndOfRecording => break,
            Item::Malformed(why) => intake.malformed(&why),
            Item::Answer(_) | Item::Other => intake.other(),
        }
    }
    let logs = intake.sent;
    send(Body::End { logs }, &mut intake).await;
    intake.sent = logs;
    intake.connections = node.connections;
    node.close().await;
    for drained in Sinks::close_all(DRAIN).await {
        let undelivered = drained.undelivered.len() as u64 + drained.ledger.unknown;
        intake.undelivered(undelivered, || drained.to_string());
    }
    intake
}

async fn send(body: Body, intake: &mut Intake) {
    match Sinks::market_data_relay()
        .send(PoolEvent {
            sent_at_ns: now_ns(),
            body,
        })
        .await
    {
        Ok(_) => intake.sent += 1,
        Err(error) => intake.undelivered(1, || error.to_string()),
    }
}
