//! A direct service's receiving end: binds, accepts, greets, reads whole frames. What they mean is `source.rs`'s.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::error::SourceError;
use crate::foreign::Framing;
use crate::frame::{self, Assembler, Hello, PeerRole, ProducerId, Refuse, RefuseCode, Welcome};
use crate::life::{HELLO_TIMEOUT, frame_time};
use crate::transport::{self, Endpoint, Listen, Wire};

use super::inbox::{Brings, Connection, Ends, Inbox};
use super::settings::SourceSettings;
use super::stream::{self, End, Limits};

mod foreign;

/// Pause after an accept that failed for want of descriptors: the loop must not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// First and longest pause before an endpoint that could not be bound is tried again.
const BIND_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// First and longest pause while an address in use may be one that is being let go of: 315 ms in all.
const BIND_GRACE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(160));
/// Connections accepted beyond `max_connections`: strangers that have not said who they are, and peers being told that
/// there is no place. Beyond these a connection is dropped as it comes.
const GREETED_BESIDES: usize = 32;
/// Producers whose acks are remembered over reconnects.
const MAX_REMEMBERED: usize = 4096;

/// What the connections of one listening source share.
struct Hall {
    settings: Arc<SourceSettings>,
    inbox: Arc<Inbox>,
    /// Connections accepted, and those of them that were welcomed.
    accepted: AtomicUsize,
    welcomed: AtomicUsize,
    producers: Mutex<HashMap<ProducerId, Known>>,
}

/// What is remembered of a producer over its connections.
#[derive(Default)]
struct Known {
    acked: Arc<AtomicU64>,
    latest: Weak<Connection>,
}

/// Binds and begins to accept.
pub(super) async fn start(
    settings: Arc<SourceSettings>,
    inbox: Arc<Inbox>,
    failures: u32,
) -> Result<Endpoint, SourceError> {
    pause(&settings, failures).await;
    let listener = listen(&settings).await.map_err(|error| SourceError::Bind {
        service: Arc::clone(&settings.service),
        endpoint: Arc::from(settings.target.endpoint.to_string()),
        source: Arc::new(error),
    })?;
    let local = listener.local_endpoint();
    tracing::info!(service = &*settings.service, endpoint = %local, "listening");
    let hall = Arc::new(Hall {
        settings,
        inbox: Arc::clone(&inbox),
        accepted: AtomicUsize::new(0),
        welcomed: AtomicUsize::new(0),
        producers: Mutex::default(),
    });
    let brings = Brings(Arc::clone(&inbox));
    inbox.adopt(tokio::spawn(accept(brings, hall, listener)).abort_handle());
    Ok(local)
}

