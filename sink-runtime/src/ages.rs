//! Which messages have waited longer than `max_age_ms` (PROMISES 4.10). Pure: numbers and `now` in, a number out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Instant;

/// Runs that a limit is divided into: a message is known to be too old at most this part of the limit late, never early,
/// and a link remembers so many times and not one for each message.
const RUNS: u32 = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Ages {
    limit: Duration,
    runs: VecDeque<Run>,
}

/// Messages accepted within a short time.
#[derive(Debug)]
struct Run {
    first_at: Instant,
    last_at: Instant,
    last: u64,
}

// === impl Ages ===

impl Ages {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            runs: VecDeque::new(),
        }
    }

    /// Message `sequence` is accepted.
    pub(crate) fn note(&mut self, sequence: u64, now: Instant) {
        // Of the runs that are too old the last one says all.
        while self.runs.get(1).is_some_and(|run| self.is_old(run, now)) {
            self.runs.pop_front();
        }
        let span = self.limit / RUNS;
        match self.runs.back_mut() {
            Some(run) if now.saturating_duration_since(run.first_at) <= span => {
                run.last_at = now;
                run.last = sequence;
            }
            _ => self.runs.push_back(Run {
                first_at: now,
                last_at: now,
                last: sequence,
            }),
        }
    }

    /// The last message that is too old at `now`, if any has become so.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<u64> {
        let mut upto = None;
        while self.runs.front().is_some_and(|run| self.is_old(run, now)) {
            upto = self.runs.pop_front().map(|run| run.last);
        }
        upto
    }

    fn is_old(&self, run: &Run, now: Instant) -> bool {
        now.saturating_duration_since(run.last_at) > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_message_is_too_old_never_early_and_a_64th_late_at_most_4_10() {
        let start = Instant::now();
        for step in [1, 7, 50, 999] {
            let mut ages = Ages::new(1_000 * MS);
            let (mut now, mut sequence, mut gone) = (start, 0, 0);
            let mut accepted = Vec::new();
            for _ in 0..3_000 {
                now += Duration::from_micros(step * 100);
                sequence += 1;
                ages.note(sequence, now);
                accepted.push(now);
                if sequence % 5 == 0 {
                    gone = ages.expired(now).unwrap_or(gone);
                    for (number, at) in (1..).zip(&accepted) {
                        let waited = now - *at;
                        assert!(number > gone || waited > 1_000 * MS, "early: {waited:?}");
                        assert!(number <= gone || waited <= 1_016 * MS, "late: {waited:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_though_nobody_asks_4_10() {
        let mut ages = Ages::new(100 * MS);
        let mut now = Instant::now();
        for sequence in 0..100_000 {
            now += MS / 3;
            ages.note(sequence, now);
            assert!(ages.runs.len() <= RUNS as usize + 2);
        }
    }
}
