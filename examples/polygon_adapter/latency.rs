//! How long messages took, in a histogram of fixed size: 32 buckets per doubling, so a value is off by 3 % at most.

use std::time::Duration;

const STEPS: u64 = 32;

/// Counts of durations.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    buckets: Vec<u64>,
    count: u64,
}

// === impl Latency ===

impl Latency {
    /// Nothing counted.
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; (64 * STEPS) as usize],
            count: 0,
        }
    }

    /// Counts one.
    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.buckets[bucket(nanoseconds)] += 1;
        self.count += 1;
    }

    /// What `percent` of the counted stayed below, if any were counted.
    pub(crate) fn percentile(&self, percent: u64) -> Option<Duration> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let at = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_nanos(upper_bound(at as u64)))
    }
}

/// Below [`STEPS`] one bucket per value; above, the top six bits decide.
fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = u64::from(value.ilog2() - STEPS.ilog2());
    (shift * STEPS + (value >> shift)) as usize
}

fn upper_bound(bucket: u64) -> u64 {
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let top = bucket % STEPS + STEPS;
    (((u128::from(top) + 1) << shift) - 1).min(u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_off_by_three_percent_at_most() {
        let mut latency = Latency::new();
        (1..=100_000).for_each(|value| latency.record(value));
        for percent in [1, 50, 99, 100] {
            let got = latency.percentile(percent).unwrap().as_nanos() as f64;
            let want = percent as f64 * 1_000.0;
            assert!(
                (got / want - 1.0).abs() < 0.032,
                "p{percent}: {got} for {want}"
            );
        }
    }

    #[test]
    fn every_value_has_a_bucket_that_bounds_it() {
        for value in [0, 1, 31, 32, 33, 63, 64, 1_000_000_007, u64::MAX] {
            let bound = upper_bound(bucket(value) as u64);
            assert!(
                bound >= value && bound - value <= value / 32 + 1,
                "{value}: {bound}"
            );
        }
    }

    #[test]
    fn nothing_counted_is_no_number() {
        assert_eq!(Latency::new().percentile(50), None);
    }
}
