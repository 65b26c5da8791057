//! What is sent: typed messages and the untyped `Message`. Encoding itself is `codec.rs`.

use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sink_schema::Codec;

use crate::error::{DecodeError, EncodeError};

/// A type that can be sent: derive it with `#[derive(Message)]`.
///
/// The fingerprint lets two processes that disagree about the type find out at connect, by name,
/// instead of decoding garbage. The types of fields are compared by what they hold where they derive `Message` too (also behind an
/// alias, and in lists, maps and tuples), and by their names where they do not: derive it for every type of yours that a message is
/// made of. Of a type within that derives serde's traits alone nothing is known but its name: what postcard cannot carry of it
/// (`skip_serializing`, or a skipped variant before others) is read as something else, and nobody can tell.
///
/// A message that contains itself, by way of types that derive serde's traits alone, is decoded as deep as 512 KiB of stack allow
/// (in a program without optimisation a hundred levels and more; 16 however large they are), as JSON 128 levels, and is an error at
/// its receiver beyond. The sender is not told: keep such data flat, as a list that refers to itself by index.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message type",
    label = "cannot be sent or received by a sink",
    note = "add `#[derive(sink_runtime::Message)]` and `#[message(serde)]` to `{Self}` (serde's own derives serve in place of the latter)",
    note = "or send bytes: `sink_runtime::Message`"
)]
pub trait MessageType: Send + Sized + 'static {
    /// The type's name without its path, as it appears in errors.
    const NAME: &'static str;
    /// The fields in canonical form, so that a mismatch can name the ones that differ.
    const SHAPE: &'static str;
    /// FNV-1a (64 bit) of [`Self::SHAPE`]; 0 matches everything.
    const FINGERPRINT: u64;
    /// Older fingerprints this type still decodes.
    const ACCEPTS: &'static [u64] = &[];
    /// Why postcard, which names nothing, cannot carry the type; of serde's attributes, where derived.
    #[doc(hidden)]
    const NEEDS_NAMES: Option<&'static str> = None;

    /// Appends the encoded message to `out`.
    ///
    /// # Errors
    /// If the codec cannot represent the value; what was appended is then discarded by the caller.
    fn encode(&self, codec: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads one message.
    ///
    /// # Errors
    /// If the bytes are not one whole message of this type.
    fn decode(codec: Codec, payload: Payload<'_>) -> Result<Self, DecodeError>;

    /// What goes with the message besides its payload; none for typed messages.
    fn metadata(&self) -> Option<&Metadata> {
        None
    }

    /// Called once after decoding with what came with the message.
    fn set_metadata(&mut self, _metadata: &Metadata) {}

    /// The whole encoded payload where it exists already, so that large ones are not copied.
    fn shared(&self) -> Option<&Bytes> {
        None
    }
}

/// The payload of one frame, borrowed from the chunk it arrived in.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    chunk: &'a Bytes,
    bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    /// All of `chunk`.
    #[must_use]
    pub fn new(chunk: &'a Bytes) -> Self {
        Self {
            chunk,
            bytes: chunk,
        }
    }

    pub(crate) fn part(chunk: &'a Bytes, range: std::ops::Range<usize>) -> Self {
        Self {
            chunk,
            bytes: &chunk[range],
        }
    }

    /// Shares the payload without copying it; it keeps its chunk (up to 64 KiB, or one frame) alive.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.chunk.slice_ref(self.bytes)
    }
}

impl Deref for Payload<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

/// What may go with a message besides its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// When it was made, as the sender's clock had it; nanosecond resolution.
    pub timestamp: Option<SystemTime>,
    /// Ties messages that belong together.
    pub correlation_id: Option<u128>,
    /// W3C trace context (`traceparent`), at most 255 bytes.
    pub trace_context: Option<String>,
}

/// Longest trace context that is carried: the length is one byte on the wire.
pub const MAX_TRACE_CONTEXT_BYTES: usize = 255;

