//! Whether a message type contains itself through others, found by the compiler: each derived type implements [`Contents`],
//! and a walk through their fields spends [`Fuel`], so that it ends although the types go in a circle.

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

impl Fuel for Empty {
    type Look<M: Members, R: Contents> = No;
}

impl<F: Fuel> Fuel for Step<F> {
    type Look<M: Members, R: Contents> = M::Look<F, R>;
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
