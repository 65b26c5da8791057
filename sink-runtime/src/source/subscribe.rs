//! A relay's consumer: dials, subscribes, reads, and resumes where it was. What the frames mean is `source.rs`'s.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{ConnectError, SourceError};
use crate::frame::{
    self, Assembler, Chunk, Hello, Kind, PeerRole, ProducerId, Refuse, RefuseCode, RelayGap, Start,
    Welcome,
};
use crate::life::{HELLO_TIMEOUT, Life, Step};
use crate::transport::{Endpoint, Wire};

use super::inbox::{Brings, Connection, Ends, Inbox, Item};
use super::settings::SourceSettings;
use super::stream::{self, End, Limits};

/// Begins to dial; the relay need not be there yet.
pub(super) fn start(settings: Arc<SourceSettings>, inbox: Arc<Inbox>, start: Start) -> Endpoint {
    let endpoint = settings.target.endpoint.clone();
    let position = Position {
        epoch: 0,
        last: 0,
        open: None,
    };
    let subscriber = Subscriber {
        settings,
        inbox: Arc::clone(&inbox),
        start,
        position,
    };
    let brings = Brings(Arc::clone(&inbox));
    let task = tokio::spawn(async move {
        let _brings = brings;
        subscriber.run().await;
    });
    inbox.adopt(task.abort_handle());
    endpoint
}

/// How far this consumer has read.
struct Position {
    epoch: u64,
    last: u64,
    /// The offset of the next data frame.
    open: Option<u64>,
}

impl Position {
    /// Follows the offsets through a chunk of frames.
    fn follow(&mut self, bytes: &Bytes) {
        let mut at = 0;
        while let Ok(Some(head)) = frame::head(&bytes[at..], usize::MAX) {
            let whole = &bytes[at..at + head.total];
            match Kind::from_u8(head.kind) {
                Some(Kind::Data) => {
                    if let Some(offset) = &mut self.open {
                        self.last = self.last.max(*offset);
                        *offset = offset.saturating_add(1);
                    }
                }
                Some(Kind::Chunk) => {
                    self.open = Chunk::decode(whole).ok().map(|chunk| chunk.first_offset)
                }
                Some(Kind::Gap) => {
                    if let Ok(gap) = RelayGap::decode(whole) {
                        self.last = self.last.max(gap.to);
                    }
                }
                _ => {}
            }
            at += head.total;
        }
    }
}

struct Subscriber {
    settings: Arc<SourceSettings>,
    inbox: Arc<Inbox>,
    start: Start,
    position: Position,
}

impl Subscriber {
    async fn run(mut self) {
        let settings = Arc::clone(&self.settings);
        let surroundings = settings.surroundings.clone();
        let clock = &*surroundings.clock;
        // `max_attempts` is a sink's: a consumer waits for its relay as long as it lives.
        let mut life = Life::new(crate::life::LifePolicy {
            max_attempts: None,
            ..settings.life.clone()
        });
        loop {
            let until = match life.step(clock.now(), true) {
                Step::Wait { until } => {
                    clock.timer(until).await;
                    continue;
                }
                Step::Dial { until } => until,
                // An attempt and a connection end below, before the next step is asked for.
                Step::Rest | Step::Continue { .. } | Step::Talk => {
                    life.rest();
                    continue;
                }
            };
            let error = match stream::within(clock, until, surroundings.dial.dial(&settings.target))
                .await
            {
                None => self.timed_out(),
                Some(Err(error)) => self.io_error(error, life.attempts()),
                Some(Ok(wire)) => {
                    life.dialed(clock.now());
                    self.converse(&mut life, wire, until).await
                }
            };
            let permanent = error.is_permanent();
            let error = life.failed(clock.now(), error, &*surroundings.chance);
            if permanent {
                tracing::warn!(
                    service = &*settings.service,
                    cause = crate::error::chain(&*error),
                    "subscription refused"
                );
                self.inbox.push(Item::Error(SourceError::Connect {
                    service: Arc::clone(&settings.service),
                    source: error,
                }));
            } else {
                tracing::debug!(
                    service = &*settings.service,
                    cause = crate::error::chain(&*error),
                    "not subscribed"
                );
            }
        }
    }

    fn hello(&self) -> Hello {
        let settings = &self.settings;
        let start = match self.position.epoch {
            0 => self.start,
            epoch => Start::After {
                epoch,
                offset: self.position.last,
            },
        };
        Hello {
            service: Arc::clone(&settings.service),
            role: PeerRole::Consumer,
            acks: settings.acks,
            codec: Arc::from(crate::codec::name(settings.codec)),
            max_frame_bytes: settings.max_frame_bytes,
            heartbeat_ms: settings.heartbeat().as_millis() as u32,
            fingerprint: settings.message.fingerprint,
            accepts: settings.message.accepts.to_vec(),
            message: Arc::from(settings.message.name),
            shape: Arc::from(settings.message.shape),
            start,
            consumer: settings.consumer.clone(),
            ..Hello::default()
        }
    }

