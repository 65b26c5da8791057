//! Where a generated leaf finds its link: looked up in the registry at first use, or a double put in its place.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;

use crate::carried::{Carried, Slow};
use crate::clock::Instant;
use crate::composite::{Branch, Encoded, PATIENCE, Reserved};
use crate::dynamic::{DynMessageSink, DynSink};
use crate::error::{ConnectError, RegistryError, SendError, SendErrorKind};
use crate::ledger::Ledger;
use crate::life::SinkState;
use crate::message::MessageType;
use crate::receipt::{Level, Lost, Receipt};
use crate::registry::CompiledRegistry;
use crate::report::DrainReport;
use crate::service::{Compiled, Service};
use crate::sink::MessageSink;
use crate::testing::Recording;
use crate::transport::BoxFuture;

/// A link or its double.
pub(crate) enum Place<M> {
    Leaf(Carried<M>),
    Double(DynSink<M>),
}

/// See the module.
///
/// It carries what a service's tag says as values: everything below it is compiled once for a message type, however many
/// services carry that.
pub struct Slot<M> {
    place: OnceLock<Place<M>>,
    recording: Option<Recording<M>>,
    service: &'static str,
    registry: fn() -> &'static CompiledRegistry,
}

impl<M> Slot<M> {
    /// Slots for services of one registry, in this order: not yet looked up, no I/O, no allocation.
    #[must_use]
    pub const fn table<R: Compiled, const N: usize>(services: [&'static str; N]) -> [Self; N] {
        let mut table = [const {
            Self {
                place: OnceLock::new(),
                recording: None,
                service: "",
                registry: R::registry,
            }
        }; N];
        let mut place = 0;
        while place < N {
            table[place].service = services[place];
            place += 1;
        }
        table
    }

    /// `sink` in the place of a service.
    pub(crate) fn doubled<T: Service>(sink: DynSink<M>) -> Self {
        Self {
            place: OnceLock::from(Place::Double(sink)),
            recording: None,
            service: T::NAME,
            registry: <T::Registry as Compiled>::registry,
        }
    }

    pub(crate) fn recorded(&self) -> Option<&Recording<M>> {
        self.recording.as_ref()
    }
}

impl<M: Send + 'static> Slot<M> {
    /// A double that keeps what it is sent.
    pub(crate) fn recording<T: Service>() -> Self {
        let recording = Recording::new();
        Self {
            recording: Some(recording.clone()),
            ..Self::doubled::<T>(DynSink::new(recording))
        }
    }
}

impl<M: MessageType> Slot<M> {
    #[inline]
    pub(crate) fn place(&self) -> Result<&Place<M>, RegistryError> {
        match self.place.get() {
            Some(place) => Ok(place),
            None => self.find(),
        }
    }

    #[cold]
    fn find(&self) -> Result<&Place<M>, RegistryError> {
        // Two callers may race here; the registry gives both the same link.
        let leaf = (self.registry)().leaf::<M>(self.service)?;
        Ok(self.place.get_or_init(|| Place::Leaf(leaf)))
    }

    /// The place, if it was ever used: closing or asking for the state needs no link.
    pub(crate) fn used(&self) -> Option<&Place<M>> {
        self.place.get()
    }

    /// Where every message is.
    pub(crate) fn ledger(&self) -> Ledger {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.ledger(),
            _ => Ledger::default(),
        }
    }

    /// A watch on the state; `None` for a double.
    pub(crate) fn states(&self) -> Result<Option<watch::Receiver<SinkState>>, RegistryError> {
        Ok(match self.place()? {
            Place::Leaf(leaf) => Some(leaf.states()),
            Place::Double(_) => None,
        })
    }
}

