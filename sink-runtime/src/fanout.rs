//! Every message to every member: accepted by all required ones, or by none.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::Instant;
use crate::composite::view::{Name, all, composite_sink, confirm, decided, each, unprovisioned};
use crate::composite::{Branch, Branches, Choice, Encoded, Member, Reserved, longest};
use crate::error::{ConnectError, SendError, SendErrorKind};
use crate::ledger::Ledger;
use crate::life::SinkState;
use crate::line::{Line, Told, Until};
use crate::message::MessageType;
use crate::receipt::{DropCause, Level, Lost, Receipt};
use crate::registry::CompiledRegistry;
use crate::sink::AtLeastOnce;
use crate::transport::BoxFuture;

mod aside;
mod kept;

pub(crate) use aside::Aside;
use aside::{Took, Without};
use kept::{Kept, Receipts};

/// Sends every message to every member; each has its own bounded queue and link.
///
/// Acceptance is all or nothing: room is set aside in every required member, in order, before the first takes it.
/// Sinks of your own, which cannot set room aside ([`DynSink::new`](crate::DynSink::new)), are offered the message first: all or
/// nothing holds with one of them; with more, what only some took is answered as [`Partial`](SendErrorKind::Partial).
/// A required member that is full therefore holds up the others; an [`Optional`](crate::Optional) one never does.
/// A receipt settles as those do that the required members gave for the message, for as long as the fan-out remembers them; then
/// what became of it is unknown.
pub struct FanOut<B> {
    name: Name,
    branches: B,
    counts: Counts,
    line: Line,
    kept: Kept,
}

/// The composite's own ledger, in messages; its branches count copies.
#[derive(Default)]
struct Counts {
    attempted: AtomicU64,
    accepted: AtomicU64,
    cancelled: AtomicU64,
    returned_full: AtomicU64,
    returned_refused: AtomicU64,
    /// By every required member.
    dropped: AtomicU64,
    optional_dropped: AtomicU64,
    origin: OnceLock<Origin>,
}

/// Whose messages and receipts they are.
struct Origin {
    producer: u64,
    link: u32,
}

/// Receipts of fan-outs are told apart by these, from those of links, which are counted from 1, and of queues within the process,
/// from 2³¹.
static NEXT_LINK: AtomicU32 = AtomicU32::new(3 << 30);

impl Counts {
    const fn new() -> Self {
        Self {
            attempted: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            returned_full: AtomicU64::new(0),
            returned_refused: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            optional_dropped: AtomicU64::new(0),
            origin: OnceLock::new(),
        }
    }

    fn origin(&self) -> &Origin {
        self.origin.get_or_init(|| Origin {
            producer: crate::clock::system_seed(),
            link: NEXT_LINK.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// What was attempted and is in no other place waits. The places are looked at first: who is in one was attempted before.
    fn ledger(&self) -> Ledger {
        let count = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let mut ledger = Ledger {
            done: count(&self.accepted),
            ..Ledger::default()
        };
        ledger.returned.full = count(&self.returned_full);
        ledger.returned.refused = count(&self.returned_refused);
        ledger.returned.cancelled = count(&self.cancelled);
        ledger.dropped.newest = count(&self.dropped);
        ledger.attempted = count(&self.attempted);
        let settled = ledger.done + ledger.returned.total() + ledger.dropped.total();
        ledger.waiting = ledger.attempted - settled;
        ledger
    }
}

/// One message on its way into the fan-out; dropped before anything became of it, it is counted as cancelled.
struct Attempt<'a> {
    counts: &'a Counts,
    /// The identity that all its copies carry.
    identity: (u64, u64),
    settled: bool,
}

impl<'a> Attempt<'a> {
    fn new(counts: &'a Counts) -> Self {
        let producer = counts.origin().producer;
        let number = counts.attempted.fetch_add(1, Ordering::Relaxed) + 1;
        Self {
            counts,
            identity: (producer, number),
            settled: false,
        }
    }

    /// Notes where the message is. What happens to an accepted one from here on is its members' to tell.
    fn settle(mut self, outcome: &Answer) {
        self.settled = true;
        let place = match outcome {
            Ok(receipt) if receipt.level() == Level::Dropped => &self.counts.dropped,
            Ok(_) => &self.counts.accepted,
            Err(kind) if matches!(**kind, SendErrorKind::Full { .. }) => &self.counts.returned_full,
            Err(_) => &self.counts.returned_refused,
        };
        place.fetch_add(1, Ordering::Release);
    }

    /// The same, and the answer to who sent it.
    fn answer<M>(self, outcome: Answer, message: M) -> Result<Receipt, SendError<M>> {
        self.settle(&outcome);
        outcome.map_err(|kind| SendError::new(*kind, Some(message)))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.counts.cancelled.fetch_add(1, Ordering::Release);
        }
    }
}

/// A fan-out without the type of its branches: what it does is compiled once for a message type.
struct View<'a, M> {
    name: &'a Name,
    branches: &'a dyn Branches<M>,
    counts: &'a Counts,
    line: &'a Line,
    kept: &'a Kept,
}

