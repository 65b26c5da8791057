//! A link's life on a simulated clock.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::SplitMix;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

struct Always(u64);

impl Chance for Always {
    fn next(&self) -> u64 {
        self.0
    }
}

const HIGH: Always = Always(u64::MAX);

fn policy() -> LifePolicy {
    LifePolicy {
        reconnect_delay: 100 * MS,
        reconnect_max_delay: 10 * SECOND,
        connect_timeout: 5 * SECOND,
        max_attempts: None,
        heartbeat: 10 * SECOND,
    }
}

fn not_there() -> ConnectError {
    ConnectError::NotThereYet {
        service: Arc::from("orders"),
        endpoint: Arc::from("unix:///x"),
        attempt: 1,
        source: Arc::new(io::ErrorKind::NotFound.into()),
    }
}

fn lost() -> ConnectError {
    ConnectError::Lost {
        service: Arc::from("orders"),
        endpoint: Arc::from("unix:///x"),
        reason: Arc::from("peer closed it"),
    }
}

fn refused() -> ConnectError {
    ConnectError::Refused {
        service: Arc::from("orders"),
        endpoint: Arc::from("unix:///x"),
        reason: Arc::from("another type"),
    }
}

fn ready(life: &mut Life, now: Instant) {
    assert!(matches!(life.step(now, true), Step::Dial { .. }));
    life.dialed(now);
    life.welcomed(now, 10 * SECOND);
}

#[test]
fn nothing_is_dialed_until_something_is_wanted_2_1() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    for _ in 0..10 {
        assert_eq!(life.step(now, false), Step::Rest);
    }
    assert_eq!(life.attempts(), 0);
    assert_eq!(life.state().name(), "idle");
    assert_eq!(
        life.step(now, true),
        Step::Dial {
            until: now + 5 * SECOND
        }
    );
    assert_eq!(life.state().name(), "connecting");
}

#[test]
fn an_attempt_lasts_at_most_connect_timeout_greeting_included_2_3() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    life.step(now, true);
    life.dialed(now + 4 * SECOND);
    assert_eq!(
        life.step(now + 4 * SECOND, true),
        Step::Continue {
            until: now + 5 * SECOND
        }
    );
}

#[test]
fn there_is_one_attempt_per_slot_however_often_it_is_asked_2_4() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    life.step(now, true);
    for _ in 0..100 {
        assert!(matches!(life.step(now, true), Step::Continue { .. }));
    }
    life.failed(now, not_there(), &HIGH);
    for tick in 0..100 {
        assert_eq!(
            life.step(now + tick * MS, true),
            Step::Wait {
                until: now + 100 * MS
            }
        );
    }
    assert_eq!(life.attempts(), 1);
    assert!(matches!(life.step(now + 100 * MS, true), Step::Dial { .. }));
    assert_eq!(life.attempts(), 2);
}

#[test]
fn without_anything_to_send_a_failure_is_not_followed_by_an_attempt_2_5() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    life.step(now, true);
    life.failed(now, not_there(), &HIGH);
    assert_eq!(life.step(now + SECOND, false), Step::Rest);
    assert_eq!(life.state().name(), "idle");
    assert_eq!(life.attempts(), 1);
}

#[test]
fn permanent_causes_wait_the_longest_delay_at_once_2_6() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    life.step(now, true);
    life.failed(now, refused(), &HIGH);
    assert_eq!(
        life.step(now, true),
        Step::Wait {
            until: now + 10 * SECOND
        }
    );
    let denied = ConnectError::Io {
        service: Arc::from("orders"),
        endpoint: Arc::from("unix:///x"),
        attempt: 1,
        source: Arc::new(io::ErrorKind::PermissionDenied.into()),
    };
    assert!(denied.is_permanent() && refused().is_permanent());
    assert!(!not_there().is_permanent() && !lost().is_permanent());
}

#[test]
fn delays_double_up_to_the_longest_3_1() {
    let mut life = Life::new(policy());
    let mut now = Instant::now();
    for expected in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
        assert!(matches!(life.step(now, true), Step::Dial { .. }));
        life.failed(now, not_there(), &HIGH);
        let until = now + expected * MS;
        assert_eq!(life.step(now, true), Step::Wait { until });
        assert_eq!(
            life.step(until - Duration::from_nanos(1), true),
            Step::Wait { until }
        );
        now = until;
    }
}

