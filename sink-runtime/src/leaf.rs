//! What relay and direct sinks share: a typed handle on one link, and the futures that wait on it.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::clock::Instant;
use crate::error::{ConnectError, Outcome, SendError, SendErrorKind};
use crate::ledger::Ledger;
use crate::life::SinkState;
use crate::link::{Core, Driver, Link, Offer, Until, WhenFull};
use crate::message::MessageType;
use crate::receipt::{DropCause, Level, Lost, Receipt};
use crate::report::{DrainReport, UndeliveredMessage};
use crate::sync::yield_now;
use crate::watchdog::Watchdog;

/// How often a `try_send` under `drop_oldest` makes room that a rival then takes, before it says that there is none.
const OFFERS: u32 = 16;

/// The handles on a link; the last one to go abandons it.
#[derive(Debug)]
struct Handle(Arc<Link>);

impl Drop for Handle {
    fn drop(&mut self) {
        let mut core = self.0.lock();
        core.abandoned = true;
        if core.driver == Driver::Running {
            self.0.poke(core);
        } else {
            let left = core.abandon();
            if !left.is_empty() {
                tracing::warn!(
                    service = &*self.0.config.service,
                    messages = left.len(),
                    "dropped without close(): messages abandoned"
                );
            }
        }
    }
}

/// A typed handle on one link.
pub(crate) struct Leaf<M> {
    link: Arc<Handle>,
    message: PhantomData<fn(M)>,
}

impl<M> Clone for Leaf<M> {
    fn clone(&self) -> Self {
        Self {
            link: Arc::clone(&self.link),
            message: PhantomData,
        }
    }
}

impl<M> std::fmt::Debug for Leaf<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.link.0.fmt(f)
    }
}

impl<M: MessageType> Leaf<M> {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self {
            link: Arc::new(Handle(link)),
            message: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link.0
    }

