//! Is `inproc://` at least as fast as tokio's own channel? Typed, no bytes in between, two threads with a runtime each.

use sink_runtime::MessageSink;

mod support;
use support::BYTES;
use support::baseline::round;
use support::flood::flood;
use support::reader::{Place, Reader, Take};
use support::rounds::{Contender, interleave};
use support::service::{self, Block, entry};
use support::table::{self, Target};

service!(typed, Typed, Block<BYTES>);
service!(word, Word, Block<8>);
service!(typed_many, TypedMany, Block<BYTES>);
service!(word_many, WordMany, Block<8>);

const MESSAGES: u64 = 200_000;

fn main() {
    service::compile(
        entry("typed", "inproc://bench-typed", Some("Block"), "")
            + &entry("word", "inproc://bench-word", Some("Block"), "")
            + &entry("typed_many", "inproc://bench-typed-many", Some("Block"), "")
            + &entry("word_many", "inproc://bench-word-many", Some("Block"), ""),
    );
    let nowhere = || Place::Unix(std::path::PathBuf::new());
    let blocks = [
        Reader::source::<Block<BYTES>>(nowhere(), "typed", Take::Batch),
        Reader::source::<Block<BYTES>>(nowhere(), "typed_many", Take::Many),
    ];
    let words = [
        Reader::source::<Block<8>>(nowhere(), "word", Take::Batch),
        Reader::source::<Block<8>>(nowhere(), "word_many", Take::Many),
    ];
    let runtime = support::current_thread();
    runtime.block_on(async {
        typed().connect().await.expect("a source");
        word().connect().await.expect("a source");
        typed_many().connect().await.expect("a source");
        word_many().connect().await.expect("a source");
    });
    table::question("inproc against tokio's mpsc, typed, two threads");
    macro_rules! case {
        ($name:literal, $size:expr, $sink:ident, $many_sink:ident, $readers:ident) => {{
            let (one_by_one, one_reader) = channel::<$size>(1);
            let (many, many_reader) = channel::<$size>(1024);
            let mut sent = [0u64; 4];
            let [one_sent, many_sent, sink_sent, sink_many_sent] = &mut sent;
            let through = |reader: &Reader,
                           sender: &tokio::sync::mpsc::Sender<Block<$size>>,
                           sent: &mut u64| {
                round(reader, sent, MESSAGES, 1, || {
                    runtime.block_on(async {
                        for _ in 0..MESSAGES {
                            let sent = sender.send(Block([0x5a; $size])).await;
                            assert!(sent.is_ok(), "a receiver");
                        }
                    });
                })
            };
            let outcomes = interleave(
                support::rounds(21),
                &mut [
                    Contender {
                        name: "tokio mpsc, recv",
                        run: Box::new(|| through(&one_reader, &one_by_one, one_sent)),
                    },
                    Contender {
                        name: "tokio mpsc, recv_many",
                        run: Box::new(|| through(&many_reader, &many, many_sent)),
                    },
                    Contender {
                        name: "sink into recv_batch",
                        run: Box::new(|| {
                            flood(
                                &runtime,
                                &$readers[0],
                                sink_sent,
                                MESSAGES,
                                1,
                                1,
                                $sink(),
                                || Block([0x5a; $size]),
                            )
                        }),
                    },
                    Contender {
                        name: "sink into recv_many",
                        run: Box::new(|| {
                            flood(
                                &runtime,
                                &$readers[1],
                                sink_many_sent,
                                MESSAGES,
                                1,
                                1,
                                $many_sink(),
                                || Block([0x5a; $size]),
                            )
                        }),
                    },
                ],
            );
            table::floods("inproc", $name, &outcomes);
            outcomes[2].ratio
        }};
    }
    let small = case!("8 B", 8, word, word_many, words);
    case!("256 B", BYTES, typed, typed_many, blocks);
    table::verdict(
        "inproc",
        "inproc, 8 B, times tokio's mpsc",
        small,
        2,
        Target::AtLeast(1.0),
    );
}

/// tokio's channel with a receiver on a thread of its own, taking `at_once`.
fn channel<const N: usize>(at_once: usize) -> (tokio::sync::mpsc::Sender<Block<N>>, Reader) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Block<N>>(10_000);
    let reader = Reader::counting(move |reached| {
        support::current_thread().block_on(async move {
            let (mut batch, mut total) = (Vec::with_capacity(at_once), 0);
            if at_once == 1 {
                while receiver.recv().await.is_some() {
                    total += 1;
                    reached(total);
                }
                return;
            }
            loop {
                let count = receiver.recv_many(&mut batch, at_once).await;
                if count == 0 {
                    return;
                }
                batch.clear();
                total += count as u64;
                reached(total);
            }
        });
    });
    (sender, reader)
}
