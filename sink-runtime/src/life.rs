//! When to dial, greet, wait, beat and give up. Pure: `now` comes in, the next step goes out; no sockets, no clock.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Chance, Instant, uniform};
use crate::error::ConnectError;
use crate::policy::backoff::Backoff;

/// Longest wait for the other end's first frame.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// How many heartbeats may be missing before the peer counts as lost.
pub const MISSED_HEARTBEATS: u32 = 3;
/// Longest that bytes may wait for a peer that takes none and says nothing. One that only waits for its caller to read goes
/// on speaking, and is waited for as long as `send_timeout_ms` says.
pub const WRITE_STALL: Duration = Duration::from_secs(10);
/// A frame that has begun has this long, and the time its size takes at [`FRAME_BYTES_PER_SECOND`], to arrive whole.
pub const FRAME_GRACE: Duration = Duration::from_secs(10);
/// The least progress a frame must make: far below any network, far above who trickles bytes to hold a place.
pub const FRAME_BYTES_PER_SECOND: u64 = 64 * 1024;

/// How long a frame of at most `limit` bytes may take to arrive whole, once it has begun.
#[must_use]
pub fn frame_time(limit: usize) -> Duration {
    FRAME_GRACE + Duration::from_millis(limit as u64 * 1000 / FRAME_BYTES_PER_SECOND)
}

/// Where a link stands; one model for all carriers (PROMISES §1).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum SinkState {
    /// Not connected, and no need to be.
    #[default]
    Idle,
    /// An attempt is under way.
    Connecting {
        /// Which, counted from 1 since the last success.
        attempt: u32,
    },
    /// Connected.
    Ready,
    /// The last attempt failed; the next begins at `until`.
    Backoff {
        /// How many attempts have failed in a row.
        attempt: u32,
        /// When the next one begins.
        until: Instant,
        /// Why the last one failed.
        last_error: Arc<ConnectError>,
    },
    /// Closing: what is buffered still goes out.
    Draining,
    /// Closed; `connect()` opens it again.
    Closed,
}

impl SinkState {
    /// Whether the sink is connected; advisory only.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// The state's name, as logs and metrics have it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting { .. } => "connecting",
            Self::Ready => "ready",
            Self::Backoff { .. } => "backoff",
            Self::Draining => "draining",
            Self::Closed => "closed",
        }
    }
}

#[derive(Clone, Debug)]
enum Phase {
    Idle,
    Dialing {
        until: Instant,
    },
    Greeting {
        until: Instant,
    },
    Ready {
        since: Instant,
    },
    Waiting {
        until: Instant,
        error: Arc<ConnectError>,
    },
    GaveUp {
        error: Arc<ConnectError>,
        /// When the next slot would begin: asking again does not shorten it.
        until: Instant,
    },
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something is wanted.
    Rest,
    /// Make a connection; give up on it at the deadline.
    Dial {
        /// When to give up.
        until: Instant,
    },
    /// Go on with the attempt that runs; give up on it at the deadline.
    Continue {
        /// When to give up.
        until: Instant,
    },
    /// Wait for the next slot.
    Wait {
        /// When it begins.
        until: Instant,
    },
    /// The connection is up.
    Talk,
}

/// What silence calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing before this instant.
    Quiet {
        /// When to look again.
        until: Instant,
    },
    /// Say that we are here.
    Send,
    /// Nothing came for too long.
    PeerIsGone,
    /// The peer took no byte for too long.
    PeerIsStuck,
}

/// How often and how long a link tries.
#[derive(Clone, Debug)]
pub struct LifePolicy {
    /// First delay.
    pub reconnect_delay: Duration,
    /// Longest delay.
    pub reconnect_max_delay: Duration,
    /// Longest attempt.
    pub connect_timeout: Duration,
    /// Attempts in a row before giving up.
    pub max_attempts: Option<u32>,
    /// Longest silence of ours.
    pub heartbeat: Duration,
}

/// One link's life.
#[derive(Debug)]
pub struct Life {
    policy: LifePolicy,
    phase: Phase,
    backoff: Backoff,
    /// Attempts begun and ended so far, so that a caller can tell its own.
    started: u64,
    ended: u64,
    /// The last attempt that succeeded.
    succeeded: u64,
    last_error: Option<Arc<ConnectError>>,
    heard: Option<Instant>,
    spoke: Option<Instant>,
    /// Since when bytes wait for the peer to take any.
    blocked: Option<Instant>,
    /// No attempt begins before this instant: another endpoint was given, or a connection was lost that nobody needed.
    not_before: Option<Instant>,
    peer_heartbeat: Duration,
}

impl Life {
    /// Idle.
    #[must_use]
    pub fn new(policy: LifePolicy) -> Self {
        let backoff = Backoff::new(policy.reconnect_delay, policy.reconnect_max_delay);
        let peer_heartbeat = policy.heartbeat;
        Self {
            policy,
            phase: Phase::Idle,
            backoff,
            started: 0,
            ended: 0,
            succeeded: 0,
            last_error: None,
            heard: None,
            spoke: None,
            blocked: None,
            not_before: None,
            peer_heartbeat,
        }
    }

