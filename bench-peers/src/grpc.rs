//! gRPC: a client stream of tonic's over a Unix socket, protobuf messages with one field of bytes.
//!
//! - A stream, because gRPC's performance guide says so for a long-lived flow; one channel and one stub, used again.
//! - The field is `Bytes`, prost's own choice for payloads that are not to be copied.
//! - HTTP/2 windows of 1 MiB on both sides, frames of 64 KiB: of the library's own, 1 MiB and 4 MiB the ones with the least CPU per
//!   message (596, 509 and 596 ns in one run). A channel of 128 or 10,000 messages, an iterator in its place, or a runtime of one
//!   or two workers changed that figure by less than its spread.
//! - The client runs on the bench's current-thread runtime and the server on one of the reading thread's: a thread for each
//!   end, as for every path here.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::peer::{Bind, Doing, Flood, Receive, Single, stamp};
use crate::support::{self, BYTES, PAYLOAD};

include!(concat!(env!("OUT_DIR"), "/peers.Flow.rs"));
use flow_client::FlowClient;
use flow_server::{Flow, FlowServer};

const WINDOW: u32 = 1024 * 1024;
const FRAME: u32 = 64 * 1024;
/// Messages between a sender and the stream that it feeds.
const CHANNEL: usize = 1024;

/// The message, as prost writes it for `bytes payload = 1;`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Block {
    #[prost(bytes = "bytes", tag = "1")]
    pub payload: bytes::Bytes,
}

/// What runs.
pub fn about() -> String {
    format!(
        "tonic {}, a client stream over a Unix socket",
        crate::locked("tonic")
    )
}

/// Both ends of one connection. The server listens at once; it answers when its thread comes to it.
pub fn connection(runtime: &Runtime, directory: &Path, name: &str) -> (Stub, Bind) {
    let path = directory.join(format!("{name}.grpc"));
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a free path");
    listener.set_nonblocking(true).expect("a socket option");
    let stub = runtime.block_on(Stub::connect(path));
    let bind = move || Box::new(Calls::serve(listener)) as Box<dyn Receive>;
    (stub, Box::new(bind))
}

pub struct Stub {
    client: FlowClient<Channel>,
    /// Feeds the call that stays open for single messages.
    open: Option<mpsc::Sender<Block>>,
}

impl Stub {
    async fn connect(path: PathBuf) -> Self {
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The address is not used: the connector knows the socket.
        let channel = Endpoint::from_static("http://unix")
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .connect_with_connector(connector)
            .await
            .expect("a server that listens");
        Self {
            client: FlowClient::new(channel),
            open: None,
        }
    }
}

impl Flood for Stub {
    /// One call for the whole flood; its answer says that the server has all of it.
    fn flood(&mut self, messages: u64) -> Doing<'_> {
        Box::pin(async move {
            let (sender, receiver) = mpsc::channel(CHANNEL);
            let feed = async move {
                for _ in 0..messages {
                    let payload = bytes::Bytes::from_static(&PAYLOAD[..BYTES]);
                    sender.send(Block { payload }).await.expect("a call");
                }
            };
            let call = self.client.put(ReceiverStream::new(receiver));
            let (answer, ()) = tokio::join!(call, feed);
            answer.expect("an answer");
        })
    }
}

impl Single for Stub {
    fn one(&mut self, message: [u8; BYTES]) -> Doing<'_> {
        Box::pin(async move {
            let open = self.open.get_or_insert_with(|| {
                let (sender, receiver) = mpsc::channel(CHANNEL);
                let mut client = self.client.clone();
                tokio::spawn(async move {
                    let _ = client.put(ReceiverStream::new(receiver)).await;
                });
                sender
            });
            let payload = bytes::Bytes::copy_from_slice(&message);
            open.send(Block { payload }).await.expect("a call");
        })
    }
}

/// A call as the server hands it to the reading thread; the sender answers it.
type Call = (Streaming<Block>, oneshot::Sender<()>);

struct Handler(mpsc::Sender<Call>);

#[tonic::async_trait]
impl Flow for Handler {
    async fn put(&self, request: Request<Streaming<Block>>) -> Result<Response<Block>, Status> {
        let (done, ended) = oneshot::channel();
        let gone = || Status::unavailable("nobody reads any more");
        let call = (request.into_inner(), done);
        self.0.send(call).await.map_err(|_| gone())?;
        ended.await.map_err(|_| gone())?;
        Ok(Response::new(Block::default()))
    }
}

struct Calls {
    runtime: Runtime,
    calls: mpsc::Receiver<Call>,
    open: Option<Call>,
}

impl Calls {
    fn serve(listener: std::os::unix::net::UnixListener) -> Self {
        let (sender, calls) = mpsc::channel(1);
        let runtime = support::current_thread();
        runtime.spawn(async move {
            let listener =
                UnixListener::from_std(listener).expect("a listener that does not block");
            Server::builder()
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_frame_size(FRAME)
                .add_service(FlowServer::new(Handler(sender)))
                .serve_with_incoming(UnixListenerStream::new(listener))
                .await
                .expect("a server");
        });
        Self {
            runtime,
            calls,
            open: None,
        }
    }
}

impl Receive for Calls {
    fn next(&mut self) -> Option<u64> {
        let (calls, open) = (&mut self.calls, &mut self.open);
        self.runtime.block_on(async {
            if open.is_none() {
                *open = calls.recv().await;
            }
            let (stream, _) = open.as_mut()?;
            let block = stream.message().await.ok()??;
            Some(stamp(&block.payload))
        })
    }

    fn count(&mut self, told: &dyn Fn(u64)) {
        let calls = &mut self.calls;
        self.runtime.block_on(async {
            let mut total = 0;
            while let Some((mut stream, done)) = calls.recv().await {
                while let Some(block) = stream.message().await.expect("a client") {
                    assert_eq!(block.payload.len(), BYTES);
                    total += 1;
                    told(total);
                }
                let _ = done.send(());
            }
        });
    }
}
