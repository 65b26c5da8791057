//! One error per verb, its variants what a caller does differently. Each names the service and the key to change.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::receipt::Level;

mod texts;

/// What became of the message: the one question a caller answers before sending it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No byte left and none will: the message is in the error, and is never delivered later.
    NotSent,
    /// Some branches of a composite took it, some did not.
    Partial,
    /// It left; whether it arrived is not known.
    Unknown,
}

/// Why [`send`](crate::MessageSink::send) did not do what was asked. One boxed pointer; gives the message back.
pub struct SendError<M>(Box<Inner<M>>);

struct Inner<M> {
    kind: SendErrorKind,
    message: Option<M>,
}

/// What happened to a send; what a caller does next depends on it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The buffer stayed full for all of `waited`.
    Full {
        /// The service.
        service: Arc<str>,
        /// Messages held when it gave up.
        held_messages: u64,
        /// The registry's `buffer_size`.
        buffer_size: u32,
        /// Bytes held when it gave up.
        held_bytes: u64,
        /// The registry's `buffer_bytes`; 0 where nothing is encoded and so only messages count.
        buffer_bytes: u64,
        /// How long the call waited; zero for `try_send` and `when_full = "reject"`.
        waited: Duration,
        /// The last connection attempt's error, if the link is down.
        last: Option<Arc<ConnectError>>,
    },
    /// Larger than the service allows.
    TooLarge {
        /// The service.
        service: Arc<str>,
        /// The encoded size.
        bytes: u64,
        /// The limit it exceeds.
        limit: u64,
        /// The registry key that sets the limit, and whose, where it is not ours.
        key: &'static str,
    },
    /// The message did not encode.
    Encode {
        /// The service.
        service: Arc<str>,
        /// What the codec said.
        source: Arc<EncodeError>,
    },
    /// The level asked for by `confirm` was not reached in time.
    Unconfirmed {
        /// The service.
        service: Arc<str>,
        /// The level asked for.
        wanted: Level,
        /// How long the call waited.
        waited: Duration,
        /// The last connection attempt's error, if the link is down.
        last: Option<Arc<ConnectError>>,
        /// Whether the bytes may have arrived.
        outcome: Outcome,
    },
    /// The level asked for by `confirm` can no longer be reached, or nobody would hear of it.
    Lost {
        /// The service.
        service: Arc<str>,
        /// The level asked for.
        wanted: Level,
        /// What happened.
        why: &'static str,
        /// The last connection's error, if the link is down.
        last: Option<Arc<ConnectError>>,
        /// Whether the bytes may have arrived.
        outcome: Outcome,
    },
    /// A `drop_*` policy, its age or its size, once the receiver had told its limit, dropped it while its sender waited for confirmation.
    Dropped {
        /// The service.
        service: Arc<str>,
    },
    /// The service can never be reached as configured, or the attempts are used up.
    Connect {
        /// The service.
        service: Arc<str>,
        /// Why.
        source: Arc<ConnectError>,
    },
    /// The sink was closed; `connect()` opens it again.
    Closed {
        /// The service.
        service: Arc<str>,
    },
    /// No tokio runtime drives this link, and the caller is outside any.
    NoRuntime {
        /// The service.
        service: Arc<str>,
    },
    /// The registry has no such service, or it is not sound.
    Registry {
        /// Why.
        source: Arc<RegistryError>,
    },
    /// Some branches of a composite took the message and some did not.
    Partial {
        /// The composite.
        service: Arc<str>,
        /// How many branches failed.
        failed: usize,
        /// How many branches there are.
        branches: usize,
        /// The first failing branch's error, in one line.
        first: Arc<str>,
    },
    /// A sink written outside this crate failed.
    Other {
        /// The service.
        service: Arc<str>,
        /// What it said.
        text: Arc<str>,
    },
}

// === impl SendErrorKind ===

impl SendErrorKind {
    /// What became of the message.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Unconfirmed { outcome, .. } | Self::Lost { outcome, .. } => *outcome,
            Self::Partial { .. } => Outcome::Partial,
            Self::Dropped { .. } => Outcome::NotSent,
            _ => Outcome::NotSent,
        }
    }
}

