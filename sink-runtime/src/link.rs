//! One leaf's link: the lock and what is under it. How a message gets in is `offer.rs`; the task that dials, reads and writes `driver.rs`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::ages::Ages;
use crate::bell::Bell;
use crate::clock::{Clock, Instant, Surroundings};
use crate::codec::Codec;
use crate::error::{ConnectError, EncodeError, Outcome, SendErrorKind};
use crate::foreign::{self, Framing};
use crate::frame::{self, Assembler, FLAG_IDENTITY, FLAG_METADATA, Kind, ProducerId};
use crate::ledger::{Dropped, Ledger, Returned};
use crate::life::{Life, LifePolicy, SinkState};
use crate::message::{MessageType, Metadata};
use crate::outbox::{AROUND, Fate, Outbox, SEGMENT, Undelivered};
use crate::receipt::{DropCause, Level, Lost, Receipt};
use crate::sync::{self, AtomicBool, Handle, Id, Mutex, MutexGuard};
use crate::told::Told;
use crate::transport::{Target, Wire};
use crate::turn;

pub(crate) use offer::{Envelope, Offer};
pub(crate) use sink_schema::WhenFull;

mod core;
mod level;
mod offer;
mod reserved;
mod room;

/// A message on a link that wrote nothing for this long is written in the caller's own poll; sooner, it coalesces.
pub(crate) const SPOT_AFTER: Duration = Duration::from_micros(10);
/// From these bounds on, waiting senders are let in when a quarter is free: else each message would cost a wake.
const LAZY_ADMISSION_MESSAGES: u64 = 1024;
const LAZY_ADMISSION_BYTES: u64 = 1024 * 1024;

/// What a link is told once, at its making.
#[derive(Clone, Debug)]
pub(crate) struct LinkConfig {
    pub(crate) service: Arc<str>,
    pub(crate) target: Target,
    pub(crate) life: LifePolicy,
    pub(crate) buffer_size: u32,
    pub(crate) buffer_bytes: u64,
    pub(crate) max_frame_bytes: u32,
    pub(crate) when_full: WhenFull,
    pub(crate) confirm: Option<Level>,
    pub(crate) keep: bool,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) codec: Codec,
    /// A foreign one is the wire's affair; here it says what a lost connection costs, and what a message may hold.
    pub(crate) framing: Framing,
    pub(crate) message: MessageIdentity,
}

/// The message type as the hello tells it.
#[derive(Clone, Debug)]
pub(crate) struct MessageIdentity {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) fingerprint: u64,
    pub(crate) accepts: &'static [u64],
}

impl MessageIdentity {
    pub(crate) fn of<M: MessageType>() -> Self {
        Self {
            name: M::NAME,
            shape: M::SHAPE,
            fingerprint: M::FINGERPRINT,
            accepts: M::ACCEPTS,
        }
    }
}

impl LinkConfig {
    fn acks(&self) -> bool {
        self.keep || matches!(self.confirm, Some(Level::Acked | Level::Stored))
    }

    /// The largest payload taken without a closer look, where the peer takes `peer` at most.
    fn frame_limit(&self, peer: Option<u32>) -> u64 {
        match self.framing {
            // Each is looked at for line breaks.
            Framing::Lines => 0,
            _ => u64::from(self.max_frame_bytes.min(peer.unwrap_or(u32::MAX))),
        }
    }

    /// The highest level this link reaches.
    pub(crate) fn highest(&self) -> Level {
        if self.acks() {
            Level::Acked
        } else {
            Level::Written
        }
    }
}

static NEXT_LINK: AtomicU32 = AtomicU32::new(1);

/// See the module.
pub(crate) struct Link {
    pub(crate) id: u32,
    pub(crate) config: LinkConfig,
    pub(crate) surroundings: Surroundings,
    pub(crate) producer: ProducerId,
    pub(crate) states: watch::Sender<SinkState>,
    /// What was read and not yet heard. Locked before `core`, or tried.
    ears: Mutex<Assembler>,
    pub(crate) bell: Arc<Bell>,
    /// The bell, as a wire knows it.
    pub(crate) ringer: Waker,
    /// Where to dial; the registry may move a service while its link lives.
    target: Mutex<Arc<Target>>,
    told: Mutex<Told>,
    /// There are events to tell.
    news: AtomicBool,
    /// Payloads up to this length are taken without a closer look. Changed under the lock; it lies here because a send has this
    /// at hand while the buffer is borrowed.
    frame_limit: AtomicU64,
    core: Mutex<Core>,
}

