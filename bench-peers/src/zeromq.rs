//! ZeroMQ: PUSH to PULL over `ipc://`, by the system's libzmq.
//!
//! - PUSH/PULL is the pipeline pattern of its guide for one-way work, and the one that blocks at the mark instead of dropping.
//! - A context for each end, as two processes have, each with the one I/O thread that the guide calls enough below a gigabyte
//!   a second. Sharing one would make a single thread do the work of both ends.
//! - High-water marks of 10,000 on both sides, the bound our own sink's buffer has by default. In one run they cost
//!   989 ns of CPU per message, the library's own 1,000 cost 992, 100,000 cost 1,065, no mark at all 1,179.
//! - One copy into a message of the library's per send, and one message used again for receiving, as in its own throughput test.

use std::path::Path;

use crate::peer::{Bind, Doing, Flood, Receive, Single, stamp};
use crate::support::reader::ROUND;
use crate::support::{BYTES, PAYLOAD};

/// Messages that may wait on either side.
const MARK: i32 = 10_000;

/// The version of the library that runs.
pub fn about() -> String {
    let (major, minor, patch) = zmq::version();
    format!("libzmq {major}.{minor}.{patch}, PUSH to PULL over ipc://, high-water marks of {MARK}")
}

/// Both ends of one pipe; the socket connects whether or not the other end is bound yet.
pub fn pipe(directory: &Path, name: &str) -> (Push, Bind) {
    let address = format!("ipc://{}/{name}.zmq", directory.display());
    let socket = zmq::Context::new()
        .socket(zmq::PUSH)
        .expect("a socket of a new context");
    socket.set_sndhwm(MARK).expect("a mark");
    socket.set_linger(0).expect("a time");
    // Blocks the thread, so that no timer of the runtime's can bound it.
    socket
        .set_sndtimeo(ROUND.as_millis() as i32)
        .expect("a time");
    socket.connect(&address).expect("an address");
    let bind = move || Box::new(Pull::bind(&address)) as Box<dyn Receive>;
    (Push(socket), Box::new(bind))
}

pub struct Push(zmq::Socket);

impl Flood for Push {
    fn flood(&mut self, messages: u64) -> Doing<'_> {
        Box::pin(async move {
            for _ in 0..messages {
                self.0.send(&PAYLOAD[..BYTES], 0).expect("room");
            }
        })
    }
}

impl Single for Push {
    fn one(&mut self, message: [u8; BYTES]) -> Doing<'_> {
        Box::pin(async move { self.0.send(&message[..], 0).expect("room") })
    }
}

struct Pull {
    socket: zmq::Socket,
    message: zmq::Message,
}

impl Pull {
    fn bind(address: &str) -> Self {
        let socket = zmq::Context::new()
            .socket(zmq::PULL)
            .expect("a socket of a new context");
        socket.set_rcvhwm(MARK).expect("a mark");
        socket.bind(address).expect("a free path");
        Self {
            socket,
            message: zmq::Message::new(),
        }
    }
}

impl Receive for Pull {
    fn next(&mut self) -> Option<u64> {
        self.socket.recv(&mut self.message, 0).ok()?;
        Some(stamp(&self.message))
    }
}
