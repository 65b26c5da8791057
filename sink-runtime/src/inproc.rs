//! `inproc://` between a direct service's sink and its source: typed messages in a bounded queue, no bytes in between.
//!
//! No driver and no task: the queue outlives either end, so no start order matters here either. A relay's `inproc://` is a
//! byte stream in memory instead (`transport/memory.rs`), since a relay forwards frames.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
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

mod books;
mod channel;
mod level;
mod member;
mod receive;
mod send;
mod waits;

use books::{Books, HORIZON};
use channel::*;
pub(crate) use receive::Receiver;
pub(crate) use send::{First, InprocSend};
use waits::*;

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

    /// Whether one more is too many, with places left for those `ahead`; asks the receiving end only when it seems so.
    #[inline]
    fn is_full(&self, books: &mut Books, ahead: u64) -> bool {
        let owed = books.accepted - books.gone() + books.reserved + ahead;
        let size = u64::from(self.config.buffer_size);
        if owed - books.received_then < size {
            return false;
        }
        books.received_then = self.sender.progress.received.load(Ordering::Acquire);
        owed - books.received_then >= size
    }

    /// Whether one more is too many, once those that waited too long are gone.
    #[inline]
    fn is_still_full(&self, held: &mut Held<'_, M>, ahead: u64) -> bool {
        self.is_full(held.books(), ahead)
            && (!held.drop_aged() || self.is_full(held.books(), ahead))
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

    /// Who has waited comes with how many places are others' before it is its turn.
    #[inline]
    fn offer(&self, message: M, ahead: Option<u64>) -> Result<Offered<M>, SendError<M>> {
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
        let is_behind = ahead.is_none() && self.do_others_wait();
        if is_behind || self.is_still_full(&mut held, ahead.unwrap_or(0)) {
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
        Ok(Offered::Accepted(self.put(channel, held, message)))
    }

    fn drop_newest(&self, mut held: Held<'_, M>) -> Receipt {
        held.books().dropped.newest += 1;
        let sequence = held.skip_next(DropCause::Newest);
        held.release();
        Receipt::new(self.id, sequence, Level::Dropped)
    }

    /// Appends; sequence and queue agree because one lock is around both.
    #[inline]
    fn put(&self, channel: &Channel<M>, mut held: Held<'_, M>, message: M) -> Receipt {
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
        let stock = held.core.queue.len();
        channel.stock.0.store(stock, Ordering::Relaxed);
        let receiver = held.core.receiver.take();
        held.release();
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        Receipt::new(self.id, sequence, Level::Accepted)
    }

    pub(crate) fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match self.offer(message, None)? {
            Offered::Accepted(receipt) => Ok(receipt),
            Offered::Full(message) => Err(self.give_back_full(message, Duration::ZERO)),
            Offered::Closed(message) => Err(self.give_back_closed(message)),
        }
    }

    pub(crate) fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        if self.config.confirm.is_some() {
            return Err(message);
        }
        match self.offer(message, None) {
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

    /// Whether anybody waits for room, where messages do.
    #[inline]
    fn do_others_wait(&self) -> bool {
        self.sender.watched.load(Ordering::Acquire)
            && !matches!(
                self.config.when_full,
                WhenFull::Reject | WhenFull::DropNewest
            )
            && !self.sender.waiting().room.is_empty()
    }

    /// How many places are others' before it is this one's turn, if it may come; where messages wait, they are served in turn.
    fn ahead_of(&self, ticket: &RoomTicket<'_>) -> Option<u64> {
        let ahead = ticket.told_before()?;
        Some(if self.config.when_full == WhenFull::Block {
            ahead
        } else {
            0
        })
    }

    fn has_room(&self, ahead: u64) -> bool {
        let Ok(channel) = &self.channel else {
            return true;
        };
        let mut held = self.hold(channel);
        let room = held.books().closed || !self.is_still_full(&mut held, ahead);
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
        let mut ticket = RoomTicket::of_ready(&self.sender);
        let mut aging = None;
        let room = std::future::poll_fn(|cx| {
            ticket.queue(cx);
            while let Some(ahead) = self.ahead_of(&ticket) {
                if self.has_room(ahead) {
                    return Poll::Ready(());
                }
                ready!(self.poll_age(&mut aging, cx));
            }
            Poll::Pending
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
        // What is beyond all time is no bound.
        let until = clock.now().checked_add(deadline);
        let mut timer = until.map(|until| clock_timer(&self.surroundings, until));
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
                Some(Some(timer)) => timer.as_mut().poll(cx),
                Some(None) => Poll::Ready(()),
                None => Poll::Pending,
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
        let waiting = {
            let waiting = self.sender.waiting();
            waiting.room.iter().filter(|one| one.is_send).count() as u64
        };
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
}

fn clock_timer(surroundings: &Surroundings, deadline: Instant) -> Option<Pin<Box<dyn Timer>>> {
    tokio::runtime::Handle::try_current()
        .is_ok()
        .then(|| surroundings.clock.timer(deadline))
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

#[cfg(test)]
mod tests;
