//! What does receiving through the library cost? The same flood into a source's `recv_batch` instead of a raw reader.

use sink_runtime::{Message, MessageSink};

mod support;
use support::flood::{COALESCED, FRAMING, flood};
use support::reader::{Peer, Place, Reader, Take};
use support::rounds::{Contender, interleave};
use support::service::{self, Block, entry};
use support::table::{self, Target};
use support::{BYTES, PAYLOAD};

service!(raw, Raw, Message);
service!(untyped, Untyped, Message);
service!(typed, Typed, Block<BYTES>);

fn main() {
    let directory = support::reader::directory();
    let reader = Reader::unix(directory.path(), "raw", Peer::Sink);
    let place = |name: &str| Place::Unix(directory.path().join(name));
    service::compile(
        entry("raw", &reader.place.endpoint(), None, "")
            + &entry("untyped", &place("untyped.sock").endpoint(), None, "")
            + &entry("typed", &place("typed.sock").endpoint(), Some("Block"), ""),
    );
    let messages = Reader::source::<Message>(place("untyped.sock"), "untyped", Take::Batch);
    let blocks = Reader::source::<Block<BYTES>>(place("typed.sock"), "typed", Take::Batch);
    let runtime = support::current_thread();
    runtime.block_on(async {
        raw().connect().await.expect("a reader");
        untyped().connect().await.expect("a source");
        typed().connect().await.expect("a source");
    });
    let mut sent = [0u64; 3];
    let [raw_sent, untyped_sent, typed_sent] = &mut sent;
    let message = || Message::new(&PAYLOAD[..BYTES]);
    table::question("end to end, 256 B, Unix socket, one sender, receiver on a thread of its own");
    let outcomes = interleave(
        support::rounds(25),
        &mut [
            Contender {
                name: "sink into a raw reader",
                run: Box::new(|| {
                    let wire = (BYTES + FRAMING) as u64;
                    flood(
                        &runtime,
                        &reader,
                        raw_sent,
                        COALESCED,
                        wire,
                        1,
                        raw(),
                        message,
                    )
                }),
            },
            Contender {
                name: "sink into recv_batch, untyped",
                run: Box::new(|| {
                    flood(
                        &runtime,
                        &messages,
                        untyped_sent,
                        COALESCED,
                        1,
                        1,
                        untyped(),
                        message,
                    )
                }),
            },
            Contender {
                name: "sink into recv_batch, typed",
                run: Box::new(|| {
                    flood(
                        &runtime,
                        &blocks,
                        typed_sent,
                        COALESCED,
                        1,
                        1,
                        typed(),
                        || Block([0x5a; BYTES]),
                    )
                }),
            },
        ],
    );
    table::floods("end_to_end", "one sender", &outcomes);
    table::verdict(
        "end_to_end",
        "into recv_batch, times a raw reader",
        outcomes[1].ratio,
        2,
        Target::AtLeast(0.7),
    );
}
