//! As a composite's member: room set aside, and taken or given back.

use super::*;

impl<M: MessageType> Inproc<M> {
    /// Counts a copy that a full optional branch does not get; it takes a sequence, so that the receiver sees the gap.
    pub(crate) fn drop_optional(&self) {
        if let Ok(channel) = &self.channel {
            let mut held = self.hold(channel);
            held.books().dropped.optional += 1;
            held.skip_next(DropCause::Optional);
            held.release();
        }
    }

    /// Counts a copy that the policy drops.
    pub(crate) fn drop_copy_newest(&self) -> Receipt {
        match &self.channel {
            Ok(channel) => self.drop_newest(self.hold(channel)),
            Err(_) => Receipt::new(self.id, 0, Level::Dropped),
        }
    }

    /// Who has not waited does not overtake those who do.
    pub(crate) fn reserve(&self, message: &M, has_waited: bool) -> Reserved {
        let channel = match &self.channel {
            Ok(channel) => channel,
            Err(carried) => {
                return Reserved::Refused(SendErrorKind::Connect {
                    service: self.service(),
                    source: Arc::new(self.mismatch(carried)),
                });
            }
        };
        let mut held = self.hold(channel);
        if held.books().closed {
            return Reserved::Refused(SendErrorKind::Closed {
                service: self.service(),
            });
        }
        if let Some(kind) = self.too_large(message) {
            return Reserved::Refused(kind);
        }
        if !has_waited && self.do_others_wait() || self.is_still_full(&mut held, 0) {
            match self.config.when_full {
                // Counted when it is known that the others take theirs.
                WhenFull::DropNewest => {
                    held.release();
                    return Reserved::Dropped;
                }
                WhenFull::DropOldest if held.drop_oldest() => {}
                WhenFull::Reject => {
                    let count = self.held(held.books());
                    held.release();
                    return Reserved::Refused(self.full(count, Duration::ZERO));
                }
                _ => {
                    held.release();
                    return Reserved::Full;
                }
            }
        }
        held.books().reserved += 1;
        held.release();
        Reserved::Room
    }

    pub(crate) fn release(&self) {
        self.with_books(|books| books.reserved = books.reserved.saturating_sub(1));
        self.sender.wake(false);
    }

    pub(crate) fn commit(&self, message: M) -> Result<Receipt, SendErrorKind> {
        let channel = match &self.channel {
            Ok(channel) => channel,
            Err(carried) => {
                return Err(SendErrorKind::Connect {
                    service: self.service(),
                    source: Arc::new(self.mismatch(carried)),
                });
            }
        };
        let mut held = self.hold(channel);
        let books = held.books();
        books.reserved = books.reserved.saturating_sub(1);
        books.attempted += 1;
        if books.closed {
            books.returned.closed += 1;
            return Err(SendErrorKind::Closed {
                service: self.service(),
            });
        }
        Ok(self.put(channel, held, message))
    }
}
