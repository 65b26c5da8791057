//! No registry where the build script looks.

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

pub fn uses() {
    let _ = Sinks::market_data_relay();
}
