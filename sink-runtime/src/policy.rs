//! Decisions: when to redial. Pure; the driver brings the clock.

pub mod backoff;
