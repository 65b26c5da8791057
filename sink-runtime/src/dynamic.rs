//! Sinks behind a pointer: for names and kinds known only at run time.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::carried::Carried;
use crate::clock::Instant;
use crate::composite::{Branch, Encoded, PATIENCE, Reserved};
use crate::error::{ConnectError, RegistryError, SendError, SendErrorKind};
use crate::leaf::Leaf;
use crate::ledger::Ledger;
use crate::life::SinkState;
use crate::link::{Envelope, Offer, WhenFull};
use crate::message::{Message, MessageType};
use crate::receipt::{Level, Lost, Receipt};
use crate::report::DrainReport;
use crate::sink::{AtLeastOnce, MessageSink};
use crate::transport::BoxFuture;

/// [`MessageSink`] as an object: implemented for every sink. Futures are boxed, so prefer [`DynSink`], which boxes only to wait.
#[allow(missing_docs)]
pub trait DynMessageSink<M>: Send + Sync {
    fn send_boxed(&self, message: M) -> BoxFuture<'_, Result<Receipt, SendError<M>>>;
    fn try_send_dyn(&self, message: M) -> Result<Receipt, SendError<M>>;
    fn send_now_dyn(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M>;
    fn ready_boxed(&self) -> BoxFuture<'_, ()>;
    fn settled_boxed(&self, receipt: Receipt, level: Level) -> BoxFuture<'_, Result<Level, Lost>>;
    fn flush_boxed(&self) -> BoxFuture<'_, Result<(), Lost>>;
    fn connect_boxed(&self) -> BoxFuture<'_, Result<(), ConnectError>>;
    fn disconnect_boxed(&self) -> BoxFuture<'_, Result<(), ConnectError>>;
    fn close_boxed(&self, deadline: Duration) -> BoxFuture<'_, DrainReport>;
    fn state_of(&self) -> SinkState;
}

impl<M: Send + 'static, S: MessageSink<M>> DynMessageSink<M> for S {
    fn send_boxed(&self, message: M) -> BoxFuture<'_, Result<Receipt, SendError<M>>> {
        Box::pin(self.send(message))
    }
    fn try_send_dyn(&self, message: M) -> Result<Receipt, SendError<M>> {
        self.try_send(message)
    }
    fn send_now_dyn(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        self.send_now(message)
    }
    fn ready_boxed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.ready())
    }
    fn settled_boxed(&self, receipt: Receipt, level: Level) -> BoxFuture<'_, Result<Level, Lost>> {
        Box::pin(self.settled(receipt, level))
    }
    fn flush_boxed(&self) -> BoxFuture<'_, Result<(), Lost>> {
        Box::pin(self.flush())
    }
    fn connect_boxed(&self) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(self.connect())
    }
    fn disconnect_boxed(&self) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(self.disconnect())
    }
    fn close_boxed(&self, deadline: Duration) -> BoxFuture<'_, DrainReport> {
        Box::pin(self.close(deadline))
    }
    fn state_of(&self) -> SinkState {
        self.state()
    }
}

/// A sink of any kind, behind a pointer; cloning it shares the sink.
///
/// Tries first what needs no waiting and boxes a future only when it must wait.
pub struct DynSink<M = Message> {
    inner: Inner<M>,
    at_least_once: bool,
}

enum Inner<M> {
    Leaf(Carried<M>),
    /// A composite, which can be a member of another.
    Branch(Arc<dyn Branch<M>>),
    /// Anyone's own sink.
    Other(Arc<dyn DynMessageSink<M>>),
}

impl<M> Clone for DynSink<M> {
    fn clone(&self) -> Self {
        let inner = match &self.inner {
            Inner::Leaf(leaf) => Inner::Leaf(leaf.clone()),
            Inner::Branch(branch) => Inner::Branch(Arc::clone(branch)),
            Inner::Other(other) => Inner::Other(Arc::clone(other)),
        };
        Self {
            inner,
            at_least_once: self.at_least_once,
        }
    }
}

impl<M: Send + 'static> DynSink<M> {
    /// Any sink; it promises nothing beyond what its trait does.
    ///
    /// As a required member of a [`FanOut`](crate::FanOut) it is offered each message by `try_send`, when the generated members
    /// have set room aside and before they take it. If it refuses, nobody takes it; if two such sinks are members and only one
    /// refuses, the answer is [`Partial`](SendErrorKind::Partial). Full, it is waited for by `ready`.
    pub fn new(sink: impl MessageSink<M> + 'static) -> Self {
        Self {
            inner: Inner::Other(Arc::new(sink)),
            at_least_once: false,
        }
    }
}

