//! An adapter asks for a guarantee that the service does not give: the error names the service.

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

use sink_runtime::{AtLeastOnce, MessageSink};

pub fn hopeful() {
    ledger(Sinks::market_data_relay());
    ledger(Sinks::backup());
}

fn ledger<S: MessageSink<Tick> + AtLeastOnce>(sink: S) {
    drop(sink);
}
