//! What the other end has, and what a lost connection leaves.

use super::*;

impl Outbox {
    /// The other end took everything up to `sequence`.
    pub(crate) fn ack(&mut self, sequence: u64) {
        let sequence = sequence.min(self.held.last_sequence);
        if sequence <= self.acked_to {
            return;
        }
        if self.keep {
            self.ack_owed = true;
            self.acked_to = sequence;
            // The bytes of a lent segment are elsewhere: what is freed in it cannot be told now.
            if self.lent.is_none() {
                self.settle_ack();
            }
        } else if self.acks {
            let upto = sequence.min(self.written_to);
            // A sender heard it before the flusher noted what it wrote.
            self.acked_early = self.acked_early.max(sequence);
            self.ack_owed = upto < self.acked_early;
            if upto > self.acked_to {
                let settled = self.counted(self.acked_to, upto).min(self.in_flight);
                self.in_flight -= settled;
                self.done += settled;
                self.acked_to = upto;
            }
        } else {
            self.acked_to = sequence;
        }
    }

    /// How many sequences in `(after, upto]` were messages on the wire of this connection.
    pub(super) fn counted(&self, after: u64, upto: u64) -> u64 {
        let within = |from: u64, to: u64| {
            to.min(upto)
                .saturating_add(1)
                .saturating_sub(from.max(after + 1))
        };
        let is_counted_as_lost = |from: u64, to: u64| -> u64 {
            let overlaps = self
                .lost
                .iter()
                .map(|&(low, high)| within(from.max(low), to.min(high)));
            overlaps.sum()
        };
        // What was dropped and lies in a lost range must not be taken away twice.
        let skipped: u64 = self
            .skipped
            .range(..=upto)
            .rev()
            .take_while(|(_, (to, _))| *to > after)
            .map(|(&from, &(to, _))| within(from, to) - is_counted_as_lost(from, to))
            .sum();
        let lost: u64 = self.lost.iter().map(|&(from, to)| within(from, to)).sum();
        upto.saturating_sub(after)
            .saturating_sub(skipped)
            .saturating_sub(lost)
    }

    /// Lets go of frames up to `sequence`, written or not: a peer that says it has them has them.
    pub(super) fn trim(&mut self, sequence: u64) {
        self.rescind_begun();
        while let Some(segment) = self.segments.front_mut() {
            while let Some(total) = frame_at(segment, segment.start) {
                if sequence_at(&segment.bytes, segment.start) > sequence
                    || (segment.start >= segment.mark && segment.written > segment.mark)
                {
                    return;
                }
                if segment.start >= segment.mark {
                    // Acked by an earlier connection's ack that only the welcome told: never written on this one.
                    segment.mark += total;
                    segment.written = segment.mark;
                } else {
                    segment.marked -= 1;
                    self.in_flight -= 1;
                }
                segment.start += total;
                segment.frames -= 1;
                self.held.messages -= 1;
                self.held.bytes -= total as u64;
                self.done += 1;
            }
            if segment.sealed {
                self.retire_front();
                self.current = self.current.saturating_sub(1);
            } else {
                reset(segment);
                return;
            }
        }
    }

    /// The connection is gone: what must be sent again is unwritten again. Returns how many are now unknown.
    pub(crate) fn rewind(&mut self) -> u64 {
        if self.keep {
            for segment in &mut self.segments {
                segment.written = segment.start;
                segment.mark = segment.start;
                segment.marked = 0;
            }
            self.in_flight = 0;
            self.current = 0;
            if std::mem::take(&mut self.ack_owed) {
                self.trim(self.acked_to);
            }
            return 0;
        }
        // What it said of this connection is over with it.
        (self.ack_owed, self.acked_early) = (false, 0);
        if self.restarts {
            return self.lose_torn();
        }
        // At most once: whole frames are gone, a torn one is sent again whole under its number.
        if let Some(segment) = self.segments.get_mut(self.current) {
            segment.written = segment.mark;
        }
        let lost = std::mem::take(&mut self.in_flight);
        if lost > 0 {
            self.unknown += lost;
            self.lose_in_flight();
        }
        lost
    }

    /// What was written and not acked is lost from sight.
    pub(super) fn lose_in_flight(&mut self) {
        let from = self.lost.back().map_or(0, |&(_, to)| to).max(self.acked_to) + 1;
        self.lose(from, self.written_to);
    }

    /// What became of these will never be known; they follow all that were lost before.
    pub(super) fn lose(&mut self, from: u64, upto: u64) {
        match self.lost.back_mut() {
            Some((_, last)) if *last + 1 == from => *last = upto,
            _ => self.lost.push_back((from, upto)),
        }
        if self.lost.len() > HORIZON / 2 {
            let (_, to) = self.lost.pop_front().expect("it is longer than the bound");
            self.horizon = self.horizon.max(to);
        }
    }

    /// Gives up the frame that is half on the wire, if there is one. How many that are.
    pub(super) fn lose_torn(&mut self) -> u64 {
        let Some(segment) = self.segments.get_mut(self.current) else {
            return 0;
        };
        let torn = segment.written > segment.mark;
        let Some(total) = frame_at(segment, segment.mark).filter(|_| torn) else {
            return 0;
        };
        let sequence = sequence_at(&segment.bytes, segment.mark);
        segment.mark += total;
        segment.start = segment.mark;
        segment.written = segment.mark;
        segment.frames -= 1;
        self.held.messages -= 1;
        self.held.bytes -= total as u64;
        self.unknown += 1;
        self.written_to = self.written_to.max(sequence);
        self.lose(sequence, sequence);
        self.remove_if_empty(self.current);
        1
    }
}
