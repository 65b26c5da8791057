//! A send that was not simply taken: it waits for room or for a level.

use super::*;

/// One in-process send that was not simply taken, without its message: what wraps it holds that.
pub(crate) struct InprocSend<'a, M> {
    pub(super) sink: &'a Arc<Inproc<M>>,
    pub(super) parked: Option<Parked<'a, M>>,
}

pub(super) struct Parked<'a, M> {
    pub(super) wait: For<'a, M>,
    pub(super) timer: Option<Pin<Box<dyn Timer>>>,
}

pub(super) enum For<'a, M> {
    Room {
        ticket: RoomTicket<'a>,
        since: Instant,
        aging: Option<Pin<Box<dyn Timer>>>,
    },
    Level {
        receipt: Receipt,
        level: Level,
        ticket: LevelTicket<'a>,
        since: Instant,
        back: Option<GivenBack<'a, M>>,
    },
}

/// A confirming send that gets its message back should that grow too old.
pub(super) struct GivenBack<'a, M> {
    pub(super) sink: &'a Inproc<M>,
    pub(super) channel: &'a Channel<M>,
    pub(super) sequence: u64,
}

impl<M> GivenBack<'_, M> {
    pub(super) fn take(&self) -> Option<M> {
        let mut held = self.sink.hold(self.channel);
        let seat = held.seat;
        held.core.senders[seat].confirming.remove(&self.sequence)?
    }
}

impl<M> Drop for GivenBack<'_, M> {
    fn drop(&mut self) {
        self.take();
    }
}

/// What became of a first offer.
pub(crate) enum First<'a, M> {
    Sent(Result<Receipt, SendError<M>>),
    Waits(InprocSend<'a, M>),
}

impl<M: MessageType> Inproc<M> {
    /// Offers a message, which is taken when it is in the queue.
    #[inline(always)]
    pub(crate) fn send_first(self: &Arc<Self>, slot: &mut Option<M>) -> First<'_, M> {
        let Some(message) = slot.take() else {
            return self.send_later(None);
        };
        match self.offer(message, None) {
            Ok(Offered::Accepted(receipt)) if self.config.confirm.is_none() => {
                First::Sent(Ok(receipt))
            }
            Ok(Offered::Accepted(receipt)) => self.send_later(Some(receipt)),
            Ok(Offered::Closed(message)) => First::Sent(Err(self.give_back_closed(message))),
            Ok(Offered::Full(message)) if self.config.when_full == WhenFull::Reject => {
                First::Sent(Err(self.give_back_full(message, Duration::ZERO)))
            }
            Ok(Offered::Full(message)) => {
                *slot = Some(message);
                self.send_later(None)
            }
            Err(error) => First::Sent(Err(error)),
        }
    }

    /// The end of a confirming send whose time is over: withdrawn, unless the receiving end has taken the message and may still
    /// hand it up.
    pub(super) fn unconfirmed(
        &self,
        receipt: Receipt,
        wanted: Level,
        since: Instant,
    ) -> SendError<M> {
        let message = self.withdraw(receipt.sequence());
        let kind = SendErrorKind::Unconfirmed {
            service: self.service(),
            wanted,
            waited: self
                .surroundings
                .clock
                .now()
                .saturating_duration_since(since),
            last: None,
            outcome: match message {
                Some(_) => Outcome::NotSent,
                None => Outcome::Unknown,
            },
        };
        SendError::new(kind, message)
    }

    pub(super) fn wait_for_level(&self, receipt: Receipt, level: Level) -> For<'_, M> {
        let back = match (&self.channel, self.config.max_age) {
            (Ok(channel), Some(_)) => Some(GivenBack {
                sink: self,
                channel,
                sequence: receipt.sequence(),
            }),
            _ => None,
        };
        if let Some(back) = &back {
            let mut held = self.hold(back.channel);
            let seat = held.seat;
            held.core.senders[seat]
                .confirming
                .insert(back.sequence, None);
        }
        For::Level {
            receipt,
            level,
            ticket: LevelTicket::new(&self.sender),
            since: self.surroundings.clock.now(),
            back,
        }
    }

    /// Waits for a level of what was accepted, or for room.
    #[cold]
    pub(super) fn send_later(self: &Arc<Self>, accepted: Option<Receipt>) -> First<'_, M> {
        let wait = match (accepted, self.config.confirm) {
            (Some(receipt), Some(_)) if receipt.level() == Level::Dropped => {
                let service = self.service();
                return First::Sent(Err(SendError::new(
                    SendErrorKind::Dropped { service },
                    None,
                )));
            }
            (Some(receipt), Some(level)) => self.wait_for_level(receipt, level),
            _ => For::Room {
                ticket: RoomTicket::of_send(&self.sender),
                since: self.surroundings.clock.now(),
                aging: None,
            },
        };
        First::Waits(InprocSend {
            sink: self,
            parked: Some(Parked { wait, timer: None }),
        })
    }
}

