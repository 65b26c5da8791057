//! The postcard wire format (its specification is published with the crate `postcard`), written into the link's own buffer and read
//! from a slice. `postcard/tests.rs` holds it against that crate, which brings framing, its errors' derives and three crates more.

use std::fmt::{self, Display, Write};

use serde::Serialize;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use serde::ser;

/// Stack that decoding one message may use: a type that contains itself recurses as deep as the sender says, a byte a level,
/// and a worker of tokio has 2 MiB. JSON has a bound of its own, 128 levels.
const MAX_DECODE_STACK_BYTES: usize = 512 * 1_024;

/// Levels of nesting of which the stack is not looked at. A sanitizer that sets frames apart leaves addresses that say nothing, and
/// messages are rarely deeper.
const UNWATCHED_LEVELS: u32 = 16;

/// Items of lists that one message may have beyond their bytes: of `()`, say, which takes none. Else ten bytes could
/// name a list that nobody ever reaches the end of.
const MAX_EMPTY_ITEMS: usize = 4_096;

/// Why a value has no bytes, or bytes no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    NotSelfDescribing,
    UnknownLength,
    End,
    Varint,
    Bool,
    Char,
    Utf8,
    Option,
    TooDeep,
    TooEmpty,
    /// What a type's own `Serialize` said; `serde` gives it as text, and there is no room for one on this path.
    SerializeCustom,
    DeserializeCustom,
    CollectStr,
    /// A struct left out one of its fields.
    LeftOut,
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSelfDescribing => {
                "a type asks what comes next (`untagged`, `tag`, `flatten`, or one that holds anything), and the bytes do not say: write `codec = \"json\"` at the service"
            }
            Self::UnknownLength => {
                "The length of a sequence must be known, and serde's `flatten` hides it: `codec = \"json\"` does without"
            }
            Self::End => "Hit the end of buffer, expected more data",
            Self::Varint => {
                "Found a varint that didn't terminate. Is the usize too big for this platform?"
            }
            Self::Bool => "Found a bool that wasn't 0 or 1",
            Self::Char => "Found an invalid unicode char",
            Self::Utf8 => "Tried to parse invalid utf-8",
            Self::Option => "Found an Option discriminant that wasn't 0 or 1",
            Self::TooDeep => {
                "nested too deeply: a message that contains itself is decoded to a bounded depth only"
            }
            Self::TooEmpty => "a list is longer than its bytes: of items without bytes only 4096 are decoded",
            Self::SerializeCustom => "Serde Serialization Error",
            Self::DeserializeCustom => "Serde Deserialization Error",
            Self::LeftOut => {
                "a field is left out (`skip_serializing_if`), and fields are read by their places: take the attribute away, or write `codec = \"json\"` at the service"
            }
            Self::CollectStr => "Error while processing `collect_str` during serialization",
        })
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: Display>(_: T) -> Self {
        Self::SerializeCustom
    }
}

impl de::Error for Error {
    fn custom<T: Display>(_: T) -> Self {
        Self::DeserializeCustom
    }
}

// === impl Encoder ===

/// Appends values to a buffer.
pub(super) struct Encoder<'a>(pub(super) &'a mut Vec<u8>);

impl Encoder<'_> {
    /// Seven bits a byte, the lowest first; the high bit says that more follow.
    #[inline]
    fn varint(&mut self, mut value: u64) {
        if value < 0x80 {
            return self.0.push(value.to_le_bytes()[0]);
        }
        let mut bytes = [0; 10];
        let mut length = 0;
        while value >= 0x80 {
            bytes[length] = value.to_le_bytes()[0] | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length] = value.to_le_bytes()[0];
        self.0.extend_from_slice(&bytes[..=length]);
    }

    #[inline]
    fn varint_128(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// Small numbers of either sign in few bytes: 0, -1, 1, -2, 2.
    #[inline]
    fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    #[inline]
    fn length(&mut self, length: usize) {
        self.varint(length as u64);
    }
}

type Encoded = Result<(), Error>;

