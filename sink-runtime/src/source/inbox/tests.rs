use super::*;

use std::task::Wake;
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::transport::memory;

fn connection(relayed: bool) -> (Arc<Connection>, memory::MemoryWire) {
    let (wire, peer) = memory::pair(memory::CAPACITY);
    let (wire, acked) = (Arc::new(wire), Arc::default());
    let producer = frame::ProducerId::default();
    let connection = Connection::new(1, producer, 1, relayed, true, Some(wire), acked);
    (connection, peer)
}

/// A producer that left while its messages wait here: nothing is left to be written to it again and again.
#[test]
fn nothing_waits_to_be_written_to_a_peer_that_is_gone() {
    let (connection, peer) = connection(false);
    drop(peer);
    connection.say(|out| frame::heartbeat(out, 0));
    assert_eq!(connection.flush(), (0, 0));
    connection.say(|out| frame::heartbeat(out, 0));
    assert_eq!(connection.flush(), (0, 0));
}

/// A relay that comes and goes, and a caller who does not ask.
#[test]
fn subscriptions_of_which_nothing_came_do_not_pile_up() {
    let inbox = Inbox::default();
    for epoch in 1..=1000 {
        let connection = connection(true).0;
        let next_offset = 1;
        inbox.push(Item::Resumed {
            connection,
            epoch,
            next_offset,
        });
    }
    let last = inbox.pop().expect("one");
    assert!(matches!(last, Item::Resumed { epoch: 1000, .. }));
    assert!(inbox.pop().is_none());
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Two messages of a chunk are handed up while the task acks the first, and then no more: somebody acks the second.
#[test]
fn a_message_handed_up_while_another_is_acked_is_acked_too() {
    const ROUNDS: u64 = if cfg!(miri) { 100 } else { 20_000 };
    let (connection, peer) = connection(false);
    let task = {
        let connection = Arc::clone(&connection);
        thread::spawn(move || {
            let waker = Waker::from(Arc::new(Unpark(thread::current())));
            let mut sunk = bytes::BytesMut::new();
            while connection.acked() < 2 * ROUNDS {
                let mut slot = connection
                    .task
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *slot = Some(waker.clone());
                drop(slot);
                connection.ack();
                sunk.clear();
                let _read = peer.try_read(&mut sunk);
                if connection.acked() < 2 * ROUNDS {
                    thread::park();
                }
            }
        })
    };
    for last in (1..=ROUNDS).map(|round| 2 * round) {
        for sequence in [last - 1, last] {
            if connection.handed(sequence).1 {
                connection.nudge();
            }
            // About as long as the other thread takes to wake, so that the second meets it at its work.
            for _ in 0..last % 1_021 {
                std::hint::spin_loop();
            }
        }
        let since = Instant::now();
        while connection.acked() < last {
            assert!(
                since.elapsed() < Duration::from_secs(5),
                "{last} is not acked"
            );
            thread::yield_now();
        }
    }
    task.thread().unpark();
    task.join().expect("it ends");
}

/// A peer whose side is full has a second to make room for the last ack of a source that is gone.
#[tokio::test(start_paused = true)]
async fn the_last_ack_is_waited_for_and_no_longer_than_a_second() {
    use crate::source::stream::{Limits, read_all};
    use crate::transport::Wire;

    for reads in [true, false] {
        let (inbox, clock) = (Arc::new(Inbox::default()), crate::clock::TokioClock);
        let (wire, peer) = memory::pair(8);
        let (wire, acked): (Arc<dyn Wire>, _) = (Arc::new(wire), Arc::default());
        let producer = frame::ProducerId::default();
        let near = Some(Arc::clone(&wire));
        let connection = Connection::new(1, producer, 1, false, true, near, acked);
        assert!(inbox.admits(&connection));
        let reading = tokio::spawn({
            let (inbox, connection) = (Arc::clone(&inbox), Arc::clone(&connection));
            async move {
                let _ends = Ends(Arc::clone(&connection));
                let limits = Limits {
                    heartbeat: Duration::from_secs(10),
                    peer_heartbeat: Duration::ZERO,
                    frame_time: Duration::from_secs(10),
                };
                let intake = Assembler::new(1024).into();
                read_all(&inbox, &connection, &*wire, &clock, intake, &limits, |_| {}).await;
            }
        });
        inbox.adopt_serving(reading.abort_handle());
        connection.say(|out| frame::heartbeat(out, 0));
        connection.handed(5);
        let begun = tokio::time::Instant::now();
        inbox.hang_up();
        assert!(!inbox.admits(&connection), "nobody is welcome any more");
        let mut heard = Assembler::new(1024);
        let mut last = None;
        loop {
            if !reads {
                break;
            }
            std::future::poll_fn(|cx| peer.poll_readable(cx))
                .await
                .unwrap();
            match peer.try_read(heard.room()) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
            }
            while let Some(frame) = heard.take_one().unwrap() {
                last = Some((frame[4], frame::number(&frame).unwrap()));
            }
        }
        reading.await.unwrap();
        assert_eq!(last, reads.then_some((Kind::Ack as u8, 5)));
        assert_eq!(begun.elapsed().as_millis(), if reads { 0 } else { 1_000 });
    }
}

