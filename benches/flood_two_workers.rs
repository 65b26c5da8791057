//! How many messages a second do eight tasks on two workers send through one sink, against one blocking `write_all` each?

use sink_runtime::{Message, MessageSink};

mod support;
use support::baseline::{self, round};
use support::flood::{COALESCED, FRAMING, RAW, flood};
use support::reader::{Peer, Reader, Stream};
use support::rounds::{Contender, interleave};
use support::service::{self, entry};
use support::table::{self, Target};
use support::{BYTES, PAYLOAD};

service!(untyped, Untyped, Message);

fn main() {
    let directory = support::reader::directory();
    let raw = Reader::unix(directory.path(), "raw", Peer::Raw);
    let sink = Reader::unix(directory.path(), "untyped", Peer::Sink);
    service::compile(entry("untyped", &sink.place.endpoint(), None, ""));
    let runtime = support::multi_thread(2);
    let mut stream = Stream::connect(&raw.place);
    runtime.block_on(untyped().connect()).expect("a reader");
    let (mut raw_sent, mut sink_sent) = (0, 0);
    table::question("flood, two workers, eight senders, 256 B, Unix socket");
    let outcomes = interleave(
        support::rounds(25),
        &mut [
            Contender {
                name: "blocking write_all per message",
                run: Box::new(|| {
                    round(&raw, &mut raw_sent, RAW, BYTES as u64, || {
                        baseline::blocking(&mut stream, &PAYLOAD[..BYTES], RAW);
                    })
                }),
            },
            Contender {
                name: "sink, untyped message",
                run: Box::new(|| {
                    let wire = (BYTES + FRAMING) as u64;
                    flood(
                        &runtime,
                        &sink,
                        &mut sink_sent,
                        COALESCED,
                        wire,
                        8,
                        untyped(),
                        || Message::new(&PAYLOAD[..BYTES]),
                    )
                }),
            },
        ],
    );
    table::floods("flood_two_workers", "two workers, eight senders", &outcomes);
    table::verdict(
        "flood_two_workers",
        "two workers, eight senders, times a blocking write_all",
        outcomes[1].ratio,
        2,
        Target::AtLeast(11.0),
    );
}
