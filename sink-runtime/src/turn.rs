//! When a sender that never has to wait lets others run: an always-ready sender would starve the flusher.
//!
//! A turn ends when a segment of the buffer is full, so that the flusher finds one whole write and not one and a bit; after a few of
//! them where the sender has written them itself; and at the latest when the task's budget is spent.

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use crate::sync::yield_now;

/// Sends for which a task pays one unit of its budget: 128 units are then some 1,000 sends, for messages so small that they fill
/// no segment before.
const SENDS_PER_UNIT: u32 = 8;
/// Segments of one turn that its sender writes: all senders of a thread get as many.
const SEGMENTS: u32 = 4;
/// Set by a send that filled the last segment of a turn, for the next one on its thread.
const OVER: u32 = u32::MAX - 1;

thread_local! {
    static SENDS: Cell<u32> = const { Cell::new(0) };
    static FILLED: Cell<u32> = const { Cell::new(0) };
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

/// A segment is full: the turn is over, unless it is written already and this was not the last of the turn.
#[cold]
pub(crate) fn segment_filled(written: bool) {
    if cfg!(all(shuttle, test)) {
        // There all senders are on one thread of the machine's, and would end each other's turns.
        return;
    }
    let filled = FILLED.get() + 1;
    if written && filled < SEGMENTS {
        return FILLED.set(filled);
    }
    FILLED.set(0);
    SENDS.set(OVER);
}