/// Whether a task drives the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    None,
    Running,
}

/// Everything under the lock.
pub(crate) struct Core {
    pub(crate) outbox: Outbox,
    /// The largest payload that the other end said it takes.
    peer_limit: Option<u32>,
    pub(crate) life: Life,
    pub(crate) wire: Option<Arc<dyn Wire>>,
    /// The other end has welcomed us: data may be written.
    pub(crate) ready: bool,
    /// Our goodbye is written, or about to be: nothing may follow it, so `ready` is over.
    pub(crate) leaving: bool,
    /// Why we leave, where nobody asked for it.
    pub(crate) farewell: Option<&'static str>,
    /// Control bytes to write before the next frame.
    pub(crate) control: Vec<u8>,
    pub(crate) control_written: usize,
    pub(crate) driver: Driver,
    pub(crate) driver_waker: Option<Waker>,
    /// Where the driver runs.
    pub(crate) driver_runtime: Option<Id>,
    /// That runtime has one thread: while a sender of its runs, the driver does not.
    alone: bool,
    /// Which driver it is: one that was replaced must not touch anything any more.
    pub(crate) generation: u64,
    /// How often the driver was polled: its signs of life.
    pub(crate) answers: u64,
    /// The driver knows that there is something to do.
    pub(crate) flushing: bool,
    pub(crate) last_write: Option<Instant>,
    /// Senders waiting for room, oldest first.
    pub(crate) queue: VecDeque<Queued>,
    /// Settled tickets of the queue, until their futures look.
    admitted: Vec<(u64, Admission)>,
    pub(crate) waits: Vec<Wait>,
    /// When the driver will look at the time next, whatever happens; a wait that ends earlier must wake it.
    pub(crate) alarm: Option<Instant>,
    /// Messages were dropped, and who waits for them has not been told.
    pub(crate) dropped_some: bool,
    /// A sender read from the wire; the driver, whose turn comes too, notes the time of it.
    pub(crate) heard_meanwhile: bool,
    next_ticket: u64,
    /// `connect()` was called: a connection is wanted though nothing is buffered.
    pub(crate) connect_wanted: bool,
    /// `disconnect()` was called when this was the last message: we part once it is done.
    pub(crate) disconnecting: Option<u64>,
    /// All that a disconnect waits for is written: what comes later waits for the next connection.
    pub(crate) parting: bool,
    /// Another endpoint was given, and the driver has not turned to it yet.
    pub(crate) moved: bool,
    pub(crate) draining: bool,
    pub(crate) closed: bool,
    /// `max_attempts` were made: nothing is taken until somebody asks for a connection.
    pub(crate) gave_up: bool,
    /// All handles are gone.
    pub(crate) abandoned: bool,
    /// When an abandoned link stops trying.
    pub(crate) abandon_at: Option<Instant>,
    /// When what is buffered was accepted, where that counts.
    ages: Option<Ages>,
    /// Sends that have no sequence, because they wait or were given back; those that have one are counted by it.
    unnumbered: u64,
    returned: Returned,
    dropped: Dropped,
    /// How large the message was that last found no room; until one is accepted, `ready` waits for as much.
    refused_bytes: u64,
    /// Room promised to a fan-out that has not used it yet.
    reserved_messages: u64,
    reserved_bytes: u64,
}

/// A sender waiting for room, its frame already encoded.
pub(crate) struct Queued {
    ticket: u64,
    /// Bytes of its payload.
    payload: usize,
    frame: Vec<u8>,
    /// A large payload behind `frame`, referenced and not copied.
    beyond: Option<Bytes>,
    waker: Waker,
    since: Instant,
    deadline: Option<Instant>,
}

impl Queued {
    fn size(&self) -> usize {
        self.frame.len() + self.beyond.as_ref().map_or(0, Bytes::len)
    }
}

#[derive(Debug)]
enum Admission {
    Accepted(Receipt),
    Refused(SendErrorKind),
}

