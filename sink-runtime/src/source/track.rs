//! Which message is new, which came before, and what is missing. Pure; numbers in, verdicts out.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::frame::{Chunk, Producer, ProducerId, RelayGap, Start};

use super::inbox::Connection;
use crate::gap::{Gap, GapCause};

/// Producers remembered for recognising what they send again; the longest silent are forgotten first.
const MAX_PRODUCERS: usize = 4096;
/// So many more may be there: looking for the longest silent is not for each producer that comes.
const FORGOTTEN_AT_ONCE: usize = 1024;
/// Identities remembered for messages that came through a composite (PROMISES 6.1).
const MAX_IDENTITIES: usize = 65_536;

/// What a data frame is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    New {
        producer: ProducerId,
        offset: u64,
        gap: Option<Gap>,
    },
    /// It came before; `gap` is what its own link's numbers jumped over on the way to it.
    Duplicate {
        gap: Option<Gap>,
    },
    Mismatched,
}

/// See the module.
#[derive(Default)]
pub(super) struct Tracker {
    /// Highest sequence seen, and when (a running count).
    producers: HashMap<ProducerId, Last>,
    tick: u64,
    /// The direct connection last heard, so that its producer need not be looked up for each message.
    current: Option<Current>,
    relay: RelayView,
    identities: HashSet<(u64, u64)>,
    identity_order: VecDeque<(u64, u64)>,
    /// A consumer that asked for all that is retained: what left retention before is a gap to it.
    pub(super) from_retained: bool,
}

#[derive(Clone, Copy, Default)]
struct Last {
    sequence: u64,
    tick: u64,
}

struct Current {
    connection: u64,
    producer: ProducerId,
    last: u64,
    /// The next jump is over what was on a connection before, not over what the producer dropped.
    fresh: bool,
}

/// What is known of the relay at the other end.
#[derive(Default)]
struct RelayView {
    connection: u64,
    epoch: u64,
    next_offset: u64,
    /// What a producer never heard of sent before is missing here.
    from_one: bool,
    by_index: HashMap<u32, RelayedProducer>,
    /// Producer index of the frames that follow, and the offset of the next.
    open: Option<(u32, u64)>,
}

struct RelayedProducer {
    producer: ProducerId,
    last: u64,
    mismatched: bool,
    /// When its last chunk came (the running count).
    heard: u64,
}

impl Current {
    /// Why what the next jump is over is missing.
    #[inline]
    fn cause(&self) -> GapCause {
        if self.fresh {
            GapCause::Lost
        } else {
            GapCause::Producer
        }
    }
}

impl Tracker {
    /// A data frame of `connection`.
    #[inline]
    pub(super) fn data(
        &mut self,
        connection: &Connection,
        sequence: u64,
        identity: Option<(u64, u64)>,
    ) -> Seen {
        let seen = if connection.relayed {
            self.relayed(sequence)
        } else {
            self.direct(connection, sequence)
        };
        match (identity, seen) {
            (Some(identity), Seen::New { gap, .. }) if !self.remember(identity) => {
                Seen::Duplicate { gap }
            }
            (_, seen) => seen,
        }
    }

