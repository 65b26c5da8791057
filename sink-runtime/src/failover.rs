//! Each message to the first healthy member, in order.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Instant;
use crate::composite::view::{Name, composite_sink, confirm, decided, each, unprovisioned};
use crate::composite::{Branch, Branches, Choice, Encoded, Member, Reserved, longest};
use crate::error::{ConnectError, SendError, SendErrorKind};
use crate::ledger::Ledger;
use crate::life::SinkState;
use crate::message::MessageType;
use crate::receipt::{Level, Lost, Receipt};
use crate::registry::CompiledRegistry;
use crate::sink::AtLeastOnce;
use crate::transport::BoxFuture;

/// Sends each message to the first member whose link is not in backoff.
///
/// With all of them in backoff, messages wait in the first one's buffer, within its bounds. What a member has accepted stays with it.
pub struct Failover<B> {
    name: Name,
    branches: B,
}

/// A failover without the type of its branches: what it does is compiled once for a message type.
struct View<'a, M> {
    name: &'a Name,
    branches: &'a dyn Branches<M>,
}

impl<B> Failover<B> {
    /// A generated failover; does nothing.
    #[must_use]
    pub const fn compiled(
        name: &'static str,
        registry: &'static CompiledRegistry,
        branches: B,
    ) -> Self {
        Self {
            name: Name::Static(name, registry),
            branches,
        }
    }

    /// A failover over these members, most wanted first.
    #[must_use]
    pub fn new(branches: B) -> Self {
        Self::named(Arc::from("failover"), branches)
    }

    pub(crate) fn named(name: Arc<str>, branches: B) -> Self {
        Self {
            name: Name::Owned(name),
            branches,
        }
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
        }
    }
}

fn is_healthy(state: &SinkState) -> bool {
    match state {
        SinkState::Backoff { .. } | SinkState::Closed | SinkState::Draining => false,
        // One that tries again after a failure is not healthy because it tries.
        SinkState::Connecting { attempt } => *attempt <= 1,
        SinkState::Idle | SinkState::Ready => true,
    }
}

