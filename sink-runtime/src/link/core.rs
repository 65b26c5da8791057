//! What is done under the lock: writing on the spot, letting waiting senders in, waking whom something concerns.

use super::*;

impl Core {
    /// Tries to write the current segment where it is; whether all of it went.
    pub(super) fn write_here(&mut self, clock: &dyn Clock) -> bool {
        let Some(wire) = &self.wire else { return false };
        // Only a message that nothing stands before may be written on the spot.
        if self.outbox.unwritten() != 1 || self.outbox.is_lent() {
            return false;
        }
        let slices = self.outbox.slices();
        let written = if slices[1].is_empty() {
            wire.try_write(&slices[0])
        } else {
            wire.try_write_vectored(&slices)
        };
        // An error is the driver's to see: it will meet it again.
        let Ok(count) = written else { return false };
        self.wrote_here(count, clock);
        self.outbox.unwritten() == 0
    }

    /// Writes whole segments where they are, as far as they go; whether nothing is left. The rest of a frame is the driver's to write.
    pub(super) fn write_full(&mut self, clock: &dyn Clock) -> bool {
        while self.outbox.unwritten() > 0 {
            if self.outbox.is_lent() || self.outbox.is_torn() {
                return false;
            }
            let Some(wire) = &self.wire else { return false };
            self.outbox.skip_written();
            let slices = self.outbox.slices();
            let written = if slices[1].is_empty() {
                wire.try_write(&slices[0])
            } else {
                wire.try_write_vectored(&slices)
            };
            // An error is the driver's to see: it will meet it again.
            let Some(count) = written.ok().filter(|count| *count > 0) else {
                return false;
            };
            self.wrote_here(count, clock);
        }
        true
    }

    pub(super) fn wrote_here(&mut self, count: usize, clock: &dyn Clock) {
        // Writing took its time: were it counted as silence, a burst over a slow system call would never coalesce.
        let now = clock.now();
        self.last_write = Some(now);
        self.life.spoke(now);
        self.outbox.wrote(count);
    }

    /// Room came about otherwise than by writing: those in the queue get it first, then those who only wait for room look.
    pub(super) fn made_room(&mut self, link: &Link, wakers: &mut Vec<Waker>) {
        // However little it is: nobody may come by later, where nothing is being written.
        self.admit_all(link, wakers);
        self.hand_over(wakers);
        let news = self.waits.iter().filter(|wait| wait.until == Until::News);
        wakers.extend(news.map(|wait| wait.waker.clone()));
    }

    /// What others than the driver let in is the driver's to write, and it may be asleep.
    pub(super) fn hand_over(&mut self, wakers: &mut Vec<Waker>) {
        // Where there is none, the next to come must not believe that one knows.
        if self.outbox.unwritten() > 0 && !self.flushing && self.driver == Driver::Running {
            self.flushing = true;
            wakers.extend(self.driver_waker.take());
        }
    }

    #[cold]
    pub(super) fn note_age(&mut self, link: &Link, sequence: u64) {
        if let Some(ages) = &mut self.ages {
            ages.note(sequence, link.surroundings.clock.now());
        }
    }

    /// Drops what has waited too long; called before anything is written.
    pub(crate) fn drop_aged(&mut self, now: Instant) {
        if let Some(upto) = self.ages.as_mut().and_then(|ages| ages.expired(now)) {
            let count = self.outbox.drop_aged(upto);
            self.dropped.expired += count;
            self.dropped_some |= count > 0;
        }
    }

    /// Lets waiting senders in, oldest first, as far as there is room.
    pub(crate) fn admit(&mut self, link: &Link, wakers: &mut Vec<Waker>) {
        if self.queue.is_empty() || self.closed {
            return;
        }
        if link.config.when_full == WhenFull::DropOldest {
            // Its room is made for it: who lost what an offer had made to a rival must not wait for the other end.
            return self.admit_all(link, wakers);
        }
        let (messages, bytes) = (u64::from(link.config.buffer_size), link.config.buffer_bytes);
        let slack_messages = if messages >= LAZY_ADMISSION_MESSAGES {
            messages / 4
        } else {
            0
        };
        let slack_bytes = if bytes >= LAZY_ADMISSION_BYTES {
            bytes / 4
        } else {
            0
        };
        if self.outbox.held_messages() + slack_messages > messages
            || self.outbox.held_bytes() + slack_bytes > bytes
        {
            return;
        }
        self.admit_all(link, wakers);
    }

    /// The same, though it be one at a time.
    pub(super) fn admit_all(&mut self, link: &Link, wakers: &mut Vec<Waker>) {
        if self.closed {
            return;
        }
        let drops = link.config.when_full == WhenFull::DropOldest;
        while let Some(size) = self.queue.front().map(Queued::size) {
            let fits = link.has_room(self, size) || drops && self.drop_oldest_for(link, size);
            if !fits {
                break;
            }
            self.admit_front(link, wakers);
        }
    }

