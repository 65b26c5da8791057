//! Services by name, at run time: the compiled-in registry, the layers over it, and the links made from them.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sink_schema::{
    Color, CompositePlan, Delivery, Format, Kind, Layers, LeafPlan, Pattern, Plan, Role,
    ServicePlan, SourceFile, Unreadable,
};

use crate::carried::Carried;
use crate::carrier::{Carrier, CarrierDial};
use crate::clock::{SplitMix, Surroundings, TokioClock};
use crate::composite::{Branches, Members};
use crate::dynamic::DynSink;
use crate::error::RegistryError;
use crate::factory::SinkFactory;
use crate::failover::Failover;
use crate::fanout::FanOut;
use crate::foreign::Framing;
use crate::frame::Start;
use crate::inproc::{Inproc, InprocConfig};
use crate::leaf::Leaf;
use crate::life::LifePolicy;
use crate::link::{Link, LinkConfig, MessageIdentity};
use crate::message::MessageType;
use crate::preamble::Preamble;
use crate::receipt::Level;
use crate::report::DrainReport;
use crate::service::Expect;
use crate::source::{Role as SourceRole, Source, SourceSettings};
use crate::transport::Target;
use crate::transport::foreign::ForeignDial;

mod agreement;

use agreement::{Agreement, Lowered, Moved};

/// Names the registry that replaces the compiled-in one.
pub const REGISTRY_VARIABLE: &str = "SINKS_REGISTRY";
/// Names the profile whose overlay is laid over the registry.
pub const PROFILE_VARIABLE: &str = "SINKS_PROFILE";

/// The registry a program was built with; one static per `include_sinks!`.
pub struct CompiledRegistry {
    path: &'static str,
    text: &'static str,
    overlays: &'static [(&'static str, &'static str, &'static str)],
    carriers: &'static [&'static Carrier],
    /// The overlay that the program was built with, in force unless another is asked for.
    profile: Option<&'static str>,
    /// The message types of its services, by the names that they have themselves.
    messages: &'static [Expect],
    live: OnceLock<Result<Live, RegistryError>>,
}

/// The registry in force, as far as it is sound.
struct Live {
    registry: Arc<ServiceRegistry>,
    /// Why none of it may be used: mistakes in it, a guarantee of a compiled type that it lowers.
    refused: Vec<RegistryError>,
}

