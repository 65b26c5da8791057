//! A registry that is not TOML: one error, and no name of it is missed anywhere.

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

pub async fn uses_all() {
    use sink_runtime::MessageSink;
    let _ = Sinks::market_data_relay().send(Tick { price: 1 }).await;
    let _ = Sinks::close_all(std::time::Duration::from_secs(1)).await;
    let _ = Sources::orders().recv().await;
}

/// Types of services that were read, and of the registry as a whole.
pub fn names_all(relay: &MarketDataRelay, tag: services::market_data_relay) {
    let set: SinkSet = SinkSet::builder().others_recording().build();
    let _ = set.market_data_relay();
    let _: Option<SinkSetBuilder> = None;
    drop((relay, tag));
}