// === impl SendError ===

impl<M> SendError<M> {
    /// An error that gives `message` back; for sinks written outside this crate.
    #[must_use]
    pub fn new(kind: SendErrorKind, message: Option<M>) -> Self {
        Self(Box::new(Inner { kind, message }))
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &SendErrorKind {
        &self.0.kind
    }

    /// What became of the message.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.kind.outcome()
    }

    /// The message, where it was not taken.
    #[must_use]
    pub fn into_message(self) -> Option<M> {
        self.0.message
    }

    /// The reason and the message.
    #[must_use]
    pub fn into_parts(self) -> (SendErrorKind, Option<M>) {
        (self.0.kind, self.0.message)
    }

    /// Whether the buffer was full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.0.kind, SendErrorKind::Full { .. })
    }

    /// Whether the sink is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.0.kind, SendErrorKind::Closed { .. })
    }

    /// The same error about another message; `map` is applied where the message came back.
    pub fn map<N>(self, map: impl FnOnce(M) -> N) -> SendError<N> {
        SendError(Box::new(Inner {
            kind: self.0.kind,
            message: self.0.message.map(map),
        }))
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("kind", &self.0.kind)
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.kind.fmt(f)
    }
}

impl<M> std::error::Error for SendError<M> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.kind.source()
    }
}

/// Why a connection could not be made, or is not wanted. Shared by all who joined the attempt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens there yet; tried again by itself while there is something to send.
    NotThereYet {
        /// The service.
        service: Arc<str>,
        /// Where.
        endpoint: Arc<str>,
        /// How many attempts in a row have failed.
        attempt: u32,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The attempt failed in another way.
    Io {
        /// The service.
        service: Arc<str>,
        /// Where.
        endpoint: Arc<str>,
        /// How many attempts in a row have failed.
        attempt: u32,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The peer did not answer in time.
    TimedOut {
        /// The service.
        service: Arc<str>,
        /// Where.
        endpoint: Arc<str>,
        /// How long was waited.
        waited: Duration,
    },
    /// The peer answered and refused; trying again at the longest delay, since a person must fix it.
    Refused {
        /// The service.
        service: Arc<str>,
        /// Where.
        endpoint: Arc<str>,
        /// What the peer said, escaped.
        reason: Arc<str>,
    },
    /// The peer does not speak our protocol.
    Protocol {
        /// The service.
        service: Arc<str>,
        /// Where.
        endpoint: Arc<str>,
        /// What was wrong.
        reason: Arc<str>,
    },
    /// An established connection was lost.
    Lost {
        /// The service.
        service: Arc<str>,
        /// Where.
        endpoint: Arc<str>,
        /// How.
        reason: Arc<str>,
    },
    /// `max_attempts` attempts have failed.
    GaveUp {
        /// The service.
        service: Arc<str>,
        /// How many.
        attempts: u32,
        /// The last attempt's error.
        last: Arc<ConnectError>,
    },
    /// The sink is closed.
    Closed {
        /// The service.
        service: Arc<str>,
    },
    /// The caller is outside any tokio runtime.
    NoRuntime {
        /// The service.
        service: Arc<str>,
    },
    /// The registry has no such service, or it is not sound.
    Registry {
        /// Why.
        source: Arc<RegistryError>,
    },
    /// A sink written outside this crate failed to open.
    Other {
        /// The service.
        service: Arc<str>,
        /// What it said.
        text: Arc<str>,
    },
}

impl ConnectError {
    /// Whether only a person can mend it: such a link redials at its longest delay.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Protocol { .. } | Self::Registry { .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
            ),
            Self::GaveUp { .. } => true,
            _ => false,
        }
    }
}

