//! Message ↔ bytes: the codecs a registry may name. Frames are `frame.rs`.

#[cfg(feature = "json")]
mod finite;
#[cfg(feature = "postcard")]
mod postcard;

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
    expect(unused_variables, clippy::ptr_arg, reason = "no codec is built in")
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
        Codec::Json => {
            let mut json = serde_json::Serializer::new(&mut *out);
            value
                .serialize(finite::Finite(&mut json))
                .map_err(|error| EncodeError::new("json", error.to_string()))
        }
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
    value
        .serialize(&mut postcard::Encoder(out))
        .map_err(|error| EncodeError::new("postcard", error.to_string()))
}

#[cfg(feature = "postcard")]
#[inline]
fn decode_postcard<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut decoder = postcard::Decoder::new(bytes);
    let value = T::deserialize(&mut decoder);
    match value {
        Ok(value) if decoder.rest.is_empty() => Ok(value),
        Ok(_) => Err(DecodeError::new(
            "postcard",
            format!("{} bytes left over", decoder.rest.len()),
        )),
        Err(_) if decoder.too_deep => Err(DecodeError::new(
            "postcard",
            postcard::Error::TooDeep.to_string(),
        )),
        Err(error) => Err(DecodeError::new("postcard", error.to_string())),
    }
}

#[cfg(all(test, feature = "postcard"))]
mod tests;