    /// Asks what to do at `now`, where `wanted` says whether anything needs a connection.
    pub fn step(&mut self, now: Instant, wanted: bool) -> Step {
        match &self.phase {
            Phase::Ready { .. } => Step::Talk,
            Phase::Dialing { until } | Phase::Greeting { until } => {
                Step::Continue { until: *until }
            }
            Phase::Waiting { until, .. } if now < *until => Step::Wait { until: *until },
            Phase::GaveUp { .. } => Step::Rest,
            Phase::Idle if wanted && self.not_before.is_some_and(|at| now < at) => Step::Wait {
                until: self.not_before.unwrap_or(now),
            },
            Phase::Idle | Phase::Waiting { .. } if wanted => {
                self.not_before = None;
                let until = now + self.policy.connect_timeout;
                self.phase = Phase::Dialing { until };
                self.started += 1;
                Step::Dial { until }
            }
            Phase::Idle | Phase::Waiting { .. } => {
                self.phase = Phase::Idle;
                Step::Rest
            }
        }
    }

    /// The stream is there; the hello goes out.
    pub fn dialed(&mut self, now: Instant) {
        let attempt_ends = match self.phase {
            Phase::Dialing { until } => until,
            _ => now + self.policy.connect_timeout,
        };
        self.phase = Phase::Greeting {
            until: attempt_ends.min(now + HELLO_TIMEOUT),
        };
        self.heard = Some(now);
        self.spoke = Some(now);
        self.blocked = None;
    }

    /// The other end answered our hello; it beats every `peer_heartbeat`, or never where that is zero.
    pub fn welcomed(&mut self, now: Instant, peer_heartbeat: Duration) {
        self.phase = Phase::Ready { since: now };
        self.ended = self.started;
        self.succeeded = self.started;
        self.last_error = None;
        self.heard = Some(now);
        self.peer_heartbeat = peer_heartbeat;
    }

    /// The attempt failed, or an established connection was lost. Whether to redial is the next step's question.
    pub fn failed(
        &mut self,
        now: Instant,
        error: ConnectError,
        chance: &dyn Chance,
    ) -> Arc<ConnectError> {
        let error = Arc::new(error);
        let delay = match self.phase {
            Phase::Ready { since } => self.backoff.lost(since, now, chance),
            _ if error.is_permanent() => self.backoff.failed_for_good(chance),
            _ => self.backoff.failed(chance),
        };
        let established = matches!(self.phase, Phase::Ready { .. });
        self.ended = self.started;
        self.phase = match self.policy.max_attempts {
            Some(most) if !established && self.backoff.failures() >= most => Phase::GaveUp {
                until: now + delay,
                error: Arc::new(ConnectError::GaveUp {
                    service: service_of(&error),
                    attempts: most,
                    last: Arc::clone(&error),
                }),
            },
            _ => Phase::Waiting {
                until: now + delay,
                error: Arc::clone(&error),
            },
        };
        self.last_error = Some(Arc::clone(&error));
        self.heard = None;
        self.spoke = None;
        self.blocked = None;
        error
    }

    /// An idle connection ended, or we ended it: not a failure.
    pub fn rest(&mut self) {
        if matches!(self.phase, Phase::Dialing { .. } | Phase::Greeting { .. }) {
            self.ended = self.started;
        }
        self.phase = Phase::Idle;
        self.last_error = None;
        self.blocked = None;
    }

    /// The peer ended an idle connection: not a failure. But where it had not lasted, the next use dials no earlier than after
    /// a loss: else who hangs up behind each message would be dialed for each message.
    pub fn left(&mut self, now: Instant, chance: &dyn Chance) {
        if let Phase::Ready { since } = self.phase
            && !self.backoff.lasted(since, now)
        {
            self.not_before = Some(now + self.backoff.lost(since, now, chance));
        }
        self.rest();
    }

    /// Nobody needs the attempt under way any more: it ends without blame, and who joined it learns why.
    pub fn called_off(&mut self, why: ConnectError) {
        self.ended = self.started;
        self.phase = Phase::Idle;
        self.last_error = Some(Arc::new(why));
    }

    /// The runtime that drove it is gone: the attempt or connection with it, without blame.
    pub fn interrupted(&mut self) {
        match self.phase {
            Phase::Waiting { .. } | Phase::GaveUp { .. } | Phase::Idle => {}
            _ => {
                self.ended = self.started;
                self.phase = Phase::Idle;
            }
        }
    }

    /// A person asked again after `max_attempts`: the count starts over, the slot stays.
    pub fn renew(&mut self) {
        self.backoff.reset();
        if let Phase::GaveUp { error, until } = &self.phase {
            self.phase = Phase::Waiting {
                until: *until,
                error: Arc::clone(error),
            };
        }
    }

