//! `inproc://` between a direct service's sink and its source: typed messages in a bounded queue, no bytes in between.
//!
//! No driver and no task: the queue outlives either end, so no start order matters here either. A relay's `inproc://` is a
//! byte stream in memory instead (`transport/memory.rs`), since a relay forwards frames.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Instant, Surroundings, Timer};
use crate::composite::Reserved;
use crate::error::{ConnectError, Outcome, SendError, SendErrorKind};
use crate::frame::ProducerId;
use crate::ledger::{Dropped, Ledger, Returned};
use crate::life::SinkState;
use crate::link::WhenFull;
use crate::message::MessageType;
use crate::receipt::{DropCause, Level, Lost, Receipt};

/// What an in-process sink is told once.
#[derive(Clone, Debug)]
pub(crate) struct InprocConfig {
    pub(crate) service: Arc<str>,
    pub(crate) name: String,
    pub(crate) buffer_size: u32,
    /// For messages that are bytes: what a value would take, encoded, is not known here.
    pub(crate) max_frame_bytes: u32,
    pub(crate) max_age: Option<Duration>,
    pub(crate) when_full: WhenFull,
    pub(crate) confirm: Option<Level>,
    pub(crate) send_timeout: Option<Duration>,
}

/// One name's queue, shared by its sinks and its one source.
struct Channel<M> {
    core: Mutex<Core<M>>,
}

struct Core<M> {
    queue: VecDeque<Item<M>>,
    /// Whose messages the queue holds, by the index an item carries: no reference count is touched per message.
    senders: Vec<Seat<M>>,
    /// Seats that a new sink may have.
    vacant: Vec<usize>,
    /// Seats of sinks that are gone, for as long as something of theirs is on its way, or to be told; oldest first.
    departed: VecDeque<usize>,
    /// How often a sink took a seat: the receiving end looks who has which when that has changed.
    seatings: u64,
    /// Those whose last number may be no message's: the receiving end is told when none of theirs stands before it.
    tails: Vec<usize>,
    receiver: Option<Waker>,
    bound: bool,
    /// Those who wait for a source to be bound, each with its ticket.
    callers: Vec<(u64, Waker)>,
    next_caller: u64,
}

/// One sink in the channel: its counts lie under the channel's lock, so that a send takes one lock and not two.
struct Seat<M> {
    sender: Arc<Sender>,
    books: Books,
    /// It is among the tails.
    in_tails: bool,
    /// Confirming sends, where messages grow too old: each gets its message back if that one does.
    confirming: BTreeMap<u64, Option<M>>,
}

impl<M> Seat<M> {
    /// Whether a message of it is in the queue or in the receiving end's hands.
    fn is_ahead(&self) -> bool {
        let received = self.sender.progress.received.load(Ordering::Acquire);
        self.books.accepted - self.books.gone() > received
    }

    /// Whether the receiving end has not been told all that is missing.
    fn is_owed(&self) -> bool {
        self.books.last > self.sender.progress.handed.load(Ordering::Acquire)
    }
}

struct Item<M> {
    from: usize,
    sequence: u64,
    /// When it was put in, as its sender counts; nothing where messages do not grow too old.
    at: u64,
    message: M,
}

/// One sink, as the receiving end knows it.
pub(crate) struct Sender {
    producer: ProducerId,
    progress: Progress,
    /// Somebody waits for room or for a level: the receiving end must look.
    watched: AtomicBool,
    state: Mutex<Waiting>,
    age: Option<Age>,
}

/// How long a sink's messages may wait. Times are nanoseconds since the sink was made: less to carry than an instant.
struct Age {
    limit: u64,
    clock: Arc<dyn Clock>,
    since: Instant,
}

impl Age {
    fn now(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.since);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether what was put in at `at` has waited longer than it may.
    fn is_past(&self, at: u64) -> bool {
        self.now().saturating_sub(at) > self.limit
    }

    /// When that becomes so.
    fn past(&self, at: u64) -> Instant {
        self.since + Duration::from_nanos(at.saturating_add(self.limit).saturating_add(1))
    }
}

/// What the receiving end writes for each message: on a cache line of its own, which the sending end looks at only when it
/// would else be full.
#[derive(Default)]
#[repr(align(128))]
struct Progress {
    /// Highest sequence handed to the caller of `recv`.
    handed: AtomicU64,
    /// Messages handed up.
    received: AtomicU64,
}

/// A place in the line for room.
struct ForRoom {
    ticket: u64,
    waker: Waker,
    /// It was woken for room and has not looked since: should its future not be polled, those behind it go on.
    asked: bool,
}

#[derive(Default)]
struct Waiting {
    room: VecDeque<ForRoom>,
    levels: Vec<ForLevel>,
    next: u64,
}

/// One who waits for a message to be handed up; 0 is for whichever comes next.
struct ForLevel {
    ticket: u64,
    sequence: u64,
    waker: Waker,
}

type Channels = Mutex<HashMap<String, (&'static str, Weak<dyn Any + Send + Sync>)>>;
static CHANNELS: LazyLock<Channels> = LazyLock::new(Mutex::default);
static NEXT_LINK: AtomicU32 = AtomicU32::new(1 << 31);

/// The queue of this name; the message type that a living one already carries, if it is another.
fn channel<M: Send + 'static>(
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
    });
    let weak: Weak<dyn Any + Send + Sync> =
        Arc::downgrade(&(Arc::clone(&channel) as Arc<dyn Any + Send + Sync>));
    all.insert(name.to_owned(), (message, weak));
    Ok(channel)
}

