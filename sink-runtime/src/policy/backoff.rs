//! How long to wait between attempts (PROMISES §3). No clock: `now` comes in, a delay goes out.

use std::time::Duration;

use crate::clock::{Chance, Instant, uniform};

/// Shortest time a connection must have lasted for its backoff to start over: shorter ones flap.
pub const STABLE_AFTER: Duration = Duration::from_secs(5);

/// Exponential backoff with jitter: `d = min(max, base · 2^n)`, slept uniformly in `[d/2, d]`.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts at `base`, never beyond `max`.
    #[must_use]
    pub fn new(base: Duration, max: Duration) -> Self {
        Self {
            base,
            max: max.max(base),
            failures: 0,
        }
    }

    /// How many attempts in a row have failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The delay after one more failed attempt.
    pub fn failed(&mut self, chance: &dyn Chance) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        uniform(chance, ceiling / 2, ceiling)
    }

    /// The delay after an attempt that only a person can mend: the longest.
    pub fn failed_for_good(&mut self, chance: &dyn Chance) -> Duration {
        self.failures = self.failures.saturating_add(1);
        uniform(chance, self.max / 2, self.max)
    }

    /// The delay before the first redial of a connection lost after being up since `since`.
    ///
    /// A connection that did not last leaves the count as it was, so that the next failed attempt waits longer.
    pub fn lost(&mut self, since: Instant, now: Instant, chance: &dyn Chance) -> Duration {
        self.lasted(since, now);
        uniform(chance, Duration::ZERO, self.base)
    }

    /// A connection has been up since `since`: once that is long enough, the count starts over.
    pub fn lasted(&mut self, since: Instant, now: Instant) {
        if now.saturating_duration_since(since) >= self.ceiling().max(STABLE_AFTER) {
            self.failures = 0;
        }
    }

    /// Starts over: the resolver gave a new endpoint.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn ceiling(&self) -> Duration {
        let factor = 1u32.checked_shl(self.failures.min(31)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests;