impl<M: MessageType> DynSink<M> {
    /// Sends from code outside a runtime, waiting on this thread; its links are driven by a runtime elsewhere. Within one it would
    /// hold up a worker: there, `send`.
    ///
    /// # Errors
    /// As [`MessageSink::send`].
    pub fn blocking_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        crate::blocking::wait(self.send(message))
    }

    pub(crate) fn leaf(leaf: Carried<M>, at_least_once: bool) -> Self {
        Self {
            inner: Inner::Leaf(leaf),
            at_least_once,
        }
    }

    pub(crate) fn branch(branch: impl Branch<M> + 'static, at_least_once: bool) -> Self {
        Self {
            inner: Inner::Branch(Arc::new(branch)),
            at_least_once,
        }
    }

    /// A handle that carries the guarantee in its type.
    ///
    /// # Errors
    /// If the service does not promise at-least-once delivery.
    pub fn at_least_once(&self) -> Result<AtLeastOnceSink<M>, RegistryError> {
        if self.at_least_once {
            return Ok(AtLeastOnceSink(self.clone()));
        }
        let service = match &self.inner {
            Inner::Leaf(leaf) => leaf.service(),
            _ => Arc::from("this sink"),
        };
        Err(RegistryError::NotAtLeastOnce { service })
    }

    /// Where every message is; `None` for sinks that keep no ledger of their own.
    #[must_use]
    pub fn ledger(&self) -> Option<Ledger> {
        match &self.inner {
            Inner::Leaf(leaf) => Some(leaf.ledger()),
            _ => None,
        }
    }

    /// The link's number in this process: two handles on one service give the same. `None` where there is no single link.
    #[must_use]
    pub fn link_id(&self) -> Option<u32> {
        match &self.inner {
            Inner::Leaf(leaf) => Some(leaf.id()),
            _ => None,
        }
    }

    /// A future is made, and so boxed, only where the call must wait.
    async fn send_waiting(&self, message: M) -> Result<Receipt, SendError<M>> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.send(message).await,
            Inner::Branch(branch) => branch.send_boxed(message).await,
            Inner::Other(other) => other.send_boxed(message).await,
        }
    }
}

impl<M: MessageType> MessageSink<M> for DynSink<M> {
    async fn send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.send(message).await,
            _ => {
                tokio::task::coop::consume_budget().await;
                match self.send_now(message) {
                    Ok(answer) => answer,
                    Err(message) => self.send_waiting(message).await,
                }
            }
        }
    }

    fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.try_send(message),
            Inner::Branch(branch) => branch.try_send_dyn(message),
            Inner::Other(other) => other.try_send_dyn(message),
        }
    }

    fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.send_now(message),
            Inner::Branch(branch) => branch.send_now_dyn(message),
            Inner::Other(other) => other.send_now_dyn(message),
        }
    }

    async fn ready(&self) {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.ready().await,
            Inner::Branch(branch) => branch.ready_boxed().await,
            Inner::Other(other) => other.ready_boxed().await,
        }
    }

    async fn settled(&self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.settled(receipt, level).await,
            Inner::Branch(branch) => branch.settled_boxed(receipt, level).await,
            Inner::Other(other) => other.settled_boxed(receipt, level).await,
        }
    }

    async fn flush(&self) -> Result<(), Lost> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.flush().await,
            Inner::Branch(branch) => branch.flush_boxed().await,
            Inner::Other(other) => other.flush_boxed().await,
        }
    }

    async fn connect(&self) -> Result<(), ConnectError> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.connect().await,
            Inner::Branch(branch) => branch.connect_boxed().await,
            Inner::Other(other) => other.connect_boxed().await,
        }
    }

    async fn disconnect(&self) -> Result<(), ConnectError> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.disconnect().await,
            Inner::Branch(branch) => branch.disconnect_boxed().await,
            Inner::Other(other) => other.disconnect_boxed().await,
        }
    }

    async fn close(&self, deadline: Duration) -> DrainReport {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.close(deadline).await,
            Inner::Branch(branch) => branch.close_boxed(deadline).await,
            Inner::Other(other) => other.close_boxed(deadline).await,
        }
    }

    fn state(&self) -> SinkState {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.state(),
            Inner::Branch(branch) => branch.state_of(),
            Inner::Other(other) => other.state_of(),
        }
    }
}

