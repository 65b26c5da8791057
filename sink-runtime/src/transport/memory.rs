//! Byte streams inside this process: `inproc://` relays, and the wires that tests cut and stall.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, LazyLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};

use super::{Endpoint, Listen, Wire};
use crate::sync::{Mutex, MutexGuard};

/// What one direction holds before a writer must wait, as a socket buffer would.
pub const CAPACITY: usize = 256 * 1024;
/// Connections that wait to be accepted; more are refused.
const BACKLOG: usize = 1024;

#[derive(Debug, Default)]
struct Pipe {
    bytes: BytesMut,
    closed: bool,
    capacity: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a byte stream in memory.
#[derive(Debug)]
pub struct MemoryWire {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
}

/// Two connected ends; each direction holds `capacity` bytes.
#[must_use]
pub fn pair(capacity: usize) -> (MemoryWire, MemoryWire) {
    let pipe = || {
        Arc::new(Mutex::new(Pipe {
            capacity,
            ..Pipe::default()
        }))
    };
    let (there, back) = (pipe(), pipe());
    (
        MemoryWire {
            incoming: Arc::clone(&back),
            outgoing: Arc::clone(&there),
        },
        MemoryWire {
            incoming: there,
            outgoing: back,
        },
    )
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire for MemoryWire {
    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let mut pipe = lock(&self.incoming);
        if pipe.bytes.is_empty() {
            return if pipe.closed {
                Ok(0)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
        }
        let count = pipe
            .bytes
            .len()
            .min((buffer.capacity() - buffer.len()).max(1));
        buffer.extend_from_slice(&pipe.bytes[..count]);
        pipe.bytes.advance(count);
        let writer = pipe.writer.take();
        drop(pipe);
        writer.into_iter().for_each(Waker::wake);
        Ok(count)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = lock(&self.outgoing);
        if pipe.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes
            .len()
            .min(pipe.capacity.saturating_sub(pipe.bytes.len()));
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.bytes.extend_from_slice(&bytes[..count]);
        let reader = pipe.reader.take();
        drop(pipe);
        reader.into_iter().for_each(Waker::wake);
        Ok(count)
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.incoming);
        if pipe.closed || !pipe.bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        pipe.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.outgoing);
        if pipe.closed || pipe.bytes.len() < pipe.capacity {
            return Poll::Ready(Ok(()));
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for MemoryWire {
    fn drop(&mut self) {
        for pipe in [&self.incoming, &self.outgoing] {
            let mut pipe = lock(pipe);
            pipe.closed = true;
            let (reader, writer) = (pipe.reader.take(), pipe.writer.take());
            drop(pipe);
            reader.into_iter().chain(writer).for_each(Waker::wake);
        }
    }
}

#[derive(Debug, Default)]
struct Backlog {
    waiting: VecDeque<MemoryWire>,
    acceptor: Option<Waker>,
}

static LISTENERS: LazyLock<Mutex<HashMap<String, Arc<Mutex<Backlog>>>>> =
    LazyLock::new(Mutex::default);

fn listeners() -> MutexGuard<'static, HashMap<String, Arc<Mutex<Backlog>>>> {
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects to the listener of this name in this process.
///
/// # Errors
/// `ConnectionRefused` if nobody listens under that name, or too many wait already.
pub fn dial(name: &str) -> io::Result<Arc<dyn Wire>> {
    let backlog = listeners()
        .get(name)
        .cloned()
        .ok_or(io::ErrorKind::ConnectionRefused)?;
    let (near, far) = pair(CAPACITY);
    let mut queue = backlog.lock().unwrap_or_else(PoisonError::into_inner);
    if queue.waiting.len() >= BACKLOG {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    queue.waiting.push_back(far);
    let acceptor = queue.acceptor.take();
    drop(queue);
    acceptor.into_iter().for_each(Waker::wake);
    Ok(Arc::new(near))
}

/// Listens under a name in this process.
#[derive(Debug)]
pub struct MemoryListen {
    name: String,
    backlog: Arc<Mutex<Backlog>>,
}

impl MemoryListen {
    /// Takes the name.
    ///
    /// # Errors
    /// `AddrInUse` if somebody in this process listens under it.
    pub fn bind(name: &str) -> io::Result<Self> {
        let mut all = listeners();
        if all.contains_key(name) {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("inproc://{name} is already bound in this process"),
            ));
        }
        let backlog = Arc::<Mutex<Backlog>>::default();
        all.insert(name.to_owned(), Arc::clone(&backlog));
        Ok(Self {
            name: name.to_owned(),
            backlog,
        })
    }
}

impl Listen for MemoryListen {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Wire>>> {
        let mut queue = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wire) = queue.waiting.pop_front() {
            return Poll::Ready(Ok(Arc::new(wire)));
        }
        queue.acceptor = Some(cx.waker().clone());
        Poll::Pending
    }

    fn local_endpoint(&self) -> Endpoint {
        Endpoint::Inproc(self.name.clone())
    }
}

impl Drop for MemoryListen {
    fn drop(&mut self) {
        listeners().remove(&self.name);
    }
}
