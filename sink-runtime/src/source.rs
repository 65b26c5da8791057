//! Where messages are received: gaps and duplicates are found here, in the order of the wire. Sockets are beneath.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::runtime::{Handle, Id};

use crate::codec::Codec;
use crate::error::{RegistryError, SourceError};
use crate::frame::{self, Kind, ProducerId, Start};
use crate::gap::{Gap, GapCause};
use crate::inproc::Receiver;
use crate::message::{MessageType, Metadata, Payload};
use crate::registry::CompiledRegistry;
use crate::service::Service;
use crate::transport::{BoxFuture, Endpoint};

mod inbox;
mod listen;
mod settings;
mod shapes;
mod stream;
mod subscribe;
mod track;

use inbox::{Inbox, Item};
pub(crate) use settings::{Role, SourceSettings};
use track::{Seen, Tracker};

/// The inbox hears of free places at the latest when there are so many, or a sixteenth of `buffer_size`: until then it takes the
/// source for fuller than it is, never for emptier.
const TELL_EVERY: u64 = 64;

/// A received message, and what is known of it. Dereferences to the message.
pub struct Delivery<M> {
    message: M,
    producer: ProducerId,
    sequence: u64,
    offset: u64,
    gap: Option<Box<Gap>>,
    metadata: Option<Box<Metadata>>,
}

impl<M> Delivery<M> {
    /// The message, by value.
    #[must_use]
    pub fn into_inner(self) -> M {
        self.message
    }

    /// Who sent it.
    #[must_use]
    pub fn producer(&self) -> ProducerId {
        self.producer
    }

    /// Its number on the producer's link, from 1.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its number at the relay, the same for all consumers; `None` where no relay lies between.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        (self.offset != 0).then_some(self.offset)
    }

    /// What is missing before it.
    #[must_use]
    pub fn gap(&self) -> Option<&Gap> {
        self.gap.as_deref()
    }

    /// What came with it.
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_deref()
    }
}

impl<M> Deref for Delivery<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.message
    }
}

impl<M> DerefMut for Delivery<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.message
    }
}

impl<M: std::fmt::Debug> std::fmt::Debug for Delivery<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("sequence", &self.sequence)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// What a source has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceLedger {
    /// Messages handed up.
    pub received: u64,
    /// Messages known to be missing.
    pub lost: u64,
    /// Messages that came again and were not handed up again.
    pub duplicates: u64,
    /// Messages that did not decode; handed up as errors.
    pub undecodable: u64,
    /// Messages of another type, passed over.
    pub mismatched: u64,
    /// Gaps reported.
    pub gaps: u64,
}

/// Where a consumer of a relay begins when it first subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the oldest message the relay retains.
    Retained,
    /// With the next one.
    Now,
}

/// The receiving end of a service: subscribes to a relay, or listens for a direct service's producers.
///
/// Does nothing until it is first asked; then holds at most `buffer_size` messages and stops reading.
pub struct Source<M> {
    origin: Origin,
    settings: Option<Arc<SourceSettings>>,
    start: Option<From>,
    inbox: Arc<Inbox>,
    starting: Option<BoxFuture<'static, Result<Endpoint, SourceError>>>,
    /// The runtime that it is being started on.
    starting_on: Option<Id>,
    started: bool,
    ended: bool,
    failures: u32,
    local: Option<Endpoint>,
    chunk: Option<OpenChunk>,
    /// What did not decode, where a gap had to be told of before it.
    behind_gap: Option<Box<SourceError>>,
    /// Messages handed up that the inbox has not been told of, and how many may be.
    untold: u64,
    tell_every: u64,
    /// Instead of an inbox: the typed queue of a direct `inproc://` service.
    queue: Option<Receiver<M>>,
    tracker: Tracker,
    ledger: SourceLedger,
    message: PhantomData<fn() -> M>,
}

enum Origin {
    Compiled {
        registry: &'static CompiledRegistry,
        service: &'static str,
    },
    Settings,
}