/// One small message does not keep the buffer that it was read into.
#[test]
fn a_small_chunk_that_waits_keeps_little_memory() {
    for (payload, most) in [(100, 200), (40_000, frame::READ_CHUNK)] {
        let inbox = Inbox::default();
        inbox.set_limit(10, 1 << 20);
        let mut assembler = Assembler::new(1 << 20);
        let mut data = Vec::new();
        frame::begin_data(&mut data, 0, 1);
        data.resize(data.len() + payload, 7);
        frame::finish(&mut data, 0, 0);
        assembler.room().extend_from_slice(&data);
        inbox.fill(&connection(false).0, &mut assembler).unwrap();
        drop(assembler);
        let Some(Item::Chunk { bytes, .. }) = inbox.pop() else {
            panic!("a chunk");
        };
        assert_eq!(bytes, data);
        let kept = bytes.try_into_mut().expect("nobody else has it").capacity();
        assert!(kept <= most, "{kept} bytes for {payload}");
    }
}

/// A relay that welcomes, and then talks nonsense, again and again, and a caller who does not ask.
#[test]
fn subscriptions_that_fail_at_once_do_not_pile_up() {
    let inbox = Inbox::default();
    for epoch in 1..=1000 {
        let connection = connection(true).0;
        let next_offset = 1;
        inbox.push(Item::Resumed {
            connection,
            epoch,
            next_offset,
        });
        inbox.push(Item::Error(SourceError::NoRuntime {
            service: Arc::from("orders"),
        }));
    }
    let mut resumed = Vec::new();
    let mut errors = 0;
    while let Some(item) = inbox.pop() {
        match item {
            Item::Resumed { epoch, .. } => resumed.push(epoch),
            _ => errors += 1,
        }
    }
    assert_eq!((resumed, errors), (vec![1000], MAX_ERRORS));
}

/// What stands before a frame that may not come is sound.
#[test]
fn a_frame_that_may_not_come_ends_what_is_read() {
    type Say = fn(&mut Vec<u8>);
    let producer = |index| frame::Producer {
        index,
        ..frame::Producer::default()
    };
    let common: [Say; 3] = [
        |out| frame::Hello::default().encode(out),
        |out| frame::Welcome::default().encode(out),
        |out| frame::ack(out, 1),
    ];
    let relays: [Say; 3] = [
        |out| frame::Producer::default().encode(out),
        |out| frame::Chunk::default().encode(out),
        |out| frame::RelayGap::default().encode(out),
    ];
    let filled = |relayed, say: &dyn Fn(&mut Vec<u8>)| {
        let (connection, _peer) = connection(relayed);
        let inbox = Inbox::default();
        inbox.set_limit(10, 1 << 20);
        let mut assembler = Assembler::new(1 << 20);
        let mut bytes = Vec::new();
        frame::heartbeat(&mut bytes, 1);
        let sound = bytes.len();
        say(&mut bytes);
        assembler.room().extend_from_slice(&bytes);
        let filled = inbox.fill(&connection, &mut assembler).expect("frames");
        assert!(filled.bytes.len() == sound || filled.mistake.is_none());
        filled.mistake
    };
    for say in common {
        assert!(filled(true, &say).is_some() && filled(false, &say).is_some());
    }
    for say in relays {
        assert!(filled(true, &say).is_none() && filled(false, &say).is_some());
    }
    // More than a relay tells one connection of: each would be remembered.
    let many = filled(true, &|out| producer(u32::MAX).encode(out));
    assert_eq!(many, Some(FrameError::Malformed("producer")));
}

/// A peer that sends one heartbeat after another to a caller who does not ask: what waits costs more than its bytes.
#[test]
fn small_chunks_that_wait_are_counted_with_what_they_cost() {
    const LIMIT: u64 = 1 << 20;
    let (connection, _peer) = connection(false);
    let inbox = Inbox::default();
    inbox.set_limit(10, LIMIT);
    let mut assembler = Assembler::new(1 << 20);
    let mut context = Context::from_waker(Waker::noop());
    let mut chunks = 0;
    while inbox.poll_room(&mut context).is_ready() {
        let mut bytes = Vec::new();
        frame::heartbeat(&mut bytes, 1);
        assembler.room().extend_from_slice(&bytes);
        inbox.fill(&connection, &mut assembler).expect("a frame");
        chunks += 1;
    }
    let each = LIMIT / chunks;
    assert!(
        each >= size_of::<Item>() as u64,
        "{each} bytes are counted for one"
    );
    // All of it is given back.
    while let Some(item) = inbox.pop() {
        if let Item::Chunk { bytes, .. } = item {
            inbox.took(0, weight(&bytes));
        }
    }
    assert_eq!(inbox.lock().bytes, 0);
}