    /// The resolver gave another endpoint: the count starts over, and what is wanted is dialed at once, jittered. An attempt
    /// or connection that was for the old one ends without blame.
    pub fn moved(&mut self, now: Instant, chance: &dyn Chance) {
        self.backoff.reset();
        self.ended = self.started;
        self.last_error = None;
        self.blocked = None;
        self.phase = Phase::Idle;
        let most = self.policy.reconnect_delay;
        self.not_before = Some(now + uniform(chance, Duration::ZERO, most));
    }

    /// Bytes came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// When bytes came last, on this connection.
    #[must_use]
    pub fn heard_at(&self) -> Option<Instant> {
        self.heard
    }

    /// Bytes went.
    pub fn spoke(&mut self, now: Instant) {
        self.spoke = Some(now);
    }

    /// Bytes wait, and the peer takes none.
    pub fn blocked(&mut self, now: Instant) {
        self.blocked.get_or_insert(now);
    }

    /// The peer took some.
    pub fn unblocked(&mut self) {
        self.blocked = None;
    }

    /// When the peer counts as stuck, should it go on as it does.
    #[must_use]
    pub fn stuck_at(&self) -> Option<Instant> {
        self.blocked
            .map(|since| self.heard.map_or(since, |heard| heard.max(since)) + WRITE_STALL)
    }

    /// What silence calls for at `now`; meaningful while [`Step::Talk`].
    pub fn beat(&mut self, now: Instant) -> Beat {
        if let Phase::Ready { since } = self.phase {
            self.backoff.lasted(since, now);
        }
        if self.stuck_at().is_some_and(|at| now >= at) {
            return Beat::PeerIsStuck;
        }
        let patience = self.peer_heartbeat * MISSED_HEARTBEATS;
        let gone_at = (!patience.is_zero()).then(|| self.heard.unwrap_or(now) + patience);
        if gone_at.is_some_and(|gone_at| now >= gone_at) {
            return Beat::PeerIsGone;
        }
        let speak_at = self.spoke.unwrap_or(now) + self.policy.heartbeat;
        if now >= speak_at {
            self.spoke = Some(now);
            return Beat::Send;
        }
        let ends = [gone_at, self.stuck_at()];
        Beat::Quiet {
            until: ends.into_iter().flatten().fold(speak_at, Instant::min),
        }
    }

    /// Whether the connection is up.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// Whether an attempt is under way.
    #[must_use]
    pub fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Dialing { .. } | Phase::Greeting { .. })
    }

    /// Since when the connection is up, if it is.
    #[must_use]
    pub fn ready_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ready { since } => Some(since),
            _ => None,
        }
    }

    /// The error of the last attempt, while none has succeeded since.
    #[must_use]
    pub fn last_error(&self) -> Option<&Arc<ConnectError>> {
        match &self.phase {
            Phase::GaveUp { error, .. } => Some(error),
            _ => self.last_error.as_ref(),
        }
    }

    /// Why no further attempt will be made, if so.
    #[must_use]
    pub fn gave_up(&self) -> Option<&Arc<ConnectError>> {
        match &self.phase {
            Phase::GaveUp { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The attempt that a caller who comes now joins: the one under way, or the next.
    #[must_use]
    pub fn joins(&self) -> u64 {
        if self.ended < self.started {
            self.started
        } else {
            self.started + 1
        }
    }

    /// Whether attempt `number` has ended.
    #[must_use]
    pub fn has_ended(&self, number: u64) -> bool {
        self.ended >= number
    }

    /// Whether attempt `number`, or a later one, has made a connection.
    #[must_use]
    pub fn has_succeeded(&self, number: u64) -> bool {
        self.succeeded >= number
    }

    /// Attempts begun so far.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.started
    }

    /// For the outside.
    #[must_use]
    pub fn state(&self) -> SinkState {
        match &self.phase {
            Phase::Idle => SinkState::Idle,
            Phase::Dialing { .. } | Phase::Greeting { .. } => SinkState::Connecting {
                attempt: self.backoff.failures() + 1,
            },
            Phase::Ready { .. } => SinkState::Ready,
            Phase::Waiting { until, error } => SinkState::Backoff {
                attempt: self.backoff.failures(),
                until: *until,
                last_error: Arc::clone(error),
            },
            Phase::GaveUp { .. } => SinkState::Closed,
        }
    }
}

fn service_of(error: &ConnectError) -> Arc<str> {
    match error {
        ConnectError::NotThereYet { service, .. }
        | ConnectError::Io { service, .. }
        | ConnectError::TimedOut { service, .. }
        | ConnectError::Refused { service, .. }
        | ConnectError::Protocol { service, .. }
        | ConnectError::Lost { service, .. }
        | ConnectError::GaveUp { service, .. }
        | ConnectError::Closed { service }
        | ConnectError::NoRuntime { service }
        | ConnectError::Other { service, .. } => Arc::clone(service),
        ConnectError::Registry { .. } => Arc::from("registry"),
    }
}

#[cfg(test)]
mod tests;