/// A chunk of whole frames being handed up.
struct OpenChunk {
    bytes: Bytes,
    at: usize,
    connection: Arc<inbox::Connection>,
    /// Data frames of it not yet handed up.
    left: u32,
}

/// Messages handed up before an ack goes out although the chunk is not finished.
const ACK_EVERY: u64 = 256;

impl<M> Source<M> {
    /// The receiving end of a compiled-in service; what `Sources::name()` calls.
    #[must_use]
    pub fn compiled<T: Service>() -> Self {
        Self::of(
            Origin::Compiled {
                registry: T::registry(),
                service: T::NAME,
            },
            None,
        )
    }

    pub(crate) fn from_settings(settings: SourceSettings) -> Self {
        Self::of(Origin::Settings, Some(Arc::new(settings)))
    }

    fn of(origin: Origin, settings: Option<Arc<SourceSettings>>) -> Self {
        Self {
            origin,
            settings,
            start: None,
            inbox: Arc::default(),
            starting: None,
            starting_on: None,
            started: false,
            ended: false,
            failures: 0,
            local: None,
            chunk: None,
            behind_gap: None,
            untold: 0,
            tell_every: 1,
            queue: None,
            tracker: Tracker::default(),
            ledger: SourceLedger::default(),
            message: PhantomData,
        }
    }

    /// Where it listens, the port resolved; a subscriber's relay. `None` before it was started.
    #[must_use]
    pub fn local_endpoint(&self) -> Option<&Endpoint> {
        self.local.as_ref()
    }

    /// What it has seen so far.
    #[must_use]
    pub fn ledger(&self) -> SourceLedger {
        self.ledger
    }
}

impl<M: MessageType> Source<M> {
    /// Begins elsewhere than the registry's `from` says; relays only, and only before the first `recv`.
    #[must_use]
    pub fn starting_from(mut self, from: From) -> Self {
        self.start = Some(from);
        self
    }

    /// Receives the next message.
    ///
    /// What listens or subscribes runs on the runtime of the call that started it. When that runtime ends, the next call under
    /// another one, or one that waits there, begins again: binds the same address, or goes on behind what was read of the relay.
    /// What was read before is handed up first; what was sent meanwhile is as after any lost connection.
    ///
    /// Cancel-safe: a dropped future has taken nothing. An error concerns one message or one attempt; the next call goes on.
    /// `None` only after [`close`](Self::close), or when the registry has no such service.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn recv(&mut self) -> Option<Result<Delivery<M>, SourceError>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Receives at least one message and at most `max` that are there already.
    ///
    /// Cancel-safe. Empty only where [`recv`](Self::recv) would answer `None`. An error ends the batch; if it is first,
    /// the batch is that error alone.
    pub async fn recv_batch(&mut self, max: usize) -> Vec<Result<Delivery<M>, SourceError>> {
        let mut batch = Vec::new();
        self.recv_many(&mut batch, max).await;
        batch
    }

    /// As [`recv_batch`](Self::recv_batch), appended to a vector of the caller's, so that a loop allocates nothing; how many.
    ///
    /// Cancel-safe: a dropped future has taken nothing. 0 only where [`recv`](Self::recv) would answer `None`, or for `max` = 0.
    pub async fn recv_many(
        &mut self,
        batch: &mut Vec<Result<Delivery<M>, SourceError>>,
        max: usize,
    ) -> usize {
        let before = batch.len();
        if max == 0 {
            return 0;
        }
        poll_fn(|cx| {
            let Some(first) = ready!(self.poll_recv(cx)) else {
                return Poll::Ready(());
            };
            // What is at hand and no more: a batch of one must not pay for a thousand.
            batch.reserve(max.min(1 + self.at_hand()));
            let mut failed = first.is_err();
            batch.push(first);
            while batch.len() - before < max && !failed {
                match self.take_ready() {
                    Some(next) => {
                        failed = next.is_err();
                        batch.push(next);
                    }
                    None => break,
                }
            }
            Poll::Ready(())
        })
        .await;
        self.ack();
        self.tell_taken();
        batch.len() - before
    }

