//! Two `include_sinks!` in one crate are one error, in whatever modules, and the names of the second are missed nowhere.

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

pub mod first {
    sink_runtime::include_sinks!();
}

pub mod second {
    sink_runtime::include_sinks!();
}

pub fn uses() {
    let _ = first::Sinks::market_data_relay();
    let _ = second::Sinks::market_data_relay();
}
