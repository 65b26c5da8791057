//! What generated and derived code calls; not for people.

pub mod contents;

pub use bytes::Bytes;
pub use serde;

use crate::codec::Codec;
use crate::error::{DecodeError, EncodeError};
use crate::message::Payload;

/// A serde type as a codec writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement serde's `Serialize` and `Deserialize`",
    label = "cannot be encoded",
    note = "write `#[message(serde)]` under the derive to have them implemented",
    note = "or derive them: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait SerdeMessage: Sized {
    /// Appends the encoded value.
    ///
    /// # Errors
    /// If the codec cannot represent it.
    fn encode_serde(&self, codec: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads one value.
    ///
    /// # Errors
    /// If the bytes are not one whole value of this type.
    fn decode_serde(codec: Codec, payload: Payload<'_>) -> Result<Self, DecodeError>;
}

#[diagnostic::do_not_recommend]
impl<T: serde::Serialize + serde::de::DeserializeOwned> SerdeMessage for T {
    #[inline]
    fn encode_serde(&self, codec: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        crate::codec::encode_serde(self, codec, out)
    }

    #[inline]
    fn decode_serde(codec: Codec, payload: Payload<'_>) -> Result<Self, DecodeError> {
        crate::codec::decode_serde(codec, payload)
    }
}
