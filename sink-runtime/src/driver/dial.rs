//! Making a connection: dialing, greeting, and turning elsewhere.

use super::*;

impl Drive {
    /// The service is elsewhere: what was for the old endpoint ends here.
    pub(super) fn turn(&mut self, core: &mut Core, now: Instant) {
        core.moved = false;
        self.link.forget_limit(core);
        self.dialing = None;
        if core.ready && !core.outbox.is_torn() && core.control_written == 0 {
            core.control.clear();
            frame::control(&mut core.control, Kind::Bye, |_| {});
            if let Some(wire) = core.wire.clone() {
                // Best effort: the peer also understands a stream that ends.
                let _written = write_control(core, &*wire);
            }
        }
        hang_up(core);
        core.life.moved(now, &*self.link.surroundings.chance);
        core.gave_up = false;
        self.link
            .publish_because(core, Some("the registry names another endpoint"));
    }

    /// Who wanted the attempt under way closes or disconnects, and nothing is to be flushed: it ends now.
    pub(super) fn call_off(&mut self, core: &mut Core, wakers: &mut Vec<Waker>) {
        self.dialing = None;
        core.connect_wanted = false;
        self.finish(core, wakers);
        core.life.called_off(ConnectError::Lost {
            service: self.link.service(),
            endpoint: self.endpoint(),
            reason: Arc::from("given up by a disconnect()"),
        });
    }

    /// How long the attempt's present step may last.
    pub(super) fn patience(&self) -> Duration {
        let whole = self.link.config.life.connect_timeout;
        if self.dialing.is_some() {
            whole
        } else {
            whole.min(HELLO_TIMEOUT)
        }
    }

    pub(super) fn endpoint(&self) -> Arc<str> {
        self.link.endpoint()
    }

    /// Begins an attempt, which is polled from the next round on.
    pub(super) fn dial(&mut self) {
        let link = &self.link;
        let (dial, target) = (Arc::clone(&link.surroundings.dial), link.target());
        self.dialing = Some(Box::pin(async move { dial.dial(&target).await }));
    }

    /// The attempt took longer than it may.
    pub(super) fn timed_out(&mut self, now: Instant) {
        let error = ConnectError::TimedOut {
            service: self.link.service(),
            endpoint: self.endpoint(),
            waited: self.patience(),
        };
        self.failed(now, error);
    }

    pub(super) fn poll_dial(
        &mut self,
        now: Instant,
        deadline: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Round> {
        let Some(dialing) = &mut self.dialing else {
            return Poll::Ready(Round::Again);
        };
        match dialing.as_mut().poll(cx) {
            Poll::Pending => self.arm(Some(deadline), now, cx),
            Poll::Ready(Ok(wire)) => {
                self.dialing = None;
                self.greet(now, wire);
                Poll::Ready(Round::Again)
            }
            Poll::Ready(Err(error)) => {
                let attempt = {
                    let core = self.link.lock();
                    match core.life.state() {
                        SinkState::Connecting { attempt } => attempt,
                        _ => 1,
                    }
                };
                let error = self.link.error_io(error, attempt);
                self.failed(now, error);
                Poll::Ready(Round::Again)
            }
        }
    }

    /// The stream is there: our hello is the first thing on it.
    pub(super) fn greet(&mut self, now: Instant, wire: Arc<dyn Wire>) {
        let link = &self.link;
        let mut ears = link.ears();
        *ears = Assembler::new(frame::MAX_HELLO_BYTES);
        let mut core = link.lock();
        if core.closed || core.generation != self.generation || !core.life.is_connecting() {
            // It was closed while we dialed, and nobody would ever hang up; or another drives it now.
            return;
        }
        let hello = Hello {
            service: link.service(),
            role: PeerRole::Producer,
            acks: link.config.highest() == crate::Level::Acked,
            resends: link.config.keep,
            producer: link.producer,
            first: core.outbox.first_owed(),
            begin: core.outbox.first_unsent(),
            codec: Arc::from(crate::codec::name(link.config.codec)),
            max_frame_bytes: link.config.max_frame_bytes,
            heartbeat_ms: link.config.life.heartbeat.as_millis() as u32,
            fingerprint: link.config.message.fingerprint,
            accepts: link.config.message.accepts.to_vec(),
            message: Arc::from(link.config.message.name),
            shape: Arc::from(link.config.message.shape),
            ..Hello::default()
        };
        self.leaves_at = None;
        self.deaf_until = None;
        core.control.clear();
        core.control_written = 0;
        hello.encode(&mut core.control);
        core.wire = Some(wire);
        core.life.dialed(now);
        link.publish(&core);
    }
}
