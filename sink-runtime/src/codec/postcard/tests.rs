//! The same values written and read here and by the crate `postcard`: the same bytes, the same values, the same words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{Codec, decode_serde, encode_serde};
use crate::message::Payload;
use crate::rounds;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    flag: bool,
    small: (i8, u8, i16, u16),
    middle: (i32, u32, i64, u64),
    large: (i128, u128, usize, isize),
    real: (f32, f64),
    c: char,
    text: String,
    bytes: Bytes,
    list: Vec<Choice>,
    map: BTreeMap<String, Option<i32>>,
    unit: (),
    marker: Marker,
    wrapped: Wrapped,
    fixed: [u16; 3],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(i64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Choice {
    None,
    One(u32),
    Two(i16, char),
    Named { a: Option<Box<Choice>>, b: String },
}

/// Bytes as serde calls them, not a sequence of numbers.
#[derive(Clone, Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

/// Numbers from a seed (xorshift).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.bits() >> 16) % bound
    }

    /// Of any length, both signs, and often at an edge.
    fn number(&mut self) -> u64 {
        let edge = 1_u64.checked_shl(self.below(65) as u32).unwrap_or(0);
        match self.below(3) {
            0 => edge.wrapping_sub(self.below(3)),
            1 => edge.wrapping_neg().wrapping_add(self.below(2)),
            _ => self.bits() >> self.below(64),
        }
    }

    fn wide(&mut self) -> u128 {
        (u128::from(self.number()) << 64 | u128::from(self.number())) >> self.below(128)
    }

    fn character(&mut self) -> char {
        ['a', '\0', 'é', '値', '\u{1f980}'][self.below(5) as usize]
    }

    fn text(&mut self) -> String {
        (0..self.below(200)).map(|_| self.character()).collect()
    }

    fn choice(&mut self, depth: u64) -> Choice {
        match self.below(4) {
            0 => Choice::None,
            1 => Choice::One(self.number() as u32),
            2 => Choice::Two(self.number() as i16, self.character()),
            _ => Choice::Named {
                a: (depth > 0).then(|| Box::new(self.choice(depth - 1))),
                b: self.text(),
            },
        }
    }

    fn everything(&mut self) -> Everything {
        let mut n = || self.number();
        Everything {
            flag: n() % 2 == 0,
            small: (n() as i8, n() as u8, n() as i16, n() as u16),
            middle: (n() as i32, n() as u32, n() as i64, n()),
            real: (n() as i32 as f32 / 3.0, n() as i64 as f64 / 3.0),
            fixed: [n() as u16, n() as u16, n() as u16],
            wrapped: Wrapped(n() as i64),
            large: (
                self.wide() as i128,
                self.wide(),
                self.number() as usize,
                self.number() as isize,
            ),
            c: self.character(),
            text: self.text(),
            bytes: Bytes((0..self.below(300)).map(|_| self.bits() as u8).collect()),
            list: (0..self.below(5)).map(|_| self.choice(3)).collect(),
            map: (0..self.below(5))
                .map(|_| (self.text(), (self.below(2) == 0).then_some(-7)))
                .collect(),
            unit: (),
            marker: Marker,
        }
    }
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    match encode_serde(value, Codec::Postcard, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}

fn decoded<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    decode_serde(Codec::Postcard, Payload::new(&bytes)).map_err(|error| error.to_string())
}

/// What the other crate reads, in our words where bytes are left over.
fn expected<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes::<T>(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("postcard: {} bytes left over", rest.len())),
        Err(error) => Err(format!("postcard: {error}")),
    }
}

#[track_caller]
fn reads_alike<T: serde::de::DeserializeOwned + std::fmt::Debug>(bytes: &[u8]) {
    let (ours, theirs) = (decoded::<T>(bytes), expected::<T>(bytes));
    // As text, since a number that is none does not equal itself.
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{bytes:?}");
}

#[test]
fn values_at_random_are_the_bytes_postcard_writes() {
    let mut random = Random(0x5eed);
    for _ in 0..rounds(2_000) {
        let value = random.everything();
        let bytes = encoded(&value).expect("it encodes");
        assert_eq!(bytes, postcard::to_stdvec(&value).expect("it encodes"));
        assert_eq!(decoded::<Everything>(&bytes), Ok(value));
    }
}

#[test]
fn broken_bytes_are_read_as_postcard_reads_them() {
    let mut random = Random(0xbad);
    for _ in 0..rounds(4_000) {
        let mut bytes = postcard::to_stdvec(&random.everything()).expect("it encodes");
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() as u64) as usize;
            match random.below(3) {
                0 => bytes[at] = random.bits() as u8,
                1 => bytes.truncate(at + 1),
                _ => bytes.insert(at, 0x80 | random.bits() as u8),
            }
        }
        reads_alike::<Everything>(&bytes);
    }
    for _ in 0..rounds(4_000) {
        let bytes: Vec<u8> = (0..random.below(24)).map(|_| random.bits() as u8).collect();
        reads_alike::<u16>(&bytes);
        reads_alike::<i32>(&bytes);
        reads_alike::<u64>(&bytes);
        reads_alike::<i128>(&bytes);
        reads_alike::<char>(&bytes);
        reads_alike::<(bool, Option<String>)>(&bytes);
        reads_alike::<(Choice, Vec<i8>)>(&bytes);
        reads_alike::<BTreeMap<u8, String>>(&bytes);
    }
}

