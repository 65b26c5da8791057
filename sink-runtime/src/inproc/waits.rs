//! Those who wait for room, for a level, for a source: leaving ends the wait.

use super::*;

/// A place in the line for room; leaving the line lets the next one look.
pub(super) struct RoomTicket<'a> {
    sender: &'a Sender,
    ticket: Option<u64>,
    is_send: bool,
}

impl<'a> RoomTicket<'a> {
    /// Of a message.
    pub(super) fn of_send(sender: &'a Sender) -> Self {
        Self {
            sender,
            ticket: None,
            is_send: true,
        }
    }

    /// Of somebody who only waits until there is room.
    pub(super) fn of_ready(sender: &'a Sender) -> Self {
        Self {
            is_send: false,
            ..Self::of_send(sender)
        }
    }

    pub(super) fn queue(&mut self, cx: &mut Context<'_>) {
        let mut waiting = self.sender.waiting();
        if let Some(ticket) = self.ticket
            && let Some(known) = waiting.room.iter_mut().find(|one| one.ticket == ticket)
        {
            known.waker.clone_from(cx.waker());
            // Should it find none, another was faster: not a second time.
            known.was_passed |= known.asked;
            known.asked = false;
            return;
        }
        waiting.next += 1;
        let ticket = waiting.next;
        waiting.room.push_back(ForRoom {
            ticket,
            waker: cx.waker().clone(),
            is_send: self.is_send,
            asked: false,
            was_passed: false,
        });
        self.ticket = Some(ticket);
        self.sender.watched.store(true, Ordering::Release);
        // As in `LevelTicket::watch`: its caller looks next whether there is room.
        fence(Ordering::SeqCst);
    }

    /// How many before it were told of room, have not looked yet, and found none when they were told before: a place is each
    /// one's own. None, if somebody before it has not been told.
    pub(super) fn told_before(&self) -> Option<u64> {
        let waiting = self.sender.waiting();
        let mut before = waiting
            .room
            .iter()
            .take_while(|one| Some(one.ticket) != self.ticket);
        before.try_fold(0, |told, one| {
            one.asked.then_some(told + u64::from(one.was_passed))
        })
    }
}

impl Drop for RoomTicket<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut waiting = self.sender.waiting();
            // Those who leave are mostly at the head of the line, which may be long.
            if let Some(at) = waiting.room.iter().position(|one| one.ticket == ticket) {
                waiting.room.remove(at);
            }
            drop(waiting);
            self.sender.wake(false);
        }
    }
}

/// A wait for a level; dropping it ends it.
pub(super) struct LevelTicket<'a> {
    pub(super) sender: &'a Sender,
    pub(super) ticket: Option<u64>,
}

impl<'a> LevelTicket<'a> {
    pub(super) fn new(sender: &'a Sender) -> Self {
        Self {
            sender,
            ticket: None,
        }
    }

    /// Asks to be woken when this one is handed up; its caller looks next whether it was meanwhile.
    pub(super) fn watch(&mut self, sequence: u64, waker: &Waker) {
        let mut waiting = self.sender.waiting();
        let ticket = *self.ticket.get_or_insert_with(|| {
            waiting.next += 1;
            waiting.next
        });
        let known = waiting.levels.iter_mut().find(|one| one.ticket == ticket);
        match known {
            Some(known) => {
                known.sequence = sequence;
                known.waker.clone_from(waker);
            }
            None => waiting.levels.push(ForLevel {
                ticket,
                sequence,
                waker: waker.clone(),
            }),
        }
        self.sender.watched.store(true, Ordering::Release);
        drop(waiting);
        // The other half of the one in `Sender::handed`.
        fence(Ordering::SeqCst);
    }
}

impl Drop for LevelTicket<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut waiting = self.sender.waiting();
            waiting.levels.retain(|one| one.ticket != ticket);
        }
    }
}

/// A wait for a source; dropping it ends it.
pub(super) struct Caller<'a, M> {
    pub(super) channel: &'a Channel<M>,
    pub(super) ticket: Option<u64>,
}

impl<M> Caller<'_, M> {
    /// Whether a source is bound; wakes its caller when one is.
    pub(super) fn is_bound(&mut self, waker: &Waker) -> bool {
        let mut core = self.channel.lock();
        if core.bound {
            return true;
        }
        let ticket = *self.ticket.get_or_insert_with(|| {
            core.next_caller += 1;
            core.next_caller
        });
        match core.callers.iter_mut().find(|(known, _)| *known == ticket) {
            Some((_, known)) => known.clone_from(waker),
            None => core.callers.push((ticket, waker.clone())),
        }
        false
    }
}

impl<M> Drop for Caller<'_, M> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut core = self.channel.lock();
            core.callers.retain(|(known, _)| *known != ticket);
        }
    }
}