/// A future waiting for something other than room.
pub(crate) struct Wait {
    ticket: u64,
    waker: Waker,
    deadline: Option<Instant>,
    until: Until,
}

/// What a wait is for: with thousands of confirming senders an ack must wake those it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Whatever happens.
    News,
    /// This message is written, or was.
    Written(u64),
    /// This message is acked, or was.
    Acked(u64),
}

// === impl Link ===

impl Link {
    pub(crate) fn new(config: LinkConfig, surroundings: Surroundings) -> Arc<Self> {
        let chance = || u128::from(surroundings.chance.next());
        let producer = ProducerId {
            id: chance() << 64 | chance(),
            epoch: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
        };
        let outbox = Outbox::new(config.keep, config.acks());
        let core = Core {
            outbox: match config.framing {
                Framing::Sink => outbox,
                _ => outbox.restarting(),
            },
            peer_limit: None,
            life: Life::new(config.life.clone()),
            wire: None,
            ready: false,
            leaving: false,
            farewell: None,
            control: Vec::new(),
            control_written: 0,
            driver: Driver::None,
            driver_waker: None,
            driver_runtime: None,
            alone: false,
            generation: 0,
            answers: 0,
            flushing: false,
            last_write: None,
            queue: VecDeque::new(),
            admitted: Vec::new(),
            waits: Vec::new(),
            alarm: None,
            dropped_some: false,
            heard_meanwhile: false,
            next_ticket: 0,
            connect_wanted: false,
            disconnecting: None,
            parting: false,
            moved: false,
            draining: false,
            closed: false,
            gave_up: false,
            abandoned: false,
            abandon_at: None,
            ages: config.max_age.map(Ages::new),
            unnumbered: 0,
            returned: Returned::default(),
            dropped: Dropped::default(),
            refused_bytes: 0,
            reserved_messages: 0,
            reserved_bytes: 0,
        };
        let frame_limit = AtomicU64::new(config.frame_limit(None));
        let bell = Arc::new(Bell::default());
        let target = Mutex::new(Arc::new(config.target.clone()));
        Arc::new(Self {
            id: NEXT_LINK.fetch_add(1, Ordering::Relaxed),
            config,
            surroundings,
            producer,
            states: watch::Sender::new(SinkState::Idle),
            ears: Mutex::new(Assembler::new(frame::MAX_HELLO_BYTES)),
            ringer: Waker::from(Arc::clone(&bell)),
            bell,
            target,
            told: Mutex::default(),
            news: AtomicBool::new(false),
            frame_limit,
            core: Mutex::new(core),
        })
    }

