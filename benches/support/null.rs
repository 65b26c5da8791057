//! A carrier that answers the hello and then discards what it is given: what is left is the library's own cost.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use sink_runtime::frame::Welcome;
use sink_runtime::transport::Wire;
use sink_runtime::{Carrier, Dialing};

/// Serves `null://`.
pub static CARRIER: Carrier = Carrier {
    schemes: &["null"],
    dial,
};

fn dial(_: &sink_runtime::transport::Target) -> Dialing<'_> {
    Box::pin(async { Ok(Arc::new(Null::default()) as Arc<dyn Wire>) })
}

/// Takes everything.
#[derive(Debug, Default)]
pub struct Null {
    welcomed: AtomicBool,
}

impl Wire for Null {
    fn try_read(&self, buffer: &mut bytes::BytesMut) -> io::Result<usize> {
        if self.welcomed.swap(true, Ordering::Relaxed) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let welcome = welcome_bytes();
        buffer.extend_from_slice(&welcome);
        Ok(welcome.len())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.welcomed.load(Ordering::Relaxed) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The answer to a hello.
pub fn welcome_bytes() -> Vec<u8> {
    let mut out = Vec::new();
    Welcome {
        max_frame_bytes: 1024 * 1024,
        ..Welcome::default()
    }
    .encode(&mut out);
    out
}
