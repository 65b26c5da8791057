//! Room set aside for a fan-out, which takes it in every member or in none.

use super::*;

impl Link {
    /// Sets room aside for one frame of `bytes`, or says that there is none; `false` if its policy drops that. What is refused here is not counted: the composite
    /// knows whether a copy is lost.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize, payload: &[u8]) -> Result<bool, Offer> {
        if let Err(error) = self.fits_line(payload) {
            return Err(Offer::Refused(self.not_encoded(error)));
        }
        let mut core = self.lock();
        if let Some(kind) = self.too_large(&core, payload.len(), bytes) {
            return Err(Offer::Refused(kind));
        }
        let admitted = match self.config.when_full {
            // Counted when it is known that the others take theirs.
            WhenFull::DropNewest => self.has_room_for_copy(&mut core, bytes),
            _ => self.admit_one(&mut core, bytes).map(|()| true),
        };
        let has_room = admitted.inspect_err(|offer| {
            if matches!(offer, Offer::Refused(_)) {
                // It was counted as a message given back.
                core.unnumbered -= 1;
                core.returned.closed -= 1;
            }
        })?;
        if has_room {
            core.reserved_messages += 1;
            core.reserved_bytes += bytes as u64;
        }
        Ok(has_room)
    }

    /// Counts a copy that the policy drops.
    pub(crate) fn drop_newest(&self) -> Receipt {
        self.count_newest(&mut self.lock())
    }

    /// Counts a copy that a full optional branch does not get; it takes a sequence, so that the receiver sees the gap.
    pub(crate) fn drop_optional(&self) {
        let mut core = self.lock();
        core.outbox.skip(DropCause::Optional);
        core.dropped.optional += 1;
    }

    /// What a composite is told that finds no room.
    pub(crate) fn full_now(&self, waited: Duration) -> SendErrorKind {
        self.full(&self.lock(), waited)
    }

    /// Gives reserved room back.
    pub(crate) fn release(&self, bytes: usize) {
        let mut core = self.lock();
        core.reserved_messages -= 1;
        core.reserved_bytes -= bytes as u64;
        let mut wakers = Vec::new();
        core.made_room(self, &mut wakers);
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes an encoded payload into room that was set aside.
    pub(crate) fn commit_reserved(
        self: &Arc<Self>,
        bytes: usize,
        envelope: Envelope<'_>,
        payload: &Bytes,
    ) -> Offer {
        let mut core = self.lock();
        core.reserved_messages -= 1;
        core.reserved_bytes -= bytes as u64;
        if core.closed || core.draining {
            core.unnumbered += 1;
            core.returned.closed += 1;
            return Offer::Refused(SendErrorKind::Closed {
                service: self.service(),
            });
        }
        if let Some(kind) = self.too_large(&core, payload.len(), bytes) {
            // The receiver told its limit in between.
            core.unnumbered += 1;
            core.returned.refused += 1;
            return Offer::Refused(kind);
        }
        let around = payload.len() >= AROUND;
        if around {
            core.outbox.seal();
        }
        core.outbox.append(|out, sequence, _| {
            let at = out.len();
            frame::begin_data(out, envelope.flags(), sequence);
            envelope.encode(out);
            if !around {
                out.extend_from_slice(payload);
            }
            frame::finish(out, at, if around { payload.len() } else { 0 });
            !around
        });
        if around {
            core.outbox.keep_with(payload.clone());
        }
        self.accepted(core)
    }
}
