//! How a message gets in: encoded in place under the lock, refused, or told that there is no room.

use super::*;

/// What became of an offered message.
pub(crate) enum Offer {
    Accepted(Receipt),
    /// There is no room; a blocking caller may queue.
    Full,
    Refused(SendErrorKind),
}

/// The parts of a frame besides its payload.
#[derive(Clone, Copy, Default)]
pub(crate) struct Envelope<'a> {
    pub(crate) identity: Option<(u64, u64)>,
    pub(crate) metadata: Option<&'a Metadata>,
}

impl Envelope<'_> {
    pub(super) fn flags(&self) -> u8 {
        (u8::from(self.identity.is_some()) * FLAG_IDENTITY)
            | (u8::from(self.metadata.is_some()) * FLAG_METADATA)
    }

    /// Appends identity and metadata.
    #[inline(always)]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if let Some((producer, number)) = self.identity {
            out.extend_from_slice(&producer.to_le_bytes());
            out.extend_from_slice(&number.to_le_bytes());
        }
        if let Some(metadata) = self.metadata {
            let at = out.len();
            out.extend_from_slice(&[0, 0]);
            metadata.encode(out);
            let length = (out.len() - at - 2) as u16;
            out[at..at + 2].copy_from_slice(&length.to_le_bytes());
        }
    }
}

impl Link {
    /// Offers one message; encodes it straight into the link's buffer if there is room.
    #[inline]
    pub(crate) fn offer<M: MessageType>(self: &Arc<Self>, message: &M) -> Offer {
        let envelope = Envelope {
            identity: None,
            metadata: message.metadata(),
        };
        match message.shared() {
            Some(bytes) if bytes.len() >= AROUND => self.offer_shared(envelope, bytes),
            _ => self.offer_with(envelope, |out| message.encode(self.config.codec, out)),
        }
    }

    #[inline]
    pub(crate) fn offer_with(
        self: &Arc<Self>,
        envelope: Envelope<'_>,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Offer {
        let mut core = self.lock();
        if !self.admits(&core, 0)
            && let Err(offer) = self.admit_one(&mut core, 0)
        {
            return offer;
        }
        let room = self.config.buffer_bytes.saturating_sub(core.reserved_bytes);
        let (mut encoded, mut payload, mut size, mut filled) = (Ok(()), 0, 0, false);
        let kept = core.outbox.append(|out, sequence, held| {
            let at = out.len();
            frame::begin_data(out, envelope.flags(), sequence);
            envelope.encode(out);
            let payload_at = out.len();
            encoded = encode(out);
            (payload, size) = (out.len() - payload_at, out.len() - at);
            frame::finish(out, at, 0);
            filled = out.len() >= SEGMENT;
            encoded.is_ok()
                && payload as u64 <= self.frame_limit.load(Ordering::Relaxed)
                && held + size as u64 <= room
        });
        if !kept {
            return match self.look_closer(&mut core, encoded, payload, size) {
                Ok(()) => self.accepted_at_last(core, filled),
                Err(offer) => offer,
            };
        }
        if filled {
            self.filled(&mut core);
        }
        self.accepted(core)
    }

    /// A segment is full. Where the flusher would have to wait for this sender's turn to end, the sender writes what is there itself,
    /// while it is in cache; with several workers the flusher may be at it this moment, and holding the lock would hold up others.
    #[cold]
    fn filled(&self, core: &mut Core) {
        let may_write = core.alone && core.flushing && core.ready && core.waits.is_empty();
        let written = may_write && core.control.is_empty() && {
            core.drop_aged(self.surroundings.clock.now());
            core.write_full(&*self.surroundings.clock)
        };
        turn::segment_filled(written);
    }

