//! The real link, driver and waits under a scheduler that tries one order of events after another. Built with `--cfg shuttle`.
//!
//! Nothing here sleeps: what is still asleep when nothing can happen any more is a wake that was lost, and the scheduler says
//! so. `SINKS_SCHEDULES` sets how many orders each test tries; a failure prints the seed or the schedule that leads there.
#![allow(clippy::unwrap_used, reason = "a scenario that panics has failed")]

use std::env;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::{Level, blocking};

pub(crate) mod runtime;
mod world;

use runtime::Handle;
use world::{End, NEVER, Shape, World};

/// Orders that each test tries unless told otherwise.
const FEW: usize = 300;
/// Of the priorities that decide who goes first, so many change within one schedule.
const CHANGES: usize = 3;
/// A schedule this long goes round in circles: most take some hundreds of steps.
const MOST_STEPS: usize = 50_000;

/// Tries `scenario` in many orders: three in four at random, the rest by priorities, which finds what needs a long delay.
fn explore(scenario: fn()) {
    let count = env::var("SINKS_SCHEDULES").map_or(FEW, |count| count.parse().expect("a number"));
    let seed = env::var("SINKS_SEED").map_or_else(
        |_| crate::clock::system_seed(),
        |seed| seed.parse().expect("a number"),
    );
    eprintln!("SINKS_SEED={seed} SINKS_SCHEDULES={count}");
    let by_priority = count / 4;
    run(
        RandomScheduler::new_from_seed(seed, count - by_priority),
        FailurePersistence::None,
        scenario,
    );
    run(
        PctScheduler::new_from_seed(seed, CHANGES, by_priority),
        FailurePersistence::Print,
        scenario,
    );
}

fn run(scheduler: impl Scheduler + 'static, persistence: FailurePersistence, scenario: fn()) {
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.failure_persistence = persistence;
    Runner::new(scheduler, config).run(scenario);
}

fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[shuttle::rand::thread_rng().gen_range(0..choices.len())]
}

/// The `count` messages of sender `who`, in order.
fn numbers(who: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |index| who << 32 | index)
}

/// PROMISES 2.2: however many first sends there are, one attempt.
#[test]
fn many_first_sends_are_one_dial() {
    explore(|| {
        let mut world = World::new(&Shape {
            horizon: Duration::ZERO,
            ..Shape::default()
        });
        let home = world.home.clone();
        for who in 0..3 {
            world.spawn(Some(&home), move |user| {
                assert!(user.try_send(who << 32).is_some());
            });
        }
        world.spawn(Some(&home), |user| {
            blocking::wait(user.leaf().connect()).unwrap();
        });
        world.join_users();
        world.peer.wait_for(3);
        let report = world.close();
        assert_eq!(world.peer.dials(), 1);
        world.end(&report).all_came();
    });
}

