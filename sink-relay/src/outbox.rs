//! Bytes on their way to one peer: control frames gathered, chunks shared, written with as few calls as fit.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use sink_runtime::transport::Wire;

/// Chunks up to this size are copied behind one another: cheaper than a slice of their own in a vectored write.
const COPIED_BYTES: usize = 4 * 1024;
/// Slices handed to one vectored write.
const SLICES: usize = 32;

/// What is to be written. Whoever fills it looks at [`Outbox::bytes`]: it bounds nothing itself.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Bytes>,
    /// Behind the queue.
    gathered: BytesMut,
    frame: Vec<u8>,
    bytes: usize,
}

/// How a write went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing is left.
    All,
    /// The peer's side is full.
    Blocked,
}

// === impl Outbox ===

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a frame that `encode` writes.
    pub(crate) fn control(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.frame.clear();
        encode(&mut self.frame);
        self.bytes += self.frame.len();
        self.gathered.extend_from_slice(&self.frame);
    }

    /// Appends whole frames, copied where they are few.
    pub(crate) fn share(&mut self, data: Bytes) {
        self.bytes += data.len();
        if data.len() <= COPIED_BYTES {
            self.gathered.extend_from_slice(&data);
        } else {
            self.seal();
            self.queue.push_back(data);
        }
    }

    /// Writes until nothing is left or nothing fits; how many bytes went, and how it ended.
    ///
    /// # Errors
    /// What the wire says.
    pub(crate) fn write(&mut self, wire: &dyn Wire) -> io::Result<(usize, Written)> {
        self.seal();
        let before = self.bytes;
        while self.bytes > 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut count = 0;
            for (slice, data) in slices.iter_mut().zip(&self.queue) {
                *slice = IoSlice::new(data);
                count += 1;
            }
            match wire.try_write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((before - self.bytes, Written::Blocked));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok((before, Written::All))
    }

    fn seal(&mut self) {
        if !self.gathered.is_empty() {
            self.queue.push_back(self.gathered.split().freeze());
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(front) = self.queue.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.queue.pop_front();
        }
    }
}