impl<M: MessageType> Branch<M> for DynSink<M> {
    fn reserve(&self, encoded: &Encoded<'_, M>) -> Reserved {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.reserve(encoded),
            Inner::Branch(branch) => branch.reserve(encoded),
            // A sink of another make has no reservations: it takes the message at commit, or it does not.
            Inner::Other(_) => Reserved::Untried,
        }
    }

    fn release(&self, encoded: &Encoded<'_, M>) {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.release(encoded),
            Inner::Branch(branch) => branch.release(encoded),
            Inner::Other(_) => {}
        }
    }

    fn commit(&self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.commit(encoded),
            Inner::Branch(branch) => branch.commit(encoded),
            Inner::Other(other) => match encoded.copy() {
                Some(message) => other
                    .try_send_dyn(message)
                    .map_err(|error| error.into_parts().0),
                None => Err(SendErrorKind::Other {
                    service: Arc::from("branch"),
                    text: Arc::from("message has no codec to copy it by"),
                }),
            },
        }
    }

    fn drop_copy(&self) {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.drop_copy(),
            Inner::Branch(branch) => branch.drop_copy(),
            // It keeps no books that we could write in; the composite counts the copy.
            Inner::Other(_) => {}
        }
    }

    fn drop_newest(&self) -> Option<Receipt> {
        match &self.inner {
            Inner::Leaf(leaf) => Some(leaf.drop_newest()),
            Inner::Branch(branch) => branch.drop_newest(),
            Inner::Other(_) => None,
        }
    }

    fn confirm(&self) -> Option<Level> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.confirm(),
            Inner::Branch(branch) => branch.confirm(),
            Inner::Other(_) => None,
        }
    }

    fn confirmed(&self, receipt: Receipt) -> Option<BoxFuture<'_, Result<(), Lost>>> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.confirmed(receipt),
            Inner::Branch(branch) => branch.confirmed(receipt),
            Inner::Other(_) => None,
        }
    }

    fn room(&self, since: Instant) -> BoxFuture<'_, Result<(), SendErrorKind>> {
        match &self.inner {
            Inner::Leaf(leaf) => Box::pin(leaf.room(since)),
            Inner::Branch(branch) => branch.room(since),
            Inner::Other(other) => Box::pin(async move {
                other.ready_boxed().await;
                Ok(())
            }),
        }
    }

    fn gave(&self, receipt: Receipt) -> Option<bool> {
        match &self.inner {
            Inner::Leaf(leaf) => Some(leaf.id() == receipt.link()),
            Inner::Branch(branch) => branch.gave(receipt),
            Inner::Other(_) => None,
        }
    }

    fn patience(&self) -> Option<Duration> {
        match &self.inner {
            Inner::Leaf(leaf) => leaf.patience(),
            Inner::Branch(branch) => branch.patience(),
            Inner::Other(_) => Some(PATIENCE),
        }
    }

    fn as_branch(&self) -> &dyn Branch<M> {
        self
    }
}

impl<M: MessageType> Leaf<M> {
    pub(crate) fn reserve(&self, encoded: &Encoded<'_, M>) -> Reserved {
        let link = self.link();
        let codec = link.config.codec;
        let (bytes, payload) = match (encoded.frame_bytes(codec), encoded.payload(codec)) {
            (Ok(bytes), Ok(payload)) => (bytes, payload),
            (Err(source), _) | (_, Err(source)) => {
                return Reserved::Refused(SendErrorKind::Encode {
                    service: link.service(),
                    source,
                });
            }
        };
        match link.reserve(bytes, payload) {
            Ok(true) => Reserved::Room,
            Ok(false) => Reserved::Dropped,
            Err(Offer::Full) if link.config.when_full == WhenFull::Reject => {
                Reserved::Refused(link.full_now(Duration::ZERO))
            }
            Err(Offer::Full | Offer::Accepted(_)) => Reserved::Full,
            Err(Offer::Refused(kind)) => Reserved::Refused(kind),
        }
    }

    pub(crate) fn release(&self, encoded: &Encoded<'_, M>) {
        if let Ok(bytes) = encoded.frame_bytes(self.link().config.codec) {
            self.link().release(bytes);
        }
    }

    pub(crate) fn commit(&self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        let link = self.link();
        let codec = link.config.codec;
        let (Ok(bytes), Ok(payload)) = (encoded.frame_bytes(codec), encoded.payload(codec)) else {
            return Err(SendErrorKind::Closed {
                service: link.service(),
            });
        };
        let envelope = Envelope {
            identity: encoded.identity,
            metadata: encoded.metadata,
        };
        match link.commit_reserved(bytes, envelope, payload) {
            Offer::Accepted(receipt) => Ok(receipt),
            Offer::Full => Err(link.give_back_full(Duration::ZERO)),
            Offer::Refused(kind) => Err(kind),
        }
    }

    /// Waits until a reservation may succeed, at most as long as a send that began to wait at `since`.
    pub(crate) async fn room(&self, since: Instant) -> Result<(), SendErrorKind> {
        let link = self.link();
        let deadline = link.config.send_timeout.map(|timeout| since + timeout);
        let roomy = crate::leaf::WaitFor::new(link, deadline, |link, core| {
            (core.closed || core.life.gave_up().is_some() || link.is_roomy(core)).then_some(())
        });
        match roomy.await {
            Ok(()) => Ok(()),
            Err(crate::leaf::Ended::TimedOut) => Err(link.full_now(
                link.surroundings
                    .clock
                    .now()
                    .saturating_duration_since(since),
            )),
            Err(crate::leaf::Ended::NoRuntime) => Err(SendErrorKind::NoRuntime {
                service: link.service(),
            }),
        }
    }
}

impl<M> fmt::Debug for DynSink<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynSink")
            .field("at_least_once", &self.at_least_once)
            .finish_non_exhaustive()
    }
}

/// A [`DynSink`] whose service promises at-least-once delivery.
pub struct AtLeastOnceSink<M = Message>(DynSink<M>);

impl<M> Clone for AtLeastOnceSink<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: MessageType> MessageSink<M> for AtLeastOnceSink<M> {
    crate::sink::forward_sink!(self => self.0);
}

impl<M> AtLeastOnce for AtLeastOnceSink<M> {}

impl<M> fmt::Debug for AtLeastOnceSink<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
