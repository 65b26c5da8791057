//! A message that is refused is an error where it is defined, and nowhere that it is used.

use sink_runtime::{Message, MessageSink};

#[derive(Message)]
#[message(serde)]
pub struct Order {
    pub id: u64,
    pub kids: Vec<Order>,
}

#[derive(Message)]
#[message(serd)]
pub struct Tick {
    pub price: u64,
}

#[derive(Message)]
#[message(serde)]
pub struct Day {
    pub orders: Vec<Order>,
    pub last: Tick,
}

#[derive(Message)]
#[message(serde)]
pub struct Batch<T> {
    pub parts: Vec<T>,
}

#[derive(Message)]
#[message(serde)]
pub struct Line<'a> {
    pub text: &'a str,
}

sink_runtime::include_sinks!();

pub async fn uses(log: &impl MessageSink<Batch<u8>>, lines: &impl MessageSink<Line<'static>>) {
    let order = Order { id: 1, kids: vec![] };
    let _ = Sinks::orders().send(order).await;
    let _ = Sinks::ticks().send(Tick { price: 1 }).await;
    let _ = Sources::ticks().recv().await;
    let _ = log.send(Batch { parts: vec![1] }).await;
    let _ = lines.send(Line { text: "x" }).await;
}
