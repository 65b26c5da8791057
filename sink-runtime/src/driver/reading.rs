//! What is heard on a connection.

use super::*;

impl Drive {
    /// Whether nobody has asked anything of the driver since it parked, and its timer is not due: only the bell can have woken it.
    pub(super) fn is_calm(&self, core: &Core, now: Instant, cx: &Context<'_>) -> bool {
        let parked = |waker: &Waker| waker.will_wake(cx.waker());
        self.link.bell.rang()
            && core.ready
            && !core.flushing
            // Whoever closes or disconnects waits for what the sender may just have heard.
            && !core.draining
            && core.disconnecting.is_none()
            && self.armed.is_some_and(|armed| now < armed)
            && core.driver_waker.as_ref().is_some_and(parked)
    }

    /// Whether the bell rang for bytes that a sender has read since: then all stands as it stood, and the bell is hung again.
    pub(super) fn was_only_rung(&self, wire: Option<Arc<dyn Wire>>) -> bool {
        let link = &self.link;
        let all_heard = matches!(link.ears().peek(), Ok(None));
        let ringer = &mut Context::from_waker(&link.ringer);
        all_heard && wire.is_some_and(|wire| wire.poll_readable(ringer).is_pending())
    }

    pub(super) fn read(&self, now: Instant, cx: &mut Context<'_>) -> Talk {
        let link = &self.link;
        let mut ears = link.ears();
        let core = link.lock();
        if core.generation != self.generation {
            // What comes on another driver's connection is its to hear; the next round ends us.
            return Talk::Again;
        }
        let Some(wire) = core.wire.clone() else {
            return Talk::PeerClosed("stream vanished");
        };
        drop(core);
        link.bell.driver_listens(cx.waker(), self.last_is_first);
        // A sender that read an ack of its own leaves what is not his.
        match self.heard(&mut ears, now) {
            Talk::Parked => {}
            other => return other,
        }
        for _ in 0..READS_PER_POLL {
            match wire.poll_readable(&mut Context::from_waker(&link.ringer)) {
                Poll::Pending => return Talk::Parked,
                Poll::Ready(Err(_)) => return Talk::PeerClosed("stream failed"),
                Poll::Ready(Ok(())) => {}
            }
            match wire.try_read(ears.room()) {
                Ok(0) => return Talk::PeerClosed("peer closed it"),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Talk::PeerClosed("peer reset it"),
            }
            match self.heard(&mut ears, now) {
                Talk::Parked => {}
                other => return other,
            }
        }
        Talk::Again
    }

    /// Acts on the frames that have arrived; of acks only the last one matters.
    pub(super) fn heard(&self, ears: &mut Assembler, now: Instant) -> Talk {
        if ears.is_empty() {
            return Talk::Parked;
        }
        let mut acked = None;
        let mut ends = None;
        loop {
            let (total, heard) = match ears.peek() {
                Ok(Some(frame)) => (frame.len(), self.heard_one(now, frame)),
                Ok(None) => break,
                Err(error) => {
                    ends = Some(Talk::Broken(self.nonsense(&error)));
                    break;
                }
            };
            ears.advance(total);
            match heard {
                Ok(ack) => acked = ack.or(acked),
                Err(talk) => {
                    ends = Some(talk);
                    break;
                }
            }
        }
        let mut wakers = Vec::new();
        let mut core = self.link.lock();
        core.life.heard(now);
        if let Some(sequence) = acked {
            core.outbox.ack(sequence);
            core.admit(&self.link, &mut wakers);
            core.wake_reached(None, &mut wakers);
        }
        drop(core);
        wake(wakers);
        ends.unwrap_or(Talk::Parked)
    }

    /// Acts on one frame; of an ack it gives the number.
    pub(super) fn heard_one(&self, now: Instant, bytes: &[u8]) -> Result<Option<u64>, Talk> {
        let link = &self.link;
        let nonsense = |error: FrameError| Talk::Broken(self.nonsense(&error));
        match Kind::from_u8(bytes[4]) {
            Some(Kind::Welcome) => {
                let welcome = Welcome::decode(bytes).map_err(nonsense)?;
                self.welcomed(now, &welcome);
            }
            Some(Kind::Refuse) => {
                let refuse = Refuse::decode(bytes).map_err(nonsense)?;
                let (service, endpoint) = (link.service(), self.endpoint());
                return Err(Talk::Broken(if RefuseCode::is_permanent(refuse.code) {
                    ConnectError::Refused {
                        service,
                        endpoint,
                        reason: Arc::from(refuse.reason),
                    }
                } else {
                    ConnectError::Lost {
                        service,
                        endpoint,
                        reason: Arc::from(refuse.reason),
                    }
                }));
            }
            Some(Kind::Ack) => return Ok(Some(frame::number(bytes).map_err(nonsense)?)),
            Some(Kind::Heartbeat) => {}
            Some(Kind::Bye) => return Err(Talk::PeerClosed("peer said goodbye")),
            // Later versions may say more; what we do not know we pass over.
            None => {}
            Some(kind) => return Err(Talk::Broken(self.nonsense(&FrameError::Unexpected(kind)))),
        }
        Ok(None)
    }

    pub(super) fn welcomed(&self, now: Instant, welcome: &Welcome) {
        let link = &self.link;
        let mut wakers = Vec::new();
        let mut core = link.lock();
        if core.life.is_ready() || core.generation != self.generation {
            return;
        }
        core.life
            .welcomed(now, Duration::from_millis(u64::from(welcome.heartbeat_ms)));
        core.ready = true;
        core.connect_wanted = false;
        if link.config.keep {
            core.outbox.ack(welcome.acked);
        }
        let too_large = match welcome.max_frame_bytes {
            // It told none.
            0 => {
                link.forget_limit(&mut core);
                0
            }
            limit => link.heed_limit(&mut core, limit),
        };
        core.admit(link, &mut wakers);
        core.wake_waits(&mut wakers);
        link.publish(&core);
        drop(core);
        wake(wakers);
        if too_large > 0 {
            tracing::warn!(
                service = &*link.config.service,
                messages = too_large,
                limit = welcome.max_frame_bytes,
                "dropped: larger than the receiver takes (its max_frame_bytes)"
            );
        }
    }

    pub(super) fn nonsense(&self, error: &FrameError) -> ConnectError {
        let is_stranger = !self.link.lock().life.is_ready();
        ConnectError::Protocol {
            service: self.link.service(),
            endpoint: self.endpoint(),
            reason: Arc::from(if is_stranger {
                error.of_a_stranger()
            } else {
                error.to_string()
            }),
        }
    }
}
