//! What is written on a connection.

use super::*;

impl Drive {
    /// Writes control bytes, then frames, until nothing is left or nothing fits.
    pub(super) fn write(&mut self, now: Instant, cx: &mut Context<'_>) -> Talk {
        let link = Arc::clone(&self.link);
        self.stuck_at = None;
        let mut wakers = Vec::new();
        let mut last_write = None;
        let outcome = 'writing: {
            for _ in 0..SEGMENTS_PER_POLL {
                let mut core = link.lock();
                if core.generation != self.generation {
                    // Replaced since this poll began, by one who thought us dead: the next round ends us.
                    break 'writing Talk::Again;
                }
                let Some(wire) = core.wire.clone() else {
                    break 'writing Talk::PeerClosed("stream vanished");
                };
                if !core.control.is_empty() && !core.outbox.is_torn() {
                    match write_control(&mut core, &*wire) {
                        Ok(true) => {}
                        Ok(false) => match wire.poll_writable(cx) {
                            Poll::Ready(Ok(())) => continue,
                            Poll::Ready(Err(_)) => {
                                break 'writing Talk::PeerClosed("stream failed");
                            }
                            Poll::Pending => {
                                core.life.blocked(now);
                                self.stuck_at = core.life.stuck_at();
                                park_flushing(&mut core, cx);
                                break 'writing Talk::Parked;
                            }
                        },
                        Err(_) => break 'writing Talk::PeerClosed("writing failed"),
                    }
                }
                if core.leaving && core.control.is_empty() {
                    let until = *self.leaves_at.get_or_insert(now + FAREWELL);
                    if !wire.lingers() || now >= until {
                        break 'writing Talk::Finished;
                    }
                    self.stuck_at = Some(until);
                    park(&mut core, cx);
                    break 'writing Talk::Parked;
                }
                core.part();
                let next = if core.ready {
                    core.drop_aged(now);
                    core.outbox.next()
                } else {
                    Next::Nothing
                };
                let written = match next {
                    Next::Nothing => {
                        if let Some(at) = last_write {
                            core.last_write = Some(at);
                            core.life.spoke(at);
                        }
                        core.admit(&link, &mut wakers);
                        if core.outbox.unwritten() > 0 && core.ready {
                            continue;
                        }
                        if last_write.is_some() || core.dropped_some {
                            core.wake_reached(None, &mut wakers);
                        }
                        // An ack may come after the time was up.
                        if (core.life.is_ready() && core.may_leave()) || core.is_idle(&link, now) {
                            // The goodbye is written in the next round.
                            break 'writing Talk::Again;
                        }
                        if core.outbox.unwritten() > 0 {
                            // Owed, and not yet welcome: we know, senders need not tell us.
                            park_flushing(&mut core, cx);
                        } else {
                            park(&mut core, cx);
                        }
                        break 'writing Talk::Parked;
                    }
                    Next::Here => {
                        let slices = core.outbox.slices();
                        let written = if slices[1].is_empty() {
                            wire.try_write(&slices[0])
                        } else {
                            wire.try_write_vectored(&slices)
                        };
                        if let Ok(count) = written {
                            core.outbox.wrote(count);
                        }
                        (core, written)
                    }
                    Next::Lent(lent) => {
                        // Senders append meanwhile, and leave the writing to us.
                        core.flushing = true;
                        drop(core);
                        let slices = lent.slices();
                        let written = if slices[1].is_empty() {
                            wire.try_write(&slices[0])
                        } else if slices[0].is_empty() {
                            wire.try_write(&slices[1])
                        } else {
                            wire.try_write_vectored(&slices)
                        };
                        let mut core = link.lock();
                        core.outbox
                            .restore(lent, written.as_ref().map_or(0, |count| *count));
                        (core, written)
                    }
                };
                let (mut core, written) = written;
                match written {
                    Ok(_) => {
                        core.life.unblocked();
                        // Writing took its time: were it counted as silence, the next message would go alone.
                        last_write = Some(link.surroundings.clock.now());
                        if !core.queue.is_empty() {
                            core.admit(&link, &mut wakers);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => match wire
                        .poll_writable(cx)
                    {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => break 'writing Talk::PeerClosed("stream failed"),
                        Poll::Pending => {
                            core.life.blocked(now);
                            self.stuck_at = core.life.stuck_at();
                            // An ack that came while the segment was lent may have made room.
                            core.admit(&link, &mut wakers);
                            if last_write.is_some() || core.dropped_some {
                                core.wake_reached(None, &mut wakers);
                            }
                            park_flushing(&mut core, cx);
                            break 'writing Talk::Parked;
                        }
                    },
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break 'writing Talk::PeerClosed("writing failed"),
                }
            }
            if let Some(at) = last_write {
                // The next turn may find nothing left, and knows nothing of this one.
                let mut core = link.lock();
                core.last_write = Some(at);
                core.life.spoke(at);
                core.wake_reached(None, &mut wakers);
            }
            Talk::Again
        };
        wake(wakers);
        outcome
    }
}

/// Whether all control bytes went.
pub(super) fn write_control(core: &mut Core, wire: &dyn Wire) -> io::Result<bool> {
    while core.control_written < core.control.len() {
        match wire.try_write(&core.control[core.control_written..]) {
            Ok(count) => {
                core.control_written += count;
                core.life.unblocked();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    core.control.clear();
    core.control_written = 0;
    Ok(true)
}
