//! What does at least once cost? The same flood, acked by the reader a chunk at a time and kept until then.

use sink_runtime::{Message, MessageSink};

mod support;
use support::flood::{COALESCED, FRAMING, flood};
use support::reader::{Peer, Reader};
use support::rounds::{Contender, interleave};
use support::service::{self, entry};
use support::table::{self, Target};
use support::{BYTES, PAYLOAD};

service!(once, Once, Message);
service!(acked, Acked, Message);

fn main() {
    let wire = BYTES + FRAMING;
    let directory = support::reader::directory();
    let plain = Reader::unix(directory.path(), "once", Peer::Sink);
    let acking = Reader::unix(directory.path(), "acked", Peer::Acked(wire));
    service::compile(
        entry("once", &plain.place.endpoint(), None, "")
            + &entry(
                "acked",
                &acking.place.endpoint(),
                None,
                "delivery = \"at_least_once\"",
            ),
    );
    let runtime = support::current_thread();
    runtime.block_on(async {
        once().connect().await.expect("a reader");
        acked().connect().await.expect("a reader");
    });
    let (mut plain_sent, mut acked_sent) = (0, 0);
    table::question("at least once against at most once, 256 B, Unix socket, one sender");
    let outcomes = interleave(
        support::rounds(25),
        &mut [
            Contender {
                name: "at most once",
                run: Box::new(|| {
                    flood(
                        &runtime,
                        &plain,
                        &mut plain_sent,
                        COALESCED,
                        wire as u64,
                        1,
                        once(),
                        || Message::new(&PAYLOAD[..BYTES]),
                    )
                }),
            },
            Contender {
                name: "at least once",
                run: Box::new(|| {
                    flood(
                        &runtime,
                        &acking,
                        &mut acked_sent,
                        COALESCED,
                        wire as u64,
                        1,
                        acked(),
                        || Message::new(&PAYLOAD[..BYTES]),
                    )
                }),
            },
        ],
    );
    table::floods("at_least_once", "one sender", &outcomes);
    table::verdict(
        "at_least_once",
        "at least once, times at most once",
        outcomes[1].ratio,
        2,
        Target::AtLeast(0.6),
    );
}
