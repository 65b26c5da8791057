//! What one writes by hand, on the same readers.

use std::io::{BufWriter, Write};
use std::time::Instant;

use tokio::io::AsyncWriteExt;

use super::reader::{Done, Place, Reader, Stream};
use super::rounds::Measure;
use super::{allocations, process_cpu};

/// Runs one round: `send` is to hand over `messages` of `wire_bytes` each; returns when the reader has them.
pub fn round(
    reader: &Reader,
    sent: &mut u64,
    messages: u64,
    wire_bytes: u64,
    send: impl FnOnce(),
) -> Measure {
    *sent += messages * wire_bytes;
    let reader_before = reader.cpu();
    reader.begin(*sent);
    let (before, allocated) = (process_cpu(), allocations());
    let begun = Instant::now();
    send();
    let Done { at, cpu } = reader.await_round();
    let used = process_cpu() - before;
    Measure {
        messages,
        wall: at - begun,
        cpu: used.saturating_sub(cpu.saturating_sub(reader_before)),
        allocations: allocations() - allocated,
    }
}

/// One blocking `write_all` per message: what the ratios are to.
pub fn blocking(stream: &mut Stream, message: &[u8], messages: u64) {
    for _ in 0..messages {
        stream.write_all(message).expect("a reader");
    }
}

/// One blocking writer with a buffer of 64 KiB: the ceiling.
pub fn buffered(stream: &mut Stream, message: &[u8], messages: u64) {
    let mut writer = BufWriter::with_capacity(64 * 1024, stream);
    for _ in 0..messages {
        writer.write_all(message).expect("a reader");
    }
    writer.flush().expect("a reader");
}

/// tokio's stream of the reader's kind.
pub enum TokioStream {
    Unix(tokio::net::UnixStream),
    Tcp(tokio::net::TcpStream),
}

impl TokioStream {
    /// Connects to a reader.
    pub async fn connect(place: &Place) -> Self {
        match place {
            Place::Unix(path) => Self::Unix(
                tokio::net::UnixStream::connect(path)
                    .await
                    .expect("a reader"),
            ),
            Place::Tcp(address) => {
                let stream = tokio::net::TcpStream::connect(address)
                    .await
                    .expect("a reader");
                stream.set_nodelay(true).expect("a socket option");
                Self::Tcp(stream)
            }
        }
    }

    /// One `write_all`.
    #[inline]
    pub async fn write_all(&mut self, message: &[u8]) {
        match self {
            Self::Unix(stream) => stream.write_all(message).await,
            Self::Tcp(stream) => stream.write_all(message).await,
        }
        .expect("a reader");
    }
}

/// A bounded channel and a task that writes what comes out of it, all that is there at once: the usual hand-written sink.
/// Beside it, how many bytes it has written.
pub fn channel_and_writer(
    mut stream: TokioStream,
    message: &'static [u8],
) -> (
    tokio::sync::mpsc::Sender<&'static [u8]>,
    tokio::sync::watch::Receiver<u64>,
) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<&'static [u8]>(10_000);
    let (written, writes) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        let (mut batch, mut out) = (Vec::new(), Vec::with_capacity(64 * 1024 + message.len()));
        while receiver.recv_many(&mut batch, 240).await > 0 {
            batch.drain(..).for_each(|one| out.extend_from_slice(one));
            stream.write_all(&out).await;
            written.send_modify(|total| *total += out.len() as u64);
            out.clear();
        }
    });
    (sender, writes)
}
