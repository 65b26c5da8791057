//! One connection's bytes and times: reads whole frames, writes what is queued, knows when the peer is lost. No frames' meaning.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sink_runtime::frame::{self, Assembler, ByeCode, FrameError};
use sink_runtime::transport::Wire;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::outbox::{Outbox, Written};
use crate::settings::{LINGER, MISSED_HEARTBEATS, UNDER_WAY, WRITE_STALL};

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer took its leave")]
    Bye,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    #[error("the peer took no byte for {WRITE_STALL:?}, and said nothing")]
    Stalled,
    #[error("a frame did not arrive whole within {0:?}")]
    Torn(Duration),
    #[error("the producer came back on another connection")]
    Superseded,
    #[error("the relay is shutting down")]
    ShuttingDown,
    #[error("retention overtook the consumer (slow_consumer = \"disconnect\")")]
    TooSlow,
    #[error("more producers came by than one connection can number")]
    TooMany,
}

/// How often each side speaks, and how long a frame may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How often we send a heartbeat.
    pub(crate) heartbeat: Duration,
    /// How often the peer does; zero is never.
    pub(crate) theirs: Duration,
    pub(crate) frame_time: Duration,
}

/// A connection that has been welcomed.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) out: Outbox,
    wire: Arc<dyn Wire>,
    assembler: Assembler,
    pace: Pace,
    heard: Instant,
    sent: Instant,
    torn: Option<Instant>,
    blocked: Option<Instant>,
    superseded: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

// === impl Line ===

impl Line {
    pub(crate) fn new(wire: Arc<dyn Wire>, assembler: Assembler, out: Outbox, pace: Pace) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + pace.heartbeat));
        Self {
            out,
            wire,
            assembler,
            pace,
            heard: now,
            sent: now,
            torn: None,
            blocked: None,
            superseded: None,
            timer,
        }
    }

    /// Whole frames, as many as came with one read.
    pub(crate) fn poll_read(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, End>> {
        loop {
            if let Some((frames, _)) = self.assembler.take()? {
                self.torn = self.assembler.is_torn().then_some(now);
                return Poll::Ready(Ok(frames));
            }
            match self.wire.try_read(self.assembler.room()) {
                Ok(0) => return Poll::Ready(Err(End::Closed)),
                Ok(_) => {
                    self.heard = now;
                    self.torn = self.torn.or(Some(now));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match self.wire.poll_readable(cx)? {
                        Poll::Ready(()) => {}
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Ready once everything queued is written.
    pub(crate) fn poll_write(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        while !self.out.is_empty() {
            let (count, written) = self.out.write(&*self.wire)?;
            if count > 0 {
                self.sent = now;
                self.blocked = None;
            }
            if written == Written::Blocked {
                self.blocked = self.blocked.or(Some(now));
                match self.wire.poll_writable(cx)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        self.blocked = None;
        Poll::Ready(Ok(()))
    }

    /// The peer is back on another connection, and nothing more is here: whether nothing is under way either. What was written into
    /// a stream that does not linger is here at once.
    pub(crate) fn is_read_out(&mut self, now: Instant) -> bool {
        self.superseded.get_or_insert(now);
        self.over_at().is_none_or(|at| now >= at)
    }

    /// When a connection whose peer is back on another one counts as read to its end.
    fn over_at(&self) -> Option<Instant> {
        let since = self.superseded.filter(|_| self.wire.lingers())?;
        Some(since.max(self.heard) + UNDER_WAY)
    }

    /// Looks at the clock: whether a heartbeat is due. Registers for the next time that something is.
    pub(crate) fn poll_time(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<bool, End> {
        self.check(now)?;
        let is_due = self.out.is_empty() && now >= self.sent + self.pace.heartbeat;
        let next = self.next_time(if is_due { now } else { self.sent });
        if self.timer.deadline() > next || self.timer.deadline() <= now {
            self.timer
                .as_mut()
                .reset(next.max(now + Duration::from_millis(1)));
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Ok(is_due)
    }

    fn check(&self, now: Instant) -> Result<(), End> {
        let silence = self.pace.theirs * MISSED_HEARTBEATS;
        if !silence.is_zero() && now >= self.heard + silence {
            return Err(End::Silent(silence));
        }
        if self.stuck_at().is_some_and(|at| now >= at) {
            return Err(End::Stalled);
        }
        if self
            .torn
            .is_some_and(|since| now >= since + self.pace.frame_time)
        {
            return Err(End::Torn(self.pace.frame_time));
        }
        Ok(())
    }

    /// When a peer that takes nothing counts as stuck. One that only waits for its caller to read goes on speaking: hung up on, it
    /// would come back for the same, again and again. What it misses meanwhile is `slow_consumer`'s affair.
    fn stuck_at(&self) -> Option<Instant> {
        self.blocked
            .map(|since| since.max(self.heard) + WRITE_STALL)
    }

    fn next_time(&self, sent: Instant) -> Instant {
        let silence = self.pace.theirs * MISSED_HEARTBEATS;
        let times = [
            self.out.is_empty().then(|| sent + self.pace.heartbeat),
            (!silence.is_zero()).then(|| self.heard + silence),
            self.stuck_at(),
            self.over_at(),
            self.torn.map(|since| since + self.pace.frame_time),
        ];
        times
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(sent + WRITE_STALL)
    }

    /// Says why it ends, where the peer can still read it.
    pub(crate) async fn farewell(mut self, end: &End) {
        let code = match end {
            End::Closed | End::Io(_) | End::Stalled => return,
            End::Bye => ByeCode::Done,
            End::Frame(_) | End::Torn(_) => ByeCode::Malformed,
            End::Silent(_) => ByeCode::Silent,
            End::Superseded => ByeCode::Superseded,
            End::ShuttingDown => ByeCode::ShuttingDown,
            End::TooSlow | End::TooMany => ByeCode::TooSlow,
        };
        self.out
            .control(|out| frame::Bye::encode(out, code, &end.to_string()));
        last_words(&*self.wire, &mut self.out).await;
    }
}

/// Writes what is queued and waits for the peer to hang up, both for [`LINGER`] at most: closing with bytes unread would make
/// some kernels throw away what was just written.
pub(crate) async fn last_words(wire: &dyn Wire, out: &mut Outbox) {
    let _too_late = timeout(LINGER, poll_fn(|cx| poll_flush(wire, out, cx))).await;
    let mut sunk = BytesMut::new();
    let _too_late = timeout(LINGER, poll_fn(|cx| poll_end(wire, &mut sunk, cx))).await;
}

fn poll_flush(wire: &dyn Wire, out: &mut Outbox, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    loop {
        match out.write(wire)?.1 {
            Written::All => return Poll::Ready(Ok(())),
            Written::Blocked => match wire.poll_writable(cx)? {
                Poll::Ready(()) => {}
                Poll::Pending => return Poll::Pending,
            },
        }
    }
}

fn poll_end(wire: &dyn Wire, sunk: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    /// Most that is read of a peer that was told to go.
    const SUNK_BYTES: usize = 1024 * 1024;
    let mut total = 0;
    while total < SUNK_BYTES {
        sunk.clear();
        sunk.reserve(16 * 1024);
        match wire.try_read(sunk) {
            Ok(0) => break,
            Ok(count) => total += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match wire.poll_readable(cx)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
