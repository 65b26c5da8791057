//! Services by name, at run time: the compiled-in registry, the layers over it, and the links made from them.
//!
//! # Map
//! `layers` (what is read) → `compiled` (what the program was built with, and what is in force instead; `agreement` holds the two
//! against each other) → [`ServiceRegistry`] → `links`.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sink_schema::{
    Color, CompositePlan, Delivery, Format, Kind, Layers, Pattern, Plan, Role, ServicePlan,
    SourceFile,
};

use crate::carried::Carried;
use crate::carrier::{Carrier, CarrierDial};
use crate::clock::{SplitMix, Surroundings, TokioClock};
use crate::composite::Members;
use crate::dynamic::DynSink;
use crate::error::RegistryError;
use crate::failover::Failover;
use crate::fanout::FanOut;
use crate::frame::Start;
use crate::link::MessageIdentity;
use crate::message::MessageType;
use crate::preamble::Preamble;
use crate::source::{Role as SourceRole, Source, SourceSettings};

mod agreement;
mod compiled;
mod layers;
mod links;

pub use compiled::CompiledRegistry;
pub use layers::read_file;

use agreement::Moved;
use layers::{built_in, environment, read_files, variable};
use links::{Made, life_policy, target};

/// Names the registry that replaces the compiled-in one.
pub const REGISTRY_VARIABLE: &str = "SINKS_REGISTRY";
/// Names the profile whose overlay is laid over the registry.
pub const PROFILE_VARIABLE: &str = "SINKS_PROFILE";

/// All services of one registry, resolved, with the links made so far. Stage 1's resolver.
///
/// # Examples
/// A service whose other end is not ours: it reads lines, and says nothing back.
///
/// ```
/// use std::io::{BufRead, BufReader};
/// use std::sync::Arc;
/// use sink_runtime::{Message, MessageSink, ServiceRegistry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let collector = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let registry = Arc::new(ServiceRegistry::from_toml(&format!(
///     r#"
///     [services.audit]
///     type = "direct"
///     endpoint = "tcp://{}"
///     framing = "lines"
///     preamble = "HELLO shop\n"
///     "#,
///     collector.local_addr()?
/// ))?);
///
/// let audit = registry.sink::<Message>("audit")?;
/// audit.send(Message::new("order 1 accepted")).await?;
/// audit.flush().await?;
///
/// let mut lines = BufReader::new(collector.accept()?.0).lines();
/// assert_eq!(lines.next().unwrap()?, "HELLO shop");
/// assert_eq!(lines.next().unwrap()?, "order 1 accepted");
/// # Ok(())
/// # }
/// ```
pub struct ServiceRegistry {
    origin: Arc<str>,
    plan: Plan,
    surroundings: Surroundings,
    leaves: Mutex<HashMap<String, Made>>,
    /// Composites that the program was built with otherwise.
    moved: Vec<Moved>,
    /// Of each service that the program was built with, its message type: the path, and the type's own name.
    carried: HashMap<String, (String, String)>,
}

