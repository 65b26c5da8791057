//! What generated and derived code calls; not for people.

pub mod contents;

pub use bytes::Bytes;
pub use serde;

use crate::codec::Codec;
use crate::error::{DecodeError, EncodeError};
use crate::message::{MessageType, Payload};

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

/// Refuses a codec that does not name fields, for a type that needs it. The build refuses it where it knows the service.
///
/// # Errors
/// If the codec is such.
#[inline]
pub fn can_carry<M: MessageType>(codec: Codec) -> Result<(), EncodeError> {
    match (M::NEEDS_NAMES, codec) {
        (Some(why), Codec::Postcard) => Err(EncodeError::new("postcard", why)),
        _ => Ok(()),
    }
}

/// The type of a field of a message for which `#[message(serde)]` implements serde's traits.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}`, which does not implement serde's `Serialize` and `Deserialize`",
    label = "this field cannot be encoded",
    note = "derive `sink_runtime::Message` for its type too, with `#[message(serde)]`",
    note = "or derive serde's traits for it; for a type of another crate, look for a feature `serde` of that crate"
)]
pub trait SerdeField {}

#[diagnostic::do_not_recommend]
impl<T: serde::Serialize + serde::de::DeserializeOwned> SerdeField for T {}

/// Names a field's type where it must be serde's.
pub const fn is_encoded<T: SerdeField>() {}

/// The same as a bound, which brings serde's traits with it.
pub trait Encoded: serde::Serialize + serde::de::DeserializeOwned {}

impl<T: serde::Serialize + serde::de::DeserializeOwned> Encoded for T {}

/// Stands in for the impls of a message with a field that is not serde's, so that the field is the only mistake.
pub trait Unfielded {
    /// Never compiled into a program.
    ///
    /// # Errors
    /// Always.
    fn serialize<M, S: serde::Serializer>(_: &M, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("a field cannot be encoded"))
    }

    /// Never compiled into a program.
    ///
    /// # Errors
    /// Always.
    fn deserialize<'de, M, D: serde::Deserializer<'de>>(_: D) -> Result<M, D::Error> {
        Err(serde::de::Error::custom("a field cannot be decoded"))
    }
}