    /// Greets, subscribes and reads until the connection ends; says how it ended.
    async fn converse(
        &mut self,
        life: &mut Life,
        wire: Arc<dyn Wire>,
        until: crate::clock::Instant,
    ) -> ConnectError {
        let settings = Arc::clone(&self.settings);
        let clock = Arc::clone(&settings.surroundings.clock);
        let mut out = Vec::new();
        self.hello().encode(&mut out);
        let mut assembler = Assembler::new(frame::MAX_HELLO_BYTES);
        let greeting = async {
            write_all(&*wire, &out).await?;
            stream::first_frame(&*wire, &mut assembler).await
        };
        let until = until.min(clock.now() + HELLO_TIMEOUT);
        let first = match stream::within(&*clock, until, greeting).await {
            None => return self.timed_out(),
            Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return self.protocol(&error.to_string());
            }
            Some(Err(_)) => return self.lost("relay hung up during the greeting"),
            Some(Ok(frame)) => frame,
        };
        let welcome = match Kind::from_u8(first[4]) {
            Some(Kind::Welcome) => match Welcome::decode(&first) {
                Ok(welcome) => welcome,
                Err(error) => return self.protocol(&error.of_a_stranger()),
            },
            Some(Kind::Refuse) => return self.refused(&first),
            _ => return self.protocol("first frame is no welcome"),
        };
        let peer_heartbeat = Duration::from_millis(u64::from(welcome.heartbeat_ms));
        life.welcomed(clock.now(), peer_heartbeat);
        tracing::info!(service = &*settings.service, endpoint = %settings.target.endpoint, next_offset = welcome.next_offset, "subscribed");
        let connection = Connection::new(
            self.inbox.number(),
            ProducerId::default(),
            0,
            true,
            settings.acks,
            Some(Arc::clone(&wire)),
            Arc::default(),
        );
        let _ends = Ends(Arc::clone(&connection));
        if self.position.epoch != welcome.relay_epoch {
            self.position.last = welcome.next_offset.saturating_sub(1);
        }
        self.position.epoch = welcome.relay_epoch;
        self.position.open = None;
        self.inbox.push(Item::Resumed {
            connection: Arc::clone(&connection),
            epoch: welcome.relay_epoch,
            next_offset: welcome.next_offset,
        });
        // A relay speaks of producers and gaps besides, in frames that no `max_frame_bytes` is about.
        assembler.set_limit(settings.frame_limit().max(frame::MAX_HELLO_BYTES));
        let limits = Limits {
            heartbeat: settings.heartbeat(),
            peer_heartbeat,
            frame_time: crate::life::frame_time(settings.frame_limit()),
        };
        let position = &mut self.position;
        let end = stream::read_all(
            &self.inbox,
            &connection,
            &*wire,
            &*clock,
            assembler.into(),
            &limits,
            |bytes| position.follow(bytes),
        )
        .await;
        match end {
            End::Closed(how) => self.lost(how),
            End::Midway => self.lost("peer closed it"),
            End::Silent => self.lost("no heartbeat came"),
            End::Torn(_) => self.lost("a frame did not arrive whole in time"),
            End::Nonsense(error) => self.protocol(&error.to_string()),
        }
    }

    fn names(&self) -> (Arc<str>, Arc<str>) {
        (
            Arc::clone(&self.settings.service),
            Arc::from(self.settings.target.endpoint.to_string()),
        )
    }

    fn timed_out(&self) -> ConnectError {
        let (service, endpoint) = self.names();
        ConnectError::TimedOut {
            service,
            endpoint,
            waited: self.settings.life.connect_timeout,
        }
    }

    fn io_error(&self, error: io::Error, attempt: u64) -> ConnectError {
        let (service, endpoint) = self.names();
        let (attempt, source) = (u32::try_from(attempt).unwrap_or(u32::MAX), Arc::new(error));
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ConnectError::NotThereYet {
                    service,
                    endpoint,
                    attempt,
                    source,
                }
            }
            _ => ConnectError::Io {
                service,
                endpoint,
                attempt,
                source,
            },
        }
    }

    fn lost(&self, how: &str) -> ConnectError {
        let (service, endpoint) = self.names();
        ConnectError::Lost {
            service,
            endpoint,
            reason: Arc::from(how),
        }
    }

    fn protocol(&self, reason: &str) -> ConnectError {
        let (service, endpoint) = self.names();
        ConnectError::Protocol {
            service,
            endpoint,
            reason: Arc::from(reason),
        }
    }

    fn refused(&self, frame: &[u8]) -> ConnectError {
        let (service, endpoint) = self.names();
        match Refuse::decode(frame) {
            Ok(refuse) if RefuseCode::is_permanent(refuse.code) => ConnectError::Refused {
                service,
                endpoint,
                reason: Arc::from(refuse.reason),
            },
            Ok(refuse) => ConnectError::Lost {
                service,
                endpoint,
                reason: Arc::from(refuse.reason),
            },
            Err(error) => self.protocol(&error.to_string()),
        }
    }
}

async fn write_all(wire: &dyn Wire, mut bytes: &[u8]) -> io::Result<()> {
    poll_fn(|cx| {
        while !bytes.is_empty() {
            match wire.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::task::ready!(wire.poll_writable(cx))?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return std::task::Poll::Ready(Err(error)),
            }
        }
        std::task::Poll::Ready(Ok(()))
    })
    .await
}