/// PROMISES 4.3 and 4.5: who waits for room is served first come first served, and one that gives up costs nobody a wake.
#[test]
fn waiting_senders_are_served_in_turn() {
    explore(|| {
        let mut world = World::new(&Shape {
            buffer_size: one_of(&[1, 2]),
            payload: one_of(&[8, 9_000]),
            capacity: one_of(&[300, 20_000]),
            ..Shape::default()
        });
        let home = world.home.clone();
        world.spawn(Some(&home), |user| {
            for number in numbers(1, 3) {
                assert!(user.send(number));
            }
        });
        world.spawn(Some(&home), |user| {
            let (mut first, mut second) =
                (pin!(user.begin(2 << 32)), pin!(user.begin(2 << 32 | 1)));
            let mut both = [None; 2];
            blocking::wait(std::future::poll_fn(|cx| {
                if both[0].is_none()
                    && let Poll::Ready(sent) = first.as_mut().poll(cx)
                {
                    both[0] = Some(sent.unwrap().sequence());
                }
                if both[1].is_none()
                    && let Poll::Ready(sent) = second.as_mut().poll(cx)
                {
                    both[1] = Some(sent.unwrap().sequence());
                }
                if both[0].is_some() && both[1].is_some() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
            assert!(both[0] < both[1], "{both:?}");
        });
        world.spawn(Some(&home), |user| {
            let mut given_up = Box::pin(user.begin(3 << 32));
            let waits = given_up
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending();
            if waits {
                // Nothing overtakes one that waits.
                if let Some(later) = user.try_send(3 << 32 | 1)
                    && let Poll::Ready(sent) = given_up
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                {
                    assert!(sent.unwrap().sequence() < later.sequence());
                }
            }
            drop(given_up);
        });
        let report = world.close();
        world.end(&report).all_came();
    });
}

/// No message is left in the buffer with everyone asleep: nothing but the sends themselves wakes the driver here.
#[test]
fn a_message_sent_while_the_driver_parks_is_written() {
    explore(|| {
        let mut world = World::new(&Shape {
            capacity: one_of(&[100, 1024]),
            horizon: Duration::ZERO,
            ..Shape::default()
        });
        let home = world.home.clone();
        for who in 0..2 {
            let peer = Arc::clone(&world.peer);
            world.spawn(Some(&home), move |user| {
                for number in numbers(who, 3) {
                    assert!(user.try_send(number).is_some());
                    if who == 0 {
                        // The next one comes just when the driver goes to sleep.
                        peer.wait_for_number(number);
                    }
                }
            });
        }
        // A thread outside any runtime: it may send once some runtime drives the link.
        world.spawn(None, |user| {
            for number in numbers(2, 2) {
                user.try_send(number);
            }
        });
        world.join_users();
        world.peer.wait_for(world.user.account.accepted());
        let report = world.close();
        world.end(&report).all_came();
    });
}

/// PROMISES 6.1: at least once, every confirmed message came, however often the connection is lost.
#[test]
fn confirming_sends_outlive_lost_connections() {
    explore(|| {
        // The large one is written without the lock, while senders read acks.
        let (payload, capacity) = one_of(&[(8, 100), (8, 1024), (9_000, 4_000), (9_000, 20_000)]);
        let mut world = World::new(&Shape {
            confirm: one_of(&[None, Some(Level::Written), Some(Level::Acked)]),
            keep: true,
            buffer_size: one_of(&[1, 2, 100]),
            payload,
            capacity,
            hang_ups: one_of(&[0, 1, 2]),
            refusals: one_of(&[0, 1]),
            ..Shape::default()
        });
        let home = world.home.clone();
        for who in 0..3 {
            world.spawn(Some(&home), move |user| {
                for number in numbers(who, 2) {
                    assert!(user.send(number));
                }
            });
        }
        world.join_users();
        world.peer.wait_for(6);
        let report = world.close();
        let told = world.end(&report);
        told.all_came();
        assert_eq!((told.ledger.done, told.ledger.unknown), (6, 0));
    });
}

/// PROMISES 4.1 and 4.2: a confirming send at its deadline, or whose connection is lost, says truly what became of its message.
#[test]
fn an_unconfirmed_message_is_not_sent_or_unknown() {
    explore(|| {
        let mut world = World::new(&Shape {
            confirm: Some(one_of(&[Level::Written, Level::Acked])),
            keep: one_of(&[false, true]),
            buffer_size: one_of(&[1, 100]),
            capacity: one_of(&[100, 1024]),
            send_timeout: one_of(&[
                None,
                Some(Duration::from_millis(50)),
                Some(Duration::from_secs(1)),
            ]),
            connect_timeout: one_of(&[NEVER, Duration::from_secs(5)]),
            hang_ups: one_of(&[0, 1]),
            refusals: one_of(&[0, 1]),
            ..Shape::default()
        });
        let home = world.home.clone();
        for who in 0..2 {
            world.spawn(Some(&home), move |user| {
                for number in numbers(who, 2) {
                    user.send(number);
                }
            });
        }
        world.spawn(Some(&home), |user| {
            let mut given_up = Box::pin(user.begin(2 << 32));
            let _ = given_up
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
        });
        let report = world.close();
        world.end(&report);
    });
}

/// PROMISES 8.1: a flush answers for what was accepted before it, and a close leaves nothing unaccounted for.
#[test]
fn flush_and_close_race_with_senders() {
    explore(|| {
        let mut world = World::new(&Shape {
            buffer_size: one_of(&[1, 2, 100]),
            keep: one_of(&[false, true]),
            payload: one_of(&[8, 9_000]),
            capacity: one_of(&[300, 20_000]),
            ..Shape::default()
        });
        let home = world.home.clone();
        let deadline = one_of(&[Duration::from_secs(1), NEVER]);
        for who in 0..2 {
            world.spawn(Some(&home), move |user| {
                for number in numbers(who, 2) {
                    let Ok(receipt) = blocking::wait(user.begin(number)) else {
                        continue;
                    };
                    let mut flush = pin!(user.leaf().flush());
                    // If it need not wait, a close may have been before it.
                    let waits = flush
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                        .is_pending();
                    if waits && blocking::wait(flush).is_ok() {
                        let link = user.leaf().link();
                        let told = link.look(&link.lock(), receipt.sequence(), Level::Written);
                        assert!(matches!(told, Some(Ok(_))), "{number}: {told:?}");
                    }
                }
            });
        }
        let closing = Arc::new(std::sync::Mutex::new(None));
        world.spawn(Some(&home), {
            let closing = Arc::clone(&closing);
            move |user| {
                user.try_send(2 << 32);
                let report = user.close(deadline);
                *closing.lock().unwrap() = Some(report);
                assert!(user.try_send(2 << 32 | 1).is_none(), "it is closed");
            }
        });
        world.join_users();
        let report = closing.lock().unwrap().take().unwrap();
        let told = world.end(&report);
        if deadline == NEVER {
            told.all_came();
        }
    });
}

/// PROMISES 2.9: a runtime may die at any await point of the driver; a waiter on another carries on.
#[test]
fn the_driver_may_be_dropped_anywhere() {
    explore(|| {
        let mut world = World::new(&Shape {
            buffer_size: one_of(&[1, 2, 100]),
            keep: one_of(&[false, true]),
            payload: one_of(&[8, 9_000]),
            capacity: one_of(&[300, 20_000]),
            ..Shape::default()
        });
        let (home, doomed) = (world.home.clone(), Handle::new());
        world.spawn(Some(&doomed), |user| {
            user.try_send(0);
            user.try_send(1);
        });
        world.spawn(None, {
            let doomed = doomed.clone();
            move |_| doomed.kill()
        });
        world.spawn(Some(&home), |user| {
            for number in numbers(1, 2) {
                assert!(user.send(number));
            }
            let _ = blocking::wait(user.leaf().flush());
        });
        world.spawn(None, |user| {
            user.try_send(2 << 32);
        });
        let report = world.close();
        doomed.join();
        let told = world.end(&report);
        assert!(told.ends.values().all(|end| *end != End::Unknown));
    });
}

/// A runtime that exists and is not run is found out by who waits, and a false alarm loses nothing.
#[test]
fn a_runtime_that_is_not_run_is_replaced() {
    explore(|| {
        let mut world = World::new(&Shape {
            buffer_size: one_of(&[1, 100]),
            keep: true,
            capacity: one_of(&[100, 1024]),
            ..Shape::default()
        });
        let (home, idle) = (world.home.clone(), Handle::new());
        world.spawn(Some(&idle), {
            let idle = idle.clone();
            let stalls = one_of(&[false, true]);
            move |user| {
                user.try_send(0);
                if stalls {
                    idle.stall();
                }
            }
        });
        world.spawn(Some(&home), |user| {
            for number in numbers(1, 2) {
                assert!(user.send(number));
            }
            blocking::wait(user.leaf().flush()).unwrap();
        });
        let report = world.close();
        idle.kill();
        idle.join();
        home.kill();
        world.end(&report).all_came();
    });
}

/// PROMISES 2.10: a disconnect flushes; a message that comes meanwhile is written, if need be on a new connection.
#[test]
fn a_disconnect_races_with_senders() {
    explore(|| {
        let mut world = World::new(&Shape {
            buffer_size: one_of(&[1, 2, 100]),
            keep: one_of(&[false, true]),
            capacity: one_of(&[100, 1024]),
            ..Shape::default()
        });
        let home = world.home.clone();
        for who in 0..2 {
            world.spawn(Some(&home), move |user| {
                for number in numbers(who, 2) {
                    assert!(user.send(number));
                }
            });
        }
        world.spawn(Some(&home), |user| {
            blocking::wait(user.leaf().disconnect()).unwrap();
        });
        world.join_users();
        world.peer.wait_for(4);
        let report = world.close();
        world.end(&report).all_came();
    });
}