    #[inline]
    pub(crate) fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match self.offer(&message) {
            Offer::Accepted(receipt) => Ok(receipt),
            Offer::Full => Err(SendError::new(
                self.link().give_back_full(Duration::ZERO),
                Some(message),
            )),
            Offer::Refused(kind) => Err(SendError::new(kind, Some(message))),
        }
    }

    #[inline]
    pub(crate) fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        if self.link().config.confirm.is_some() {
            return Err(message);
        }
        match self.offer(&message) {
            Offer::Accepted(receipt) => Ok(Ok(receipt)),
            Offer::Full if self.link().config.when_full == WhenFull::Reject => Ok(Err(
                SendError::new(self.link().give_back_full(Duration::ZERO), Some(message)),
            )),
            Offer::Full => Err(message),
            Offer::Refused(kind) => Ok(Err(SendError::new(kind, Some(message)))),
        }
    }

    /// Under `drop_oldest` the first offer may only have made room: the second takes it, or a later one if rivals are faster.
    #[inline]
    fn offer(&self, message: &M) -> Offer {
        let mut offer = self.link().offer(message);
        if self.link().config.when_full == WhenFull::DropOldest {
            for _ in 0..OFFERS {
                if !matches!(offer, Offer::Full) {
                    break;
                }
                offer = self.link().offer(message);
            }
        }
        offer
    }

    pub(crate) async fn ready(&self) {
        let link = self.link();
        // As long as a send would wait: behind it `try_send` says what is wrong.
        let deadline = link
            .config
            .send_timeout
            .map(|timeout| link.surroundings.clock.now() + timeout);
        let _ = WaitFor::new(link, deadline, |link, core| {
            (core.closed || core.life.gave_up().is_some() || link.is_roomy(core)).then_some(())
        })
        .await;
    }

    pub(crate) async fn settled(&self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        let link = self.link();
        let sequence = receipt.sequence();
        if receipt.link() != link.id {
            return Err(Lost::Unknown {
                service: link.service(),
                sequence,
            });
        }
        if level == Level::Accepted {
            return match link.look(&link.lock(), sequence, Level::Written) {
                Some(Err(lost)) => Err(lost),
                _ => Ok(Level::Accepted),
            };
        }
        let since = link.surroundings.clock.now();
        let deadline = link.config.send_timeout.map(|timeout| since + timeout);
        match WaitFor::new(link, deadline, |link, core| {
            link.look(core, sequence, level)
        })
        .await
        {
            Ok(answer) => answer,
            Err(Ended::TimedOut) => Err(Lost::TimedOut {
                service: link.service(),
                sequence,
                waited: link.config.send_timeout.unwrap_or_default(),
                last: link.last_words(),
            }),
            Err(Ended::NoRuntime) => Err(Lost::Unknown {
                service: link.service(),
                sequence,
            }),
        }
    }

    pub(crate) async fn flush(&self) -> Result<(), Lost> {
        let link = self.link();
        let (from, upto, unknown) = {
            let core = link.lock();
            let outbox = &core.outbox;
            (
                outbox.first_owed(),
                outbox.last_sequence(),
                outbox.unknown(),
            )
        };
        let deadline = link
            .config
            .send_timeout
            .map(|timeout| link.surroundings.clock.now() + timeout);
        let lost = Lost::Unknown {
            service: link.service(),
            sequence: upto,
        };
        let done = WaitFor::new(link, deadline, |_, core| {
            // A close that could not wait leaves nothing owed, and yet not all of it arrived.
            if core.outbox.unknown() > unknown || core.outbox.was_closed_over(from, upto) {
                return Some(Err(lost.clone()));
            }
            if core.outbox.is_done_to(upto) {
                return Some(Ok(()));
            }
            (core.closed || core.life.gave_up().is_some()).then(|| Err(lost.clone()))
        });
        match done.await {
            Ok(answer) => answer,
            Err(Ended::TimedOut) => Err(Lost::TimedOut {
                service: link.service(),
                sequence: upto,
                waited: link.config.send_timeout.unwrap_or_default(),
                last: link.last_words(),
            }),
            Err(Ended::NoRuntime) => Err(lost),
        }
    }

    pub(crate) async fn connect(&self) -> Result<(), ConnectError> {
        let link = self.link();
        let joined = {
            let mut core = link.lock();
            if core.ready {
                return Ok(());
            }
            if core.closed || core.life.gave_up().is_some() {
                core.closed = false;
                core.gave_up = false;
                core.life.renew();
            }
            core.connect_wanted = true;
            let joined = core.life.joins();
            if !link.poke(core) {
                return Err(ConnectError::NoRuntime {
                    service: link.service(),
                });
            }
            joined
        };
        let answer = WaitFor::new(link, None, |link, core| {
            if core.ready {
                return Some(Ok(()));
            }
            if core.closed {
                return Some(Err(ConnectError::Closed {
                    service: link.service(),
                }));
            }
            if core.life.has_succeeded(joined) {
                // It was there, though it may be gone again.
                return Some(Ok(()));
            }
            if core.life.has_ended(joined) {
                return core
                    .life
                    .last_error()
                    .map(|error| Err((**error).clone()))
                    .or_else(|| {
                        // It ended without blame: the runtime that drove it went away. Ask again.
                        core.connect_wanted = true;
                        None
                    });
            }
            core.connect_wanted = true;
            None
        });
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(ConnectError::NoRuntime {
                service: link.service(),
            }),
        }
    }

    pub(crate) async fn disconnect(&self) -> Result<(), ConnectError> {
        let link = self.link();
        {
            let mut core = link.lock();
            let connecting = matches!(core.life.state(), SinkState::Connecting { .. });
            if core.wire.is_none() && core.outbox.is_settled() && !connecting {
                return Ok(());
            }
            core.disconnect();
            link.poke(core);
        }
        let deadline = link
            .config
            .send_timeout
            .map(|timeout| link.surroundings.clock.now() + timeout);
        match WaitFor::new(link, deadline, |_, core| match core.life.gave_up() {
            _ if core.disconnecting.is_none() => Some(Ok(())),
            Some(error) => Some(Err((**error).clone())),
            None => None,
        })
        .await
        {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                link.lock().cancel_disconnect();
                Err(error)
            }
            Err(ended) => {
                let mut core = link.lock();
                core.cancel_disconnect();
                let last = core.life.last_error().cloned();
                link.poke(core);
                Err(match (last, ended) {
                    (Some(error), _) => (*error).clone(),
                    (None, Ended::NoRuntime) => ConnectError::NoRuntime {
                        service: link.service(),
                    },
                    (None, Ended::TimedOut) => ConnectError::TimedOut {
                        service: link.service(),
                        endpoint: link.endpoint(),
                        waited: link.config.send_timeout.unwrap_or_default(),
                    },
                })
            }
        }
    }

    pub(crate) async fn close(&self, deadline: Duration) -> DrainReport {
        let link = self.link();
        let mut wakers = Vec::new();
        let wait = {
            let mut core = link.lock();
            if core.closed {
                false
            } else if core.wire.is_none()
                && core.outbox.is_settled()
                && core.queue.is_empty()
                && !core.ready
            {
                // Never connected, or idle: no I/O.
                core.closed = true;
                core.life.rest();
                core.wake_waits(&mut wakers);
                link.publish(&core);
                if core.driver == Driver::Running {
                    // It may be dialing.
                    link.poke(core);
                }
                false
            } else {
                core.draining = true;
                link.publish(&core);
                link.poke(core)
            }
        };
        wakers.into_iter().for_each(std::task::Waker::wake);
        link.tell();
        if wait {
            // What is beyond all time is no bound.
            let until = link.surroundings.clock.now().checked_add(deadline);
            let _ = WaitFor::new(link, until, |_, core| core.closed.then_some(())).await;
        }
        let mut ending = Ending(Some(link));
        loop {
            if let Some(report) = self.end() {
                ending.0 = None;
                return report;
            }
            // Only for as long as one write that does not block.
            yield_now().await;
        }
    }

    /// Closes at once and takes what was not delivered; `None` while the flusher holds some of it.
    fn end(&self) -> Option<DrainReport> {
        let link = self.link();
        let mut wakers = Vec::new();
        let mut core = link.lock();
        core.draining = false;
        core.closed = true;
        core.ready = false;
        if core.outbox.is_lent() {
            return None;
        }
        core.turn_away(
            &SendErrorKind::Closed {
                service: link.service(),
            },
            &mut wakers,
        );
        let undelivered = core.abandon();
        // Nothing of it stays for a later connection: half a goodbye would end that.
        crate::driver::hang_up(&mut core);
        core.disconnecting = None;
        let last = core.life.last_error().cloned();
        core.life.rest();
        core.wake_waits(&mut wakers);
        link.publish(&core);
        if core.driver == Driver::Running {
            link.poke(core);
        } else {
            drop(core);
        }
        wakers.into_iter().for_each(std::task::Waker::wake);
        link.tell();
        let undelivered = undelivered
            .into_iter()
            .map(|one| UndeliveredMessage {
                service: link.service(),
                sequence: one.sequence,
                codec: link.config.codec,
                frame: Bytes::from(one.frame),
                may_have_arrived: one.on_wire,
            })
            .collect();
        Some(DrainReport {
            service: link.service(),
            ledger: link.ledger(),
            undelivered,
            last,
        })
    }

    pub(crate) fn state(&self) -> SinkState {
        Link::state_of(&self.link().lock())
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.link().ledger()
    }

    pub(crate) fn states(&self) -> watch::Receiver<SinkState> {
        self.link().states.subscribe()
    }
}