    /// Makes room by dropping the oldest; `false` if what is left is in the flusher's hands.
    pub(super) fn drop_oldest_for(&mut self, link: &Link, bytes: usize) -> bool {
        while !link.has_room(self, bytes) {
            if !self.outbox.drop_oldest() {
                return false;
            }
            self.dropped.oldest += 1;
            self.dropped_some = true;
        }
        true
    }

    pub(super) fn admit_front(&mut self, link: &Link, wakers: &mut Vec<Waker>) {
        let Some(queued) = self.queue.pop_front() else {
            return;
        };
        if let Some(kind) = link.too_large(self, queued.payload, queued.size()) {
            // The receiver told its limit while this one waited.
            self.returned.refused += 1;
            self.admitted
                .push((queued.ticket, Admission::Refused(kind)));
            wakers.push(queued.waker);
            return;
        }
        self.unnumbered -= 1;
        let sequence = self.outbox.next_sequence();
        if queued.beyond.is_some() {
            self.outbox.seal();
        }
        self.outbox.append(|out, sequence, _| {
            let number = out.len() + frame::HEAD..out.len() + frame::DATA_HEAD;
            out.extend_from_slice(&queued.frame);
            out[number].copy_from_slice(&sequence.to_le_bytes());
            queued.beyond.is_none()
        });
        if let Some(beyond) = queued.beyond {
            self.outbox.keep_with(beyond);
        }
        self.admitted.push((
            queued.ticket,
            Admission::Accepted(Receipt::new(link.id, sequence, Level::Accepted)),
        ));
        wakers.push(queued.waker);
    }

    /// Ends what has waited too long.
    pub(crate) fn expire(&mut self, link: &Link, now: Instant, wakers: &mut Vec<Waker>) {
        let queued_before = self.queue.len();
        while let Some(front) = self.queue.front() {
            if front.deadline.is_none_or(|deadline| now < deadline) {
                break;
            }
            if link.has_room(self, front.size()) {
                self.admit_front(link, wakers);
                continue;
            }
            let queued = self.queue.pop_front().expect("it has a front");
            let kind = link.full(self, now.saturating_duration_since(queued.since));
            self.returned.full += 1;
            self.admitted
                .push((queued.ticket, Admission::Refused(kind)));
            wakers.push(queued.waker);
        }
        if self.queue.len() < queued_before {
            // Who stood behind one too large may find room.
            self.admit_all(link, wakers);
        }
        for wait in &mut self.waits {
            if wait.deadline.is_some_and(|deadline| now >= deadline) {
                wakers.push(wait.waker.clone());
                // It is told once: one that is not polled must not keep the driver awake.
                wait.deadline = None;
            }
        }
    }

    /// Turns all waiting senders away: the sink closes, or can never connect.
    pub(crate) fn turn_away(&mut self, kind: &SendErrorKind, wakers: &mut Vec<Waker>) {
        while let Some(queued) = self.queue.pop_front() {
            self.returned.closed += 1;
            self.admitted
                .push((queued.ticket, Admission::Refused(kind.clone())));
            wakers.push(queued.waker);
        }
    }

