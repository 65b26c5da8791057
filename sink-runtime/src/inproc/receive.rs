//! The receiving end: takes all that is there at the price of one lock, and says what is missing.

use super::*;

/// The receiving end.
pub(crate) struct Receiver<M> {
    pub(super) channel: Arc<Channel<M>>,
    pub(super) batch: VecDeque<Item<M>>,
    pub(super) senders: Vec<Arc<Sender>>,
    /// As of that many seatings.
    pub(super) seatings: u64,
    /// Sinks behind whose last message others are missing, with the last number: to be told before more is taken.
    pub(super) missing: VecDeque<(Arc<Sender>, u64)>,
    /// Messages taken out of the queue since it was last found empty.
    pub(super) taken: usize,
    /// Turns waited for more, since then.
    pub(super) lingered: u32,
    /// Its caller wants no more than it has.
    pub(super) closed: bool,
    /// And has been told what is missing behind that.
    pub(super) swept: bool,
    pub(super) bound: bool,
}

/// While messages come in a stream, the receiving end comes back this often before it sleeps: waking it costs the sender a
/// system call, and a turn of the scheduler brings a batch.
pub(super) const LINGER: u32 = 3;

/// While messages come in a stream, the receiving end lets so many gather before it takes the lock, for as long as more come in
/// with every step: each time it takes the lock it holds up the sender, whose cache lines that also moves to it.
pub(super) const GATHERED: usize = 128;
/// Steps that it waits at most, and pauses of the processor in each: half a microsecond where a pause is 30 ns, 10 µs in all.
pub(super) const STEPS: u32 = 20;
pub(super) const PAUSES: u32 = 16;

/// A message taken out of the queue.
pub(crate) struct Taken<M> {
    pub(crate) message: M,
    pub(crate) producer: ProducerId,
    pub(crate) sequence: u64,
    /// The first missing sequence before it, if any are.
    pub(crate) missing_from: Option<u64>,
}

