//! Every message to every member: accepted by all required ones, or by none.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::composite::{Branch, Branches, Encoded, Generated, Member, Reserved};
use crate::error::{ConnectError, RegistryError, SendError, SendErrorKind};
use crate::ledger::Ledger;
use crate::life::SinkState;
use crate::message::MessageType;
use crate::receipt::{Level, Lost, Receipt};
use crate::registry::CompiledRegistry;
use crate::report::DrainReport;
use crate::sink::{AtLeastOnce, MessageSink};
use crate::transport::BoxFuture;

/// Sends every message to every member; each has its own bounded queue and link.
///
/// Acceptance is all or nothing: room is set aside in every required member, in order, before the first takes it.
/// A required member that is full therefore holds up the others; an [`Optional`](crate::Optional) one never does.
pub struct FanOut<B> {
    name: Name,
    branches: B,
    counts: Counts,
}

pub(crate) enum Name {
    /// Of a generated composite, with the registry that may have changed it since.
    Static(&'static str, &'static CompiledRegistry),
    /// The same in a set with doubles, whose members stay what they are: what the registry names instead is no double.
    Doubled(&'static str, &'static CompiledRegistry),
    Owned(Arc<str>),
}

impl Name {
    pub(crate) fn get(&self) -> Arc<str> {
        match self {
            Self::Static(name, _) | Self::Doubled(name, _) => Arc::from(*name),
            Self::Owned(name) => Arc::clone(name),
        }
    }

    /// The members in force: those that the composite was built with, or what the registry has made of it since. Reads the
    /// registry, if nobody has yet.
    pub(crate) fn members<'a, M: MessageType>(
        &'a self,
        built: &'a dyn Branches<M>,
    ) -> Result<&'a dyn Branches<M>, RegistryError> {
        let instead = match self {
            Self::Static(name, registry) => registry.instead(name)?,
            Self::Doubled(name, registry) => match registry.moved(name) {
                Some(error) => return Err(error),
                None => None,
            },
            Self::Owned(_) => None,
        };
        Ok(instead.unwrap_or(built))
    }

    /// The same for what needs no link: without a registry, nothing was sent, and any members are idle.
    pub(crate) fn used<'a, M: MessageType>(
        &'a self,
        built: &'a dyn Branches<M>,
    ) -> &'a dyn Branches<M> {
        match self {
            Self::Static(_, registry) if registry.is_read() => self.members(built).unwrap_or(built),
            _ => built,
        }
    }

    pub(crate) fn of_doubles(&mut self) {
        if let Self::Static(name, registry) = *self {
            *self = Self::Doubled(name, registry);
        }
    }
}

/// The composite's own ledger, in messages; its branches count copies.
#[derive(Default)]
struct Counts {
    attempted: AtomicU64,
    accepted: AtomicU64,
    returned_full: AtomicU64,
    returned_refused: AtomicU64,
    optional_dropped: AtomicU64,
    producer: OnceLock<u64>,
}

impl Counts {
    const fn new() -> Self {
        Self {
            attempted: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            returned_full: AtomicU64::new(0),
            returned_refused: AtomicU64::new(0),
            optional_dropped: AtomicU64::new(0),
            producer: OnceLock::new(),
        }
    }

    fn ledger(&self) -> Ledger {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut ledger = Ledger {
            done: count(&self.accepted),
            ..Ledger::default()
        };
        ledger.returned.full = count(&self.returned_full);
        ledger.returned.refused = count(&self.returned_refused);
        ledger.attempted = ledger.done + ledger.returned.total();
        ledger
    }
}

/// A fan-out without the type of its branches: what it does is compiled once for a message type.
struct View<'a, M> {
    name: &'a Name,
    branches: &'a dyn Branches<M>,
    counts: &'a Counts,
}

impl<M> Clone for View<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for View<'_, M> {}

/// What one try at acceptance came to.
enum Try {
    Accepted(Receipt),
    /// The member of this index has no room.
    Full(usize),
    Refused(SendErrorKind),
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
        }
    }

    /// With the members that messages went to.
    #[inline]
    fn view<M: MessageType>(&self) -> View<'_, M>
    where
        B: Branches<M>,
    {
        let built = self.built();
        View {
            branches: self.name.used(built.branches),
            ..built
        }
    }
}

impl<M: MessageType, B: Branches<M>> MessageSink<M> for FanOut<B> {
    fn send(&self, message: M) -> impl Future<Output = Result<Receipt, SendError<M>>> + Send {
        self.built().send(message)
    }

    fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        self.built().try_send(message)
    }

    fn ready(&self) -> impl Future<Output = ()> + Send {
        self.built().ready()
    }

    fn settled(
        &self,
        receipt: Receipt,
        level: Level,
    ) -> impl Future<Output = Result<Level, Lost>> + Send {
        self.view::<M>().settled(receipt, level)
    }

    fn flush(&self) -> impl Future<Output = Result<(), Lost>> + Send {
        self.view::<M>().flush()
    }

    fn connect(&self) -> impl Future<Output = Result<(), ConnectError>> + Send {
        self.built::<M>().connect()
    }

    fn disconnect(&self) -> impl Future<Output = Result<(), ConnectError>> + Send {
        self.view::<M>().disconnect()
    }

    fn close(&self, deadline: Duration) -> impl Future<Output = DrainReport> + Send {
        self.view::<M>().close(deadline)
    }

    fn state(&self) -> SinkState {
        self.view::<M>().state()
    }
}

impl<'a, M: MessageType> View<'a, M> {
    fn identity(self) -> (u64, u64) {
        let producer = *self.counts.producer.get_or_init(crate::clock::system_seed);
        (
            producer,
            self.counts.attempted.fetch_add(1, Ordering::Relaxed) + 1,
        )
    }

    /// With the members in force, for what needs them.
    fn current(mut self) -> Result<Self, RegistryError> {
        self.branches = self.name.members(self.branches)?;
        Ok(self)
    }

    /// Reserves in every required member, in order, then commits everywhere.
    fn offer(self, encoded: &Encoded<'_, M>) -> Try {
        let mut outcome = None;
        self.branches
            .with(&mut |branches| outcome = Some(self.offer_to(branches, encoded)));
        outcome.unwrap_or(Try::Refused(SendErrorKind::Closed {
            service: self.name.get(),
        }))
    }

