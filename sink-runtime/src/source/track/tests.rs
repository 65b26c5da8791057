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
