//! The trait every sink has. Nothing here connects, buffers or encodes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{ConnectError, SendError};
use crate::lazy::Lazy;
use crate::life::SinkState;
use crate::message::Message;
use crate::receipt::{Level, Lost, Receipt};
use crate::report::{BatchReport, DrainReport};

/// Where a message goes.
///
/// Adapters take `impl MessageSink<Tick>` by value: `&S`, `Arc<S>` and [`DynSink`](crate::DynSink) are sinks too.
/// Only [`send`](Self::send) and [`try_send`](Self::try_send) must be written; the rest has defaults that are true of a
/// sink without a buffer and without a connection.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take messages of type `{M}`",
    label = "not a sink of `{M}`",
    note = "a service takes the type that its `message` names in services.toml; without one it takes `sink_runtime::Message`"
)]
pub trait MessageSink<M = Message>: Send + Sync
where
    M: Send + 'static,
{
    /// Sends one message, connecting first if nobody has.
    ///
    /// Returns once the message is [`Accepted`](Level::Accepted) or better; waits for room as the service's `when_full` says,
    /// and for confirmation as its `confirm` says, both at most `send_timeout_ms`.
    /// Dropping the future before it resolves leaves the message unsent or accepted whole, never torn and never doubled.
    ///
    /// # Errors
    /// An error that did not take the message gives it back; [`SendError::outcome`] says what became of it.
    fn send(&self, message: M) -> impl Future<Output = Result<Receipt, SendError<M>>> + Send;

    /// Sends if that needs no waiting. Does not overtake senders that wait.
    ///
    /// # Errors
    /// As [`send`](Self::send); `Full` at once where that would wait.
    fn try_send(&self, message: M) -> Result<Receipt, SendError<M>>;

    /// Sends if that needs no waiting; `Err` gives the message back where [`send`](Self::send) would wait.
    ///
    /// # Errors
    /// The outer error is the message: it would wait.
    fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        Err(message)
    }

    /// Waits until there is room; a rival may still take it. With [`try_send`](Self::try_send) the pair for `select!`.
    fn ready(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Sends several messages in order and answers for each. What was not attempted is given back.
    fn send_batch(&self, messages: Vec<M>) -> impl Future<Output = BatchReport<M>> + Send {
        crate::report::send_each(self, messages)
    }

    /// Waits until a message reached `level`.
    ///
    /// # Errors
    /// If it never will, or that can no longer be told.
    fn settled(
        &self,
        receipt: Receipt,
        level: Level,
    ) -> impl Future<Output = Result<Level, Lost>> + Send {
        let reached = receipt.level();
        std::future::ready(if reached.satisfies(level) {
            Ok(reached)
        } else {
            Err(Lost::Unreachable {
                service: Arc::from("sink"),
                wanted: level,
                highest: reached,
            })
        })
    }

    /// Waits until everything accepted so far reached the highest level this sink reaches.
    ///
    /// # Errors
    /// If some of it never will.
    fn flush(&self) -> impl Future<Output = Result<(), Lost>> + Send {
        std::future::ready(Ok(()))
    }

    /// Connects now, joining an attempt that runs. Opens a closed sink again.
    ///
    /// # Errors
    /// The attempt's error, shared by all who joined it.
    fn connect(&self) -> impl Future<Output = Result<(), ConnectError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Flushes and disconnects; the next send dials again.
    ///
    /// # Errors
    /// If what is buffered could not be written first.
    fn disconnect(&self) -> impl Future<Output = Result<(), ConnectError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Refuses new sends, flushes, waits for acks, disconnects; idempotent.
    fn close(&self, _deadline: Duration) -> impl Future<Output = DrainReport> + Send {
        std::future::ready(DrainReport::default())
    }

    /// Whether the sink is connected; advisory only.
    fn is_connected(&self) -> bool {
        self.state().is_ready()
    }

    /// Where the sink stands.
    fn state(&self) -> SinkState {
        SinkState::Ready
    }

    /// What takes the calls of a [`Lazy`] of this sink: one that opens it first. Generated sinks, which are never opened by
    /// hand, name one that is compiled once for all services of a message type.
    #[doc(hidden)]
    fn of_lazy(lazy: &Lazy<Self>) -> &impl MessageSink<M>
    where
        Self: Sized + 'static,
    {
        &lazy.inner
    }
}

/// Promises that every accepted message arrives while this process lives (PROMISES §6).
///
/// In the type, so that an adapter can require it: `S: MessageSink<Tick> + AtLeastOnce`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not promise at-least-once delivery",
    label = "at-least-once delivery is required here",
    note = "set `delivery = \"at_least_once\"` for the service in services.toml"
)]
pub trait AtLeastOnce {}

/// The trait's methods, each handed on to `$inner` of `self`: returning the inner future, so that no message is copied.
macro_rules! forward_sink {
    ($self:ident => $inner:expr) => {
        #[inline(always)]
        fn send(&$self, message: M) -> impl Future<Output = Result<$crate::Receipt, $crate::SendError<M>>> + Send {
            $inner.send(message)
        }
        #[inline]
        fn try_send(&$self, message: M) -> Result<$crate::Receipt, $crate::SendError<M>> {
            $inner.try_send(message)
        }
        #[inline]
        fn send_now(&$self, message: M) -> Result<Result<$crate::Receipt, $crate::SendError<M>>, M> {
            $inner.send_now(message)
        }
        fn ready(&$self) -> impl Future<Output = ()> + Send {
            $inner.ready()
        }
        fn send_batch(&$self, messages: Vec<M>) -> impl Future<Output = $crate::BatchReport<M>> + Send {
            $inner.send_batch(messages)
        }
        fn settled(&$self, receipt: $crate::Receipt, level: $crate::Level) -> impl Future<Output = Result<$crate::Level, $crate::Lost>> + Send {
            $inner.settled(receipt, level)
        }
        fn flush(&$self) -> impl Future<Output = Result<(), $crate::Lost>> + Send {
            $inner.flush()
        }
        fn connect(&$self) -> impl Future<Output = Result<(), $crate::ConnectError>> + Send {
            $inner.connect()
        }
        fn disconnect(&$self) -> impl Future<Output = Result<(), $crate::ConnectError>> + Send {
            $inner.disconnect()
        }
        fn close(&$self, deadline: std::time::Duration) -> impl Future<Output = $crate::DrainReport> + Send {
            $inner.close(deadline)
        }
        fn is_connected(&$self) -> bool {
            $inner.is_connected()
        }
        fn state(&$self) -> $crate::SinkState {
            $inner.state()
        }
    };
}
pub(crate) use forward_sink;

impl<M: Send + 'static, S: MessageSink<M> + ?Sized> MessageSink<M> for &S {
    forward_sink!(self => (**self));
}

impl<M: Send + 'static, S: MessageSink<M> + ?Sized> MessageSink<M> for Arc<S> {
    forward_sink!(self => (**self));
}

impl<S: AtLeastOnce + ?Sized> AtLeastOnce for &S {}
impl<S: AtLeastOnce + ?Sized> AtLeastOnce for Arc<S> {}
