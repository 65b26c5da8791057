//! A message type that does not exist: one error, in a line that says where the registry names it.

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

pub async fn fine() {
    use sink_runtime::MessageSink;
    let _ = Sinks::ticks().send(Tick { price: 1 }).await;
    let _ = Sinks::copies().send(Tick { price: 1 }).await;
    let _ = Sources::ticks();
}
