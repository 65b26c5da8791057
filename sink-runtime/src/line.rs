//! Who waits before a fan-out: a line in which only the first looks for room, and how long it may take. Nothing here sends.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::Instant;

/// See the module. First come, first served; who leaves lets the next one look.
#[derive(Default)]
pub(crate) struct Line {
    state: Mutex<State>,
    /// How many stand in it: who need not wait takes no lock to see that nobody does.
    length: AtomicUsize,
}

#[derive(Default)]
struct State {
    next: u64,
    places: VecDeque<(u64, Waker)>,
}

/// A place in a line; dropping it leaves the line.
pub(crate) struct Place<'a> {
    line: &'a Line,
    ticket: Option<u64>,
}

/// The end of a wait. Where no runtime keeps the time, whoever waits has to come back and look.
pub(crate) struct Until {
    deadline: Option<Instant>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

/// How often somebody was told that there is room and found none: a rival may have been faster, or the member does not speak
/// the truth, and then it must not be asked without end.
#[derive(Default)]
pub(crate) struct Told(u32);

/// Room that was told of and not found so often is looked for again after a pause, ...
const TOLD_AT_ONCE: u32 = 3;
/// ... which is this long at first, and doubles ...
const PAUSE: Duration = Duration::from_millis(1);
/// ... so often.
const PAUSE_DOUBLES: u32 = 6;

// === impl Line ===

impl Line {
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                next: 0,
                places: VecDeque::new(),
            }),
            length: AtomicUsize::new(0),
        }
    }

    /// Whether nobody stands in it.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.length.load(Ordering::Acquire) == 0
    }

    /// A place at its end, taken when it is first asked for.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            line: self,
            ticket: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place<'_> {
    /// Whether nobody stands before it; wakes the caller when that becomes so.
    fn is_first(&mut self, cx: &mut Context<'_>) -> bool {
        let mut state = self.line.lock();
        match self.ticket {
            Some(ticket) => {
                let mine = state.places.iter_mut().find(|(known, _)| *known == ticket);
                if let Some((_, waker)) = mine {
                    waker.clone_from(cx.waker());
                }
            }
            None => {
                state.next += 1;
                let ticket = state.next;
                state.places.push_back((ticket, cx.waker().clone()));
                self.line.length.fetch_add(1, Ordering::AcqRel);
                self.ticket = Some(ticket);
            }
        }
        let first = state.places.front();
        first.is_some_and(|(ticket, _)| Some(*ticket) == self.ticket)
    }

    /// Waits until nobody stands before it; whether that came in time. One who stands before it and is not polled, though
    /// there is room, holds it up until then.
    pub(crate) async fn first(&mut self, until: &mut Until) -> bool {
        until
            .bound(std::future::poll_fn(|cx| {
                if self.is_first(cx) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }))
            .await
            .is_some()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.line.lock();
        let Some(at) = state.places.iter().position(|(known, _)| *known == ticket) else {
            return;
        };
        state.places.remove(at);
        self.line.length.fetch_sub(1, Ordering::AcqRel);
        let next = match (at, state.places.front()) {
            (0, Some((_, waker))) => Some(waker.clone()),
            _ => None,
        };
        drop(state);
        if let Some(next) = next {
            next.wake();
        }
    }
}

// === impl Until ===

impl Until {
    /// So long after `since`; without bound for `None`.
    pub(crate) fn after(since: Instant, patience: Option<Duration>) -> Self {
        Self {
            deadline: patience.map(|patience| since + patience),
            timer: None,
        }
    }

    /// Waits for `future`, but no longer; `None` if it was not done in time.
    pub(crate) async fn bound<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            self.poll(cx).map(|()| None)
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        if self.timer.is_none() && tokio::runtime::Handle::try_current().is_ok() {
            self.timer = Some(Box::pin(tokio::time::sleep_until(deadline)));
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(cx),
            None if Instant::now() >= deadline => Poll::Ready(()),
            None => Poll::Pending,
        }
    }
}

// === impl Told ===

impl Told {
    /// Somebody was told again that there is room; the pause before he looks.
    pub(crate) async fn again(&mut self) {
        self.0 = self.0.saturating_add(1);
        if let Some(doubled) = self.0.checked_sub(TOLD_AT_ONCE) {
            let pause = PAUSE * 2u32.pow(doubled.min(PAUSE_DOUBLES));
            Until::after(Instant::now(), Some(pause))
                .bound(std::future::pending::<()>())
                .await;
        }
    }
}
