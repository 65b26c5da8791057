//! Messages that are not `pub`, as a program has them: no warning, even where one is an error.
#![deny(warnings)]

use sink_runtime::{Message, MessageSink};

#[derive(Message)]
#[message(serde)]
struct Tick {
    price: u64,
}

#[derive(Message)]
#[message(serde)]
pub(crate) struct Order {
    size: u32,
}

sink_runtime::include_sinks!();

pub async fn works() {
    let _ = Sinks::ticks().send(Tick { price: 1 }).await;
    let _ = Sinks::everywhere().send(Tick { price: 2 }).await;
    let _ = Sinks::orders().send(Order { size: 1 }).await;
    let _ = Sources::ticks().recv().await;
    let _ = SinkSet::builder().build().ticks();
}
