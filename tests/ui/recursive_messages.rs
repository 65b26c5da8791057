//! A message that contains itself through another message is refused in words of our own; who merely holds one is not.

use std::collections::HashMap;

use sink_runtime::Message;

#[derive(Message)]
#[message(serde)]
pub struct Order {
    pub id: u64,
    pub parts: HashMap<String, Vec<Part>>,
    pub venue: Venue,
}

#[derive(Message)]
#[message(serde)]
pub enum Part {
    Simple(u64),
    Nested { order: Option<Box<Order>> },
}

#[derive(Message)]
#[message(serde)]
pub struct Venue {
    pub name: String,
}

#[derive(Message)]
#[message(serde)]
pub struct Day {
    pub orders: Vec<Order>,
}
