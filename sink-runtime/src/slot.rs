//! Where a generated leaf finds its link: looked up in the registry at first use, or a double put in its place.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::carried::{Carried, CarriedSend};
use crate::dynamic::{DynMessageSink, DynSink};
use crate::error::{ConnectError, RegistryError, SendError, SendErrorKind};
use crate::life::SinkState;
use crate::message::MessageType;
use crate::receipt::{Level, Lost, Receipt};
use crate::report::DrainReport;
use crate::service::Service;
use crate::sink::MessageSink;
use crate::testing::Recording;
use crate::transport::BoxFuture;

/// A link or its double.
pub(crate) enum Place<M> {
    Leaf(Carried<M>),
    Double(DynSink<M>),
}

/// See the module.
pub(crate) struct Slot<M> {
    place: OnceLock<Place<M>>,
    recording: Option<Recording<M>>,
}

impl<M> Slot<M> {
    pub(crate) const fn new() -> Self {
        Self {
            place: OnceLock::new(),
            recording: None,
        }
    }

    pub(crate) fn double(sink: DynSink<M>) -> Self {
        Self {
            place: OnceLock::from(Place::Double(sink)),
            recording: None,
        }
    }

    pub(crate) fn recorded(&self) -> Option<&Recording<M>> {
        self.recording.as_ref()
    }
}

impl<M: MessageType> Slot<M> {
    /// A double that keeps what it is sent.
    pub(crate) fn recording() -> Self {
        let recording = Recording::new();
        Self {
            place: OnceLock::from(Place::Double(DynSink::new(recording.clone()))),
            recording: Some(recording),
        }
    }

    #[inline]
    pub(crate) fn place<T: Service>(&self) -> Result<&Place<M>, RegistryError> {
        match self.place.get() {
            Some(place) => Ok(place),
            None => self.find::<T>(),
        }
    }

    #[cold]
    fn find<T: Service>(&self) -> Result<&Place<M>, RegistryError> {
        // Two callers may race here; the registry gives both the same link.
        let leaf = T::registry().leaf::<M>(T::NAME)?;
        Ok(self.place.get_or_init(|| Place::Leaf(leaf)))
    }

    /// The place, if it was ever used: closing or asking for the state needs no link.
    pub(crate) fn used(&self) -> Option<&Place<M>> {
        self.place.get()
    }

    // Inlined whatever the compiler thinks: the future is then built where it is polled, and not copied out of three calls.
    #[inline(always)]
    pub(crate) fn send<T: Service>(&self, message: M) -> LeafSend<'_, M> {
        match self.place::<T>() {
            Ok(Place::Leaf(leaf)) => LeafSend {
                message: Some(message),
                way: Way::Leaf(leaf.begin()),
            },
            Ok(Place::Double(double)) => LeafSend {
                message: None,
                way: Way::Double(double.send_boxed(message)),
            },
            Err(error) => LeafSend {
                message: None,
                way: Way::Failed(Some(unprovisioned(error, message))),
            },
        }
    }

    #[inline]
    pub(crate) fn try_send<T: Service>(&self, message: M) -> Result<Receipt, SendError<M>> {
        match self.place::<T>() {
            Ok(Place::Leaf(leaf)) => leaf.try_send(message),
            Ok(Place::Double(double)) => double.try_send(message),
            Err(error) => Err(unprovisioned(error, message)),
        }
    }

    #[inline]
    pub(crate) fn send_now<T: Service>(
        &self,
        message: M,
    ) -> Result<Result<Receipt, SendError<M>>, M> {
        match self.place::<T>() {
            Ok(Place::Leaf(leaf)) => leaf.send_now(message),
            Ok(Place::Double(double)) => double.send_now(message),
            Err(error) => Ok(Err(unprovisioned(error, message))),
        }
    }

    pub(crate) async fn ready<T: Service>(&self) {
        match self.place::<T>() {
            Ok(Place::Leaf(leaf)) => leaf.ready().await,
            Ok(Place::Double(double)) => double.ready().await,
            Err(_) => {}
        }
    }

    pub(crate) async fn settled<T: Service>(
        &self,
        receipt: Receipt,
        level: Level,
    ) -> Result<Level, Lost> {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.settled(receipt, level).await,
            Some(Place::Double(double)) => double.settled(receipt, level).await,
            None => Err(Lost::Unknown {
                service: Arc::from(T::NAME),
                sequence: receipt.sequence(),
            }),
        }
    }

    pub(crate) async fn flush(&self) -> Result<(), Lost> {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.flush().await,
            Some(Place::Double(double)) => double.flush().await,
            None => Ok(()),
        }
    }

    pub(crate) async fn connect<T: Service>(&self) -> Result<(), ConnectError> {
        match self.place::<T>() {
            Ok(Place::Leaf(leaf)) => leaf.connect().await,
            Ok(Place::Double(double)) => double.connect().await,
            Err(error) => Err(ConnectError::Registry {
                source: Arc::new(error),
            }),
        }
    }

    pub(crate) async fn disconnect(&self) -> Result<(), ConnectError> {
        match self.used() {
            Some(Place::Leaf(leaf)) => leaf.disconnect().await,
            Some(Place::Double(double)) => double.disconnect().await,
            None => Ok(()),
        }
    }

    pub(crate) async fn close<T: Service>(&self, deadline: Duration) -> DrainReport {
        match self.place::<T>() {
            Ok(Place::Leaf(leaf)) => leaf.close(deadline).await,
            Ok(Place::Double(double)) => double.close(deadline).await,
            Err(_) => DrainReport::default(),
        }
    }

    pub(crate) fn state(&self) -> SinkState {
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

/// The future of a send through a generated leaf. It holds the message once, apart from the way it goes: in an enum within
/// an enum each layer would move it (measured at 256 B: a fifth of a send).
pub(crate) struct LeafSend<'a, M> {
    message: Option<M>,
    way: Way<'a, M>,
}

