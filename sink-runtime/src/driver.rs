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

mod dial;
mod ending;
mod reading;
mod waiting;
mod writing;

pub(crate) use ending::{hang_up, let_go};
use waiting::{park, park_flushing, set_alarm};
use writing::write_control;

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
}

fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