impl CompiledRegistry {
    /// What the generator prints: the registry's path and text, its overlays (profile, path, text), the carriers beyond the built-in ones.
    #[must_use]
    pub const fn new(
        path: &'static str,
        text: &'static str,
        overlays: &'static [(&'static str, &'static str, &'static str)],
        carriers: &'static [&'static Carrier],
    ) -> Self {
        Self {
            path,
            text,
            overlays,
            carriers,
            profile: None,
            messages: &[],
            live: OnceLock::new(),
        }
    }

    /// What the generator prints behind it: the services by the message type that they carry.
    #[must_use]
    pub const fn carrying(mut self, messages: &'static [Expect]) -> Self {
        self.messages = messages;
        self
    }

    /// What the generator prints behind it for a build with a profile.
    #[must_use]
    pub const fn of_profile(mut self, profile: &'static str) -> Self {
        self.profile = Some(profile);
        self
    }

    /// Reads the layers, once (PROMISES 9.1).
    ///
    /// # Errors
    /// If a layer cannot be read or has mistakes.
    pub fn init(&'static self) -> Result<(), RegistryError> {
        self.live().map(|_| ())
    }

    /// Reads the layers and compares them with what the program was built for.
    ///
    /// # Errors
    /// Everything at once that keeps an accessor from its service: see `Sinks::check`.
    pub fn check(&'static self) -> Result<(), RegistryError> {
        let live = self.read().as_ref().map_err(RegistryError::clone)?;
        self.judge(live)
    }

    fn judge(&self, live: &Live) -> Result<(), RegistryError> {
        let compiled = self.compiled()?;
        let agreement = Agreement {
            compiled: &compiled,
            live: &live.registry,
        };
        let mut all = live.refused.clone();
        all.extend(agreement.differences());
        match RegistryError::of_all(&live.registry.origin, all) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// A sink for a name known only at run time; shares the link of the generated accessor of that name.
    ///
    /// # Errors
    /// If there is no such service, or it carries another message type.
    pub fn dynamic<M: MessageType>(&'static self, name: &str) -> Result<DynSink<M>, RegistryError> {
        self.live()?.sink::<M>(name)
    }

    /// A source for a name known only at run time.
    ///
    /// # Errors
    /// If there is no such leaf, or it carries another message type.
    pub fn source<M: MessageType>(&'static self, name: &str) -> Result<Source<M>, RegistryError> {
        self.live()?.source::<M>(name)
    }

    /// Makes sinks by name.
    #[must_use]
    pub fn factory(&'static self) -> SinkFactory {
        SinkFactory::of(self.live())
    }

    /// Closes every sink that was used, each with its share of `deadline`; parents have no buffers of their own.
    pub async fn close_all(&'static self, deadline: Duration) -> Vec<DrainReport> {
        match self.live.get() {
            Some(Ok(live)) => live.registry.close_all(deadline).await,
            _ => Vec::new(),
        }
    }

    pub(crate) fn leaf<M: MessageType>(
        &'static self,
        name: &str,
    ) -> Result<Carried<M>, RegistryError> {
        self.live()?.leaf::<M>(name)
    }

    pub(crate) fn source_settings<M: MessageType>(
        &'static self,
        name: &str,
    ) -> Result<SourceSettings, RegistryError> {
        self.live()?.source_settings::<M>(name)
    }

    /// What the registry in force makes of the generated composite of this name, if not what its type holds (PROMISES 9.4).
    /// A registry that cannot be read is for the members to tell.
    pub(crate) fn instead<M: MessageType>(
        &'static self,
        composite: &str,
    ) -> Result<Option<&'static dyn Branches<M>>, RegistryError> {
        match self.moved_to(composite) {
            Some((moved, registry)) => moved.members::<M>(registry).map(Some),
            None => Ok(None),
        }
    }

    /// Why a composite of this name that has doubles for members may not be used: the registry in force gives it others.
    pub(crate) fn moved(&'static self, composite: &str) -> Option<RegistryError> {
        let (moved, _) = self.moved_to(composite)?;
        Some(moved.error.clone())
    }

    fn moved_to(
        &'static self,
        composite: &str,
    ) -> Option<(&'static Moved, &'static Arc<ServiceRegistry>)> {
        let live = self.read().as_ref().ok()?;
        let mut moved = live.registry.moved.iter();
        let moved = moved.find(|moved| moved.name == composite)?;
        live.refused.is_empty().then_some((moved, &live.registry))
    }

    pub(crate) fn is_read(&self) -> bool {
        self.live.get().is_some()
    }

    pub(crate) fn live(&'static self) -> Result<Arc<ServiceRegistry>, RegistryError> {
        let live = self.read().as_ref().map_err(RegistryError::clone)?;
        match RegistryError::of_all(&live.registry.origin, live.refused.clone()) {
            Some(error) => Err(error),
            None => Ok(Arc::clone(&live.registry)),
        }
    }

    fn read(&self) -> &Result<Live, RegistryError> {
        self.live.get_or_init(|| {
            let (base, overlay) = self.sources()?;
            self.resolve(&base, overlay.as_ref(), &environment()?)
        })
    }

    /// Lays the layers over each other and holds the outcome against the program's own types.
    fn resolve(
        &self,
        base: &SourceFile,
        overlay: Option<&SourceFile>,
        environment: &[(String, String)],
    ) -> Result<Live, RegistryError> {
        let layers = Layers {
            base,
            overlay,
            environment,
            capabilities: with_carriers(built_in(), self.carriers),
        };
        let (mut registry, invalid) = ServiceRegistry::judged(&layers, self.carriers);
        let compiled = self.compiled()?;
        let agreement = Agreement {
            compiled: &compiled,
            live: &registry,
        };
        let mut refused = Vec::from_iter(invalid);
        // The guarantee is in the compiled types: what runs may be more, never less (PROMISES 6.2).
        refused.extend(agreement.lowered(&Lowered::by(&layers)));
        let (moved, carried) = (agreement.moved(), agreement.carried(self.messages));
        registry.moved = moved;
        registry.carried = carried;
        Ok(Live {
            registry: Arc::new(registry),
            refused,
        })
    }

    /// What the program was built with.
    fn compiled(&self) -> Result<Plan, RegistryError> {
        let (base, overlay) = self.layers(self.profile)?;
        let (compiled, _) = sink_schema::load(&Layers {
            overlay: overlay.as_ref(),
            capabilities: with_carriers(sink_schema::Capabilities::build(), self.carriers),
            ..Layers::of(&base)
        });
        Ok(compiled)
    }

    /// The registry in force and the overlay of its profile: a file that is named, one beside the executable, or what is
    /// compiled in.
    fn sources(&self) -> Result<(SourceFile, Option<SourceFile>), RegistryError> {
        let profile = variable(PROFILE_VARIABLE)?;
        let profile = profile.as_deref();
        match variable(REGISTRY_VARIABLE)? {
            Some(named) if named.contains("://") => Err(RegistryError::Unsupported {
                service: Arc::from(REGISTRY_VARIABLE),
                text: Arc::from(format!(
                    "{}: control planes are not built into this version, name a services.toml",
                    sink_schema::shortened(&named)
                )),
            }),
            Some(named) => read_files(Path::new(&named), profile),
            None => match beside_executable() {
                Some(path) => read_files(&path, profile),
                None => self.layers(profile.or(self.profile)),
            },
        }
    }

    /// The compiled-in base and the overlay of a profile.
    fn layers(
        &self,
        profile: Option<&str>,
    ) -> Result<(SourceFile, Option<SourceFile>), RegistryError> {
        let base = SourceFile::new(self.path, self.text);
        let Some(profile) = profile else {
            return Ok((base, None));
        };
        let found = self.overlays.iter().find(|(name, _, _)| *name == profile);
        let Some((_, path, text)) = found else {
            let known: Vec<_> = self.overlays.iter().map(|(name, _, _)| *name).collect();
            let known = match known.is_empty() {
                true => "none was".to_owned(),
                false => format!("known: {}", known.join(", ")),
            };
            let stem = Path::new(self.path).file_stem().unwrap_or_default();
            let profile = sink_schema::shortened(profile);
            return Err(RegistryError::Unsupported {
                service: Arc::from(PROFILE_VARIABLE),
                text: Arc::from(format!(
                    "no overlay `{}.{profile}.toml` was built in ({known})",
                    stem.to_string_lossy()
                )),
            });
        };
        Ok((base, Some(SourceFile::new(*path, *text))))
    }
}