#[test]
fn a_lost_connection_is_redialed_within_the_first_delay_3_1() {
    for seed in 0..crate::rounds(1_000) as u64 {
        let mut life = Life::new(policy());
        let now = Instant::now();
        for _ in 0..seed % 7 {
            life.step(now + 3600 * SECOND, true);
            life.failed(now, not_there(), &HIGH);
        }
        let now = now + 3600 * SECOND;
        ready(&mut life, now);
        let gone = now + Duration::from_millis(seed);
        life.failed(gone, lost(), &SplitMix::new(seed));
        match life.step(gone, true) {
            Step::Wait { until } => assert!(until <= gone + 100 * MS, "seed {seed}"),
            // The dice said zero.
            step => assert!(matches!(step, Step::Dial { .. }), "seed {seed}: {step:?}"),
        }
    }
}

#[test]
fn a_short_connection_does_not_start_the_count_over_3_2() {
    let now = Instant::now();
    let next_delay = |up: Duration| {
        let mut life = Life::new(policy());
        for _ in 0..3 {
            life.step(now + 3600 * SECOND, true);
            life.failed(now, not_there(), &HIGH);
        }
        let up_at = now + 3600 * SECOND;
        ready(&mut life, up_at);
        let gone = up_at + up;
        life.failed(gone, lost(), &HIGH);
        assert!(matches!(life.step(gone + SECOND, true), Step::Dial { .. }));
        life.failed(gone + SECOND, not_there(), &HIGH);
        match life.step(gone + SECOND, true) {
            Step::Wait { until } => until - (gone + SECOND),
            step => panic!("{step:?}"),
        }
    };
    assert_eq!(next_delay(5 * SECOND - Duration::from_nanos(1)), 800 * MS);
    assert_eq!(next_delay(5 * SECOND), 100 * MS);
}

#[test]
fn max_attempts_ends_it_and_asking_again_starts_over_3_2() {
    let mut life = Life::new(LifePolicy {
        max_attempts: Some(3),
        ..policy()
    });
    let mut now = Instant::now();
    for _ in 0..3 {
        assert!(life.gave_up().is_none());
        now += 60 * SECOND;
        assert!(matches!(life.step(now, true), Step::Dial { .. }));
        life.failed(now, not_there(), &HIGH);
    }
    let text = life.gave_up().expect("three attempts failed").to_string();
    assert!(text.contains("3 attempts"), "{text}");
    assert_eq!(life.step(now + 60 * SECOND, true), Step::Rest);
    life.renew();
    assert!(matches!(
        life.step(now + 60 * SECOND, true),
        Step::Dial { .. }
    ));
}

#[test]
fn a_new_endpoint_redials_at_once_and_starts_the_count_over_3_3() {
    for (dice, jitter) in [(0, Duration::ZERO), (u64::MAX, 100 * MS)] {
        let mut life = Life::new(policy());
        let mut now = Instant::now();
        for _ in 0..5 {
            now += 60 * SECOND;
            life.step(now, true);
            life.failed(now, not_there(), &HIGH);
        }
        assert!(matches!(life.step(now, true), Step::Wait { .. }));
        life.moved(now, &Always(dice));
        let at = now + jitter;
        if !jitter.is_zero() {
            assert_eq!(life.step(now, true), Step::Wait { until: at });
        }
        assert!(matches!(life.step(at, true), Step::Dial { .. }));
        life.failed(at, not_there(), &HIGH);
        assert_eq!(
            life.step(at, true),
            Step::Wait {
                until: at + 100 * MS
            }
        );
    }
}

#[test]
fn an_attempt_at_the_old_endpoint_ends_without_blame_3_3() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    life.step(now, true);
    let joined = life.joins();
    life.moved(now, &Always(0));
    assert!(life.has_ended(joined) && life.last_error().is_none());
    assert_eq!(life.state().name(), "idle");
    assert_eq!(life.step(now, false), Step::Rest);
    assert!(matches!(life.step(now, true), Step::Dial { .. }));
}

#[test]
fn a_connection_that_lasted_and_rests_starts_the_count_over_3_2() {
    let now = Instant::now();
    let next_delay = |up: Duration| {
        let mut life = Life::new(policy());
        for _ in 0..3 {
            life.step(now + 3600 * SECOND, true);
            life.failed(now, not_there(), &HIGH);
        }
        let up_at = now + 3600 * SECOND;
        ready(&mut life, up_at);
        // The driver looks at the time before it acts on what it read.
        life.beat(up_at + up);
        life.rest();
        life.step(up_at + up, true);
        life.failed(up_at + up, not_there(), &HIGH);
        match life.step(up_at + up, true) {
            Step::Wait { until } => until - (up_at + up),
            step => panic!("{step:?}"),
        }
    };
    assert_eq!(next_delay(5 * SECOND - Duration::from_nanos(1)), 800 * MS);
    assert_eq!(next_delay(5 * SECOND), 100 * MS);
}

