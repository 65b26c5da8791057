//! How many messages a second go through one sink on a current-thread runtime, against one blocking `write_all` each?
//! Unix socket, 256 B, the reader a blocking thread; one sender, then eight.

use sink_runtime::{Message, MessageSink};

mod support;
use support::baseline::{self, TokioStream, round};
use support::flood::{COALESCED, FRAMING, RAW, flood};
use support::reader::{Peer, Reader, Stream};
use support::rounds::{Contender, interleave};
use support::service::{self, Block, entry};
use support::table::{self, Target};
use support::{BYTES, PAYLOAD};

service!(untyped, Untyped, Message);
service!(typed, Typed, Block<BYTES>);

fn main() {
    let directory = support::reader::directory();
    let reader = |name, peer| Reader::unix(directory.path(), name, peer);
    let (raw, tokio, ceiling, channel) = (
        reader("raw", Peer::Raw),
        reader("tokio", Peer::Raw),
        reader("ceiling", Peer::Raw),
        reader("channel", Peer::Raw),
    );
    let (sink, block) = (reader("untyped", Peer::Sink), reader("typed", Peer::Sink));
    service::compile(
        entry("untyped", &sink.place.endpoint(), None, "")
            + &entry("typed", &block.place.endpoint(), Some("Block"), ""),
    );
    let runtime = support::current_thread();
    let message: &'static [u8] = &PAYLOAD[..BYTES];
    let (mut raw_stream, mut ceiling_stream) =
        (Stream::connect(&raw.place), Stream::connect(&ceiling.place));
    let (mut tokio_stream, (sender, mut channel_written)) = runtime.block_on(async {
        untyped().connect().await.expect("a reader");
        typed().connect().await.expect("a reader");
        let stream = TokioStream::connect(&channel.place).await;
        (
            TokioStream::connect(&tokio.place).await,
            baseline::channel_and_writer(stream, message),
        )
    });
    let sender: &'static _ = Box::leak(Box::new(sender));
    let mut channel_total = 0;
    let wire = (BYTES + FRAMING) as u64;
    let mut sent = [0u64; 6];
    let [
        raw_sent,
        tokio_sent,
        ceiling_sent,
        channel_sent,
        sink_sent,
        block_sent,
    ] = &mut sent;

    table::question("flood, current-thread runtime, 256 B, Unix socket");
    for senders in [1, 8] {
        let mut contenders = vec![
            Contender {
                name: "blocking write_all per message",
                run: Box::new(|| {
                    round(&raw, raw_sent, RAW, BYTES as u64, || {
                        baseline::blocking(&mut raw_stream, message, RAW);
                    })
                }),
            },
            Contender {
                name: "tokio write_all per message",
                run: Box::new(|| {
                    round(&tokio, tokio_sent, RAW, BYTES as u64, || {
                        runtime.block_on(async {
                            for _ in 0..RAW {
                                tokio_stream.write_all(message).await;
                            }
                        });
                    })
                }),
            },
            Contender {
                name: "one 64 KiB buffered writer (the ceiling)",
                run: Box::new(|| {
                    round(&ceiling, ceiling_sent, COALESCED, BYTES as u64, || {
                        baseline::buffered(&mut ceiling_stream, message, COALESCED);
                    })
                }),
            },
            Contender {
                name: "channel and writer task",
                run: Box::new(|| {
                    round(&channel, channel_sent, COALESCED, BYTES as u64, || {
                        runtime.block_on(each(senders, COALESCED, move || async move {
                            sender.send(message).await.expect("a writer");
                        }));
                        // The writer runs on this runtime: it is not left before it has written all.
                        channel_total += COALESCED * BYTES as u64;
                        let all = |total: &u64| *total == channel_total;
                        let written = runtime.block_on(channel_written.wait_for(all));
                        assert!(written.is_ok(), "a writer");
                    })
                }),
            },
            Contender {
                name: "sink, untyped message",
                run: Box::new(|| {
                    flood(
                        &runtime,
                        &sink,
                        sink_sent,
                        COALESCED,
                        wire,
                        senders,
                        untyped(),
                        || Message::new(&PAYLOAD[..BYTES]),
                    )
                }),
            },
            Contender {
                name: "sink, typed message",
                run: Box::new(|| {
                    flood(
                        &runtime,
                        &block,
                        block_sent,
                        COALESCED,
                        wire,
                        senders,
                        typed(),
                        || Block([0x5a; BYTES]),
                    )
                }),
            },
        ];
        let outcomes = interleave(support::rounds(25), &mut contenders);
        drop(contenders);
        let case = if senders == 1 {
            "one sender"
        } else {
            "eight senders"
        };
        table::floods("flood", case, &outcomes);
        let target = if senders == 1 { 14.5 } else { 15.0 };
        table::verdict(
            "flood",
            &format!("{case}, times a blocking write_all"),
            outcomes[4].ratio,
            2,
            Target::AtLeast(target),
        );
        table::verdict(
            "flood",
            &format!("{case}, CPU per message"),
            outcomes[4].cpu,
            3,
            Target::AtMost(0.06),
        );
    }
}

/// Shares `messages` among `senders` tasks.
async fn each<F: Future<Output = ()> + Send + 'static>(
    senders: u64,
    messages: u64,
    one: impl Fn() -> F + Copy + Send + 'static,
) {
    if senders == 1 {
        for _ in 0..messages {
            one().await;
        }
        return;
    }
    let tasks: Vec<_> = (0..senders)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..messages / senders {
                    one().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a sender");
    }
}
