//! The registry that a program was built with, and the one in force in its place.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sink_schema::{Layers, Plan, SourceFile};

use super::agreement::{Agreement, Lowered, Moved};
use super::layers::{
    beside_executable, built_in, environment, read_files, variable, with_carriers,
};
use super::{PROFILE_VARIABLE, REGISTRY_VARIABLE, ServiceRegistry};
use crate::carried::Carried;
use crate::carrier::Carrier;
use crate::composite::Branches;
use crate::dynamic::DynSink;
use crate::error::RegistryError;
use crate::factory::SinkFactory;
use crate::message::MessageType;
use crate::report::DrainReport;
use crate::service::Expect;
use crate::source::{Source, SourceSettings};

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
pub(super) struct Live {
    pub(super) registry: Arc<ServiceRegistry>,
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

    pub(super) fn judge(&self, live: &Live) -> Result<(), RegistryError> {
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
    pub(super) fn resolve(
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

#[cfg(test)]
mod tests;