/// A close in its last step. Given up there, the drain goes on by itself, as after a close given up before: else nobody would hang up
/// any more.
struct Ending<'a>(Option<&'a Arc<Link>>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let Some(link) = self.0 else { return };
        let mut core = link.lock();
        if !core.closed {
            // Opened again meanwhile.
            return;
        }
        core.closed = false;
        core.draining = true;
        core.ready = core.wire.is_some() && core.life.is_ready() && !core.leaving && !core.parting;
        link.poke(core);
    }
}

/// One send over a link whose first offer was not simply taken, without its message.
pub(crate) struct LinkSend<'a> {
    link: &'a Arc<Link>,
    waiting: Option<Waiting>,
}

struct Waiting {
    wait: For,
    watchdog: Watchdog,
}

enum For {
    Room {
        ticket: u64,
        since: Instant,
    },
    Level {
        receipt: Receipt,
        level: Level,
        ticket: Option<u64>,
        /// When the call began, as far as its deadline counts it.
        since: Option<Instant>,
    },
}

impl<'a> LinkSend<'a> {
    pub(crate) fn new(link: &'a Arc<Link>) -> Self {
        Self {
            link,
            waiting: None,
        }
    }

    fn wait(&mut self, wait: For) {
        self.waiting = Some(Waiting {
            wait,
            watchdog: Watchdog::default(),
        });
    }

