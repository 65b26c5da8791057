//! A leaf's sink by its carrier: a link over a byte stream, or a typed queue within the process.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::clock::Instant;
use crate::codec::Codec;
use crate::composite::{Encoded, Reserved};
use crate::error::{ConnectError, SendError, SendErrorKind};
use crate::frame;
use crate::inproc::{First, Inproc, InprocSend};
use crate::leaf::{Leaf, LinkSend};
use crate::ledger::Ledger;
use crate::life::SinkState;
use crate::link::Offer;
use crate::message::MessageType;
use crate::receipt::{Level, Lost, Receipt};
use crate::report::{DrainReport, UndeliveredMessage};
use crate::transport::BoxFuture;
use crate::turn::poll_turn;

/// See the module.
pub(crate) enum Carried<M> {
    Link(Leaf<M>),
    Inproc(Arc<Inproc<M>>),
}

impl<M> Clone for Carried<M> {
    fn clone(&self) -> Self {
        match self {
            Self::Link(leaf) => Self::Link(leaf.clone()),
            Self::Inproc(inproc) => Self::Inproc(Arc::clone(inproc)),
        }
    }
}

/// How long `connect()` waits for a source in the same process.
const INPROC_CONNECT: Duration = Duration::from_secs(5);

impl<M: MessageType> Carried<M> {
    pub(crate) fn send(&self, message: M) -> SendFuture<'_, M> {
        SendFuture {
            message: Some(message),
            carried: self,
            slow: None,
            begun: false,
        }
    }

    /// The first poll of a send of `message`, which is taken when it is known not to come back. What has to wait does so on the
    /// heap: few sends do, and those that do not stay small to move and cheap to drop.
    #[inline(always)]
    pub(crate) fn poll_first<'a>(
        &'a self,
        message: &mut Option<M>,
        slow: &mut Option<Box<Slow<'a, M>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        ready!(poll_turn(cx));
        match self {
            Self::Link(leaf) => {
                let Some(borrowed) = &*message else {
                    return Poll::Pending;
                };
                match leaf.link().offer(borrowed) {
                    Offer::Accepted(receipt) if leaf.link().config.confirm.is_none() => {
                        Poll::Ready(Ok(receipt))
                    }
                    offer => Self::poll_offered(leaf, offer, message, slow, cx),
                }
            }
            Self::Inproc(inproc) => match inproc.send_first(message) {
                First::Sent(answer) => Poll::Ready(answer),
                First::Waits(send) => slow.insert(Box::new(Slow::Inproc(send))).poll(message, cx),
            },
        }
    }

    #[cold]
    fn poll_offered<'a>(
        leaf: &'a Leaf<M>,
        offer: Offer,
        message: &mut Option<M>,
        slow: &mut Option<Box<Slow<'a, M>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        let mut send = LinkSend::new(leaf.link());
        let answer = send.poll_offered(offer, message, cx);
        if answer.is_pending() {
            *slow = Some(Box::new(Slow::Link(send)));
        }
        answer
    }

    #[inline]
    pub(crate) fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match self {
            Self::Link(leaf) => leaf.try_send(message),
            Self::Inproc(inproc) => inproc.try_send(message),
        }
    }

    #[inline]
    pub(crate) fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        match self {
            Self::Link(leaf) => leaf.send_now(message),
            Self::Inproc(inproc) => inproc.send_now(message),
        }
    }

    pub(crate) async fn ready(&self) {
        match self {
            Self::Link(leaf) => leaf.ready().await,
            Self::Inproc(inproc) => {
                inproc.ready().await;
            }
        }
    }

    pub(crate) async fn settled(&self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        match self {
            Self::Link(leaf) => leaf.settled(receipt, level).await,
            Self::Inproc(inproc) => inproc.settled(receipt, level).await,
        }
    }

    pub(crate) async fn flush(&self) -> Result<(), Lost> {
        match self {
            Self::Link(leaf) => leaf.flush().await,
            Self::Inproc(inproc) => inproc.flush().await,
        }
    }

    pub(crate) async fn connect(&self) -> Result<(), ConnectError> {
        match self {
            Self::Link(leaf) => leaf.connect().await,
            Self::Inproc(inproc) => inproc.connect(INPROC_CONNECT).await,
        }
    }

    pub(crate) async fn disconnect(&self) -> Result<(), ConnectError> {
        match self {
            Self::Link(leaf) => leaf.disconnect().await,
            // There is no connection to end: the queue is the process's.
            Self::Inproc(_) => Ok(()),
        }
    }

    pub(crate) async fn close(&self, deadline: Duration) -> DrainReport {
        match self {
            Self::Link(leaf) => leaf.close(deadline).await,
            Self::Inproc(inproc) => {
                let left = inproc.close(deadline).await;
                DrainReport {
                    service: self.service(),
                    ledger: inproc.ledger(),
                    undelivered: left
                        .into_iter()
                        .map(|(sequence, message)| framed(self.service(), sequence, &message))
                        .collect(),
                    last: None,
                }
            }
        }
    }

    pub(crate) fn state(&self) -> SinkState {
        match self {
            Self::Link(leaf) => leaf.state(),
            Self::Inproc(inproc) => inproc.state(),
        }
    }

    pub(crate) fn states(&self) -> watch::Receiver<SinkState> {
        match self {
            Self::Link(leaf) => leaf.states(),
            Self::Inproc(inproc) => inproc.states(),
        }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        match self {
            Self::Link(leaf) => leaf.ledger(),
            Self::Inproc(inproc) => inproc.ledger(),
        }
    }

    pub(crate) fn confirm(&self) -> Option<Level> {
        match self {
            Self::Link(leaf) => leaf.link().config.confirm,
            Self::Inproc(inproc) => inproc.config.confirm,
        }
    }

    pub(crate) fn service(&self) -> Arc<str> {
        match self {
            Self::Link(leaf) => leaf.link().service(),
            Self::Inproc(inproc) => Arc::clone(&inproc.config.service),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        match self {
            Self::Link(leaf) => leaf.link().id,
            Self::Inproc(inproc) => inproc.id,
        }
    }

    // --- as a composite's member

    pub(crate) fn reserve(&self, encoded: &Encoded<'_, M>) -> Reserved {
        match self {
            Self::Link(leaf) => leaf.reserve(encoded),
            Self::Inproc(inproc) => inproc.reserve(encoded.message(), encoded.has_waited),
        }
    }

    pub(crate) fn release(&self, encoded: &Encoded<'_, M>) {
        match self {
            Self::Link(leaf) => leaf.release(encoded),
            Self::Inproc(inproc) => inproc.release(),
        }
    }

    pub(crate) fn commit(&self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        match self {
            Self::Link(leaf) => leaf.commit(encoded),
            Self::Inproc(inproc) => {
                let mut aside = SetAside(Some(inproc));
                let Some(message) = encoded.copy() else {
                    return Err(SendErrorKind::Other {
                        service: self.service(),
                        text: Arc::from(
                            "the message does not survive its codec, and so cannot be copied for this branch",
                        ),
                    });
                };
                aside.0 = None;
                inproc.commit(message)
            }
        }
    }

    /// Counts the copy that its own policy drops.
    pub(crate) fn drop_newest(&self) -> Receipt {
        match self {
            Self::Link(leaf) => leaf.link().drop_newest(),
            Self::Inproc(inproc) => inproc.drop_copy_newest(),
        }
    }

    /// Waits for the level that its `confirm` asks for.
    pub(crate) fn confirmed(&self, receipt: Receipt) -> Option<BoxFuture<'_, Result<(), Lost>>> {
        let level = self.confirm()?;
        Some(Box::pin(async move {
            self.settled(receipt, level).await.map(|_| ())
        }))
    }

    /// Counts the copy that it, full and optional, does not get.
    pub(crate) fn drop_copy(&self) {
        match self {
            Self::Link(leaf) => leaf.link().drop_optional(),
            Self::Inproc(inproc) => inproc.drop_optional(),
        }
    }

    pub(crate) async fn room(&self, since: Instant) -> Result<(), SendErrorKind> {
        match self {
            Self::Link(leaf) => leaf.room(since).await,
            Self::Inproc(inproc) => inproc.room(since).await,
        }
    }

    pub(crate) fn patience(&self) -> Option<Duration> {
        match self {
            Self::Link(leaf) => leaf.link().config.send_timeout,
            Self::Inproc(inproc) => inproc.config.send_timeout,
        }
    }
}

