//! Byte-stream carriers beyond the built-in ones: how another crate brings a scheme of its own.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::transport::{BoxFuture, Dial, Endpoint, SystemDial, Target, Wire};

/// A carrier of byte streams; `Build::carrier("crate_name")` puts `crate_name::CARRIER` into the generated table.
pub struct Carrier {
    /// The endpoint schemes it serves.
    pub schemes: &'static [&'static str],
    /// Connects, once; the caller bounds it in time.
    pub dial: fn(&Target) -> Dialing<'_>,
}

/// One attempt under way.
pub type Dialing<'a> = BoxFuture<'a, io::Result<Arc<dyn Wire>>>;

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("schemes", &self.schemes)
            .finish_non_exhaustive()
    }
}

/// Dials by scheme: carriers first, then what is built in.
#[derive(Debug)]
pub(crate) struct CarrierDial {
    carriers: &'static [&'static Carrier],
}

impl CarrierDial {
    pub(crate) fn new(carriers: &'static [&'static Carrier]) -> Self {
        Self { carriers }
    }
}

impl Dial for CarrierDial {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Arc<dyn Wire>>> {
        let scheme = match &target.endpoint {
            Endpoint::Other { scheme, .. } => scheme,
            _ => return SystemDial.dial(target),
        };
        match self
            .carriers
            .iter()
            .find(|carrier| carrier.schemes.contains(&scheme.as_str()))
        {
            Some(carrier) => (carrier.dial)(target),
            None => SystemDial.dial(target),
        }
    }
}
