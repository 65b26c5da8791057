//! What the types of a message's fields hold, found by the compiler: whether the message contains itself through others, and
//! the print of their shapes. Each derived type implements [`Contents`], and a walk through their fields spends [`Fuel`], so that
//! it ends although the types go in a circle.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

/// A derived message type.
pub trait Contents {
    /// Module and name.
    const PLACE: (&'static str, &'static str);
    /// How to look through its fields.
    type Members: Members;
}

/// The fields of a message.
pub trait Members {
    /// The answer to whether `R` is among them, or inside one of them.
    type Look<F: Fuel, R: Contents>: Answer;
    /// The print of the message's shape, with what its fields' types hold.
    type Print<F: Fuel>: Printed;
}

/// A print of a shape.
pub trait Printed {
    /// Alike for shapes that are alike.
    const PRINT: u64;
    /// Why only a codec that names fields can carry it, or what is encoded with it.
    const NEEDS_NAMES: Option<&'static str>;
}

/// What a walk found.
pub trait Answer {
    /// Whether it found the type it began with.
    const FOUND: bool;
}

/// How far a walk may still go.
pub trait Fuel {
    /// Looks through `M` for `R` with one step less; not at all once there is none.
    type Look<M: Members, R: Contents>: Answer;
    /// The print of `M` with one step less.
    type Print<M: Members>: Printed;
}

/// The end of a walk.
#[derive(Debug)]
pub struct Empty;

/// One step, and what remains.
#[derive(Debug)]
pub struct Step<F>(PhantomData<F>);

/// Nobody's answer.
#[derive(Debug)]
pub struct No;

impl Answer for No {
    const FOUND: bool = false;
}

impl Printed for No {
    const PRINT: u64 = 0;
    const NEEDS_NAMES: Option<&'static str> = None;
}

impl Fuel for Empty {
    type Look<M: Members, R: Contents> = No;
    type Print<M: Members> = No;
}

impl<F: Fuel> Fuel for Step<F> {
    type Look<M: Members, R: Contents> = M::Look<F, R>;
    type Print<M: Members> = M::Print<F>;
}

type Four<F> = Step<Step<Step<Step<F>>>>;

/// Circles of up to twelve messages are found; the decoder's own bound stops what is larger.
pub type Full = Four<Four<Four<Empty>>>;

/// Asks whether `R` is `T` or inside it.
#[derive(Debug)]
pub struct Inside<T: ?Sized, F, R>(PhantomData<(F, R)>, PhantomData<T>);

impl<T: Contents, F: Fuel, R: Contents> Inside<T, F, R> {
    /// Whether it is; this constant stands before [`Elsewhere`]'s where `T` is a message.
    pub const FOUND: bool = same(T::PLACE.0, R::PLACE.0) && same(T::PLACE.1, R::PLACE.1)
        || <F::Look<T::Members, R> as Answer>::FOUND;
}

/// The answer for types that are no derived messages: nobody looks into them.
pub trait Elsewhere {
    /// No.
    const FOUND: bool = false;
}

impl<T: ?Sized, F, R> Elsewhere for Inside<T, F, R> {}

/// What is known of the type of a field beside how it is spelt.
#[derive(Debug)]
pub struct Print<T: ?Sized, F>(PhantomData<F>, PhantomData<T>);

impl<T: Known, F: Fuel> Print<T, F> {
    /// What the language or its library calls it; this constant and the next stand before [`Unprinted`]'s where `T` is known.
    pub const NAME: &'static str = T::NAME;
    /// The print of what it is.
    pub const OF: u64 = <T::Print<F> as Printed>::PRINT;
    /// Why only a codec that names fields can carry it.
    pub const NEEDS_NAMES: Option<&'static str> = <T::Print<F> as Printed>::NEEDS_NAMES;
}

/// A type that the compiler can tell from others, whatever alias it goes by: a derived message, a plain type, and what is made of such.
pub trait Known {
    /// The name that the language or its library has for it; a message has none here.
    const NAME: &'static str = "";
    /// Its print.
    type Print<F: Fuel>: Printed;
}

/// The print of a type that is no message.
#[derive(Debug)]
pub struct Made<T: ?Sized, F>(PhantomData<F>, PhantomData<T>);