    pub(crate) fn ears(&self) -> MutexGuard<'_, Assembler> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // An encoder that panicked under the lock left nothing behind: see `Outbox::begun`.
        sync::lock(&self.core)
    }

    /// Starts the driver on the caller's runtime; never spawns with the lock held.
    pub(crate) fn start(self: &Arc<Self>, mut core: MutexGuard<'_, Core>) -> bool {
        if core.driver == Driver::Running {
            return true;
        }
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        core.driver = Driver::Running;
        // Only now: a sender that believed a driver to know, where there is none, would start none.
        core.flushing = true;
        core.driver_runtime = Some(runtime.id());
        core.alone = crate::driver::takes_turns_with_senders();
        core.generation += 1;
        let generation = core.generation;
        drop(core);
        // A runtime that is shutting down drops the future inside this call; its guard then clears `driver` again.
        drop(runtime.spawn(crate::driver::drive(Arc::clone(self), generation)));
        true
    }

    /// Replaces a driver whose runtime exists but is not run by one on the caller's runtime.
    pub(crate) fn take_over(self: &Arc<Self>) {
        let mut core = self.lock();
        if core.outbox.is_lent() {
            // It is in the middle of a write, so it does run.
            return;
        }
        crate::driver::let_go(&mut core);
        self.start(core);
        // Without the lock: a subscriber may itself send through this sink.
        tracing::warn!(
            service = &*self.config.service,
            "the runtime that drove this link is not being run; another one carries on"
        );
    }

    /// Wakes the driver, starting one if there is none. `false` if there is none and no runtime to start it on.
    pub(crate) fn poke(self: &Arc<Self>, mut core: MutexGuard<'_, Core>) -> bool {
        if core.driver == Driver::None {
            return self.start(core);
        }
        core.flushing = true;
        let waker = core.driver_waker.take();
        drop(core);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    pub(crate) fn service(&self) -> Arc<str> {
        Arc::clone(&self.config.service)
    }

    /// The highest-level view of where the link stands.
    pub(crate) fn state_of(core: &Core) -> SinkState {
        if core.closed {
            SinkState::Closed
        } else if core.draining {
            SinkState::Draining
        } else {
            core.life.state()
        }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let core = self.lock();
        Ledger {
            attempted: core.outbox.last_sequence() + core.unnumbered,
            recovered: 0,
            waiting: core.queue.len() as u64,
            returned: core.returned,
            dropped: core.dropped,
            buffered: core.outbox.unwritten(),
            spooled: 0,
            in_flight: core.outbox.in_flight(),
            done: core.outbox.done(),
            unknown: core.outbox.unknown(),
        }
    }

    /// Whether a sender that comes now would find room.
    pub(crate) fn is_roomy(&self, core: &Core) -> bool {
        // One free byte is no room for a message that was just refused for its size.
        core.queue.is_empty() && self.has_room(core, core.refused_bytes.max(1) as usize)
    }

    /// Notes that the state may have changed.
    pub(crate) fn publish(&self, core: &Core) {
        self.publish_because(core, None);
    }

    /// The same, where the state alone does not say why. Events are told by [`Link::tell`], without the lock.
    pub(crate) fn publish_because(&self, core: &Core, cause: Option<&'static str>) {
        let state = Self::state_of(core);
        let mut is_other = false;
        self.states.send_if_modified(|before| {
            is_other = before.name() != state.name();
            let changed = is_other
                || !matches!(
                    (&*before, &state),
                    (SinkState::Idle, SinkState::Idle) | (SinkState::Ready, SinkState::Ready)
                );
            before.clone_from(&state);
            changed
        });
        if is_other {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.note(&state, &self.endpoint(), cause) {
                self.news.store(true, Ordering::Release);
            }
        }
    }

    /// Tells what changed, now that no lock is held: a subscriber may itself send through this sink.
    pub(crate) fn tell(&self) {
        if self.news.swap(false, Ordering::AcqRel) {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let events = told.take();
            drop(told);
            for event in events {
                event.tell(&self.config.service);
            }
        }
    }

    /// Where it dials now.
    pub(crate) fn target(&self) -> Arc<Target> {
        Arc::clone(&self.target.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn endpoint(&self) -> Arc<str> {
        Arc::from(self.target().endpoint.to_string())
    }

    /// The service is elsewhere now (PROMISES 3.3): what was accepted and is not on the wire goes there, redialed at once
    /// with jitter and a count that starts over; what is on the wire fares as behind a connection that was lost.
    pub(crate) fn reprovision(self: &Arc<Self>, target: Target) {
        let mut core = self.lock();
        {
            let mut current = self.target.lock().unwrap_or_else(PoisonError::into_inner);
            if **current == target {
                return;
            }
            *current = Arc::new(target);
        }
        core.moved = true;
        // Without a driver there is no attempt and no connection; the next one looks first.
        if core.driver == Driver::Running {
            self.poke(core);
        }
    }

    pub(crate) fn error_io(&self, error: std::io::Error, attempt: u32) -> ConnectError {
        let service = self.service();
        let endpoint = self.endpoint();
        let source = Arc::new(error);
        match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                ConnectError::NotThereYet {
                    service,
                    endpoint,
                    attempt,
                    source,
                }
            }
            _ => ConnectError::Io {
                service,
                endpoint,
                attempt,
                source,
            },
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("service", &self.config.service)
            .field("state", &*self.states.borrow())
            .finish_non_exhaustive()
    }
}

/// Takes acks and heartbeats off what was read: the last ack's number.
fn heed(ears: &mut Assembler) -> Option<u64> {
    let mut acked = None;
    while let Ok(Some(frame)) = ears.peek() {
        match (Kind::from_u8(frame[4]), frame::number(frame)) {
            (Some(Kind::Ack), Ok(sequence)) => acked = Some(sequence),
            (Some(Kind::Heartbeat), _) => {}
            _ => break,
        }
        let total = frame.len();
        ears.advance(total);
    }
    acked
}
