//! Senders that wait for room: first come, first served.

use super::*;

impl Link {
    /// Queues an encoded frame; the future that calls it polls [`Link::poll_queued`] afterwards.
    pub(crate) fn queue<M: MessageType>(
        self: &Arc<Self>,
        message: &M,
        waker: &Waker,
    ) -> Result<u64, SendErrorKind> {
        let envelope = Envelope {
            identity: None,
            metadata: message.metadata(),
        };
        let mut frame = Vec::new();
        frame::begin_data(&mut frame, envelope.flags(), 0);
        envelope.encode(&mut frame);
        let head = frame.len();
        let beyond = message.shared().filter(|bytes| bytes.len() >= AROUND);
        let encoded = match beyond {
            Some(_) => Ok(()),
            None => message.encode(self.config.codec, &mut frame),
        };
        let encoded = encoded
            .and_then(|()| self.fits_line(beyond.map_or(&frame[head..], |bytes| &bytes[..])));
        let more = beyond.map_or(0, Bytes::len);
        let payload = frame.len() - head + more;
        frame::finish(&mut frame, 0, more);
        self.queue_frame(encoded, payload, frame, beyond.cloned(), waker)
    }

    pub(super) fn queue_frame(
        self: &Arc<Self>,
        encoded: Result<(), EncodeError>,
        payload: usize,
        frame: Vec<u8>,
        beyond: Option<Bytes>,
        waker: &Waker,
    ) -> Result<u64, SendErrorKind> {
        let size = frame.len() + beyond.as_ref().map_or(0, Bytes::len);
        let mut core = self.lock();
        let refused = match encoded {
            Err(error) => Some(self.not_encoded(error)),
            Ok(()) => self.too_large(&core, payload, size),
        };
        core.unnumbered += 1;
        if let Some(kind) = refused {
            core.returned.refused += 1;
            return Err(kind);
        }
        if core.closed || core.draining {
            // Since the offer that found no room: who waits now was not there to be turned away.
            core.returned.closed += 1;
            return Err(SendErrorKind::Closed {
                service: self.service(),
            });
        }
        let now = self.surroundings.clock.now();
        let deadline = self.config.send_timeout.map(|timeout| now + timeout);
        core.next_ticket += 1;
        let ticket = core.next_ticket;
        core.queue.push_back(Queued {
            ticket,
            payload,
            frame,
            beyond,
            waker: waker.clone(),
            since: now,
            deadline,
        });
        let mut wakers = Vec::new();
        core.admit(self, &mut wakers);
        self.poke(core);
        wakers.into_iter().for_each(Waker::wake);
        Ok(ticket)
    }

    /// Looks whether a queued frame was let in; `None` while it waits.
    pub(crate) fn poll_queued(
        self: &Arc<Self>,
        ticket: u64,
        waker: &Waker,
    ) -> Option<Result<Receipt, SendErrorKind>> {
        let mut core = self.lock();
        let mut wakers = Vec::new();
        core.expire(self, self.surroundings.clock.now(), &mut wakers);
        if !wakers.is_empty() {
            core.hand_over(&mut wakers);
            drop(core);
            wakers.into_iter().for_each(Waker::wake);
            core = self.lock();
        }
        if let Some(at) = core
            .admitted
            .iter()
            .position(|(settled, _)| *settled == ticket)
        {
            return Some(match core.admitted.swap_remove(at).1 {
                Admission::Accepted(receipt) => Ok(receipt),
                Admission::Refused(kind) => Err(kind),
            });
        }
        let orphaned = core.driver == Driver::None;
        match core.queue.iter_mut().find(|queued| queued.ticket == ticket) {
            Some(queued) => queued.waker.clone_from(waker),
            None => {
                return Some(Err(SendErrorKind::Closed {
                    service: self.service(),
                }));
            }
        }
        if orphaned && !self.poke(core) {
            let mut core = self.lock();
            if !core.queue.iter().any(|queued| queued.ticket == ticket) {
                // Another runtime took it on meanwhile, and let it in.
                drop(core);
                return self.poll_queued(ticket, waker);
            }
            core.forget(ticket);
            core.returned.closed += 1;
            return Some(Err(SendErrorKind::NoRuntime {
                service: self.service(),
            }));
        }
        None
    }

    /// The future of a queued frame is dropped: unsent, unless it was let in already.
    pub(crate) fn leave_queue(self: &Arc<Self>, ticket: u64) {
        let mut core = self.lock();
        if core.forget(ticket) {
            core.returned.cancelled += 1;
            let mut wakers = Vec::new();
            core.made_room(self, &mut wakers);
            drop(core);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    /// Counts an offer that found no room and is given back.
    pub(crate) fn give_back_full(&self, waited: Duration) -> SendErrorKind {
        let mut core = self.lock();
        core.unnumbered += 1;
        core.returned.full += 1;
        self.full(&core, waited)
    }

    pub(super) fn full(&self, core: &Core, waited: Duration) -> SendErrorKind {
        SendErrorKind::Full {
            service: self.service(),
            held_messages: core.outbox.held_messages(),
            buffer_size: self.config.buffer_size,
            held_bytes: core.outbox.held_bytes(),
            buffer_bytes: self.config.buffer_bytes,
            waited,
            last: core.life.last_error().cloned(),
        }
    }
}