macro_rules! known {
    ($($name:literal $type:ty, [$($of:ident)*] $($more:ident)*;)*) => {
        $(
            impl<$($of: Known,)* $($more,)*> Known for $type {
                const NAME: &'static str = $name;
                type Print<Left: Fuel> = Made<Self, Left>;
            }

            impl<Left: Fuel, $($of: Known,)* $($more,)*> Printed for Made<$type, Left> {
                const PRINT: u64 = all($name, &[$(<$of::Print<Left> as Printed>::PRINT),*]);
                const NEEDS_NAMES: Option<&'static str> =
                    first(&[$(<$of::Print<Left> as Printed>::NEEDS_NAMES),*]);
            }
        )*
    };
}

known! {
    "bool" bool, [];
    "char" char, [];
    "f32" f32, [];
    "f64" f64, [];
    "i8" i8, [];
    "i16" i16, [];
    "i32" i32, [];
    "i64" i64, [];
    "i128" i128, [];
    "isize" isize, [];
    "u8" u8, [];
    "u16" u16, [];
    "u32" u32, [];
    "u64" u64, [];
    "u128" u128, [];
    "usize" usize, [];
    "String" String, [];
    "Box<str>" Box<str>, [];
    "Bytes" Bytes, [];
    "Duration" Duration, [];
    "SystemTime" SystemTime, [];
    "()" (), [];
    "(1)" (A,), [A];
    "(2)" (A, B), [A B];
    "(3)" (A, B, C), [A B C];
    "(4)" (A, B, C, D), [A B C D];
    "(5)" (A, B, C, D, E), [A B C D E];
    "(6)" (A, B, C, D, E, G), [A B C D E G];
    "Vec" Vec<A>, [A];
    "VecDeque" VecDeque<A>, [A];
    "Option" Option<A>, [A];
    // Everybody has an alias of this name, with one parameter.
    "Result<2>" Result<A, B>, [A B];
    "Box" Box<A>, [A];
    "Box<[]>" Box<[A]>, [A];
    "Arc" Arc<A>, [A];
    "HashMap" HashMap<A, B, S>, [A B] S;
    "HashSet" HashSet<A, S>, [A] S;
    "BTreeMap" BTreeMap<A, B>, [A B];
    "BTreeSet" BTreeSet<A>, [A];
}

impl<A: Known, const N: usize> Known for [A; N] {
    const NAME: &'static str = "[]";
    type Print<F: Fuel> = Made<Self, F>;
}

impl<A: Known, F: Fuel, const N: usize> Printed for Made<[A; N], F> {
    const PRINT: u64 = all("[]", &[N as u64, <A::Print<F> as Printed>::PRINT]);
    const NEEDS_NAMES: Option<&'static str> = <A::Print<F> as Printed>::NEEDS_NAMES;
}

const fn all(what: &str, of: &[u64]) -> u64 {
    let (mut hash, mut at) = (fingerprint(what), 0);
    while at < of.len() {
        hash = more(hash, &of[at].to_le_bytes());
        at += 1;
    }
    hash
}

/// The print of all other types: their spelling is all there is.
pub trait Unprinted {
    /// Nobody knows.
    const NAME: &'static str = "";
    /// None.
    const OF: u64 = 0;
    /// Nobody knows.
    const NEEDS_NAMES: Option<&'static str> = None;
}

impl<T: ?Sized, F> Unprinted for Print<T, F> {}

/// What two processes compare beside the spelling of a field's type: its name as it is spelt, the name it has, its print.
pub type Part = (&'static str, &'static str, u64);

