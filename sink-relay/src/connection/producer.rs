//! A producer's connection: reads frames, puts them into the ring, acks. Duplicates and holes are judged in `intake` and `producers`.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use sink_runtime::frame::{self, RefuseCode};
use tokio::time::{Instant, timeout_at};

use super::{Arrival, ROUNDS, named, note_end};
use crate::bell::Bell;
use crate::intake::Intake;
use crate::line::{End, Line};
use crate::service::{Entered, Phase, ProducerSeat, Refusal};

/// Reads after which a producer that must go is cut off although more is there: as much as a kernel may hold.
const LAST_READS: usize = 128;

struct Producer {
    line: Line,
    seat: ProducerSeat,
    intake: Intake,
    woken: Vec<Arc<Bell>>,
    wants_acks: bool,
    /// The highest sequence taken.
    taken: u64,
    acked: u64,
    last_reads: usize,
}

/// Serves a producer until it ends; an older connection of it is first read to its end.
pub(super) async fn serve(arrival: Arrival<'_>, deadline: Instant) -> Result<(), Refusal> {
    let (seat, taken) = seat(&arrival, deadline).await?;
    let service = Arc::clone(&arrival.service);
    tracing::debug!(service = %service.name, first = arrival.hello.first, taken, message = %named(&arrival.hello.message), "producer connected");
    let limit = service.settings.frame_limit();
    let wants_acks = arrival.hello.acks;
    let next_offset = 0;
    let line = arrival.welcome(limit, taken, next_offset);
    let intake = Intake::new(taken, limit);
    let mut producer = Producer {
        line,
        seat,
        intake,
        woken: Vec::new(),
        wants_acks,
        taken,
        acked: taken,
        last_reads: 0,
    };
    let end = poll_fn(|cx| producer.poll(cx)).await;
    let Producer { line, seat, .. } = producer;
    drop(seat);
    note_end(&service, "producer", &end);
    line.farewell(&end).await;
    Ok(())
}

async fn seat(arrival: &Arrival<'_>, deadline: Instant) -> Result<(ProducerSeat, u64), Refusal> {
    loop {
        let left = arrival.service.producer_left.notified();
        if let Entered::In(seat, taken) = arrival.service.enter_producer(arrival.hello)? {
            return Ok((seat, taken));
        }
        if timeout_at(deadline, left).await.is_err() {
            let reason = format!(
                "`{}`: another connection of this producer does not end",
                arrival.service.name
            );
            return Err(Refusal {
                code: RefuseCode::TooManyConnections,
                reason,
            });
        }
    }
}

// === impl Producer ===

impl Producer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.seat.bell.register(cx.waker());
        let now = Instant::now();
        let end = self.read(now, cx);
        self.ack();
        if let Some(end) = end {
            // Best effort: the ack of what was read last.
            let _written = self.line.poll_write(now, cx);
            return Poll::Ready(end);
        }
        if let Poll::Ready(Err(end)) = self.line.poll_write(now, cx) {
            return Poll::Ready(end);
        }
        match self.line.poll_time(now, cx) {
            Ok(false) => Poll::Pending,
            Ok(true) => {
                let taken = self.taken;
                self.line.out.control(|out| frame::heartbeat(out, taken));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(end) => Poll::Ready(end),
        }
    }

    /// Reads some; when told to go, all that is there.
    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<End> {
        for _ in 0..ROUNDS {
            let goes = self.must_go();
            if self.last_reads >= LAST_READS {
                return goes;
            }
            match self.line.poll_read(now, cx) {
                Poll::Ready(Ok(bytes)) => {
                    self.last_reads += usize::from(goes.is_some());
                    let outcome = self.intake.read(&bytes);
                    self.seat.append(&bytes, &self.intake, &mut self.woken);
                    self.taken = self.intake.taken();
                    if let Err(error) = outcome {
                        return Some(error.into());
                    }
                    if self.intake.bye {
                        return Some(End::Bye);
                    }
                }
                Poll::Ready(Err(end)) => return Some(end),
                Poll::Pending => {
                    return goes.filter(|end| {
                        !matches!(end, End::Superseded) || self.line.is_read_out(now)
                    });
                }
            }
        }
        cx.waker().wake_by_ref();
        None
    }

    fn must_go(&self) -> Option<End> {
        if self.seat.bell.is_superseded() {
            return Some(End::Superseded);
        }
        (self.seat.service.phase() != Phase::Open).then_some(End::ShuttingDown)
    }

    /// Queues one ack for everything taken; while one is stuck, the next waits for it and then says all.
    fn ack(&mut self) {
        if self.wants_acks && self.taken > self.acked && self.line.out.is_empty() {
            let taken = self.taken;
            self.line.out.control(|out| frame::ack(out, taken));
            self.acked = taken;
        }
    }
}
