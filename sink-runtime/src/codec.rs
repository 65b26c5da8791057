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
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(DecodeError::new(
            "postcard",
            format!("{} bytes left over", rest.len()),
        )),
        Err(error) => Err(DecodeError::new("postcard", error.to_string())),
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
