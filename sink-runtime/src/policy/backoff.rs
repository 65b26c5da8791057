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
    /// How many connections in a row did not last.
    short_lived: u32,
}

impl Backoff {
    /// Starts at `base`, never beyond `max`.
    #[must_use]
    pub fn new(base: Duration, max: Duration) -> Self {
        Self {
            base,
            max: max.max(base),
            failures: 0,
            short_lived: 0,
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
    /// One that did not last does not start the count over, and the next such in a row counts as a failed attempt does: who
    /// welcomes and hangs up at once is dialed ever more rarely.
    pub fn lost(&mut self, since: Instant, now: Instant, chance: &dyn Chance) -> Duration {
        if self.lasted(since, now) {
            return uniform(chance, Duration::ZERO, self.base);
        }
        let ceiling = self.ceiling();
        self.short_lived = self.short_lived.saturating_add(1);
        if self.short_lived == 1 {
            return uniform(chance, Duration::ZERO, self.base);
        }
        uniform(chance, ceiling / 2, ceiling)
    }

    /// A connection has been up since `since`: once that is long enough, which it answers, the count starts over.
    pub fn lasted(&mut self, since: Instant, now: Instant) -> bool {
        let lasted = now.saturating_duration_since(since) >= self.ceiling().max(STABLE_AFTER);
        if lasted {
            self.reset();
        }
        lasted
    }

    /// Starts over: the resolver gave a new endpoint.
    pub fn reset(&mut self) {
        self.failures = 0;
        self.short_lived = 0;
    }

    fn ceiling(&self) -> Duration {
        let again = self.short_lived.saturating_sub(1);
        let count = self.failures.saturating_add(again);
        let factor = 1u32.checked_shl(count.min(31)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests;
