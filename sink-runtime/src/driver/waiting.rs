//! What the driver waits for: its timer, and who wakes it.

use super::*;

impl Drive {
    /// Waits for `deadline`; the timer is moved only when it must fire earlier.
    pub(super) fn arm(
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

    pub(super) fn fire(&mut self, cx: &mut Context<'_>) -> Poll<Round> {
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

/// When to look at the time next: at `until`, or sooner if anyone waits for less.
pub(super) fn set_alarm(core: &mut Core, until: Instant) -> Instant {
    let deadline = core.next_deadline().map_or(until, |other| other.min(until));
    core.alarm = Some(deadline);
    deadline
}

/// The next sender wakes us.
pub(super) fn park(core: &mut Core, cx: &Context<'_>) {
    core.flushing = false;
    keep_waker(core, cx);
}

/// We know of what is pending already: senders need not wake us.
pub(super) fn park_flushing(core: &mut Core, cx: &Context<'_>) {
    core.flushing = true;
    keep_waker(core, cx);
}

pub(super) fn keep_waker(core: &mut Core, cx: &Context<'_>) {
    match &mut core.driver_waker {
        Some(waker) => waker.clone_from(cx.waker()),
        slot => *slot = Some(cx.waker().clone()),
    }
}
