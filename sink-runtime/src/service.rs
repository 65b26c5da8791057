//! What generated code says about a service: its name, its registry, its guarantee.

use crate::message::MessageType;
use crate::registry::CompiledRegistry;

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
}