impl ser::Serializer for &mut Encoder<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Encoded {
        self.serialize_u8(u8::from(value))
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Encoded {
        self.serialize_u8(value.cast_unsigned())
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Encoded {
        self.zigzag(value.into());
        Ok(())
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Encoded {
        self.zigzag(value.into());
        Ok(())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Encoded {
        self.zigzag(value);
        Ok(())
    }

    #[inline]
    fn serialize_i128(self, value: i128) -> Encoded {
        self.varint_128(((value << 1) ^ (value >> 127)).cast_unsigned());
        Ok(())
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Encoded {
        self.0.push(value);
        Ok(())
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Encoded {
        self.varint(value.into());
        Ok(())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Encoded {
        self.varint(value.into());
        Ok(())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Encoded {
        self.varint(value);
        Ok(())
    }

    #[inline]
    fn serialize_u128(self, value: u128) -> Encoded {
        self.varint_128(value);
        Ok(())
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Encoded {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Encoded {
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Encoded {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Encoded {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Encoded {
        self.length(value.len());
        self.0.extend_from_slice(value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Encoded {
        self.serialize_u8(0)
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Encoded {
        self.0.push(1);
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Encoded {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Encoded {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Encoded {
        self.serialize_u32(index)
    }

    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Encoded {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Encoded {
        self.varint(index.into());
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Error> {
        self.length(length.ok_or(Error::UnknownLength)?);
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.varint(index.into());
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self, Error> {
        self.serialize_seq(length)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.varint(index.into());
        Ok(self)
    }

    #[inline]
    fn collect_str<T: ?Sized + Display>(self, value: &T) -> Encoded {
        struct Count(usize);
        impl Write for Count {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0 += text.len();
                Ok(())
            }
        }
        struct Tail<'a>(&'a mut Vec<u8>);
        impl Write for Tail<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        let mut count = Count(0);
        write!(count, "{value}").map_err(|_| Error::CollectStr)?;
        self.length(count.0);
        write!(Tail(self.0), "{value}").map_err(|_| Error::CollectStr)
    }
}

/// What follows a sequence's head: its items, one after another.
macro_rules! items {
    ($($kind:ident $method:ident($($key:ty)?) $($left_out:ident)?;)*) => {
        $(impl ser::$kind for &mut Encoder<'_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $method<T: ?Sized + Serialize>(&mut self, $(_: $key,)? value: &T) -> Encoded {
                value.serialize(&mut **self)
            }

            $(
                // Whoever reads takes what follows for it.
                #[cold]
                fn $left_out(&mut self, _: &'static str) -> Encoded {
                    Err(Error::LeftOut)
                }
            )?

            #[inline]
            fn end(self) -> Encoded {
                Ok(())
            }
        })*
    };
}

items! {
    SerializeSeq serialize_element();
    SerializeTuple serialize_element();
    SerializeTupleStruct serialize_field();
    SerializeTupleVariant serialize_field();
    SerializeStruct serialize_field(&'static str) skip_field;
    SerializeStructVariant serialize_field(&'static str) skip_field;
}

impl ser::SerializeMap for &mut Encoder<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Encoded {
        key.serialize(&mut **self)
    }

    #[inline]
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Encoded {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Encoded {
        Ok(())
    }
}

// === impl Decoder ===

/// Takes values off the front of a slice, and stops before it has used too much of the stack.
pub(super) struct Decoder<'de> {
    pub(super) rest: &'de [u8],
    /// Where the stack was when decoding began.
    stack: usize,
    /// How many values are begun of types that may hold themselves.
    depth: u32,
    pub(super) too_deep: bool,
    /// Items without bytes that may still come.
    empty_left: usize,
}

/// Numbers of each width: the compiler unrolls each to its own.
macro_rules! varints {
    ($($name:ident $number:ident;)*) => {
        $(
            #[inline]
            fn $name(&mut self) -> Result<$number, Error> {
                let most = $number::BITS.div_ceil(7);
                let mut value = 0;
                for at in 0..most {
                    let byte = self.pop()?;
                    value |= $number::from(byte & 0x7f) << (7 * at);
                    if byte < 0x80 {
                        // The last byte there may be has room for the bits that are left.
                        return match at + 1 == most && byte >= 1 << ($number::BITS % 7) {
                            true => Err(Error::Varint),
                            false => Ok(value),
                        };
                    }
                }
                Err(Error::Varint)
            }
        )*
    };
}

impl<'de> Decoder<'de> {
    #[inline]
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        let marker = 0u8;
        Self {
            rest: bytes,
            stack: std::ptr::from_ref(&marker).addr(),
            depth: 0,
            too_deep: false,
            empty_left: MAX_EMPTY_ITEMS,
        }
    }

    /// Reads a value within another. Where a type holds itself, it does so by an option, a list, a map or a variant: all of these come
    /// through here, and nothing else can nest as deep as a sender says.
    #[inline]
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth += 1;
        if self.depth > UNWATCHED_LEVELS {
            self.look_at_stack()?;
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    #[cold]
    #[inline(never)]
    fn look_at_stack(&mut self) -> Result<(), Error> {
        let marker = 0u8;
        let here = std::ptr::from_ref(&marker).addr();
        // An interpreter's addresses say nothing of the stack.
        let too_deep = match cfg!(miri) {
            true => self.depth > 256,
            false => self.stack.abs_diff(here) > MAX_DECODE_STACK_BYTES,
        };
        if too_deep {
            self.too_deep = true;
            return Err(Error::TooDeep);
        }
        Ok(())
    }

    #[inline]
    fn pop(&mut self) -> Result<u8, Error> {
        let (first, rest) = self.rest.split_first().ok_or(Error::End)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'de [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Error::End)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Error::End)?;
        self.rest = rest;
        Ok(*taken)
    }

    varints! {
        varint_u16 u16;
        varint_u32 u32;
        varint_u64 u64;
        varint_u128 u128;
    }

    #[inline]
    fn length(&mut self) -> Result<usize, Error> {
        #[cfg(target_pointer_width = "64")]
        return Ok(self.varint_u64()? as usize);
        #[cfg(not(target_pointer_width = "64"))]
        return Ok(self.varint_u32()? as usize);
    }

    /// Reads a list's length, then its items by `visit`, of which only so many may be without bytes.
    ///
    /// They are counted by list, so that an item costs nothing more: what cannot all be there is not read to its end.
    #[inline]
    fn list<T>(
        &mut self,
        visit: impl FnOnce(Items<'_, 'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let length = self.length()?;
        let before = self.rest.len();
        let left = length.min((before + self.empty_left).saturating_add(1));
        let value = self.nested(|decoder| visit(Items { decoder, left }))?;
        let empty = left.saturating_sub(before - self.rest.len());
        self.empty_left = self.empty_left.checked_sub(empty).ok_or(Error::TooEmpty)?;
        Ok(value)
    }

    #[inline]
    fn text(&mut self) -> Result<&'de str, Error> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Error::Utf8)
    }
}

/// Numbers with a sign and without, as `varints` reads them.
macro_rules! numbers {
    ($($unsigned:ident $visit_unsigned:ident, $signed:ident $visit_signed:ident, $read:ident;)*) => {
        $(
            #[inline]
            fn $unsigned<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                visitor.$visit_unsigned(self.$read()?)
            }

            #[inline]
            fn $signed<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                let value = self.$read()?;
                visitor.$visit_signed((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
            }
        )*
    };
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = Error;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::NotSelfDescribing)
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.pop()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(Error::Bool),
        }
    }

    #[inline]
    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i8(self.pop()?.cast_signed())
    }

    #[inline]
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u8(self.pop()?)
    }

    numbers! {
        deserialize_u16 visit_u16, deserialize_i16 visit_i16, varint_u16;
        deserialize_u32 visit_u32, deserialize_i32 visit_i32, varint_u32;
        deserialize_u64 visit_u64, deserialize_i64 visit_i64, varint_u64;
        deserialize_u128 visit_u128, deserialize_i128 visit_i128, varint_u128;
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.length()?;
        if length > 4 {
            return Err(Error::Char);
        }
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| Error::Char)?;
        visitor.visit_char(text.chars().next().ok_or(Error::Char)?)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text()?)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.length()?;
        visitor.visit_borrowed_bytes(self.take(length)?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.length()?;
        visitor.visit_bytes(self.take(length)?)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.pop()? {
            0 => visitor.visit_none(),
            1 => self.nested(|decoder| visitor.visit_some(decoder)),
            _ => Err(Error::Option),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.list(|items| visitor.visit_seq(items))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Items {
            decoder: self,
            left,
        })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(length, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.list(|items| visitor.visit_map(items))
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::NotSelfDescribing)
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::NotSelfDescribing)
    }
}

/// So many items, or pairs of them.
struct Items<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(Some(seed.deserialize(&mut *self.decoder)?))
    }

    /// Nothing is set aside for more items than there are bytes.
    #[inline]
    fn size_hint(&self) -> Option<usize> {
        (self.left <= self.decoder.rest.len()).then_some(self.left)
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.decoder)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        de::SeqAccess::size_hint(self)
    }
}

impl<'de> de::EnumAccess<'de> for &mut Decoder<'de> {
    type Error = Error;
    type Variant = Self;

    #[inline]
    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let index = self.varint_u32()?;
        let value = seed.deserialize(index.into_deserializer())?;
        Ok((value, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Decoder<'de> {
    type Error = Error;

    #[inline]
    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.nested(|decoder| seed.deserialize(decoder))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.nested(|decoder| de::Deserializer::deserialize_tuple(decoder, length, visitor))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.tuple_variant(fields.len(), visitor)
    }
}

#[cfg(test)]
mod tests;
