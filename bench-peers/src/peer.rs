//! What every path under test can do, ours and the peers' alike.

use std::pin::Pin;

use crate::support::BYTES;
use crate::support::stats::Spread;
use crate::support::table;

pub const ZEROMQ: &str = "ZeroMQ, ipc";
pub const GRPC: &str = "gRPC stream, Unix socket";
pub const NATS: &str = "core NATS, by its server";

/// A boxed future: one for a whole flood, or for one message of an idle link, so that its box does not show.
pub type Doing<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Many messages, one after the other, as fast as they are taken.
pub trait Flood {
    /// Hands over `messages` of 256 B; when it is done, all of them go their way without this thread.
    fn flood(&mut self, messages: u64) -> Doing<'_>;
}

/// One message on an idle link.
pub trait Single {
    /// Sends it without waiting for more to come.
    fn one(&mut self, message: [u8; BYTES]) -> Doing<'_>;
}

/// The other end; made and used on a reading thread.
pub trait Receive {
    /// Waits for the next message and gives the time in its first eight bytes; none once the sender is gone.
    fn next(&mut self) -> Option<u64>;

    /// Receives until the sender is gone and tells after each message how many there were.
    fn count(&mut self, told: &dyn Fn(u64)) {
        let mut total = 0;
        while self.next().is_some() {
            total += 1;
            told(total);
        }
    }
}

/// Makes the other end, on the thread that will use it.
pub type Bind = Box<dyn FnOnce() -> Box<dyn Receive> + Send>;

/// The time that the sender wrote into a message.
pub fn stamp(message: &[u8]) -> u64 {
    u64::from_le_bytes(*message.first_chunk().expect("256 B"))
}

/// Notes how the sink stands to a peer in the same rounds: read as in the other benches, and received by our own source.
pub fn beside(case: &str, peer: &str, sink: Spread, received: Spread) {
    println!(
        "       {case}: {peer}: sink {}, received by a source {}",
        sink.show(2),
        received.show(2)
    );
    table::note("peers", case, peer, "sink", sink);
    table::note("peers", case, peer, "sink_received_by_a_source", received);
}