impl<M: MessageType> MessageSink<M> for Slot<M> {
    // Inlined whatever the compiler thinks: the future is then built where it is polled, and not copied out of three calls.
    #[inline(always)]
    #[allow(refining_impl_trait)]
    fn send(&self, message: M) -> LeafSend<'_, M> {
        LeafSend {
            message: Some(message),
            slot: self,
            slow: None,
            begun: false,
        }
    }

    #[inline]
    fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.try_send(message),
            Ok(Place::Double(double)) => double.try_send(message),
            Err(error) => Err(unprovisioned(error, message)),
        }
    }

    #[inline]
    fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.send_now(message),
            Ok(Place::Double(double)) => double.send_now(message),
            Err(error) => Ok(Err(unprovisioned(error, message))),
        }
    }

    async fn ready(&self) {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.ready().await,
            Ok(Place::Double(double)) => double.ready().await,
            Err(_) => {}
        }
    }

    async fn settled(&self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.settled(receipt, level).await,
            Some(Place::Double(double)) => double.settled(receipt, level).await,
            None => Err(Lost::Unknown {
                service: Arc::from(self.service),
                sequence: receipt.sequence(),
            }),
        }
    }

    async fn flush(&self) -> Result<(), Lost> {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.flush().await,
            Some(Place::Double(double)) => double.flush().await,
            None => Ok(()),
        }
    }

    async fn connect(&self) -> Result<(), ConnectError> {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.connect().await,
            Ok(Place::Double(double)) => double.connect().await,
            Err(error) => Err(ConnectError::Registry {
                source: Arc::new(error),
            }),
        }
    }

    async fn disconnect(&self) -> Result<(), ConnectError> {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.disconnect().await,
            Some(Place::Double(double)) => double.disconnect().await,
            None => Ok(()),
        }
    }

    async fn close(&self, deadline: Duration) -> DrainReport {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.close(deadline).await,
            Ok(Place::Double(double)) => double.close(deadline).await,
            Err(_) => DrainReport::default(),
        }
    }

    fn state(&self) -> SinkState {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.state(),
            Some(Place::Double(double)) => double.state(),
            None => SinkState::Idle,
        }
    }
}

pub(crate) fn unprovisioned<M>(error: RegistryError, message: M) -> SendError<M> {
    SendError::new(
        SendErrorKind::Registry {
            source: Arc::new(error),
        },
        Some(message),
    )
}

/// The future of a send through a generated leaf: the message, held once, and what waits, on the heap. Flat, because each layer of
/// an enum in an enum would move the message, and check for what is not there when it is dropped (together a third of a send).
pub struct LeafSend<'a, M> {
    message: Option<M>,
    slot: &'a Slot<M>,
    slow: Option<Box<Slow<'a, M>>>,
    begun: bool,
}

impl<M> Unpin for LeafSend<'_, M> {}

impl<M> fmt::Debug for LeafSend<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LeafSend").field(&self.slot.service).finish()
    }
}

impl<M: MessageType> Future for LeafSend<'_, M> {
    type Output = Result<Receipt, SendError<M>>;

    // In a build without optimisation rustc obeys too, and would compile all of this anew for every `.await`: half of what a
    // thousand sends cost.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.begun {
            return this.poll_slow(cx);
        }
        let answer = match this.slot.place() {
            Ok(Place::Leaf(leaf)) => leaf.poll_first(&mut this.message, &mut this.slow, cx),
            Ok(Place::Double(double)) => this.poll_double(double, cx),
            Err(error) => this.poll_failed(error),
        };
        // Where the task's budget is spent nothing has begun: the next poll is the first.
        this.begun = answer.is_ready() || this.slow.is_some();
        answer
    }
}

impl<'a, M: MessageType> LeafSend<'a, M> {
    #[cold]
    fn poll_slow(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receipt, SendError<M>>> {
        match &mut self.slow {
            Some(slow) => slow.poll(&mut self.message, cx),
            None => Poll::Pending,
        }
    }

    #[cold]
    fn poll_double(
        &mut self,
        double: &'a DynSink<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        let Some(message) = self.message.take() else {
            return Poll::Pending;
        };
        let send = Box::new(Slow::Double(double.send_boxed(message)));
        self.slow.insert(send).poll(&mut self.message, cx)
    }

    #[cold]
    fn poll_failed(&mut self, error: RegistryError) -> Poll<Result<Receipt, SendError<M>>> {
        match self.message.take() {
            Some(message) => Poll::Ready(Err(unprovisioned(error, message))),
            None => Poll::Pending,
        }
    }
}

