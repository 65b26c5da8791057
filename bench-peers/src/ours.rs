//! The sink, and what one writes by hand: the paths of `benches/flood.rs` and `benches/latency.rs`, on the same readers.

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use sink_runtime::{Direct, Lazy, LeafService, Message, MessageSink};

use crate::peer::{Bind, Doing, Flood, Receive, Single, stamp};
use crate::support::baseline::{TokioStream, blocking};
use crate::support::reader::{Stream, welcome};
use crate::support::service::registry;
use crate::support::{self, BYTES, PAYLOAD};

/// One blocking `write_all` per message.
pub struct Blocking(pub Stream);

impl Flood for Blocking {
    fn flood(&mut self, messages: u64) -> Doing<'_> {
        Box::pin(async move { blocking(&mut self.0, &PAYLOAD[..BYTES], messages) })
    }
}

/// One `write_all` of tokio's.
pub struct ByHand(pub TokioStream);

impl Single for ByHand {
    fn one(&mut self, message: [u8; BYTES]) -> Doing<'_> {
        Box::pin(async move { self.0.write_all(&message).await })
    }
}

/// A sink as the generator prints it.
pub struct Generated<S: 'static>(pub &'static Lazy<Direct<Message, S>>);

impl<S: LeafService<Message>> Flood for Generated<S> {
    fn flood(&mut self, messages: u64) -> Doing<'_> {
        Box::pin(async move {
            for _ in 0..messages {
                let _ = self
                    .0
                    .send(Message::new(&PAYLOAD[..BYTES]))
                    .await
                    .expect("room");
            }
            self.0.flush().await.expect("a reader");
        })
    }
}

impl<S: LeafService<Message>> Single for Generated<S> {
    fn one(&mut self, message: [u8; BYTES]) -> Doing<'_> {
        Box::pin(async move {
            let _ = self
                .0
                .send(Message::new(message.to_vec()))
                .await
                .expect("room");
        })
    }
}

/// A blocking reader that looks at the time only.
struct Bytes {
    listener: UnixListener,
    stream: Option<UnixStream>,
    buffer: Vec<u8>,
    /// Bytes before the payload: none, or a sink's, which says hello first.
    framing: usize,
}

/// Reads what comes to a socket; the connection is made with the first message.
pub fn reader(path: PathBuf, framing: usize) -> Bind {
    let listener = UnixListener::bind(path).expect("a free path");
    Box::new(move || {
        Box::new(Bytes {
            listener,
            stream: None,
            buffer: vec![0; BYTES + framing],
            framing,
        })
    })
}

impl Receive for Bytes {
    fn next(&mut self) -> Option<u64> {
        let stream = self.stream.get_or_insert_with(|| {
            let (mut stream, _) = self.listener.accept().expect("a connection");
            if self.framing > 0 {
                welcome(&mut stream);
            }
            stream
        });
        stream.read_exact(&mut self.buffer).ok()?;
        Some(stamp(&self.buffer[self.framing..]))
    }
}

/// A source of the library's, one message at a time.
struct Source {
    runtime: tokio::runtime::Runtime,
    source: sink_runtime::Source<Message>,
}

/// Receives `service` through the library.
pub fn source(service: &'static str) -> Bind {
    Box::new(move || {
        let runtime = support::current_thread();
        let source = runtime.block_on(async {
            let mut source = registry()
                .source::<Message>(service)
                .expect("it is registered");
            source.start().await.expect("a free path");
            source
        });
        Box::new(Source { runtime, source })
    })
}

impl Receive for Source {
    fn next(&mut self) -> Option<u64> {
        let received = self.runtime.block_on(self.source.recv())?;
        Some(stamp(received.expect("a message").payload()))
    }
}
