//! Room for one message in every required member of a fan-out, or in none of them.

use crate::composite::{Encoded, Marks, Member, Reserved};
use crate::error::SendErrorKind;

/// What was set aside in a fan-out's members.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside {
    /// Members whose own policy dropped their copy: the others still get theirs.
    pub(super) dropped: Marks,
}

/// Why nothing was.
pub(super) enum Without {
    /// The member of this index has no room.
    Full(usize),
    Refused(SendErrorKind),
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
                Reserved::Full => Without::Full(index),
                Reserved::Refused(kind) => Without::Refused(kind),
            };
            aside.release(&members[..index], encoded);
            return Err(without);
        }
        Ok(aside)
    }

    /// Gives the room back.
    pub(super) fn release<M>(&self, members: &[Member<'_, M>], encoded: &Encoded<'_, M>) {
        for member in self.holding(members) {
            member.release(encoded);
        }
    }

    /// The required members that hold room for a copy.
    pub(super) fn holding<'a, 'b, M>(
        &'a self,
        members: &'a [Member<'b, M>],
    ) -> impl Iterator<Item = &'a Member<'b, M>> {
        members
            .iter()
            .enumerate()
            .filter(|(index, member)| member.is_required() && !self.dropped.has(*index))
            .map(|(_, member)| member)
    }
}
