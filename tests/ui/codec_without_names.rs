//! Attributes of serde that only a codec with names can carry, under postcard: one error for each message.

#[derive(sink_runtime::Message)]
#[message(serde)]
pub struct Tick {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u8>,
    pub price: u64,
}

#[derive(sink_runtime::Message)]
#[message(serde)]
#[serde(untagged)]
pub enum Order {
    Limit(u64),
    Market,
}

#[derive(sink_runtime::Message)]
#[message(serde)]
pub struct Position {
    pub legs: Vec<Option<Leg>>,
}

#[derive(sink_runtime::Message)]
#[message(serde)]
pub struct Leg {
    #[serde(skip_serializing, default)]
    pub seen: bool,
    pub size: u64,
}

sink_runtime::include_sinks!();
