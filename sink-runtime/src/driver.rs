//! The one task of a link: it alone dials, reads, awaits writability, ends frames and keeps time.
//!
//! It may be dropped at any await point (its runtime ended): cursor and bytes live under the link's lock, and the guard
//! rewinds to the frame boundary and wakes the waiters, one of whom starts it again on its own runtime.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::{Instant, Timer};
use crate::error::{ConnectError, SendErrorKind};
use crate::frame::{
    self, Assembler, FrameError, Hello, Kind, PeerRole, Refuse, RefuseCode, Welcome,
};
use crate::life::{Beat, HELLO_TIMEOUT, SinkState, Step};
use crate::link::{Core, Driver, Link};
use crate::outbox::{Fate, Next};
use crate::transport::{BoxFuture, Wire};

/// Segments written in one poll before others get a turn: about a MiB.
const SEGMENTS_PER_POLL: usize = 16;
/// Chunks read in one poll: acks and heartbeats are few, a peer that floods us is not served first.
const READS_PER_POLL: usize = 16;
/// How long a link whose handles are gone goes on writing what was accepted.
const ABANDON_GRACE: Duration = Duration::from_secs(5);
/// How long a peer may take, once we said goodbye over a stream that lingers, to read up to it and hang up: as long as a close waits
/// by default.
const FAREWELL: Duration = Duration::from_secs(30);
/// A timer is armed at most this far ahead, so that a fresh one need not be made for "never".
const FAR: Duration = Duration::from_secs(3600);

/// Drives `link` until its handles are gone or its runtime is.
pub(crate) fn drive(link: Arc<Link>, generation: u64) -> impl Future<Output = ()> + Send {
    Drive {
        link,
        generation,
        dialing: None,
        last_is_first: runs_last_woken_first(),
        parked: false,
        timer: None,
        armed: None,
        stuck_at: None,
        leaves_at: None,
    }
}

