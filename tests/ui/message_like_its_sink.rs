//! A message type that does not exist and whose sink would have its name: the error is of the message.

use sink_runtime::MessageSink;

pub fn message(sink: &impl MessageSink) {
    let _ = sink;
}

pub fn sink() {
    message(Sinks::orders());
}

sink_runtime::include_sinks!();
