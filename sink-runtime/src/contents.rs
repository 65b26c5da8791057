//! What the types of a message's fields hold, found by the compiler: whether the message contains itself through others, and
//! the print of their shapes. Each derived type implements [`Contents`], and a walk through their fields spends [`Fuel`], so that
//! it ends although the types go in a circle.

use std::marker::PhantomData;

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

impl<T: Contents, F: Fuel> Print<T, F> {
    /// The print of the message that it is; this constant stands before [`Unprinted`]'s where `T` is one.
    pub const OF: u64 = <F::Print<T::Members> as Printed>::PRINT;
    /// Why only a codec that names fields can carry it.
    pub const NEEDS_NAMES: Option<&'static str> = <F::Print<T::Members> as Printed>::NEEDS_NAMES;
}

/// The print of types that are no derived messages: their spelling is all there is.
pub trait Unprinted {
    /// None.
    const OF: u64 = 0;
    /// Nobody knows.
    const NEEDS_NAMES: Option<&'static str> = None;
}

impl<T: ?Sized, F> Unprinted for Print<T, F> {}

/// What a type is called where an alias may have been written.
#[derive(Debug)]
pub struct Name<T: ?Sized>(PhantomData<T>);

/// A type of the language or of its library that another may be an alias of.
pub trait Plain {
    /// Its own name.
    const NAME: &'static str;
}

macro_rules! plain {
    ($($name:ident)*) => {
        $(impl Plain for $name {
            const NAME: &'static str = stringify!($name);
        })*
    };
}

plain!(bool char f32 f64 i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize String);

impl<T: Plain> Name<T> {
    /// Its own name; this constant stands before [`Unnamed`]'s where `T` is such a type.
    pub const OF: &'static str = T::NAME;
}

/// The name of all other types: as they are spelt.
pub trait Unnamed {
    /// None.
    const OF: &'static str = "";
}

impl<T: ?Sized> Unnamed for Name<T> {}

/// What two processes compare beside the spelling of a field's type: as it is spelt, its own name, its print.
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
        if print != 0 {
            hash = more(hash ^ at as u64, &print.to_le_bytes());
        }
        if !name.is_empty() && !same(spelt, name) {
            hash = more(hash ^ at as u64, name.as_bytes());
        }
        at += 1;
    }
    hash
}

/// Why only a codec that names fields can carry `T`: something of its own, or of a message within it.
#[must_use]
pub const fn needs_names<T: Contents>() -> Option<&'static str> {
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
        assert_eq!(mark(&[("u64", "u64", 0), ("Side", "", 0)]), 0);
        let marks = [
            mark(&[("Price", "u64", 0)]),
            mark(&[("Price", "u32", 0)]),
            mark(&[("Leg", "", 7)]),
            mark(&[("Leg", "", 8)]),
            mark(&[("A", "", 0), ("Leg", "", 7)]),
        ];
        for (at, mark) in marks.iter().enumerate() {
            assert!(*mark != 0 && !marks[..at].contains(mark), "{marks:?}");
        }
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