    /// How many messages of the open chunk or the process's own queue need no waiting, about.
    fn at_hand(&self) -> usize {
        match (&self.queue, &self.chunk) {
            (Some(queue), _) => queue.at_hand(),
            (None, Some(chunk)) => chunk.left as usize,
            (None, None) => 0,
        }
    }

    /// As [`recv`](Self::recv), for hand-written futures.
    pub fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Delivery<M>, SourceError>>> {
        if let Some(next) = self.take_at_hand() {
            return Poll::Ready(Some(next));
        }
        // A chunk or a batch is a step of the task's: who is never out of messages gives way to others all the same.
        let budget = ready!(tokio::task::coop::poll_proceed(cx));
        loop {
            if let Some(next) = self.take_ready() {
                budget.made_progress();
                return Poll::Ready(Some(next));
            }
            if self.ended {
                self.inbox.hang_up();
                return Poll::Ready(None);
            }
            if !self.started || self.inbox.is_orphaned() {
                if let Err(error) = ready!(self.poll_start(cx)) {
                    if matches!(error, SourceError::Registry { .. }) {
                        self.ended = true;
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                continue;
            }
            let filled = match &mut self.queue {
                Some(queue) => queue.poll_filled(cx),
                None => self.inbox.poll_filled(cx),
            };
            if filled.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Starts listening or subscribing and waits until that is done, so that [`local_endpoint`](Self::local_endpoint) answers.
    ///
    /// A subscriber does not wait for its relay: it need not be there yet.
    ///
    /// # Errors
    /// If the endpoint cannot be bound, or the registry has no such service.
    pub async fn start(&mut self) -> Result<Endpoint, SourceError> {
        poll_fn(|cx| self.poll_start(cx)).await
    }

    /// Stops receiving; what was read and not handed up is still handed up, then `None`.
    ///
    /// What was handed up is acked: where nothing waits to be handed up before this returns, else as it is handed up, for up to 30
    /// seconds. A source that is dropped acks what it handed up, too. Where a peer's buffer is too full for the last ack the
    /// connection stays for a second more, if the runtime does.
    pub fn close(&mut self) {
        self.tell_taken();
        self.inbox.shut();
        if let Some(queue) = &mut self.queue {
            queue.close();
        }
        self.ended = true;
    }

    fn settings(&mut self) -> Result<Arc<SourceSettings>, SourceError> {
        if let Some(settings) = &self.settings {
            return Ok(Arc::clone(settings));
        }
        let Origin::Compiled { registry, service } = &self.origin else {
            unreachable!("a source without settings is a compiled one");
        };
        let settings = registry
            .source_settings::<M>(service)
            .map_err(|error: RegistryError| SourceError::Registry {
                source: Arc::new(error),
            })?;
        Ok(Arc::clone(self.settings.insert(Arc::new(settings))))
    }

    fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<Result<Endpoint, SourceError>> {
        if self.inbox.take_orphaned() {
            self.started = false;
        }
        if self.started
            && let Some(local) = &self.local
        {
            return Poll::Ready(Ok(local.clone()));
        }
        let here = Handle::try_current().ok().map(|here| here.id());
        if self.starting_on != here {
            // Sockets and timers of a runtime that may be gone are no use on this one.
            self.starting = None;
        }
        if self.starting.is_none() {
            let settings = self.settings()?;
            if here.is_none() {
                return Poll::Ready(Err(SourceError::NoRuntime {
                    service: Arc::clone(&settings.service),
                }));
            }
            self.starting_on = here;
            if let (Role::Listen, Endpoint::Inproc(name)) =
                (settings.role, &settings.target.endpoint)
            {
                let queue = match Receiver::bind(name, M::NAME) {
                    Ok(queue) => queue,
                    Err(error) => return self.poll_unbound(settings, error, cx),
                };
                self.queue = Some(queue);
                self.started = true;
                let local = settings.target.endpoint.clone();
                self.local = Some(local.clone());
                return Poll::Ready(Ok(local));
            }
            let start = match self.start {
                Some(From::Now) => Start::Now,
                Some(From::Retained) => Start::Retained,
                None => settings.start,
            };
            self.tracker.from_retained =
                start == Start::Retained && settings.role == Role::Subscribe;
            self.tell_every = u64::from(settings.buffer_size / 16).clamp(1, TELL_EVERY);
            let start = self.tracker.resumes_at().unwrap_or(start);
            let settings = self.where_it_was(settings);
            let (inbox, failures) = (Arc::clone(&self.inbox), self.failures);
            self.starting = Some(Box::pin(async move {
                inbox.set_limit(settings.buffer_size, settings.buffer_bytes);
                match settings.role {
                    Role::Listen => listen::start(settings, inbox, failures).await,
                    Role::Subscribe => Ok(subscribe::start(settings, inbox, start)),
                }
            }));
        }
        self.poll_starting(cx)
    }

    /// A source that begins again listens where it did, also where the system chose the port.
    fn where_it_was(&self, mut settings: Arc<SourceSettings>) -> Arc<SourceSettings> {
        if let Some(local) = self.local.clone().filter(|_| settings.role == Role::Listen) {
            Arc::make_mut(&mut settings).target.endpoint = local;
        }
        settings
    }

    fn poll_starting(&mut self, cx: &mut Context<'_>) -> Poll<Result<Endpoint, SourceError>> {
        let Some(starting) = &mut self.starting else {
            return Poll::Pending;
        };
        let result = ready!(starting.as_mut().poll(cx));
        self.starting = None;
        Poll::Ready(match result {
            Ok(local) => {
                self.started = true;
                self.local = Some(local.clone());
                Ok(local)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                Err(error)
            }
        })
    }

    /// Reports a name that could not be bound: at once the first time, then with growing pauses, so that no caller spins.
    fn poll_unbound(
        &mut self,
        settings: Arc<SourceSettings>,
        error: std::io::Error,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Endpoint, SourceError>> {
        let failures = self.failures;
        let error = SourceError::Bind {
            service: Arc::clone(&settings.service),
            endpoint: Arc::from(settings.target.endpoint.to_string()),
            source: Arc::new(error),
        };
        self.starting = Some(Box::pin(async move {
            listen::pause(&settings, failures).await;
            Err(error)
        }));
        self.poll_starting(cx)
    }

    /// Hands up what needs no waiting.
    #[inline]
    fn take_ready(&mut self) -> Option<Result<Delivery<M>, SourceError>> {
        if self.queue.is_some() {
            return self.take_queued();
        }
        self.take_framed()
    }

    /// Hands up what is taken out of the inbox, or the process's own queue, already.
    #[inline]
    fn take_at_hand(&mut self) -> Option<Result<Delivery<M>, SourceError>> {
        match &self.queue {
            Some(queue) if queue.at_hand() > 0 => self.take_queued(),
            None if self.chunk.is_some() && self.behind_gap.is_none() => self.next_of_chunk(),
            _ => None,
        }
    }

    /// The next message of the process's own queue.
    #[inline]
    fn take_queued(&mut self) -> Option<Result<Delivery<M>, SourceError>> {
        let Some(taken) = self.queue.as_mut()?.take() else {
            return self.missing_in_queue();
        };
        self.ledger.received += 1;
        let gap = taken.missing_from.map(|from| {
            let (to, cause) = (taken.sequence - 1, GapCause::Producer);
            Box::new(self.count(Gap {
                from,
                to,
                cause,
                producer: Some(taken.producer),
            }))
        });
        let metadata = taken.message.metadata().cloned().map(Box::new);
        Some(Ok(Delivery {
            message: taken.message,
            producer: taken.producer,
            sequence: taken.sequence,
            offset: 0,
            gap,
            metadata,
        }))
    }

    /// What is missing in the process's own queue, with no message behind it.
    #[cold]
    fn missing_in_queue(&mut self) -> Option<Result<Delivery<M>, SourceError>> {
        let missing = self.queue.as_mut()?.missing()?;
        let gap = self.count(Gap {
            from: missing.from,
            to: missing.to,
            cause: GapCause::Producer,
            producer: Some(missing.producer),
        });
        Some(Err(SourceError::Gap(gap)))
    }

    fn take_framed(&mut self) -> Option<Result<Delivery<M>, SourceError>> {
        if let Some(error) = self.behind_gap.take() {
            return Some(Err(*error));
        }
        loop {
            if self.chunk.is_some() {
                if let Some(result) = self.next_of_chunk() {
                    return Some(result);
                }
                continue;
            }
            match self.inbox.pop()? {
                Item::Chunk {
                    bytes,
                    connection,
                    messages,
                } => {
                    self.chunk = Some(OpenChunk {
                        bytes,
                        at: 0,
                        connection,
                        left: messages,
                    });
                }
                Item::Error(error) => return Some(Err(error)),
                Item::Resumed {
                    connection,
                    next_offset,
                    epoch,
                } => {
                    if let Some(gap) = self.tracker.resumed(&connection, epoch, next_offset) {
                        return Some(Err(SourceError::Gap(self.count(gap))));
                    }
                }
            }
        }
    }

    fn count(&mut self, gap: Gap) -> Gap {
        self.ledger.gaps += 1;
        self.ledger.lost = self.ledger.lost.saturating_add(gap.lost());
        gap
    }

    /// The next thing in the open chunk worth handing up; `None` when it is finished, and then it is closed.
    fn next_of_chunk(&mut self) -> Option<Result<Delivery<M>, SourceError>> {
        loop {
            let chunk = self.chunk.as_mut()?;
            let bytes = chunk.bytes.get(chunk.at..).unwrap_or_default();
            let Ok(Some(head)) = frame::head(bytes, usize::MAX) else {
                self.close_chunk();
                return None;
            };
            let from = chunk.at;
            chunk.at += head.total;
            if head.kind == Kind::Data as u8 {
                chunk.left = chunk.left.saturating_sub(1);
                match self.data(from, head.total) {
                    None => continue,
                    result => return result,
                }
            }
            if let Some(result) = self.control(from, head) {
                return Some(result);
            }
        }
    }

    fn data(&mut self, from: usize, total: usize) -> Option<Result<Delivery<M>, SourceError>> {
        let chunk = self.chunk.as_ref()?;
        let frame = &chunk.bytes[from..from + total];
        let Ok(parts) = frame::data(frame) else {
            // The reading side has looked already; it held a place all the same.
            self.took_one();
            return None;
        };
        let seen = self
            .tracker
            .data(&chunk.connection, parts.sequence, parts.identity);
        let (producer, offset, gap) = match seen {
            Seen::New {
                producer,
                offset,
                gap,
            } => (producer, offset, gap),
            Seen::Duplicate { gap } => {
                self.ledger.duplicates += 1;
                self.handed(parts.sequence);
                return gap.map(|gap| Err(SourceError::Gap(self.count(gap))));
            }
            Seen::Mismatched => {
                self.ledger.mismatched += 1;
                self.handed(parts.sequence);
                return None;
            }
        };
        let payload = Payload::part(&chunk.bytes, from + parts.payload_at..from + total);
        let sequence = parts.sequence;
        let codec = self
            .settings
            .as_ref()
            .map_or(Codec::Raw, |settings| settings.codec);
        let decoded = M::decode(codec, payload);
        let metadata = parts.metadata.and_then(Metadata::decode).map(Box::new);
        let raw = decoded.is_err().then(|| payload.to_bytes());
        self.handed(sequence);
        let gap = gap.map(|gap| self.count(gap));
        match decoded {
            Ok(mut message) => {
                self.ledger.received += 1;
                if let Some(metadata) = &metadata {
                    message.set_metadata(metadata);
                }
                Some(Ok(Delivery {
                    message,
                    producer,
                    sequence,
                    offset,
                    gap: gap.map(Box::new),
                    metadata,
                }))
            }
            Err(error) => {
                self.ledger.undecodable += 1;
                let error = SourceError::Decode {
                    service: self.service(),
                    message: M::NAME,
                    sequence,
                    raw: raw.unwrap_or_default(),
                    source: Arc::new(error),
                };
                let Some(gap) = gap else {
                    return Some(Err(error));
                };
                self.behind_gap = Some(Box::new(error));
                Some(Err(SourceError::Gap(gap)))
            }
        }
    }

    fn control(
        &mut self,
        from: usize,
        head: frame::Head,
    ) -> Option<Result<Delivery<M>, SourceError>> {
        let service = self.service();
        let chunk = self.chunk.as_ref()?;
        let frame = &chunk.bytes[from..from + head.total];
        let gap = match Kind::from_u8(head.kind)? {
            Kind::Heartbeat => {
                let last = frame::number(frame).ok()?;
                self.tracker.heartbeat(&chunk.connection, last)
            }
            Kind::Producer => {
                let announced = frame::Producer::decode(frame).ok()?;
                let settings = self.settings.as_ref()?;
                let mismatch =
                    settings.mismatch(announced.fingerprint, &announced.message, &announced.shape);
                let gap = self
                    .tracker
                    .announce(&chunk.connection, &announced, mismatch.is_some());
                if let Some(reason) = mismatch {
                    return Some(Err(SourceError::Mismatch {
                        service,
                        reason: Arc::from(reason),
                    }));
                }
                gap
            }
            Kind::Chunk => {
                self.tracker
                    .chunk(&chunk.connection, frame::Chunk::decode(frame).ok()?);
                None
            }
            Kind::Gap => self
                .tracker
                .relay_gap(&chunk.connection, &frame::RelayGap::decode(frame).ok()?),
            _ => None,
        };
        gap.map(|gap| Err(SourceError::Gap(self.count(gap))))
    }

    fn service(&self) -> Arc<str> {
        self.settings.as_ref().map_or_else(
            || Arc::from("source"),
            |settings| Arc::clone(&settings.service),
        )
    }

    /// A message was handed up, or need not be: it may be acked.
    fn handed(&mut self, sequence: u64) {
        let Some(chunk) = &self.chunk else { return };
        let (due, is_first) = chunk.connection.handed(sequence);
        if chunk.left == 0 || due >= ACK_EVERY {
            chunk.connection.ack();
        } else if is_first {
            // Should the caller not come back for the rest of the chunk, the connection's task acks what it took.
            chunk.connection.nudge();
        }
        self.took_one();
    }

    /// A place is free. The inbox hears of several at once: its lock, which the reading tasks want too, is not for each message.
    #[inline]
    fn took_one(&mut self) {
        self.untold += 1;
        if self.untold >= self.tell_every {
            self.tell_taken();
        }
    }

    fn tell_taken(&mut self) {
        let untold = std::mem::take(&mut self.untold);
        if untold > 0 {
            self.inbox.took(untold, 0);
        }
    }

    /// Acks what was handed up of the open chunk.
    fn ack(&self) {
        if let Some(chunk) = &self.chunk {
            chunk.connection.ack();
        }
    }

    fn close_chunk(&mut self) {
        if let Some(chunk) = self.chunk.take() {
            let untold = std::mem::take(&mut self.untold);
            self.inbox.took(untold, inbox::weight(&chunk.bytes));
        }
    }
}

impl<M> Drop for Source<M> {
    fn drop(&mut self) {
        self.inbox.hang_up();
    }
}

impl<M> Unpin for Source<M> {}

impl<M: MessageType> Stream for Source<M> {
    type Item = Result<Delivery<M>, SourceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx)
    }
}

impl<M> std::fmt::Debug for Source<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("local", &self.local)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}
