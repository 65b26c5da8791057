//! What is written on a connection.

use std::io::IoSlice;

use super::*;

/// One turn of writing.
struct Turn<'l> {
    link: &'l Arc<Link>,
    now: Instant,
    /// When the last write of this turn ended: writing takes its time, and were it counted as silence, the next message
    /// would go alone.
    last_write: Option<Instant>,
    wakers: Vec<Waker>,
}

impl Turn<'_> {
    /// Wakes those whose level was reached, if any can have been.
    fn wake_reached(&mut self, core: &mut Core) {
        if self.last_write.is_some() || core.dropped_some {
            core.wake_reached(None, &mut self.wakers);
        }
    }

    /// The link remembers when it wrote: the next turn may find nothing left, and knows nothing of this one.
    fn note(&self, core: &mut Core) {
        if let Some(at) = self.last_write {
            core.last_write = Some(at);
            core.life.spoke(at);
        }
    }
}

impl Drive {
    /// Writes control bytes, then frames, until nothing is left or nothing fits.
    pub(super) fn write(&mut self, now: Instant, cx: &mut Context<'_>) -> Talk {
        let link = Arc::clone(&self.link);
        self.stuck_at = None;
        let mut turn = Turn {
            link: &link,
            now,
            last_write: None,
            wakers: Vec::new(),
        };
        let outcome = (0..SEGMENTS_PER_POLL).find_map(|_| self.write_next(&mut turn, cx));
        if outcome.is_none() && turn.last_write.is_some() {
            let mut core = link.lock();
            turn.note(&mut core);
            turn.wake_reached(&mut core);
        }
        wake(turn.wakers);
        outcome.unwrap_or(Talk::Again)
    }

    /// Writes what comes next; `None` if there may be more.
    fn write_next(&mut self, turn: &mut Turn<'_>, cx: &mut Context<'_>) -> Option<Talk> {
        let mut core = turn.link.lock();
        if core.generation != self.generation {
            // Replaced since this poll began, by one who thought us dead: the next round ends us.
            return Some(Talk::Again);
        }
        let Some(wire) = core.wire.clone() else {
            return Some(Talk::PeerClosed("stream vanished"));
        };
        if !core.control.is_empty() && !core.outbox.is_torn() {
            match write_control(&mut core, &*wire) {
                Ok(true) => {}
                Ok(false) => return self.stalled(core, &*wire, turn, cx),
                Err(_) => return Some(Talk::Deaf),
            }
        }
        if core.leaving && core.control.is_empty() {
            return Some(self.linger(core, &*wire, turn.now, cx));
        }
        core.part();
        let next = if core.ready {
            core.drop_aged(turn.now);
            core.outbox.next()
        } else {
            Next::Nothing
        };
        let (mut core, written) = match next {
            Next::Nothing => return rest(core, turn, cx),
            Next::Here => {
                let written = write_slices(&*wire, &core.outbox.slices());
                if let Ok(count) = written {
                    core.outbox.wrote(count);
                }
                (core, written)
            }
            Next::Lent(lent) => {
                // Senders append meanwhile, and leave the writing to us.
                core.flushing = true;
                drop(core);
                let written = write_slices(&*wire, &lent.slices());
                let count = written.as_ref().map_or(0, |count| *count);
                let mut core = turn.link.lock();
                core.outbox.restore(lent, count);
                (core, written)
            }
        };
        match written {
            Ok(_) => {
                core.life.unblocked();
                turn.last_write = Some(turn.link.surroundings.clock.now());
                if !core.queue.is_empty() {
                    core.admit(turn.link, &mut turn.wakers);
                }
                None
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.stalled(core, &*wire, turn, cx)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(_) => Some(Talk::Deaf),
        }
    }

    /// The stream takes no more: waits until it does, if it is still so.
    fn stalled(
        &mut self,
        mut core: MutexGuard<'_, Core>,
        wire: &dyn Wire,
        turn: &mut Turn<'_>,
        cx: &mut Context<'_>,
    ) -> Option<Talk> {
        match wire.poll_writable(cx) {
            Poll::Ready(Ok(())) => None,
            Poll::Ready(Err(_)) => Some(Talk::PeerClosed("stream failed")),
            Poll::Pending => {
                core.life.blocked(turn.now);
                self.stuck_at = core.life.stuck_at();
                // An ack that came while a segment was lent may have made room.
                core.admit(turn.link, &mut turn.wakers);
                turn.wake_reached(&mut core);
                park_flushing(&mut core, cx);
                Some(Talk::Parked)
            }
        }
    }

    /// Nothing can be written: waits for what the peer said before it went, and for the end of it. The reactor may not have seen
    /// yet that it is there.
    pub(super) fn listen(&mut self, cx: &Context<'_>) -> Talk {
        let link = Arc::clone(&self.link);
        let mut core = link.lock();
        self.stuck_at = self.deaf_until;
        park_flushing(&mut core, cx);
        Talk::Parked
    }

    /// Our goodbye is on the wire: where a stream lingers, the peer has a while to read up to it.
    fn linger(
        &mut self,
        mut core: MutexGuard<'_, Core>,
        wire: &dyn Wire,
        now: Instant,
        cx: &Context<'_>,
    ) -> Talk {
        let until = *self.leaves_at.get_or_insert(now + FAREWELL);
        if !wire.lingers() || now >= until {
            return Talk::Finished;
        }
        self.stuck_at = Some(until);
        park(&mut core, cx);
        Talk::Parked
    }
}

/// Nothing is left to write, unless someone waited for the room.
fn rest(mut core: MutexGuard<'_, Core>, turn: &mut Turn<'_>, cx: &Context<'_>) -> Option<Talk> {
    turn.note(&mut core);
    core.admit(turn.link, &mut turn.wakers);
    if core.outbox.unwritten() > 0 && core.ready {
        return None;
    }
    turn.wake_reached(&mut core);
    // An ack may come after the time was up.
    if (core.life.is_ready() && core.may_leave()) || core.is_idle(turn.link, turn.now) {
        // The goodbye is written in the next round.
        return Some(Talk::Again);
    }
    if core.outbox.unwritten() > 0 {
        // Owed, and not yet welcome: we know, senders need not tell us.
        park_flushing(&mut core, cx);
    } else {
        park(&mut core, cx);
    }
    Some(Talk::Parked)
}

/// One system call, and the plain one where one slice is all there is.
fn write_slices(wire: &dyn Wire, slices: &[IoSlice<'_>; 2]) -> io::Result<usize> {
    match slices {
        [all, none] | [none, all] if none.is_empty() => wire.try_write(all),
        both => wire.try_write_vectored(both),
    }
}

/// Whether all control bytes went.
pub(super) fn write_control(core: &mut Core, wire: &dyn Wire) -> io::Result<bool> {
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
