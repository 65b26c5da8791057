//! Which changes of a link's state become events: each once, repeats counted (PROMISES 2.8). Pure, but for the telling itself.

use std::mem::Discriminant;
use std::sync::Arc;

use crate::error::ConnectError;
use crate::life::SinkState;

/// What a link has told so far. Events are told without the link's lock: a subscriber may itself send through a sink.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pending: Vec<Event>,
    /// The kind of failure told last, while nothing has succeeded since.
    failing: Option<Kind>,
    /// Failures of that kind since, which were only counted.
    repeats: u32,
    /// The attempt under way.
    attempt: u32,
    /// Going idle behind a failure was told.
    rested: bool,
}

/// Two failures of one kind are repeats: what differs is the number of the attempt.
type Kind = (Discriminant<ConnectError>, Option<std::io::ErrorKind>);

#[derive(Debug)]
pub(crate) struct Event {
    state: SinkState,
    endpoint: Arc<str>,
    attempt: u32,
    repeats: u32,
    cause: &'static str,
}

// === impl Told ===

impl Told {
    /// The state has become `state`; `cause` says why where the state itself does not. Whether there is something to tell.
    pub(crate) fn note(
        &mut self,
        state: &SinkState,
        endpoint: &Arc<str>,
        cause: Option<&'static str>,
    ) -> bool {
        let cause = cause.unwrap_or(match state {
            SinkState::Connecting { .. } => "something is to be sent",
            SinkState::Ready => "welcomed",
            SinkState::Draining => "close()",
            SinkState::Closed => "closed",
            _ => "nothing is to be sent",
        });
        let tell = match state {
            SinkState::Connecting { attempt } => {
                self.attempt = *attempt;
                self.failing.is_none()
            }
            SinkState::Backoff {
                attempt,
                last_error,
                ..
            } => {
                self.attempt = *attempt;
                self.fails(kind(last_error))
            }
            SinkState::Idle if self.failing.is_some() => !std::mem::replace(&mut self.rested, true),
            _ => true,
        };
        if !tell {
            return false;
        }
        self.pending.push(Event {
            state: state.clone(),
            endpoint: Arc::clone(endpoint),
            attempt: self.attempt,
            repeats: self.repeats,
            cause,
        });
        match state {
            SinkState::Ready => {
                *self = Self {
                    pending: std::mem::take(&mut self.pending),
                    ..Self::default()
                };
            }
            SinkState::Backoff { .. } => self.repeats = 0,
            _ => {}
        }
        true
    }

    /// Whether a failure of this kind is news.
    fn fails(&mut self, kind: Kind) -> bool {
        if self.failing == Some(kind) {
            self.repeats += 1;
            return false;
        }
        self.failing = Some(kind);
        self.rested = false;
        true
    }

    pub(crate) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.pending)
    }
}

fn kind(error: &ConnectError) -> Kind {
    let io = match error {
        ConnectError::NotThereYet { source, .. } | ConnectError::Io { source, .. } => {
            Some(source.kind())
        }
        _ => None,
    };
    (std::mem::discriminant(error), io)
}

// === impl Event ===

impl Event {
    /// Gives it to whoever subscribes to `tracing`.
    pub(crate) fn tell(self, service: &str) {
        let Self {
            state,
            endpoint,
            attempt,
            repeats,
            cause,
        } = self;
        let (name, endpoint) = (state.name(), &*endpoint);
        match state {
            SinkState::Backoff { last_error, .. } => {
                let cause = crate::error::chain(&*last_error);
                if last_error.is_permanent() {
                    tracing::warn!(
                        service,
                        endpoint,
                        attempt,
                        cause,
                        repeats,
                        state = name,
                        "misconfigured"
                    );
                } else {
                    tracing::info!(
                        service,
                        endpoint,
                        attempt,
                        cause,
                        repeats,
                        state = name,
                        "not connected"
                    );
                }
            }
            SinkState::Ready => {
                tracing::info!(
                    service,
                    endpoint,
                    attempt,
                    cause,
                    repeats,
                    state = name,
                    "connected"
                );
            }
            SinkState::Idle | SinkState::Closed => {
                tracing::info!(
                    service,
                    endpoint,
                    attempt,
                    cause,
                    repeats,
                    state = name,
                    "not connected any more"
                );
            }
            SinkState::Connecting { .. } | SinkState::Draining => {
                tracing::debug!(
                    service,
                    endpoint,
                    attempt,
                    cause,
                    repeats,
                    state = name,
                    "under way"
                );
            }
        }
    }
}
