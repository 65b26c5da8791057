//! Room for one message in every required member of a fan-out, or in none of them; and what comes of it.

use std::sync::Arc;

use crate::composite::{Encoded, Marks, Member, Reserved};
use crate::error::SendErrorKind;
use crate::receipt::{Level, Receipt};

/// What was set aside in a fan-out's members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside {
    /// Members whose own policy dropped their copy: the others still get theirs.
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
        let mut aside = Self::default();
        for (index, member) in members.iter().enumerate() {
            if !member.is_required() {
                continue;
            }
            let without = match member.reserve(encoded) {
                Reserved::Room => continue,
                Reserved::Dropped(_) => {
                    aside.dropped.set(index);
                    continue;
                }
                Reserved::Untried => {
                    aside.untried.set(index);
                    continue;
                }
                Reserved::Full => Without::Full(index),
                Reserved::Refused(kind) => Without::Refused(Box::new(kind)),
            };
            aside.release(&members[..index], encoded);
            return Err(without);
        }
        Ok(aside)
    }

    /// Whether every required member holds room, as one of them that is asked nothing more does.
    pub(super) fn is_plain(&self) -> bool {
        self.dropped.is_empty() && self.untried.is_empty()
    }

    /// Whether it is not known yet that all of them will take the message.
    pub(super) fn is_untried(&self) -> bool {
        !self.untried.is_empty()
    }

    /// Gives the room back.
    pub(super) fn release<M>(&self, members: &[Member<'_, M>], encoded: &Encoded<'_, M>) {
        for (_, member) in self.due(members) {
            member.release(encoded);
        }
    }

    /// Hands the message to the required members: first to those that may refuse it, so that while none has taken it nobody
    /// need.
    pub(super) fn take<M>(&self, members: &[Member<'_, M>], encoded: &Encoded<'_, M>) -> Took {
        let mut tally = Tally::default();
        let untried = || {
            self.due(members)
                .filter(|(index, _)| self.untried.has(*index))
        };
        for (index, member) in untried() {
            let answer = member.commit(encoded);
            if let Err(kind) = &answer
                && tally.is_empty()
                && !matches!(kind, SendErrorKind::Partial { .. })
            {
                for (other, member) in self.due(members) {
                    if other > index || !self.untried.has(other) {
                        member.release(encoded);
                    }
                }
                return Took::Nobody(match answer {
                    Err(kind) if !matches!(kind, SendErrorKind::Full { .. }) => {
                        Without::Refused(Box::new(kind))
                    }
                    _ => Without::Full(index),
                });
            }
            tally.count(answer);
        }
        for (index, member) in self.due(members) {
            if !self.untried.has(index) {
                tally.count(member.commit(encoded));
            }
        }
        tally.outcome(!self.dropped.is_empty())
    }

    /// The required members that still are to take the message, each with its index.
    fn due<'a, 'b, M>(
        &'a self,
        members: &'a [Member<'b, M>],
    ) -> impl Iterator<Item = (usize, &'a Member<'b, M>)> {
        members
            .iter()
            .enumerate()
            .filter(|(index, member)| member.is_required() && !self.dropped.has(*index))
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