/// The channel's lock, held for one sink.
struct Held<'a, M> {
    core: MutexGuard<'a, Core<M>>,
    seat: usize,
    sender: &'a Sender,
    /// What is to be done when the lock is free; few have any.
    after: Option<Box<After<M>>>,
}

/// What is left to do when the lock is free.
struct After<M> {
    /// The first and the last that was dropped: who waits for it is told.
    dropped: (u64, u64),
    /// The receiving end slept.
    receiver: Option<Waker>,
    /// Messages that were dropped: what a message holds may be a sink of this channel.
    messages: Vec<M>,
}

impl<M> After<M> {
    #[cold]
    fn finish(self, sender: &Sender) {
        if let Some(receiver) = self.receiver {
            receiver.wake();
        }
        sender.dropped(self.dropped.0, self.dropped.1);
    }
}

impl<M> Held<'_, M> {
    /// Drops this sink's oldest message that the receiving end has not taken.
    fn drop_oldest(&mut self) -> bool {
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
    fn skip(&mut self, sequence: u64, cause: DropCause) -> &mut After<M> {
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
    fn skip_next(&mut self, cause: DropCause) -> u64 {
        let books = self.books();
        books.last += 1;
        books.attempted += 1;
        let sequence = books.last;
        self.skip(sequence, cause);
        sequence
    }

    /// Frees the lock, then wakes whom what was done concerns.
    #[inline(always)]
    fn release(self) {
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
    fn drop_aged(&mut self) -> bool {
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
    fn expire(&mut self, item: Item<M>) {
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
    fn remove(&mut self, is_it: impl FnMut(&Item<M>) -> bool) -> Option<Item<M>> {
        let at = self.core.queue.iter().position(is_it)?;
        self.core.queue.remove(at)
    }

    #[inline]
    fn books(&mut self) -> &mut Books {
        &mut self.core.senders[self.seat].books
    }
}

/// Sinks that are gone whose last messages were dropped are remembered so many, for a source to be told; the oldest are
/// forgotten first.
const MAX_DEPARTED: usize = 4096;

impl<M> Core<M> {
    /// A seat for a new sink.
    fn seat(&mut self, sender: &Arc<Sender>) -> usize {
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
    fn depart(&mut self, at: usize) {
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
    fn sweep(&mut self) {
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

    fn vacate(&mut self, at: usize) {
        if self.senders[at].in_tails {
            self.tails.retain(|tail| *tail != at);
        }
        self.vacant.push(at);
    }

    /// Of the tails, those before which nothing stands any more, each with its last number.
    #[cold]
    fn take_tails(&mut self, missing: &mut VecDeque<(Arc<Sender>, u64)>) {
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
    fn owes(&self) -> bool {
        self.tails.iter().any(|at| !self.senders[*at].is_ahead())
    }

    /// The last number of this sink may be no message's.
    fn owe(&mut self, seat: usize) {
        if !std::mem::replace(&mut self.senders[seat].in_tails, true) {
            self.tails.push(seat);
        }
    }
}

impl<M> Channel<M> {
    fn lock(&self) -> MutexGuard<'_, Core<M>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Takes out those who wait for such.
    fn take_levels(&mut self, is_it: impl Fn(&ForLevel) -> bool) -> Vec<Waker> {
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
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a message handed up, and wakes who waited for that.
    ///
    /// Who begins to wait says so and then looks at the progress; here the progress is written and then looked whether anyone
    /// waits. Without a fence both may see what was before. It stands where nothing may follow for long, at the last message
    /// at hand: any other is made good by the next.
    #[inline]
    fn handed(&self, sequence: u64, is_last: bool) {
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
    fn dropped(&self, first: u64, last: u64) {
        if !self.watched.load(Ordering::Acquire) {
            return;
        }
        let mut waiting = self.waiting();
        let told = waiting.take_levels(|one| (first..=last).contains(&one.sequence));
        drop(waiting);
        told.into_iter().for_each(Waker::wake);
    }

    #[cold]
    fn wake(&self, all: bool) {
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

/// The sending end of one service.
pub(crate) struct Inproc<M> {
    pub(crate) id: u32,
    pub(crate) config: InprocConfig,
    surroundings: Surroundings,
    channel: Result<Arc<Channel<M>>, &'static str>,
    sender: Arc<Sender>,
    /// The sender's place in the channel.
    index: usize,
    states: watch::Sender<SinkState>,
}

/// The sending end's own counts.
#[derive(Default)]
struct Books {
    last: u64,
    accepted: u64,
    attempted: u64,
    returned: Returned,
    dropped: Dropped,
    /// Runs of dropped sequences: the first, the last and why.
    skipped: BTreeMap<u64, (u64, DropCause)>,
    /// The last that went into the queue.
    last_put: u64,
    reserved: u64,
    /// How many had been handed up when it was last asked.
    received_then: u64,
    /// Nothing is taken any more.
    closed: bool,
    /// And what nobody took has been given back.
    ended: bool,
}

/// Runs of dropped sequences remembered; older ones answer `Unknown`.
const HORIZON: usize = 65_536;

/// What became of an offered message.
enum Offered<M> {
    Accepted(Receipt),
    Full(M),
    Closed(M),
}

impl<M> Inproc<M> {
    #[inline]
    fn hold<'a>(&'a self, channel: &'a Channel<M>) -> Held<'a, M> {
        Held {
            core: channel.lock(),
            seat: self.index,
            sender: &self.sender,
            after: None,
        }
    }

    /// Does something with the counts; a sink whose name carries another type in this process has none.
    fn with_books<R>(&self, does: impl FnOnce(&mut Books) -> R) -> R {
        match &self.channel {
            Ok(channel) => does(self.hold(channel).books()),
            Err(_) => does(&mut Books::default()),
        }
    }
}

impl<M: MessageType> Inproc<M> {
    pub(crate) fn new(
        config: InprocConfig,
        message: &'static str,
        surroundings: Surroundings,
    ) -> Self {
        let chance = || u128::from(surroundings.chance.next());
        let producer = ProducerId {
            id: chance() << 64 | chance(),
            epoch: 1,
        };
        let sender = Arc::new(Sender {
            producer,
            progress: Progress::default(),
            watched: AtomicBool::new(false),
            state: Mutex::default(),
            age: config.max_age.map(|limit| Age {
                limit: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX),
                clock: Arc::clone(&surroundings.clock),
                since: surroundings.clock.now(),
            }),
        });
        let channel = channel::<M>(&config.name, message);
        let index = channel
            .as_ref()
            .map_or(0, |channel| channel.lock().seat(&sender));
        Self {
            id: NEXT_LINK.fetch_add(1, Ordering::Relaxed),
            channel,
            index,
            config,
            surroundings,
            sender,
            states: watch::Sender::new(SinkState::Idle),
        }
    }

    fn service(&self) -> Arc<str> {
        Arc::clone(&self.config.service)
    }

    fn mismatch(&self, carried: &str) -> ConnectError {
        ConnectError::Refused {
            service: self.service(),
            endpoint: Arc::from(format!("inproc://{}", self.config.name)),
            reason: Arc::from(format!(
                "it carries `{carried}` in this process, this sink sends `{}`",
                std::any::type_name::<M>()
            )),
        }
    }

    /// Messages accepted and not yet handed up.
    fn held(&self, books: &Books) -> u64 {
        books.accepted - books.gone() - self.sender.progress.received.load(Ordering::Acquire)
    }

    /// Whether one more is too many; asks the receiving end only when it seems so.
    #[inline]
    fn is_full(&self, books: &mut Books) -> bool {
        let owed = books.accepted - books.gone() + books.reserved;
        let size = u64::from(self.config.buffer_size);
        if owed - books.received_then < size {
            return false;
        }
        books.received_then = self.sender.progress.received.load(Ordering::Acquire);
        owed - books.received_then >= size
    }

    /// Whether one more is too many, once those that waited too long are gone.
    #[inline]
    fn is_still_full(&self, held: &mut Held<'_, M>) -> bool {
        self.is_full(held.books()) && (!held.drop_aged() || self.is_full(held.books()))
    }

    /// Refuses bytes that are too many, where the message is bytes.
    #[inline]
    fn too_large(&self, message: &M) -> Option<SendErrorKind> {
        let bytes = message.shared()?.len() as u64;
        let limit = u64::from(self.config.max_frame_bytes);
        (bytes > limit).then(|| SendErrorKind::TooLarge {
            service: self.service(),
            bytes,
            limit,
            key: "max_frame_bytes",
        })
    }

    #[inline]
    fn offer(&self, message: M, may_overtake: bool) -> Result<Offered<M>, SendError<M>> {
        let channel = match &self.channel {
            Ok(channel) => channel,
            Err(carried) => {
                let source = Arc::new(self.mismatch(carried));
                return Err(SendError::new(
                    SendErrorKind::Connect {
                        service: self.service(),
                        source,
                    },
                    Some(message),
                ));
            }
        };
        let too_large = self.too_large(&message);
        let mut held = self.hold(channel);
        if held.books().closed {
            return Ok(Offered::Closed(message));
        }
        if let Some(kind) = too_large {
            let books = held.books();
            books.attempted += 1;
            books.returned.refused += 1;
            return Err(SendError::new(kind, Some(message)));
        }
        let others_wait = !may_overtake
            && self.sender.watched.load(Ordering::Acquire)
            && !self.sender.waiting().room.is_empty();
        if others_wait || self.is_still_full(&mut held) {
            match self.config.when_full {
                WhenFull::DropNewest => {
                    return Ok(Offered::Accepted(self.drop_newest(held)));
                }
                WhenFull::DropOldest if held.drop_oldest() => {}
                _ => {
                    held.release();
                    return Ok(Offered::Full(message));
                }
            }
        }
        held.books().attempted += 1;
        Ok(Offered::Accepted(self.put(held, message)))
    }

    fn drop_newest(&self, mut held: Held<'_, M>) -> Receipt {
        held.books().dropped.newest += 1;
        let sequence = held.skip_next(DropCause::Newest);
        held.release();
        Receipt::new(self.id, sequence, Level::Dropped)
    }

    /// Appends; sequence and queue agree because one lock is around both.
    #[inline]
    fn put(&self, mut held: Held<'_, M>, message: M) -> Receipt {
        let books = held.books();
        books.last += 1;
        books.accepted += 1;
        let sequence = books.last;
        books.last_put = sequence;
        held.core.queue.push_back(Item {
            from: self.index,
            sequence,
            at: self.sender.age.as_ref().map_or(0, Age::now),
            message,
        });
        let receiver = held.core.receiver.take();
        held.release();
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        Receipt::new(self.id, sequence, Level::Accepted)
    }

    pub(crate) fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match self.offer(message, false)? {
            Offered::Accepted(receipt) => Ok(receipt),
            Offered::Full(message) => Err(self.give_back_full(message, Duration::ZERO)),
            Offered::Closed(message) => Err(self.give_back_closed(message)),
        }
    }

    pub(crate) fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        if self.config.confirm.is_some() {
            return Err(message);
        }
        match self.offer(message, false) {
            Err(error) => Ok(Err(error)),
            Ok(Offered::Accepted(receipt)) => Ok(Ok(receipt)),
            Ok(Offered::Full(message)) if self.config.when_full == WhenFull::Reject => {
                Ok(Err(self.give_back_full(message, Duration::ZERO)))
            }
            Ok(Offered::Full(message)) => Err(message),
            Ok(Offered::Closed(message)) => Ok(Err(self.give_back_closed(message))),
        }
    }

    fn give_back_full(&self, message: M, waited: Duration) -> SendError<M> {
        let held_messages = self.with_books(|books| {
            books.attempted += 1;
            books.returned.full += 1;
            self.held(books)
        });
        SendError::new(self.full(held_messages, waited), Some(message))
    }

    fn full(&self, held_messages: u64, waited: Duration) -> SendErrorKind {
        SendErrorKind::Full {
            service: self.service(),
            held_messages,
            buffer_size: self.config.buffer_size,
            held_bytes: 0,
            buffer_bytes: 0,
            waited,
            last: None,
        }
    }

    fn give_back_closed(&self, message: M) -> SendError<M> {
        self.with_books(|books| {
            books.attempted += 1;
            books.returned.closed += 1;
        });
        SendError::new(
            SendErrorKind::Closed {
                service: self.service(),
            },
            Some(message),
        )
    }

    fn has_room(&self) -> bool {
        let Ok(channel) = &self.channel else {
            return true;
        };
        let mut held = self.hold(channel);
        let room = held.books().closed || !self.is_still_full(&mut held);
        held.release();
        room
    }

    /// Waits until the oldest message that nobody took is too old, which makes room.
    fn poll_age(&self, timer: &mut Option<Pin<Box<dyn Timer>>>, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(age), Ok(channel)) = (&self.sender.age, &self.channel) else {
            return Poll::Pending;
        };
        let core = channel.lock();
        let Some(oldest) = core.queue.iter().find(|item| item.from == self.index) else {
            return Poll::Pending;
        };
        let past = age.past(oldest.at);
        drop(core);
        match timer {
            Some(timer) => timer.as_mut().reset(past),
            None => *timer = clock_timer(&self.surroundings, past),
        }
        match timer {
            Some(timer) => timer.as_mut().poll(cx),
            None if self.surroundings.clock.now() >= past => Poll::Ready(()),
            None => Poll::Pending,
        }
    }

    /// Waits for room, as long as a send would; first come, first served.
    pub(crate) async fn ready(&self) {
        self.has_room_within(self.surroundings.clock.now()).await;
    }

    /// The same, for what began to wait at `since`: whether there is some.
    async fn has_room_within(&self, since: Instant) -> bool {
        let mut ticket = RoomTicket {
            sender: &self.sender,
            ticket: None,
        };
        let mut aging = None;
        let room = std::future::poll_fn(|cx| {
            ticket.queue(cx);
            while !self.has_room() {
                ready!(self.poll_age(&mut aging, cx));
            }
            Poll::Ready(())
        });
        self.bounded(since, room).await.is_some()
    }

    /// The same, for a composite's send: what it is told at the deadline.
    pub(crate) async fn room(&self, since: Instant) -> Result<(), SendErrorKind> {
        if self.has_room_within(since).await {
            return Ok(());
        }
        let now = self.surroundings.clock.now();
        let held = self.with_books(|books| self.held(books));
        Err(self.full(held, now.saturating_duration_since(since)))
    }

    /// How far a message got; `None` while it may still get there.
    fn look(&self, sequence: u64, wanted: Level) -> Option<Result<Level, Lost>> {
        let service = || self.service();
        if matches!(wanted, Level::Stored | Level::Spooled) {
            return Some(Err(Lost::Unreachable {
                service: service(),
                wanted,
                highest: Level::Acked,
            }));
        }
        self.with_books(|books| {
            if let Some(cause) = books.skipped(sequence) {
                return Some(Err(Lost::Dropped {
                    service: service(),
                    sequence,
                    cause,
                }));
            }
            let is_forgotten = books.skipped.len() >= HORIZON
                && books
                    .skipped
                    .first_key_value()
                    .is_some_and(|(oldest, _)| sequence < *oldest);
            let unknown = || {
                Some(Err(Lost::Unknown {
                    service: service(),
                    sequence,
                }))
            };
            if sequence > books.last || is_forgotten {
                return unknown();
            }
            if self.sender.progress.handed.load(Ordering::Acquire) >= sequence {
                return Some(Ok(Level::Acked));
            }
            match wanted {
                // Nothing is written to a kernel here: what is in the queue is as good as written.
                Level::Accepted | Level::Written => Some(Ok(Level::Written)),
                _ if books.ended => unknown(),
                _ => None,
            }
        })
    }

    fn poll_level(
        &self,
        ticket: &mut LevelTicket<'_>,
        sequence: u64,
        wanted: Level,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Level, Lost>> {
        if let Some(answer) = self.look(sequence, wanted) {
            return Poll::Ready(answer);
        }
        ticket.watch(sequence, cx.waker());
        // It may have been handed up in between.
        match self.look(sequence, wanted) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }

    pub(crate) async fn settled(&self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        let sequence = receipt.sequence();
        if receipt.link() != self.id {
            return Err(Lost::Unknown {
                service: self.service(),
                sequence,
            });
        }
        self.settled_to(sequence, level).await
    }

    async fn settled_to(&self, sequence: u64, level: Level) -> Result<Level, Lost> {
        let mut ticket = LevelTicket::new(&self.sender);
        let level_reached =
            std::future::poll_fn(|cx| self.poll_level(&mut ticket, sequence, level, cx));
        let since = self.surroundings.clock.now();
        match self.bounded(since, level_reached).await {
            Some(answer) => answer,
            None => Err(self.timed_out(sequence)),
        }
    }

    fn timed_out(&self, sequence: u64) -> Lost {
        Lost::TimedOut {
            service: self.service(),
            sequence,
            waited: self.config.send_timeout.unwrap_or_default(),
        }
    }

    async fn bounded<F: Future>(&self, since: Instant, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let mut timer = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            self.poll_deadline(since, &mut timer, cx).map(|()| None)
        })
        .await
    }

    /// The deadline of what began at `since`. Where no runtime keeps the time, whoever waits has to come back and look.
    fn poll_deadline(
        &self,
        since: Instant,
        timer: &mut Option<Pin<Box<dyn Timer>>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(timeout) = self.config.send_timeout else {
            return Poll::Pending;
        };
        if timer.is_none() {
            let deadline = since + timeout;
            *timer = clock_timer(&self.surroundings, deadline);
            if timer.is_none() && self.surroundings.clock.now() >= deadline {
                return Poll::Ready(());
            }
        }
        match timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    /// Takes a message back that the receiving end has not taken, for a confirming send whose time is over.
    fn withdraw(&self, sequence: u64) -> Option<M> {
        let channel = self.channel.as_ref().ok()?;
        let mut held = self.hold(channel);
        let seat = held.seat;
        let item = held.remove(|item| item.from == seat && item.sequence == sequence)?;
        held.books().returned.withdrawn += 1;
        held.skip(sequence, DropCause::Withdrawn);
        held.release();
        // There is room now.
        self.sender.wake(false);
        Some(item.message)
    }

    pub(crate) async fn flush(&self) -> Result<(), Lost> {
        let mut last = self.with_books(|books| books.last_put);
        // They are handed up in order, so the last one put in stands for all; one that was dropped or withdrawn, for those
        // before it no more.
        let mut ticket = LevelTicket::new(&self.sender);
        let flushed = std::future::poll_fn(|cx| {
            while last > 0 {
                match ready!(self.poll_level(&mut ticket, last, Level::Acked, cx)) {
                    Ok(_) => break,
                    Err(Lost::Dropped { .. }) => {
                        last = self.with_books(|books| books.before_skipped(last));
                    }
                    Err(lost) => return Poll::Ready(Err(lost)),
                }
            }
            Poll::Ready(Ok(()))
        });
        let since = self.surroundings.clock.now();
        match self.bounded(since, flushed).await {
            Some(answer) => answer,
            None => Err(self.timed_out(self.with_books(|books| books.last_put))),
        }
    }

    /// Waits until a source is bound, at most `connect_timeout`.
    pub(crate) async fn connect(&self, timeout: Duration) -> Result<(), ConnectError> {
        let channel = match &self.channel {
            Ok(channel) => channel,
            Err(carried) => return Err(self.mismatch(carried)),
        };
        self.with_books(|books| (books.closed, books.ended) = (false, false));
        let clock = &self.surroundings.clock;
        let mut timer = tokio::runtime::Handle::try_current()
            .is_ok()
            .then(|| clock.timer(clock.now() + timeout));
        let mut caller = Caller {
            channel,
            ticket: None,
        };
        std::future::poll_fn(|cx| {
            if caller.is_bound(cx.waker()) {
                return Poll::Ready(Ok(()));
            }
            match &mut timer {
                Some(timer) => {
                    ready!(timer.as_mut().poll(cx));
                    Poll::Ready(Err(ConnectError::TimedOut {
                        service: self.service(),
                        endpoint: Arc::from(format!("inproc://{}", self.config.name)),
                        waited: timeout,
                    }))
                }
                None => Poll::Ready(Err(ConnectError::NoRuntime {
                    service: self.service(),
                })),
            }
        })
        .await
    }

    /// Refuses new sends, waits until all is handed up, then takes back what nobody took, oldest first.
    pub(crate) async fn close(&self, deadline: Duration) -> Vec<(u64, M)> {
        self.with_books(|books| books.closed = true);
        self.sender.wake(true);
        let clock = &self.surroundings.clock;
        let mut timer = clock_timer(&self.surroundings, clock.now() + deadline);
        let mut ticket = LevelTicket::new(&self.sender);
        let drained = std::future::poll_fn(|cx| {
            if self.with_books(|books| self.held(books)) == 0 {
                return Poll::Ready(());
            }
            // Whatever is handed up, or withdrawn, may have been the last: 0 is behind all that are.
            ticket.watch(0, cx.waker());
            if self.with_books(|books| self.held(books)) == 0 {
                return Poll::Ready(());
            }
            match &mut timer {
                Some(timer) => timer.as_mut().poll(cx),
                None => Poll::Ready(()),
            }
        });
        drained.await;
        let Ok(channel) = &self.channel else {
            return Vec::new();
        };
        let mut held = self.hold(channel);
        let mut left = Vec::new();
        for item in std::mem::take(&mut held.core.queue) {
            if item.from == self.index {
                held.books().dropped.closed += 1;
                held.skip(item.sequence, DropCause::Closed);
                left.push((item.sequence, item.message));
            } else {
                held.core.queue.push_back(item);
            }
        }
        held.books().ended = true;
        held.release();
        // Those who wait for what nobody took.
        self.sender.wake(true);
        left
    }

    /// Counts a copy that a full optional branch does not get; it takes a sequence, so that the receiver sees the gap.
    pub(crate) fn drop_optional(&self) {
        if let Ok(channel) = &self.channel {
            let mut held = self.hold(channel);
            held.books().dropped.optional += 1;
            held.skip_next(DropCause::Optional);
            held.release();
        }
    }

    pub(crate) fn state(&self) -> SinkState {
        if self.with_books(|books| books.closed) {
            return SinkState::Closed;
        }
        match &self.channel {
            Ok(channel) if channel.lock().bound => SinkState::Ready,
            _ => SinkState::Idle,
        }
    }

    pub(crate) fn states(&self) -> watch::Receiver<SinkState> {
        self.states.send_replace(self.state());
        self.states.subscribe()
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let waiting = self.sender.waiting().room.len() as u64;
        self.with_books(|books| {
            // Under the lock: nothing that was put in later can have been handed up.
            let done = self.sender.progress.received.load(Ordering::Acquire);
            Ledger {
                attempted: books.attempted + waiting,
                waiting,
                returned: books.returned,
                dropped: books.dropped,
                in_flight: books.accepted - books.gone() - done,
                done,
                ..Ledger::default()
            }
        })
    }

    // --- for composites

    pub(crate) fn reserve(&self, message: &M) -> Reserved {
        let channel = match &self.channel {
            Ok(channel) => channel,
            Err(carried) => {
                return Reserved::Refused(SendErrorKind::Connect {
                    service: self.service(),
                    source: Arc::new(self.mismatch(carried)),
                });
            }
        };
        let mut held = self.hold(channel);
        if held.books().closed {
            return Reserved::Refused(SendErrorKind::Closed {
                service: self.service(),
            });
        }
        if let Some(kind) = self.too_large(message) {
            return Reserved::Refused(kind);
        }
        if self.is_still_full(&mut held) {
            match self.config.when_full {
                WhenFull::DropNewest => return Reserved::Dropped(self.drop_newest(held)),
                WhenFull::DropOldest if held.drop_oldest() => {}
                WhenFull::Reject => {
                    let count = self.held(held.books());
                    held.release();
                    return Reserved::Refused(self.full(count, Duration::ZERO));
                }
                _ => {
                    held.release();
                    return Reserved::Full;
                }
            }
        }
        held.books().reserved += 1;
        held.release();
        Reserved::Room
    }

    pub(crate) fn release(&self) {
        self.with_books(|books| books.reserved = books.reserved.saturating_sub(1));
        self.sender.wake(false);
    }

    pub(crate) fn commit(&self, message: M) -> Result<Receipt, SendErrorKind> {
        let channel = match &self.channel {
            Ok(channel) => channel,
            Err(carried) => {
                return Err(SendErrorKind::Connect {
                    service: self.service(),
                    source: Arc::new(self.mismatch(carried)),
                });
            }
        };
        let mut held = self.hold(channel);
        let books = held.books();
        books.reserved = books.reserved.saturating_sub(1);
        books.attempted += 1;
        if books.closed {
            books.returned.closed += 1;
            return Err(SendErrorKind::Closed {
                service: self.service(),
            });
        }
        Ok(self.put(held, message))
    }
}

fn clock_timer(surroundings: &Surroundings, deadline: Instant) -> Option<Pin<Box<dyn Timer>>> {
    tokio::runtime::Handle::try_current()
        .is_ok()
        .then(|| surroundings.clock.timer(deadline))
}

impl Books {
    /// Accepted, and dropped or withdrawn since.
    fn gone(&self) -> u64 {
        self.dropped.oldest + self.dropped.closed + self.dropped.expired + self.returned.withdrawn
    }

    fn skip(&mut self, sequence: u64, cause: DropCause) {
        let before = self.skipped.range_mut(..sequence).next_back();
        if let Some((_, (last, known))) = before
            && *last + 1 == sequence
            && *known == cause
        {
            *last = sequence;
            return;
        }
        if self.skipped.len() >= HORIZON {
            self.skipped.pop_first();
        }
        self.skipped.insert(sequence, (sequence, cause));
    }

    /// Why a message was dropped, if it was.
    fn skipped(&self, sequence: u64) -> Option<DropCause> {
        let (_, &(last, cause)) = self.skipped.range(..=sequence).next_back()?;
        (sequence <= last).then_some(cause)
    }

    /// The last before the run of dropped ones that this one is in.
    fn before_skipped(&self, sequence: u64) -> u64 {
        let run = self.skipped.range(..=sequence).next_back();
        run.map_or(0, |(first, _)| first - 1)
    }
}

impl<M> Drop for Inproc<M> {
    fn drop(&mut self) {
        if let Ok(channel) = &self.channel {
            channel.lock().depart(self.index);
        }
    }
}

impl<M> std::fmt::Debug for Inproc<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inproc")
            .field("service", &self.config.service)
            .finish_non_exhaustive()
    }
}

/// A place in the line for room; leaving the line lets the next one look.
struct RoomTicket<'a> {
    sender: &'a Sender,
    ticket: Option<u64>,
}

impl RoomTicket<'_> {
    fn queue(&mut self, cx: &mut Context<'_>) {
        let mut waiting = self.sender.waiting();
        if let Some(ticket) = self.ticket
            && let Some(known) = waiting.room.iter_mut().find(|one| one.ticket == ticket)
        {
            known.waker.clone_from(cx.waker());
            known.asked = false;
            return;
        }
        waiting.next += 1;
        let ticket = waiting.next;
        waiting.room.push_back(ForRoom {
            ticket,
            waker: cx.waker().clone(),
            asked: false,
        });
        self.ticket = Some(ticket);
        self.sender.watched.store(true, Ordering::Release);
        // As in `LevelTicket::watch`: its caller looks next whether there is room.
        fence(Ordering::SeqCst);
    }

    /// Whether nobody stands before it who has not been asked.
    fn is_next(&self) -> bool {
        let waiting = self.sender.waiting();
        let mut before = waiting
            .room
            .iter()
            .take_while(|one| Some(one.ticket) != self.ticket);
        before.all(|one| one.asked)
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
struct LevelTicket<'a> {
    sender: &'a Sender,
    ticket: Option<u64>,
}

impl<'a> LevelTicket<'a> {
    fn new(sender: &'a Sender) -> Self {
        Self {
            sender,
            ticket: None,
        }
    }

    /// Asks to be woken when this one is handed up; its caller looks next whether it was meanwhile.
    fn watch(&mut self, sequence: u64, waker: &Waker) {
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
struct Caller<'a, M> {
    channel: &'a Channel<M>,
    ticket: Option<u64>,
}

impl<M> Caller<'_, M> {
    /// Whether a source is bound; wakes its caller when one is.
    fn is_bound(&mut self, waker: &Waker) -> bool {
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

/// One in-process send that was not simply taken, without its message: what wraps it holds that.
pub(crate) struct InprocSend<'a, M> {
    sink: &'a Arc<Inproc<M>>,
    parked: Option<Parked<'a, M>>,
}

struct Parked<'a, M> {
    wait: For<'a, M>,
    timer: Option<Pin<Box<dyn Timer>>>,
}

enum For<'a, M> {
    Room {
        ticket: RoomTicket<'a>,
        since: Instant,
        aging: Option<Pin<Box<dyn Timer>>>,
    },
    Level {
        receipt: Receipt,
        level: Level,
        ticket: LevelTicket<'a>,
        since: Instant,
        back: Option<GivenBack<'a, M>>,
    },
}

/// A confirming send that gets its message back should that grow too old.
struct GivenBack<'a, M> {
    sink: &'a Inproc<M>,
    channel: &'a Channel<M>,
    sequence: u64,
}

impl<M> GivenBack<'_, M> {
    fn take(&self) -> Option<M> {
        let mut held = self.sink.hold(self.channel);
        let seat = held.seat;
        held.core.senders[seat].confirming.remove(&self.sequence)?
    }
}

impl<M> Drop for GivenBack<'_, M> {
    fn drop(&mut self) {
        self.take();
    }
}

/// What became of a first offer.
pub(crate) enum First<'a, M> {
    Sent(Result<Receipt, SendError<M>>),
    Waits(InprocSend<'a, M>),
}

impl<M: MessageType> Inproc<M> {
    /// Offers a message, which is taken when it is in the queue.
    #[inline(always)]
    pub(crate) fn send_first(self: &Arc<Self>, slot: &mut Option<M>) -> First<'_, M> {
        let Some(message) = slot.take() else {
            return self.send_later(None);
        };
        match self.offer(message, false) {
            Ok(Offered::Accepted(receipt)) if self.config.confirm.is_none() => {
                First::Sent(Ok(receipt))
            }
            Ok(Offered::Accepted(receipt)) => self.send_later(Some(receipt)),
            Ok(Offered::Closed(message)) => First::Sent(Err(self.give_back_closed(message))),
            Ok(Offered::Full(message)) if self.config.when_full == WhenFull::Reject => {
                First::Sent(Err(self.give_back_full(message, Duration::ZERO)))
            }
            Ok(Offered::Full(message)) => {
                *slot = Some(message);
                self.send_later(None)
            }
            Err(error) => First::Sent(Err(error)),
        }
    }

    /// The end of a confirming send whose time is over: withdrawn, unless the receiving end has taken the message and may still
    /// hand it up.
    fn unconfirmed(&self, receipt: Receipt, wanted: Level, since: Instant) -> SendError<M> {
        let message = self.withdraw(receipt.sequence());
        let kind = SendErrorKind::Unconfirmed {
            service: self.service(),
            wanted,
            waited: self
                .surroundings
                .clock
                .now()
                .saturating_duration_since(since),
            last: None,
            outcome: match message {
                Some(_) => Outcome::NotSent,
                None => Outcome::Unknown,
            },
        };
        SendError::new(kind, message)
    }

    fn wait_for_level(&self, receipt: Receipt, level: Level) -> For<'_, M> {
        let back = match (&self.channel, self.config.max_age) {
            (Ok(channel), Some(_)) => Some(GivenBack {
                sink: self,
                channel,
                sequence: receipt.sequence(),
            }),
            _ => None,
        };
        if let Some(back) = &back {
            let mut held = self.hold(back.channel);
            let seat = held.seat;
            held.core.senders[seat]
                .confirming
                .insert(back.sequence, None);
        }
        For::Level {
            receipt,
            level,
            ticket: LevelTicket::new(&self.sender),
            since: self.surroundings.clock.now(),
            back,
        }
    }

    /// Waits for a level of what was accepted, or for room.
    #[cold]
    fn send_later(self: &Arc<Self>, accepted: Option<Receipt>) -> First<'_, M> {
        let wait = match (accepted, self.config.confirm) {
            (Some(receipt), Some(_)) if receipt.level() == Level::Dropped => {
                let service = self.service();
                return First::Sent(Err(SendError::new(
                    SendErrorKind::Dropped { service },
                    None,
                )));
            }
            (Some(receipt), Some(level)) => self.wait_for_level(receipt, level),
            _ => For::Room {
                ticket: RoomTicket {
                    sender: &self.sender,
                    ticket: None,
                },
                since: self.surroundings.clock.now(),
                aging: None,
            },
        };
        First::Waits(InprocSend {
            sink: self,
            parked: Some(Parked { wait, timer: None }),
        })
    }
}