/// Messages that are missing behind a sink's last.
pub(crate) struct Missing {
    pub(crate) producer: ProducerId,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl<M: Send + 'static> Receiver<M> {
    /// Becomes the one receiving end of this name.
    pub(crate) fn bind(name: &str, message: &'static str) -> std::io::Result<Self> {
        let channel = channel::<M>(name, message).map_err(|carried| {
            std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                format!("inproc://{name} carries `{carried}` in this process, this source expects `{message}`"),
            )
        })?;
        let mut core = channel.lock();
        if core.bound {
            return Err(std::io::Error::new(
                std::io::ErrorKind::AddrInUse,
                format!("inproc://{name} is already bound in this process"),
            ));
        }
        core.bound = true;
        let callers = std::mem::take(&mut core.callers);
        drop(core);
        callers.into_iter().for_each(|(_, waker)| waker.wake());
        Ok(Self {
            channel,
            batch: VecDeque::new(),
            senders: Vec::new(),
            seatings: 0,
            missing: VecDeque::new(),
            taken: 0,
            lingered: 0,
            closed: false,
            swept: false,
            bound: true,
        })
    }

    /// The next message that needs no waiting; with none, something may be [missing](Self::missing).
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Taken<M>> {
        let item = loop {
            if self.batch.is_empty() {
                if !self.missing.is_empty() {
                    return None;
                }
                if self.closed {
                    self.wind_up();
                    return None;
                }
                self.refill();
            }
            let item = self.batch.pop_front()?;
            match &self.senders[item.from].age {
                Some(age) if age.is_past(item.at) => self.expire(item),
                _ => break item,
            }
        };
        let Item {
            from,
            sequence,
            message,
            ..
        } = item;
        let sender = &self.senders[from];
        let producer = sender.producer;
        // A sink's messages come in order, so what was handed up before says what is missing.
        let last = sender.progress.handed.load(Ordering::Relaxed);
        let missing_from = (sequence > last + 1).then_some(last + 1);
        sender.handed(sequence, self.batch.is_empty());
        Some(Taken {
            message,
            producer,
            sequence,
            missing_from,
        })
    }

    /// Drops what has waited too long, in the queue and here.
    #[cold]
    pub(super) fn expire(&mut self, item: Item<M>) {
        let sender = Arc::clone(&self.senders[item.from]);
        let mut held = Held {
            core: self.channel.lock(),
            seat: item.from,
            sender: &sender,
            after: None,
        };
        held.expire(item);
        held.release();
        // There is room now.
        sender.wake(false);
    }

    /// Takes all that is there, at the price of one lock.
    pub(super) fn refill(&mut self) {
        if self.taken > 1 && self.lingered == 0 {
            self.gather();
        }
        let mut core = self.channel.lock();
        std::mem::swap(&mut self.batch, &mut core.queue);
        self.channel.stock.0.store(0, Ordering::Relaxed);
        self.taken = self.taken.saturating_add(self.batch.len());
        if !core.tails.is_empty() {
            core.take_tails(&mut self.missing);
        }
        if !core.departed.is_empty() {
            core.sweep();
        }
        Self::look_who_sits(&core, &mut self.senders, &mut self.seatings);
    }

    /// Lets a stream fill the queue. Where sender and receiving end share a thread nothing comes in meanwhile: a step is lost.
    fn gather(&self) {
        let stock = &self.channel.stock.0;
        let mut had = stock.load(Ordering::Relaxed);
        for _ in 0..STEPS {
            if had >= GATHERED {
                return;
            }
            for _ in 0..PAUSES {
                std::hint::spin_loop();
            }
            let has = stock.load(Ordering::Relaxed);
            if has <= had {
                return;
            }
            had = has;
        }
    }

    /// Whose messages those with these indices are.
    #[inline]
    pub(super) fn look_who_sits(
        core: &Core<M>,
        senders: &mut Vec<Arc<Sender>>,
        seatings: &mut u64,
    ) {
        if core.seatings != *seatings {
            *seatings = core.seatings;
            let seats = core.senders.iter();
            *senders = seats.map(|seat| Arc::clone(&seat.sender)).collect();
        }
    }

    /// All that was there is handed up: leaves, with what is missing behind it told.
    #[cold]
    pub(super) fn wind_up(&mut self) {
        if !std::mem::replace(&mut self.swept, true) {
            self.channel.lock().take_tails(&mut self.missing);
        }
        if self.missing.is_empty() {
            self.leave();
        }
    }

    /// What is missing behind a sink's last message, once nothing else is at hand.
    pub(crate) fn missing(&mut self) -> Option<Missing> {
        while let Some((sender, to)) = self.missing.pop_front() {
            let from = sender.progress.handed.load(Ordering::Relaxed) + 1;
            if from <= to {
                // Only the one receiving end writes this.
                sender.progress.handed.store(to, Ordering::Release);
                let producer = sender.producer;
                return Some(Missing { producer, from, to });
            }
        }
        None
    }

    /// Takes no more than what is there by now; once that is handed up, the name is free.
    pub(crate) fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            let mut core = self.channel.lock();
            self.batch.append(&mut core.queue);
            Self::look_who_sits(&core, &mut self.senders, &mut self.seatings);
        }
    }

    /// How many need no waiting, those in other threads' hands aside.
    pub(crate) fn at_hand(&self) -> usize {
        self.batch.len()
    }

    pub(crate) fn poll_filled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut core = self.channel.lock();
        if !core.queue.is_empty() || core.owes() {
            self.lingered = 0;
            return Poll::Ready(());
        }
        if self.taken > 1 && self.lingered < LINGER {
            self.lingered += 1;
            drop(core);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.taken = 0;
        self.lingered = 0;
        match &mut core.receiver {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl<M> Receiver<M> {
    /// Leaves the name. What was not handed up goes back, in order, for the next source.
    pub(super) fn leave(&mut self) {
        if !std::mem::replace(&mut self.bound, false) {
            return;
        }
        let mut core = self.channel.lock();
        core.bound = false;
        core.receiver = None;
        while let Some(item) = self.batch.pop_back() {
            core.queue.push_front(item);
        }
        for (sender, _) in self.missing.drain(..) {
            let seat = core
                .senders
                .iter()
                .position(|seat| Arc::ptr_eq(&seat.sender, &sender));
            if let Some(seat) = seat {
                core.owe(seat);
            }
        }
    }
}

impl<M> Drop for Receiver<M> {
    fn drop(&mut self) {
        self.leave();
    }
}