    /// The first offer was not simply taken.
    #[cold]
    pub(crate) fn poll_offered<M: MessageType>(
        &mut self,
        offer: Offer,
        message: &mut Option<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        let Some(borrowed) = &*message else {
            return Poll::Pending;
        };
        let offer = match offer {
            // The first offer may only have made room.
            Offer::Full if self.link.config.when_full == WhenFull::DropOldest => {
                self.link.offer(borrowed)
            }
            offer => offer,
        };
        match offer {
            Offer::Accepted(receipt) => self.confirm(receipt, None, message, cx),
            Offer::Refused(kind) => self.fail(kind, message),
            Offer::Full if self.link.config.when_full == WhenFull::Reject => {
                let kind = self.link.give_back_full(Duration::ZERO);
                self.fail(kind, message)
            }
            Offer::Full => {
                let since = self.link.surroundings.clock.now();
                match self.link.queue(borrowed, cx.waker()) {
                    Ok(ticket) => {
                        self.wait(For::Room { ticket, since });
                        self.poll_waiting(message, cx)
                    }
                    Err(kind) => self.fail(kind, message),
                }
            }
        }
    }

    fn fail<M>(
        &mut self,
        kind: SendErrorKind,
        message: &mut Option<M>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        self.waiting = None;
        Poll::Ready(Err(SendError::new(kind, message.take())))
    }

    /// One deadline for the whole call: a wait for room before was part of it.
    fn confirm<M: MessageType>(
        &mut self,
        receipt: Receipt,
        since: Option<Instant>,
        message: &mut Option<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        match self.link.config.confirm {
            None => {
                self.waiting = None;
                Poll::Ready(Ok(receipt))
            }
            Some(_) if receipt.level() == Level::Dropped => self.fail(
                SendErrorKind::Dropped {
                    service: self.link.service(),
                },
                message,
            ),
            Some(level) => {
                self.wait(For::Level {
                    receipt,
                    level,
                    ticket: None,
                    since,
                });
                self.poll_waiting(message, cx)
            }
        }
    }

    /// Goes on with the send of `message`, which is taken when it is known not to come back.
    pub(crate) fn poll_waiting<M: MessageType>(
        &mut self,
        message: &mut Option<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        let Some(Waiting { wait, watchdog }) = &mut self.waiting else {
            return Poll::Pending;
        };
        match wait {
            For::Room { ticket, since } => match self.link.poll_queued(*ticket, cx.waker()) {
                None => {
                    watchdog.ask(self.link, cx);
                    Poll::Pending
                }
                Some(Ok(receipt)) => {
                    let since = *since;
                    self.confirm(receipt, Some(since), message, cx)
                }
                Some(Err(kind)) => self.fail(kind, message),
            },
            For::Level {
                receipt,
                level,
                ticket,
                since,
            } => {
                let link = self.link;
                let (receipt, level) = (*receipt, *level);
                let mut core = link.lock();
                if let (Some(ticket), true) = (*ticket, level != Level::Written) {
                    core = link.listen(core, ticket);
                }
                if let Some(answer) = link.look(&core, receipt.sequence(), level) {
                    if let Some(ticket) = ticket.take() {
                        core.end_wait(ticket);
                    }
                    drop(core);
                    return self.confirmed(receipt, level, answer, message);
                }
                let begun = *since.get_or_insert_with(|| link.accepted_at(&core, receipt));
                let deadline = link.config.send_timeout.map(|timeout| begun + timeout);
                let first = ticket.is_none();
                let until = if level == Level::Written {
                    Until::Written(receipt.sequence())
                } else {
                    Until::Acked(receipt.sequence())
                };
                let known = core.wait(*ticket, cx.waker(), deadline, until);
                *ticket = Some(known);
                let driver_runtime = core.driver_runtime;
                if core.must_hear_of(deadline) {
                    // The driver keeps the time: it must hear of a new deadline, and one must exist.
                    link.poke(core);
                } else {
                    drop(core);
                }
                // The clock is read last: an answer that is there needs none.
                if first || !link.is_past(deadline) {
                    if level != Level::Written {
                        link.bell.sender_listens(cx.waker());
                    }
                    watchdog.watch(link, driver_runtime, cx);
                    return Poll::Pending;
                }
                let waited = link
                    .surroundings
                    .clock
                    .now()
                    .saturating_duration_since(begun);
                link.lock().end_wait(known);
                *ticket = None;
                let kind = link.withdraw(receipt.sequence(), level, Some(waited));
                if kind.outcome() == Outcome::Unknown {
                    *message = None;
                }
                self.fail(kind, message)
            }
        }
    }

