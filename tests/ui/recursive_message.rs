//! A message that contains itself is refused in words of our own.

use sink_runtime::Message;

#[derive(Message)]
#[message(serde)]
pub struct Node {
    pub value: u64,
    pub children: Vec<Node>,
    pub next: Option<Box<Self>>,
}
