//! One name's queue, what a sink and a source know of each other in it, and the lock around both.

use super::*;

/// One name's queue, shared by its sinks and its one source.
pub(super) struct Channel<M> {
    pub(super) core: Mutex<Core<M>>,
    pub(super) stock: Stock,
}

/// About how many messages the queue holds, for the receiving end to look at without the lock: on a cache line of its own, so
/// that its looks do not hold up the lock.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Stock(pub(super) AtomicUsize);

pub(super) struct Core<M> {
    pub(super) queue: VecDeque<Item<M>>,
    /// Whose messages the queue holds, by the index an item carries: no reference count is touched per message.
    pub(super) senders: Vec<Seat<M>>,
    /// Seats that a new sink may have.
    pub(super) vacant: Vec<usize>,
    /// Seats of sinks that are gone, for as long as something of theirs is on its way, or to be told; oldest first.
    pub(super) departed: VecDeque<usize>,
    /// How often a sink took a seat: the receiving end looks who has which when that has changed.
    pub(super) seatings: u64,
    /// Those whose last number may be no message's: the receiving end is told when none of theirs stands before it.
    pub(super) tails: Vec<usize>,
    pub(super) receiver: Option<Waker>,
    pub(super) bound: bool,
    /// Those who wait for a source to be bound, each with its ticket.
    pub(super) callers: Vec<(u64, Waker)>,
    pub(super) next_caller: u64,
}

/// One sink in the channel: its counts lie under the channel's lock, so that a send takes one lock and not two.
pub(super) struct Seat<M> {
    pub(super) sender: Arc<Sender>,
    pub(super) books: Books,
    /// It is among the tails.
    pub(super) in_tails: bool,
    /// Confirming sends, where messages grow too old: each gets its message back if that one does.
    pub(super) confirming: BTreeMap<u64, Option<M>>,
}

impl<M> Seat<M> {
    /// Whether a message of it is in the queue or in the receiving end's hands.
    pub(super) fn is_ahead(&self) -> bool {
        let received = self.sender.progress.received.load(Ordering::Acquire);
        self.books.accepted - self.books.gone() > received
    }

    /// Whether the receiving end has not been told all that is missing.
    pub(super) fn is_owed(&self) -> bool {
        self.books.last > self.sender.progress.handed.load(Ordering::Acquire)
    }
}

pub(super) struct Item<M> {
    pub(super) from: usize,
    pub(super) sequence: u64,
    /// When it was put in, as its sender counts; nothing where messages do not grow too old.
    pub(super) at: u64,
    pub(super) message: M,
}

/// One sink, as the receiving end knows it.
pub(crate) struct Sender {
    pub(super) producer: ProducerId,
    pub(super) progress: Progress,
    /// Somebody waits for room or for a level: the receiving end must look.
    pub(super) watched: AtomicBool,
    pub(super) state: Mutex<Waiting>,
    pub(super) age: Option<Age>,
}

/// How long a sink's messages may wait. Times are nanoseconds since the sink was made: less to carry than an instant.
pub(super) struct Age {
    pub(super) limit: u64,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) since: Instant,
}

impl Age {
    pub(super) fn now(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.since);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether what was put in at `at` has waited longer than it may.
    pub(super) fn is_past(&self, at: u64) -> bool {
        self.now().saturating_sub(at) > self.limit
    }

    /// When that becomes so.
    pub(super) fn past(&self, at: u64) -> Instant {
        self.since + Duration::from_nanos(at.saturating_add(self.limit).saturating_add(1))
    }
}

/// What the receiving end writes for each message: on a cache line of its own, which the sending end looks at only when it
/// would else be full.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Progress {
    /// Highest sequence handed to the caller of `recv`.
    pub(super) handed: AtomicU64,
    /// Messages handed up.
    pub(super) received: AtomicU64,
}

/// A place in the line for room.
pub(super) struct ForRoom {
    pub(super) ticket: u64,
    pub(super) waker: Waker,
    /// A message waits, and not only somebody who wants to know.
    pub(super) is_send: bool,
    /// It was woken for room and has not looked since: should its future not be polled, those behind it go on.
    pub(super) asked: bool,
    /// It looked when it was woken, and there was none: those behind it leave it a place from then on.
    pub(super) was_passed: bool,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) room: VecDeque<ForRoom>,
    pub(super) levels: Vec<ForLevel>,
    pub(super) next: u64,
}

/// One who waits for a message to be handed up; 0 is for whichever comes next.
pub(super) struct ForLevel {
    pub(super) ticket: u64,
    pub(super) sequence: u64,
    pub(super) waker: Waker,
}

