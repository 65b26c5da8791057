//! A message type without `derive(Message)`: one error that says what to add.

pub struct Tick {
    pub price: u64,
}

sink_runtime::include_sinks!();
