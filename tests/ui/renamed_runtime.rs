//! A runtime under another name, included in a module: everything works, and a misspelt service is one error as ever.

use messaging::{Message, MessageSink};

#[derive(Message)]
#[message(serde)]
pub struct Tick {
    pub price: u64,
}

#[derive(Message)]
#[message(serde, crate = "messaging")]
pub struct Order {
    pub size: u32,
}

mod topology {
    messaging::include_sinks!();
}
pub use topology::Sinks;

pub async fn works() {
    let _ = Sinks::market_data_relay().send(Tick { price: 1 }).await;
    let _ = topology::Sources::orders().recv().await;
}

pub fn misspelt() {
    let _ = Sinks::market_data_rely();
}