pub(super) type Channels = Mutex<HashMap<String, (&'static str, Weak<dyn Any + Send + Sync>)>>;
pub(super) static CHANNELS: LazyLock<Channels> = LazyLock::new(Mutex::default);
pub(super) static NEXT_LINK: AtomicU32 = AtomicU32::new(1 << 31);

/// The queue of this name; the message type that a living one already carries, if it is another.
pub(super) fn channel<M: Send + 'static>(
    name: &str,
    message: &'static str,
) -> Result<Arc<Channel<M>>, &'static str> {
    let mut all = CHANNELS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((carried, weak)) = all.get(name)
        && let Some(living) = weak.upgrade()
    {
        return living.downcast::<Channel<M>>().map_err(|_| *carried);
    }
    all.retain(|_, (_, weak)| weak.strong_count() > 0);
    let channel = Arc::new(Channel {
        core: Mutex::new(Core {
            queue: VecDeque::new(),
            senders: Vec::new(),
            vacant: Vec::new(),
            departed: VecDeque::new(),
            seatings: 0,
            tails: Vec::new(),
            receiver: None,
            bound: false,
            callers: Vec::new(),
            next_caller: 0,
        }),
        stock: Stock::default(),
    });
    let weak: Weak<dyn Any + Send + Sync> =
        Arc::downgrade(&(Arc::clone(&channel) as Arc<dyn Any + Send + Sync>));
    all.insert(name.to_owned(), (message, weak));
    Ok(channel)
}

/// The channel's lock, held for one sink.
pub(super) struct Held<'a, M> {
    pub(super) core: MutexGuard<'a, Core<M>>,
    pub(super) seat: usize,
    pub(super) sender: &'a Sender,
    /// What is to be done when the lock is free; few have any.
    pub(super) after: Option<Box<After<M>>>,
}

/// What is left to do when the lock is free.
pub(super) struct After<M> {
    /// The first and the last that was dropped: who waits for it is told.
    pub(super) dropped: (u64, u64),
    /// The receiving end slept.
    pub(super) receiver: Option<Waker>,
    /// Messages that were dropped: what a message holds may be a sink of this channel.
    pub(super) messages: Vec<M>,
}

impl<M> After<M> {
    #[cold]
    pub(super) fn finish(self, sender: &Sender) {
        if let Some(receiver) = self.receiver {
            receiver.wake();
        }
        sender.dropped(self.dropped.0, self.dropped.1);
    }
}

impl<M> Held<'_, M> {
    /// Drops this sink's oldest message that the receiving end has not taken.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let seat = self.seat;
        let Some(item) = self.remove(|item| item.from == seat) else {
            return false;
        };
        self.books().dropped.oldest += 1;
        self.skip(item.sequence, DropCause::Oldest)
            .messages
            .push(item.message);
        true
    }

    /// Notes that this number is no message's any more, for those who wait and for the receiving end.
    #[cold]
    pub(super) fn skip(&mut self, sequence: u64, cause: DropCause) -> &mut After<M> {
        self.books().skip(sequence, cause);
        self.core.owe(self.seat);
        let receiver = self.core.receiver.take();
        let after = self.after.get_or_insert_with(|| {
            Box::new(After {
                dropped: (sequence, sequence),
                receiver: None,
                messages: Vec::new(),
            })
        });
        let (first, last) = after.dropped;
        after.dropped = (first.min(sequence), last.max(sequence));
        if receiver.is_some() {
            after.receiver = receiver;
        }
        after
    }

    /// Gives a message the next number and drops it.
    pub(super) fn skip_next(&mut self, cause: DropCause) -> u64 {
        let books = self.books();
        books.last += 1;
        books.attempted += 1;
        let sequence = books.last;
        self.skip(sequence, cause);
        sequence
    }

    /// Frees the lock, then wakes whom what was done concerns.
    #[inline(always)]
    pub(super) fn release(self) {
        let Self {
            core,
            sender,
            after,
            ..
        } = self;
        drop(core);
        if let Some(after) = after {
            after.finish(sender);
        }
    }

    /// Drops those of this sink that have waited too long; whether there were any.
    #[cold]
    pub(super) fn drop_aged(&mut self) -> bool {
        let Some(age) = &self.sender.age else {
            return false;
        };
        let (seat, mut dropped) = (self.seat, false);
        // They stand in the order of their age.
        while let Some(at) = self.core.queue.iter().position(|item| item.from == seat)
            && age.is_past(self.core.queue[at].at)
            && let Some(item) = self.core.queue.remove(at)
        {
            self.expire(item);
            dropped = true;
        }
        dropped
    }

    /// Counts a message that has waited too long; a confirming send gets it back.
    pub(super) fn expire(&mut self, item: Item<M>) {
        let seat = &mut self.core.senders[self.seat];
        seat.books.dropped.expired += 1;
        let mut message = Some(item.message);
        if let Some(back) = seat.confirming.get_mut(&item.sequence) {
            *back = message.take();
        }
        let after = self.skip(item.sequence, DropCause::Expired);
        after.messages.extend(message);
    }

    /// Takes the first such message out of the queue, if the receiving end has not taken it.
    pub(super) fn remove(&mut self, is_it: impl FnMut(&Item<M>) -> bool) -> Option<Item<M>> {
        let at = self.core.queue.iter().position(is_it)?;
        self.core.queue.remove(at)
    }

    #[inline]
    pub(super) fn books(&mut self) -> &mut Books {
        &mut self.core.senders[self.seat].books
    }
}

/// Sinks that are gone whose last messages were dropped are remembered so many, for a source to be told; the oldest are
/// forgotten first.
pub(super) const MAX_DEPARTED: usize = 4096;