impl<M: MessageType> Branch<M> for Slot<M> {
    fn reserve(&self, encoded: &Encoded<'_, M>) -> Reserved {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.reserve(encoded),
            Ok(Place::Double(double)) => double.reserve(encoded),
            Err(error) => Reserved::registry(error),
        }
    }

    fn release(&self, encoded: &Encoded<'_, M>) {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.release(encoded),
            Some(Place::Double(double)) => double.release(encoded),
            None => {}
        }
    }

    fn commit(&self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.commit(encoded),
            Ok(Place::Double(double)) => double.commit(encoded),
            Err(error) => Err(SendErrorKind::Registry {
                source: Arc::new(error),
            }),
        }
    }

    fn drop_copy(&self) {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.drop_copy(),
            Ok(Place::Double(double)) => Branch::drop_copy(double),
            Err(_) => {}
        }
    }

    fn drop_newest(&self) -> Option<Receipt> {
        match self.used()? {
            Place::Leaf(leaf) => Some(leaf.drop_newest()),
            Place::Double(double) => double.drop_newest(),
        }
    }

    fn confirm(&self) -> Option<Level> {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.confirm(),
            Some(Place::Double(double)) => double.confirm(),
            None => None,
        }
    }

    fn confirmed(&self, receipt: Receipt) -> Option<BoxFuture<'_, Result<(), Lost>>> {
        match self.used()? {
            Place::Leaf(leaf) => leaf.confirmed(receipt),
            Place::Double(double) => double.confirmed(receipt),
        }
    }

    fn room(&self, since: Instant) -> BoxFuture<'_, Result<(), SendErrorKind>> {
        match self.place() {
            Ok(Place::Leaf(leaf)) => Box::pin(leaf.room(since)),
            Ok(Place::Double(double)) => double.room(since),
            Err(_) => Box::pin(std::future::ready(Ok(()))),
        }
    }

    fn gave(&self, receipt: Receipt) -> Option<bool> {
        match self.used() {
            Some(Place::Leaf(leaf)) => Some(leaf.id() == receipt.link()),
            Some(Place::Double(double)) => double.gave(receipt),
            None => Some(false),
        }
    }

    fn patience(&self) -> Option<Duration> {
        match self.place() {
            Ok(Place::Leaf(leaf)) => leaf.patience(),
            Ok(Place::Double(double)) => double.patience(),
            Err(_) => Some(PATIENCE),
        }
    }

    fn as_branch(&self) -> &dyn Branch<M> {
        self
    }
}

impl<M> fmt::Debug for Slot<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.service).finish()
    }
}

/// Gives a generated leaf type its sink: both kinds are one link, told apart by what the registry says of them.
///
/// The tag `T` ends here: whatever is called is a method of the slot, which has no tag.
macro_rules! leaf_sink {
    ($name:ident) => {
        impl<M: 'static, T: $crate::LeafService<M>> $name<M, T> {
            #[inline(always)]
            fn slot() -> &'static $crate::Slot<M> {
                &<T::Leaves as $crate::Leaves<M>>::slots()[T::PLACE]
            }
        }

        impl<M: $crate::MessageType, T: $crate::LeafService<M>> $name<M, T> {
            /// Where every message is.
            #[must_use]
            pub fn ledger(&self) -> $crate::Ledger {
                Self::slot().ledger()
            }

            /// A watch on the state; `None` for a double.
            ///
            /// # Errors
            /// If the registry has no such service.
            pub fn states(
                &self,
            ) -> Result<
                Option<tokio::sync::watch::Receiver<$crate::SinkState>>,
                $crate::RegistryError,
            > {
                Self::slot().states()
            }

            /// Sends from code outside a runtime, waiting on this thread; the link is driven by a runtime elsewhere.
            ///
            /// # Errors
            /// As [`MessageSink::send`]($crate::MessageSink::send).
            pub fn blocking_send(
                &self,
                message: M,
            ) -> Result<$crate::Receipt, $crate::SendError<M>> {
                $crate::blocking::wait($crate::MessageSink::send(Self::slot(), message))
            }
        }

        impl<M: $crate::MessageType, T: $crate::LeafService<M>> $crate::MessageSink<M>
            for $name<M, T>
        {
            $crate::sink::forward_sink!(self => *Self::slot());

            // Says all it does itself: without optimisation each function that it called would be compiled for each service.
            #[inline(always)]
            #[allow(refining_impl_trait)]
            fn of_lazy(lazy: &$crate::Lazy<Self>) -> &$crate::Slot<M> {
                match &lazy.inner.opens {
                    None => &<T::Leaves as $crate::Leaves<M>>::slots()[T::PLACE],
                    Some(instead) => instead.double(),
                }
            }
        }

        impl<M: $crate::MessageType, T: $crate::LeafService<M>> $crate::composite::Branch<M>
            for $name<M, T>
        {
            $crate::composite::forward_branch!(self => *Self::slot());

            fn of_lazy(lazy: &$crate::Lazy<Self>) -> &dyn $crate::composite::Branch<M> {
                <Self as $crate::MessageSink<M>>::of_lazy(lazy)
            }
        }

        impl<M, T: $crate::PromisesAtLeastOnce> $crate::AtLeastOnce for $name<M, T> {}

        impl<M, T: $crate::Service> std::fmt::Debug for $name<M, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&T::NAME).finish()
            }
        }
    };
}
pub(crate) use leaf_sink;
