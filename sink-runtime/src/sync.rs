//! What the send path takes from outside it to lock, to block a thread and to start its task: of the standard library and of
//! tokio, or, in tests built with `--cfg shuttle`, of a scheduler that tries one order of events after another (`schedules.rs`).

#[cfg(not(all(shuttle, test)))]
mod real {
    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::{Mutex, MutexGuard};
    pub(crate) use std::thread::{self, Thread};
    pub(crate) use tokio::runtime::{Handle, Id};
    pub(crate) use tokio::task::yield_now;
}

#[cfg(all(shuttle, test))]
mod real {
    pub(crate) use crate::schedules::runtime::{Handle, Id};
    pub(crate) use shuttle::future::yield_now;
    pub(crate) use shuttle::sync::atomic::AtomicBool;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use shuttle::thread::{self, Thread};
}

pub(crate) use real::*;
