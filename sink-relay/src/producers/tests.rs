use super::*;

use bytes::Bytes;

fn hello(id: u128, first: u64) -> Hello {
    Hello {
        producer: ProducerId { id, epoch: 1 },
        first,
        message: "Tick".into(),
        ..Hello::default()
    }
}

fn chunk(producers: &Producers, number: u64, offset: u64, last: u64) -> Chunk {
    let producer = Arc::clone(&producers.get(number).unwrap().identity);
    Chunk {
        producer,
        first_offset: offset,
        frames: 1,
        first: last,
        last,
        data: Bytes::new(),
    }
}

#[test]
fn only_a_hole_or_a_new_producer_is_news() {
    let mut producers = Producers::default();
    let number = producers.enter(&hello(1, 1));
    assert_eq!(producers.last_news(), 1);
    producers.took(number, 1, 10);
    producers.leave(number);
    assert_eq!(producers.enter(&hello(1, 5)), number);
    assert_eq!(producers.enter(&hello(1, 11)), number);
    assert_eq!(producers.last_news(), 1);
    producers.enter(&hello(1, 12));
    assert_eq!(producers.get(number).unwrap().expected, 12);
    assert_eq!(producers.get(number).unwrap().taken, 10);
    assert!(!producers.counted(number, 11));
    assert!(producers.counted(number, 12));
    let other = producers.enter(&hello(2, 1));
    let since: Vec<_> = producers
        .news_since(1)
        .map(|known| known.identity.number)
        .collect();
    assert_eq!(since, [number, other]);
    assert_eq!(producers.news_since(producers.last_news()).count(), 0);
}

#[test]
fn the_producer_gone_longest_is_forgotten_first() {
    let mut producers = Producers::default();
    let numbers: Vec<_> = (1..=MAX_REMEMBERED as u128 + 2)
        .map(|id| producers.enter(&hello(id, 1)))
        .collect();
    assert_eq!(producers.all().count(), MAX_REMEMBERED + 2);
    numbers
        .iter()
        .rev()
        .for_each(|number| producers.leave(*number));
    assert_eq!(producers.all().count(), MAX_REMEMBERED);
    assert_eq!(producers.news_since(0).count(), MAX_REMEMBERED);
    assert_eq!(
        producers.number(&ProducerId {
            id: MAX_REMEMBERED as u128 + 2,
            epoch: 1
        }),
        None
    );
    assert_eq!(producers.number(&ProducerId { id: 1, epoch: 1 }), Some(1));
}

#[test]
fn connected_and_retained_producers_are_not_forgotten() {
    let mut producers = Producers::default();
    let connected = producers.enter(&hello(1_000_000, 1));
    let retained = producers.enter(&hello(1_000_001, 1));
    producers.took(retained, 1, 1);
    producers.leave(retained);
    for id in 1..=MAX_REMEMBERED as u128 + 5 {
        let number = producers.enter(&hello(id, 1));
        producers.leave(number);
    }
    assert!(producers.get(connected).is_some() && producers.get(retained).is_some());
    // Gone longer than all others, it is the first to go once its chunk left.
    let gone = chunk(&producers, retained, 1, 1);
    producers.evicted(&gone);
    assert!(producers.get(retained).is_none());
    // What returns before it is forgotten is connected again.
    producers.enter(&hello(10, 1));
    for id in 2_000_000..2_000_000 + MAX_REMEMBERED as u128 + 5 {
        let number = producers.enter(&hello(id, 1));
        producers.leave(number);
    }
    assert!(producers.number(&ProducerId { id: 10, epoch: 1 }).is_some());
}

#[test]
fn producers_of_one_type_share_its_texts() {
    let mut producers = Producers::default();
    let (one, two) = (producers.enter(&hello(1, 1)), producers.enter(&hello(2, 1)));
    let message = |number| Arc::clone(&producers.get(number).unwrap().identity.message);
    assert!(Arc::ptr_eq(&message(one), &message(two)));
}
