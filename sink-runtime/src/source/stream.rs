//! Reading one connection into the inbox: backpressure, heartbeats, limits. Shared by listeners and subscribers.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::clock::{Clock, Instant};
use crate::foreign::Inward;
use crate::frame::{self, Assembler, FrameError, Kind};
use crate::life::{MISSED_HEARTBEATS, WRITE_STALL};
use crate::transport::Wire;

use super::inbox::{Connection, Going, Inbox};

/// How a connection ended.
pub(super) enum End {
    /// The peer closed it, or said goodbye.
    Closed(&'static str),
    /// Nothing came for too long.
    Silent,
    /// The peer does not keep to the protocol.
    Nonsense(FrameError),
    /// A frame was begun and did not arrive whole in this time.
    Torn(Duration),
    /// A foreign peer closed it within a message: nobody will send the rest.
    Midway,
}

/// What bytes become frames in: at once, or, where the peer cuts its stream in another way, by way of that.
pub(super) struct Intake {
    pub(super) assembler: Assembler,
    pub(super) foreign: Option<Inward>,
}

impl From<Assembler> for Intake {
    fn from(assembler: Assembler) -> Self {
        Self {
            assembler,
            foreign: None,
        }
    }
}

impl Intake {
    fn room(&mut self) -> &mut BytesMut {
        match &mut self.foreign {
            Some(foreign) => foreign.room(),
            None => self.assembler.room(),
        }
    }

