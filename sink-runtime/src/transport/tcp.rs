//! TCP, on loopback unless the registry says that plaintext may leave the machine.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream, lookup_host};

use super::{Endpoint, Listen, Wire};

#[derive(Debug)]
struct TcpWire(TcpStream);

socket_wire!(TcpWire, |stream: &TcpStream| {
    stream.peer_addr().ok().map(|address| address.to_string())
}, lingers: true);

/// Connects to the first address of `host` that answers.
pub(super) async fn dial(
    host: &str,
    port: u16,
    insecure_plaintext: bool,
) -> io::Result<Arc<dyn Wire>> {
    let mut last = None;
    for address in permitted(host, port, insecure_plaintext).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Frames are coalesced already; Nagle would only hold back the last one.
                stream.set_nodelay(true)?;
                stream.writable().await?;
                return Ok(Arc::new(TcpWire(stream)));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))
    }))
}

async fn permitted(host: &str, port: u16, insecure_plaintext: bool) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    if let Some(outside) = addresses
        .iter()
        .find(|address| !insecure_plaintext && !address.ip().is_loopback())
    {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{host} is {outside}, which is not loopback: plaintext stays on this machine unless insecure_plaintext = true"
            ),
        ));
    }
    Ok(addresses)
}

/// Listens on a TCP port.
#[derive(Debug)]
pub(super) struct TcpListen {
    listener: TcpListener,
    local: SocketAddr,
}

impl TcpListen {
    pub(super) async fn bind(host: &str, port: u16, insecure_plaintext: bool) -> io::Result<Self> {
        let addresses = permitted(host, port, insecure_plaintext).await?;
        let listener = TcpListener::bind(addresses.as_slice()).await?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local })
    }
}

impl Listen for TcpListen {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Wire>>> {
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        stream.set_nodelay(true)?;
        Poll::Ready(Ok(Arc::new(TcpWire(stream))))
    }

    fn local_endpoint(&self) -> Endpoint {
        Endpoint::Tcp {
            host: self.local.ip().to_string(),
            port: self.local.port(),
        }
    }
}
