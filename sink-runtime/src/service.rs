//! What generated code says about a service: its name, its registry, its guarantee.

use crate::message::MessageType;
use crate::registry::CompiledRegistry;
use crate::slot::Slot;

/// A service of a compiled-in registry; implemented by the tags that the generator prints.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no service of a registry",
    note = "services are generated from services.toml by `include_sinks!`"
)]
pub trait Service: Send + Sync + 'static {
    /// The service's name in the registry.
    const NAME: &'static str;

    /// The registry it stands in.
    type Registry: Compiled;

    /// The registry it stands in, as a value.
    #[must_use]
    fn registry() -> &'static CompiledRegistry {
        Self::Registry::registry()
    }
}

/// A compiled-in registry, as the type that all of its services name.
pub trait Compiled {
    /// The registry.
    fn registry() -> &'static CompiledRegistry;
}

/// A relay or direct service that carries `M`; implemented by the tags that the generator prints.
///
/// The tag alone says where the service's sink is, so that the sink itself holds nothing: the compiler has one static for all
/// services of a message type, and nothing to prove, to lay out or to drop for each of them.
pub trait LeafService<M: 'static>: Service {
    /// All leaves of the registry that carry `M`.
    type Leaves: Leaves<M>;

    /// The service's place among them.
    const PLACE: usize;
}

/// The leaves of a compiled-in registry that carry one message type.
pub trait Leaves<M: 'static> {
    /// A slot for each, made by [`Slot::table`].
    fn slots() -> &'static [Slot<M>];
}

/// A service whose `delivery` is `"at_least_once"`; implemented by the generator.
#[diagnostic::on_unimplemented(
    message = "service `{Self}` does not promise at-least-once delivery",
    label = "at least once is required here",
    note = "write `delivery = \"at_least_once\"` under [services.{Self}] in services.toml"
)]
pub trait PromisesAtLeastOnce {}

/// What the program expects of the registry: the services that carry one message type.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    pub(crate) services: &'static [&'static str],
    pub(crate) message: &'static str,
}

impl Expect {
    /// These services carry `M`.
    #[must_use]
    pub const fn of<M: MessageType>(services: &'static [&'static str]) -> Self {
        Self {
            services,
            message: M::NAME,
        }
    }

    /// These services carry `M`, some of them by postcard.
    ///
    /// # Panics
    /// If that cannot carry it: while the program is compiled.
    #[must_use]
    #[track_caller]
    pub const fn by_places<M: MessageType>(services: &'static [&'static str]) -> Self {
        if let Some(why) = M::NEEDS_NAMES {
            panic!("{}", why);
        }
        Self::of::<M>(services)
    }
}
