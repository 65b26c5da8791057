//! Wakes one connection's task from another, which may also tell it to leave.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// One connection's waker and what it was told.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    waker: Mutex<Option<Waker>>,
    asleep: AtomicBool,
    superseded: AtomicBool,
}

// === impl Bell ===

impl Bell {
    /// Keeps the task's waker; to be called before looking at what one waits for.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut kept = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *kept {
            Some(known) => known.clone_from(waker),
            None => *kept = Some(waker.clone()),
        }
    }

    pub(crate) fn wake(&self) {
        self.asleep.store(false, Ordering::Release);
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }

    /// Marks the connection as waiting for messages; false if it was already.
    pub(crate) fn falls_asleep(&self) -> bool {
        !self.asleep.swap(true, Ordering::AcqRel)
    }

    /// Tells the connection that its producer has come back on another one.
    pub(crate) fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }
}
