//! One accepted connection, from its hello to its end. What it says is decided in `hello`, `producer` and `consumer`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sink_runtime::frame::{
    self, Assembler, FrameError, Hello, MAX_HELLO_BYTES, PeerRole, Refuse, RefuseCode, Welcome,
    escape,
};
use sink_runtime::transport::Wire;
use tokio::time::{Instant, timeout_at};

use crate::directory::Directory;
use crate::line::{End, Line, Pace, last_words};
use crate::outbox::Outbox;
use crate::service::{Refusal, Service};
use crate::settings::HELLO_TIMEOUT;

mod consumer;
mod hello;
mod producer;

/// Reads, and writes, that one connection makes before others have their turn.
const ROUNDS: usize = 4;

/// Serves one connection until it ends.
pub(crate) async fn serve(wire: Arc<dyn Wire>, directory: Arc<Directory>) {
    let deadline = Instant::now() + HELLO_TIMEOUT;
    let mut assembler = Assembler::new(MAX_HELLO_BYTES);
    let refused = match timeout_at(deadline, hello::read(&*wire, &mut assembler)).await {
        Ok(Ok(hello)) => match welcomed(&wire, assembler, &hello, &directory, deadline).await {
            Ok(()) => return,
            Err(refusal) => refusal,
        },
        Ok(Err(hello::Failure::Frame(error))) => malformed(&error),
        Ok(Err(hello::Failure::Gone)) => return,
        Err(_) => Refusal {
            code: RefuseCode::Malformed,
            reason: format!("no hello within {HELLO_TIMEOUT:?}"),
        },
    };
    directory.note_refusal(&refused);
    refuse(&*wire, &refused).await;
}

/// Turns a peer away, with words.
pub(crate) async fn refuse(wire: &dyn Wire, refusal: &Refusal) {
    let mut out = Outbox::default();
    out.control(|frame| Refuse::encode(frame, refusal.code, &refusal.reason));
    last_words(wire, &mut out).await;
}

async fn welcomed(
    wire: &Arc<dyn Wire>,
    assembler: Assembler,
    hello: &Hello,
    directory: &Directory,
    deadline: Instant,
) -> Result<(), Refusal> {
    let service = directory.find(&hello.service)?;
    hello::check(hello, &service)?;
    let connection = Arrival {
        wire: Arc::clone(wire),
        assembler,
        hello,
        service,
    };
    match hello.role {
        PeerRole::Producer => producer::serve(connection, deadline).await,
        PeerRole::Consumer => consumer::serve(connection).await,
    }
}

/// A connection whose hello was found good.
struct Arrival<'a> {
    wire: Arc<dyn Wire>,
    assembler: Assembler,
    hello: &'a Hello,
    service: Arc<Service>,
}

impl Arrival<'_> {
    /// Answers the hello; frames of at most `limit` bytes are read from now on.
    fn welcome(mut self, limit: usize, acked: u64, next_offset: u64) -> Line {
        let settings = &self.service.settings;
        let heartbeat_ms = match self.hello.heartbeat_ms {
            0 => settings.heartbeat_ms(),
            theirs => settings.heartbeat_ms().min(theirs),
        };
        let welcome = Welcome {
            acked,
            relay_epoch: self.service.epoch,
            next_offset,
            max_frame_bytes: settings.max_frame_bytes,
            heartbeat_ms,
        };
        let mut out = Outbox::default();
        out.control(|frame| welcome.encode(frame));
        self.assembler.set_limit(limit);
        let pace = Pace {
            heartbeat: Duration::from_millis(u64::from(heartbeat_ms.max(1))),
            theirs: Duration::from_millis(u64::from(self.hello.heartbeat_ms)),
            frame_time: settings.frame_time(),
        };
        Line::new(self.wire, self.assembler, out, pace)
    }
}

fn malformed(error: &FrameError) -> Refusal {
    let code = if matches!(error, FrameError::Version { .. }) {
        RefuseCode::Version
    } else {
        RefuseCode::Malformed
    };
    Refusal {
        code,
        reason: error.to_string(),
    }
}

/// Logs a connection's end, where it says more than goodbye.
fn note_end(service: &Service, role: &str, end: &End) {
    match end {
        End::Closed | End::Bye | End::ShuttingDown | End::Superseded => {
            tracing::debug!(service = %service.name, role, cause = %end, "connection ended");
        }
        _ => tracing::warn!(service = %service.name, role, cause = %end, "connection ended"),
    }
}

/// Walks through whole frames.
fn frames(bytes: &Bytes) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest: &[u8] = bytes;
    std::iter::from_fn(move || {
        let head = frame::head(rest, usize::MAX).ok().flatten()?;
        let (whole, behind) = rest.split_at_checked(head.total)?;
        rest = behind;
        Some((head.kind, whole))
    })
}

fn named(service: &str) -> String {
    escape(service.as_bytes())
}
