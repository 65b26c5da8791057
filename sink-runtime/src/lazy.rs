//! A sink that does nothing until it is used: the generated leaves, and anyone's own sink.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::Instant;
use crate::composite::{Branch, Encoded, PATIENCE, Reserved, forward_branch};
use crate::dynamic::DynSink;
use crate::error::{ConnectError, SendError, SendErrorKind};
use crate::life::SinkState;
use crate::message::MessageType;
use crate::receipt::{Level, Lost, Receipt};
use crate::report::{BatchReport, DrainReport};
use crate::service::{LeafService, PromisesAtLeastOnce, Service};
use crate::sink::{AtLeastOnce, MessageSink, forward_sink};
use crate::slot::Slot;
use crate::transport::BoxFuture;
use crate::{Direct, Relay};

/// A sink opened when it is first used.
///
/// Generated leaves are constants of this type. For a sink of your own,
/// [`Lazy::new`] takes the function that opens it: one attempt at a time, in a task of its own, however many callers wait.
///
/// ```
/// # use sink_runtime::{Lazy, DynSink, Message};
/// # async fn open() -> Result<DynSink, sink_runtime::ConnectError> { std::future::pending().await }
/// let sink = Lazy::new(|| async { open().await });
/// # let _: Lazy<DynSink> = sink;
/// ```
pub struct Lazy<S> {
    pub(crate) inner: Inner<S>,
}

/// What [`Lazy`] holds, and a sink that opens the one it is of.
pub(crate) struct Inner<S> {
    /// Nothing in a generated leaf, for its tag says where its slot is.
    pub(crate) opens: Option<Opens>,
    sink: PhantomData<fn() -> S>,
}

impl<S> Inner<S> {
    const GENERATED: Self = Self {
        opens: None,
        sink: PhantomData,
    };

    const fn of(opens: Opens) -> Self {
        Self {
            opens: Some(opens),
            sink: PhantomData,
        }
    }
}

/// An `Arc<Opening<S>>`, or the slot of a double that stands in a generated leaf's place, without saying so: a generated sink
/// would pay for either in code for every service (functions that drop it, and the proof that it may be shared).
pub(crate) struct Opens(Box<dyn Any + Send + Sync>);

impl Opens {
    fn new<S: Send + Sync + 'static>(opening: Arc<Opening<S>>) -> Self {
        Self(Box::new(opening))
    }

    fn of<S: 'static>(&self) -> &Arc<Opening<S>> {
        self.0
            .downcast_ref()
            .expect("`Lazy::new` puts in what opens its own sink")
    }

    fn doubled<M: Send + 'static>(slot: Slot<M>) -> Self {
        Self(Box::new(slot))
    }

    pub(crate) fn double<M: 'static>(&self) -> &Slot<M> {
        self.0
            .downcast_ref()
            .expect("only the generator makes a leaf, and it has nothing to open")
    }
}

/// How long one attempt of [`Lazy::new`]'s function may take, and how long a send waits for it in all.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed attempt.
const OPEN_PAUSE: Duration = Duration::from_millis(100);

type Open<S> = Box<dyn Fn() -> BoxFuture<'static, Result<S, ConnectError>> + Send + Sync>;

struct Opening<S> {
    open: Open<S>,
    sink: OnceLock<S>,
    attempt: Mutex<Attempt>,
}

#[derive(Default)]
struct Attempt {
    running: bool,
    ended: u64,
    error: Option<ConnectError>,
    waiting: Vec<Waker>,
}

