//! Bytes as they arrive, and the whole frames in them.

use bytes::{Buf, Bytes, BytesMut};

use super::{FrameError, Head, head, whole_frames_where};

/// Collects bytes as they arrive and gives out chunks of whole frames; a frame is never cut.
///
/// Bytes are read into pieces of [`READ_CHUNK`]. A frame longer than one piece is put together once all of it has come:
/// growing one buffer instead would double it, and so run ahead of a peer that only told a length (PROMISES 4.6).
#[derive(Debug, Default)]
pub struct Assembler {
    /// Full pieces of a frame that is longer than one; the frame's head is at the start of the first.
    pieces: Vec<BytesMut>,
    pieces_bytes: usize,
    arrived: BytesMut,
    limit: usize,
}

/// How many bytes are read at a time, and so the most that is allocated ahead of bytes that arrived.
pub const READ_CHUNK: usize = 64 * 1024;

impl Assembler {
    /// Frames of at most `limit` bytes in all.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Another limit, once a hello has told it.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Where to read into, once [`take`](Self::take) has nothing more to give: never more room than [`READ_CHUNK`], and
    /// within a long frame only what is left of a piece.
    pub fn room(&mut self) -> &mut BytesMut {
        let free = self.arrived.capacity() - self.arrived.len();
        let enough = if self.pieces.is_empty() {
            READ_CHUNK / 2
        } else {
            1
        };
        if free < enough {
            self.make_room();
        }
        &mut self.arrived
    }

    fn make_room(&mut self) {
        let held = self.arrived.len();
        if !self.pieces.is_empty() || (held >= READ_CHUNK / 2 && self.begins_unfinished()) {
            // So much of one frame that its rest would not fit behind it.
            let piece = std::mem::replace(&mut self.arrived, BytesMut::with_capacity(READ_CHUNK));
            self.pieces_bytes += held;
            self.pieces.push(if piece.capacity() == held {
                piece
            } else {
                BytesMut::from(&piece[..])
            });
            return;
        }
        if held < READ_CHUNK / 2 && self.arrived.try_reclaim(READ_CHUNK - held) {
            return;
        }
        let mut other = BytesMut::with_capacity(READ_CHUNK.max(held + READ_CHUNK / 2));
        other.extend_from_slice(&self.arrived);
        self.arrived = other;
    }

    /// Takes the whole frames that have arrived, and how many they are.
    ///
    /// # Errors
    /// If the first head is impossible or over the limit.
    pub fn take(&mut self) -> Result<Option<(Bytes, usize)>, FrameError> {
        self.take_where(|_| true)
    }

    /// The same, up to the first frame that is not `wanted`, which stays with all that is behind it.
    ///
    /// # Errors
    /// If the first head is impossible or over the limit.
    pub fn take_where(
        &mut self,
        mut wanted: impl FnMut(&Head) -> bool,
    ) -> Result<Option<(Bytes, usize)>, FrameError> {
        if !self.pieces.is_empty() {
            let Some((first, missing)) = self.missing()? else {
                return Ok(None);
            };
            if !wanted(&first) {
                return Ok(None);
            }
            // Nonsense behind it is for the next look.
            let (end, count) =
                whole_frames_where(&self.arrived[missing..], self.limit, wanted).unwrap_or((0, 0));
            return Ok(Some((self.join(missing + end), 1 + count)));
        }
        let (end, count) = whole_frames_where(&self.arrived, self.limit, wanted)?;
        Ok(if end == 0 {
            None
        } else {
            Some((self.arrived.split_to(end).freeze(), count))
        })
    }

    /// Takes one frame: before the hello nothing may be taken that belongs behind it.
    ///
    /// # Errors
    /// If its head is impossible or over the limit.
    pub fn take_one(&mut self) -> Result<Option<Bytes>, FrameError> {
        if !self.pieces.is_empty() {
            let missing = self.missing()?;
            return Ok(missing.map(|(_, missing)| self.join(missing)));
        }
        match head(&self.arrived, self.limit)? {
            Some(head) if self.arrived.len() >= head.total => {
                Ok(Some(self.arrived.split_to(head.total).freeze()))
            }
            _ => Ok(None),
        }
    }

    /// The first whole frame, left where it is: control frames are read and passed over, nobody keeps them.
    ///
    /// # Errors
    /// If its head is impossible or over the limit.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if !self.pieces.is_empty() {
            let Some((_, missing)) = self.missing()? else {
                return Ok(None);
            };
            let mut whole = BytesMut::from(&self.join(missing)[..]);
            whole.extend_from_slice(&self.arrived);
            self.arrived = whole;
        }
        Ok(head(&self.arrived, self.limit)?.and_then(|head| self.arrived.get(..head.total)))
    }

    /// Passes over `count` bytes, as many as [`peek`](Self::peek) showed.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.arrived.advance(count);
    }

    /// Whether what has arrived begins with no frame: taking will say why.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        self.pieces.is_empty() && head(&self.arrived, self.limit).is_err()
    }

    /// Whether nothing is left of what has arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arrived.is_empty() && self.pieces.is_empty()
    }

    /// Whether what has arrived is a part of one frame, and no whole one was left lying before it.
    fn begins_unfinished(&self) -> bool {
        matches!(head(&self.arrived, usize::MAX), Ok(Some(head)) if head.total > self.arrived.len())
    }

    /// The frame in pieces, and how many of the bytes behind them end it; `None` while some are still to come.
    fn missing(&self) -> Result<Option<(Head, usize)>, FrameError> {
        let Some(head) = head(&self.pieces[0], self.limit)? else {
            return Ok(None);
        };
        let missing = head.total.saturating_sub(self.pieces_bytes);
        Ok((missing <= self.arrived.len()).then_some((head, missing)))
    }

    /// The pieces and the first `end` bytes behind them, as one.
    fn join(&mut self, end: usize) -> Bytes {
        let mut whole = BytesMut::with_capacity(std::mem::take(&mut self.pieces_bytes) + end);
        for piece in std::mem::take(&mut self.pieces) {
            whole.extend_from_slice(&piece);
        }
        whole.extend_from_slice(&self.arrived[..end]);
        self.arrived.advance(end);
        whole.freeze()
    }

    /// Bytes held.
    pub(crate) fn held(&self) -> usize {
        self.pieces_bytes + self.arrived.len()
    }

    /// Whether what is held begins with a frame longer than one piece.
    pub(crate) fn is_in_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// The frame that ends with what is held is whole, and has `total` bytes: its head said that more would come.
    pub(crate) fn end_open(&mut self, total: usize) {
        let length = ((total - 4) as u32).to_le_bytes();
        let at = self.held() - total;
        let head = match at.checked_sub(self.pieces_bytes) {
            Some(at) => &mut self.arrived[at..at + 4],
            None => &mut self.pieces[0][at..at + 4],
        };
        head.copy_from_slice(&length);
    }

    /// Whether a part of a frame is waiting for its rest.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        !self.arrived.is_empty() || !self.pieces.is_empty()
    }
}
