//! What is dropped or taken out, and what became of each message.

use super::*;

impl Outbox {
    /// Drops the oldest message that no byte of was written and that the flusher does not hold.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        self.drop_first(u64::MAX, DropCause::Oldest)
    }

    /// Drops such messages up to `sequence`, which have waited too long; how many.
    pub(crate) fn drop_aged(&mut self, sequence: u64) -> u64 {
        let mut count = 0;
        while self.drop_first(sequence, DropCause::Expired) {
            count += 1;
        }
        count
    }

    /// Drops messages with a payload over `limit`, of which no byte may be written on this connection; how many. Those that an
    /// earlier connection carried are no such: they may have arrived, and are unknown.
    pub(crate) fn drop_larger(&mut self, limit: u64) -> u64 {
        self.rescind_begun();
        let (mut count, mut index) = (0, self.current);
        while let Some(segment) = self.segments.get_mut(index) {
            let mut at = segment.mark;
            let mut dropped = Vec::new();
            while let Some(total) = frame_at(segment, at) {
                if payload_at(segment, at, total) <= limit {
                    at += total;
                    continue;
                }
                dropped.push((sequence_at(&segment.bytes, at), total as u64));
                cut(segment, at, total);
            }
            let segments = self.segments.len();
            if !dropped.is_empty() {
                self.remove_if_empty(index);
            }
            index += usize::from(segments == self.segments.len());
            for (sequence, bytes) in dropped {
                self.held.messages -= 1;
                self.held.bytes -= bytes;
                if sequence <= self.written_to {
                    self.unknown += 1;
                    self.lose(sequence, sequence);
                } else {
                    self.except(sequence, DropCause::TooLarge);
                    count += 1;
                }
            }
        }
        count
    }

    pub(super) fn drop_first(&mut self, upto: u64, cause: DropCause) -> bool {
        self.rescind_begun();
        let from = self.current + usize::from(self.lent.is_some());
        for index in from..self.segments.len() {
            let segment = &mut self.segments[index];
            let mut at = segment.mark;
            if segment.written > segment.mark {
                at += frame_at(segment, at).unwrap_or_default();
            }
            let Some(total) = frame_at(segment, at) else {
                continue;
            };
            let sequence = sequence_at(&segment.bytes, at);
            if sequence > upto {
                return false;
            }
            if at == segment.mark && segment.mark == segment.start {
                segment.start += total;
                segment.mark = segment.start;
                segment.written = segment.start;
                segment.frames -= 1;
            } else {
                cut(segment, at, total);
            }
            self.remove_if_empty(index);
            self.held.messages -= 1;
            self.held.bytes -= total as u64;
            self.except(sequence, cause);
            return true;
        }
        false
    }

    /// Withdraws one message if no byte of it is written and the flusher does not hold it.
    pub(crate) fn withdraw(&mut self, sequence: u64) -> bool {
        self.rescind_begun();
        if sequence <= self.written_to {
            // It was written on a connection that is gone, and may have arrived there.
            return false;
        }
        let from = self.current + usize::from(self.lent.is_some());
        for index in from..self.segments.len() {
            let segment = &mut self.segments[index];
            let mut at = segment.mark;
            while let Some(total) = frame_at(segment, at) {
                if sequence_at(&segment.bytes, at) == sequence {
                    if at == segment.mark && segment.written > segment.mark {
                        return false;
                    }
                    cut(segment, at, total);
                    self.remove_if_empty(index);
                    self.held.messages -= 1;
                    self.held.bytes -= total as u64;
                    self.except(sequence, DropCause::Withdrawn);
                    return true;
                }
                at += total;
            }
        }
        false
    }

    /// A sealed segment without frames would be taken for one that was written.
    pub(super) fn remove_if_empty(&mut self, index: usize) {
        let segment = &mut self.segments[index];
        if segment.start < segment.len() {
            return;
        }
        if segment.sealed {
            self.segments.remove(index);
        } else {
            reset(segment);
        }
    }

    pub(super) fn except(&mut self, sequence: u64, cause: DropCause) {
        let follows = self
            .skipped
            .range_mut(..sequence)
            .next_back()
            .filter(|(_, (to, known))| *to + 1 == sequence && *known == cause);
        match follows {
            Some((_, (to, _))) => *to = sequence,
            None => {
                self.skipped.insert(sequence, (sequence, cause));
            }
        }
        if self.skipped.len() > HORIZON
            && let Some((_, (oldest, _))) = self.skipped.pop_first()
        {
            self.horizon = self.horizon.max(oldest);
        }
    }

    // --- questions

    /// Whether a close dropped any of the sequences from `from` to `upto`.
    pub(crate) fn was_closed_over(&self, from: u64, upto: u64) -> bool {
        self.skipped
            .range(..=upto)
            .rev()
            .take_while(|(_, (to, _))| *to >= from)
            .any(|(_, (_, cause))| *cause == DropCause::Closed)
    }

    /// What became of a message.
    pub(crate) fn fate(&self, sequence: u64) -> Fate {
        if let Some((_, &(to, cause))) = self.skipped.range(..=sequence).next_back()
            && sequence <= to
        {
            return Fate::Dropped(cause);
        }
        if sequence <= self.horizon
            || self
                .lost
                .iter()
                .any(|&(from, to)| (from..=to).contains(&sequence))
        {
            return Fate::Unknown;
        }
        if sequence <= self.acked_to {
            Fate::Acked
        } else if sequence <= self.written_to {
            Fate::Written
        } else {
            Fate::Buffered
        }
    }

    /// Takes out everything not yet done, oldest first.
    pub(crate) fn take_undelivered(&mut self) -> Vec<Undelivered> {
        self.rescind_begun();
        let mut taken = Vec::new();
        for segment in std::mem::take(&mut self.segments) {
            let mut at = segment.start;
            while let Some(total) = frame_at(&segment, at) {
                let mut frame = segment.bytes[at..segment.bytes.len().min(at + total)].to_vec();
                frame.extend_from_slice(&segment.beyond);
                let sequence = sequence_at(&segment.bytes, at);
                let on_wire = at < segment.written || sequence <= self.written_to;
                taken.push(Undelivered {
                    sequence,
                    frame,
                    on_wire,
                });
                at += total;
            }
        }
        if !self.keep && self.in_flight > 0 {
            self.unknown += std::mem::take(&mut self.in_flight);
            self.lose_in_flight();
        }
        for one in &taken {
            if one.on_wire {
                self.unknown += 1;
                self.lose(one.sequence, one.sequence);
            } else {
                self.except(one.sequence, DropCause::Closed);
            }
        }
        self.current = 0;
        self.lent = None;
        self.held.messages = 0;
        self.held.bytes = 0;
        self.in_flight = 0;
        taken
    }
}