macro_rules! leaf_methods {
    ($name:ident) => {
        impl<M: 'static, T: 'static> Lazy<$name<M, T>> {
            /// The service's sink, as its accessor gives it: a value that holds nothing, for its tag says where its slot is.
            pub const SINK: &'static Self = &Self {
                inner: Inner::GENERATED,
            };
        }

        impl<M: Send + 'static, T: Service> Lazy<$name<M, T>> {
            pub(crate) const fn real() -> Self {
                Self {
                    inner: Inner::GENERATED,
                }
            }

            /// A double in the service's place.
            #[must_use]
            pub fn double(sink: DynSink<M>) -> Self {
                Self {
                    inner: Inner::of(Opens::doubled(Slot::doubled::<T>(sink))),
                }
            }

            /// A double in the service's place that keeps what it is sent.
            #[must_use]
            pub fn recording() -> Self {
                Self {
                    inner: Inner::of(Opens::doubled(Slot::<M>::recording::<T>())),
                }
            }
        }

        impl<M: MessageType, T> Lazy<$name<M, T>> {
            /// What [`recording`](Self::recording) has kept; `None` for any other sink.
            #[must_use]
            pub fn recorded(&self) -> Option<&crate::testing::Recording<M>> {
                self.inner.opens.as_ref()?.double().recorded()
            }
        }

        impl<M: MessageType, T: LeafService<M>> Lazy<$name<M, T>> {
            fn slot(&self) -> &Slot<M> {
                <$name<M, T> as MessageSink<M>>::of_lazy(self)
            }

            /// Where every message is.
            #[must_use]
            pub fn ledger(&self) -> crate::Ledger {
                self.slot().ledger()
            }

            /// Sends from code outside a runtime, waiting on this thread; the link is driven by a runtime elsewhere.
            ///
            /// # Errors
            /// As [`MessageSink::send`].
            pub fn blocking_send(&self, message: M) -> Result<Receipt, SendError<M>> {
                crate::blocking::wait(self.slot().send(message))
            }

            /// A watch on the state; `None` for a double.
            ///
            /// # Errors
            /// If the registry has no such service.
            pub fn states(
                &self,
            ) -> Result<Option<tokio::sync::watch::Receiver<SinkState>>, crate::RegistryError> {
                self.slot().states()
            }
        }
    };
}
leaf_methods!(Relay);
leaf_methods!(Direct);

impl<S: Send + Sync + 'static> Lazy<S> {
    /// Makes anyone's sink lazy: `open` is called at the first use, and again after a failure.
    ///
    /// `try_send` before it is open begins to open it and gives the message back, as not there yet; `send` waits, for 30 s in all.
    pub fn new<F, O, E>(open: F) -> Self
    where
        F: Fn() -> O + Send + Sync + 'static,
        O: Future<Output = Result<S, E>> + Send + 'static,
        E: fmt::Display,
    {
        let open: Open<S> = Box::new(move || {
            let opening = open();
            Box::pin(async move {
                opening.await.map_err(|error| ConnectError::Other {
                    service: Arc::from("lazy"),
                    text: Arc::from(error.to_string()),
                })
            })
        });
        Self {
            inner: Inner::of(Opens::new(Arc::new(Opening {
                open,
                sink: OnceLock::new(),
                attempt: Mutex::default(),
            }))),
        }
    }
}

