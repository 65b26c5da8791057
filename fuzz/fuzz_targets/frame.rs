//! Any bytes as a stream of frames: nothing panics, nothing is allocated ahead of what arrived, decoding is stable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sink_runtime::frame::{self, Assembler, Chunk, Hello, Kind, Producer, Refuse, RelayGap, Welcome};

/// Largest frame agreed on.
const LIMIT: usize = 64 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let mut assembler = Assembler::new(LIMIT);
    for piece in bytes.chunks(97) {
        assembler.room().extend_from_slice(piece);
        loop {
            match assembler.take_one() {
                Ok(Some(frame)) => see(&frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});

fn see(bytes: &[u8]) {
    assert!(bytes.len() <= LIMIT);
    match Kind::from_u8(bytes[4]) {
        Some(Kind::Hello) => {
            if let Ok(hello) = Hello::decode(bytes) {
                let mut again = Vec::new();
                hello.encode(&mut again);
                assert_eq!(Hello::decode(&again).expect("what we write, we read"), hello);
            }
        }
        Some(Kind::Welcome) => drop(Welcome::decode(bytes)),
        Some(Kind::Refuse) => drop(Refuse::decode(bytes)),
        Some(Kind::Data) => {
            if let Ok(data) = frame::data(bytes) {
                assert!(data.payload_at <= bytes.len());
            }
        }
        Some(Kind::Ack | Kind::Heartbeat) => drop(frame::number(bytes)),
        Some(Kind::Producer) => drop(Producer::decode(bytes)),
        Some(Kind::Chunk) => drop(Chunk::decode(bytes)),
        Some(Kind::Gap) => drop(RelayGap::decode(bytes)),
        Some(Kind::Bye) | None => {}
    }
}
