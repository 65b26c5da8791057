//! Reading one connection into the inbox: backpressure, heartbeats, limits. Shared by listeners and subscribers.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Clock, Instant};
use crate::frame::{self, Assembler, FrameError, Kind};
use crate::life::MISSED_HEARTBEATS;
use crate::transport::Wire;

use super::inbox::{Connection, Inbox, Item};

/// How a connection ended.
pub(super) enum End {
    /// The peer closed it, or said goodbye.
    Closed(&'static str),
    /// Nothing came for too long.
    Silent,
    /// The peer does not keep to the protocol.
    Nonsense(FrameError),
}

/// What both ends agreed on.
pub(super) struct Limits {
    /// We say something at least this often.
    pub(super) heartbeat: Duration,
    /// The peer says something at least this often; zero: it does not promise to.
    pub(super) peer_heartbeat: Duration,
}

/// Chunks read before other tasks get a turn.
const READS_PER_POLL: usize = 16;

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

/// The first whole frame on a new connection.
pub(super) async fn first_frame(wire: &dyn Wire, assembler: &mut Assembler) -> io::Result<Bytes> {
    poll_fn(|cx| {
        loop {
            match assembler.take_one() {
                Ok(Some(frame)) => return Poll::Ready(Ok(frame)),
                Ok(None) => {}
                Err(error) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
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

/// Reads whole frames into the inbox until the connection ends; `see` looks at each chunk first.
pub(super) async fn read_all(
    inbox: &Inbox,
    connection: &Arc<Connection>,
    wire: &dyn Wire,
    clock: &dyn Clock,
    mut assembler: Assembler,
    limits: &Limits,
    mut see: impl FnMut(&Bytes),
) -> End {
    let mut heard = clock.now();
    let mut speak_at = heard + limits.heartbeat;
    let mut timer = clock.timer(speak_at);
    if let Some(end) = deliver(inbox, connection, &mut assembler, &mut see) {
        return end;
    }
    poll_fn(|cx| {
        connection.keep_task(cx.waker());
        connection.ack();
        if !connection.flush() && matches!(wire.poll_writable(cx), Poll::Ready(Err(_))) {
            return Poll::Ready(End::Closed("stream failed"));
        }
        let mut waits_for_room = false;
        let mut read = 0;
        loop {
            if inbox.poll_room(cx).is_pending() {
                waits_for_room = true;
                break;
            }
            match wire.poll_readable(cx) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => return Poll::Ready(End::Closed("stream failed")),
                Poll::Ready(Ok(())) => {}
            }
            match wire.try_read(assembler.room()) {
                Ok(0) => return Poll::Ready(End::Closed("peer closed it")),
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) =>
                {
                    continue;
                }
                Err(_) => return Poll::Ready(End::Closed("peer reset it")),
            }
            if let Some(end) = deliver(inbox, connection, &mut assembler, &mut see) {
                return Poll::Ready(end);
            }
            read += 1;
            if read >= READS_PER_POLL {
                cx.waker().wake_by_ref();
                break;
            }
        }
        // The clock is looked at when the timer fires, and when something was read.
        if read > 0 {
            heard = clock.now();
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = clock.now();
            // Who does not read cannot complain of silence.
            let patience = limits.peer_heartbeat * MISSED_HEARTBEATS;
            if waits_for_room {
                heard = now;
            } else if !patience.is_zero() && now >= heard + patience {
                return Poll::Ready(End::Silent);
            }
            if now >= speak_at {
                let last = connection.acked();
                connection.say(|out| frame::heartbeat(out, last));
                speak_at = now + limits.heartbeat;
            }
            let next = if patience.is_zero() {
                speak_at
            } else {
                speak_at.min(heard + patience)
            };
            timer
                .as_mut()
                .reset(next.max(now + Duration::from_millis(1)));
        }
        Poll::Pending
    })
    .await
}

/// Hands the whole frames that have arrived to the inbox.
fn deliver(
    inbox: &Inbox,
    connection: &Arc<Connection>,
    assembler: &mut Assembler,
    see: &mut impl FnMut(&Bytes),
) -> Option<End> {
    match assembler.take() {
        Ok(None) => None,
        Err(error) => Some(End::Nonsense(error)),
        Ok(Some((bytes, _))) => {
            let (messages, bye) = survey(&bytes);
            see(&bytes);
            inbox.push(Item::Chunk {
                bytes,
                connection: Arc::clone(connection),
                messages,
            });
            bye.then_some(End::Closed("peer said goodbye"))
        }
    }
}

/// How many data frames a chunk holds, and whether a goodbye.
fn survey(bytes: &[u8]) -> (u32, bool) {
    let (mut at, mut messages, mut bye) = (0, 0, false);
    while let Ok(Some(head)) = frame::head(&bytes[at..], usize::MAX) {
        messages += u32::from(head.kind == Kind::Data as u8);
        bye |= head.kind == Kind::Bye as u8;
        at += head.total;
    }
    (messages, bye)
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