/// An error is large and rare: in a box, the rest is cheap to move.
type Answer = Result<Receipt, Box<SendErrorKind>>;

/// What one try at acceptance came to.
enum Try {
    Done(Answer),
    /// The member of this index has no room.
    Full(usize),
}

impl<B> FanOut<B> {
    /// A generated fan-out; does nothing.
    #[must_use]
    pub const fn compiled(
        name: &'static str,
        registry: &'static CompiledRegistry,
        branches: B,
    ) -> Self {
        Self {
            name: Name::Static(name, registry),
            branches,
            counts: Counts::new(),
            line: Line::new(),
            kept: Kept::new(),
        }
    }

    /// A fan-out over these members.
    #[must_use]
    pub fn new(branches: B) -> Self {
        Self::named(Arc::from("fanout"), branches)
    }

    pub(crate) fn named(name: Arc<str>, branches: B) -> Self {
        Self {
            name: Name::Owned(name),
            branches,
            counts: Counts::default(),
            line: Line::new(),
            kept: Kept::new(),
        }
    }

    /// Where every message is, in messages. `done` here is accepted by every required member: their ledgers, which count
    /// copies, say how far each got from there.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.counts.ledger()
    }

    /// Copies that full optional members did not get.
    #[must_use]
    pub fn optional_dropped(&self) -> u64 {
        self.counts.optional_dropped.load(Ordering::Relaxed)
    }

    /// With the members it was built with: for what asks for those in force itself.
    #[inline]
    fn built<M>(&self) -> View<'_, M>
    where
        B: Branches<M>,
    {
        View {
            name: &self.name,
            branches: &self.branches,
            counts: &self.counts,
            line: &self.line,
            kept: &self.kept,
        }
    }
}

impl<'a, M: MessageType> View<'a, M> {
    /// Reserves in every required member, in order, then commits everywhere.
    fn offer(self, encoded: &Encoded<'_, M>) -> Try {
        let mut outcome = None;
        self.branches
            .with(&mut |branches| outcome = Some(self.offer_to(branches, encoded)));
        outcome.unwrap_or_else(|| {
            Try::Done(Err(Box::new(SendErrorKind::Closed {
                service: self.name.get(),
            })))
        })
    }

