//! A message type that does not exist beside a sink of nearly its name, which rustc suggests: the line says that it is none.

use sink_runtime::Message;

#[derive(Message)]
#[message(serde)]
pub struct Ordr {
    pub size: u32,
}

sink_runtime::include_sinks!();
