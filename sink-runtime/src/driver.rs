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
use crate::sync::MutexGuard;
use crate::transport::{BoxFuture, Wire};

mod dial;
mod ending;
mod reading;
mod steps;
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
/// How long one may take to say its last who takes no more: the end of the stream is there already, or all but.
const LAST_WORDS: Duration = Duration::from_millis(100);
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
        deaf_until: None,
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
    /// Until when we listen to a peer to whom nothing can be written any more.
    deaf_until: Option<Instant>,
}

/// How one round of talking ended.
enum Talk {
    /// Everything possible is done for now.
    Parked,
    /// There is more to do; others first.
    Again,
    /// The peer went away.
    PeerClosed(&'static str),
    /// It takes no more; what it said last may still come.
    Deaf,
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

/// The link's lock, and who is woken once it is let go.
struct Held<'l> {
    core: MutexGuard<'l, Core>,
    wakers: Vec<Waker>,
}

impl Held<'_> {
    fn let_go(self) {
        drop(self.core);
        wake(self.wakers);
    }
}

impl Drive {
    /// Looks at all there is, and does the one thing that comes next.
    fn round(&mut self, cx: &mut Context<'_>) -> Poll<Round> {
        let link = Arc::clone(&self.link);
        let now = link.surroundings.clock.now();
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
        let mut held = Held {
            core,
            wakers: Vec::new(),
        };
        if self.heed(&mut held, now) {
            held.let_go();
            return Poll::Ready(Round::Done);
        }
        if held.core.closed && held.core.wire.is_none() {
            return self.stay_closed(held, now, cx);
        }
        let wanted = held.core.wants_connection() && !held.core.closed;
        let before = held.core.life.attempts();
        let step = held.core.life.step(now, wanted);
        if held.core.life.attempts() != before {
            link.publish(&held.core);
        }
        match step {
            Step::Rest => self.rest(held, now, cx),
            Step::Wait { until } => self.wait(held, until, now, cx),
            Step::Dial { .. } => {
                held.let_go();
                self.dial();
                Poll::Ready(Round::Again)
            }
            Step::Continue { until } if now >= until => {
                held.let_go();
                self.timed_out(now);
                Poll::Ready(Round::Again)
            }
            Step::Continue { until } => self.go_on(held, until, now, cx),
            Step::Talk => self.converse(held, now, cx),
        }
    }

    /// Reads and writes all that can be read and written now.
    fn talk(&mut self, now: Instant, deadline: Instant, cx: &mut Context<'_>) -> Poll<Round> {
        let outcome = match self.read(now, cx) {
            Talk::Parked | Talk::Again if self.deaf_until.is_some_and(|until| now >= until) => {
                Talk::PeerClosed("writing failed")
            }
            Talk::Parked if self.deaf_until.is_some() => self.listen(cx),
            Talk::Parked => self.write(now, cx),
            Talk::Again if self.deaf_until.is_some() => Talk::Again,
            Talk::Again => match self.write(now, cx) {
                Talk::Parked => Talk::Again,
                other => other,
            },
            other => other,
        };
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
            Talk::Deaf => {
                self.deaf_until = Some(now + LAST_WORDS);
                Poll::Ready(Round::Again)
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
