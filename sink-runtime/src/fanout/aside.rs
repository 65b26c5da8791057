//! Room for one message in every required member of a fan-out, or in none of them; and what comes of it.

use std::sync::Arc;

use super::kept::Receipts;
use crate::composite::{Encoded, Marks, Member, Reserved};
use crate::error::SendErrorKind;
use crate::receipt::{Level, Receipt};

/// What was set aside in a fan-out's members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside {
    /// Members whose own policy drops their copy: the others still get theirs.
    dropped: Marks,
    /// Members that say only when they are offered the message whether they take it.
    untried: Marks,
}

/// Why nothing was set aside, or nobody took the message. The errors are large and rare: in a box, the rest is cheap to move.
pub(super) enum Without {
    /// The member of this index has no room.
    Full(usize),
    Refused(Box<SendErrorKind>),
}

/// What came of the room that was set aside.
pub(super) enum Took {
    /// Every required member took the message: how far it got, at least.
    All(Level),
    /// Nobody did, and nothing is set aside any more.
    Nobody(Without),
    /// Some did, and that cannot be undone.
    Some { failed: usize, first: Arc<str> },
}

/// Counts, of the required members, those that took a message and those that failed.
#[derive(Default)]
struct Tally {
    level: Option<Level>,
    failed: usize,
    first: Option<Box<SendErrorKind>>,
}

impl Aside {
    /// Sets room aside in the required members, in order; what was set aside before one that has none is given back.
    pub(super) fn of<M>(
        members: &[Member<'_, M>],
        encoded: &Encoded<'_, M>,
    ) -> Result<Self, Without> {
        let mut held = Holding {
            aside: Self::default(),
            members: &[],
            encoded,
            done: Marks::default(),
        };
        for (index, member) in members.iter().enumerate() {
            if !member.is_required() {
                continue;
            }
            held.members = &members[..index];
            match member.reserve(encoded) {
                Reserved::Room => {}
                Reserved::Dropped => held.aside.dropped.set(index),
                Reserved::Untried => held.aside.untried.set(index),
                Reserved::Full => return Err(Without::Full(index)),
                Reserved::Refused(kind) => return Err(Without::Refused(Box::new(kind))),
            }
        }
        held.members = &[];
        Ok(std::mem::take(&mut held.aside))
    }

    /// Whether it is not known yet that all of them will take the message.
    pub(super) fn is_untried(&self) -> bool {
        !self.untried.is_empty()
    }

    /// Gives the room back.
    pub(super) fn release<M>(self, members: &[Member<'_, M>], encoded: &Encoded<'_, M>) {
        drop(Holding::of(self, members, encoded));
    }

    /// Hands the message to the required members: first to those that may refuse it, so that while none has taken it nobody
    /// need. What they say of it is in `receipts`.
    pub(super) fn take<M>(
        self,
        members: &[Member<'_, M>],
        encoded: &Encoded<'_, M>,
        receipts: &mut Receipts,
    ) -> Took {
        let mut held = Holding::of(self, members, encoded);
        let mut tally = Tally::default();
        let is_untried = !held.aside.untried.is_empty();
        for (index, member) in members.iter().enumerate().filter(|_| is_untried) {
            if !held.is_due(index, member) || !held.aside.untried.has(index) {
                continue;
            }
            let answer = held.commit(index, member, receipts);
            match answer {
                Err(kind) if tally.is_empty() && !matches!(kind, SendErrorKind::Partial { .. }) => {
                    return Took::Nobody(match kind {
                        SendErrorKind::Full { .. } => Without::Full(index),
                        kind => Without::Refused(Box::new(kind)),
                    });
                }
                answer => tally.count(answer),
            }
        }
        for (index, member) in members.iter().enumerate() {
            if held.is_due(index, member) {
                tally.count(held.commit(index, member, receipts));
            }
        }
        let dropped = &held.aside.dropped;
        let took = tally.outcome(!dropped.is_empty());
        if !dropped.is_empty() && !matches!(took, Took::Nobody(_)) {
            for (index, member) in members.iter().enumerate() {
                if dropped.has(index)
                    && let Some(receipt) = member.drop_newest()
                {
                    receipts.set(index, receipt);
                }
            }
        }
        took
    }
}

/// What is set aside and not taken: given back when it is dropped, also if the user's code, that encodes or is a member,
/// panics.
struct Holding<'a, 'b, M> {
    aside: Aside,
    members: &'a [Member<'b, M>],
    encoded: &'a Encoded<'a, M>,
    /// Members that have been asked to take the message.
    done: Marks,
}

impl<'a, 'b, M> Holding<'a, 'b, M> {
    fn of(aside: Aside, members: &'a [Member<'b, M>], encoded: &'a Encoded<'_, M>) -> Self {
        Self {
            aside,
            members,
            encoded,
            done: Marks::default(),
        }
    }

    /// Whether the member holds room for a message that it still is to take.
    fn is_due(&self, index: usize, member: &Member<'_, M>) -> bool {
        member.is_required() && !self.aside.dropped.has(index) && !self.done.has(index)
    }

    fn commit(
        &mut self,
        index: usize,
        member: &Member<'_, M>,
        receipts: &mut Receipts,
    ) -> Result<Receipt, SendErrorKind> {
        // However it ends, the room is no longer ours to give back.
        self.done.set(index);
        let answer = member.commit(self.encoded);
        if let Ok(receipt) = &answer {
            receipts.set(index, *receipt);
        }
        answer
    }
}

impl<M> Drop for Holding<'_, '_, M> {
    fn drop(&mut self) {
        for (index, member) in self.members.iter().enumerate() {
            if self.is_due(index, member) {
                member.release(self.encoded);
            }
        }
    }
}

impl Tally {
    fn is_empty(&self) -> bool {
        self.level.is_none() && self.failed == 0
    }

    fn count(&mut self, answer: Result<Receipt, SendErrorKind>) {
        match answer {
            Ok(receipt) => {
                let is_written =
                    receipt.level() == Level::Written && self.level != Some(Level::Accepted);
                self.level = Some(if is_written {
                    Level::Written
                } else {
                    Level::Accepted
                });
            }
            // Closed since it set room aside, or of another make.
            Err(kind) => {
                self.failed += 1;
                self.first.get_or_insert_with(|| Box::new(kind));
            }
        }
    }

    fn outcome(self, dropped: bool) -> Took {
        match (self.first, self.level) {
            (None, Some(level)) => Took::All(level),
            (None, None) if dropped => Took::All(Level::Dropped),
            (None, None) => Took::All(Level::Accepted),
            (Some(kind), None) if !matches!(*kind, SendErrorKind::Partial { .. }) => {
                Took::Nobody(Without::Refused(kind))
            }
            (Some(kind), _) => Took::Some {
                failed: self.failed,
                first: Arc::from(kind.to_string()),
            },
        }
    }
}
