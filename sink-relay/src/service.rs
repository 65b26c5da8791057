//! One service: its ring, its producers, its consumers, under one lock taken per read or write, never per message.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sink_runtime::frame::{Hello, READ_CHUNK, RefuseCode};
use tokio::sync::Notify;

use crate::bell::Bell;
use crate::intake::Intake;
use crate::outbox::Outbox;
use crate::producers::Producers;
use crate::report::{ConsumerStatistics, ServiceStatistics};
use crate::ring::Ring;
use crate::settings::Settings;
use crate::subscription::{Counts, Gathered, Subscription};

#[cfg(test)]
mod tests;

/// One service of a relay.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Settings,
    /// This life of the service; offsets mean nothing in another.
    pub(crate) epoch: u64,
    /// Notified when a producer has left.
    pub(crate) producer_left: Notify,
    phase: AtomicU8,
    state: Mutex<State>,
}

/// How far the service is with ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    Open = 0,
    /// Producers hand over what they wrote, and go.
    Closing = 1,
    /// Consumers read what is retained, and go.
    Draining = 2,
}

/// Why a peer is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: RefuseCode,
    pub(crate) reason: String,
}

/// How an attempt to enter as a producer went.
#[derive(Debug)]
pub(crate) enum Entered {
    /// It is in; the highest sequence taken of it.
    In(ProducerSeat, u64),
    /// An older connection of the same producer is being read to its end.
    Occupied,
}

/// A connected producer's place; dropping it leaves.
#[derive(Debug)]
pub(crate) struct ProducerSeat {
    pub(crate) service: Arc<Service>,
    pub(crate) bell: Arc<Bell>,
    number: u64,
}

/// A connected consumer's place; dropping it leaves.
#[derive(Debug)]
pub(crate) struct ConsumerSeat {
    pub(crate) service: Arc<Service>,
    pub(crate) bell: Arc<Bell>,
    number: u64,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    producers: Producers,
    seated: HashMap<u64, Arc<Bell>>,
    consumers: BTreeMap<u64, Consumer>,
    /// Consumers that have read everything.
    sleepers: Vec<Arc<Bell>>,
    next_consumer: u64,
    taken: Counts,
    duplicates: u64,
    /// What consumers that are gone were sent.
    gone: Counts,
}

#[derive(Debug)]
struct Consumer {
    bell: Arc<Bell>,
    counts: Counts,
    next_offset: u64,
}

// === impl Service ===

impl Service {
    pub(crate) fn new(name: Arc<str>, settings: Settings) -> Self {
        let state = State {
            ring: Ring::new(settings.retain, settings.retain_bytes),
            producers: Producers::default(),
            seated: HashMap::new(),
            consumers: BTreeMap::new(),
            sleepers: Vec::new(),
            next_consumer: 1,
            taken: Counts::default(),
            duplicates: 0,
            gone: Counts::default(),
        };
        let epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64)
            .max(1);
        Self {
            name,
            settings,
            epoch,
            producer_left: Notify::new(),
            phase: AtomicU8::new(0),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Closing,
            _ => Phase::Draining,
        }
    }

    /// Tells every connection how far the service is with ending.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        let state = self.lock();
        let bells: Vec<_> = state
            .seated
            .values()
            .chain(state.consumers.values().map(|consumer| &consumer.bell))
            .cloned()
            .collect();
        drop(state);
        bells.iter().for_each(|bell| bell.wake());
    }

    /// Seats a producer, once no older connection of it is left.
    ///
    /// # Errors
    /// If the service is full or ends.
    pub(crate) fn enter_producer(self: &Arc<Self>, hello: &Hello) -> Result<Entered, Refusal> {
        let mut state = self.lock();
        // One that comes back takes its own place, also where there is no other.
        let seated = state
            .producers
            .number(&hello.producer)
            .and_then(|number| state.seated.get(&number).cloned());
        if let Some(older) = seated.filter(|_| self.phase() == Phase::Open) {
            drop(state);
            older.supersede();
            return Ok(Entered::Occupied);
        }
        self.admit(&state)?;
        let news = state.producers.last_news();
        let number = state.producers.enter(hello);
        let taken = state.producers.get(number).map_or(0, |known| known.taken);
        let bell = Arc::<Bell>::default();
        state.seated.insert(number, Arc::clone(&bell));
        let woken = if state.producers.last_news() == news {
            Vec::new()
        } else {
            std::mem::take(&mut state.sleepers)
        };
        drop(state);
        woken.iter().for_each(|bell| bell.wake());
        Ok(Entered::In(
            ProducerSeat {
                service: Arc::clone(self),
                bell,
                number,
            },
            taken,
        ))
    }

    /// Seats a consumer.
    ///
    /// # Errors
    /// If the service is full or ends.
    pub(crate) fn enter_consumer(
        self: &Arc<Self>,
        hello: &Hello,
    ) -> Result<(ConsumerSeat, Subscription), Refusal> {
        let mut state = self.lock();
        self.admit(&state)?;
        let subscription = Subscription::new(
            hello.start,
            &state.ring,
            &state.producers,
            self.epoch,
            self.settings.overtaken,
        );
        let number = state.next_consumer;
        state.next_consumer += 1;
        let bell = Arc::<Bell>::default();
        let consumer = Consumer {
            bell: Arc::clone(&bell),
            counts: Counts::default(),
            next_offset: subscription.next_offset(),
        };
        state.consumers.insert(number, consumer);
        drop(state);
        Ok((
            ConsumerSeat {
                service: Arc::clone(self),
                bell,
                number,
            },
            subscription,
        ))
    }

    fn admit(&self, state: &State) -> Result<(), Refusal> {
        if self.phase() != Phase::Open {
            return Err(Refusal {
                code: RefuseCode::ShuttingDown,
                reason: format!("the relay of `{}` is shutting down", self.name),
            });
        }
        let most = self.settings.max_connections;
        if state.seated.len() + state.consumers.len() >= most as usize {
            let reason = format!(
                "`{}` has {most} connections already (max_connections)",
                self.name
            );
            return Err(Refusal {
                code: RefuseCode::TooManyConnections,
                reason,
            });
        }
        Ok(())
    }

    pub(crate) fn has_producers(&self) -> bool {
        !self.lock().seated.is_empty()
    }

    pub(crate) fn statistics(&self) -> ServiceStatistics {
        let state = self.lock();
        let next_offset = state.ring.next_offset();
        let (retained_messages, retained_bytes) = state.ring.held();
        let mut all = state.gone;
        let consumers = state.consumers.iter().map(|(number, consumer)| {
            all.add(&consumer.counts);
            ConsumerStatistics {
                number: *number,
                messages: consumer.counts.messages,
                bytes: consumer.counts.bytes,
                gaps: consumer.counts.gaps,
                dropped: consumer.counts.dropped,
                behind: next_offset - consumer.next_offset,
            }
        });
        let consumers = consumers.collect();
        ServiceStatistics {
            service: Arc::clone(&self.name),
            producers: state.seated.len(),
            consumers,
            messages_in: state.taken.messages,
            bytes_in: state.taken.bytes,
            duplicates: state.duplicates,
            messages_out: all.messages,
            bytes_out: all.bytes,
            gaps: all.gaps,
            dropped: all.dropped,
            retained_messages,
            retained_bytes,
            oldest_offset: state.ring.oldest_offset(),
            next_offset,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock would be a bug of ours; the state is whole between statements that matter, and others go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.gaps += other.gaps;
        self.dropped += other.dropped;
    }
}

