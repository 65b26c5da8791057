//! Many messages through one sink.

use sink_runtime::MessageSink;

use super::baseline::round;
use super::reader::Reader;
use super::rounds::Measure;

/// Bytes of our frame before the payload.
pub const FRAMING: usize = sink_runtime::frame::DATA_HEAD;
/// Messages a round for paths with a system call each, and for those that coalesce: some 25 ms either way.
pub const RAW: u64 = 20_000;
pub const COALESCED: u64 = 200_000;

/// One round through a sink: `senders` tasks (one: the runtime's main future) share `messages`; ends when the reader has them.
#[allow(clippy::too_many_arguments)]
pub fn flood<M: Send + 'static, S: MessageSink<M>>(
    runtime: &tokio::runtime::Runtime,
    reader: &Reader,
    sent: &mut u64,
    messages: u64,
    wire: u64,
    senders: u64,
    sink: &'static S,
    make: impl Fn() -> M + Copy + Send + 'static,
) -> Measure {
    round(reader, sent, messages, wire, || {
        runtime.block_on(async {
            if senders == 1 {
                for _ in 0..messages {
                    let _ = sink.send(make()).await.expect("room");
                }
            } else {
                let tasks: Vec<_> = (0..senders)
                    .map(|_| {
                        tokio::spawn(async move {
                            for _ in 0..messages / senders {
                                let _ = sink.send(make()).await.expect("room");
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.expect("a sender");
                }
            }
            sink.flush().await.expect("a reader");
        });
    })
}
