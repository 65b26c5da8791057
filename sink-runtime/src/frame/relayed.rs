//! What a relay says to a consumer besides the messages: of producers, of chunks, and of what is missing.

use std::sync::Arc;

use bytes::Buf;

use super::fields::{
    MAX_NAME, MAX_SHAPE, begins, each_tag, long, put, put_begin, put_text, read_begin, tag, text,
};
use super::{FrameError, HEAD, Kind, ProducerId, control};

/// A relay's announcement of a producer: whose frames the chunks of this index carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producer {
    /// Index within this connection.
    pub index: u32,
    /// Who.
    pub producer: ProducerId,
    /// The lowest sequence that may still come: what lies before it and was not seen is lost.
    pub first: u64,
    /// What lies from here to `first` its sink dropped before it connected anywhere; 0, or one above `first`: nothing.
    pub begin: u64,
    /// Its message type's fingerprint.
    pub fingerprint: u64,
    /// Its message type's name.
    pub message: Arc<str>,
    /// Its message type's fields.
    pub shape: Arc<str>,
}

impl Producer {
    /// The lowest sequence that a consumer who never heard of this producer accounts for.
    #[must_use]
    pub fn begins(&self) -> u64 {
        begins(self.begin, self.first)
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, Kind::Producer, |out| {
            out.extend_from_slice(&self.index.to_le_bytes());
            let mut producer = [0; 24];
            producer[..16].copy_from_slice(&self.producer.id.to_le_bytes());
            producer[16..].copy_from_slice(&self.producer.epoch.to_le_bytes());
            put(out, tag::PRODUCER, &producer);
            put(out, tag::FIRST, &self.first.to_le_bytes());
            put_begin(out, self.begin, self.first);
            put(out, tag::FINGERPRINT, &self.fingerprint.to_le_bytes());
            put_text(out, tag::MESSAGE, &self.message, MAX_NAME);
            put_text(out, tag::SHAPE, &self.shape, MAX_SHAPE);
        });
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        const BAD: FrameError = FrameError::Malformed("producer");
        let mut body = frame
            .get(HEAD..)
            .filter(|body| body.len() >= 4)
            .ok_or(BAD)?;
        let mut announced = Self {
            index: body.get_u32_le(),
            ..Self::default()
        };
        each_tag(body, |tag, mut value| {
            match tag {
                tag::PRODUCER if value.len() == 24 => {
                    announced.producer = ProducerId {
                        id: value.get_u128_le(),
                        epoch: value.get_u64_le(),
                    };
                }
                tag::FIRST => announced.first = long(value)?,
                tag::BEGIN => announced.begin = long(value)?,
                tag::FINGERPRINT => announced.fingerprint = long(value)?,
                tag::MESSAGE => announced.message = text(value)?,
                tag::SHAPE => announced.shape = text(value)?,
                _ => {}
            }
            Some(())
        })
        .ok_or(BAD)?;
        announced.begin = read_begin(announced.begin, announced.first);
        Ok(announced)
    }
}

/// Precedes the data frames a relay forwards: whose they are and which offsets they have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Index of the producer within this connection.
    pub producer: u32,
    /// How many data frames follow.
    pub frames: u32,
    /// The offset of the first; the rest follow densely.
    pub first_offset: u64,
}

impl Chunk {
    /// Bytes of the whole frame.
    pub const TOTAL: usize = HEAD + 16;

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, Kind::Chunk, |out| {
            out.extend_from_slice(&self.producer.to_le_bytes());
            out.extend_from_slice(&self.frames.to_le_bytes());
            out.extend_from_slice(&self.first_offset.to_le_bytes());
        });
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let mut body = frame
            .get(HEAD..)
            .filter(|body| body.len() >= 16)
            .ok_or(FrameError::Malformed("chunk"))?;
        Ok(Self {
            producer: body.get_u32_le(),
            frames: body.get_u32_le(),
            first_offset: body.get_u64_le(),
        })
    }
}

/// A relay's word that offsets are missing for this consumer, and how far each producer's sequence thereby moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayGap {
    /// First offset missing.
    pub from: u64,
    /// Last offset missing.
    pub to: u64,
    /// 1: left retention, 2: the consumer was too slow.
    pub cause: u8,
    /// Producer index, highest sequence among the missing.
    pub producers: Vec<(u32, u64)>,
}

impl RelayGap {
    /// Most producers one frame can name; a relay with more sends several frames.
    pub const MAX_PRODUCERS: usize = 1024;

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        control(out, Kind::Gap, |out| {
            out.extend_from_slice(&self.from.to_le_bytes());
            out.extend_from_slice(&self.to.to_le_bytes());
            out.push(self.cause);
            for (index, last) in self.producers.iter().take(Self::MAX_PRODUCERS) {
                out.extend_from_slice(&index.to_le_bytes());
                out.extend_from_slice(&last.to_le_bytes());
            }
        });
    }

    /// Reads a whole frame.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        let mut body = frame
            .get(HEAD..)
            .filter(|body| body.len() >= 17)
            .ok_or(FrameError::Malformed("gap"))?;
        let (from, to, cause) = (body.get_u64_le(), body.get_u64_le(), body.get_u8());
        let producers = body
            .chunks_exact(12)
            .take(Self::MAX_PRODUCERS)
            .map(|mut entry| (entry.get_u32_le(), entry.get_u64_le()))
            .collect();
        if from > to {
            return Err(FrameError::Malformed("gap"));
        }
        Ok(Self {
            from,
            to,
            cause,
            producers,
        })
    }
}