/// The scheduler of several workers keeps the task that was woken last for next; that of one thread takes turns.
fn runs_last_woken_first() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};
    Handle::try_current().is_ok_and(|here| here.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// Whether the runtime of the caller has one thread, which runs the driver and whoever sends from there in turn.
pub(crate) fn takes_turns_with_senders() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};
    cfg!(all(shuttle, test))
        || Handle::try_current()
            .is_ok_and(|here| here.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

struct Drive {
    link: Arc<Link>,
    generation: u64,
    dialing: Option<BoxFuture<'static, io::Result<Arc<dyn Wire>>>>,
    /// Its runtime runs first what was woken last.
    last_is_first: bool,
    /// It waits, with its timer armed and its wakers where they belong.
    parked: bool,
    timer: Option<Pin<Box<dyn Timer>>>,
    armed: Option<Instant>,
    /// When a peer that takes nothing counts as stuck.
    stuck_at: Option<Instant>,
    /// Until when we wait for the peer to hang up, after our goodbye.
    leaves_at: Option<Instant>,
}

/// How one round of talking ended.
enum Talk {
    /// Everything possible is done for now.
    Parked,
    /// There is more to do; others first.
    Again,
    /// The peer went away.
    PeerClosed(&'static str),
    /// We said goodbye, and it is on the wire.
    Finished,
    /// The peer turned us away, or talks nonsense.
    Broken(ConnectError),
}

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let round = this.round(cx);
            this.link.tell();
            match round {
                Poll::Ready(Round::Again) => {}
                Poll::Ready(Round::Done) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

enum Round {
    Again,
    Done,
}

impl Drive {
    fn round(&mut self, cx: &mut Context<'_>) -> Poll<Round> {
        let link = Arc::clone(&self.link);
        let now = link.surroundings.clock.now();
        let mut wakers = Vec::new();
        let mut core = link.lock();
        if core.generation != self.generation {
            return Poll::Ready(Round::Done);
        }
        core.answers += 1;
        if std::mem::take(&mut core.heard_meanwhile) {
            core.life.heard(now);
        }
        if std::mem::take(&mut self.parked) && self.is_calm(&core, now, cx) {
            let wire = core.wire.clone();
            drop(core);
            if self.was_only_rung(wire) {
                self.parked = true;
                return Poll::Pending;
            }
            core = link.lock();
        }
        core.expire(&link, now, &mut wakers);
        if core.moved {
            self.turn(&mut core, now);
            core.wake_waits(&mut wakers);
        }
        if core.abandoned && !core.closed {
            core.draining = true;
            let until = *core.abandon_at.get_or_insert(now + ABANDON_GRACE);
            if now >= until {
                self.finish(&mut core, &mut wakers);
                drop(core);
                wake(wakers);
                return Poll::Ready(Round::Done);
            }
        }
        if core.needs_no_attempt() {
            self.call_off(&mut core, &mut wakers);
        }
        if core.closed && core.wire.is_none() {
            // What was dialed for one who has closed meanwhile.
            self.dialing = None;
            if core.abandoned {
                return Poll::Ready(Round::Done);
            }
            park(&mut core, cx);
            let deadline = core.next_deadline();
            core.alarm = deadline;
            drop(core);
            wake(wakers);
            return self.arm(deadline, now, cx);
        }
        let wanted = core.wants_connection() && !core.closed;
        let before = core.life.attempts();
        let step = core.life.step(now, wanted);
        if core.life.attempts() != before {
            link.publish(&core);
        }
        match step {
            Step::Rest => {
                if core.draining || core.disconnecting.is_some() {
                    self.finish(&mut core, &mut wakers);
                }
                if core.abandoned {
                    drop(core);
                    wake(wakers);
                    return Poll::Ready(Round::Done);
                }
                link.publish(&core);
                let deadline = core.next_deadline();
                core.alarm = deadline;
                park(&mut core, cx);
                drop(core);
                wake(wakers);
                self.arm(deadline, now, cx)
            }
            Step::Wait { until } => {
                if core.abandoned {
                    // Nobody is left to wait for another attempt.
                    self.finish(&mut core, &mut wakers);
                    drop(core);
                    wake(wakers);
                    return Poll::Ready(Round::Done);
                }
                let deadline = set_alarm(&mut core, until);
                park_flushing(&mut core, cx);
                drop(core);
                wake(wakers);
                self.arm(Some(deadline), now, cx)
            }
            Step::Dial { .. } => {
                drop(core);
                wake(wakers);
                let (dial, target) = (Arc::clone(&link.surroundings.dial), link.target());
                self.dialing = Some(Box::pin(async move { dial.dial(&target).await }));
                Poll::Ready(Round::Again)
            }
            Step::Continue { until } if now >= until => {
                drop(core);
                wake(wakers);
                let waited = self.patience();
                self.failed(
                    now,
                    ConnectError::TimedOut {
                        service: link.service(),
                        endpoint: self.endpoint(),
                        waited,
                    },
                );
                Poll::Ready(Round::Again)
            }
            Step::Continue { until } => {
                let deadline = set_alarm(&mut core, until);
                if self.dialing.is_some() {
                    park_flushing(&mut core, cx);
                    drop(core);
                    wake(wakers);
                    return self.poll_dial(now, deadline, cx);
                }
                drop(core);
                wake(wakers);
                self.talk(now, deadline, cx)
            }
            Step::Talk => {
                let beat = core.life.beat(now);
                let until = match beat {
                    Beat::Quiet { until } => until,
                    Beat::Send if core.leaving => now + link.config.life.heartbeat,
                    Beat::Send => {
                        // The number may speak only of frames that stand before it on the wire; 0 says nothing.
                        let last = if core.outbox.unwritten() == 0 {
                            core.outbox.last_sequence()
                        } else {
                            0
                        };
                        // One that waits says as much as many: a peer that does not read must not make them pile up.
                        if core.control.is_empty() {
                            frame::heartbeat(&mut core.control, last);
                        }
                        core.outbox.shrink();
                        now + link.config.life.heartbeat
                    }
                    Beat::PeerIsGone => {
                        drop(core);
                        wake(wakers);
                        // It may be we who were silent: a runtime held up for so long has not read what has come.
                        let read = self.read(now, cx);
                        let heard = link.lock().life.heard_at() == Some(now);
                        if !heard || !matches!(read, Talk::Parked | Talk::Again) {
                            self.lost(now, "no heartbeat came");
                        }
                        return Poll::Ready(Round::Again);
                    }
                    Beat::PeerIsStuck => {
                        drop(core);
                        wake(wakers);
                        self.lost(now, "the peer took no byte for 10 s");
                        return Poll::Ready(Round::Again);
                    }
                };
                core.part();
                let flushed = core.may_leave();
                let is_idle = core.is_idle(&link, now);
                if (flushed || is_idle) && !core.leaving {
                    let last = core.outbox.last_sequence();
                    if matches!(core.outbox.fate(last), Fate::Dropped(_)) {
                        // What was dropped behind the last message is seen, too.
                        frame::heartbeat(&mut core.control, last);
                    }
                    frame::control(&mut core.control, Kind::Bye, |_| {});
                    core.ready = false;
                    core.leaving = true;
                    core.farewell = (!flushed).then_some("unused for idle_timeout_ms");
                }
                let idle_at = core.idle_at(&link).filter(|at| *at > now);
                let until = idle_at.map_or(until, |at| at.min(until));
                let deadline = set_alarm(&mut core, until);
                drop(core);
                wake(wakers);
                self.talk(now, deadline, cx)
            }
        }
    }

    /// The service is elsewhere: what was for the old endpoint ends here.
    fn turn(&mut self, core: &mut Core, now: Instant) {
        core.moved = false;
        self.link.forget_limit(core);
        self.dialing = None;
        if core.ready && !core.outbox.is_torn() && core.control_written == 0 {
            core.control.clear();
            frame::control(&mut core.control, Kind::Bye, |_| {});
            if let Some(wire) = core.wire.clone() {
                // Best effort: the peer also understands a stream that ends.
                let _written = write_control(core, &*wire);
            }
        }
        hang_up(core);
        core.life.moved(now, &*self.link.surroundings.chance);
        core.gave_up = false;
        self.link
            .publish_because(core, Some("the registry names another endpoint"));
    }

    /// Who wanted the attempt under way closes or disconnects, and nothing is to be flushed: it ends now.
    fn call_off(&mut self, core: &mut Core, wakers: &mut Vec<Waker>) {
        self.dialing = None;
        core.connect_wanted = false;
        self.finish(core, wakers);
        core.life.called_off(ConnectError::Lost {
            service: self.link.service(),
            endpoint: self.endpoint(),
            reason: Arc::from("given up by a disconnect()"),
        });
    }

    /// How long the attempt's present step may last.
    fn patience(&self) -> Duration {
        let whole = self.link.config.life.connect_timeout;
        if self.dialing.is_some() {
            whole
        } else {
            whole.min(HELLO_TIMEOUT)
        }
    }

    fn endpoint(&self) -> Arc<str> {
        self.link.endpoint()
    }

    fn poll_dial(&mut self, now: Instant, deadline: Instant, cx: &mut Context<'_>) -> Poll<Round> {
        let Some(dialing) = &mut self.dialing else {
            return Poll::Ready(Round::Again);
        };
        match dialing.as_mut().poll(cx) {
            Poll::Pending => self.arm(Some(deadline), now, cx),
            Poll::Ready(Ok(wire)) => {
                self.dialing = None;
                self.greet(now, wire);
                Poll::Ready(Round::Again)
            }
            Poll::Ready(Err(error)) => {
                let attempt = {
                    let core = self.link.lock();
                    match core.life.state() {
                        SinkState::Connecting { attempt } => attempt,
                        _ => 1,
                    }
                };
                let error = self.link.error_io(error, attempt);
                self.failed(now, error);
                Poll::Ready(Round::Again)
            }
        }
    }

    /// The stream is there: our hello is the first thing on it.
    fn greet(&mut self, now: Instant, wire: Arc<dyn Wire>) {
        let link = &self.link;
        let mut ears = link.ears();
        *ears = Assembler::new(frame::MAX_HELLO_BYTES);
        let mut core = link.lock();
        if core.closed || core.generation != self.generation || !core.life.is_connecting() {
            // It was closed while we dialed, and nobody would ever hang up; or another drives it now.
            return;
        }
        let hello = Hello {
            service: link.service(),
            role: PeerRole::Producer,
            acks: link.config.highest() == crate::Level::Acked,
            resends: link.config.keep,
            producer: link.producer,
            first: core.outbox.first_owed(),
            begin: core.outbox.first_unsent(),
            codec: Arc::from(crate::codec::name(link.config.codec)),
            max_frame_bytes: link.config.max_frame_bytes,
            heartbeat_ms: link.config.life.heartbeat.as_millis() as u32,
            fingerprint: link.config.message.fingerprint,
            accepts: link.config.message.accepts.to_vec(),
            message: Arc::from(link.config.message.name),
            shape: Arc::from(link.config.message.shape),
            ..Hello::default()
        };
        self.leaves_at = None;
        core.control.clear();
        core.control_written = 0;
        hello.encode(&mut core.control);
        core.wire = Some(wire);
        core.life.dialed(now);
        link.publish(&core);
    }

    /// Reads and writes all that can be read and written now.
    fn talk(&mut self, now: Instant, deadline: Instant, cx: &mut Context<'_>) -> Poll<Round> {
        let outcome = match self.read(now, cx) {
            Talk::Parked => self.write(now, cx),
            Talk::Again => match self.write(now, cx) {
                Talk::Parked => Talk::Again,
                other => other,
            },
            other => other,
        };
        if matches!(outcome, Talk::PeerClosed(_)) {
            // Who went while we wrote may have acked before: what it said last is not lost with it.
            let _it_ended = self.read(now, cx);
        }
        match outcome {
            Talk::Parked => {
                let until = self.stuck_at.map_or(deadline, |at| at.min(deadline));
                let armed = self.arm(Some(until), now, cx);
                self.parked = armed.is_pending();
                armed
            }
            Talk::Again => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Talk::PeerClosed(how) if self.leaves_at.is_none() => {
                self.lost(now, how);
                Poll::Ready(Round::Again)
            }
            // The peer has read all, up to our goodbye, or has no need of it.
            Talk::Finished | Talk::PeerClosed(_) => {
                self.leaves_at = None;
                let mut wakers = Vec::new();
                let link = Arc::clone(&self.link);
                let mut core = link.lock();
                if core.generation != self.generation {
                    return Poll::Ready(Round::Again);
                }
                // What came while we said goodbye goes on a connection of its own, before a close is done.
                let owed = !core.outbox.is_settled() || !core.queue.is_empty();
                let draining = core.draining && owed;
                let disconnecting = core.disconnecting.filter(|_| core.owes_disconnect());
                core.draining &= !owed;
                self.finish(&mut core, &mut wakers);
                core.draining |= draining;
                core.disconnecting = disconnecting;
                drop(core);
                wake(wakers);
                Poll::Ready(Round::Again)
            }
            Talk::Broken(error) => {
                self.failed(now, error);
                Poll::Ready(Round::Again)
            }
        }
    }

    /// Whether nobody has asked anything of the driver since it parked, and its timer is not due: only the bell can have woken it.
    fn is_calm(&self, core: &Core, now: Instant, cx: &Context<'_>) -> bool {
        let parked = |waker: &Waker| waker.will_wake(cx.waker());
        self.link.bell.rang()
            && core.ready
            && !core.flushing
            // Whoever closes or disconnects waits for what the sender may just have heard.
            && !core.draining
            && core.disconnecting.is_none()
            && self.armed.is_some_and(|armed| now < armed)
            && core.driver_waker.as_ref().is_some_and(parked)
    }

    /// Whether the bell rang for bytes that a sender has read since: then all stands as it stood, and the bell is hung again.
    fn was_only_rung(&self, wire: Option<Arc<dyn Wire>>) -> bool {
        let link = &self.link;
        let all_heard = matches!(link.ears().peek(), Ok(None));
        let ringer = &mut Context::from_waker(&link.ringer);
        all_heard && wire.is_some_and(|wire| wire.poll_readable(ringer).is_pending())
    }

    fn read(&self, now: Instant, cx: &mut Context<'_>) -> Talk {
        let link = &self.link;
        let mut ears = link.ears();
        let Some(wire) = link.lock().wire.clone() else {
            return Talk::PeerClosed("stream vanished");
        };
        link.bell.driver_listens(cx.waker(), self.last_is_first);
        // A sender that read an ack of its own leaves what is not his.
        match self.heard(&mut ears, now) {
            Talk::Parked => {}
            other => return other,
        }
        for _ in 0..READS_PER_POLL {
            match wire.poll_readable(&mut Context::from_waker(&link.ringer)) {
                Poll::Pending => return Talk::Parked,
                Poll::Ready(Err(_)) => return Talk::PeerClosed("stream failed"),
                Poll::Ready(Ok(())) => {}
            }
            match wire.try_read(ears.room()) {
                Ok(0) => return Talk::PeerClosed("peer closed it"),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Talk::PeerClosed("peer reset it"),
            }
            match self.heard(&mut ears, now) {
                Talk::Parked => {}
                other => return other,
            }
        }
        Talk::Again
    }

    /// Acts on the frames that have arrived; of acks only the last one matters.
    fn heard(&self, ears: &mut Assembler, now: Instant) -> Talk {
        if ears.is_empty() {
            return Talk::Parked;
        }
        let mut acked = None;
        let mut ends = None;
        loop {
            let (total, heard) = match ears.peek() {
                Ok(Some(frame)) => (frame.len(), self.heard_one(now, frame)),
                Ok(None) => break,
                Err(error) => {
                    ends = Some(Talk::Broken(self.nonsense(&error)));
                    break;
                }
            };
            ears.advance(total);
            match heard {
                Ok(ack) => acked = ack.or(acked),
                Err(talk) => {
                    ends = Some(talk);
                    break;
                }
            }
        }
        let mut wakers = Vec::new();
        let mut core = self.link.lock();
        core.life.heard(now);
        if let Some(sequence) = acked {
            core.outbox.ack(sequence);
            core.admit(&self.link, &mut wakers);
            core.wake_reached(None, &mut wakers);
        }
        drop(core);
        wake(wakers);
        ends.unwrap_or(Talk::Parked)
    }

    /// Acts on one frame; of an ack it gives the number.
    fn heard_one(&self, now: Instant, bytes: &[u8]) -> Result<Option<u64>, Talk> {
        let link = &self.link;
        let nonsense = |error: FrameError| Talk::Broken(self.nonsense(&error));
        match Kind::from_u8(bytes[4]) {
            Some(Kind::Welcome) => {
                let welcome = Welcome::decode(bytes).map_err(nonsense)?;
                self.welcomed(now, &welcome);
            }
            Some(Kind::Refuse) => {
                let refuse = Refuse::decode(bytes).map_err(nonsense)?;
                let (service, endpoint) = (link.service(), self.endpoint());
                return Err(Talk::Broken(if RefuseCode::is_permanent(refuse.code) {
                    ConnectError::Refused {
                        service,
                        endpoint,
                        reason: Arc::from(refuse.reason),
                    }
                } else {
                    ConnectError::Lost {
                        service,
                        endpoint,
                        reason: Arc::from(refuse.reason),
                    }
                }));
            }
            Some(Kind::Ack) => return Ok(Some(frame::number(bytes).map_err(nonsense)?)),
            Some(Kind::Heartbeat) => {}
            Some(Kind::Bye) => return Err(Talk::PeerClosed("peer said goodbye")),
            // Later versions may say more; what we do not know we pass over.
            None => {}
            Some(kind) => return Err(Talk::Broken(self.nonsense(&FrameError::Unexpected(kind)))),
        }
        Ok(None)
    }

    fn welcomed(&self, now: Instant, welcome: &Welcome) {
        let link = &self.link;
        let mut wakers = Vec::new();
        let mut core = link.lock();
        if core.life.is_ready() || core.generation != self.generation {
            return;
        }
        core.life
            .welcomed(now, Duration::from_millis(u64::from(welcome.heartbeat_ms)));
        core.ready = true;
        core.connect_wanted = false;
        if link.config.keep {
            core.outbox.ack(welcome.acked);
        }
        let too_large = match welcome.max_frame_bytes {
            // It told none.
            0 => {
                link.forget_limit(&mut core);
                0
            }
            limit => link.heed_limit(&mut core, limit),
        };
        core.admit(link, &mut wakers);
        core.wake_waits(&mut wakers);
        link.publish(&core);
        drop(core);
        wake(wakers);
        if too_large > 0 {
            tracing::warn!(
                service = &*link.config.service,
                messages = too_large,
                limit = welcome.max_frame_bytes,
                "dropped: larger than the receiver takes (its max_frame_bytes)"
            );
        }
    }

    fn nonsense(&self, error: &FrameError) -> ConnectError {
        let is_stranger = !self.link.lock().life.is_ready();
        ConnectError::Protocol {
            service: self.link.service(),
            endpoint: self.endpoint(),
            reason: Arc::from(if is_stranger {
                error.of_a_stranger()
            } else {
                error.to_string()
            }),
        }
    }

    /// Writes control bytes, then frames, until nothing is left or nothing fits.
    fn write(&mut self, now: Instant, cx: &mut Context<'_>) -> Talk {
        let link = Arc::clone(&self.link);
        self.stuck_at = None;
        let mut wakers = Vec::new();
        let mut last_write = None;
        let outcome = 'writing: {
            for _ in 0..SEGMENTS_PER_POLL {
                let mut core = link.lock();
                if core.generation != self.generation {
                    // Replaced since this poll began, by one who thought us dead: the next round ends us.
                    break 'writing Talk::Again;
                }
                let Some(wire) = core.wire.clone() else {
                    break 'writing Talk::PeerClosed("stream vanished");
                };
                if !core.control.is_empty() && !core.outbox.is_torn() {
                    match write_control(&mut core, &*wire) {
                        Ok(true) => {}
                        Ok(false) => match wire.poll_writable(cx) {
                            Poll::Ready(Ok(())) => continue,
                            Poll::Ready(Err(_)) => {
                                break 'writing Talk::PeerClosed("stream failed");
                            }
                            Poll::Pending => {
                                core.life.blocked(now);
                                self.stuck_at = core.life.stuck_at();
                                park_flushing(&mut core, cx);
                                break 'writing Talk::Parked;
                            }
                        },
                        Err(_) => break 'writing Talk::PeerClosed("writing failed"),
                    }
                }
                if core.leaving && core.control.is_empty() {
                    let until = *self.leaves_at.get_or_insert(now + FAREWELL);
                    if !wire.lingers() || now >= until {
                        break 'writing Talk::Finished;
                    }
                    self.stuck_at = Some(until);
                    park(&mut core, cx);
                    break 'writing Talk::Parked;
                }
                core.part();
                let next = if core.ready {
                    core.drop_aged(now);
                    core.outbox.next()
                } else {
                    Next::Nothing
                };
                let written = match next {
                    Next::Nothing => {
                        if let Some(at) = last_write {
                            core.last_write = Some(at);
                            core.life.spoke(at);
                        }
                        core.admit(&link, &mut wakers);
                        if core.outbox.unwritten() > 0 && core.ready {
                            continue;
                        }
                        if last_write.is_some() || core.dropped_some {
                            core.wake_reached(None, &mut wakers);
                        }
                        // An ack may come after the time was up.
                        if (core.life.is_ready() && core.may_leave()) || core.is_idle(&link, now) {
                            // The goodbye is written in the next round.
                            break 'writing Talk::Again;
                        }
                        if core.outbox.unwritten() > 0 {
                            // Owed, and not yet welcome: we know, senders need not tell us.
                            park_flushing(&mut core, cx);
                        } else {
                            park(&mut core, cx);
                        }
                        break 'writing Talk::Parked;
                    }
                    Next::Here => {
                        let slices = core.outbox.slices();
                        let written = if slices[1].is_empty() {
                            wire.try_write(&slices[0])
                        } else {
                            wire.try_write_vectored(&slices)
                        };
                        if let Ok(count) = written {
                            core.outbox.wrote(count);
                        }
                        (core, written)
                    }
                    Next::Lent(lent) => {
                        // Senders append meanwhile, and leave the writing to us.
                        core.flushing = true;
                        drop(core);
                        let slices = lent.slices();
                        let written = if slices[1].is_empty() {
                            wire.try_write(&slices[0])
                        } else if slices[0].is_empty() {
                            wire.try_write(&slices[1])
                        } else {
                            wire.try_write_vectored(&slices)
                        };
                        let mut core = link.lock();
                        core.outbox
                            .restore(lent, written.as_ref().map_or(0, |count| *count));
                        (core, written)
                    }
                };
                let (mut core, written) = written;
                match written {
                    Ok(_) => {
                        core.life.unblocked();
                        // Writing took its time: were it counted as silence, the next message would go alone.
                        last_write = Some(link.surroundings.clock.now());
                        if !core.queue.is_empty() {
                            core.admit(&link, &mut wakers);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => match wire
                        .poll_writable(cx)
                    {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => break 'writing Talk::PeerClosed("stream failed"),
                        Poll::Pending => {
                            core.life.blocked(now);
                            self.stuck_at = core.life.stuck_at();
                            // An ack that came while the segment was lent may have made room.
                            core.admit(&link, &mut wakers);
                            if last_write.is_some() || core.dropped_some {
                                core.wake_reached(None, &mut wakers);
                            }
                            park_flushing(&mut core, cx);
                            break 'writing Talk::Parked;
                        }
                    },
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break 'writing Talk::PeerClosed("writing failed"),
                }
            }
            if let Some(at) = last_write {
                // The next turn may find nothing left, and knows nothing of this one.
                let mut core = link.lock();
                core.last_write = Some(at);
                core.life.spoke(at);
                core.wake_reached(None, &mut wakers);
            }
            Talk::Again
        };
        wake(wakers);
        outcome
    }

    /// An established connection, or one being greeted, is gone.
    fn lost(&mut self, now: Instant, how: &'static str) {
        let link = Arc::clone(&self.link);
        let core = link.lock();
        if core.generation != self.generation {
            // Another drives it now, and what it has is not ours to lose.
            return;
        }
        let established = core.ready || core.parting || core.leaving;
        let owed =
            core.outbox.unwritten() > 0 || core.outbox.in_flight() > 0 || !core.queue.is_empty();
        drop(core);
        if established && !owed {
            let mut wakers = Vec::new();
            let mut core = link.lock();
            if core.parting || core.leaving {
                // We were about to.
                core.life.rest();
            } else {
                core.life.left(now, &*link.surroundings.chance);
            }
            hang_up(&mut core);
            core.wake_waits(&mut wakers);
            link.publish_because(&core, Some(how));
            drop(core);
            wake(wakers);
            return;
        }
        self.failed(
            now,
            ConnectError::Lost {
                service: link.service(),
                endpoint: self.endpoint(),
                reason: Arc::from(how),
            },
        );
    }

    /// The attempt failed, or the connection with messages on it was lost.
    fn failed(&mut self, now: Instant, error: ConnectError) {
        self.dialing = None;
        let link = &self.link;
        let mut wakers = Vec::new();
        let mut core = link.lock();
        if core.generation != self.generation {
            return;
        }
        hang_up(&mut core);
        core.life.failed(now, error, &*link.surroundings.chance);
        core.connect_wanted = false;
        // With nothing left to flush there is no need of another attempt to end what did not begin.
        if !core.owes_disconnect() || !core.wants_connection() {
            core.disconnecting = None;
        }
        core.gave_up = core.life.gave_up().is_some();
        if let Some(error) = core.life.gave_up().cloned() {
            core.turn_away(
                &SendErrorKind::Connect {
                    service: link.service(),
                    source: error,
                },
                &mut wakers,
            );
        }
        core.wake_waits(&mut wakers);
        link.publish(&core);
        drop(core);
        wake(wakers);
    }

    /// Ends a drain or a disconnect.
    fn finish(&self, core: &mut Core, wakers: &mut Vec<Waker>) {
        let link = &self.link;
        let why = core.farewell;
        hang_up(core);
        core.life.rest();
        core.disconnecting = None;
        if core.draining {
            core.draining = false;
            core.closed = true;
            core.turn_away(
                &SendErrorKind::Closed {
                    service: link.service(),
                },
                wakers,
            );
            if core.abandoned {
                let left = core.abandon();
                if !left.is_empty() {
                    tracing::warn!(
                        service = &*link.config.service,
                        messages = left.len(),
                        "dropped without close(): messages abandoned"
                    );
                }
            }
        }
        core.wake_waits(wakers);
        link.publish_because(core, why);
    }

    /// Waits for `deadline`; the timer is moved only when it must fire earlier.
    fn arm(
        &mut self,
        deadline: Option<Instant>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Round> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let deadline = deadline.min(now + FAR);
        let armed_in_time = self
            .armed
            .is_some_and(|armed| armed <= deadline && armed > now);
        match &mut self.timer {
            Some(timer) if armed_in_time => {
                // It may fire early; then the round looks again and arms it anew.
                let timer = timer.as_mut();
                match timer.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(()) => self.armed = None,
                }
                Poll::Ready(Round::Again)
            }
            Some(timer) => {
                timer.as_mut().reset(deadline);
                self.armed = Some(deadline);
                self.fire(cx)
            }
            None => {
                self.timer = Some(self.link.surroundings.clock.timer(deadline));
                self.armed = Some(deadline);
                self.fire(cx)
            }
        }
    }

    fn fire(&mut self, cx: &mut Context<'_>) -> Poll<Round> {
        match &mut self.timer {
            Some(timer) => match timer.as_mut().poll(cx) {
                Poll::Ready(()) => {
                    self.armed = None;
                    Poll::Ready(Round::Again)
                }
                Poll::Pending => Poll::Pending,
            },
            None => Poll::Pending,
        }
    }
}

impl Drop for Drive {
    /// The runtime is gone, or all handles are: what is not wholly written stays buffered, and the waiters look for another runtime.
    fn drop(&mut self) {
        let link = &self.link;
        let mut wakers = Vec::new();
        let mut core = link.lock();
        if core.generation != self.generation {
            return;
        }
        let_go(&mut core);
        let unwritten = core.outbox.unwritten();
        core.wake_all(&mut wakers);
        link.publish_because(&core, Some("the runtime that drove it ended"));
        drop(core);
        wake(wakers);
        link.tell();
        if unwritten > 0 {
            tracing::warn!(
                service = &*link.config.service,
                messages = unwritten,
                "the runtime ended with messages not yet written: await Sinks::close_all(deadline) before it does"
            );
        }
    }
}

/// The driver is gone or replaced: its attempt or connection with it, without blame.
pub(crate) fn let_go(core: &mut Core) {
    hang_up(core);
    core.life.interrupted();
    core.driver = Driver::None;
    core.driver_waker = None;
    core.driver_runtime = None;
    core.alarm = None;
    core.flushing = false;
}

/// Ends the connection's part of the state; what is owed becomes unwritten again.
pub(crate) fn hang_up(core: &mut Core) {
    core.wire = None;
    core.ready = false;
    core.leaving = false;
    core.farewell = None;
    core.parting = false;
    core.control.clear();
    core.control_written = 0;
    core.outbox.rewind();
}

/// Whether all control bytes went.
fn write_control(core: &mut Core, wire: &dyn Wire) -> io::Result<bool> {
    while core.control_written < core.control.len() {
        match wire.try_write(&core.control[core.control_written..]) {
            Ok(count) => {
                core.control_written += count;
                core.life.unblocked();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    core.control.clear();
    core.control_written = 0;
    Ok(true)
}

/// When to look at the time next: at `until`, or sooner if anyone waits for less.
fn set_alarm(core: &mut Core, until: Instant) -> Instant {
    let deadline = core.next_deadline().map_or(until, |other| other.min(until));
    core.alarm = Some(deadline);
    deadline
}

/// The next sender wakes us.
fn park(core: &mut Core, cx: &Context<'_>) {
    core.flushing = false;
    keep_waker(core, cx);
}

/// We know of what is pending already: senders need not wake us.
fn park_flushing(core: &mut Core, cx: &Context<'_>) {
    core.flushing = true;
    keep_waker(core, cx);
}

fn keep_waker(core: &mut Core, cx: &Context<'_>) {
    match &mut core.driver_waker {
        Some(waker) => waker.clone_from(cx.waker()),
        slot => *slot = Some(cx.waker().clone()),
    }
}

fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
