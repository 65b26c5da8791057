use super::*;

use std::sync::Arc;

use crate::transport::memory;

fn relay(id: u64) -> Arc<Connection> {
    let (wire, _) = memory::pair(1024);
    let (wire, acked) = (Arc::new(wire), Arc::default());
    Connection::new(id, ProducerId::default(), 0, true, false, Some(wire), acked)
}

fn announced(index: u32, first: u64) -> Producer {
    let producer = ProducerId {
        id: u128::from(index) + 1,
        epoch: 1,
    };
    Producer {
        index,
        producer,
        first,
        ..Producer::default()
    }
}

/// What was on no connection before is missing to who never heard of its producer; what was on one is not.
#[test]
fn what_was_dropped_before_any_connection_is_a_gap_to_who_meets_its_producer() {
    let gap = |from, to, cause| Some((from, to, cause));
    for (first, begin, expected) in [
        (6, 1, gap(1, 5, GapCause::Producer)),
        (6, 4, gap(4, 5, GapCause::Producer)),
        (6, 0, None),
        (6, 7, None),
        (0, 0, None),
    ] {
        let (mut tracker, connection) = (Tracker::default(), relay(1));
        assert_eq!(tracker.resumed(&connection, 1, 100), None);
        let new = Producer {
            begin,
            ..announced(0, first)
        };
        let told = tracker.announce(&connection, &new, false);
        assert_eq!(told.map(|gap| (gap.from, gap.to, gap.cause)), expected);
        assert_eq!(tracker.announce(&connection, &new, false), None);
    }
    // It was heard up to 2: 3 was on another connection.
    let (mut tracker, connection) = (Tracker::default(), relay(1));
    tracker.resumed(&connection, 1, 100);
    tracker.announce(&connection, &announced(0, 3), false);
    let again = Producer {
        begin: 4,
        ..announced(1, 6)
    };
    let again = Producer {
        producer: announced(0, 0).producer,
        ..again
    };
    let connection = relay(2);
    tracker.resumed(&connection, 1, 100);
    let told = tracker.announce(&connection, &again, false).unwrap();
    assert_eq!((told.from, told.to, told.cause), (3, 5, GapCause::Lost));
}

/// A consumer that comes back, to a relay that forgot: it knows those of its many producers that it heard last.
#[test]
fn of_very_many_producers_those_heard_last_are_remembered() {
    const HEARD_LAST: u32 = 64;
    let (mut tracker, many) = (Tracker::default(), 4 * MAX_PRODUCERS as u32);
    let connection = relay(1);
    assert_eq!(tracker.resumed(&connection, 1, 1), None);
    for index in 0..many {
        assert_eq!(
            tracker.announce(&connection, &announced(index, 1), false),
            None
        );
    }
    for turn in 0..2 {
        // The first to be announced are heard last.
        for index in (0..if turn == 0 { many } else { HEARD_LAST }).rev() {
            let (producer, first_offset) = (index, 1 + u64::from(index));
            let head = Chunk {
                producer,
                frames: 1,
                first_offset,
            };
            tracker.chunk(&connection, head);
            let seen = tracker.data(&connection, 1 + turn, None);
            assert!(matches!(seen, Seen::New { gap: None, .. }), "{seen:?}");
        }
    }
    let again = relay(2);
    assert_eq!(tracker.resumed(&again, 2, 1), None);
    assert!(tracker.producers.len() <= MAX_PRODUCERS + FORGOTTEN_AT_ONCE);
    for index in 0..HEARD_LAST {
        let gap = tracker.announce(&again, &announced(index, 5), false);
        assert_eq!(gap.map(|gap| (gap.from, gap.to)), Some((3, 4)), "{index}");
    }
}

/// What was on a connection that is gone was lost with it, also where a heartbeat tells of it and not a message.
#[test]
fn what_a_heartbeat_tells_of_an_earlier_connection_was_lost_with_it() {
    let direct = |id, first| {
        let (wire, _) = memory::pair(1024);
        let producer = announced(0, 1).producer;
        let (wire, acked) = (Some(Arc::new(wire) as _), Arc::default());
        Connection::new(id, producer, first, false, false, wire, acked)
    };
    let mut tracker = Tracker::default();
    assert!(matches!(
        tracker.data(&direct(1, 1), 1, None),
        Seen::New { gap: None, .. }
    ));
    let again = direct(2, 4);
    let gap = tracker.heartbeat(&again, 3).unwrap();
    assert_eq!((gap.from, gap.to, gap.cause), (2, 3, GapCause::Lost));
    // What it drops from here on is its own.
    let gap = tracker.heartbeat(&again, 5).unwrap();
    assert_eq!((gap.from, gap.to, gap.cause), (4, 5, GapCause::Producer));
}

/// A producer may say what it likes.
#[test]
fn no_number_is_too_large_for_who_comes_back() {
    let direct = |id, producer| {
        let producer = announced(producer, 1).producer;
        let (wire, _) = memory::pair(1024);
        let (wire, acked) = (Some(Arc::new(wire) as _), Arc::default());
        Connection::new(id, producer, u64::MAX, false, false, wire, acked)
    };
    let mut tracker = Tracker::default();
    for turn in 0..2 {
        for producer in 0..2 {
            let connection = direct(2 * turn + u64::from(producer), producer);
            let seen = tracker.data(&connection, u64::MAX, None);
            assert_eq!(matches!(seen, Seen::New { .. }), turn == 0);
            assert_eq!(tracker.heartbeat(&connection, u64::MAX), None);
        }
    }
}