impl Metadata {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to carry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamp.is_none() && self.correlation_id.is_none() && self.trace_context.is_none()
    }

    /// Appends the wire form (docs/PROTOCOL.md, "Metadata"): one presence byte, then the present fields in order.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut presence = 0u8;
        presence |= u8::from(self.timestamp.is_some());
        presence |= u8::from(self.correlation_id.is_some()) << 1;
        let trace = self
            .trace_context
            .as_deref()
            .filter(|trace| trace.len() <= MAX_TRACE_CONTEXT_BYTES);
        presence |= u8::from(trace.is_some()) << 2;
        out.push(presence);
        if let Some(timestamp) = self.timestamp {
            let nanos = timestamp
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos()) as u64;
            out.extend_from_slice(&nanos.to_le_bytes());
        }
        if let Some(id) = self.correlation_id {
            out.extend_from_slice(&id.to_le_bytes());
        }
        if let Some(trace) = trace {
            out.push(trace.len() as u8);
            out.extend_from_slice(trace.as_bytes());
        }
    }

    /// Reads the wire form; `None` if it is cut short or not text where text is due.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let presence = *take(&mut bytes, 1)?.first()?;
        let mut metadata = Self::default();
        if presence & 1 != 0 {
            let nanos = u64::from_le_bytes(take(&mut bytes, 8)?.try_into().ok()?);
            metadata.timestamp = Some(UNIX_EPOCH + Duration::from_nanos(nanos));
        }
        if presence & 2 != 0 {
            metadata.correlation_id =
                Some(u128::from_le_bytes(take(&mut bytes, 16)?.try_into().ok()?));
        }
        if presence & 4 != 0 {
            let length = *take(&mut bytes, 1)?.first()?;
            metadata.trace_context = Some(
                std::str::from_utf8(take(&mut bytes, usize::from(length))?)
                    .ok()?
                    .to_owned(),
            );
        }
        Some(metadata)
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(count)?;
    *bytes = tail;
    Some(head)
}

/// An untyped message: bytes, and what goes with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    payload: Bytes,
    /// On the heap, since few messages have any: a send future holds its message by value.
    metadata: Option<Box<Metadata>>,
}

/// What goes with a message that nothing goes with.
static NO_METADATA: Metadata = Metadata {
    timestamp: None,
    correlation_id: None,
    trace_context: None,
};

impl Message {
    /// A message of these bytes; `Bytes`, `Vec<u8>`, `&'static [u8]`, `String` and `&'static str` will do.
    #[must_use]
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self {
            payload: payload.into(),
            metadata: None,
        }
    }

    /// The same message with a timestamp.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: SystemTime) -> Self {
        self.metadata.get_or_insert_default().timestamp = Some(timestamp);
        self
    }

    /// The same message with a correlation id.
    #[must_use]
    pub fn with_correlation_id(mut self, id: u128) -> Self {
        self.metadata.get_or_insert_default().correlation_id = Some(id);
        self
    }

    /// The same message with a W3C trace context; one longer than [`MAX_TRACE_CONTEXT_BYTES`] is not carried.
    #[must_use]
    pub fn with_trace_context(mut self, context: impl Into<String>) -> Self {
        self.metadata.get_or_insert_default().trace_context = Some(context.into());
        self
    }

    /// The bytes.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The bytes, by value.
    #[must_use]
    pub fn into_payload(self) -> Bytes {
        self.payload
    }

    /// What goes with them.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.metadata.as_deref().unwrap_or(&NO_METADATA)
    }
}

impl<T: Into<Bytes>> From<T> for Message {
    fn from(payload: T) -> Self {
        Self::new(payload)
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

#[diagnostic::do_not_recommend]
impl MessageType for Message {
    const NAME: &'static str = "Message";
    const SHAPE: &'static str = "Message";
    /// Bytes are bytes: an untyped end takes part in any service.
    const FINGERPRINT: u64 = 0;

    #[inline]
    fn encode(&self, _: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.payload);
        Ok(())
    }

    #[inline]
    fn decode(_: Codec, payload: Payload<'_>) -> Result<Self, DecodeError> {
        Ok(Self::new(payload.to_bytes()))
    }

    #[inline]
    fn metadata(&self) -> Option<&Metadata> {
        self.metadata
            .as_deref()
            .filter(|metadata| !metadata.is_empty())
    }

    fn set_metadata(&mut self, metadata: &Metadata) {
        self.metadata = (!metadata.is_empty()).then(|| Box::new(metadata.clone()));
    }

    #[inline]
    fn shared(&self) -> Option<&Bytes> {
        Some(&self.payload)
    }
}
