//! A sink that feeds a relay.

use std::future::Future;
use std::marker::PhantomData;

use crate::slot::leaf_sink;

/// Feeds a relay, which passes every message on to all of its consumers.
///
/// `T` is the service's generated tag; it carries the guarantee.
pub struct Relay<M, T> {
    service: PhantomData<fn(M) -> T>,
}

leaf_sink!(Relay);