#[test]
fn numbers_too_long_are_read_as_postcard_reads_them() {
    for length in (0..22).step_by(if cfg!(miri) { 7 } else { 1 }) {
        for last in [0, 1, 2, 3, 4, 0x0f, 0x10, 0x7f, 0x80] {
            let mut bytes = vec![0xff; length];
            bytes.push(last);
            reads_alike::<u16>(&bytes);
            reads_alike::<i16>(&bytes);
            reads_alike::<u32>(&bytes);
            reads_alike::<i32>(&bytes);
            reads_alike::<u64>(&bytes);
            reads_alike::<i64>(&bytes);
            reads_alike::<u128>(&bytes);
            reads_alike::<i128>(&bytes);
            reads_alike::<usize>(&bytes);
            reads_alike::<Choice>(&bytes);
            reads_alike::<Bytes>(&bytes);
        }
    }
}

/// A list of what takes no byte is as long as its sender says: ten bytes must not keep a receiver busy for ever.
#[test]
fn a_list_of_items_without_bytes_has_a_bounded_length() {
    let long = encoded(&u64::MAX).unwrap();
    for result in [
        decoded::<Vec<()>>(&long).map(drop),
        decoded::<Vec<[(); 3]>>(&long).map(drop),
        decoded::<BTreeMap<(), ()>>(&long).map(drop),
        decoded::<Vec<Vec<()>>>(&[&[1][..], &long].concat()).map(drop),
    ] {
        assert!(result.unwrap_err().contains("longer than its bytes"));
    }
    let list = |length: usize| vec![(); length];
    for length in [0, 1, 4_096] {
        let bytes = encoded(&list(length)).unwrap();
        assert_eq!(decoded::<Vec<()>>(&bytes).unwrap().len(), length);
    }
    assert!(decoded::<Vec<()>>(&encoded(&list(4_097)).unwrap()).is_err());
    // Of many lists together, though each has bytes enough behind it.
    let lists = vec![list(1_000); rounds(2_000)];
    assert!(decoded::<Vec<Vec<()>>>(&encoded(&lists).unwrap()).is_err());
    assert!(decoded::<Vec<Vec<()>>>(&encoded(&lists[..4].to_vec()).unwrap()).is_ok());
    // What has bytes is under no such bound.
    let bytes = vec![7u8; 20 * rounds(5_000)];
    assert_eq!(
        decoded::<Vec<u8>>(&encoded(&bytes).unwrap()).unwrap(),
        bytes
    );
}

#[test]
fn what_cannot_be_said_is_refused_in_postcards_words() {
    /// A sequence that does not know its length, a text of parts, an error of its own, a value of any type.
    enum Odd {
        Sequence,
        Text,
        Fails,
    }
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Sequence => serializer.collect_seq([1, 2, 3].iter().filter(|n| **n > 1)),
                Self::Text => serializer.collect_str(&format_args!("{}-{}", 1, "é")),
                Self::Fails => Err(serde::ser::Error::custom("no")),
            }
        }
    }
    for odd in [Odd::Sequence, Odd::Text, Odd::Fails] {
        let theirs = postcard::to_stdvec(&odd).map_err(|error| format!("postcard: {error}"));
        match (encoded(&odd), theirs) {
            // With the repair behind it.
            (Err(ours), Err(theirs)) => assert!(ours.starts_with(&theirs), "{ours}"),
            (ours, theirs) => assert_eq!(ours, theirs),
        }
    }
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Any {
        #[expect(dead_code, reason = "it is never made")]
        Number(u8),
    }
    assert!(postcard::from_bytes::<Any>(&[1]).is_err());
    let error = decoded::<Any>(&[1]).unwrap_err();
    assert!(error.contains("asks what comes next"), "{error}");
    reads_alike::<std::num::NonZeroU8>(&[0]);
}

#[test]
fn a_field_left_out_is_refused_and_not_written() {
    #[derive(Serialize)]
    struct Inner {
        #[serde(skip_serializing_if = "Option::is_none")]
        maybe: Option<u8>,
        last: u8,
    }
    let there = Inner {
        maybe: Some(7),
        last: 9,
    };
    assert_eq!(encoded(&there).unwrap(), [1, 7, 9]);
    let gone = Inner {
        maybe: None,
        last: 9,
    };
    let error = encoded(&[there, gone]).unwrap_err();
    assert!(error.contains("a field is left out"), "{error}");
}

/// Whatever way serde tags an enum but its own, the reader has to ask what comes next.
#[test]
fn an_enum_with_a_tag_of_its_own_says_what_is_in_the_way() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "kind", content = "value")]
    enum Event {
        Price(u64),
    }
    let bytes = encoded(&Event::Price(500)).unwrap();
    let error = decoded::<Event>(&bytes).unwrap_err();
    assert!(error.contains("codec = \"json\""), "{error}");
}
