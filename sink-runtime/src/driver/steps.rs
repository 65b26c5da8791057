//! What a round of the driver comes to. Each step has the lock at its beginning, and lets it go before it waits or dials.

use super::*;

impl Drive {
    /// What was asked for since the last round; whether it was the last.
    pub(super) fn heed(&mut self, held: &mut Held<'_>, now: Instant) -> bool {
        let Held { core, wakers } = held;
        core.expire(&self.link, now, wakers);
        if core.moved {
            self.turn(core, now);
            core.wake_waits(wakers);
        }
        if core.abandoned && !core.closed {
            core.draining = true;
            let until = *core.abandon_at.get_or_insert(now + ABANDON_GRACE);
            if now >= until {
                self.finish(core, wakers);
                return true;
            }
        }
        if core.needs_no_attempt() {
            self.call_off(core, wakers);
        }
        false
    }

    /// Closed, until someone opens it again.
    pub(super) fn stay_closed(
        &mut self,
        held: Held<'_>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Round> {
        // What was dialed for one who has closed meanwhile.
        self.dialing = None;
        if held.core.abandoned {
            held.let_go();
            return Poll::Ready(Round::Done);
        }
        self.sleep(held, now, cx)
    }

    /// Nothing is wanted: what was to end has ended.
    pub(super) fn rest(
        &mut self,
        mut held: Held<'_>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Round> {
        // Where no more attempts are made nothing was flushed: who disconnects is told why, and takes that back.
        let parts = held.core.disconnecting.is_some() && held.core.life.gave_up().is_none();
        if held.core.draining || parts {
            self.finish(&mut held.core, &mut held.wakers);
        }
        if held.core.abandoned {
            held.let_go();
            return Poll::Ready(Round::Done);
        }
        self.link.publish(&held.core);
        self.sleep(held, now, cx)
    }

    /// Until someone wants something, or the time of one who waits is up.
    fn sleep(&mut self, mut held: Held<'_>, now: Instant, cx: &mut Context<'_>) -> Poll<Round> {
        let deadline = held.core.next_deadline();
        held.core.alarm = deadline;
        park(&mut held.core, cx);
        held.let_go();
        self.arm(deadline, now, cx)
    }

    /// For the next attempt's time.
    pub(super) fn wait(
        &mut self,
        mut held: Held<'_>,
        until: Instant,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Round> {
        // A peer that hung up is dialed again in a moment; for another attempt, where one has failed, nobody is left to wait.
        let soon = matches!(held.core.life.state(), SinkState::Idle)
            && held.core.abandon_at.is_some_and(|at| until < at);
        if held.core.abandoned && !soon {
            self.finish(&mut held.core, &mut held.wakers);
            held.let_go();
            return Poll::Ready(Round::Done);
        }
        let deadline = set_alarm(&mut held.core, until);
        park_flushing(&mut held.core, cx);
        held.let_go();
        self.arm(Some(deadline), now, cx)
    }

    /// On with an attempt: it is being dialed, or greeted.
    pub(super) fn go_on(
        &mut self,
        mut held: Held<'_>,
        until: Instant,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Round> {
        let deadline = set_alarm(&mut held.core, until);
        if self.dialing.is_some() {
            park_flushing(&mut held.core, cx);
            held.let_go();
            return self.poll_dial(now, deadline, cx);
        }
        held.let_go();
        self.talk(now, deadline, cx)
    }

    /// On with a connection: heartbeats, a goodbye where it is due, and what there is to read and write.
    pub(super) fn converse(
        &mut self,
        mut held: Held<'_>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Round> {
        let core = &mut *held.core;
        let until = match core.life.beat(now) {
            Beat::Quiet { until } => until,
            Beat::Send => {
                if !core.leaving {
                    say_alive(core);
                }
                now + self.link.config.life.heartbeat
            }
            Beat::PeerIsGone => {
                held.let_go();
                self.miss(now, cx);
                return Poll::Ready(Round::Again);
            }
            Beat::PeerIsStuck => {
                held.let_go();
                self.lost(now, "the peer took no byte for 10 s");
                return Poll::Ready(Round::Again);
            }
        };
        core.part();
        let flushed = core.may_leave();
        if (flushed || core.is_idle(&self.link, now)) && !core.leaving {
            say_goodbye(core);
            core.farewell = (!flushed).then_some("unused for idle_timeout_ms");
        }
        let idle_at = core.idle_at(&self.link).filter(|at| *at > now);
        let until = idle_at.map_or(until, |at| at.min(until));
        let deadline = set_alarm(core, until);
        held.let_go();
        self.talk(now, deadline, cx)
    }

    /// The peer's heartbeats did not come. It may be we who were silent: a runtime held up for so long has not read what has come.
    fn miss(&mut self, now: Instant, cx: &mut Context<'_>) {
        let read = self.read(now, cx);
        let heard = self.link.lock().life.heard_at() == Some(now);
        if !heard || !matches!(read, Talk::Parked | Talk::Again) {
            self.lost(now, "no heartbeat came");
        }
    }
}

fn say_alive(core: &mut Core) {
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
}

fn say_goodbye(core: &mut Core) {
    // Not beyond what waits for the next connection: nobody would take that any more.
    let last = core.outbox.first_unwritten() - 1;
    if matches!(core.outbox.fate(last), Fate::Dropped(_)) {
        // What was dropped behind the last message is seen, too.
        frame::heartbeat(&mut core.control, last);
    }
    frame::control(&mut core.control, Kind::Bye, |_| {});
    core.ready = false;
    core.leaving = true;
}