    /// Offers a payload that exists already and is large: it is referenced, not copied.
    pub(crate) fn offer_shared(self: &Arc<Self>, envelope: Envelope<'_>, payload: &Bytes) -> Offer {
        let mut core = self.lock();
        // Too large is too large, however full the buffer is.
        let size = payload.len() + frame::DATA_HEAD;
        let refused = match self.fits_line(payload) {
            Ok(()) => self.too_large(&core, payload.len(), size),
            Err(error) => Some(self.not_encoded(error)),
        };
        if let Some(kind) = refused {
            core.unnumbered += 1;
            core.returned.refused += 1;
            return Offer::Refused(kind);
        }
        if let Err(offer) = self.admit_one(&mut core, payload.len()) {
            return offer;
        }
        if let Err(offer) = self.check_encoded(&mut core, Ok(()), payload.len(), size) {
            return offer;
        }
        core.outbox.seal();
        core.outbox.append(|out, sequence, _| {
            let at = out.len();
            frame::begin_data(out, envelope.flags(), sequence);
            envelope.encode(out);
            frame::finish(out, at, payload.len());
            false
        });
        core.outbox.keep_with(payload.clone());
        self.accepted(core)
    }

    /// Whether nothing stands against one more message: what nearly every send finds.
    #[inline(always)]
    fn admits(&self, core: &Core, bytes: usize) -> bool {
        core.driver != Driver::None
            && !core.closed
            && !core.draining
            && !core.gave_up
            && core.queue.is_empty()
            && self.has_room(core, bytes)
    }

    /// The checks that need no encoding.
    #[inline]
    pub(super) fn admit_one(
        self: &Arc<Self>,
        core: &mut MutexGuard<'_, Core>,
        bytes: usize,
    ) -> Result<(), Offer> {
        if core.driver == Driver::None || core.closed || core.draining || core.gave_up {
            self.admit_cold(core)?;
        }
        let held = core.outbox.held_messages() + core.reserved_messages;
        let full = held >= u64::from(self.config.buffer_size)
            || core.outbox.held_bytes() + core.reserved_bytes + bytes as u64
                > self.config.buffer_bytes;
        if full || !core.queue.is_empty() {
            return self.make_room(core, bytes);
        }
        Ok(())
    }

    #[cold]
    fn admit_cold(self: &Arc<Self>, core: &mut Core) -> Result<(), Offer> {
        if core.closed || core.draining {
            core.unnumbered += 1;
            core.returned.closed += 1;
            return Err(Offer::Refused(SendErrorKind::Closed {
                service: self.service(),
            }));
        }
        if let Some(error) = core.life.gave_up() {
            let source = Arc::clone(error);
            core.unnumbered += 1;
            core.returned.closed += 1;
            return Err(Offer::Refused(SendErrorKind::Connect {
                service: self.service(),
                source,
            }));
        }
        if Handle::try_current().is_err() {
            core.unnumbered += 1;
            core.returned.closed += 1;
            return Err(Offer::Refused(SendErrorKind::NoRuntime {
                service: self.service(),
            }));
        }
        Ok(())
    }

    /// There is no room: what `when_full` says.
    #[cold]
    fn make_room(&self, core: &mut Core, bytes: usize) -> Result<(), Offer> {
        core.refused_bytes = bytes as u64;
        if core.ages.is_some() {
            // What is too old is as good as gone, also while nothing is written.
            core.drop_aged(self.surroundings.clock.now());
            if core.queue.is_empty() && self.has_room(core, bytes) {
                return Ok(());
            }
        }
        match self.config.when_full {
            // Behind senders that wait it waits too: nothing overtakes them.
            WhenFull::DropOldest
                if core.queue.is_empty() && bytes as u64 <= self.config.buffer_bytes =>
            {
                // If all of it is in the flusher's hands, this one waits like any other.
                core.drop_oldest_for(self, bytes)
                    .then_some(())
                    .ok_or(Offer::Full)
            }
            WhenFull::DropNewest => Err(Offer::Accepted(self.count_newest(core))),
            _ => Err(Offer::Full),
        }
    }

