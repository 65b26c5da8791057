//! A composite lacks the guarantee of its weakest required branch: the error names that branch.

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

use sink_runtime::{AtLeastOnce, MessageSink};

pub fn hopeful() {
    ledger(Sinks::everywhere());
}

fn ledger<S: MessageSink<Tick> + AtLeastOnce>(sink: S) {
    drop(sink);
}
