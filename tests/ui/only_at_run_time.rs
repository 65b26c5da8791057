//! A service with `runtime = true` explains why it has no accessor, and a composite why it has no receiving end.

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

pub fn early() {
    let _ = Sinks::late();
}

pub fn received() {
    let _ = Sources::late();
    let _ = Sources::everywhere();
}
