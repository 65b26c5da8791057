//! The relay as its peers see it: raw frames in, raw frames out, over Unix sockets and inside the process.

#![allow(
    clippy::unwrap_used,
    reason = "a test that finds nothing to unwrap has failed"
)]

mod client;

mod ends;
mod forwards;
mod gaps;
mod limits;
mod refuses;
mod together;

use std::sync::atomic::{AtomicU32, Ordering};

use sink_relay::{Endpoint, Relay, RunningRelay};

/// A name that no other test of this process uses.
fn inproc() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "inproc://relay-test-{}",
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

async fn start(relay: Relay) -> (RunningRelay, Endpoint) {
    let running = relay.start().await.unwrap();
    let endpoint = running.local_endpoints()[0].endpoint.clone();
    (running, endpoint)
}

async fn relay() -> (RunningRelay, Endpoint) {
    start(Relay::bind(inproc()).unwrap()).await
}
