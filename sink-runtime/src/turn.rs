//! When a sender that never has to wait lets others run: an always-ready sender would starve the flusher.
//!
//! A turn ends when the last of a few segments of the buffer is full, so that the flusher finds whole writes and not a bit besides,
//! and at the latest when the task's budget is spent.

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use crate::sync::yield_now;

/// Sends for which a task pays one unit of its budget: 128 units are then some 1,000 sends, for messages so small that they fill
/// no segment before.
const SENDS_PER_UNIT: u32 = 8;
/// Set by a send that filled the last segment of a turn, for the next one on its thread.
const OVER: u32 = u32::MAX - 1;

thread_local! {
    static SENDS: Cell<u32> = const { Cell::new(0) };
}

/// Asked before each send: whether it is still this task's turn.
#[inline(always)]
pub(crate) fn poll_turn(cx: &mut Context<'_>) -> Poll<()> {
    let sends = SENDS.get() + 1;
    if sends < SENDS_PER_UNIT {
        SENDS.set(sends);
        return Poll::Ready(());
    }
    poll_pay(sends, cx)
}

#[cold]
fn poll_pay(sends: u32, cx: &mut Context<'_>) -> Poll<()> {
    SENDS.set(0);
    if sends > OVER {
        // Behind all that is ready now, the flusher among them.
        return pin!(yield_now()).poll(cx);
    }
    ready!(tokio::task::coop::poll_proceed(cx)).made_progress();
    Poll::Ready(())
}

/// Enough is pending: the turn is over.
#[cold]
pub(crate) fn end() {
    SENDS.set(OVER);
}
