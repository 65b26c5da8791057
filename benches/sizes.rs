//! How does the gain depend on the message's size and the transport? 64 B to 64 KiB over a Unix socket, 256 B over TCP loopback.

use sink_runtime::{Message, MessageSink};

mod support;
use support::PAYLOAD;
use support::baseline::{self, round};
use support::flood::{FRAMING, flood};
use support::reader::{Peer, Reader, Stream};
use support::rounds::{Contender, interleave};
use support::service::{self, entry};
use support::table::{self, Target};

service!(small, Small, Message);
service!(medium, Medium, Message);
service!(middling, Middling, Message);
service!(large, Large, Message);
service!(tcp, Tcp, Message);

fn main() {
    let directory = support::reader::directory();
    let unix = |name, peer| Reader::unix(directory.path(), name, peer);
    let sinks = [
        unix("small", Peer::Sink),
        unix("medium", Peer::Sink),
        unix("large", Peer::Sink),
        Reader::tcp(Peer::Sink),
        unix("middling", Peer::Sink),
    ];
    let raws = [
        unix("raw_small", Peer::Raw),
        unix("raw_medium", Peer::Raw),
        unix("raw_large", Peer::Raw),
        Reader::tcp(Peer::Raw),
        unix("raw_middling", Peer::Raw),
    ];
    let names = ["small", "medium", "large", "tcp", "middling"];
    service::compile(
        names
            .iter()
            .zip(&sinks)
            .map(|(name, reader)| entry(name, &reader.place.endpoint(), None, ""))
            .collect(),
    );
    let runtime = support::current_thread();
    runtime.block_on(async {
        small().connect().await.expect("a reader");
        medium().connect().await.expect("a reader");
        large().connect().await.expect("a reader");
        middling().connect().await.expect("a reader");
        tcp().connect().await.expect("a reader");
    });
    table::question("flood by size and transport, one sender");
    macro_rules! case {
        ($at:literal, $sink:ident, $name:literal, $size:literal, $raw:literal, $coalesced:literal) => {{
            let mut stream = Stream::connect(&raws[$at].place);
            let (mut raw_sent, mut sent) = (0, 0);
            let outcomes = interleave(
                support::rounds(11),
                &mut [
                    Contender {
                        name: "blocking write_all per message",
                        run: Box::new(|| {
                            round(&raws[$at], &mut raw_sent, $raw, $size, || {
                                baseline::blocking(&mut stream, &PAYLOAD[..$size], $raw);
                            })
                        }),
                    },
                    Contender {
                        name: "sink, untyped message",
                        run: Box::new(|| {
                            let wire = $size + FRAMING as u64;
                            flood(
                                &runtime,
                                &sinks[$at],
                                &mut sent,
                                $coalesced,
                                wire,
                                1,
                                $sink(),
                                || Message::new(&PAYLOAD[..$size]),
                            )
                        }),
                    },
                ],
            );
            table::floods("sizes", $name, &outcomes);
            outcomes[1].ratio
        }};
    }
    case!(0, small, "64 B, Unix socket", 64, 20_000, 200_000);
    case!(1, medium, "1 KiB, Unix socket", 1024, 20_000, 100_000);
    case!(4, middling, "16 KiB, Unix socket", 16_384, 4_000, 4_000);
    let ratio = case!(2, large, "64 KiB, Unix socket", 65_536, 2_000, 2_000);
    case!(3, tcp, "256 B, TCP loopback", 256, 10_000, 200_000);
    table::verdict(
        "sizes",
        "64 KiB, times a blocking write_all",
        ratio,
        2,
        Target::AtLeast(1.0),
    );
}