    fn offer_to(self, branches: &[Member<'_, M>], encoded: &Encoded<'_, M>) -> Try {
        let mut dropped = [false; 64];
        for (index, branch) in branches
            .iter()
            .enumerate()
            .filter(|(_, branch)| branch.is_required())
        {
            let failed = match branch.reserve(encoded) {
                Reserved::Room => continue,
                Reserved::Dropped(_) => {
                    if let Some(slot) = dropped.get_mut(index) {
                        *slot = true;
                    }
                    continue;
                }
                Reserved::Full => Try::Full(index),
                Reserved::Refused(kind) => Try::Refused(kind),
            };
            for (before, branch) in branches.iter().enumerate().take(index) {
                if branch.is_required() && !dropped.get(before).copied().unwrap_or_default() {
                    branch.release(encoded);
                }
            }
            return failed;
        }
        let mut level = Level::Written;
        for (index, branch) in branches.iter().enumerate() {
            if branch.is_required() {
                if dropped.get(index).copied().unwrap_or_default() {
                    continue;
                }
                match branch.commit(encoded) {
                    Ok(receipt) if receipt.level() != Level::Written => level = Level::Accepted,
                    Ok(_) => {}
                    // Closed between reservation and commit: its own ledger says so, the others have it.
                    Err(_) => level = Level::Accepted,
                }
            } else {
                self.offer_optional(branch.sink(), encoded);
            }
        }
        let (_, number) = encoded.identity.unwrap_or_default();
        Try::Accepted(Receipt::new(0, number, level))
    }

    fn offer_optional(self, branch: &dyn Branch<M>, encoded: &Encoded<'_, M>) {
        match branch.reserve(encoded) {
            Reserved::Room if branch.commit(encoded).is_ok() => return,
            // Its own policy dropped it, and counts it.
            Reserved::Dropped(_) => {}
            _ => branch.drop_copy(),
        }
        self.counts.optional_dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn answer(
        self,
        outcome: Result<Receipt, SendErrorKind>,
        message: M,
    ) -> Result<Receipt, SendError<M>> {
        match outcome {
            Ok(receipt) => {
                self.counts.accepted.fetch_add(1, Ordering::Relaxed);
                Ok(receipt)
            }
            Err(kind) => {
                let counter = if matches!(kind, SendErrorKind::Full { .. }) {
                    &self.counts.returned_full
                } else {
                    &self.counts.returned_refused
                };
                counter.fetch_add(1, Ordering::Relaxed);
                Err(SendError::new(kind, Some(message)))
            }
        }
    }

    fn full(self) -> SendErrorKind {
        SendErrorKind::Full {
            service: self.name.get(),
            held_messages: 0,
            buffer_size: 0,
            held_bytes: 0,
            buffer_bytes: 0,
            waited: Duration::ZERO,
            last: None,
        }
    }

    async fn send(self, message: M) -> Result<Receipt, SendError<M>> {
        tokio::task::coop::consume_budget().await;
        let identity = self.identity();
        let this = match self.current() {
            Ok(this) => this,
            Err(error) => return self.answer(Err(unprovisioned(error)), message),
        };
        loop {
            let outcome = this.offer(&Encoded::new(&message, Some(identity)));
            match outcome {
                Try::Accepted(receipt) => {
                    let receipt = this.confirmed(receipt).await;
                    return this.answer(receipt, message);
                }
                Try::Refused(kind) => return this.answer(Err(kind), message),
                Try::Full(index) => {
                    if let Some(branch) = this.branches.get(index)
                        && let Err(kind) = branch.room().await
                    {
                        return this.answer(Err(kind), message);
                    }
                }
            }
        }
    }

    fn try_send(self, message: M) -> Result<Receipt, SendError<M>> {
        let identity = self.identity();
        let outcome = match self.current() {
            Ok(this) => match this.offer(&Encoded::new(&message, Some(identity))) {
                Try::Accepted(receipt) => Ok(receipt),
                Try::Refused(kind) => Err(kind),
                Try::Full(_) => Err(self.full()),
            },
            Err(error) => Err(unprovisioned(error)),
        };
        self.answer(outcome, message)
    }

    async fn ready(self) {
        let Ok(this) = self.current() else {
            return;
        };
        for index in 0..this.branches.count() {
            if let Some(branch) = this.branches.get(index)
                && branch.is_required()
            {
                branch.ready_boxed().await;
            }
        }
    }

    async fn settled(self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        if receipt.level().satisfies(level) {
            return Ok(receipt.level());
        }
        // Conservative: waits for everything accepted so far, this message among it.
        self.flush().await.map(|()| level)
    }

    async fn flush(self) -> Result<(), Lost> {
        for index in 0..self.branches.count() {
            if let Some(branch) = self.branches.get(index)
                && branch.is_required()
            {
                branch.flush_boxed().await?;
            }
        }
        Ok(())
    }

    async fn connect(self) -> Result<(), ConnectError> {
        let this = self.current().map_err(|source| ConnectError::Registry {
            source: Arc::new(source),
        })?;
        for index in 0..this.branches.count() {
            if let Some(branch) = this.branches.get(index) {
                branch.connect_boxed().await?;
            }
        }
        Ok(())
    }

    async fn disconnect(self) -> Result<(), ConnectError> {
        for index in 0..self.branches.count() {
            if let Some(branch) = self.branches.get(index) {
                branch.disconnect_boxed().await?;
            }
        }
        Ok(())
    }

    async fn close(self, deadline: Duration) -> DrainReport {
        close_members(self.branches, self.name, deadline, self.counts.ledger()).await
    }

    fn state(self) -> SinkState {
        weakest(self.branches)
    }

    /// Waits for what the members' own `confirm` asks.
    async fn confirmed(self, receipt: Receipt) -> Result<Receipt, SendErrorKind> {
        let mut failed = 0;
        let mut first: Option<Arc<str>> = None;
        for index in 0..self.branches.count() {
            let Some(branch) = self
                .branches
                .get(index)
                .filter(|branch| branch.is_required() && branch.confirm().is_some())
            else {
                continue;
            };
            if let Err(lost) = branch.flush_boxed().await {
                failed += 1;
                first.get_or_insert_with(|| Arc::from(lost.to_string()));
            }
        }
        match first {
            None => Ok(receipt),
            Some(first) => Err(SendErrorKind::Partial {
                service: self.name.get(),
                failed,
                branches: self.branches.count(),
                first,
            }),
        }
    }

    fn reserve(self, encoded: &Encoded<'_, M>) -> Reserved {
        let this = match self.current() {
            Ok(this) => this,
            Err(error) => return Reserved::registry(error),
        };
        let mut outcome = Reserved::Room;
        // Members whose own policy dropped their copy: the others still get theirs.
        let mut dropped = 0;
        this.branches.with(&mut |branches| {
            for (index, branch) in branches
                .iter()
                .enumerate()
                .filter(|(_, branch)| branch.is_required())
            {
                match branch.reserve(encoded) {
                    Reserved::Room => {}
                    Reserved::Dropped(_) if index < usize::BITS as usize => dropped |= 1 << index,
                    other => {
                        for earlier in holding(&branches[..index], dropped) {
                            earlier.release(encoded);
                        }
                        outcome = other;
                        return;
                    }
                }
            }
        });
        if dropped != 0 {
            encoded.remember(self.place(), dropped);
        }
        outcome
    }

    /// Where the fan-out is: no two are in one place.
    fn place(self) -> usize {
        std::ptr::from_ref(self.name).addr()
    }

    fn release(self, encoded: &Encoded<'_, M>) {
        let dropped = encoded.recall(self.place()).unwrap_or_default();
        self.branches.with(&mut |branches| {
            for branch in holding(branches, dropped) {
                branch.release(encoded);
            }
        });
    }

    fn commit(self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        let mut result = Ok(Receipt::new(
            0,
            encoded.identity.unwrap_or_default().1,
            Level::Accepted,
        ));
        let dropped = encoded.recall(self.place()).unwrap_or_default();
        self.branches.with(&mut |branches| {
            for branch in holding(branches, dropped) {
                if let Err(kind) = branch.commit(encoded) {
                    result = Err(kind);
                }
            }
            for branch in branches.iter().filter(|branch| !branch.is_required()) {
                self.offer_optional(branch.sink(), encoded);
            }
        });
        self.counts.attempted.fetch_add(1, Ordering::Relaxed);
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        result
    }

    fn drop_copy(self) {
        self.branches.with(&mut |branches| {
            for branch in branches {
                branch.drop_copy();
            }
        });
    }

    fn confirm(self) -> Option<Level> {
        let mut level = None;
        self.branches
            .with(&mut |branches| level = branches.iter().find_map(|branch| branch.confirm()));
        level
    }

    fn room(self) -> BoxFuture<'a, Result<(), SendErrorKind>> {
        Box::pin(async move {
            for index in 0..self.branches.count() {
                if let Some(branch) = self
                    .branches
                    .get(index)
                    .filter(|branch| branch.is_required())
                {
                    branch.room().await?;
                }
            }
            Ok(())
        })
    }
}

pub(crate) fn unprovisioned(error: RegistryError) -> SendErrorKind {
    SendErrorKind::Registry {
        source: Arc::new(error),
    }
}

/// The required members that hold room for a copy: all but those of the indices in `dropped`.
fn holding<'a, 'b, M>(
    branches: &'a [Member<'b, M>],
    dropped: usize,
) -> impl Iterator<Item = &'a Member<'b, M>> {
    let has_dropped =
        move |index: usize| index < usize::BITS as usize && dropped & (1 << index) != 0;
    branches
        .iter()
        .enumerate()
        .filter(move |(index, branch)| branch.is_required() && !has_dropped(*index))
        .map(|(_, branch)| branch)
}