    /// Makes frames of more of what was read; whether there was more.
    fn cut(&mut self) -> Result<bool, FrameError> {
        match &mut self.foreign {
            Some(foreign) if foreign.has_more() => {
                foreign.cut(&mut self.assembler)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether a message has begun and not arrived whole.
    fn is_torn(&self) -> bool {
        self.assembler.is_torn() || self.is_midway()
    }

    /// Whether a foreign peer stands within a message.
    fn is_midway(&self) -> bool {
        self.foreign.as_ref().is_some_and(Inward::is_midway)
    }
}

/// What both ends agreed on.
pub(super) struct Limits {
    /// We say something at least this often.
    pub(super) heartbeat: Duration,
    /// The peer says something at least this often; zero: it does not promise to.
    pub(super) peer_heartbeat: Duration,
    /// How long a frame may take that has begun.
    pub(super) frame_time: Duration,
}

/// Chunks read before other tasks get a turn.
const READS_PER_POLL: usize = 16;

/// A producer came back on another connection: what it had written on this one is on its way for so long at most.
const SUPERSEDED_GRACE: Duration = Duration::from_secs(1);

/// How long a closed source may go on handing up what it had read and ack it: as long as a sink's close waits by default.
const DRAIN_GRACE: Duration = Duration::from_secs(30);

/// How long the last ack of a source that is gone may take to be written.
const LAST_ACK_GRACE: Duration = Duration::from_secs(1);

/// Runs `future` until `deadline`; `None` if that came first.
pub(super) async fn within<F: Future>(
    clock: &dyn Clock,
    deadline: Instant,
    future: F,
) -> Option<F::Output> {
    let mut timer = clock.timer(deadline);
    let mut future = pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// The first whole frame on a new connection; `InvalidData` if what came is none.
pub(super) async fn first_frame(wire: &dyn Wire, assembler: &mut Assembler) -> io::Result<Bytes> {
    poll_fn(|cx| {
        loop {
            match assembler.take_one() {
                Ok(Some(frame)) => return Poll::Ready(Ok(frame)),
                Ok(None) => {}
                Err(error) => {
                    let text = error.of_a_stranger();
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
                }
            }
            match wire.poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            match wire.try_read(assembler.room()) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    })
    .await
}

/// Reads whole frames into the inbox until the connection ends; `see` looks at each chunk.
pub(super) async fn read_all(
    inbox: &Inbox,
    connection: &Arc<Connection>,
    wire: &dyn Wire,
    clock: &dyn Clock,
    intake: Intake,
    limits: &Limits,
    see: impl FnMut(&Bytes),
) -> End {
    let now = clock.now();
    let mut reading = Reading {
        inbox,
        connection,
        wire,
        limits,
        see,
        // A preamble is due at once.
        torn: intake.is_midway().then_some(now),
        intake,
        // What came right behind the hello.
        unread: true,
        heard: now,
        speak_at: now + limits.heartbeat,
        blocked: None,
        superseded: None,
        held_up: false,
        going: Going::Not,
        goes_until: None,
        said_goodbye: false,
    };
    let mut timer = clock.timer(reading.next_time(now));
    poll_fn(|cx| {
        connection.keep_task(cx.waker());
        connection.ack();
        let turns = reading.goes(clock);
        if reading.going == Going::Draining && !connection.owes_acks() {
            return Poll::Ready(End::Closed("the source was closed"));
        }
        let was_held_up = reading.held_up;
        match reading.read(cx) {
            Err(end) => return Poll::Ready(end),
            Ok(0) => {}
            Ok(_) => reading.heard_at(clock.now()),
        }
        if let Err(end) = reading.write(clock, cx) {
            return Poll::Ready(end);
        }
        if reading.going == Going::Gone
            && connection.flush().1 == 0
            && let Err(end) = reading.see_off(cx)
        {
            return Poll::Ready(end);
        }
        // The clock is looked at when the timer fires, and when something was read or begins to be in the way.
        if turns || reading.held_up != was_held_up || reading.is_newly_superseded() {
            let now = clock.now();
            reading.turned(now);
            timer.as_mut().reset(reading.next_time(now));
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = clock.now();
            if let Err(end) = reading.on_time(now) {
                return Poll::Ready(end);
            }
            timer.as_mut().reset(reading.next_time(now));
        }
        Poll::Pending
    })
    .await
}

/// One connection being read, and the times that end it.
struct Reading<'a, See> {
    inbox: &'a Inbox,
    connection: &'a Arc<Connection>,
    wire: &'a dyn Wire,
    limits: &'a Limits,
    see: See,
    intake: Intake,
    /// The assembler may hold whole frames.
    unread: bool,
    heard: Instant,
    speak_at: Instant,
    /// Since when a frame is begun and not whole.
    torn: Option<Instant>,
    /// Since when our own bytes wait for the peer.
    blocked: Option<Instant>,
    superseded: Option<Instant>,
    /// We do not read: the caller has enough, or an older connection goes first.
    held_up: bool,
    going: Going,
    /// When it ends, whatever is still owed.
    goes_until: Option<Instant>,
    said_goodbye: bool,
}

impl<See: FnMut(&Bytes)> Reading<'_, See> {
    /// Notes that the source is being closed, or gone; whether that is news.
    fn goes(&mut self, clock: &dyn Clock) -> bool {
        let going = self.inbox.going();
        if going == self.going {
            return false;
        }
        self.going = going;
        let grace = match going {
            Going::Gone => LAST_ACK_GRACE,
            _ => DRAIN_GRACE,
        };
        self.goes_until = Some(clock.now() + grace);
        true
    }

    /// Reads what is there and fits; in how many pieces.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<usize, End> {
        let mut read = 0;
        loop {
            self.held_up = self.going != Going::Not
                || self.connection.poll_turn(cx).is_pending()
                || self.inbox.poll_room(cx).is_pending();
            if self.held_up {
                return Ok(read);
            }
            if self.unread {
                self.deliver()?;
                continue;
            }
            if self.intake.cut().map_err(End::Nonsense)? {
                self.unread = true;
                continue;
            }
            match self.wire.poll_readable(cx) {
                Poll::Pending => return Ok(read),
                Poll::Ready(Err(_)) => return Err(End::Closed("stream failed")),
                Poll::Ready(Ok(())) => {}
            }
            match self.wire.try_read(self.intake.room()) {
                Ok(0) if self.intake.is_midway() => return Err(End::Midway),
                Ok(0) => return Err(End::Closed("peer closed it")),
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(_) => return Err(End::Closed("peer reset it")),
            }
            // Of a foreign peer's bytes frames are made first.
            if self.intake.foreign.is_none() {
                self.deliver()?;
            }
            read += 1;
            if read >= READS_PER_POLL {
                cx.waker().wake_by_ref();
                return Ok(read);
            }
        }
    }

    /// The last ack is written. Over TCP a socket that is closed with something unread takes back what it has not sent yet, and
    /// that may be this ack: so we say goodbye, and pass over what comes until the peer has heard it and hangs up.
    fn see_off(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if !self.connection.lingers() {
            return Err(End::Closed("the source is gone"));
        }
        if !std::mem::replace(&mut self.said_goodbye, true) {
            self.connection
                .say(|out| frame::control(out, Kind::Bye, |_| {}));
        }
        let mut passed_over = BytesMut::with_capacity(frame::READ_CHUNK);
        for _ in 0..READS_PER_POLL {
            match self.wire.poll_readable(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(End::Closed("stream failed")),
                Poll::Ready(Ok(())) => {}
            }
            passed_over.clear();
            match self.wire.try_read(&mut passed_over) {
                Ok(0) => return Err(End::Closed("peer closed it")),
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(_) => return Err(End::Closed("peer reset it")),
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Hands the whole frames that have arrived to the inbox, as far as it has room.
    fn deliver(&mut self) -> Result<(), End> {
        let filled = self
            .inbox
            .fill(self.connection, &mut self.intake.assembler)
            .map_err(End::Nonsense)?;
        self.unread = filled.left_some || self.intake.assembler.is_malformed();
        if filled.bytes.is_empty() && filled.mistake.is_none() {
            return Ok(());
        }
        self.torn = None;
        (self.see)(&filled.bytes);
        if let Some(mistake) = filled.mistake {
            return Err(End::Nonsense(mistake));
        }
        if filled.bye {
            return Err(End::Closed("peer said goodbye"));
        }
        Ok(())
    }

    /// Writes the control bytes that are still to go.
    fn write(&mut self, clock: &dyn Clock, cx: &mut Context<'_>) -> Result<(), End> {
        loop {
            let (before, left) = self.connection.flush();
            if left == 0 {
                self.blocked = None;
                if before > 0 {
                    // Those that waited for these bytes.
                    self.connection.ack();
                }
                return Ok(());
            }
            if left < before {
                self.blocked = None;
            }
            match self.wire.poll_writable(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(End::Closed("stream failed")),
                Poll::Pending => {
                    self.blocked.get_or_insert_with(|| clock.now());
                    return Ok(());
                }
            }
        }
    }

    fn heard_at(&mut self, now: Instant) {
        self.heard = now;
        if self.intake.is_torn() {
            self.torn.get_or_insert(now);
        } else {
            self.torn = None;
        }
    }

    fn is_newly_superseded(&self) -> bool {
        self.superseded.is_none() && self.connection.is_superseded()
    }

    /// Something began, or ceased, to be in the way of reading.
    fn turned(&mut self, now: Instant) {
        if self.is_newly_superseded() {
            self.superseded = Some(now);
        }
        if self.held_up {
            // The producer must not take us for stuck: we only wait for our caller, and say so.
            self.speak_at = self.speak_at.min(now + WRITE_STALL / 2);
        }
        // Who was not read could make no progress.
        self.heard = now;
        self.torn = self.torn.map(|_| now);
    }

    /// Looks at what is due at `now`.
    fn on_time(&mut self, now: Instant) -> Result<(), End> {
        if self.held_up {
            // Who does not read cannot complain of silence.
            (self.heard, self.torn) = (now, self.torn.map(|_| now));
        } else {
            self.check(now)?;
        }
        if self.blocked.is_some_and(|since| now >= since + WRITE_STALL) {
            return Err(End::Closed("peer took no byte"));
        }
        if self.goes_until.is_some_and(|until| now >= until) {
            return Err(End::Closed("the source was closed"));
        }
        if now >= self.speak_at {
            let last = self.connection.acked();
            self.connection.say(|out| frame::heartbeat(out, last));
            self.connection.ack();
            let every = if self.held_up {
                self.limits.heartbeat.min(WRITE_STALL / 2)
            } else {
                self.limits.heartbeat
            };
            self.speak_at = now + every;
        }
        Ok(())
    }

    fn check(&self, now: Instant) -> Result<(), End> {
        let patience = self.limits.peer_heartbeat * MISSED_HEARTBEATS;
        if !patience.is_zero() && now >= self.heard + patience {
            return Err(End::Silent);
        }
        if self
            .torn
            .is_some_and(|since| now >= since + self.limits.frame_time)
        {
            return Err(End::Torn(self.limits.frame_time));
        }
        if self
            .superseded
            .is_some_and(|since| now >= since.max(self.heard) + SUPERSEDED_GRACE)
        {
            return Err(End::Closed("its producer came back on another connection"));
        }
        Ok(())
    }

    /// When to look at the clock again.
    fn next_time(&self, now: Instant) -> Instant {
        let patience = self.limits.peer_heartbeat * MISSED_HEARTBEATS;
        let times = [
            (!patience.is_zero()).then(|| self.heard + patience),
            self.torn.map(|since| since + self.limits.frame_time),
            self.blocked.map(|since| since + WRITE_STALL),
            self.goes_until,
            self.superseded
                .map(|since| since.max(self.heard) + SUPERSEDED_GRACE),
        ];
        times
            .into_iter()
            .flatten()
            // What began since is seen in time, however rarely we speak.
            .fold(self.speak_at.min(now + WRITE_STALL), Instant::min)
            .max(now + Duration::from_millis(1))
    }
}

impl Connection {
    /// Remembers who writes what `say` could not.
    fn keep_task(&self, waker: &std::task::Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *task {
            Some(known) => known.clone_from(waker),
            slot => *slot = Some(waker.clone()),
        }
    }
}