impl<M: MessageType> InprocSend<'_, M> {
    fn confirm(
        &mut self,
        receipt: Receipt,
        slot: &mut Option<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        let Some(level) = self.sink.config.confirm else {
            return Poll::Ready(Ok(receipt));
        };
        if receipt.level() == Level::Dropped {
            self.parked = None;
            return Poll::Ready(Err(SendError::new(
                SendErrorKind::Dropped {
                    service: self.sink.service(),
                },
                None,
            )));
        }
        self.parked = Some(Parked {
            wait: self.sink.wait_for_level(receipt, level),
            timer: None,
        });
        self.poll_waiting(slot, cx)
    }

    pub(crate) fn poll_waiting(
        &mut self,
        slot: &mut Option<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        let sink = self.sink;
        let Some(Parked { wait, timer }) = &mut self.parked else {
            return Poll::Pending;
        };
        match wait {
            For::Room {
                ticket,
                since,
                aging,
            } => {
                let since = *since;
                ticket.queue(cx);
                while ticket.is_next() {
                    let Some(message) = slot.take() else {
                        return Poll::Pending;
                    };
                    match sink.offer(message, true) {
                        Ok(Offered::Full(message)) => {
                            *slot = Some(message);
                            if sink.poll_age(aging, cx).is_pending() {
                                break;
                            }
                        }
                        Ok(Offered::Accepted(receipt)) => {
                            self.parked = None;
                            return self.confirm(receipt, slot, cx);
                        }
                        Ok(Offered::Closed(message)) => {
                            self.parked = None;
                            return Poll::Ready(Err(sink.give_back_closed(message)));
                        }
                        Err(error) => {
                            self.parked = None;
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                if sink.poll_deadline(since, timer, cx).is_pending() {
                    return Poll::Pending;
                }
                self.parked = None;
                let waited = sink
                    .surroundings
                    .clock
                    .now()
                    .saturating_duration_since(since);
                match slot.take() {
                    Some(message) => Poll::Ready(Err(sink.give_back_full(message, waited))),
                    None => Poll::Pending,
                }
            }
            For::Level {
                receipt,
                level,
                ticket,
                since,
                back,
            } => {
                let (receipt, level, since) = (*receipt, *level, *since);
                let kind = match sink.poll_level(ticket, receipt.sequence(), level, cx) {
                    Poll::Ready(Ok(level)) => {
                        self.parked = None;
                        return Poll::Ready(Ok(receipt.at(level)));
                    }
                    Poll::Ready(Err(Lost::Dropped { service, .. })) => {
                        let message = back.as_ref().and_then(GivenBack::take);
                        self.parked = None;
                        return Poll::Ready(Err(SendError::new(
                            SendErrorKind::Dropped { service },
                            message,
                        )));
                    }
                    Poll::Pending if sink.poll_deadline(since, timer, cx).is_pending() => {
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(_)) => SendErrorKind::Lost {
                        service: sink.service(),
                        wanted: level,
                        why: "the sink was closed, or its receiving end went away,",
                        last: None,
                        outcome: Outcome::Unknown,
                    },
                    Poll::Pending => {
                        self.parked = None;
                        return Poll::Ready(Err(sink.unconfirmed(receipt, level, since)));
                    }
                };
                self.parked = None;
                Poll::Ready(Err(SendError::new(kind, None)))
            }
        }
    }
}

impl<M> Drop for InprocSend<'_, M> {
    fn drop(&mut self) {
        if let Some(parked) = &self.parked
            && matches!(parked.wait, For::Room { .. })
        {
            self.sink.with_books(|books| {
                books.attempted += 1;
                books.returned.cancelled += 1;
            });
        }
    }
}

/// The receiving end.
pub(crate) struct Receiver<M> {
    channel: Arc<Channel<M>>,
    batch: VecDeque<Item<M>>,
    senders: Vec<Arc<Sender>>,
    /// As of that many seatings.
    seatings: u64,
    /// Sinks behind whose last message others are missing, with the last number: to be told before more is taken.
    missing: VecDeque<(Arc<Sender>, u64)>,
    /// Messages taken out of the queue since it was last found empty.
    taken: usize,
    /// Turns waited for more, since then.
    lingered: u32,
    /// Its caller wants no more than it has.
    closed: bool,
    /// And has been told what is missing behind that.
    swept: bool,
    bound: bool,
}

/// While messages come in a stream, the receiving end comes back this often before it sleeps: waking it costs the sender a
/// system call, and a turn of the scheduler brings a batch.
const LINGER: u32 = 3;

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
    fn expire(&mut self, item: Item<M>) {
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
    fn refill(&mut self) {
        let mut core = self.channel.lock();
        std::mem::swap(&mut self.batch, &mut core.queue);
        self.taken = self.taken.saturating_add(self.batch.len());
        if !core.tails.is_empty() {
            core.take_tails(&mut self.missing);
        }
        if !core.departed.is_empty() {
            core.sweep();
        }
        Self::look_who_sits(&core, &mut self.senders, &mut self.seatings);
    }

    /// Whose messages those with these indices are.
    #[inline]
    fn look_who_sits(core: &Core<M>, senders: &mut Vec<Arc<Sender>>, seatings: &mut u64) {
        if core.seatings != *seatings {
            *seatings = core.seatings;
            let seats = core.senders.iter();
            *senders = seats.map(|seat| Arc::clone(&seat.sender)).collect();
        }
    }

    /// All that was there is handed up: leaves, with what is missing behind it told.
    #[cold]
    fn wind_up(&mut self) {
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
    fn leave(&mut self) {
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

#[cfg(test)]
mod tests;