    pub(super) fn count_newest(&self, core: &mut Core) -> Receipt {
        let sequence = core.outbox.skip(DropCause::Newest);
        core.dropped.newest += 1;
        Receipt::new(self.id, sequence, Level::Dropped)
    }

    /// Whether a copy would be let in, where the policy drops the newest; it is not dropped yet.
    pub(super) fn has_room_for_copy(
        self: &Arc<Self>,
        core: &mut Core,
        bytes: usize,
    ) -> Result<bool, Offer> {
        if core.driver == Driver::None || core.closed || core.draining || core.gave_up {
            self.admit_cold(core)?;
        }
        let has_room = |core: &Core| core.queue.is_empty() && self.has_room(core, bytes);
        if !has_room(core) && core.ages.is_some() {
            core.drop_aged(self.surroundings.clock.now());
        }
        Ok(has_room(core))
    }

    pub(super) fn has_room(&self, core: &Core, bytes: usize) -> bool {
        core.outbox.held_messages() + core.reserved_messages < u64::from(self.config.buffer_size)
            && core.outbox.held_bytes() + core.reserved_bytes + bytes as u64
                <= self.config.buffer_bytes
    }

    /// The checks that need the size.
    #[inline]
    fn check_encoded(
        &self,
        core: &mut Core,
        encoded: Result<(), EncodeError>,
        payload: usize,
        size: usize,
    ) -> Result<(), Offer> {
        let fits = payload as u64 <= self.longest(core).0
            && core.outbox.held_bytes() + core.reserved_bytes + size as u64
                <= self.config.buffer_bytes;
        if fits && encoded.is_ok() {
            return Ok(());
        }
        self.refuse_encoded(core, encoded, payload, size)
    }

    /// The frame that was begun was not simply kept: it is after all, or it is refused.
    #[cold]
    fn look_closer(
        &self,
        core: &mut Core,
        encoded: Result<(), EncodeError>,
        payload: usize,
        size: usize,
    ) -> Result<(), Offer> {
        let encoded = encoded.and_then(|()| self.fits_line(core.outbox.begun_tail(payload)));
        if self.config.framing == Framing::Lines {
            self.check_encoded(core, encoded, payload, size)?;
            core.outbox.keep_begun();
            return Ok(());
        }
        self.refuse_encoded(core, encoded, payload, size)?;
        Err(Offer::Full)
    }

    /// Whether a payload is one line, where it must be.
    pub(super) fn fits_line(&self, payload: &[u8]) -> Result<(), EncodeError> {
        if self.config.framing != Framing::Lines {
            return Ok(());
        }
        match foreign::line_break(payload) {
            None => Ok(()),
            Some(at) => {
                let text =
                    format!("byte {at} is a line break, which would end the message (framing)");
                Err(EncodeError::new("lines", text))
            }
        }
    }

    pub(super) fn not_encoded(&self, error: EncodeError) -> SendErrorKind {
        SendErrorKind::Encode {
            service: self.service(),
            source: Arc::new(error),
        }
    }

    #[cold]
    fn refuse_encoded(
        &self,
        core: &mut Core,
        encoded: Result<(), EncodeError>,
        payload: usize,
        size: usize,
    ) -> Result<(), Offer> {
        core.outbox.rescind();
        let kind = match encoded {
            Err(error) => Some(self.not_encoded(error)),
            Ok(()) => self.too_large(core, payload, size),
        };
        if let Some(kind) = kind {
            core.unnumbered += 1;
            core.returned.refused += 1;
            return Err(Offer::Refused(kind));
        }
        // It does not fit now. Dropping the oldest may help; the caller then encodes again.
        match self.make_room(core, size) {
            Ok(()) => Err(Offer::Full),
            Err(offer) => Err(offer),
        }
    }

    /// The largest payload that may be sent, and who says so.
    fn longest(&self, core: &Core) -> (u64, &'static str) {
        let ours = self.config.max_frame_bytes;
        match core.peer_limit {
            Some(theirs) if theirs < ours => (u64::from(theirs), "max_frame_bytes of the receiver"),
            _ => (u64::from(ours), "max_frame_bytes"),
        }
    }