impl<M> Core<M> {
    /// A seat for a new sink.
    pub(super) fn seat(&mut self, sender: &Arc<Sender>) -> usize {
        self.seatings += 1;
        let seat = Seat {
            sender: Arc::clone(sender),
            books: Books::default(),
            in_tails: false,
            confirming: BTreeMap::new(),
        };
        match self.vacant.pop() {
            Some(at) => {
                self.senders[at] = seat;
                at
            }
            None => {
                self.senders.push(seat);
                self.senders.len() - 1
            }
        }
    }

    /// The sink of this seat is gone. What it left in the queue is still handed up.
    pub(super) fn depart(&mut self, at: usize) {
        let seat = &mut self.senders[at];
        seat.books.skipped.clear();
        if seat.is_ahead() || seat.is_owed() {
            self.departed.push_back(at);
        } else {
            self.vacate(at);
        }
        if self.departed.len() > MAX_DEPARTED
            && let Some(oldest) =
                (self.departed.iter()).position(|at| !self.senders[*at].is_ahead())
            && let Some(at) = self.departed.remove(oldest)
        {
            self.vacate(at);
        }
    }

    /// Frees the seats of sinks that are gone and of which all is handed up and told.
    #[cold]
    pub(super) fn sweep(&mut self) {
        for _ in 0..self.departed.len() {
            if let Some(at) = self.departed.pop_front() {
                let seat = &self.senders[at];
                if seat.is_ahead() || seat.is_owed() {
                    self.departed.push_back(at);
                } else {
                    self.vacate(at);
                }
            }
        }
    }

    pub(super) fn vacate(&mut self, at: usize) {
        if self.senders[at].in_tails {
            self.tails.retain(|tail| *tail != at);
        }
        self.vacant.push(at);
    }

    /// Of the tails, those before which nothing stands any more, each with its last number.
    #[cold]
    pub(super) fn take_tails(&mut self, missing: &mut VecDeque<(Arc<Sender>, u64)>) {
        let senders = &mut self.senders;
        self.tails.retain(|at| {
            let seat = &mut senders[*at];
            if seat.is_ahead() {
                return true;
            }
            seat.in_tails = false;
            missing.push_back((Arc::clone(&seat.sender), seat.books.last));
            false
        });
    }

    /// Whether there is such a tail.
    pub(super) fn owes(&self) -> bool {
        self.tails.iter().any(|at| !self.senders[*at].is_ahead())
    }

    /// The last number of this sink may be no message's.
    pub(super) fn owe(&mut self, seat: usize) {
        if !std::mem::replace(&mut self.senders[seat].in_tails, true) {
            self.tails.push(seat);
        }
    }
}

impl<M> Channel<M> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Core<M>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Takes out those who wait for such.
    pub(super) fn take_levels(&mut self, is_it: impl Fn(&ForLevel) -> bool) -> Vec<Waker> {
        let mut taken = Vec::new();
        let mut at = 0;
        while let Some(one) = self.levels.get(at) {
            if is_it(one) {
                taken.push(self.levels.swap_remove(at).waker);
            } else {
                at += 1;
            }
        }
        taken
    }
}

impl Sender {
    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a message handed up, and wakes who waited for that.
    ///
    /// Who begins to wait says so and then looks at the progress; here the progress is written and then looked whether anyone
    /// waits. Without a fence both may see what was before. It stands where nothing may follow for long, at the last message
    /// at hand: any other is made good by the next.
    #[inline]
    pub(super) fn handed(&self, sequence: u64, is_last: bool) {
        // Only the one receiving end writes these.
        let received = self.progress.received.load(Ordering::Relaxed) + 1;
        self.progress.handed.store(sequence, Ordering::Release);
        self.progress.received.store(received, Ordering::Release);
        if is_last {
            fence(Ordering::SeqCst);
        }
        if self.watched.load(Ordering::Acquire) {
            self.wake(false);
        }
    }

    /// Tells who waits for one of these that it will not be handed up.
    #[cold]
    pub(super) fn dropped(&self, first: u64, last: u64) {
        if !self.watched.load(Ordering::Acquire) {
            return;
        }
        let mut waiting = self.waiting();
        let told = waiting.take_levels(|one| (first..=last).contains(&one.sequence));
        drop(waiting);
        told.into_iter().for_each(Waker::wake);
    }

    #[cold]
    pub(super) fn wake(&self, all: bool) {
        let handed = self.progress.handed.load(Ordering::Acquire);
        let mut waiting = self.waiting();
        let mut wakers: Vec<Waker> = Vec::new();
        if all {
            wakers.extend(waiting.room.drain(..).map(|one| one.waker));
        } else if let Some(next) = waiting.room.iter_mut().find(|one| !one.asked) {
            next.asked = true;
            wakers.push(next.waker.clone());
        }
        wakers.extend(waiting.take_levels(|one| one.sequence <= handed || all));
        self.watched.store(
            !waiting.room.is_empty() || !waiting.levels.is_empty(),
            Ordering::Release,
        );
        drop(waiting);
        wakers.into_iter().for_each(Waker::wake);
    }
}