/// A piece of a shape's text.
#[derive(Debug)]
pub enum Piece {
    /// As the derive read it.
    Text(&'static str),
    /// What the types of the field before hold, unless their spelling says it all.
    Mark(u64),
}

/// FNV-1a, 64 bits: short enough to compare at every connect, the same on every platform.
#[must_use]
pub const fn fingerprint(text: &str) -> u64 {
    more(0xcbf2_9ce4_8422_2325, text.as_bytes())
}

const fn more(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// The print of a shape with what its fields' types hold.
#[must_use]
pub const fn print(shape: &str, parts: &[Part]) -> u64 {
    let hash = more(fingerprint(shape), &mark(parts).to_le_bytes());
    if hash == 0 { 1 } else { hash }
}

/// What a field's types hold that their spelling does not say; 0 if it says it all.
#[must_use]
pub const fn mark(parts: &[Part]) -> u64 {
    let mut hash = 0;
    let mut at = 0;
    while at < parts.len() {
        let (spelt, name, print) = parts[at];
        // What it is made of stands beside it, where it is spelt out.
        if print != 0 && !same(spelt, name) {
            hash = more(hash ^ at as u64, &print.to_le_bytes());
        }
        at += 1;
    }
    hash
}

/// Why only a codec that names fields can carry `T`: something of its own, or of a message within it.
#[must_use]
pub const fn needs_names<T: Known>() -> Option<&'static str> {
    Print::<T, Full>::NEEDS_NAMES
}

/// The first reason that there is.
#[must_use]
pub const fn first(reasons: &[Option<&'static str>]) -> Option<&'static str> {
    let mut at = 0;
    while at < reasons.len() {
        if reasons[at].is_some() {
            return reasons[at];
        }
        at += 1;
    }
    None
}

/// How long a shape's text is.
#[must_use]
pub const fn length(pieces: &[Piece]) -> usize {
    let (mut length, mut at) = (0, 0);
    while at < pieces.len() {
        length += match pieces[at] {
            Piece::Text(text) => text.len(),
            Piece::Mark(0) => 0,
            Piece::Mark(_) => MARK,
        };
        at += 1;
    }
    length
}

/// Bytes of a mark in a shape's text: `#` and sixteen hexadecimal digits.
pub const MARK: usize = 17;

/// A shape's text: pieces as they are, marks as `#0123456789abcdef`.
#[must_use]
pub const fn joined<const LENGTH: usize>(pieces: &[Piece]) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    let (mut end, mut at) = (0, 0);
    while at < pieces.len() {
        match pieces[at] {
            Piece::Text(text) => {
                let mut from = 0;
                while from < text.len() {
                    out[end] = text.as_bytes()[from];
                    from += 1;
                    end += 1;
                }
            }
            Piece::Mark(0) => {}
            Piece::Mark(mark) => {
                out[end] = b'#';
                let mut digit = 0;
                while digit < 16 {
                    let value = (mark >> (60 - 4 * digit)) & 15;
                    out[end + 1 + digit] = b"0123456789abcdef"[value as usize];
                    digit += 1;
                }
                end += MARK;
            }
        }
        at += 1;
    }
    out
}

/// The bytes of [`joined`], as text.
#[must_use]
pub const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => "",
    }
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_fnv_1a() {
        assert_eq!(fingerprint(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fingerprint("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_mark_tells_what_the_spelling_does_not() {
        let of = |spelt| (spelt, Print::<u64, Full>::NAME, Print::<u64, Full>::OF);
        assert_eq!(mark(&[of("u64"), ("Side", "", 0)]), 0);
        let aliased = Print::<Vec<Option<u64>>, Full>::OF;
        let marks = [
            mark(&[of("Price")]),
            mark(&[("Price", "u32", Print::<u32, Full>::OF)]),
            mark(&[("Prices", "Vec", aliased)]),
            mark(&[("Prices", "Vec", Print::<Vec<Option<u32>>, Full>::OF)]),
            mark(&[("Prices", "[]", Print::<[Option<u32>; 2], Full>::OF)]),
            mark(&[("Prices", "[]", Print::<[Option<u32>; 3], Full>::OF)]),
            mark(&[("Leg", "", 7)]),
            mark(&[("Leg", "", 8)]),
            mark(&[("A", "", 0), ("Leg", "", 7)]),
        ];
        for (at, mark) in marks.iter().enumerate() {
            assert!(*mark != 0 && !marks[..at].contains(mark), "{marks:?}");
        }
        assert_eq!(mark(&[("Vec", "Vec", aliased), of("u64")]), 0);
    }

    #[test]
    fn pieces_are_joined() {
        const PIECES: &[Piece] = &[
            Piece::Text("T{a:A"),
            Piece::Mark(0xab),
            Piece::Text(",b:u8"),
            Piece::Mark(0),
            Piece::Text("}"),
        ];
        const LENGTH: usize = length(PIECES);
        let text = joined::<LENGTH>(PIECES);
        assert_eq!(text.as_slice(), b"T{a:A#00000000000000ab,b:u8}");
    }
}
