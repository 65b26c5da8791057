//! Services by name, at run time: the compiled-in registry, the layers over it, and the links made from them.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sink_schema::{
    Color, CompositePlan, Delivery, Format, Kind, Layers, LeafPlan, Pattern, Plan, Role,
    ServicePlan, SourceFile,
};

use crate::carried::Carried;
use crate::carrier::{Carrier, CarrierDial};
use crate::clock::{SplitMix, Surroundings, TokioClock};
use crate::composite::Members;
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
    live: OnceLock<Result<Arc<ServiceRegistry>, RegistryError>>,
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
            live: OnceLock::new(),
        }
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

    /// Reads the layers and compares them with what the program expects.
    ///
    /// # Errors
    /// The first service that is missing or carries another message type, or composite that the program was built with otherwise.
    pub fn check(&'static self, expected: &[Expect]) -> Result<(), RegistryError> {
        let live = self.live()?;
        for expect in expected {
            for service in expect.services {
                live.expect(service, expect.message)?;
            }
        }
        live.moved
            .first()
            .map_or(Ok(()), |(_, error)| Err(error.clone()))
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
            Some(Ok(live)) => live.close_all(deadline).await,
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

    /// Why the generated composite of this name may not be used: its type holds the members it was built with, and the
    /// registry in force gives it others. A registry that cannot be read is for the members to tell.
    pub(crate) fn moved(&'static self, composite: &str) -> Option<RegistryError> {
        let live = match self.live.get() {
            Some(live) => live.as_ref().ok()?,
            None => &self.live().ok()?,
        };
        let mut moved = live.moved.iter();
        moved
            .find(|(name, _)| name == composite)
            .map(|(_, error)| error.clone())
    }

    pub(crate) fn live(&'static self) -> Result<Arc<ServiceRegistry>, RegistryError> {
        self.live.get_or_init(|| self.load().map(Arc::new)).clone()
    }

    fn load(&self) -> Result<ServiceRegistry, RegistryError> {
        let mut live = self.load_live()?;
        // The guarantee is in the compiled types: what runs may be more, never less (PROMISES 6.2).
        let (base, overlay) = self.layers(self.profile)?;
        let (compiled, _) = sink_schema::load(&Layers {
            overlay: overlay.as_ref(),
            capabilities: with_carriers(sink_schema::Capabilities::build(), self.carriers),
            ..Layers::of(&base)
        });
        for service in compiled
            .services
            .iter()
            .filter(|service| service.at_least_once())
        {
            if let Some(found) = live.plan.find(&service.name)
                && !found.at_least_once()
            {
                return Err(RegistryError::Unsupported {
                    service: Arc::from(service.name.as_str()),
                    text: Arc::from(format!(
                        "the program was built with at-least-once delivery ({}:{}), and {}:{} or the environment lowers it; set delivery = \"at_least_once\"",
                        service.location.path,
                        service.location.line,
                        found.location.path,
                        found.location.line
                    )),
                });
            }
        }
        live.moved = moved(&compiled, &live.plan);
        Ok(live)
    }

    fn load_live(&self) -> Result<ServiceRegistry, RegistryError> {
        let profile = variable(PROFILE_VARIABLE)?;
        match variable(REGISTRY_VARIABLE)? {
            Some(named) if named.contains("://") => Err(RegistryError::Unsupported {
                service: Arc::from(REGISTRY_VARIABLE),
                text: Arc::from(format!(
                    "{named}: control planes are not built into this version, name a services.toml"
                )),
            }),
            Some(named) => {
                ServiceRegistry::read(Path::new(&named), profile.as_deref(), self.carriers)
            }
            None => match beside_executable() {
                Some(path) => ServiceRegistry::read(&path, profile.as_deref(), self.carriers),
                None => self.load_compiled(profile.as_deref()),
            },
        }
    }

    fn load_compiled(&self, profile: Option<&str>) -> Result<ServiceRegistry, RegistryError> {
        let (base, overlay) = self.layers(profile.or(self.profile))?;
        ServiceRegistry::resolve(&base, overlay.as_ref(), self.carriers)
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
            return Err(RegistryError::Unsupported {
                service: Arc::from(PROFILE_VARIABLE),
                text: Arc::from(format!(
                    "no overlay `services.{profile}.toml` was built in (known: {})",
                    known.join(", ")
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
    /// Composites that the program was built with otherwise: by name they are served, their accessors refuse.
    moved: Vec<(String, RegistryError)>,
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
        Self::read(path.as_ref(), profile.as_deref(), &[])
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
        Self::resolve(&base, None, &[])
    }

    fn read(
        path: &Path,
        profile: Option<&str>,
        carriers: &'static [&'static Carrier],
    ) -> Result<Self, RegistryError> {
        let base = read_file(path)?;
        let overlay = match profile {
            None => None,
            Some(profile) => {
                let stem = path
                    .file_stem()
                    .map_or_else(|| "services".into(), |stem| stem.to_string_lossy());
                Some(read_file(
                    &path.with_file_name(format!("{stem}.{profile}.toml")),
                )?)
            }
        };
        Self::resolve(&base, overlay.as_ref(), carriers)
    }

    fn resolve(
        base: &SourceFile,
        overlay: Option<&SourceFile>,
        carriers: &'static [&'static Carrier],
    ) -> Result<Self, RegistryError> {
        let environment = std::env::vars_os()
            .filter(|(key, _)| key.as_encoded_bytes().starts_with(b"SINKS__"))
            .map(|(key, value)| {
                let name = key.to_string_lossy().into_owned();
                Ok((
                    key.into_string().map_err(|_| not_text(&name))?,
                    value.into_string().map_err(|_| not_text(&name))?,
                ))
            })
            .collect::<Result<Vec<(String, String)>, RegistryError>>()?;
        let capabilities = with_carriers(built_in(), carriers);
        let layers = Layers {
            base,
            overlay,
            environment: &environment,
            capabilities,
        };
        let (plan, diagnostics) = sink_schema::load(&layers);
        let origin: Arc<str> = Arc::from(base.path.as_str());
        if diagnostics.has_errors() {
            let count = diagnostics.errors().count();
            return Err(RegistryError::Invalid {
                registry: origin,
                count,
                text: Arc::from(diagnostics.render(Format::Human, Color::Never)),
            });
        }
        let surroundings = Surroundings {
            clock: Arc::new(TokioClock),
            chance: Arc::new(SplitMix::from_system()),
            dial: Arc::new(CarrierDial::new(carriers)),
        };
        Ok(Self {
            origin,
            plan,
            surroundings,
            leaves: Mutex::default(),
            moved: Vec::new(),
        })
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
    fn expect(&self, name: &str, message: &'static str) -> Result<&ServicePlan, RegistryError> {
        let service = self.find(name)?;
        let registered = service.message().unwrap_or("sink_runtime::Message");
        // The registry names a path, the program a type: the path's last segment is the type's name.
        let last = registered.rsplit("::").next().unwrap_or(registered);
        if last.trim() == message {
            return Ok(service);
        }
        Err(RegistryError::MessageMismatch {
            service: Arc::from(name),
            registry: Arc::from(format!(
                "{}:{}",
                service.location.path, service.location.line
            )),
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
        // The validator has refused cycles, so this ends.
        let mut members = Vec::with_capacity(plan.targets.len());
        for target in &plan.targets {
            members.push((self.sink::<M>(target)?, plan.optional.contains(target)));
        }
        let members = Members::new(members);
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
            max_frame_bytes: plan.max_frame_bytes,
            max_age: plan.max_age,
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

/// Every composite that the registry in force makes of other members, or in another pattern, than its compiled type has.
fn moved(compiled: &Plan, live: &Plan) -> Vec<(String, RegistryError)> {
    let known = compiled.services.iter().filter(|service| !service.runtime);
    known
        .filter_map(|service| {
            let Kind::Composite(built) = &service.kind else {
                return None;
            };
            let found = live.find(&service.name)?;
            let now = match &found.kind {
                Kind::Leaf(_) => "a leaf".to_owned(),
                Kind::Composite(now) if same_shape(built, now) => return None,
                Kind::Composite(now) => shape(now),
            };
            let name = &service.name;
            let text = format!(
                "the program was built with {} ({}:{}), and {}:{} or a layer over it makes it {now}, which the accessor cannot \
                 follow; build again with this registry, or use `Sinks::dynamic(\"{name}\")`",
                shape(built),
                service.location.path,
                service.location.line,
                found.location.path,
                found.location.line
            );
            let error = RegistryError::Unsupported {
                service: Arc::from(name.as_str()),
                text: Arc::from(text),
            };
            Some((name.clone(), error))
        })
        .collect()
}

/// Whether two composites have one type: what is optional is part of it, in whatever order it is written.
fn same_shape(left: &CompositePlan, right: &CompositePlan) -> bool {
    let optional = |plan: &CompositePlan| {
        let mut names = plan.optional.clone();
        names.sort();
        names
    };
    left.pattern == right.pattern
        && left.targets == right.targets
        && optional(left) == optional(right)
}

/// `a fanout of relay, audit (optional)`.
fn shape(plan: &CompositePlan) -> String {
    let pattern = match plan.pattern {
        Pattern::FanOut => "fanout",
        Pattern::Failover => "failover",
        Pattern::RoundRobin => "round_robin",
        Pattern::Partition => "partition",
    };
    let members = plan.targets.iter().map(|target| {
        if plan.optional.contains(target) {
            format!("{target} (optional)")
        } else {
            target.clone()
        }
    });
    format!("a {pattern} of {}", members.collect::<Vec<_>>().join(", "))
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

fn read_file(path: &Path) -> Result<SourceFile, RegistryError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(SourceFile {
            path: path.display().to_string(),
            text,
        }),
        Err(error) => Err(RegistryError::Read {
            registry: Arc::from(path.display().to_string()),
            source: Arc::new(error),
        }),
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
        let live = registry.load_compiled(asked).unwrap();
        let orders = live.plan.find("orders").unwrap();
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

    const PAIR: &str = "[services.a]\ntype = \"direct\"\nendpoint = \"inproc://moved-a\"\n\
        [services.b]\ntype = \"direct\"\nendpoint = \"inproc://moved-b\"\n\
        [services.both]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\", \"b\"]\n\
        [services.spare]\ntype = \"composite\"\npattern = \"failover\"\ntargets = [\"a\", \"b\"]\n";
    static CHANGED: &[(&str, &str, &str)] = &[(
        "one",
        "services.one.toml",
        "[services.both]\ntargets = [\"b\", \"a\"]\n[services.spare]\npattern = \"fanout\"\n",
    )];
    // Loaded by hand below, with a profile that only the layer at run time has.
    static MOVED: CompiledRegistry = CompiledRegistry::new("services.toml", PAIR, CHANGED, &[]);

    #[tokio::test]
    async fn a_composite_that_a_layer_changes_is_refused_by_its_accessor_and_served_by_name() {
        use crate::composite::Branch;
        use crate::{ConnectError, Message, MessageSink, SendErrorKind};

        let (base, _) = MOVED.layers(None).unwrap();
        let (built, _) = sink_schema::load(&Layers::of(&base));
        let mut live = MOVED.load_compiled(Some("one")).unwrap();
        live.moved = moved(&built, &live.plan);
        let live = Arc::new(live);
        assert!(MOVED.live.set(Ok(Arc::clone(&live))).is_ok());

        let members = || {
            let sink = |name| live.sink::<Message>(name).unwrap();
            (sink("a"), sink("b"))
        };
        let both = FanOut::compiled("both", &MOVED, members());
        let spare = Failover::compiled("spare", &MOVED, members());
        let refused = |error: &SendErrorKind| match error {
            SendErrorKind::Registry { source } => source.to_string(),
            other => panic!("{other}"),
        };
        let message = || Message::new(vec![1]);
        let said = refused(both.send(message()).await.unwrap_err().kind());
        assert_eq!(
            said,
            "`both`: the program was built with a fanout of a, b (services.toml:7), and services.toml:7 or a layer over it \
             makes it a fanout of b, a, which the accessor cannot follow; build again with this registry, or use \
             `Sinks::dynamic(\"both\")`"
        );
        assert_eq!(refused(both.try_send(message()).unwrap_err().kind()), said);
        let connect = MessageSink::<Message>::connect(&both).await;
        assert!(matches!(connect, Err(ConnectError::Registry { .. })));
        let said = refused(spare.send(message()).await.unwrap_err().kind());
        assert!(said.contains("a failover of a, b") && said.contains("a fanout of a, b"));
        refused(spare.try_send(message()).unwrap_err().kind());
        let nested = FanOut::new((both, MOVED.dynamic::<Message>("a").unwrap()));
        refused(nested.try_send(message()).unwrap_err().kind());
        let _: &dyn Branch<Message> = &spare;

        assert!(MOVED.check(&[]).is_err(), "what is checked at the start");
        assert!(MOVED.init().is_ok() && MOVED.dynamic::<Message>("both").is_ok());
    }
}
