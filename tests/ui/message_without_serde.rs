//! `derive(Message)` needs serde's traits, or is told to implement them.

#[derive(sink_runtime::Message)]
pub struct Tick {
    pub price: u64,
}

sink_runtime::include_sinks!();
