//! How far a message got, and those that are dropped, withdrawn or flushed on the way.

use super::*;

impl<M: MessageType> Inproc<M> {
    /// How far a message got; `None` while it may still get there.
    pub(super) fn look(&self, sequence: u64, wanted: Level) -> Option<Result<Level, Lost>> {
        let service = || self.service();
        if matches!(wanted, Level::Stored | Level::Spooled) {
            return Some(Err(Lost::Unreachable {
                service: service(),
                wanted,
                highest: Level::Acked,
            }));
        }
        self.with_books(|books| {
            if let Some(cause) = books.skipped(sequence) {
                return Some(Err(Lost::Dropped {
                    service: service(),
                    sequence,
                    cause,
                }));
            }
            let is_forgotten = books.skipped.len() >= HORIZON
                && books
                    .skipped
                    .first_key_value()
                    .is_some_and(|(oldest, _)| sequence < *oldest);
            let unknown = || {
                Some(Err(Lost::Unknown {
                    service: service(),
                    sequence,
                }))
            };
            if sequence > books.last || is_forgotten {
                return unknown();
            }
            if self.sender.progress.handed.load(Ordering::Acquire) >= sequence {
                return Some(Ok(Level::Acked));
            }
            match wanted {
                // Nothing is written to a kernel here: what is in the queue is as good as written.
                Level::Accepted | Level::Written => Some(Ok(Level::Written)),
                _ if books.ended => unknown(),
                _ => None,
            }
        })
    }

    pub(super) fn poll_level(
        &self,
        ticket: &mut LevelTicket<'_>,
        sequence: u64,
        wanted: Level,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Level, Lost>> {
        if let Some(answer) = self.look(sequence, wanted) {
            return Poll::Ready(answer);
        }
        ticket.watch(sequence, cx.waker());
        // It may have been handed up in between.
        match self.look(sequence, wanted) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }

    pub(crate) async fn settled(&self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        let sequence = receipt.sequence();
        if receipt.link() != self.id {
            return Err(Lost::Unknown {
                service: self.service(),
                sequence,
            });
        }
        self.settled_to(sequence, level).await
    }

    pub(super) async fn settled_to(&self, sequence: u64, level: Level) -> Result<Level, Lost> {
        let mut ticket = LevelTicket::new(&self.sender);
        let level_reached =
            std::future::poll_fn(|cx| self.poll_level(&mut ticket, sequence, level, cx));
        let since = self.surroundings.clock.now();
        match self.bounded(since, level_reached).await {
            Some(answer) => answer,
            None => Err(self.timed_out(sequence)),
        }
    }

    pub(super) fn timed_out(&self, sequence: u64) -> Lost {
        Lost::TimedOut {
            service: self.service(),
            sequence,
            waited: self.config.send_timeout.unwrap_or_default(),
            last: None,
        }
    }

    pub(super) async fn bounded<F: Future>(&self, since: Instant, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let mut timer = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            self.poll_deadline(since, &mut timer, cx).map(|()| None)
        })
        .await
    }

    /// The deadline of what began at `since`. Where no runtime keeps the time, whoever waits has to come back and look.
    pub(super) fn poll_deadline(
        &self,
        since: Instant,
        timer: &mut Option<Pin<Box<dyn Timer>>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(timeout) = self.config.send_timeout else {
            return Poll::Pending;
        };
        if timer.is_none() {
            let deadline = since + timeout;
            *timer = clock_timer(&self.surroundings, deadline);
            if timer.is_none() && self.surroundings.clock.now() >= deadline {
                return Poll::Ready(());
            }
        }
        match timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Takes a message back that the receiving end has not taken, for a confirming send whose time is over.
    pub(super) fn withdraw(&self, sequence: u64) -> Option<M> {
        let channel = self.channel.as_ref().ok()?;
        let mut held = self.hold(channel);
        let seat = held.seat;
        let item = held.remove(|item| item.from == seat && item.sequence == sequence)?;
        held.books().returned.withdrawn += 1;
        held.skip(sequence, DropCause::Withdrawn);
        held.release();
        // There is room now.
        self.sender.wake(false);
        Some(item.message)
    }

    pub(crate) async fn flush(&self) -> Result<(), Lost> {
        let mut last = self.with_books(|books| books.last_put);
        // They are handed up in order, so the last one put in stands for all; one that was dropped or withdrawn, for those
        // before it no more.
        let mut ticket = LevelTicket::new(&self.sender);
        let flushed = std::future::poll_fn(|cx| {
            while last > 0 {
                match ready!(self.poll_level(&mut ticket, last, Level::Acked, cx)) {
                    Ok(_) => break,
                    Err(Lost::Dropped { .. }) => {
                        last = self.with_books(|books| books.before_skipped(last));
                    }
                    Err(lost) => return Poll::Ready(Err(lost)),
                }
            }
            Poll::Ready(Ok(()))
        });
        let since = self.surroundings.clock.now();
        match self.bounded(since, flushed).await {
            Some(answer) => answer,
            None => Err(self.timed_out(self.with_books(|books| books.last_put))),
        }
    }
}
