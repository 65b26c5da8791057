//! What the composites share: a name, what they do with all of their members, and the sink that each is by its view, which is a
//! composite without the type of its branches: what it does is compiled once for a message type.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::composite::{Branches, Member};
use crate::error::{ConnectError, RegistryError, SendErrorKind};
use crate::message::MessageType;
use crate::receipt::Level;
use crate::registry::CompiledRegistry;
use crate::report::DrainReport;
use crate::transport::BoxFuture;

/// What a composite is called, and who may have changed it since it was built.
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

/// Why a composite of this registry cannot send.
pub(crate) fn unprovisioned(error: RegistryError) -> SendErrorKind {
    SendErrorKind::Registry {
        source: Arc::new(error),
    }
}

/// A composite's members, in order; for what waits for one before it turns to the next.
pub(crate) fn each<M>(branches: &dyn Branches<M>) -> impl Iterator<Item = Member<'_, M>> {
    (0..branches.count()).filter_map(|index| branches.get(index))
}

/// Waits for all of them at once; their answers in the same order.
pub(crate) async fn all<T>(futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut answers: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    let mut futures: Vec<_> = futures.into_iter().map(Some).collect();
    poll_fn(|cx| {
        for (slot, answer) in futures.iter_mut().zip(&mut answers) {
            if let Some(future) = slot
                && let Poll::Ready(done) = future.as_mut().poll(cx)
            {
                *answer = Some(done);
                *slot = None;
            }
        }
        if futures.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// Waits for those that decide until one fails or all are done. The others are begun with them, and not waited for.
pub(crate) async fn decided<E>(mut futures: Vec<Deciding<'_, E>>) -> Result<(), E> {
    poll_fn(|cx| {
        let mut failed = None;
        // All of them, each time: what fails must not keep another from being begun.
        futures.retain_mut(|(future, decides)| match future.as_mut().poll(cx) {
            Poll::Ready(Err(error)) if *decides => {
                failed.get_or_insert(error);
                false
            }
            answer => answer.is_pending(),
        });
        match failed {
            Some(error) => Poll::Ready(Err(error)),
            None if futures.iter().any(|(_, decides)| *decides) => Poll::Pending,
            None => Poll::Ready(Ok(())),
        }
    })
    .await
}

/// What any of the members' own `confirm` asks for.
pub(crate) fn confirm<M>(branches: &dyn Branches<M>) -> Option<Level> {
    each(branches).find_map(|branch| branch.confirm())
}

/// Something asked of a member, and whether its answer is waited for.
pub(crate) type Deciding<'a, E> = (BoxFuture<'a, Result<(), E>>, bool);

/// Closes all members at once: whichever a message would go to, it is refused from here on, and a slow one takes no other's time.
pub(crate) async fn close_members<M: MessageType>(
    branches: &dyn Branches<M>,
    name: &Name,
    deadline: Duration,
) -> DrainReport {
    let mut report = DrainReport {
        service: name.get(),
        ..DrainReport::default()
    };
    let closing = each(branches).map(|branch| branch.sink().close_boxed(deadline));
    for of_member in all(closing.collect()).await {
        report.undelivered.extend(of_member.undelivered);
        report.last = report.last.or(of_member.last);
    }
    report
}

/// Disconnects all members at once, also if one fails.
pub(crate) async fn disconnect_members<M: MessageType>(
    branches: &dyn Branches<M>,
) -> Result<(), ConnectError> {
    let parting = each(branches).map(|branch| branch.sink().disconnect_boxed());
    all(parting.collect()).await.into_iter().collect()
}

/// The sink and the branch that a composite is, by its view. What sends or connects asks for the members in force itself, and is told
/// why there are none; all else is asked of those that messages went to.
macro_rules! composite_sink {
    ($composite:ident) => {
        impl<B> $composite<B> {
            /// With the members that messages went to.
            #[inline]
            fn view<M: $crate::MessageType>(&self) -> View<'_, M>
            where
                B: $crate::Branches<M>,
            {
                let built = self.built();
                View {
                    branches: self.name.used(built.branches),
                    ..built
                }
            }
        }

        impl<M: $crate::MessageType> View<'_, M> {
            /// With the members in force, for what needs them.
            fn current(mut self) -> Result<Self, $crate::RegistryError> {
                self.branches = self.name.members(self.branches)?;
                Ok(self)
            }
        }

        impl<B> $crate::composite::Generated for $composite<B> {
            fn of_doubles(&mut self) {
                self.name.of_doubles();
            }
        }

        impl<M: $crate::MessageType, B: $crate::Branches<M>> $crate::MessageSink<M> for $composite<B> {
            fn send(&self, message: M) -> impl std::future::Future<Output = Result<$crate::Receipt, $crate::SendError<M>>> + Send {
                self.built().send(message)
            }

            fn try_send(&self, message: M) -> Result<$crate::Receipt, $crate::SendError<M>> {
                self.built().try_send(message)
            }

            fn send_now(&self, message: M) -> Result<Result<$crate::Receipt, $crate::SendError<M>>, M> {
                self.built().send_now(message)
            }

            fn ready(&self) -> impl std::future::Future<Output = ()> + Send {
                self.built().ready()
            }

            fn settled(
                &self,
                receipt: $crate::Receipt,
                level: $crate::Level,
            ) -> impl std::future::Future<Output = Result<$crate::Level, $crate::Lost>> + Send {
                self.view::<M>().settled(receipt, level)
            }

            fn flush(&self) -> impl std::future::Future<Output = Result<(), $crate::Lost>> + Send {
                self.view::<M>().flush()
            }

            fn connect(&self) -> impl std::future::Future<Output = Result<(), $crate::ConnectError>> + Send {
                self.built::<M>().connect()
            }

            fn disconnect(&self) -> impl std::future::Future<Output = Result<(), $crate::ConnectError>> + Send {
                $crate::composite::view::disconnect_members(self.view::<M>().branches)
            }

            fn close(&self, deadline: std::time::Duration) -> impl std::future::Future<Output = $crate::DrainReport> + Send {
                let view = self.view::<M>();
                async move {
                    let mut report = $crate::composite::view::close_members(view.branches, view.name, deadline).await;
                    report.ledger = view.counted();
                    report
                }
            }

            fn state(&self) -> $crate::SinkState {
                self.view::<M>().state()
            }
        }

        impl<M: $crate::MessageType, B: $crate::Branches<M>> $crate::Branch<M> for $composite<B> {
            fn reserve(&self, encoded: &$crate::Encoded<'_, M>) -> $crate::Reserved {
                self.built().reserve(encoded)
            }

            fn release(&self, encoded: &$crate::Encoded<'_, M>) {
                self.view().release(encoded);
            }

            fn commit(&self, encoded: &$crate::Encoded<'_, M>) -> Result<$crate::Receipt, $crate::SendErrorKind> {
                self.view().commit(encoded)
            }

            fn drop_copy(&self) {
                self.view::<M>().drop_copy();
            }

            fn drop_newest(&self) -> Option<$crate::Receipt> {
                self.view::<M>().drop_newest()
            }

            fn confirm(&self) -> Option<$crate::Level> {
                self.view::<M>().confirm()
            }

            fn confirmed(&self, receipt: $crate::Receipt) -> Option<$crate::transport::BoxFuture<'_, Result<(), $crate::Lost>>> {
                self.view::<M>().confirmed_within(receipt)
            }

            fn room(&self, since: $crate::clock::Instant) -> $crate::transport::BoxFuture<'_, Result<(), $crate::SendErrorKind>> {
                self.view::<M>().room(since)
            }

            fn gave(&self, receipt: $crate::Receipt) -> Option<bool> {
                self.view::<M>().gave(receipt)
            }

            fn patience(&self) -> Option<std::time::Duration> {
                self.view::<M>().patience()
            }

            fn as_branch(&self) -> &dyn $crate::Branch<M> {
                self
            }
        }

        impl<B> std::fmt::Debug for $composite<B> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($composite))
                    .field(&self.name.get())
                    .finish()
            }
        }

        impl<M> Clone for View<'_, M> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<M> Copy for View<'_, M> {}
    };
}
pub(crate) use composite_sink;
