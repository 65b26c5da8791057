use super::*;

use bytes::BytesMut;
use sink_runtime::frame::{self, ProducerId, Start};

use crate::intake::Intake;
use crate::ring::Next;

/// One frame, read into a buffer as connections have it.
fn read(payload: usize) -> Bytes {
    let mut frame = Vec::new();
    frame::begin_data(&mut frame, 0, 1);
    frame.resize(frame.len() + payload, 0);
    frame::finish(&mut frame, 0, 0);
    let mut buffer = BytesMut::with_capacity(READ_CHUNK.max(frame.len()));
    buffer.extend_from_slice(&frame);
    buffer.freeze()
}

/// Whether what is retained of `read` lies where it was read into.
fn keeps_the_buffer(id: u128, read: &Bytes) -> bool {
    let service = Arc::new(Service::new("ticks".into(), Settings::default()));
    let hello = Hello {
        producer: ProducerId { id, epoch: 1 },
        first: 1,
        start: Start::Retained,
        ..Hello::default()
    };
    let Ok(Entered::In(seat, taken)) = service.enter_producer(&hello) else {
        panic!("a producer is let in");
    };
    let mut intake = Intake::new(taken, usize::MAX);
    intake.read(read).expect("one frame");
    seat.append(read, &intake, &mut Vec::new());
    let state = service.lock();
    let mut position = state.ring.position(1);
    let Next::Run(run) = state.ring.next(&mut position, usize::MAX) else {
        panic!("it is retained");
    };
    let retained: Vec<Bytes> = run.parts().collect();
    assert!(retained.len() == 1 && retained[0] == read);
    read.as_ptr_range().contains(&retained[0].as_ptr())
}

/// 65,536 producers that send one message each would else keep 4 GiB where `retain_bytes` says 64 MiB.
#[test]
fn what_is_retained_holds_at_most_twice_its_size() {
    assert!(!keeps_the_buffer(1, &read(8)));
    assert!(!keeps_the_buffer(2, &read(READ_CHUNK / 4)));
    // Much of it is shared, not copied.
    assert!(keeps_the_buffer(3, &read(READ_CHUNK / 2)));
    assert!(keeps_the_buffer(4, &read(4 * READ_CHUNK)));
}