impl<S: Send + Sync + 'static> Opening<S> {
    /// Waits for one attempt, starting it if none runs. The attempt outlives a caller who gives up.
    fn poll_attempt(
        self: &Arc<Self>,
        joined: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<&S, ConnectError>> {
        if let Some(sink) = self.sink.get() {
            return Poll::Ready(Ok(sink));
        }
        let mut attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        let target = *joined.get_or_insert(attempt.ended + 1);
        if attempt.ended >= target {
            return Poll::Ready(Err(attempt.error.clone().unwrap_or_else(|| {
                ConnectError::Closed {
                    service: Arc::from("lazy"),
                }
            })));
        }
        // Once, however often it is polled.
        let known = |waker: &Waker| waker.will_wake(cx.waker());
        if !attempt.waiting.iter().any(known) {
            attempt.waiting.push(cx.waker().clone());
        }
        if !attempt.running {
            let Ok(runtime) = tokio::runtime::Handle::try_current() else {
                return Poll::Ready(Err(ConnectError::NoRuntime {
                    service: Arc::from("lazy"),
                }));
            };
            attempt.running = true;
            drop(attempt);
            // The guard ends the attempt even if the runtime drops the task inside `spawn`.
            let guard = AttemptGuard(Arc::clone(self));
            runtime.spawn(async move {
                let result = match tokio::time::timeout(OPEN_TIMEOUT, (guard.0.open)()).await {
                    Ok(result) => result,
                    Err(_) => Err(ConnectError::Other {
                        service: Arc::from("lazy"),
                        text: Arc::from("opening took longer than 5 s"),
                    }),
                };
                match result {
                    Ok(sink) => {
                        let _ = guard.0.sink.set(sink);
                    }
                    Err(error) => {
                        guard
                            .0
                            .attempt
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .error = Some(error)
                    }
                }
            });
        }
        Poll::Pending
    }

    /// Begins to open, so that a later call finds the sink there; why it is not there now.
    fn begin(self: &Arc<Self>) -> ConnectError {
        let mut context = Context::from_waker(Waker::noop());
        match self.poll_attempt(&mut None, &mut context) {
            Poll::Ready(Err(error)) => error,
            _ => ConnectError::Other {
                service: Arc::from("lazy"),
                text: Arc::from("still opening"),
            },
        }
    }

    async fn attempt(self: &Arc<Self>) -> Result<&S, ConnectError> {
        let mut joined = None;
        std::future::poll_fn(|cx| self.poll_attempt(&mut joined, cx)).await
    }

    /// Waits through failed attempts, up to the send deadline.
    async fn opened(self: &Arc<Self>) -> Result<&S, ConnectError> {
        let deadline = tokio::time::Instant::now() + SEND_TIMEOUT;
        loop {
            match self.attempt().await {
                Ok(sink) => return Ok(sink),
                Err(error @ ConnectError::NoRuntime { .. }) => return Err(error),
                Err(error) if tokio::time::Instant::now() >= deadline => return Err(error),
                // Nothing to wait with: another runtime made the attempt.
                Err(error) if tokio::runtime::Handle::try_current().is_err() => return Err(error),
                Err(_) => tokio::time::sleep(OPEN_PAUSE).await,
            }
        }
    }
}

struct AttemptGuard<S>(Arc<Opening<S>>);

impl<S> Drop for AttemptGuard<S> {
    fn drop(&mut self) {
        let mut attempt = self
            .0
            .attempt
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        attempt.running = false;
        attempt.ended += 1;
        let waiting = std::mem::take(&mut attempt.waiting);
        drop(attempt);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<M: Send + 'static, S: MessageSink<M> + 'static> MessageSink<M> for Lazy<S> {
    forward_sink!(self => *S::of_lazy(self));
}

impl<M: Send + 'static, S: MessageSink<M> + 'static> MessageSink<M> for Inner<S> {
    async fn send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match self.opening().opened().await {
            Ok(sink) => sink.send(message).await,
            Err(error) => Err(SendError::new(unopened(error), Some(message))),
        }
    }

    fn try_send(&self, message: M) -> Result<Receipt, SendError<M>> {
        match self.opened() {
            Some(sink) => sink.try_send(message),
            None => Err(SendError::new(
                unopened(self.opening().begin()),
                Some(message),
            )),
        }
    }

    fn send_now(&self, message: M) -> Result<Result<Receipt, SendError<M>>, M> {
        match self.opened() {
            Some(sink) => sink.send_now(message),
            None => Err(message),
        }
    }

    async fn ready(&self) {
        if let Ok(sink) = self.opening().opened().await {
            sink.ready().await;
        }
    }

    fn send_batch(&self, messages: Vec<M>) -> impl Future<Output = BatchReport<M>> + Send {
        crate::report::send_each(self, messages)
    }

    async fn settled(&self, receipt: Receipt, level: Level) -> Result<Level, Lost> {
        match self.opened() {
            Some(sink) => sink.settled(receipt, level).await,
            None => Err(Lost::Unknown {
                service: Arc::from("lazy"),
                sequence: receipt.sequence(),
            }),
        }
    }

    async fn flush(&self) -> Result<(), Lost> {
        match self.opened() {
            Some(sink) => sink.flush().await,
            None => Ok(()),
        }
    }

    async fn connect(&self) -> Result<(), ConnectError> {
        self.opening().attempt().await?.connect().await
    }

    async fn disconnect(&self) -> Result<(), ConnectError> {
        match self.opened() {
            Some(sink) => sink.disconnect().await,
            None => Ok(()),
        }
    }

    async fn close(&self, deadline: Duration) -> DrainReport {
        match self.opened() {
            Some(sink) => sink.close(deadline).await,
            None => DrainReport::default(),
        }
    }

    fn is_connected(&self) -> bool {
        self.opened().is_some_and(MessageSink::is_connected)
    }

    fn state(&self) -> SinkState {
        self.opened().map_or(SinkState::Idle, MessageSink::state)
    }
}

impl<S: 'static> Inner<S> {
    /// The inner sink, if it is there.
    fn opened(&self) -> Option<&S> {
        self.opening().sink.get()
    }