impl<M: MessageType> InprocSend<'_, M> {
    pub(super) fn confirm(
        &mut self,
        receipt: Receipt,
        slot: &mut Option<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        let Some(level) = self.sink.config.confirm else {
            return Poll::Ready(Ok(receipt));
        };
        if receipt.level() == Level::Dropped {
            self.parked = None;
            return Poll::Ready(Err(SendError::new(
                SendErrorKind::Dropped {
                    service: self.sink.service(),
                },
                None,
            )));
        }
        self.parked = Some(Parked {
            wait: self.sink.wait_for_level(receipt, level),
            timer: None,
        });
        self.poll_waiting(slot, cx)
    }

    pub(crate) fn poll_waiting(
        &mut self,
        slot: &mut Option<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        let sink = self.sink;
        let Some(Parked { wait, timer }) = &mut self.parked else {
            return Poll::Pending;
        };
        match wait {
            For::Room {
                ticket,
                since,
                aging,
            } => {
                let since = *since;
                ticket.queue(cx);
                while let Some(ahead) = sink.ahead_of(ticket) {
                    let Some(message) = slot.take() else {
                        return Poll::Pending;
                    };
                    match sink.offer(message, Some(ahead)) {
                        Ok(Offered::Full(message)) => {
                            *slot = Some(message);
                            if sink.poll_age(aging, cx).is_pending() {
                                break;
                            }
                        }
                        Ok(Offered::Accepted(receipt)) => {
                            self.parked = None;
                            return self.confirm(receipt, slot, cx);
                        }
                        Ok(Offered::Closed(message)) => {
                            self.parked = None;
                            return Poll::Ready(Err(sink.give_back_closed(message)));
                        }
                        Err(error) => {
                            self.parked = None;
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                if sink.poll_deadline(since, timer, cx).is_pending() {
                    return Poll::Pending;
                }
                self.parked = None;
                let waited = sink
                    .surroundings
                    .clock
                    .now()
                    .saturating_duration_since(since);
                match slot.take() {
                    Some(message) => Poll::Ready(Err(sink.give_back_full(message, waited))),
                    None => Poll::Pending,
                }
            }
            For::Level {
                receipt,
                level,
                ticket,
                since,
                back,
            } => {
                let (receipt, level, since) = (*receipt, *level, *since);
                let kind = match sink.poll_level(ticket, receipt.sequence(), level, cx) {
                    Poll::Ready(Ok(level)) => {
                        self.parked = None;
                        return Poll::Ready(Ok(receipt.at(level)));
                    }
                    Poll::Ready(Err(Lost::Dropped { service, .. })) => {
                        let message = back.as_ref().and_then(GivenBack::take);
                        self.parked = None;
                        return Poll::Ready(Err(SendError::new(
                            SendErrorKind::Dropped { service },
                            message,
                        )));
                    }
                    Poll::Pending if sink.poll_deadline(since, timer, cx).is_pending() => {
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(_)) => SendErrorKind::Lost {
                        service: sink.service(),
                        wanted: level,
                        why: "the sink was closed, or its receiving end went away,",
                        last: None,
                        outcome: Outcome::Unknown,
                    },
                    Poll::Pending => {
                        self.parked = None;
                        return Poll::Ready(Err(sink.unconfirmed(receipt, level, since)));
                    }
                };
                self.parked = None;
                Poll::Ready(Err(SendError::new(kind, None)))
            }
        }
    }
}

impl<M> Drop for InprocSend<'_, M> {
    fn drop(&mut self) {
        if let Some(parked) = &self.parked
            && matches!(parked.wait, For::Room { .. })
        {
            self.sink.with_books(|books| {
                books.attempted += 1;
                books.returned.cancelled += 1;
            });
        }
    }
}