/// Listens; an address in use is tried for a moment, because a source of ours that was just closed or dropped lets go of its own when its
/// runtime comes to it.
async fn listen(settings: &SourceSettings) -> io::Result<Box<dyn Listen>> {
    let clock = &settings.surroundings.clock;
    let mut pause = BIND_GRACE.0;
    loop {
        match transport::listen(&settings.target).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && pause <= BIND_GRACE.1 => {
                clock.timer(clock.now() + pause).await;
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
}

/// The pause before an endpoint that could not be bound `failures` times is tried again; none at first.
pub(super) async fn pause(settings: &SourceSettings, failures: u32) {
    if failures > 0 {
        let pause = BIND_PAUSE
            .0
            .saturating_mul(1 << failures.min(6))
            .min(BIND_PAUSE.1);
        let clock = &settings.surroundings.clock;
        clock.timer(clock.now() + pause).await;
    }
}

/// Arguments are dropped last to first: the address is free by the time that the source hears of the end.
async fn accept(_brings: Brings, hall: Arc<Hall>, mut listener: Box<dyn Listen>) {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok(wire) => {
                let most = hall.settings.max_connections as usize + GREETED_BESIDES;
                let Some(place) = Place::take(&hall, most, |hall| &hall.accepted) else {
                    tracing::debug!(
                        service = &*hall.settings.service,
                        most,
                        "connection dropped (max_connections)"
                    );
                    continue;
                };
                let task = tokio::spawn(serve(Arc::clone(&hall), place, wire));
                hall.inbox.adopt_serving(task.abort_handle());
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::warn!(service = &*hall.settings.service, %error, "connection refused");
            }
            Err(error) => {
                tracing::warn!(service = &*hall.settings.service, %error, "cannot accept");
                let clock = &hall.settings.surroundings.clock;
                clock.timer(clock.now() + ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Counts a connection for as long as it lives.
struct Place {
    hall: Arc<Hall>,
    count: fn(&Hall) -> &AtomicUsize,
}

impl Place {
    /// One of `most` places; `None` if all are taken.
    fn take(hall: &Arc<Hall>, most: usize, count: fn(&Hall) -> &AtomicUsize) -> Option<Self> {
        let place = Self {
            hall: Arc::clone(hall),
            count,
        };
        // Given back on the way out, where there is none.
        (count(hall).fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.count)(&self.hall).fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(hall: Arc<Hall>, _accepted: Place, wire: Arc<dyn Wire>) {
    let settings = Arc::clone(&hall.settings);
    if settings.framing != Framing::Sink {
        return foreign::serve(hall, wire).await;
    }
    let clock = Arc::clone(&settings.surroundings.clock);
    let mut assembler = Assembler::new(frame::MAX_HELLO_BYTES);
    let until = clock.now() + HELLO_TIMEOUT;
    let first = stream::first_frame(&*wire, &mut assembler);
    let said = match stream::within(&*clock, until, first).await {
        Some(Ok(first)) => Hello::decode(&first).map_err(|error| error.of_a_stranger()),
        Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(error.to_string()),
        // It knocked and went away, or says nothing.
        Some(Err(_)) | None => return,
    };
    let hello = match said {
        Ok(hello) => hello,
        Err(reason) => {
            let peer = wire.peer();
            tracing::warn!(service = &*settings.service, peer, reason, "peer refused");
            return refuse(&*wire, RefuseCode::Malformed, &reason).await;
        }
    };
    if let Err((code, reason)) = examine(&settings, &hello) {
        tracing::warn!(service = &*settings.service, reason, "producer refused");
        return refuse(&*wire, code, &reason).await;
    }
    let most = settings.max_connections as usize;
    let Some(_welcomed) = Place::take(&hall, most, |hall| &hall.welcomed) else {
        let reason = format!("{most} connections already (max_connections)");
        return refuse(&*wire, RefuseCode::TooManyConnections, &reason).await;
    };
    let acked = hall.acked_of(hello.producer);
    let id = hall.inbox.number();
    let connection = Connection::new(
        id,
        hello.producer,
        hello.begins(),
        false,
        hello.acks,
        Some(Arc::clone(&wire)),
        Arc::clone(&acked),
    );
    let _ends = Ends(Arc::clone(&connection));
    if !hall.inbox.admits(&connection) {
        return;
    }
    hall.arrived(&connection);
    let heartbeat = settings.heartbeat_for(hello.heartbeat_ms);
    connection.say(|out| {
        Welcome {
            acked: acked.load(Ordering::Acquire),
            max_frame_bytes: settings.max_frame_bytes,
            heartbeat_ms: heartbeat.as_millis() as u32,
            ..Welcome::default()
        }
        .encode(out);
    });
    assembler.set_limit(settings.frame_limit());
    let limits = Limits {
        heartbeat,
        peer_heartbeat: Duration::from_millis(u64::from(hello.heartbeat_ms)),
        frame_time: frame_time(settings.frame_limit()),
    };
    let end = stream::read_all(
        &hall.inbox,
        &connection,
        &*wire,
        &*clock,
        assembler.into(),
        &limits,
        |_| {},
    )
    .await;
    match end {
        End::Nonsense(error) => {
            tracing::warn!(service = &*settings.service, %error, "connection ended");
        }
        End::Torn(time) => {
            tracing::warn!(
                service = &*settings.service,
                ?time,
                "connection ended: a frame did not arrive whole in time"
            );
        }
        End::Closed(_) | End::Silent | End::Midway => {}
    }
}

impl Hall {
    fn acked_of(&self, producer: ProducerId) -> Arc<AtomicU64> {
        let mut known = self
            .producers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED && !known.contains_key(&producer) {
            // Those that nobody holds are of producers that are gone; any of them may be forgotten.
            if let Some(&gone) = known
                .iter()
                .filter(|(_, known)| Arc::strong_count(&known.acked) == 1)
                .map(|(id, _)| id)
                .min_by_key(|producer| (producer.epoch, producer.id))
            {
                known.remove(&gone);
            }
        }
        Arc::clone(&known.entry(producer).or_default().acked)
    }

    /// Notes where a producer is now. What it wrote where it was before is read first.
    fn arrived(&self, connection: &Arc<Connection>) {
        let mut known = self
            .producers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(connection.producer).or_default();
        let before = std::mem::replace(&mut known.latest, Arc::downgrade(connection));
        if let Some(before) = before.upgrade() {
            connection.follow(before);
        }
    }
}

/// Whether this hello may come in.
fn examine(settings: &SourceSettings, hello: &Hello) -> Result<(), (RefuseCode, String)> {
    if hello.service != settings.service {
        let theirs = frame::escape(hello.service.as_bytes());
        return Err((
            RefuseCode::UnknownService,
            format!(
                "this endpoint serves `{}`, not `{theirs}`",
                settings.service
            ),
        ));
    }
    if hello.role != PeerRole::Producer {
        let reason = format!(
            "`{}` is a direct service: it has one receiving end, and that is here",
            settings.service
        );
        return Err((RefuseCode::WrongRole, reason));
    }
    if let Some(reason) = settings.mismatch(hello.fingerprint, &hello.message, &hello.shape) {
        return Err((RefuseCode::TypeMismatch, reason));
    }
    let codec = crate::codec::name(settings.codec);
    if hello.fingerprint != 0 && settings.message.fingerprint != 0 && *hello.codec != *codec {
        let theirs = frame::escape(hello.codec.as_bytes());
        return Err((
            RefuseCode::TypeMismatch,
            format!("producer encodes as {theirs}, consumer decodes {codec} (codec)"),
        ));
    }
    Ok(())
}

/// Says why and hangs up; best effort, the dialer will ask again.
async fn refuse(wire: &dyn Wire, code: RefuseCode, reason: &str) {
    let mut out = Vec::new();
    Refuse::encode(&mut out, code, reason);
    let _ = poll_fn(|cx| wire.poll_writable(cx)).await;
    let _ = wire.try_write(&out);
}
