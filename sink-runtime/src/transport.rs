//! Byte streams: what a link needs of a connected stream, and how one is dialed or accepted. The kinds lie beneath.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;

pub use sink_schema::Endpoint;

/// Makes a wire of a newtype around one of tokio's streams.
///
/// A read that leaves room has emptied the socket, since readiness is told by edges here: it is noted as `WouldBlock` would be,
/// without the system call that only says so. tokio's `poll_read` does the same (tokio issue 5866).
#[cfg(any(all(unix, feature = "unix"), feature = "tcp"))]
macro_rules! socket_wire {
    ($wire:ident, $peer:expr $(, lingers: $lingers:literal)?) => {
        impl $crate::transport::Wire for $wire {
            fn try_read(&self, buffer: &mut bytes::BytesMut) -> std::io::Result<usize> {
                let would_block = std::io::ErrorKind::WouldBlock;
                let room = buffer.capacity() - buffer.len();
                let mut read = 0;
                let outcome = self.0.try_io(tokio::io::Interest::READABLE, || {
                    read = self.0.try_read_buf(buffer)?;
                    let emptied = cfg!(unix) && 0 < read && read < room;
                    if emptied {
                        Err(would_block.into())
                    } else {
                        Ok(())
                    }
                });
                match outcome {
                    Err(error) if read == 0 || error.kind() != would_block => Err(error),
                    _ => Ok(read),
                }
            }

            fn try_write(&self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.try_write(bytes)
            }

            $(
                fn lingers(&self) -> bool {
                    $lingers
                }
            )?

            fn try_write_vectored(
                &self,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.0.try_write_vectored(slices)
            }

            fn poll_readable(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.0.poll_read_ready(cx)
            }

            fn poll_writable(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.0.poll_write_ready(cx)
            }

            fn peer(&self) -> Option<String> {
                $peer(&self.0)
            }
        }
    };
}

pub(crate) mod foreign;
pub mod memory;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(all(unix, feature = "unix"))]
pub mod unix;

/// A connected byte stream. Any thread may try to write; one task alone waits for readiness.
pub trait Wire: Send + Sync + fmt::Debug {
    /// Reads what is there into `buffer`'s spare room; 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there.
    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize>;
    /// Writes as much as fits now.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Writes as much as fits now of several slices.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits.
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices
            .iter()
            .find(|slice| !slice.is_empty())
            .map_or(Ok(0), |slice| self.try_write(slice))
    }
    /// Waits until reading may succeed; only the last waker is kept.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Waits until writing may succeed; only the last waker is kept.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Whether bytes that the kernel took may still be lost when the stream is dropped: over TCP, what the peer says to an end that
    /// is closed resets the connection, and the kernel forgets what it had not yet sent.
    fn lingers(&self) -> bool {
        false
    }
    /// Who is at the other end, for people; `None` where that cannot be told.
    fn peer(&self) -> Option<String> {
        None
    }
}

/// A future on the heap: dialing is rare.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes connections; replaced in simulations.
pub trait Dial: Send + Sync + 'static {
    /// One attempt; the caller bounds it in time.
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Arc<dyn Wire>>>;
}

/// Accepts connections.
pub trait Listen: Send + fmt::Debug {
    /// Waits for the next connection.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Wire>>>;
    /// Where it listens, the port resolved.
    fn local_endpoint(&self) -> Endpoint;
}

/// Where to dial or listen, and who may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub endpoint: Endpoint,
    /// Uids besides our own that may be at the other end of a Unix socket.
    pub allow_uids: Vec<u32>,
    /// Whether TCP beyond this machine may go unencrypted.
    pub insecure_plaintext: bool,
}

impl Target {
    /// This address, our own uid only, encrypted beyond this machine.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            allow_uids: Vec::new(),
            insecure_plaintext: false,
        }
    }
}

/// Dials by the endpoint's scheme.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDial;

impl Dial for SystemDial {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Arc<dyn Wire>>> {
        Box::pin(async move {
            match &target.endpoint {
                #[cfg(all(unix, feature = "unix"))]
                Endpoint::Unix(_) | Endpoint::UnixDefault(_) => unix::dial(target).await,
                #[cfg(feature = "tcp")]
                Endpoint::Tcp { host, port } => {
                    tcp::dial(host, *port, target.insecure_plaintext).await
                }
                Endpoint::Inproc(name) => memory::dial(name),
                other => Err(not_built_in(other)),
            }
        })
    }
}

/// Listens by the endpoint's scheme.
///
/// # Errors
/// If the address is taken, not permitted or not of a kind built in.
pub async fn listen(target: &Target) -> io::Result<Box<dyn Listen>> {
    match &target.endpoint {
        #[cfg(all(unix, feature = "unix"))]
        Endpoint::Unix(_) | Endpoint::UnixDefault(_) => {
            Ok(Box::new(unix::UnixListen::bind(target)?))
        }
        #[cfg(feature = "tcp")]
        Endpoint::Tcp { host, port } => Ok(Box::new(
            tcp::TcpListen::bind(host, *port, target.insecure_plaintext).await?,
        )),
        Endpoint::Inproc(name) => Ok(Box::new(memory::MemoryListen::bind(name)?)),
        other => Err(not_built_in(other)),
    }
}

fn not_built_in(endpoint: &Endpoint) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("no carrier for {endpoint} is built in (a feature of sink-runtime)"),
    )
}
