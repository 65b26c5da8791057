//! What the send path takes from outside it to lock, to block a thread and to start its task: of the standard library and of
//! tokio, or, in tests built with `--cfg shuttle`, of a scheduler that tries one order of events after another (`schedules.rs`).

#[cfg(not(all(shuttle, test)))]
mod real {
    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::{Mutex, MutexGuard};
    use std::sync::{PoisonError, TryLockError};
    pub(crate) use std::thread::{self, Thread};
    pub(crate) use tokio::runtime::{Handle, Id};
    pub(crate) use tokio::task::yield_now;

    /// How often a lock that is held is tried again before the thread sleeps for it, and pauses of the processor in between: some
    /// 2 µs each time, where a pause is 30 ns.
    const TRIES: u32 = 4;
    const PAUSES: u32 = 64;

    /// Locks what is held for tens of nanoseconds at a time, whatever became of who held it.
    ///
    /// Who finds it held keeps off for a while instead of watching it: the holder then goes on with the lock, and what is behind it,
    /// in its own cache, dozens of times. Taking turns moves both from one processor to the other each time.
    #[inline]
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        match mutex.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => lock_held(mutex),
        }
    }

    #[cold]
    fn lock_held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        for _ in 0..TRIES {
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            match mutex.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(shuttle, test))]
mod real {
    pub(crate) use crate::schedules::runtime::{Handle, Id};
    pub(crate) use shuttle::future::yield_now;
    pub(crate) use shuttle::sync::atomic::AtomicBool;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use shuttle::thread::{self, Thread};
    use std::sync::PoisonError;

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) use real::*;