impl fmt::Debug for CompiledRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledRegistry")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// `services.toml` beside the executable, never in the working directory.
fn beside_executable() -> Option<PathBuf> {
    let path = std::env::current_exe()
        .ok()?
        .parent()?
        .join("services.toml");
    path.is_file().then_some(path)
}

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

/// A link that exists, behind the handle that keeps it.
struct Made {
    leaf: Box<dyn std::any::Any + Send + Sync>,
    message: &'static str,
    any: Arc<dyn AnyLeaf>,
}

/// A leaf of any message type, as the registry sees it.
trait AnyLeaf: Send + Sync {
    fn close(&self, deadline: Duration) -> crate::transport::BoxFuture<'_, DrainReport>;
    fn reprovision(&self, target: Target);
}

impl<M: MessageType> AnyLeaf for Carried<M> {
    fn close(&self, deadline: Duration) -> crate::transport::BoxFuture<'_, DrainReport> {
        Box::pin(Carried::close(self, deadline))
    }

    fn reprovision(&self, target: Target) {
        // A queue of this process is where its name is.
        if let Self::Link(leaf) = self {
            leaf.link().reprovision(target);
        }
    }
}

/// The variables that may be the topmost layer.
fn environment() -> Result<Vec<(String, String)>, RegistryError> {
    std::env::vars_os()
        .filter(|(key, _)| key.as_encoded_bytes().starts_with(b"SINKS__"))
        .map(|(key, value)| {
            let name = key.to_string_lossy().into_owned();
            Ok((
                key.into_string().map_err(|_| not_text(&name))?,
                value.into_string().map_err(|_| not_text(&name))?,
            ))
        })
        .collect()
}