/// Why a source could not hand up a message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SourceError {
    /// Messages are missing, and none came behind them yet.
    Gap(crate::gap::Gap),
    /// A message did not decode; it was counted and acked, the next one follows.
    Decode {
        /// The service.
        service: Arc<str>,
        /// The Rust type expected.
        message: &'static str,
        /// The message's sequence number.
        sequence: u64,
        /// The bytes that did not decode.
        raw: bytes::Bytes,
        /// What the codec said.
        source: Arc<DecodeError>,
    },
    /// A producer sends another message type; its messages are passed over.
    Mismatch {
        /// The service.
        service: Arc<str>,
        /// Both fingerprints and the fields that differ.
        reason: Arc<str>,
    },
    /// A peer of a foreign framing broke it, or left within a message. Its connection has ended; what it brought before was
    /// handed up.
    Peer {
        /// The service.
        service: Arc<str>,
        /// Who.
        peer: Arc<str>,
        /// What it did.
        reason: Arc<str>,
    },
    /// The endpoint could not be bound.
    Bind {
        /// The service.
        service: Arc<str>,
        /// Where.
        endpoint: Arc<str>,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The relay could not be reached; only from calls that wait for it, `recv` goes on trying.
    Connect {
        /// The service.
        service: Arc<str>,
        /// Why.
        source: Arc<ConnectError>,
    },
    /// The registry has no such service, or it is not sound.
    Registry {
        /// Why.
        source: Arc<RegistryError>,
    },
    /// The caller is outside any tokio runtime.
    NoRuntime {
        /// The service.
        service: Arc<str>,
    },
}

/// Why a service could not be provisioned from the registry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RegistryError {
    /// No such service.
    UnknownService {
        /// The name asked for.
        service: Arc<str>,
        /// Where it was looked for.
        registry: Arc<str>,
        /// The nearest name, where there is one.
        help: Option<Arc<str>>,
    },
    /// The service carries another message type than the program expects.
    MessageMismatch {
        /// The service.
        service: Arc<str>,
        /// Where it was looked for.
        registry: Arc<str>,
        /// The registry's type.
        registered: Arc<str>,
        /// The program's type.
        expected: Arc<str>,
    },
    /// The registry has mistakes.
    Invalid {
        /// Where the mistakes are: files, the environment.
        registry: Arc<str>,
        /// How many.
        count: usize,
        /// The rendered diagnostics.
        text: Arc<str>,
    },
    /// More than one of the others, each of which has to be repaired.
    Several {
        /// Which registry.
        registry: Arc<str>,
        /// All of them.
        all: Arc<[RegistryError]>,
    },
    /// The registry could not be read.
    Read {
        /// Which registry.
        registry: Arc<str>,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The registry did not answer in time.
    TimedOut {
        /// How long was waited.
        waited: Duration,
    },
    /// The service lacks a guarantee that was asked for.
    NotAtLeastOnce {
        /// The service.
        service: Arc<str>,
    },
    /// The service is what the call cannot serve.
    Unsupported {
        /// The service.
        service: Arc<str>,
        /// Why.
        text: Arc<str>,
    },
}

impl RegistryError {
    /// One error of as many as there are; none of none.
    pub(crate) fn of_all(registry: &Arc<str>, mut all: Vec<Self>) -> Option<Self> {
        match all.len() {
            0 | 1 => all.pop(),
            _ => Some(Self::Several {
                registry: Arc::clone(registry),
                all: Arc::from(all),
            }),
        }
    }
}

/// A message that does not encode.
#[derive(Debug)]
pub struct EncodeError {
    pub(crate) codec: &'static str,
    pub(crate) text: String,
}

impl EncodeError {
    /// For message types that encode themselves.
    #[must_use]
    pub fn new(codec: &'static str, text: impl Into<String>) -> Self {
        Self {
            codec,
            text: text.into(),
        }
    }
}

/// Bytes that do not decode.
#[derive(Debug)]
pub struct DecodeError {
    pub(crate) codec: &'static str,
    pub(crate) text: String,
}

impl DecodeError {
    /// For message types that decode themselves.
    #[must_use]
    pub fn new(codec: &'static str, text: impl Into<String>) -> Self {
        Self {
            codec,
            text: text.into(),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