    fn offer_to(self, branches: &[Member<'_, M>], encoded: &Encoded<'_, M>) -> Try {
        let aside = match Aside::of(branches, encoded) {
            Ok(aside) => aside,
            Err(Without::Full(index)) => return Try::Full(index),
            Err(Without::Refused(kind)) => return Try::Done(Err(kind)),
        };
        let mut receipts = Receipts::default();
        match aside.take(branches, encoded, &mut receipts) {
            Took::Nobody(Without::Full(index)) => Try::Full(index),
            Took::Nobody(Without::Refused(kind)) => Try::Done(Err(kind)),
            took => {
                self.offer_optionals(branches, encoded);
                let (_, number) = encoded.identity.unwrap_or_default();
                Try::Done(self.outcome(took, number, &receipts))
            }
        }
    }

    /// The answer for a message that somebody took, and that has this number here.
    fn outcome(self, took: Took, number: u64, receipts: &Receipts) -> Answer {
        match took {
            Took::All(level) => {
                self.kept.note(number, receipts);
                Ok(Receipt::new(self.counts.origin().link, number, level))
            }
            Took::Some { failed, first } => Err(self.partial(failed, first)),
            Took::Nobody(Without::Refused(kind)) => Err(kind),
            Took::Nobody(Without::Full(_)) => Err(self.full(Duration::ZERO)),
        }
    }

    #[cold]
    fn partial(self, failed: usize, first: Arc<str>) -> Box<SendErrorKind> {
        Box::new(SendErrorKind::Partial {
            service: self.name.get(),
            failed,
            branches: self.branches.count(),
            first,
        })
    }

    fn offer_optionals(self, branches: &[Member<'_, M>], encoded: &Encoded<'_, M>) {
        for branch in branches.iter().filter(|branch| !branch.is_required()) {
            self.offer_optional(branch.sink(), encoded);
        }
    }

    fn offer_optional(self, branch: &dyn Branch<M>, encoded: &Encoded<'_, M>) {
        match branch.reserve(encoded) {
            Reserved::Room => {
                if branch.commit(encoded).is_ok() {
                    return;
                }
                // Closed in between: its own ledger says so.
            }
            Reserved::Untried => match branch.commit(encoded) {
                Ok(_) => return,
                Err(SendErrorKind::Partial { .. }) => {}
                Err(_) => branch.drop_copy(),
            },
            Reserved::Dropped => {
                branch.drop_newest();
            }
            Reserved::Full | Reserved::Refused(_) => branch.drop_copy(),
        }
        self.counts.optional_dropped.fetch_add(1, Ordering::Relaxed);
    }

    #[cold]
    fn full(self, waited: Duration) -> Box<SendErrorKind> {
        Box::new(SendErrorKind::Full {
            service: self.name.get(),
            held_messages: 0,
            buffer_size: 0,
            held_bytes: 0,
            buffer_bytes: 0,
            waited,
            last: None,
        })
    }

    async fn send(self, message: M) -> Result<Receipt, SendError<M>> {
        tokio::task::coop::consume_budget().await;
        let attempt = Attempt::new(self.counts);
        let this = match self.current() {
            Ok(this) => this,
            Err(error) => return attempt.answer(Err(Box::new(unprovisioned(error))), message),
        };
        let (outcome, message) = match this.offer_in_turn(&message, attempt.identity) {
            // Few wait: those that do not stay small to move.
            Try::Full(_) => Box::pin(this.wait_and_offer(message, attempt.identity)).await,
            Try::Done(outcome) => (outcome, message),
        };
        attempt.settle(&outcome);
        let outcome = match outcome {
            Ok(receipt) => this.confirmed(receipt).await,
            Err(kind) => Err(kind),
        };
        outcome.map_err(|kind| SendError::new(*kind, Some(message)))
    }

    /// Its members may confirm, and what they do then is waited for: [`send`](Self::send) finds out.
    fn send_now(self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        Err(message)
    }

    fn try_send(self, message: M) -> Result<Receipt, SendError<M>> {
        let attempt = Attempt::new(self.counts);
        let outcome = match self.current() {
            Ok(this) => match this.offer_in_turn(&message, attempt.identity) {
                Try::Full(_) => Err(self.full(Duration::ZERO)),
                Try::Done(outcome) => outcome,
            },
            Err(error) => Err(Box::new(unprovisioned(error))),
        };
        attempt.answer(outcome, message)
    }

    /// Offers the message, unless others wait: nobody overtakes them.
    fn offer_in_turn(self, message: &M, identity: (u64, u64)) -> Try {
        if self.line.is_empty() {
            self.offer(&Encoded::new(message, Some(identity)))
        } else {
            Try::Full(0)
        }
    }

    /// Stands in line, then waits for room in one member after another, all of it no longer than a single one may take.
    async fn wait_and_offer(self, message: M, identity: (u64, u64)) -> (Answer, M) {
        let since = Instant::now();
        let mut until = Until::after(since, self.patience());
        let mut place = self.line.place();
        if !place.first(&mut until).await {
            return (Err(self.full(since.elapsed())), message);
        }
        let (mut told, mut has_waited) = (Told::default(), false);
        loop {
            // What was encoded is not held over a wait.
            let offered =
                self.offer(&Encoded::new(&message, Some(identity)).having_waited(has_waited));
            let full = match offered {
                Try::Done(outcome) => return (outcome, message),
                Try::Full(index) => self.branches.get(index),
            };
            let Some(branch) = full else { continue };
            let room = async {
                branch.room(since).await?;
                told.again().await;
                Ok(())
            };
            match until.bound(room).await {
                Some(Ok(())) => has_waited = true,
                Some(Err(kind)) => return (Err(Box::new(kind)), message),
                None => return (Err(self.full(since.elapsed())), message),
            }
        }
    }

    async fn ready(self) {
        let Ok(this) = self.current() else {
            return;
        };
        let mut until = Until::after(Instant::now(), this.patience());
        let mut place = self.line.place();
        if !place.first(&mut until).await {
            return;
        }
        for branch in each(this.branches).filter(Member::is_required) {
            if until.bound(branch.ready_boxed()).await.is_none() {
                return;
            }
        }
    }

    async fn settled(self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        if self.gave(receipt) != Some(true) {
            return Err(Lost::Unknown {
                service: self.name.get(),
                sequence: receipt.sequence(),
            });
        }
        if receipt.level() == Level::Dropped {
            return Err(Lost::Dropped {
                service: self.name.get(),
                sequence: receipt.sequence(),
                cause: DropCause::Newest,
            });
        }
        let waits = self.of_members(receipt)?.map(|(branch, given)| {
            let reaches = async move { branch.settled_boxed(given, level).await.map(|_| ()) };
            (Box::pin(reaches) as BoxFuture<'a, _>, true)
        });
        let waits: Vec<_> = waits.collect();
        if waits.is_empty() && level != Level::Accepted {
            return Err(Lost::Unreachable {
                service: self.name.get(),
                wanted: level,
                highest: Level::Accepted,
            });
        }
        decided(waits).await.map(|()| level)
    }

    /// The required members with what each gave for the message that this receipt is of.
    fn of_members(
        self,
        receipt: Receipt,
    ) -> Result<impl Iterator<Item = (&'a dyn Branch<M>, Receipt)>, Lost> {
        let kept = self.kept.find(receipt.sequence());
        let kept = kept.ok_or_else(|| Lost::Unknown {
            service: self.name.get(),
            sequence: receipt.sequence(),
        })?;
        let branches = each(self.branches).map(|member| member.sink());
        Ok(branches
            .zip(kept)
            .filter_map(|(branch, given)| Some((branch, given?))))
    }

    async fn flush(self) -> Result<(), Lost> {
        let required = each(self.branches).filter(Member::is_required);
        decided(
            required
                .map(|one| (one.sink().flush_boxed(), true))
                .collect(),
        )
        .await
    }

    async fn connect(self) -> Result<(), ConnectError> {
        let this = self.current().map_err(|source| ConnectError::Registry {
            source: Arc::new(source),
        })?;
        // All at once, the optional ones too, which may be closed: but they do not decide.
        let all = each(this.branches).map(|one| (one.sink().connect_boxed(), one.is_required()));
        decided(all.collect()).await
    }

    fn counted(self) -> Ledger {
        self.counts.ledger()
    }

    fn state(self) -> SinkState {
        weakest(self.branches)
    }

    /// Waits for what the members' own `confirm` asks of this message, of all at once.
    async fn confirmed(self, receipt: Receipt) -> Answer {
        if self.confirm().is_none() {
            return Ok(receipt);
        }
        let lost = match self.of_members(receipt) {
            Ok(given) => {
                let waits = given.filter_map(|(branch, given)| branch.confirmed(given));
                let answers = all(waits.collect()).await;
                answers.into_iter().filter_map(Result::err).collect()
            }
            Err(lost) => vec![lost],
        };
        match lost.first() {
            None => Ok(receipt),
            Some(first) => Err(self.partial(lost.len(), Arc::from(first.to_string()))),
        }
    }

    /// The same for a composite that this one is a member of.
    fn confirmed_within(self, receipt: Receipt) -> Option<BoxFuture<'a, Result<(), Lost>>> {
        self.confirm()?;
        Some(Box::pin(async move {
            let given = self.of_members(receipt)?;
            let waits = given.filter_map(|(branch, given)| branch.confirmed(given));
            decided(waits.map(|wait| (wait, true)).collect()).await
        }))
    }

    fn reserve(self, encoded: &Encoded<'_, M>) -> Reserved {
        let this = match self.current() {
            Ok(this) => this,
            Err(error) => return Reserved::registry(error),
        };
        if !encoded.has_waited && !this.line.is_empty() {
            return Reserved::Full;
        }
        let mut outcome = Reserved::Room;
        this.branches.with(&mut |branches| {
            outcome = match Aside::of(branches, encoded) {
                Ok(aside) => {
                    let is_untried = aside.is_untried();
                    encoded.remember(self.place(), Choice::Aside(aside));
                    if is_untried {
                        Reserved::Untried
                    } else {
                        Reserved::Room
                    }
                }
                Err(Without::Full(_)) => Reserved::Full,
                Err(Without::Refused(kind)) => Reserved::Refused(*kind),
            };
        });
        outcome
    }

    /// What was set aside for a message of the composite that this one is in.
    fn aside(self, encoded: &Encoded<'_, M>) -> Aside {
        match encoded.recall(self.place()) {
            Some(Choice::Aside(aside)) => aside,
            _ => Aside::default(),
        }
    }

    /// Where the fan-out is: no two are in one place.
    fn place(self) -> usize {
        std::ptr::from_ref(self.name).addr()
    }

    fn release(self, encoded: &Encoded<'_, M>) {
        let aside = self.aside(encoded);
        let mut aside = Some(aside);
        self.branches.with(&mut |branches| {
            if let Some(aside) = aside.take() {
                aside.release(branches, encoded);
            }
        });
    }

    fn commit(self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        let mut aside = Some(self.aside(encoded));
        let mut took = Took::Nobody(Without::Full(0));
        let mut receipts = Receipts::default();
        self.branches.with(&mut |branches| {
            if let Some(aside) = aside.take() {
                took = aside.take(branches, encoded, &mut receipts);
                if !matches!(took, Took::Nobody(_)) {
                    self.offer_optionals(branches, encoded);
                }
            }
        });
        // What nobody took is still the outer composite's, which may offer it again.
        if let Took::Nobody(_) = took {
            return self.outcome(took, 0, &receipts).map_err(|kind| *kind);
        }
        // Its number here is no other's, whatever it is for the outer one.
        let attempt = Attempt::new(self.counts);
        let (_, number) = attempt.identity;
        let outcome = self.outcome(took, number, &receipts);
        attempt.settle(&outcome);
        outcome.map_err(|kind| *kind)
    }

    fn drop_copy(self) {
        self.branches.with(&mut |branches| {
            for branch in branches {
                branch.drop_copy();
            }
        });
    }

    /// What is within it says so itself: it never drops all of a message before its members are asked.
    fn drop_newest(self) -> Option<Receipt> {
        None
    }

    fn confirm(self) -> Option<Level> {
        confirm(self.branches)
    }

    fn room(self, since: Instant) -> BoxFuture<'a, Result<(), SendErrorKind>> {
        Box::pin(async move {
            let mut until = Until::after(since, self.patience());
            let mut place = self.line.place();
            if !place.first(&mut until).await {
                return Err(*self.full(since.elapsed()));
            }
            for branch in each(self.branches).filter(Member::is_required) {
                branch.room(since).await?;
            }
            Ok(())
        })
    }

    fn gave(self, receipt: Receipt) -> Option<bool> {
        let origin = self.counts.origin.get();
        Some(origin.is_some_and(|origin| origin.link == receipt.link()))
    }

    fn patience(self) -> Option<Duration> {
        let mut patience = None;
        self.branches.with(&mut |branches| {
            let required = branches.iter().filter(|branch| branch.is_required());
            patience = longest(required.map(|branch| branch.patience()));
        });
        patience
    }
}

/// The state furthest from ready among the members.
fn weakest<M: MessageType>(branches: &dyn Branches<M>) -> SinkState {
    let mut worst = SinkState::Ready;
    branches.with(&mut |branches| {
        for state in branches
            .iter()
            .filter(|branch| branch.is_required())
            .map(|branch| branch.state_of())
        {
            if rank(&state) > rank(&worst) {
                worst = state;
            }
        }
    });
    worst
}

fn rank(state: &SinkState) -> u8 {
    match state {
        SinkState::Ready => 0,
        SinkState::Idle => 1,
        SinkState::Connecting { .. } => 2,
        SinkState::Backoff { .. } => 3,
        SinkState::Draining => 4,
        SinkState::Closed => 5,
    }
}

composite_sink!(FanOut);

impl<B: AtLeastOnce> AtLeastOnce for FanOut<B> {}