enum Way<'a, M> {
    Leaf(CarriedSend<'a, M>),
    Double(BoxFuture<'a, Result<Receipt, SendError<M>>>),
    Failed(Option<SendError<M>>),
}

impl<M> Unpin for LeafSend<'_, M> {}

impl<M: MessageType> Future for LeafSend<'_, M> {
    type Output = Result<Receipt, SendError<M>>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match &mut this.way {
            Way::Leaf(send) => send.poll(&mut this.message, cx),
            Way::Double(send) => send.as_mut().poll(cx),
            Way::Failed(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
        }
    }
}

/// Gives a generated leaf type its sink: both kinds are one link, told apart by what the registry says of them.
macro_rules! leaf_sink {
    ($name:ident) => {
        impl<M, T> $name<M, T> {
            /// Not yet looked up in the registry: no I/O, no allocation.
            pub(crate) const fn unopened() -> Self {
                Self {
                    slot: $crate::slot::Slot::new(),
                    service: std::marker::PhantomData,
                }
            }

            /// What a recording double has kept.
            pub(crate) fn recorded(&self) -> Option<&$crate::testing::Recording<M>> {
                self.slot.recorded()
            }

            /// A double in the service's place.
            pub(crate) fn double(sink: $crate::DynSink<M>) -> Self {
                Self {
                    slot: $crate::slot::Slot::double(sink),
                    service: std::marker::PhantomData,
                }
            }
        }

        impl<M: $crate::MessageType, T> $name<M, T> {
            /// A double that keeps what it is sent.
            pub(crate) fn recording() -> Self {
                Self {
                    slot: $crate::slot::Slot::recording(),
                    service: std::marker::PhantomData,
                }
            }
        }

        impl<M: $crate::MessageType, T: $crate::Service> $name<M, T> {
            /// Where every message is.
            #[must_use]
            pub fn ledger(&self) -> $crate::Ledger {
                match self.slot.used() {
                    Some($crate::slot::Place::Leaf(leaf)) => leaf.ledger(),
                    _ => $crate::Ledger::default(),
                }
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
                Ok(match self.slot.place::<T>()? {
                    $crate::slot::Place::Leaf(leaf) => Some(leaf.states()),
                    $crate::slot::Place::Double(_) => None,
                })
            }

            /// Sends from code outside a runtime, waiting on this thread; the link is driven by a runtime elsewhere.
            ///
            /// # Errors
            /// As [`MessageSink::send`]($crate::MessageSink::send).
            pub fn blocking_send(
                &self,
                message: M,
            ) -> Result<$crate::Receipt, $crate::SendError<M>> {
                $crate::blocking::wait(self.slot.send::<T>(message))
            }
        }

        impl<M: $crate::MessageType, T: $crate::Service> $crate::MessageSink<M> for $name<M, T> {
            #[inline(always)]
            fn send(
                &self,
                message: M,
            ) -> impl Future<Output = Result<$crate::Receipt, $crate::SendError<M>>> + Send {
                self.slot.send::<T>(message)
            }
            #[inline]
            fn try_send(&self, message: M) -> Result<$crate::Receipt, $crate::SendError<M>> {
                self.slot.try_send::<T>(message)
            }
            #[inline]
            fn send_now(
                &self,
                message: M,
            ) -> Result<Result<$crate::Receipt, $crate::SendError<M>>, M> {
                self.slot.send_now::<T>(message)
            }
            fn ready(&self) -> impl Future<Output = ()> + Send {
                self.slot.ready::<T>()
            }
            fn settled(
                &self,
                receipt: $crate::Receipt,
                level: $crate::Level,
            ) -> impl Future<Output = Result<$crate::Level, $crate::Lost>> + Send {
                self.slot.settled::<T>(receipt, level)
            }
            fn flush(&self) -> impl Future<Output = Result<(), $crate::Lost>> + Send {
                self.slot.flush()
            }
            fn connect(&self) -> impl Future<Output = Result<(), $crate::ConnectError>> + Send {
                self.slot.connect::<T>()
            }
            fn disconnect(&self) -> impl Future<Output = Result<(), $crate::ConnectError>> + Send {
                self.slot.disconnect()
            }
            fn close(
                &self,
                deadline: std::time::Duration,
            ) -> impl Future<Output = $crate::DrainReport> + Send {
                self.slot.close::<T>(deadline)
            }
            fn state(&self) -> $crate::SinkState {
                self.slot.state()
            }
        }

        impl<M: $crate::MessageType, T: $crate::Service> $crate::composite::Branch<M>
            for $name<M, T>
        {
            fn reserve(
                &self,
                encoded: &$crate::composite::Encoded<'_, M>,
            ) -> $crate::composite::Reserved {
                match self.slot.place::<T>() {
                    Ok($crate::slot::Place::Leaf(leaf)) => leaf.reserve(encoded),
                    Ok($crate::slot::Place::Double(double)) => double.reserve(encoded),
                    Err(error) => $crate::composite::Reserved::registry(error),
                }
            }
            fn release(&self, encoded: &$crate::composite::Encoded<'_, M>) {
                match self.slot.used() {
                    Some($crate::slot::Place::Leaf(leaf)) => leaf.release(encoded),
                    Some($crate::slot::Place::Double(double)) => double.release(encoded),
                    None => {}
                }
            }
            fn commit(
                &self,
                encoded: &$crate::composite::Encoded<'_, M>,
            ) -> Result<$crate::Receipt, $crate::SendErrorKind> {
                match self.slot.place::<T>() {
                    Ok($crate::slot::Place::Leaf(leaf)) => leaf.commit(encoded),
                    Ok($crate::slot::Place::Double(double)) => double.commit(encoded),
                    Err(error) => Err($crate::SendErrorKind::Registry {
                        source: std::sync::Arc::new(error),
                    }),
                }
            }
            fn drop_copy(&self) {
                match self.slot.place::<T>() {
                    Ok($crate::slot::Place::Leaf(leaf)) => leaf.drop_copy(),
                    Ok($crate::slot::Place::Double(double)) => {
                        $crate::composite::Branch::drop_copy(double);
                    }
                    Err(_) => {}
                }
            }
            fn confirm(&self) -> Option<$crate::Level> {
                match self.slot.used() {
                    Some($crate::slot::Place::Leaf(leaf)) => leaf.confirm(),
                    _ => None,
                }
            }
            fn room(&self) -> $crate::transport::BoxFuture<'_, Result<(), $crate::SendErrorKind>> {
                match self.slot.place::<T>() {
                    Ok($crate::slot::Place::Leaf(leaf)) => Box::pin(leaf.room()),
                    Ok($crate::slot::Place::Double(double)) => double.room(),
                    Err(_) => Box::pin(std::future::ready(Ok(()))),
                }
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
