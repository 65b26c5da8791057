//! Message ↔ bytes: the codecs a registry may name. Frames are `frame.rs`.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use sink_schema::Codec;

use crate::error::{DecodeError, EncodeError};
use crate::message::Payload;

/// Encodes a serde type as `codec` says.
///
/// # Errors
/// If the codec cannot represent the value.
#[cfg_attr(
    not(any(feature = "postcard", feature = "json")),
    expect(unused_variables, reason = "no codec is built in")
)]
#[inline]
pub(crate) fn encode_serde<T: Serialize>(
    value: &T,
    codec: Codec,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match codec {
        #[cfg(feature = "postcard")]
        Codec::Postcard => encode_postcard(value, out),
        #[cfg(feature = "json")]
        Codec::Json => serde_json::to_writer(&mut *out, value)
            .map_err(|error| EncodeError::new("json", error.to_string())),
        other => Err(EncodeError::new(
            name(other),
            "codec not built in (a feature of sink-runtime)",
        )),
    }
}

/// Decodes a serde type as `codec` says.
///
/// # Errors
/// If the bytes are not one whole value of this type.
#[cfg_attr(
    not(any(feature = "postcard", feature = "json")),
    expect(unused_variables, reason = "no codec is built in")
)]
#[inline]
pub(crate) fn decode_serde<T: DeserializeOwned>(
    codec: Codec,
    payload: Payload<'_>,
) -> Result<T, DecodeError> {
    match codec {
        #[cfg(feature = "postcard")]
        Codec::Postcard => decode_postcard(&payload),
        #[cfg(feature = "json")]
        Codec::Json => serde_json::from_slice(&payload)
            .map_err(|error| DecodeError::new("json", error.to_string())),
        other => Err(DecodeError::new(
            name(other),
            "codec not built in (a feature of sink-runtime)",
        )),
    }
}

/// The codec's name, as in the registry and on the wire.
pub(crate) const fn name(codec: Codec) -> &'static str {
    match codec {
        Codec::Postcard => "postcard",
        Codec::Json => "json",
        Codec::Raw => "raw",
    }
}

#[cfg(feature = "postcard")]
#[inline]
fn encode_postcard<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut serializer = postcard::Serializer { output: Tail(out) };
    value
        .serialize(&mut serializer)
        .map_err(|error| EncodeError::new("postcard", error.to_string()))
}

#[cfg(feature = "postcard")]
#[inline]
fn decode_postcard<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let marker = 0u8;
    let head = Head {
        rest: bytes,
        stack: std::ptr::from_ref(&marker).addr(),
        too_deep: false,
    };
    let mut deserializer = postcard::Deserializer::from_flavor(head);
    let value = T::deserialize(&mut deserializer);
    let (rest, too_deep) = deserializer.finalize().unwrap_or((bytes, false));
    match value {
        Ok(value) if rest.is_empty() => Ok(value),
        Ok(_) => Err(DecodeError::new(
            "postcard",
            format!("{} bytes left over", rest.len()),
        )),
        Err(_) if too_deep => Err(DecodeError::new(
            "postcard",
            "nested too deeply: a message that contains itself is decoded to a bounded depth only",
        )),
        Err(error) => Err(DecodeError::new("postcard", error.to_string())),
    }
}

/// Stack that decoding one message may use: a type that contains itself recurses as deep as the sender says, a byte a level,
/// and a worker of tokio has 2 MiB. JSON has a bound of its own, 128 levels.
#[cfg(feature = "postcard")]
const MAX_DECODE_STACK_BYTES: usize = 512 * 1_024;

/// Lets postcard read a slice, and stops it before it has used too much of the stack.
#[cfg(feature = "postcard")]
struct Head<'de> {
    rest: &'de [u8],
    /// Where the stack was when decoding began.
    stack: usize,
    too_deep: bool,
}

#[cfg(feature = "postcard")]
impl Head<'_> {
    /// Every level of nesting reads a byte, so that this is asked at each.
    #[inline]
    fn is_near(&mut self) -> postcard::Result<()> {
        let marker = 0u8;
        let here = std::ptr::from_ref(&marker).addr();
        if self.stack.abs_diff(here) <= MAX_DECODE_STACK_BYTES {
            return Ok(());
        }
        self.too_deep = true;
        Err(postcard::Error::SerdeDeCustom)
    }
}

#[cfg(feature = "postcard")]
impl<'de> postcard::de_flavors::Flavor<'de> for Head<'de> {
    type Remainder = (&'de [u8], bool);
    type Source = &'de [u8];

    #[inline]
    fn pop(&mut self) -> postcard::Result<u8> {
        self.is_near()?;
        let (first, rest) = self
            .rest
            .split_first()
            .ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }

    #[inline]
    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'de [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(postcard::Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    fn finalize(self) -> postcard::Result<Self::Remainder> {
        Ok((self.rest, self.too_deep))
    }
}

/// Lets postcard append to the link's own buffer: no intermediate vector.
#[cfg(feature = "postcard")]
struct Tail<'a>(&'a mut Vec<u8>);

#[cfg(feature = "postcard")]
impl postcard::ser_flavors::Flavor for Tail<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, feature = "postcard"))]
mod tests;
