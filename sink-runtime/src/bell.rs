//! Who is told when a link's stream can be read: its driver, and beside it a sender that waits for an ack of its own.
//!
//! A wire keeps one waker, so that is always the bell. A confirming sender that reads its ack itself is spared a turn of the
//! driver and a second wake; the driver is told all the same, because nobody may depend on a future that is not polled.

use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};

use crate::sync::{Mutex, MutexGuard};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Bell(Mutex<Listeners>);

#[derive(Debug, Default)]
struct Listeners {
    driver: Option<Waker>,
    /// The sender that looked last; woken once.
    sender: Option<Waker>,
    /// The driver's runtime runs last what is woken last, or first: the sender should come first.
    last_is_first: bool,
    rang: bool,
}

impl Bell {
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The driver listens from now on, on a runtime that runs first what was woken last, or not.
    pub(crate) fn driver_listens(&self, waker: &Waker, last_is_first: bool) {
        let mut listeners = self.listeners();
        listeners.last_is_first = last_is_first;
        listeners.rang = false;
        keep(&mut listeners.driver, waker);
    }

    /// Whether it rang since it was last asked.
    pub(crate) fn rang(&self) -> bool {
        std::mem::take(&mut self.listeners().rang)
    }

    /// A sender listens for the next ring.
    pub(crate) fn sender_listens(&self, waker: &Waker) {
        keep(&mut self.listeners().sender, waker);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut listeners = self.listeners();
        listeners.rang = true;
        let (driver, sender) = (listeners.driver.clone(), listeners.sender.take());
        let order = if listeners.last_is_first {
            [driver, sender]
        } else {
            [sender, driver]
        };
        drop(listeners);
        order.into_iter().flatten().for_each(Waker::wake);
    }
}

fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(kept) => kept.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
