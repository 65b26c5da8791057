//! Waiting for a level, and a sender that hears its own ack.

use super::*;

impl Link {
    /// How far a message got, or why that can no longer be told; `None` while it may still get there.
    pub(crate) fn look(
        &self,
        core: &Core,
        sequence: u64,
        wanted: Level,
    ) -> Option<Result<Level, Lost>> {
        if wanted as u8 > self.config.highest() as u8 || wanted == Level::Spooled {
            return Some(Err(Lost::Unreachable {
                service: self.service(),
                wanted,
                highest: self.config.highest(),
            }));
        }
        let reached = match core.outbox.fate(sequence) {
            Fate::Dropped(cause) => {
                return Some(Err(Lost::Dropped {
                    service: self.service(),
                    sequence,
                    cause,
                }));
            }
            Fate::Unknown => {
                return Some(Err(Lost::Unknown {
                    service: self.service(),
                    sequence,
                }));
            }
            Fate::Acked => Level::Acked,
            Fate::Written => Level::Written,
            Fate::Buffered => Level::Accepted,
        };
        if reached.satisfies(wanted) {
            return Some(Ok(reached));
        }
        if sequence > core.outbox.last_sequence() || core.closed || core.life.gave_up().is_some() {
            return Some(Err(Lost::Unknown {
                service: self.service(),
                sequence,
            }));
        }
        None
    }

    /// When a message was accepted, for one that was accepted just now: a write on the spot has read the clock already.
    pub(crate) fn accepted_at(&self, core: &Core, receipt: Receipt) -> Instant {
        match core.last_write {
            Some(at) if receipt.level() == Level::Written => at,
            _ => self.surroundings.clock.now(),
        }
    }

    pub(crate) fn is_past(&self, deadline: Option<Instant>) -> bool {
        deadline.is_some_and(|deadline| self.surroundings.clock.now() >= deadline)
    }

    /// Reads what has come, for a sender that waits for an ack and was woken: the driver's turn is spared, and a second wake.
    ///
    /// Acks and heartbeats only; all else, and the end of the stream, is left where it is for the driver, who was told too.
    pub(crate) fn listen<'a>(
        self: &'a Arc<Self>,
        core: MutexGuard<'a, Core>,
        ticket: u64,
    ) -> MutexGuard<'a, Core> {
        // Tried, not locked: who holds it reads already, and tells us what he hears.
        let (Ok(mut ears), Some(wire), true) =
            (self.ears.try_lock(), core.wire.clone(), core.ready)
        else {
            return core;
        };
        drop(core);
        let read = wire.try_read(ears.room());
        let acked = if matches!(read, Ok(1..)) {
            heed(&mut ears)
        } else {
            None
        };
        let mut wakers = Vec::new();
        let mut core = self.lock();
        // The driver may have hung up meanwhile, and what was in flight is settled.
        let same = core
            .wire
            .as_ref()
            .is_some_and(|now| Arc::ptr_eq(now, &wire));
        if !same || read.is_err() {
            return core;
        }
        core.heard_meanwhile = true;
        if let Some(sequence) = acked {
            core.outbox.ack(sequence);
            core.admit(self, &mut wakers);
            core.hand_over(&mut wakers);
            core.wake_reached(Some(ticket), &mut wakers);
        }
        if wakers.is_empty() {
            return core;
        }
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
        self.lock()
    }

    /// What the last attempt's error says, where none has succeeded since.
    pub(crate) fn last_words(&self) -> Option<Arc<str>> {
        let core = self.lock();
        let last = core.life.last_error();
        last.map(|error| Arc::from(crate::error::chain(&**error)))
    }

    /// At its deadline, having waited so long, or when there is nothing left to wait for, a confirming send takes its message back
    /// if no byte of it left.
    pub(crate) fn withdraw(
        self: &Arc<Self>,
        sequence: u64,
        wanted: Level,
        waited: Option<Duration>,
    ) -> SendErrorKind {
        let mut core = self.lock();
        let withdrawn = core.outbox.withdraw(sequence);
        let mut wakers = Vec::new();
        if withdrawn {
            core.returned.withdrawn += 1;
            core.made_room(self, &mut wakers);
        }
        let (service, last) = (self.service(), core.life.last_error().cloned());
        let outcome = if withdrawn {
            Outcome::NotSent
        } else {
            Outcome::Unknown
        };
        let kind = match waited {
            Some(waited) => SendErrorKind::Unconfirmed {
                service,
                wanted,
                waited,
                last,
                outcome,
            },
            None => SendErrorKind::Lost {
                service,
                wanted,
                why: if core.closed {
                    "the sink was closed"
                } else if core.life.gave_up().is_some() {
                    "the attempts to connect were used up"
                } else {
                    "the connection was lost"
                },
                last,
                outcome,
            },
        };
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
        kind
    }
}
