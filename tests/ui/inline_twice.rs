//! Two `sinks!` in one place are one error.

sink_runtime::sinks!("services.toml");
sink_runtime::sinks!("services.toml");

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