impl<'a, M: MessageType> View<'a, M> {
    /// The member that the next message goes to.
    fn chosen(self) -> Option<&'a dyn Branch<M>> {
        self.member(self.choose())
    }

    fn member(self, index: usize) -> Option<&'a dyn Branch<M>> {
        self.branches.get(index).map(|member| member.sink())
    }

    fn choose(self) -> usize {
        let healthy = |index: &usize| {
            self.member(*index)
                .is_some_and(|branch| is_healthy(&branch.state_of()))
        };
        (0..self.branches.count()).find(healthy).unwrap_or_default()
    }

    /// The member for the next message of a caller.
    fn next(self) -> Result<&'a dyn Branch<M>, SendErrorKind> {
        let this = self.current().map_err(unprovisioned)?;
        this.chosen().ok_or_else(|| self.empty())
    }

    fn empty(self) -> SendErrorKind {
        SendErrorKind::Closed {
            service: self.name.get(),
        }
    }

    /// Where the failover is: no two are in one place.
    fn identity(self) -> usize {
        std::ptr::from_ref(self.name).addr()
    }

    async fn send(self, message: M) -> Result<Receipt, SendError<M>> {
        tokio::task::coop::consume_budget().await;
        let branch = match self.next() {
            Ok(branch) => branch,
            Err(kind) => return Err(SendError::new(kind, Some(message))),
        };
        match branch.send_now_dyn(message) {
            Ok(answer) => answer,
            // Few wait: only they are on the heap.
            Err(message) => branch.send_boxed(message).await,
        }
    }

    fn try_send(self, message: M) -> Result<Receipt, SendError<M>> {
        match self.next() {
            Ok(branch) => branch.try_send_dyn(message),
            Err(kind) => Err(SendError::new(kind, Some(message))),
        }
    }

    fn send_now(self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        match self.next() {
            Ok(branch) => branch.send_now_dyn(message),
            Err(kind) => Ok(Err(SendError::new(kind, Some(message)))),
        }
    }

    async fn ready(self) {
        if let Ok(branch) = self.next() {
            branch.ready_boxed().await;
        }
    }

    async fn settled(self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        // Whoever gave the receipt answers, also after a switch; sinks of another make are asked if nobody says that it did.
        let mut unsure = Vec::new();
        for branch in each(self.branches).map(|member| member.sink()) {
            match branch.gave(receipt) {
                Some(true) => return branch.settled_boxed(receipt, level).await,
                Some(false) => {}
                None => unsure.push(branch),
            }
        }
        let mut answer = Err(Lost::Unknown {
            service: self.name.get(),
            sequence: receipt.sequence(),
        });
        for branch in unsure {
            match branch.settled_boxed(receipt, level).await {
                Ok(level) => return Ok(level),
                Err(Lost::Unknown { .. }) => {}
                lost => answer = lost,
            }
        }
        answer
    }

    /// Whether one of its members gave it.
    fn gave(self, receipt: Receipt) -> Option<bool> {
        let mut gave = Some(false);
        self.branches.with(&mut |branches| {
            for branch in branches {
                match branch.gave(receipt) {
                    Some(true) => {
                        gave = Some(true);
                        return;
                    }
                    Some(false) => {}
                    None => gave = None,
                }
            }
        });
        gave
    }

    async fn flush(self) -> Result<(), Lost> {
        let flushes = each(self.branches).map(|one| (one.sink().flush_boxed(), true));
        decided(flushes.collect()).await
    }

    async fn connect(self) -> Result<(), ConnectError> {
        let this = self.current().map_err(|source| ConnectError::Registry {
            source: Arc::new(source),
        })?;
        // One that is closed is opened whoever answers: it would never be failed over to.
        let is_closed = |one: &Member<'_, M>| matches!(one.state_of(), SinkState::Closed);
        let closed = each(this.branches).filter(is_closed);
        let opened = closed.map(|one| (one.sink().connect_boxed(), false));
        let mut opened = opened.collect::<Vec<_>>();
        let first = async {
            let mut last = Ok(());
            for branch in each(this.branches) {
                last = branch.connect_boxed().await;
                if last.is_ok() {
                    break;
                }
            }
            last
        };
        opened.push((Box::pin(first), true));
        decided(opened).await
    }

    /// It counts nothing itself: each message is one member's.
    fn counted(self) -> Ledger {
        Ledger::default()
    }

    fn state(self) -> SinkState {
        self.chosen()
            .map_or(SinkState::Closed, |branch| branch.state_of())
    }

    fn reserve(self, encoded: &Encoded<'_, M>) -> Reserved {
        let this = match self.current() {
            Ok(this) => this,
            Err(error) => return Reserved::registry(error),
        };
        let index = this.choose();
        let Some(branch) = this.member(index) else {
            return Reserved::Refused(self.empty());
        };
        let reserved = branch.reserve(encoded);
        if matches!(reserved, Reserved::Room | Reserved::Untried) {
            // The choice may change before the commit: the room is where it was set aside.
            encoded.remember(self.identity(), Choice::Member(index));
        }
        reserved
    }

    /// The member that was chosen when the room was set aside.
    fn chosen_then(self, encoded: &Encoded<'_, M>) -> Option<&'a dyn Branch<M>> {
        match encoded.recall(self.identity()) {
            Some(Choice::Member(index)) => self.member(index),
            _ => None,
        }
    }

    fn release(self, encoded: &Encoded<'_, M>) {
        if let Some(branch) = self.chosen_then(encoded) {
            branch.release(encoded);
        }
    }

    fn commit(self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        match self.chosen_then(encoded) {
            Some(branch) => branch.commit(encoded),
            None => Err(self.empty()),
        }
    }

    fn drop_copy(self) {
        if let Some(branch) = self.chosen() {
            branch.drop_copy();
        }
    }

    fn drop_newest(self) -> Option<Receipt> {
        self.chosen()?.drop_newest()
    }

    fn confirm(self) -> Option<Level> {
        confirm(self.branches)
    }

    /// As the member asks that took the message.
    fn confirmed_within(self, receipt: Receipt) -> Option<BoxFuture<'a, Result<(), Lost>>> {
        let mut branches = each(self.branches).map(|member| member.sink());
        let took = branches.find(|branch| branch.gave(receipt) == Some(true));
        took?.confirmed(receipt)
    }

    fn room(self, since: Instant) -> BoxFuture<'a, Result<(), SendErrorKind>> {
        match self.chosen() {
            Some(branch) => branch.room(since),
            None => Box::pin(std::future::ready(Err(self.empty()))),
        }
    }

    /// Whichever of them it turns to.
    fn patience(self) -> Option<Duration> {
        let mut patience = None;
        self.branches.with(&mut |branches| {
            patience = longest(branches.iter().map(|branch| branch.patience()));
        });
        patience
    }
}

composite_sink!(Failover);

impl<B: AtLeastOnce> AtLeastOnce for Failover<B> {}