#[test]
fn asking_again_after_max_attempts_does_not_shorten_the_slot_2_4() {
    let mut life = Life::new(LifePolicy {
        max_attempts: Some(1),
        ..policy()
    });
    let now = Instant::now();
    life.step(now, true);
    life.failed(now, not_there(), &HIGH);
    for _ in 0..100 {
        life.renew();
        assert_eq!(
            life.step(now, true),
            Step::Wait {
                until: now + 100 * MS
            }
        );
    }
    assert_eq!(life.attempts(), 1);
    assert!(matches!(life.step(now + 100 * MS, true), Step::Dial { .. }));
}

#[test]
fn the_other_ends_first_frame_is_waited_for_two_seconds_10_5() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    life.step(now, true);
    life.dialed(now + SECOND);
    assert_eq!(
        life.step(now + SECOND, true),
        Step::Continue {
            until: now + 3 * SECOND
        }
    );
}

#[test]
fn a_peer_that_takes_no_byte_and_says_nothing_is_stuck_after_ten_seconds_10_5() {
    let mut life = Life::new(policy());
    let start = Instant::now();
    ready(&mut life, start);
    let since = start + 3 * SECOND;
    life.blocked(since);
    life.blocked(since + SECOND);
    assert_eq!(
        life.beat(since),
        Beat::Quiet {
            until: start + 10 * SECOND
        }
    );
    assert_eq!(life.beat(start + 10 * SECOND), Beat::Send);
    assert_eq!(
        life.beat(start + 10 * SECOND),
        Beat::Quiet {
            until: start + 13 * SECOND
        }
    );
    assert_eq!(life.beat(start + 13 * SECOND), Beat::PeerIsStuck);
    // A byte it takes, or a word it says, begins the ten seconds anew.
    life.heard(start + 12 * SECOND);
    assert_ne!(life.beat(start + 13 * SECOND), Beat::PeerIsStuck);
    assert_eq!(life.beat(start + 22 * SECOND), Beat::PeerIsStuck);
    life.unblocked();
    assert_ne!(life.beat(start + 22 * SECOND), Beat::PeerIsStuck);
}

#[test]
fn all_who_join_an_attempt_learn_of_its_end_2_4() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    let before = life.joins();
    life.step(now, true);
    let during = life.joins();
    assert_eq!(before, during);
    assert!(!life.has_ended(during));
    life.failed(now, not_there(), &HIGH);
    assert!(life.has_ended(during));
    let after = life.joins();
    assert!(
        !life.has_ended(after),
        "a later caller joins the next attempt"
    );
    assert!(life.last_error().is_some());
}

#[test]
fn a_runtime_that_goes_away_ends_the_attempt_without_blame_2_9() {
    let mut life = Life::new(policy());
    let now = Instant::now();
    life.step(now, true);
    let joined = life.joins();
    life.interrupted();
    assert!(life.has_ended(joined) && life.last_error().is_none());
    assert!(matches!(life.step(now, true), Step::Dial { .. }));
    life.failed(now, not_there(), &HIGH);
    let waiting = life.step(now, true);
    life.interrupted();
    assert_eq!(
        life.step(now, true),
        waiting,
        "a slot is a slot on any runtime"
    );
}

#[test]
fn silence_is_broken_and_a_silent_peer_is_given_up_after_three_beats_10_5() {
    let mut life = Life::new(policy());
    let start = Instant::now();
    ready(&mut life, start);
    assert_eq!(
        life.beat(start),
        Beat::Quiet {
            until: start + 10 * SECOND
        }
    );
    assert_eq!(life.beat(start + 10 * SECOND), Beat::Send);
    assert_eq!(
        life.beat(start + 10 * SECOND),
        Beat::Quiet {
            until: start + 20 * SECOND
        }
    );
    life.heard(start + 15 * SECOND);
    assert_eq!(life.beat(start + 20 * SECOND), Beat::Send);
    assert_eq!(life.beat(start + 30 * SECOND), Beat::Send);
    assert_eq!(life.beat(start + 40 * SECOND), Beat::Send);
    assert_eq!(
        life.beat(start + 45 * SECOND - MS),
        Beat::Quiet {
            until: start + 45 * SECOND
        }
    );
    assert_eq!(life.beat(start + 45 * SECOND), Beat::PeerIsGone);
}

#[test]
fn the_peers_own_interval_counts_10_5() {
    let mut life = Life::new(policy());
    let start = Instant::now();
    life.step(start, true);
    life.dialed(start);
    life.welcomed(start, SECOND);
    assert_eq!(
        life.beat(start),
        Beat::Quiet {
            until: start + 3 * SECOND
        }
    );
    assert_eq!(life.beat(start + 3 * SECOND), Beat::PeerIsGone);
}
