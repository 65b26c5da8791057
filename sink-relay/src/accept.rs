//! Accepts connections at one endpoint until told to stop, then sees them out.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sink_runtime::frame::RefuseCode;
use sink_runtime::transport::{Listen, Wire};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use crate::connection;
use crate::directory::{Directory, Repeats};
use crate::service::{Phase, Refusal};
use crate::settings::{DRAIN, LAST_WORDS, LINGER};

/// How long accepting rests when the system has no more descriptors or memory: long enough not to spin, short enough not to be missed.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections accepted beyond `max_connections`: strangers that have not said who they are, and producers that come back
/// before the relay has read their old connection to its end.
const GREETED_BESIDES: usize = 32;

/// A bound endpoint and what it serves.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) listener: Box<dyn Listen>,
    pub(crate) directory: Arc<Directory>,
}

/// Serves until `stop` is set or its sender is gone; how many connections had to be cut.
pub(crate) async fn serve(port: Port, mut stop: watch::Receiver<bool>) -> usize {
    let Port {
        mut listener,
        directory,
    } = port;
    let mut connections = JoinSet::new();
    let mut troubles = Repeats::default();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => note_panic(&ended),
            accepted = next(&mut *listener, &directory, &mut troubles) => admit(&mut connections, accepted, &directory),
        }
    }
    drop(listener);
    see_out(connections, &directory).await
}

fn admit(connections: &mut JoinSet<()>, wire: Arc<dyn Wire>, directory: &Arc<Directory>) {
    let directory = Arc::clone(directory);
    // As many again may be on their way out with a word of why; beyond that a peer is dropped without one.
    let most = directory.max_connections + GREETED_BESIDES;
    if connections.len() >= most * 2 {
        return;
    }
    if connections.len() >= most {
        let reason = format!(
            "{} has {} connections already (max_connections)",
            directory.endpoint,
            connections.len()
        );
        let refusal = Refusal {
            code: RefuseCode::TooManyConnections,
            reason,
        };
        directory.note_refusal(&refusal);
        connections.spawn(async move { connection::refuse(&*wire, &refusal).await });
        return;
    }
    connections.spawn(connection::serve(wire, directory));
}

/// The next connection; rests where trying again at once would fail again at once.
async fn next(
    listener: &mut dyn Listen,
    directory: &Directory,
    troubles: &mut Repeats,
) -> Arc<dyn Wire> {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok(wire) => return wire,
            Err(error) => {
                if let Some(count) = troubles.note(Instant::now()) {
                    tracing::warn!(endpoint = %directory.endpoint, %error, count, "connection not accepted");
                }
                if !concerns_one_peer(&error) {
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether the next connection may fare better: the peer went, or was not permitted.
fn concerns_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied
    )
}

/// First producers hand over what they wrote, then consumers read what is retained; each in bounded time.
async fn see_out(mut connections: JoinSet<()>, directory: &Directory) -> usize {
    let services = directory.services();
    services
        .iter()
        .for_each(|service| service.advance(Phase::Closing));
    let deadline = Instant::now() + LAST_WORDS;
    for service in &services {
        loop {
            let left = service.producer_left.notified();
            if !service.has_producers() || timeout_at(deadline, left).await.is_err() {
                break;
            }
        }
    }
    services
        .iter()
        .for_each(|service| service.advance(Phase::Draining));
    let deadline = Instant::now() + DRAIN;
    while let Ok(Some(ended)) = timeout_at(deadline + 2 * LINGER, connections.join_next()).await {
        note_panic(&ended);
    }
    let cut = connections.len();
    connections.shutdown().await;
    cut
}

fn note_panic(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked; the others go on");
    }
}