    fn opening(&self) -> &Arc<Opening<S>> {
        self.opens
            .as_ref()
            .expect("a generated leaf does not hand its calls here")
            .of()
    }
}

fn unopened(error: ConnectError) -> SendErrorKind {
    match error {
        ConnectError::NoRuntime { service } => SendErrorKind::NoRuntime { service },
        error => SendErrorKind::Connect {
            service: Arc::from("lazy"),
            source: Arc::new(error),
        },
    }
}

impl<M: Send + 'static, S: Branch<M> + MessageSink<M> + 'static> Branch<M> for Lazy<S> {
    forward_branch!(self => *<S as Branch<M>>::of_lazy(self));
}

impl<M: Send + 'static, S: Branch<M> + MessageSink<M> + 'static> Branch<M> for Inner<S> {
    fn reserve(&self, encoded: &Encoded<'_, M>) -> Reserved {
        match self.opened() {
            Some(sink) => sink.reserve(encoded),
            None => {
                // An optional member is never waited for: this is all that opens it.
                let _ = self.opening().begin();
                Reserved::Full
            }
        }
    }

    fn release(&self, encoded: &Encoded<'_, M>) {
        if let Some(sink) = self.opened() {
            sink.release(encoded);
        }
    }

    fn commit(&self, encoded: &Encoded<'_, M>) -> Result<Receipt, SendErrorKind> {
        match self.opened() {
            Some(sink) => sink.commit(encoded),
            None => Err(unopened(ConnectError::Closed {
                service: Arc::from("lazy"),
            })),
        }
    }

    fn drop_copy(&self) {
        if let Some(sink) = self.opened() {
            sink.drop_copy();
        }
    }

    fn drop_newest(&self) -> Option<Receipt> {
        self.opened()?.drop_newest()
    }

    fn confirm(&self) -> Option<Level> {
        self.opened().and_then(Branch::confirm)
    }

    fn confirmed(&self, receipt: Receipt) -> Option<BoxFuture<'_, Result<(), Lost>>> {
        self.opened()?.confirmed(receipt)
    }

    fn room(&self, since: Instant) -> BoxFuture<'_, Result<(), SendErrorKind>> {
        Box::pin(async move {
            match self.opening().opened().await {
                Ok(sink) => sink.room(since).await,
                Err(error) => Err(unopened(error)),
            }
        })
    }

    fn gave(&self, receipt: Receipt) -> Option<bool> {
        self.opened().map_or(Some(false), |sink| sink.gave(receipt))
    }

    fn patience(&self) -> Option<Duration> {
        self.opened().map_or(Some(PATIENCE), Branch::patience)
    }

    fn as_branch(&self) -> &dyn Branch<M> {
        self
    }
}

impl<M, T: PromisesAtLeastOnce> AtLeastOnce for Lazy<Relay<M, T>> {}
impl<M, T: PromisesAtLeastOnce> AtLeastOnce for Lazy<Direct<M, T>> {}

impl<S> fmt::Debug for Lazy<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lazy<{}>", std::any::type_name::<S>())
    }
}
