//! Reads what a producer sent: runs of new data frames, duplicates dropped, control frames told. Bytes in, ranges out.

use std::ops::Range;

use sink_runtime::frame::{self, DATA_HEAD, FLAG_IDENTITY, FLAG_METADATA, FrameError, Kind};

#[cfg(test)]
mod tests;

/// Consecutive new data frames in what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) range: Range<usize>,
    pub(crate) frames: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// What one connection's frames amount to; kept between reads so that nothing is allocated.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// New frames of the last read.
    pub(crate) runs: Vec<Run>,
    /// The last sequence the producer said it gave, if the last read told.
    pub(crate) counted: Option<u64>,
    /// Whether the producer takes its leave.
    pub(crate) bye: bool,
    /// Frames dropped as duplicates in the last read.
    pub(crate) duplicates: u64,
    taken: u64,
    limit: usize,
}

// === impl Intake ===

impl Intake {
    /// For a producer of whom everything up to `taken` is there; frames of at most `limit` bytes in all.
    pub(crate) fn new(taken: u64, limit: usize) -> Self {
        Self {
            taken,
            limit,
            ..Self::default()
        }
    }

    /// The highest sequence taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Reads whole frames. What came before a bad one stays in `runs`.
    ///
    /// # Errors
    /// If a frame is malformed or may not come from a producer.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        self.runs.clear();
        (self.counted, self.duplicates) = (None, 0);
        let mut open: Option<Run> = None;
        let mut at = 0;
        let mut outcome = Ok(());
        while !self.bye && at < bytes.len() {
            match self.frame(bytes, at) {
                Ok((total, Some(sequence))) => {
                    let run = open.get_or_insert(Run {
                        range: at..at,
                        frames: 0,
                        first: sequence,
                        last: sequence,
                    });
                    run.range.end = at + total;
                    run.frames += 1;
                    run.last = sequence;
                    at += total;
                }
                Ok((total, None)) => {
                    self.runs.extend(open.take());
                    at += total;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.runs.extend(open);
        outcome
    }

    /// The frame's size, and its sequence if it is new data.
    fn frame(&mut self, bytes: &[u8], at: usize) -> Result<(usize, Option<u64>), FrameError> {
        let head = frame::head(&bytes[at..], self.limit)?
            .filter(|head| bytes.len() - at >= head.total)
            .ok_or(FrameError::Malformed("cut"))?;
        let whole = &bytes[at..at + head.total];
        if head.kind == Kind::Data as u8 {
            return Ok((head.total, self.data(whole, head.flags)?));
        }
        match Kind::from_u8(head.kind) {
            Some(Kind::Heartbeat) => self.counted = self.counted.max(Some(frame::number(whole)?)),
            Some(Kind::Bye) => self.bye = true,
            Some(other) => return Err(FrameError::Unexpected(other)),
            None => {}
        }
        Ok((head.total, None))
    }

    fn data(&mut self, whole: &[u8], flags: u8) -> Result<Option<u64>, FrameError> {
        if whole.len() < DATA_HEAD {
            return Err(FrameError::Malformed("data"));
        }
        // Passed on, a frame whose parts do not fit would make every consumer hang up, again and again.
        if flags & (FLAG_IDENTITY | FLAG_METADATA) != 0 {
            frame::data(whole)?;
        }
        let sequence = frame::number(whole)?;
        if sequence > self.taken {
            self.taken = sequence;
            return Ok(Some(sequence));
        }
        if sequence == 0 {
            return Err(FrameError::Malformed("data"));
        }
        self.duplicates += 1;
        Ok(None)
    }
}
