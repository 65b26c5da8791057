//! A sink that feeds one receiving end.

use std::future::Future;
use std::marker::PhantomData;

use crate::slot::leaf_sink;

/// Feeds the one process that listens at the service's endpoint.
///
/// `T` is the service's generated tag; it carries the guarantee.
pub struct Direct<M, T> {
    service: PhantomData<fn(M) -> T>,
}

leaf_sink!(Direct);
