//! What is written next, and how far writing came.

use super::*;

impl Outbox {
    /// Whether a frame is half on the wire: nothing else may be written before its rest.
    pub(crate) fn is_torn(&self) -> bool {
        self.segments
            .get(self.current)
            .is_some_and(|segment| segment.written > segment.mark)
    }

    /// Whether the flusher holds a segment.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Goes on to the first segment that is not wholly written.
    pub(crate) fn skip_written(&mut self) {
        while self
            .segments
            .get(self.current)
            .is_some_and(|segment| segment.sealed && segment.written == segment.len())
        {
            // Sealed after it was written: only kept segments come here.
            self.current += 1;
        }
    }

    /// What to write next.
    pub(crate) fn next(&mut self) -> Next {
        self.rescind_begun();
        self.skip_written();
        let Some(segment) = self.segments.get_mut(self.current) else {
            return Next::Nothing;
        };
        let left = segment.len() - segment.written;
        if left == 0 {
            return Next::Nothing;
        }
        if left <= LEND {
            return Next::Here;
        }
        segment.sealed = true;
        let segment = &mut self.segments[self.current];
        let owed = if self.keep {
            segment.start
        } else {
            segment.mark
        };
        self.lent = Some(sequence_at(&segment.bytes, owed));
        Next::Lent(Lent {
            bytes: std::mem::take(&mut segment.bytes),
            beyond: segment.beyond.clone(),
            written: segment.written,
        })
    }

    /// What is left of the current segment, as up to two slices.
    pub(crate) fn slices(&self) -> [IoSlice<'_>; 2] {
        match self.segments.get(self.current) {
            Some(segment) => two_slices(&segment.bytes, &segment.beyond, segment.written),
            None => [IoSlice::new(&[]), IoSlice::new(&[])],
        }
    }

    /// Takes a lent segment back, of which `count` bytes more are written now.
    pub(crate) fn restore(&mut self, lent: Lent, count: usize) {
        self.lent = None;
        if let Some(segment) = self.segments.get_mut(self.current) {
            segment.bytes = lent.bytes;
        }
        if count > 0 {
            self.wrote(count);
        }
        // Only now: an ack may be here before what it acks is known to be written.
        if self.ack_owed {
            self.settle_ack();
        }
    }

    /// Notes that `count` bytes of the current segment were written.
    #[inline]
    pub(crate) fn wrote(&mut self, count: usize) {
        let Some(segment) = self.segments.get_mut(self.current) else {
            return;
        };
        segment.written += count;
        let whole = if segment.written == segment.len() {
            self.wrote_all()
        } else {
            self.wrote_part()
        };
        if self.acks {
            self.in_flight += whole;
        } else {
            self.done += whole;
        }
        if self.ack_owed && whole > 0 {
            self.settle_ack();
        }
    }

    /// Lets go of what an ack freed that could not be heeded when it came.
    #[cold]
    pub(super) fn settle_ack(&mut self) {
        if !self.keep {
            return self.ack(self.acked_early);
        }
        self.trim(self.acked_to);
        self.ack_owed = self.first_owed() <= self.acked_to;
    }

    #[inline]
    pub(super) fn wrote_all(&mut self) -> u64 {
        let is_last = self.current + 1 == self.segments.len();
        let segment = &mut self.segments[self.current];
        let whole = segment.unwritten();
        let last = if is_last {
            self.held.last_sequence
        } else {
            segment.last
        };
        self.written_to = self.written_to.max(last);
        segment.marked = segment.frames;
        segment.mark = segment.written;
        if self.keep {
            if segment.sealed || segment.bytes.len() >= SEGMENT {
                segment.sealed = true;
                self.current += 1;
            }
        } else {
            self.held.messages -= segment.frames;
            self.held.bytes -= (segment.len() - segment.start) as u64;
            if segment.sealed || segment.bytes.len() >= SEGMENT {
                self.retire_front();
            } else {
                reset(segment);
            }
        }
        whole
    }

    #[cold]
    pub(super) fn wrote_part(&mut self) -> u64 {
        let segment = &mut self.segments[self.current];
        let mut whole = 0;
        while let Some(total) = frame_at(segment, segment.mark) {
            if segment.mark + total > segment.written {
                break;
            }
            self.written_to = self
                .written_to
                .max(sequence_at(&segment.bytes, segment.mark));
            segment.mark += total;
            whole += 1;
            if self.keep {
                segment.marked += 1;
            } else {
                segment.frames -= 1;
                self.held.messages -= 1;
                self.held.bytes -= total as u64;
                segment.start = segment.mark;
            }
        }
        whole
    }

    pub(super) fn retire_front(&mut self) {
        let Some(mut segment) = self.segments.pop_front() else {
            return;
        };
        segment.bytes.clear();
        match segment.bytes.capacity() {
            SEGMENT..=TWO_SEGMENTS => self.spare.push(segment.bytes),
            // Never among the others: it would grow there step by step, and more would come than go.
            ..=frame::OVERHEAD if self.heads.len() < HEADS => self.heads.push(segment.bytes),
            _ => {}
        }
    }

    /// Gives memory back that a burst needed; called while the link is silent.
    pub(crate) fn shrink(&mut self) {
        self.spare.truncate(SPARE);
        self.heads.clear();
    }
}