/// What the ring keeps of what was read. A slice of it keeps all of the buffer that it was read into, of which a producer
/// that sends little, or one message and goes, fills little: unless at least half of one is kept, it is copied.
fn kept(read: &Bytes, range: Range<usize>) -> Bytes {
    if range.len() < READ_CHUNK / 2 {
        Bytes::copy_from_slice(&read[range])
    } else {
        read.slice(range)
    }
}

// === impl ProducerSeat ===

impl ProducerSeat {
    /// Puts what was read into the ring and wakes who waits for it. `woken` is room that is kept between calls.
    pub(crate) fn append(&self, read: &Bytes, intake: &Intake, woken: &mut Vec<Arc<Bell>>) {
        if intake.runs.is_empty() && intake.counted.is_none() && intake.duplicates == 0 {
            return;
        }
        let mut guard = self.service.lock();
        let state = &mut *guard;
        let Some(identity) = state
            .producers
            .get(self.number)
            .map(|known| Arc::clone(&known.identity))
        else {
            return;
        };
        state.duplicates += intake.duplicates;
        for run in &intake.runs {
            state.taken.messages += u64::from(run.frames);
            state.taken.bytes += run.range.len() as u64;
            let offset = state.ring.next_offset();
            state.ring.append(
                &identity,
                kept(read, run.range.clone()),
                run.frames,
                run.first,
                run.last,
            );
            state.producers.took(self.number, offset, run.last);
        }
        while let Some(gone) = state.ring.evict() {
            state.producers.evicted(&gone);
        }
        let is_news = intake
            .counted
            .is_some_and(|last| state.producers.counted(self.number, last));
        if is_news || !intake.runs.is_empty() {
            std::mem::swap(&mut state.sleepers, woken);
        }
        drop(guard);
        woken.drain(..).for_each(|bell| bell.wake());
    }
}

impl Drop for ProducerSeat {
    fn drop(&mut self) {
        let mut state = self.service.lock();
        state.seated.remove(&self.number);
        state.producers.leave(self.number);
        drop(state);
        self.service.producer_left.notify_waiters();
    }
}

// === impl ConsumerSeat ===

impl ConsumerSeat {
    /// Gathers what is new; with nothing left, the bell will ring for more.
    pub(crate) fn gather(&self, subscription: &mut Subscription, out: &mut Outbox) -> Gathered {
        let mut guard = self.service.lock();
        let state = &mut *guard;
        let gathered = subscription.gather(&state.ring, &state.producers, out);
        if let Some(consumer) = state.consumers.get_mut(&self.number) {
            consumer.counts = subscription.counts;
            consumer.next_offset = subscription.next_offset();
        }
        if gathered == Gathered::All && self.bell.falls_asleep() {
            state.sleepers.push(Arc::clone(&self.bell));
        }
        gathered
    }
}

impl Drop for ConsumerSeat {
    fn drop(&mut self) {
        let mut state = self.service.lock();
        if let Some(consumer) = state.consumers.remove(&self.number) {
            state.gone.add(&consumer.counts);
            state
                .sleepers
                .retain(|bell| !Arc::ptr_eq(bell, &consumer.bell));
        }
    }
}
