//! How a connection, an attempt or the driver itself ends.

use super::*;

impl Drive {
    /// An established connection, or one being greeted, is gone.
    pub(super) fn lost(&mut self, now: Instant, how: &'static str) {
        let link = Arc::clone(&self.link);
        let mut core = link.lock();
        if core.generation != self.generation {
            // Another drives it now, and what it has is not ours to lose.
            return;
        }
        let established = core.ready || core.parting || core.leaving;
        let owed =
            core.outbox.unwritten() > 0 || core.outbox.in_flight() > 0 || !core.queue.is_empty();
        if established && !owed {
            let mut wakers = Vec::new();
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
        drop(core);
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
    pub(super) fn failed(&mut self, now: Instant, error: ConnectError) {
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
    pub(super) fn finish(&self, core: &mut Core, wakers: &mut Vec<Waker>) {
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
