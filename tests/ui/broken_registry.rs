//! Every mistake of a registry in one build, and no further error where broken services are used.

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

use sink_runtime::MessageSink;

pub async fn uses_all() -> Result<(), Box<dyn std::error::Error>> {
    Sinks::market_data_relay().send(Tick { price: 1 }).await?;
    Sinks::orders().send(Tick { price: 1 }).await?;
    Sinks::orders().close(std::time::Duration::from_secs(1)).await;
    Sinks::everywhere().send(Tick { price: 1 }).await?;
    adapter(Sinks::orders()).await;
    adapter(Sinks::outer()).await;
    let mut ticks = Sources::orders();
    while let Some(order) = ticks.recv().await {
        drop(order?);
    }
    Ok(())
}

async fn adapter(sink: impl MessageSink<Tick>) {
    let _ = sink.send(Tick { price: 1 }).await;
}

/// The rest of the crate is checked in the same build.
pub fn unrelated() -> u32 {
    "not a number"
}
