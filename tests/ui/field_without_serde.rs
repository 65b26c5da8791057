//! `#[message(serde)]` over a field whose type is not serde's: one error names the field and what to write.

pub struct Price {
    pub cents: u64,
}

#[derive(sink_runtime::Message)]
#[message(serde)]
pub struct Tick {
    pub symbol: String,
    pub price: Price,
}

#[derive(sink_runtime::Message)]
#[message(serde)]
pub enum Order {
    New { limit: Option<Price> },
    Cancelled(u64),
}

sink_runtime::include_sinks!();