/// Closes all members one after another within one deadline.
pub(crate) async fn close_members<M: MessageType>(
    branches: &dyn Branches<M>,
    name: &Name,
    deadline: Duration,
    ledger: Ledger,
) -> DrainReport {
    let until = tokio::time::Instant::now() + deadline;
    let mut report = DrainReport {
        service: name.get(),
        ledger,
        undelivered: Vec::new(),
        last: None,
    };
    for index in 0..branches.count() {
        if let Some(branch) = branches.get(index) {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let of_member = branch.close_boxed(left).await;
            report.undelivered.extend(of_member.undelivered);
            report.last = report.last.or(of_member.last);
        }
    }
    report
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

impl<M: MessageType, B: Branches<M>> Branch<M> for FanOut<B> {
    fn reserve(&self, encoded: &Encoded<'_, M>) -> Reserved {
        self.built().reserve(encoded)
    }

    fn release(&self, encoded: &Encoded<'_, M>) {
        self.view().release(encoded);
    }

    fn commit(&self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        self.view().commit(encoded)
    }

    fn drop_copy(&self) {
        self.view::<M>().drop_copy();
    }

    fn confirm(&self) -> Option<Level> {
        self.view::<M>().confirm()
    }

    fn room(&self) -> BoxFuture<'_, Result<(), SendErrorKind>> {
        self.view::<M>().room()
    }

    fn as_branch(&self) -> &dyn Branch<M> {
        self
    }
}

impl<B> Generated for FanOut<B> {
    fn of_doubles(&mut self) {
        self.name.of_doubles();
    }
}

impl<B: AtLeastOnce> AtLeastOnce for FanOut<B> {}

impl<B> fmt::Debug for FanOut<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FanOut").field(&self.name.get()).finish()
    }
}
