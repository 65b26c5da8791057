//! A wire to a peer of a foreign framing that looks, from this side, as if one of ours were at the other end: it welcomes at
//! once, takes our frames and never says anything. What a foreign peer sends is read and passed over.

use std::io::{self, IoSlice};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use bytes::BytesMut;

use crate::foreign::{Framing, Outward, Parts};
use crate::frame::{FrameError, MAX_FRAME_LIMIT, Welcome};
use crate::preamble::Preamble;
use crate::sync::{AtomicBool, Mutex};

use std::future::poll_fn;
use std::sync::atomic::Ordering;

use super::{BoxFuture, Dial, Target, Wire};

/// What is read of a foreign peer at a time, and passed over.
const WASTE: usize = 4 * 1024;

/// Dials peers of a foreign framing; a connection stands once the preamble is written.
pub(crate) struct ForeignDial {
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) framing: Framing,
    pub(crate) preamble: Preamble,
}

impl Dial for ForeignDial {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Arc<dyn Wire>>> {
        Box::pin(async move {
            let preamble = self.preamble.resolve()?;
            let wire = self.dial.dial(target).await?;
            write_all(&*wire, &preamble).await?;
            Ok(Arc::new(ForeignWire::new(wire, self.framing)) as Arc<dyn Wire>)
        })
    }
}

async fn write_all(wire: &dyn Wire, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match wire.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| wire.poll_writable(cx)).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// See the module.
#[derive(Debug)]
struct ForeignWire {
    wire: Arc<dyn Wire>,
    outward: Mutex<Outward>,
    welcomed: AtomicBool,
    waste: Mutex<BytesMut>,
}

impl ForeignWire {
    fn new(wire: Arc<dyn Wire>, framing: Framing) -> Self {
        Self {
            wire,
            outward: Mutex::new(Outward::new(framing)),
            welcomed: AtomicBool::new(false),
            waste: Mutex::default(),
        }
    }

    /// Writes frames of ours, and says how many bytes of ours that used up.
    fn write(&self, ours: [&[u8]; 2]) -> io::Result<usize> {
        let mut outward = self.outward.lock().unwrap_or_else(PoisonError::into_inner);
        let Parts { head, body, end } = outward.parts(ours).map_err(not_a_frame)?;
        let count = if !body.is_empty() {
            let slices = [head, body, end].map(IoSlice::new);
            self.wire.try_write_vectored(&slices)?
        } else if !head.is_empty() {
            self.wire.try_write(head)?
        } else {
            0
        };
        Ok(outward.wrote(count))
    }
}

fn not_a_frame(error: FrameError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Wire for ForeignWire {
    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        if !self.welcomed.swap(true, Ordering::AcqRel) {
            let mut welcome = Vec::new();
            Welcome {
                max_frame_bytes: MAX_FRAME_LIMIT,
                ..Welcome::default()
            }
            .encode(&mut welcome);
            buffer.extend_from_slice(&welcome);
            return Ok(welcome.len());
        }
        let mut waste = self.waste.lock().unwrap_or_else(PoisonError::into_inner);
        waste.clear();
        waste.reserve(WASTE);
        match self.wire.try_read(&mut waste)? {
            0 => Ok(0),
            // Nothing for us; whether there is more the next look tells.
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write([bytes, &[]])
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [head, tail, ..] => self.write([head, tail]),
            [head] => self.write([head, &[]]),
            [] => Ok(0),
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.welcomed.load(Ordering::Acquire) {
            self.wire.poll_readable(cx)
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_writable(cx)
    }

    fn peer(&self) -> Option<String> {
        self.wire.peer()
    }
}