/// Room in a queue, given back unless a message is put there: making one is the user's code, which may panic.
struct SetAside<'a, M: MessageType>(Option<&'a Inproc<M>>);

impl<M: MessageType> Drop for SetAside<'_, M> {
    fn drop(&mut self) {
        if let Some(inproc) = self.0 {
            inproc.release();
        }
    }
}

/// The future of one send. Holds the message once, until it is accepted (until confirmed, under `confirm`).
#[must_use = "a message is sent only when the future is polled"]
pub(crate) struct SendFuture<'a, M> {
    message: Option<M>,
    carried: &'a Carried<M>,
    slow: Option<Box<Slow<'a, M>>>,
    begun: bool,
}

/// The message is never pinned: it is moved out, or encoded from a borrow.
impl<M> Unpin for SendFuture<'_, M> {}

impl<M: MessageType> Future for SendFuture<'_, M> {
    type Output = Result<Receipt, SendError<M>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.begun {
            return match &mut this.slow {
                Some(slow) => slow.poll(&mut this.message, cx),
                None => Poll::Pending,
            };
        }
        let answer = this
            .carried
            .poll_first(&mut this.message, &mut this.slow, cx);
        this.begun = answer.is_ready() || this.slow.is_some();
        answer
    }
}

/// A send that waits, without its message.
pub(crate) enum Slow<'a, M> {
    Link(LinkSend<'a>),
    Inproc(InprocSend<'a, M>),
    /// Of a double, which has its message.
    Double(BoxFuture<'a, Result<Receipt, SendError<M>>>),
}

impl<M: MessageType> Slow<'_, M> {
    #[cold]
    pub(crate) fn poll(
        &mut self,
        message: &mut Option<M>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Receipt, SendError<M>>> {
        match self {
            Self::Link(send) => send.poll_waiting(message, cx),
            Self::Inproc(send) => send.poll_waiting(message, cx),
            Self::Double(send) => send.as_mut().poll(cx),
        }
    }
}

/// A message that never was bytes, as a drain report gives it back.
fn framed<M: MessageType>(service: Arc<str>, sequence: u64, message: &M) -> UndeliveredMessage {
    // The first codec that the type takes; one that takes none gives a frame that does not decode.
    let mut codec = Codec::Raw;
    let mut frame = Vec::new();
    for candidate in [Codec::Postcard, Codec::Json, Codec::Raw] {
        frame.clear();
        frame::begin_data(&mut frame, 0, sequence);
        if message.encode(candidate, &mut frame).is_ok() {
            codec = candidate;
            break;
        }
    }
    frame::finish(&mut frame, 0, 0);
    UndeliveredMessage {
        service,
        sequence,
        codec,
        frame: Bytes::from(frame),
        may_have_arrived: false,
    }
}