    #[inline]
    fn direct(&mut self, connection: &Connection, sequence: u64) -> Seen {
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.connection != connection.id)
        {
            self.turn_to(connection);
        }
        let Some(current) = &mut self.current else {
            return Seen::Duplicate { gap: None };
        };
        if sequence <= current.last {
            return Seen::Duplicate { gap: None };
        }
        let cause = current.cause();
        let gap = (sequence > current.last + 1).then(|| Gap {
            from: current.last + 1,
            to: sequence - 1,
            cause,
            producer: Some(current.producer),
        });
        current.last = sequence;
        current.fresh = false;
        Seen::New {
            producer: current.producer,
            offset: 0,
            gap,
        }
    }

    /// Looks up another connection's producer, after noting where the last one stood.
    #[cold]
    fn turn_to(&mut self, connection: &Connection) {
        self.put_back();
        let known = self
            .producers
            .get(&connection.producer)
            .map(|last| last.sequence);
        // A producer never seen begins where its hello says: what it sent to others before is no gap here, what it dropped before
        // it sent anything to anyone is.
        let first = connection.first.max(1);
        let last = known.unwrap_or(first - 1);
        self.current = Some(Current {
            connection: connection.id,
            producer: connection.producer,
            last,
            fresh: last.saturating_add(1) < first,
        });
    }

    fn put_back(&mut self) {
        if let Some(current) = self.current.take() {
            self.note(current.producer, current.last);
        }
    }

    fn note(&mut self, producer: ProducerId, sequence: u64) {
        self.tick += 1;
        let tick = self.tick;
        let last = self.producers.entry(producer).or_default();
        last.sequence = last.sequence.max(sequence);
        last.tick = tick;
        if self.producers.len() > MAX_PRODUCERS + FORGOTTEN_AT_ONCE {
            let mut ticks: Vec<u64> = self.producers.values().map(|last| last.tick).collect();
            let surplus = ticks.len() - MAX_PRODUCERS;
            let (_, &mut kept, _) = ticks.select_nth_unstable(surplus);
            self.producers.retain(|_, last| last.tick >= kept);
        }
    }

    /// A heartbeat carries the last number given: what is missing at the tail shows without another message.
    pub(super) fn heartbeat(&mut self, connection: &Connection, last: u64) -> Option<Gap> {
        if connection.relayed {
            return None;
        }
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.connection != connection.id)
        {
            self.turn_to(connection);
        }
        let current = self.current.as_mut()?;
        if last <= current.last {
            return None;
        }
        let gap = Gap {
            from: current.last + 1,
            to: last,
            cause: current.cause(),
            producer: Some(current.producer),
        };
        current.last = last;
        current.fresh = false;
        Some(gap)
    }

    // --- behind a relay

    /// Where a subscription that begins anew goes on: behind what was read of the relay, if anything was.
    pub(super) fn resumes_at(&self) -> Option<Start> {
        let relay = &self.relay;
        (relay.epoch != 0).then(|| Start::After {
            epoch: relay.epoch,
            offset: relay.next_offset.saturating_sub(1),
        })
    }

    /// A subscription stands.
    pub(super) fn resumed(
        &mut self,
        connection: &Connection,
        epoch: u64,
        next_offset: u64,
    ) -> Option<Gap> {
        // In the order in which they were heard, so that the longest silent are the first to be forgotten.
        let by_index = std::mem::take(&mut self.relay.by_index);
        let mut known: Vec<_> = by_index.into_iter().collect();
        known.sort_unstable_by_key(|(index, relayed)| (relayed.heard, *index));
        for (_, relayed) in known {
            self.note(relayed.producer, relayed.last);
        }
        let first_time = self.relay.epoch == 0;
        let same_life = self.relay.epoch == epoch;
        let expected = if first_time {
            self.from_retained.then_some(1)
        } else {
            same_life.then_some(self.relay.next_offset)
        };
        if !same_life {
            // Behind a relay in another life, or one that nothing has left yet, a producer's numbers tell all that is missing.
            self.relay.from_one = self.from_retained && (!first_time || next_offset == 1);
        }
        self.relay.epoch = epoch;
        self.relay.connection = connection.id;
        self.relay.open = None;
        self.relay.next_offset = next_offset;
        let expected = expected?;
        (next_offset > expected).then(|| Gap {
            from: expected,
            to: next_offset - 1,
            cause: GapCause::Retention,
            producer: None,
        })
    }

    /// The relay names a producer, and the lowest sequence that may still come from it.
    pub(super) fn announce(
        &mut self,
        _: &Connection,
        announced: &Producer,
        mismatched: bool,
    ) -> Option<Gap> {
        let before = self.relay.by_index.remove(&announced.index);
        let heard = before.as_ref().map_or(0, |relayed| relayed.heard);
        let known = match &before {
            Some(relayed) if relayed.producer == announced.producer => Some(relayed.last),
            Some(relayed) => {
                let (producer, last) = (relayed.producer, relayed.last);
                self.note(producer, last);
                self.producers
                    .get(&announced.producer)
                    .map(|last| last.sequence)
            }
            None => self
                .producers
                .get(&announced.producer)
                .map(|last| last.sequence),
        };
        let expected = match known {
            Some(last) => last.saturating_add(1),
            None if self.relay.from_one => 1,
            None => announced.begins(),
        };
        let last = expected.max(announced.first).saturating_sub(1);
        self.relay.by_index.insert(
            announced.index,
            RelayedProducer {
                producer: announced.producer,
                last,
                mismatched,
                heard,
            },
        );
        let missing = announced.first > expected && !mismatched;
        missing.then(|| Gap {
            from: expected,
            to: announced.first - 1,
            cause: if expected < announced.begins() {
                GapCause::Lost
            } else {
                GapCause::Producer
            },
            producer: Some(announced.producer),
        })
    }

    /// The frames that follow are this producer's, from this offset.
    pub(super) fn chunk(&mut self, _: &Connection, chunk: Chunk) {
        self.relay.open = Some((chunk.producer, chunk.first_offset));
        self.tick += 1;
        if let Some(relayed) = self.relay.by_index.get_mut(&chunk.producer) {
            relayed.heard = self.tick;
        }
    }

    #[inline]
    fn relayed(&mut self, sequence: u64) -> Seen {
        let Some((index, offset)) = &mut self.relay.open else {
            return Seen::Duplicate { gap: None };
        };
        let this_offset = *offset;
        *offset = offset.saturating_add(1);
        self.relay.next_offset = self.relay.next_offset.max(*offset);
        let Some(relayed) = self.relay.by_index.get_mut(index) else {
            return Seen::Duplicate { gap: None };
        };
        if relayed.mismatched {
            return Seen::Mismatched;
        }
        if sequence <= relayed.last {
            return Seen::Duplicate { gap: None };
        }
        let gap = (sequence > relayed.last + 1).then(|| Gap {
            from: relayed.last + 1,
            to: sequence - 1,
            cause: GapCause::Producer,
            producer: Some(relayed.producer),
        });
        relayed.last = sequence;
        Seen::New {
            producer: relayed.producer,
            offset: this_offset,
            gap,
        }
    }

    /// The relay says that offsets are missing here, and how far each producer thereby moved.
    pub(super) fn relay_gap(&mut self, _: &Connection, gap: &RelayGap) -> Option<Gap> {
        for (index, last) in &gap.producers {
            if let Some(relayed) = self.relay.by_index.get_mut(index) {
                relayed.last = relayed.last.max(*last);
            }
        }
        self.relay.next_offset = self.relay.next_offset.max(gap.to.saturating_add(1));
        let cause = if gap.cause == 1 {
            GapCause::Retention
        } else {
            GapCause::SlowConsumer
        };
        Some(Gap {
            from: gap.from,
            to: gap.to,
            cause,
            producer: None,
        })
    }

    /// Whether a composite's identity is new.
    fn remember(&mut self, identity: (u64, u64)) -> bool {
        if !self.identities.insert(identity) {
            return false;
        }
        self.identity_order.push_back(identity);
        if self.identity_order.len() > MAX_IDENTITIES
            && let Some(oldest) = self.identity_order.pop_front()
        {
            self.identities.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests;
