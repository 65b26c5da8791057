//! An old name still works, and says the new one.

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

pub fn outdated() {
    let _ = Sinks::trades();
}