    fn confirmed<M>(
        &mut self,
        receipt: Receipt,
        wanted: Level,
        answer: Result<Level, Lost>,
        message: &mut Option<M>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        match answer {
            Ok(level) => {
                self.waiting = None;
                Poll::Ready(Ok(receipt.at(level)))
            }
            Err(Lost::Dropped {
                service,
                cause: DropCause::Closed,
                ..
            }) => self.fail(SendErrorKind::Closed { service }, message),
            Err(Lost::Dropped { service, .. }) => {
                self.fail(SendErrorKind::Dropped { service }, message)
            }
            Err(_) => {
                let link = self.link;
                // Where no more attempts are made it may lie here still.
                let kind = link.withdraw(receipt.sequence(), wanted, None);
                if kind.outcome() == Outcome::Unknown {
                    *message = None;
                }
                self.fail(kind, message)
            }
        }
    }
}

impl Drop for LinkSend<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.leave(self.link);
        }
    }
}

impl Waiting {
    /// Gives up a send under way.
    #[cold]
    fn leave(&self, link: &Arc<Link>) {
        match self.wait {
            For::Room { ticket, .. } => link.leave_queue(ticket),
            For::Level {
                ticket: Some(ticket),
                ..
            } => link.lock().end_wait(ticket),
            For::Level { ticket: None, .. } => {}
        }
    }
}

/// Why a wait ended without its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    TimedOut,
    NoRuntime,
}

/// Waits until `check` answers; the link's driver keeps the time.
pub(crate) struct WaitFor<'a, F> {
    link: &'a Arc<Link>,
    check: F,
    deadline: Option<Instant>,
    ticket: Option<u64>,
    watchdog: Watchdog,
}

impl<'a, R, F: FnMut(&Link, &mut Core) -> Option<R>> WaitFor<'a, F> {
    pub(crate) fn new(link: &'a Arc<Link>, deadline: Option<Instant>, check: F) -> Self {
        Self {
            link,
            check,
            deadline,
            ticket: None,
            watchdog: Watchdog::default(),
        }
    }
}

impl<F> Unpin for WaitFor<'_, F> {}

impl<R, F: FnMut(&Link, &mut Core) -> Option<R>> Future for WaitFor<'_, F> {
    type Output = Result<R, Ended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut core = this.link.lock();
        if let Some(answer) = (this.check)(this.link, &mut core) {
            return Poll::Ready(Ok(answer));
        }
        if this
            .deadline
            .is_some_and(|deadline| this.link.surroundings.clock.now() >= deadline)
        {
            return Poll::Ready(Err(Ended::TimedOut));
        }
        this.ticket = Some(core.wait(this.ticket, cx.waker(), this.deadline, Until::News));
        if core.must_hear_of(this.deadline) {
            if !this.link.poke(core) {
                return Poll::Ready(Err(Ended::NoRuntime));
            }
        } else {
            drop(core);
        }
        this.watchdog.ask(this.link, cx);
        Poll::Pending
    }
}

impl<F> Drop for WaitFor<'_, F> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.link.lock().end_wait(ticket);
        }
    }
}
