//! A sink that feeds a relay.

use std::future::Future;
use std::marker::PhantomData;

use crate::slot::{Slot, leaf_sink};

/// Feeds a relay, which passes every message on to all of its consumers.
///
/// `T` is the service's generated tag; it carries the guarantee.
pub struct Relay<M, T> {
    slot: Slot<M>,
    service: PhantomData<fn() -> T>,
}

leaf_sink!(Relay);