    /// The other end takes payloads of `limit` bytes at most. What is larger and was accepted before that was known would be
    /// sent again and again: it is dropped, and its numbers tell the receiver that it is missing.
    pub(crate) fn heed_limit(&self, core: &mut Core, limit: u32) -> u64 {
        core.peer_limit = Some(limit);
        let without_a_look = self.config.frame_limit(Some(limit));
        self.frame_limit.store(without_a_look, Ordering::Relaxed);
        if limit >= self.config.max_frame_bytes {
            return 0;
        }
        let before = core.outbox.unknown();
        let count = core.outbox.drop_larger(u64::from(limit));
        core.dropped.too_large += count;
        let gone = count + core.outbox.unknown() - before;
        core.dropped_some |= gone > 0;
        gone
    }

    /// The other end, another one maybe, has told no limit.
    pub(crate) fn forget_limit(&self, core: &mut Core) {
        core.peer_limit = None;
        let without_a_look = self.config.frame_limit(None);
        self.frame_limit.store(without_a_look, Ordering::Relaxed);
    }

    pub(super) fn too_large(
        &self,
        core: &Core,
        payload: usize,
        size: usize,
    ) -> Option<SendErrorKind> {
        let (longest, whose) = self.longest(core);
        let (bytes, limit, key) = if payload as u64 > longest {
            (payload, longest, whose)
        } else if size as u64 > self.config.buffer_bytes {
            (size, self.config.buffer_bytes, "buffer_bytes")
        } else {
            return None;
        };
        Some(SendErrorKind::TooLarge {
            service: self.service(),
            bytes: bytes as u64,
            limit,
            key,
        })
    }

    /// The frame stands in the buffer: write it on the spot if the link is idle, else see that the driver knows.
    #[inline(always)]
    pub(super) fn accepted(self: &Arc<Self>, mut core: MutexGuard<'_, Core>) -> Offer {
        let sequence = core.outbox.last_sequence();
        core.refused_bytes = 0;
        if core.flushing && core.ages.is_none() {
            return Offer::Accepted(Receipt::new(self.id, sequence, Level::Accepted));
        }
        self.accepted_otherwise(core, sequence)
    }

    /// The same, for a frame that was looked at before it was kept.
    #[cold]
    fn accepted_at_last(self: &Arc<Self>, mut core: MutexGuard<'_, Core>, filled: bool) -> Offer {
        if filled {
            self.filled(&mut core);
        }
        self.accepted(core)
    }

    #[cold]
    fn accepted_otherwise(
        self: &Arc<Self>,
        mut core: MutexGuard<'_, Core>,
        sequence: u64,
    ) -> Offer {
        core.note_age(self, sequence);
        let receipt = Receipt::new(self.id, sequence, Level::Accepted);
        if core.flushing {
            return Offer::Accepted(receipt);
        }
        let level = self.write_or_wake(core);
        Offer::Accepted(receipt.at(level))
    }

    /// Writes the one pending frame if the link has been idle; else wakes (or starts) the driver.
    fn write_or_wake(self: &Arc<Self>, mut core: MutexGuard<'_, Core>) -> Level {
        if core.ready && core.control.is_empty() {
            let now = self.surroundings.clock.now();
            let idle = core
                .last_write
                .is_none_or(|last| now.saturating_duration_since(last) >= SPOT_AFTER);
            if idle && core.write_here(&*self.surroundings.clock) {
                Self::leave(core);
                return Level::Written;
            }
        }
        self.poke(core);
        Level::Accepted
    }

    /// Ends the critical section of a write on the spot; hardly ever does anyone wait for it.
    #[inline]
    fn leave(mut core: MutexGuard<'_, Core>) {
        if core.waits.is_empty() {
            return;
        }
        let mut wakers = Vec::new();
        core.wake_reached(None, &mut wakers);
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
    }
}
