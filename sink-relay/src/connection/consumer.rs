//! A consumer's connection: gathers from the ring and writes. What it is sent is decided in `subscription`.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use sink_runtime::frame::{self, FrameError, Kind, MAX_HELLO_BYTES};
use tokio::time::Instant;

use super::{Arrival, ROUNDS, frames, named, note_end};
use crate::line::{End, Line};
use crate::service::{ConsumerSeat, Phase, Refusal};
use crate::subscription::{Gathered, Subscription};

struct Consumer {
    line: Line,
    seat: ConsumerSeat,
    subscription: Subscription,
    gaps: u64,
}

/// Serves a consumer until it ends.
pub(super) async fn serve(arrival: Arrival<'_>) -> Result<(), Refusal> {
    let (seat, subscription) = arrival.service.enter_consumer(arrival.hello)?;
    let service = Arc::clone(&arrival.service);
    let next_offset = subscription.next_offset();
    tracing::debug!(service = %service.name, next_offset, message = %named(&arrival.hello.message), "consumer connected");
    let line = arrival.welcome(MAX_HELLO_BYTES, 0, next_offset);
    let mut consumer = Consumer {
        line,
        seat,
        subscription,
        gaps: 0,
    };
    let end = poll_fn(|cx| consumer.poll(cx)).await;
    let Consumer { line, seat, .. } = consumer;
    drop(seat);
    note_end(&service, "consumer", &end);
    line.farewell(&end).await;
    Ok(())
}

// === impl Consumer ===

impl Consumer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.seat.bell.register(cx.waker());
        let now = Instant::now();
        if let Err(end) = self.read(now, cx).and_then(|()| self.write(now, cx)) {
            return Poll::Ready(end);
        }
        match self.line.poll_time(now, cx) {
            Ok(false) => Poll::Pending,
            Ok(true) => {
                // Everything before it was gathered, and the outbox is empty.
                let last = self.subscription.next_offset() - 1;
                self.line.out.control(|out| frame::heartbeat(out, last));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(end) => Poll::Ready(end),
        }
    }

    fn read(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<(), End> {
        for _ in 0..ROUNDS {
            match self.line.poll_read(now, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(bytes) => frames(&bytes?).try_for_each(|(kind, _)| heed(kind))?,
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn write(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<(), End> {
        let is_draining = self.seat.service.phase() == Phase::Draining;
        let mut is_all = false;
        for _ in 0..ROUNDS {
            if self.line.out.is_empty() {
                let gathered = self.seat.gather(&mut self.subscription, &mut self.line.out);
                self.note_gaps();
                match gathered {
                    Gathered::TooSlow => return Err(End::TooSlow),
                    Gathered::TooMany => return Err(End::TooMany),
                    Gathered::All if self.line.out.is_empty() => {
                        return if is_draining {
                            Err(End::ShuttingDown)
                        } else {
                            Ok(())
                        };
                    }
                    Gathered::All => is_all = true,
                    Gathered::Full => {}
                }
            }
            match self.line.poll_write(now, cx) {
                Poll::Ready(written) => written?,
                Poll::Pending => return Ok(()),
            }
            // The bell rings for what came since.
            if is_all && !is_draining {
                return Ok(());
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// One line for the first gap of a connection; the numbers of the others are in the statistics.
    fn note_gaps(&mut self) {
        let counts = self.subscription.counts;
        if self.gaps == 0 && counts.gaps > 0 {
            tracing::warn!(service = %self.seat.service.name, dropped = counts.dropped, "retention overtook a consumer (retain, retain_bytes)");
        }
        self.gaps = counts.gaps;
    }
}

/// What a consumer may say. Acks are for at-least-once consumers with a name, whose cursors are not kept yet.
fn heed(kind: u8) -> Result<(), End> {
    match Kind::from_u8(kind) {
        Some(Kind::Heartbeat | Kind::Ack) | None => Ok(()),
        Some(Kind::Bye) => Err(End::Bye),
        Some(other) => Err(FrameError::Unexpected(other).into()),
    }
}