/// An environment variable; one that is empty is none.
fn variable(name: &str) -> Result<Option<String>, RegistryError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(not_text(name)),
    }
}

fn not_text(variable: &str) -> RegistryError {
    RegistryError::Unsupported {
        service: Arc::from(variable),
        text: Arc::from("the environment variable is not UTF-8"),
    }
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

    /// The one link of a leaf: made at the first call, shared by all later ones.
    fn make<M: MessageType>(
        &self,
        service: &ServicePlan,
        plan: &LeafPlan,
    ) -> Result<Carried<M>, RegistryError> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = leaves.get(&service.name) {
            return made
                .leaf
                .downcast_ref::<Carried<M>>()
                .cloned()
                .ok_or_else(|| RegistryError::MessageMismatch {
                    service: Arc::from(service.name.as_str()),
                    registry: Arc::clone(&self.origin),
                    registered: Arc::from(made.message),
                    expected: Arc::from(M::NAME),
                });
        }
        let leaf = match &plan.endpoint {
            crate::transport::Endpoint::Inproc(_)
                if plan.role == Role::Direct && plan.max_age.is_some() =>
            {
                return Err(RegistryError::Unsupported {
                    service: Arc::from(service.name.as_str()),
                    text: Arc::from(
                        "max_age_ms is not built for a direct inproc service: remove it",
                    ),
                });
            }
            crate::transport::Endpoint::Inproc(name) if plan.role == Role::Direct => {
                Carried::Inproc(Arc::new(self.inproc::<M>(service, plan, name)))
            }
            _ => Carried::Link(self.link::<M>(service, plan)),
        };
        let made = Made {
            leaf: Box::new(leaf.clone()),
            message: M::NAME,
            any: Arc::new(leaf.clone()),
        };
        leaves.insert(service.name.clone(), made);
        Ok(leaf)
    }

    fn inproc<M: MessageType>(
        &self,
        service: &ServicePlan,
        plan: &LeafPlan,
        name: &str,
    ) -> Inproc<M> {
        let config = InprocConfig {
            service: Arc::from(service.name.as_str()),
            name: name.to_owned(),
            buffer_size: plan.buffer_size,
            when_full: plan.when_full,
            confirm: plan.confirm.map(level),
            send_timeout: plan.send_timeout,
        };
        Inproc::new(config, M::NAME, self.surroundings.clone())
    }

    fn link<M: MessageType>(&self, service: &ServicePlan, plan: &LeafPlan) -> Leaf<M> {
        let config = LinkConfig {
            service: Arc::from(service.name.as_str()),
            target: target(plan, plan.endpoint.clone()),
            life: life_policy(plan),
            buffer_size: plan.buffer_size,
            buffer_bytes: plan.buffer_bytes,
            max_frame_bytes: plan.max_frame_bytes,
            when_full: plan.when_full,
            confirm: plan.confirm.map(level),
            keep: plan.delivery == Delivery::AtLeastOnce,
            send_timeout: plan.send_timeout,
            max_age: plan.max_age,
            idle_timeout: plan.idle_timeout,
            codec: plan.codec,
            framing: plan.framing,
            message: MessageIdentity::of::<M>(),
        };
        let mut surroundings = self.surroundings.clone();
        if plan.framing != Framing::Sink {
            surroundings.dial = Arc::new(ForeignDial {
                dial: surroundings.dial,
                framing: plan.framing,
                preamble: Preamble(plan.preamble.clone()),
            });
        }
        Leaf::new(Link::new(config, surroundings))
    }

    /// Turns the link of a leaf to another endpoint, if it was made already (PROMISES 3.3): what a control plane's change
    /// comes to. Links made later still follow the registry that was read.
    ///
    /// # Errors
    /// If there is no such leaf.
    #[doc(hidden)]
    pub fn reprovision(
        &self,
        name: &str,
        endpoint: crate::transport::Endpoint,
    ) -> Result<(), RegistryError> {
        let service = self.find(name)?;
        let Some(plan) = service.leaf() else {
            return Err(RegistryError::Unsupported {
                service: Arc::from(name),
                text: Arc::from("a composite has no endpoint"),
            });
        };
        let made = {
            let leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
            leaves.get(name).map(|made| Arc::clone(&made.any))
        };
        if let Some(leaf) = made {
            leaf.reprovision(target(plan, endpoint));
        }
        Ok(())
    }

    /// Closes every link made so far, all at once.
    pub async fn close_all(&self, deadline: Duration) -> Vec<DrainReport> {
        let links: Vec<Arc<dyn AnyLeaf>> = {
            let leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
            let mut named: Vec<_> = leaves
                .iter()
                .map(|(name, made)| (name.clone(), Arc::clone(&made.any)))
                .collect();
            named.sort_by(|left, right| left.0.cmp(&right.0));
            named.into_iter().map(|(_, any)| any).collect()
        };
        let mut closing: Vec<_> = links
            .iter()
            .map(|link| Some(link.close(deadline)))
            .collect();
        let mut reports: Vec<Option<DrainReport>> = links.iter().map(|_| None).collect();
        std::future::poll_fn(|cx| {
            let mut pending = false;
            for (slot, report) in closing.iter_mut().zip(&mut reports) {
                if let Some(future) = slot {
                    match future.as_mut().poll(cx) {
                        std::task::Poll::Ready(done) => {
                            *report = Some(done);
                            *slot = None;
                        }
                        std::task::Poll::Pending => pending = true,
                    }
                }
            }
            if pending {
                std::task::Poll::Pending
            } else {
                std::task::Poll::Ready(())
            }
        })
        .await;
        reports.into_iter().flatten().collect()
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

fn level(level: sink_schema::Level) -> Level {
    match level {
        sink_schema::Level::Spooled => Level::Spooled,
        sink_schema::Level::Written => Level::Written,
        sink_schema::Level::Acked => Level::Acked,
        sink_schema::Level::Stored => Level::Stored,
    }
}

fn with_carriers(
    capabilities: sink_schema::Capabilities,
    carriers: &[&Carrier],
) -> sink_schema::Capabilities {
    let schemes = carriers.iter().flat_map(|carrier| carrier.schemes);
    schemes.fold(capabilities, |capabilities, scheme| {
        capabilities.with_scheme(scheme)
    })
}

/// What this build of the runtime can do.
fn built_in() -> sink_schema::Capabilities {
    let mut capabilities = sink_schema::Capabilities::none().with_scheme("inproc");
    for (built, scheme) in [
        (cfg!(feature = "unix"), "unix"),
        (cfg!(feature = "tcp"), "tcp"),
    ] {
        if built {
            capabilities = capabilities.with_scheme(scheme);
        }
    }
    for (built, feature) in [
        (cfg!(feature = "postcard"), "postcard"),
        (cfg!(feature = "json"), "json"),
    ] {
        if built {
            capabilities = capabilities.with_feature(feature);
        }
    }
    capabilities
}

/// A registry and the overlay of a profile beside it.
fn read_files(
    path: &Path,
    profile: Option<&str>,
) -> Result<(SourceFile, Option<SourceFile>), RegistryError> {
    let base = read_file(path)?;
    let Some(profile) = profile else {
        return Ok((base, None));
    };
    let stem = path
        .file_stem()
        .map_or_else(|| "services".into(), |stem| stem.to_string_lossy());
    let overlay = read_file(&path.with_file_name(format!("{stem}.{profile}.toml")))?;
    Ok((base, Some(overlay)))
}

/// Reads a registry, or an overlay, as a program does: a regular file of bounded length that is text.
///
/// # Errors
/// If it is none, with the words of the build for it.
#[doc(hidden)]
pub fn read_file(path: &Path) -> Result<SourceFile, RegistryError> {
    let shown = path.display().to_string();
    let unread = |error| RegistryError::Read {
        registry: Arc::from(shown.as_str()),
        source: Arc::new(error),
    };
    // Before it is opened: a pipe would wait for who writes into it.
    let about = std::fs::metadata(path).map_err(unread)?;
    if !about.is_file() {
        return Err(unreadable(Unreadable::no_file(&shown, about.is_dir())));
    }
    if let Some(long) = Unreadable::too_long(&shown, about.len()) {
        return Err(unreadable(long));
    }
    let mut bytes = Vec::new();
    let most = sink_schema::MAX_REGISTRY_BYTES as u64 + 1;
    let file = std::fs::File::open(path).map_err(unread)?;
    file.take(most).read_to_end(&mut bytes).map_err(unread)?;
    SourceFile::from_bytes(shown.as_str(), bytes).map_err(unreadable)
}

fn unreadable(mistake: Unreadable) -> RegistryError {
    RegistryError::Invalid {
        registry: Arc::from(mistake.location.path.as_str()),
        count: 1,
        text: Arc::from(format!("error: {mistake}\n")),
    }
}

fn target(plan: &LeafPlan, endpoint: crate::transport::Endpoint) -> Target {
    Target {
        endpoint,
        allow_uids: plan.allow_uids.clone(),
        insecure_plaintext: plan.insecure_plaintext,
    }
}

fn life_policy(plan: &LeafPlan) -> LifePolicy {
    LifePolicy {
        reconnect_delay: plan.reconnect_delay,
        reconnect_max_delay: plan.reconnect_max_delay,
        connect_timeout: plan.connect_timeout,
        max_attempts: plan.max_attempts,
        heartbeat: plan.heartbeat,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    const BASE: &str = "[services.orders]\ntype = \"direct\"\nendpoint = \"inproc://base\"\n";
    const OVERLAYS: &[(&str, &str, &str)] = &[
        (
            "production",
            "services.production.toml",
            "[services.orders]\nendpoint = \"inproc://production\"\n",
        ),
        (
            "staging",
            "services.staging.toml",
            "[services.orders]\nendpoint = \"inproc://staging\"\n",
        ),
    ];

    fn endpoint(registry: &CompiledRegistry, asked: Option<&str>) -> String {
        let (base, overlay) = registry.layers(asked.or(registry.profile)).unwrap();
        let live = registry.resolve(&base, overlay.as_ref(), &[]).unwrap();
        let orders = live.registry.plan.find("orders").unwrap();
        orders.leaf().unwrap().endpoint.to_string()
    }

    #[test]
    fn the_profile_of_the_build_is_in_force_until_another_is_asked_for() {
        let plain = CompiledRegistry::new("services.toml", BASE, OVERLAYS, &[]);
        let staged =
            CompiledRegistry::new("services.toml", BASE, OVERLAYS, &[]).of_profile("staging");
        assert_eq!(endpoint(&plain, None), "inproc://base");
        assert_eq!(endpoint(&staged, None), "inproc://staging");
        assert_eq!(endpoint(&staged, Some("production")), "inproc://production");
    }

    fn refused(text: &str, environment: &[(&str, &str)]) -> String {
        let program = CompiledRegistry::new("services.toml", BASE, OVERLAYS, &[]);
        let environment: Vec<(String, String)> = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let base = SourceFile::new("services.toml", text);
        let live = program.resolve(&base, None, &environment).unwrap();
        live.refused[0].to_string()
    }

    #[test]
    fn a_mistake_is_told_with_the_layer_it_is_in_and_before_any_warning() {
        let in_the_environment = refused(BASE, &[("SINKS__ORDERS__BUFFER_SIZE", "many")]);
        assert!(
            in_the_environment.starts_with("1 mistake in the environment:\nerror["),
            "{in_the_environment}"
        );
        let shared = "[services.shared]\ntype = \"relay\"\nendpoint = \"unix:///tmp/a.sock\"\n";
        let wrong = BASE.replace("direct", "driect");
        let in_both = refused(
            &format!("{shared}{wrong}"),
            &[("SINKS__SHARED__BUFFER_SIZE", "many")],
        );
        assert!(
            in_both.starts_with("2 mistakes in services.toml and the environment:\nerror["),
            "{in_both}"
        );
        let warning = in_both.find("\nwarning[").expect("a shared directory");
        assert!(warning > in_both.rfind("\nerror[").unwrap(), "{in_both}");
    }

    #[test]
    fn a_profile_that_was_not_built_in_is_told_with_those_that_were() {
        let none = CompiledRegistry::new("config/sinks.toml", BASE, &[], &[]);
        assert_eq!(
            none.layers(Some("test")).unwrap_err().to_string(),
            "`SINKS_PROFILE`: no overlay `sinks.test.toml` was built in (none was)"
        );
        let two = CompiledRegistry::new("services.toml", BASE, OVERLAYS, &[]);
        assert_eq!(
            two.layers(Some("test")).unwrap_err().to_string(),
            "`SINKS_PROFILE`: no overlay `services.test.toml` was built in (known: production, staging)"
        );
    }

    #[test]
    fn what_is_no_text_file_is_refused_as_the_build_refuses_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("services.toml");
        let said = |path: &Path| ServiceRegistry::from_file(path).unwrap_err().to_string();
        assert!(said(folder.path()).contains("is a folder"));
        assert!(said(Path::new("/dev/zero")).contains("is no regular file"));
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(said(&pipe).contains("is no regular file"));
        std::fs::File::create(&path)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        assert!(said(&path).contains("is 1048576 MiB long, at most 4 MiB are read"));
        let utf16: Vec<u8> = BASE.encode_utf16().flat_map(u16::to_le_bytes).collect();
        std::fs::write(&path, [&[0xff, 0xfe][..], &utf16].concat()).unwrap();
        let path = path.display();
        assert_eq!(
            said(Path::new(&path.to_string())),
            format!(
                "1 mistake in {path}:\nerror: {path}:1:1: the registry is not UTF-8\n\nhelp: it is saved as UTF-16: save it as UTF-8\n"
            )
        );
    }

    const LEAVES: &str = "[services.a]\ntype = \"direct\"\nendpoint = \"inproc://moved-a\"\n\
        [services.b]\ntype = \"direct\"\nendpoint = \"inproc://moved-b\"\n\
        [services.c]\ntype = \"direct\"\nendpoint = \"inproc://moved-c\"\n";
    const BUILT: &str = "[services.both]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\", \"b\"]\n\
        [services.spare]\ntype = \"composite\"\npattern = \"failover\"\ntargets = [\"a\", \"b\"]\n\
        [services.lone]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\"]\n";
    const LIVE: &str = "[services.both]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"b\", \"c\"]\n\
        [services.spare]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\", \"b\"]\n\
        [services.lone]\ntype = \"direct\"\nendpoint = \"inproc://moved-lone\"\n";

    /// A program that was built with [`BUILT`] and runs with [`LIVE`].
    fn moved() -> &'static CompiledRegistry {
        let text = Box::leak(format!("{LEAVES}{BUILT}").into_boxed_str());
        let program = Box::leak(Box::new(CompiledRegistry::new(
            "services.toml",
            text,
            &[],
            &[],
        )));
        let base = SourceFile::new("live.toml", format!("{LEAVES}{LIVE}"));
        let live = program.resolve(&base, None, &[]).unwrap();
        assert!(program.live.set(Ok(live)).is_ok());
        program
    }

    #[tokio::test]
    async fn the_accessor_of_a_composite_goes_where_the_registry_in_force_says() {
        use crate::{Message, MessageSink};

        let program = moved();
        assert!(program.check().is_ok(), "nothing of it needs repair");
        let mut sources: Vec<Source<Message>> = ["a", "b", "c", "lone"]
            .iter()
            .map(|name| program.source(name).unwrap())
            .collect();
        let sink = |name| program.dynamic::<Message>(name).unwrap();
        let both = FanOut::compiled("both", program, (sink("a"), sink("b")));
        let spare = Failover::compiled("spare", program, (sink("a"), sink("b")));
        let lone = FanOut::compiled("lone", program, (sink("a"),));
        let message = |number| Message::new(vec![number]);
        both.send(message(1)).await.unwrap();
        both.try_send(message(2)).unwrap();
        spare.send(message(3)).await.unwrap();
        spare.try_send(message(4)).unwrap();
        lone.send(message(5)).await.unwrap();
        assert_eq!(both.ledger().done, 2);
        let nested = FanOut::new((both, sink("a"), spare));
        nested.try_send(message(6)).unwrap();
        for (source, expected) in
            sources
                .iter_mut()
                .zip([&[3, 4, 6, 6][..], &[1, 2, 3, 4, 6, 6], &[1, 2, 6], &[5]])
        {
            for expected in expected {
                let got = source.recv().await.unwrap().unwrap();
                assert_eq!(got.payload().as_ref(), [*expected]);
            }
        }
        let report = MessageSink::<Message>::close(&nested, Duration::from_secs(5)).await;
        assert!(report.is_clean(), "{report}");
        assert_eq!(sink("c").state().name(), "closed");
    }

    #[tokio::test]
    async fn a_composite_of_doubles_is_refused_where_the_registry_in_force_has_others() {
        use crate::composite::Generated;
        use crate::{ConnectError, Message, MessageSink, SendErrorKind};

        let program = moved();
        let sink = |name| program.dynamic::<Message>(name).unwrap();
        let mut both = FanOut::compiled("both", program, (sink("a"), sink("b")));
        both.of_doubles();
        let refused = |error: &SendErrorKind| match error {
            SendErrorKind::Registry { source } => source.to_string(),
            other => panic!("{other}"),
        };
        let message = || Message::new(vec![1]);
        let said = refused(both.send(message()).await.unwrap_err().kind());
        assert_eq!(
            said,
            "`both`: the program was built with a fanout of a, b (services.toml:10), and live.toml:10 or a layer over it makes \
             it a fanout of b, c, which a `SinkSet` with doubles cannot follow; build again with this registry"
        );
        assert_eq!(refused(both.try_send(message()).unwrap_err().kind()), said);
        let connect = MessageSink::<Message>::connect(&both).await;
        assert!(matches!(connect, Err(ConnectError::Registry { .. })));
        let nested = FanOut::new((both, sink("a")));
        refused(nested.try_send(message()).unwrap_err().kind());
        assert_eq!(sink("a").ledger().unwrap().attempted, 0);
    }

    #[tokio::test]
    async fn a_composite_that_sent_nothing_reads_no_registry() {
        use crate::{Message, MessageSink};

        static UNREAD: CompiledRegistry = CompiledRegistry::new("services.toml", "", &[], &[]);
        let member = DynSink::new(crate::testing::Recording::<Message>::new());
        let both = FanOut::compiled("both", &UNREAD, (member,));
        let _ = MessageSink::<Message>::state(&both);
        MessageSink::<Message>::flush(&both).await.unwrap();
        MessageSink::<Message>::disconnect(&both).await.unwrap();
        MessageSink::<Message>::close(&both, Duration::from_secs(1)).await;
        assert!(!UNREAD.is_read());
    }
}
