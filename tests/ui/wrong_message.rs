//! The wrong message, sent directly and through a generic adapter.

use sink_runtime::Message;

#[derive(Message)]
#[message(serde)]
pub struct Tick {
    pub price: u64,
}

#[derive(Message)]
#[message(serde)]
pub struct Order {
    pub size: u32,
}

sink_runtime::include_sinks!();

use sink_runtime::MessageSink;

pub async fn mixed_up(order: Order) {
    let _ = Sinks::market_data_relay().send(order).await;
    adapter(Sinks::orders());
}

fn adapter(sink: impl MessageSink<Tick>) {
    drop(sink);
}