    /// The earliest deadline of anyone who waits.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let queued = self.queue.front().and_then(|front| front.deadline);
        self.waits
            .iter()
            .filter_map(|wait| wait.deadline)
            .chain(queued)
            .chain(self.abandon_at)
            .min()
    }

    /// Wakes everyone who waits for something other than room.
    pub(crate) fn wake_waits(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.waits.iter().map(|wait| wait.waker.clone()));
    }

    /// After bytes were written or acked: wakes those whose message got so far, but for the one who is awake already.
    pub(crate) fn wake_reached(&mut self, awake: Option<u64>, wakers: &mut Vec<Waker>) {
        if std::mem::take(&mut self.dropped_some) {
            return self.wake_waits(wakers);
        }
        let outbox = &self.outbox;
        let reached = self.waits.iter().filter(|wait| {
            Some(wait.ticket) != awake
                && match wait.until {
                    Until::News => true,
                    Until::Written(sequence) => {
                        sequence <= outbox.written_to().max(outbox.acked_to())
                    }
                    Until::Acked(sequence) => sequence <= outbox.acked_to(),
                }
        });
        wakers.extend(reached.map(|wait| wait.waker.clone()));
    }

    /// Wakes everyone: the driver is gone.
    pub(crate) fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        self.wake_waits(wakers);
        wakers.extend(self.queue.iter().map(|queued| queued.waker.clone()));
    }

    pub(super) fn forget(&mut self, ticket: u64) -> bool {
        if let Some(at) = self.queue.iter().position(|queued| queued.ticket == ticket) {
            self.queue.remove(at);
            return true;
        }
        self.admitted.retain(|(settled, _)| *settled != ticket);
        false
    }

    /// Registers or refreshes a wait; returns its ticket.
    pub(crate) fn wait(
        &mut self,
        ticket: Option<u64>,
        waker: &Waker,
        deadline: Option<Instant>,
        until: Until,
    ) -> u64 {
        if let Some(ticket) = ticket
            && let Some(wait) = self.waits.iter_mut().find(|wait| wait.ticket == ticket)
        {
            wait.waker.clone_from(waker);
            return ticket;
        }
        self.next_ticket += 1;
        self.waits.push(Wait {
            ticket: self.next_ticket,
            waker: waker.clone(),
            deadline,
            until,
        });
        self.next_ticket
    }

    /// Whether a wait until `deadline` needs the driver woken: to keep its time, or because there is none.
    pub(crate) fn must_hear_of(&self, deadline: Option<Instant>) -> bool {
        let in_time = |deadline| self.alarm.is_some_and(|alarm| alarm <= deadline);
        self.driver == Driver::None || deadline.is_some_and(|deadline| !in_time(deadline))
    }

    /// Ends a wait.
    pub(crate) fn end_wait(&mut self, ticket: u64) {
        if let Some(at) = self.waits.iter().position(|wait| wait.ticket == ticket) {
            self.waits.swap_remove(at);
        }
    }

    /// Whether anything needs a connection.
    pub(crate) fn wants_connection(&self) -> bool {
        self.outbox.unwritten() > 0
            || self.outbox.in_flight() > 0
            || !self.queue.is_empty()
            || self.connect_wanted
    }

    /// A connection is not wanted any more once all that was accepted so far is done.
    pub(crate) fn disconnect(&mut self) {
        self.disconnecting = Some(self.outbox.last_sequence());
        self.outbox.close_tail();
        self.stay();
        self.part();
    }

    /// Nobody waits for a disconnect any more.
    pub(crate) fn cancel_disconnect(&mut self) {
        self.disconnecting = None;
        self.stay();
    }

    /// What waits for the next connection goes on this one after all.
    pub(super) fn stay(&mut self) {
        self.ready |= std::mem::take(&mut self.parting) && !self.leaving;
    }

    /// Ends writing behind the last message that a disconnect waits for: others may go on sending for ever.
    pub(crate) fn part(&mut self) {
        let due = |upto| self.outbox.first_unwritten() > upto && !self.outbox.is_torn();
        if self.ready && self.disconnecting.is_some_and(due) {
            self.ready = false;
            self.parting = true;
        }
    }

    /// Whether nothing stands against saying goodbye: what was to be done before is done.
    pub(crate) fn may_leave(&self) -> bool {
        let drained = self.draining && self.outbox.is_settled() && self.queue.is_empty();
        // What was written here and not acked would be lost with the connection, or come twice.
        let parted = self.parting && self.outbox.in_flight() == 0;
        !self.leaving && (drained || parted)
    }

    /// Whether an attempt is under way that is for nothing: we are to part, and there is nothing to flush before.
    pub(crate) fn needs_no_attempt(&self) -> bool {
        (self.draining || self.disconnecting.is_some())
            && self.life.is_connecting()
            && self.outbox.is_settled()
            && self.queue.is_empty()
    }

    /// Whether a disconnect still waits for messages.
    pub(crate) fn owes_disconnect(&self) -> bool {
        let owed = |upto| !self.outbox.is_done_to(upto);
        self.disconnecting.is_some_and(owed)
    }

    /// When the link will have been unused for as long as `idle_timeout_ms` says, if nothing is sent until then.
    pub(crate) fn idle_at(&self, link: &Link) -> Option<Instant> {
        let (timeout, since) = (link.config.idle_timeout?, self.life.ready_since()?);
        Some(self.last_write.map_or(since, |last| last.max(since)) + timeout)
    }

    /// Whether the link has been unused for so long at `now`, and nobody is about to use it.
    pub(crate) fn is_idle(&self, link: &Link, now: Instant) -> bool {
        self.idle_at(link).is_some_and(|at| now >= at)
            && self.ready
            && self.reserved_messages == 0
            && !self.wants_connection()
    }

    /// Takes everything undelivered out and counts it as abandoned.
    pub(crate) fn abandon(&mut self) -> Vec<Undelivered> {
        let taken = self.outbox.take_undelivered();
        self.dropped.closed += taken.iter().filter(|one| !one.on_wire).count() as u64;
        taken
    }
}