impl ServiceRegistry {
    /// Reads a registry from a file, with the overlay of `SINKS_PROFILE` and the environment over it.
    ///
    /// # Errors
    /// If it cannot be read or has mistakes.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RegistryError> {
        let profile = variable(PROFILE_VARIABLE)?;
        let (base, overlay) = read_files(path.as_ref(), profile.as_deref())?;
        Self::resolve(&base, overlay.as_ref())
    }

    /// Takes a registry from a string; the environment is laid over it.
    ///
    /// # Errors
    /// If it has mistakes.
    pub fn from_toml(text: &str) -> Result<Self, RegistryError> {
        let base = SourceFile {
            path: "services.toml".to_owned(),
            text: text.to_owned(),
        };
        Self::resolve(&base, None)
    }

    fn resolve(base: &SourceFile, overlay: Option<&SourceFile>) -> Result<Self, RegistryError> {
        let layers = Layers {
            base,
            overlay,
            environment: &environment()?,
            capabilities: built_in(),
        };
        match Self::judged(&layers, &[]) {
            (_, Some(invalid)) => Err(invalid),
            (registry, None) => Ok(registry),
        }
    }

    /// The sound services, and what is wrong with the others.
    fn judged(
        layers: &Layers<'_>,
        carriers: &'static [&'static Carrier],
    ) -> (Self, Option<RegistryError>) {
        let (plan, mut diagnostics) = sink_schema::load(layers);
        let origin: Arc<str> = Arc::from(layers.base.path.as_str());
        diagnostics.errors_first();
        let invalid = diagnostics.has_errors().then(|| RegistryError::Invalid {
            registry: Arc::from(diagnostics.places_of_errors()),
            count: diagnostics.errors().count(),
            text: Arc::from(diagnostics.render(Format::Human, Color::Never)),
        });
        let surroundings = Surroundings {
            clock: Arc::new(TokioClock),
            chance: Arc::new(SplitMix::from_system()),
            dial: Arc::new(CarrierDial::new(carriers)),
        };
        let registry = Self {
            origin,
            plan,
            surroundings,
            leaves: Mutex::default(),
            moved: Vec::new(),
            carried: HashMap::new(),
        };
        (registry, invalid)
    }

    /// The same registry with other surroundings: a simulated clock, network and dice.
    #[must_use]
    pub fn with_surroundings(mut self, surroundings: Surroundings) -> Self {
        self.surroundings = surroundings;
        self
    }

    /// The names of all services, in registry order.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.plan
            .services
            .iter()
            .map(|service| service.name.as_str())
    }

    fn find(&self, name: &str) -> Result<&ServicePlan, RegistryError> {
        self.plan
            .find(name)
            .ok_or_else(|| RegistryError::UnknownService {
                service: Arc::from(name),
                registry: Arc::clone(&self.origin),
                help: self.plan.nearest(name).map(Arc::from),
            })
    }

    /// Whether a service exists and carries this message type.
    fn expect(&self, name: &str, message: &str) -> Result<&ServicePlan, RegistryError> {
        let service = self.find(name)?;
        let registered = service.message().unwrap_or("sink_runtime::Message");
        // The registry names a path, the program a type. What the path of the build names, rustc has said; of any other, the
        // last segment is the type's name.
        let named = match self.carried.get(name) {
            Some((path, named)) if path == registered => named,
            _ => agreement::last_segment(registered),
        };
        if named == message {
            return Ok(service);
        }
        let place = service
            .message_location
            .as_ref()
            .unwrap_or(&service.location);
        Err(RegistryError::MessageMismatch {
            service: Arc::from(name),
            registry: Arc::from(format!("{}:{}", place.path, place.line)),
            registered: Arc::from(registered),
            expected: Arc::from(message),
        })
    }

    /// A sink for any service by name.
    ///
    /// # Errors
    /// If there is no such service, or it carries another message type.
    pub fn sink<M: MessageType>(self: &Arc<Self>, name: &str) -> Result<DynSink<M>, RegistryError> {
        let service = self.expect(name, M::NAME)?;
        match &service.kind {
            Kind::Leaf(plan) => {
                let leaf = self.make::<M>(service, plan);
                Ok(DynSink::leaf(leaf?, plan.delivery == Delivery::AtLeastOnce))
            }
            Kind::Composite(plan) => self.composite(service, plan),
        }
    }

    fn composite<M: MessageType>(
        self: &Arc<Self>,
        service: &ServicePlan,
        plan: &CompositePlan,
    ) -> Result<DynSink<M>, RegistryError> {
        let members = self.members(plan)?;
        let name: Arc<str> = Arc::from(service.name.as_str());
        match plan.pattern {
            Pattern::FanOut => Ok(DynSink::branch(
                FanOut::named(name, members),
                plan.at_least_once,
            )),
            Pattern::Failover => Ok(DynSink::branch(
                Failover::named(name, members),
                plan.at_least_once,
            )),
            Pattern::RoundRobin | Pattern::Partition => Err(RegistryError::Unsupported {
                service: name,
                text: Arc::from("this pattern is not built into this version"),
            }),
        }
    }

    fn members<M: MessageType>(
        self: &Arc<Self>,
        plan: &CompositePlan,
    ) -> Result<Members<M>, RegistryError> {
        // The validator has refused cycles, so this ends.
        let mut members = Vec::with_capacity(plan.targets.len());
        for target in &plan.targets {
            members.push((self.sink::<M>(target)?, plan.optional.contains(target)));
        }
        Ok(Members::new(members))
    }

    /// A source for a leaf by name.
    ///
    /// # Errors
    /// If there is no such leaf, or it carries another message type.
    pub fn source<M: MessageType>(&self, name: &str) -> Result<Source<M>, RegistryError> {
        Ok(Source::from_settings(self.source_settings::<M>(name)?))
    }

    fn source_settings<M: MessageType>(&self, name: &str) -> Result<SourceSettings, RegistryError> {
        let service = self.expect(name, M::NAME)?;
        let Some(plan) = service.leaf() else {
            return Err(RegistryError::Unsupported {
                service: Arc::from(name),
                text: Arc::from(
                    "a composite has no receiving end of its own: receive from its members",
                ),
            });
        };
        let relay = plan.role == Role::Relay;
        let endpoint = if relay {
            &plan.endpoint
        } else {
            plan.bind.as_ref().unwrap_or(&plan.endpoint)
        };
        Ok(SourceSettings {
            service: Arc::from(service.name.as_str()),
            role: if relay {
                SourceRole::Subscribe
            } else {
                SourceRole::Listen
            },
            target: target(plan, endpoint.clone()),
            codec: plan.codec,
            framing: plan.framing,
            preamble: Preamble(plan.preamble.clone()),
            message: MessageIdentity::of::<M>(),
            buffer_size: plan.buffer_size,
            buffer_bytes: plan.buffer_bytes,
            max_frame_bytes: plan.max_frame_bytes,
            max_connections: plan.max_connections,
            life: life_policy(plan),
            start: match plan.from {
                sink_schema::From_::Retained => Start::Retained,
                sink_schema::From_::Now => Start::Now,
            },
            consumer: plan.consumer.as_deref().map(Arc::from),
            acks: plan.delivery == Delivery::AtLeastOnce,
            surroundings: self.surroundings.clone(),
        })
    }

    fn leaf<M: MessageType>(&self, name: &str) -> Result<Carried<M>, RegistryError> {
        let service = self.expect(name, M::NAME)?;
        match &service.kind {
            Kind::Leaf(plan) => self.make::<M>(service, plan),
            Kind::Composite(_) => Err(RegistryError::Unsupported {
                service: Arc::from(name),
                text: Arc::from(
                    "the program was built with a leaf of this name, the registry has a composite",
                ),
            }),
        }
    }
}

impl fmt::Debug for ServiceRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceRegistry")
            .field("origin", &self.origin)
            .field("services", &self.plan.services.len())
            .finish_non_exhaustive()
    }
}
