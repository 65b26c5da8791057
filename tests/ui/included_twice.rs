//! Two `include_sinks!` in one module are one error.

sink_runtime::include_sinks!();
sink_runtime::include_sinks!();

#[derive(Debug, sink_runtime::Message)]
#[message(serde)]
pub struct Tick {
    pub price: u64,
}

#[derive(Debug, sink_runtime::Message)]
#[message(serde)]
pub struct Order {
    pub size: u32,
}

pub fn uses() {
    let _ = Sinks::market_data_relay();
}
