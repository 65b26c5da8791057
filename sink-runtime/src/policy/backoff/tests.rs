//! PROMISES 3.1 and 3.2, to the nanosecond.

use std::sync::Arc;
use std::time::Duration;

use super::*;

/// Dice that always show the same.
struct Always(u64);

impl Chance for Always {
    fn next(&self) -> u64 {
        self.0
    }
}

const LOW: Always = Always(0);
const HIGH: Always = Always(u64::MAX);
const MS: Duration = Duration::from_millis(1);

fn seeded(seed: u64) -> Arc<dyn Chance> {
    Arc::new(crate::clock::SplitMix::new(seed))
}

#[test]
fn the_delay_doubles_and_is_slept_between_its_half_and_its_whole_3_1() {
    let (mut low, mut high) = (
        Backoff::new(100 * MS, 10_000 * MS),
        Backoff::new(100 * MS, 10_000 * MS),
    );
    for expected in [
        100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000,
    ] {
        assert_eq!(low.failed(&LOW), expected * MS / 2);
        assert_eq!(high.failed(&HIGH), expected * MS);
    }
}

#[test]
fn the_jitter_is_uniform_over_the_whole_range_3_1() {
    let dice = seeded(3);
    let mut buckets = [0u32; 10];
    for _ in 0..10_000 {
        let delay = Backoff::new(100 * MS, 10_000 * MS).failed(&*dice);
        let offset = delay - 50 * MS;
        assert!(offset <= 50 * MS);
        buckets[(offset.as_nanos() * 10 / 50_000_001) as usize] += 1;
    }
    for (bucket, count) in buckets.into_iter().enumerate() {
        assert!(
            (850..=1_150).contains(&count),
            "tenth {bucket}: {count} of 10,000"
        );
    }
}

#[test]
fn no_number_of_failures_overflows_3_1() {
    let mut backoff = Backoff::new(Duration::from_secs(3_600), Duration::MAX);
    for _ in 0..100 {
        let _ = backoff.failed(&HIGH);
    }
    let mut backoff = Backoff::new(100 * MS, 10_000 * MS);
    backoff.failures = u32::MAX;
    assert_eq!(backoff.failed(&HIGH), 10_000 * MS);
}

#[test]
fn a_lost_connection_is_redialed_between_zero_and_the_first_delay_3_1() {
    let start = Instant::now();
    for lasted in [0, 1, 4_999, 5_000, 3_600_000] {
        for failures in [0, 1, 5, 40] {
            let mut backoff = Backoff::new(100 * MS, 10_000 * MS);
            backoff.failures = failures;
            let mut other = backoff.clone();
            assert_eq!(
                backoff.lost(start, start + lasted * MS, &LOW),
                Duration::ZERO
            );
            assert_eq!(other.lost(start, start + lasted * MS, &HIGH), 100 * MS);
        }
    }
}

#[test]
fn the_count_starts_over_only_after_the_delay_or_five_seconds_of_ready_3_2() {
    let start = Instant::now();
    let after = |failures: u32, lasted: Duration| {
        let mut backoff = Backoff::new(100 * MS, 20_000 * MS);
        backoff.failures = failures;
        backoff.lost(start, start + lasted, &LOW);
        backoff.failures()
    };
    let nanosecond = Duration::from_nanos(1);
    // d = 800 ms: five seconds decide.
    assert_eq!(after(3, 5_000 * MS - nanosecond), 3);
    assert_eq!(after(3, 5_000 * MS), 0);
    // d = 12.8 s: the delay decides.
    assert_eq!(after(7, 12_800 * MS - nanosecond), 7);
    assert_eq!(after(7, 12_800 * MS), 0);
}

#[test]
fn connections_that_do_not_last_count_from_the_second_in_a_row_on_3_2() {
    let start = Instant::now();
    let mut backoff = Backoff::new(100 * MS, 1_000 * MS);
    let mut delay = |lasted| (backoff.lost(start, start + lasted * MS, &HIGH)).as_millis();
    assert_eq!(
        [0, 0, 4_999, 0, 0, 0, 0].map(&mut delay),
        [100, 100, 200, 400, 800, 1_000, 1_000]
    );
    // One that lasts starts it over.
    assert_eq!([5_000, 0, 0, 0].map(&mut delay), [100, 100, 100, 200]);
    assert_eq!(backoff.failures(), 0, "they are no failed attempts");
    assert_eq!(backoff.failed(&HIGH), 400 * MS, "but the delay counts them");
}

#[test]
fn a_permanent_cause_goes_straight_to_the_longest_delay_2_6() {
    let mut backoff = Backoff::new(100 * MS, 10_000 * MS);
    assert_eq!(backoff.failed_for_good(&HIGH), 10_000 * MS);
    assert_eq!(backoff.failed_for_good(&LOW), 5_000 * MS);
}

#[test]
fn a_longest_delay_below_the_first_is_the_first_3_1() {
    assert_eq!(Backoff::new(100 * MS, MS).failed(&HIGH), 100 * MS);
}
