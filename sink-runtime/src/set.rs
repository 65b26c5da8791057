//! The sinks of a generated `SinkSet`: each is made when it is first asked for, so that a program holds, and rustc compiles,
//! only those it uses.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::composite::Generated;
use crate::dynamic::DynSink;
use crate::service::Service;
use crate::sink::MessageSink;
use crate::{Direct, Lazy, Relay};

/// One place for each service of a registry, in the registry's order; generated code alone numbers them.
pub struct Set {
    places: Box<[OnceLock<Made>]>,
    others: Others,
    /// Whether a leaf is not what the registry says.
    doubles: bool,
}

/// An `Arc` of a sink; which sink, the number of its place says.
type Made = Box<dyn Any + Send + Sync>;

/// What leaves are that nothing was put in the place of.
#[derive(Clone, Copy)]
enum Others {
    Real,
    Recording,
}

impl Set {
    /// Places for so many services.
    #[must_use]
    pub fn new(services: usize) -> Self {
        Self {
            places: (0..services).map(|_| OnceLock::new()).collect(),
            others: Others::Real,
            doubles: false,
        }
    }

    fn with<S: Send + Sync + 'static>(mut self, place: usize, sink: S) -> Self {
        self.doubles = true;
        if let Some(place) = self.places.get_mut(place) {
            *place = OnceLock::from(Box::new(Arc::new(sink)) as Made);
        }
        self
    }

    fn leaf<S: Send + Sync + 'static>(
        &self,
        place: usize,
        real: fn() -> S,
        recording: fn() -> S,
    ) -> &Arc<S> {
        let make = match self.others {
            Others::Real => real,
            Others::Recording => recording,
        };
        self.made(place, make)
    }

    /// Lets leaves that nothing is put in the place of keep their messages in memory.
    #[must_use = "the set is changed in what is returned"]
    pub fn others_recording(mut self) -> Self {
        self.others = Others::Recording;
        self.doubles = true;
        self
    }

    /// The composite at a place, made if there is none yet.
    pub fn composite<S: Generated + Send + Sync + 'static>(
        &self,
        place: usize,
        make: impl FnOnce() -> S,
    ) -> &Arc<S> {
        self.made(place, || {
            let mut composite = make();
            if self.doubles {
                composite.of_doubles();
            }
            composite
        })
    }

    fn made<S: Send + Sync + 'static>(&self, place: usize, make: impl FnOnce() -> S) -> &Arc<S> {
        let made = self.places[place].get_or_init(|| Box::new(Arc::new(make())));
        made.downcast_ref()
            .expect("generated code gives each place one type")
    }
}

// The kinds by name, so that what their sinks must be is proven here and not for each service.
macro_rules! leaves {
    ($name:ident, $leaf:ident, $double:ident) => {
        impl Set {
            /// The leaf at a place, made as the set says if there is none yet.
            pub fn $leaf<M: Send + 'static, T: Service>(
                &self,
                place: usize,
            ) -> &Arc<Lazy<$name<M, T>>> {
                self.leaf(
                    place,
                    Lazy::<$name<M, T>>::real,
                    Lazy::<$name<M, T>>::recording,
                )
            }

            /// Puts a double in the place of a leaf, instead of one that was put there before.
            #[must_use = "the set is changed in what is returned"]
            pub fn $double<M, T, D>(self, place: usize, double: D) -> Self
            where
                M: Send + 'static,
                T: Service,
                D: MessageSink<M> + 'static,
            {
                self.with(place, Lazy::<$name<M, T>>::double(DynSink::new(double)))
            }
        }
    };
}
leaves!(Relay, relay, double_relay);
leaves!(Direct, direct, double_direct);

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set")
            .field("services", &self.places.len())
            .finish_non_exhaustive()
    }
}
