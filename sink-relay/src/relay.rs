//! The relay a program embeds: what it serves, start, serve, stop. Connections are `accept`'s and below.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sink_runtime::transport::{self, Endpoint, Target};
use sink_schema::{Plan, SlowConsumer};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::accept::{self, Port};
use crate::directory::Directory;
use crate::error::RelayError;
use crate::registry::{self, Place};
use crate::report::{RelayReport, RelayStatistics};
use crate::service::Service;
use crate::settings::{self, Settings};

/// A relay that is not running yet: what it will serve, and where.
///
/// The setters change every service of it; without them a registry's keys hold.
///
/// # Examples
/// ```no_run
/// # async fn run() -> Result<(), sink_relay::RelayError> {
/// let relay = sink_relay::Relay::from_registry("services.toml")?.start().await?;
/// // Everything is bound: producers and consumers may come, in any order.
/// let report = relay.shut_down().await;
/// println!("{report}");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Relay {
    serves: Serves,
}

#[derive(Clone, Debug)]
enum Serves {
    Registry { plan: Arc<Plan>, places: Vec<Place> },
    Any { target: Target, settings: Settings },
}

/// A relay that listens. Dropping it cuts every connection; [`RunningRelay::shut_down`] sees them out.
#[derive(Debug)]
pub struct RunningRelay {
    handle: RelayHandle,
    stop: watch::Sender<bool>,
    ports: JoinSet<usize>,
}

/// Looks at a running relay from anywhere.
#[derive(Clone, Debug)]
pub struct RelayHandle {
    directories: Arc<[Arc<Directory>]>,
    local: Arc<[LocalEndpoint]>,
}

/// Where a relay listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalEndpoint {
    /// The services there; none where any service is served.
    pub services: Vec<Arc<str>>,
    /// The address, its port resolved.
    pub endpoint: Endpoint,
}

// === impl Relay ===

impl Relay {
    /// Serves every relay service of a registry: the file, the overlay that `SINKS_PROFILE` names, and `SINKS__…` of the environment.
    ///
    /// # Errors
    /// If the registry cannot be read, has mistakes, or has no relay service.
    pub fn from_registry(path: impl AsRef<Path>) -> Result<Self, RelayError> {
        let path = path.as_ref();
        let relay = Self::from_plan(registry::read(path)?)?;
        match &relay.serves {
            Serves::Registry { places, .. } if places.is_empty() => {
                Err(registry::nothing_to_serve(path))
            }
            _ => Ok(relay),
        }
    }

    /// Serves every relay service of a plan that was validated elsewhere.
    ///
    /// # Errors
    /// If services share an endpoint and disagree about who may connect to it.
    pub fn from_plan(plan: Plan) -> Result<Self, RelayError> {
        let places = registry::places(&plan)?;
        Ok(Self {
            serves: Serves::Registry {
                plan: Arc::new(plan),
                places,
            },
        })
    }

    /// Serves any service at one endpoint, each with the same settings; a service begins when first asked for.
    ///
    /// # Errors
    /// If the text is no endpoint.
    pub fn bind(endpoint: impl fmt::Display) -> Result<Self, RelayError> {
        let text = endpoint.to_string();
        let endpoint = text.parse().map_err(|source| RelayError::Endpoint {
            text: text.as_str().into(),
            source,
        })?;
        Ok(Self {
            serves: Serves::Any {
                target: Target::new(endpoint),
                settings: Settings::default(),
            },
        })
    }

    /// Retains so many messages per service; default 65,536.
    #[must_use]
    pub fn retain(self, messages: u32) -> Self {
        self.with_settings(|settings| settings.retain = messages)
    }

    /// Retains so many bytes per service; default 64 MiB. Memory stays below twice that, and 64 KiB per connection.
    #[must_use]
    pub fn retain_bytes(self, bytes: u64) -> Self {
        self.with_settings(|settings| settings.retain_bytes = bytes)
    }

    /// What becomes of a consumer that retention overtakes; default `DropOldest`, with a gap it is told of. `Block` is not built and means the default.
    #[must_use]
    pub fn slow_consumer(self, policy: SlowConsumer) -> Self {
        self.with_settings(|settings| settings.overtaken = settings::overtaken(policy))
    }

    /// The largest payload taken; default 1 MiB, at most [`sink_runtime::frame::MAX_FRAME_LIMIT`].
    #[must_use]
    pub fn max_frame_bytes(self, bytes: u32) -> Self {
        self.with_settings(|settings| {
            settings.max_frame_bytes = bytes.min(sink_runtime::frame::MAX_FRAME_LIMIT)
        })
    }

    /// Connections per service, producers and consumers together; with [`Relay::bind`], also of the endpoint, where 32 more may
    /// say what they want. Default 256.
    #[must_use]
    pub fn max_connections(self, connections: u32) -> Self {
        self.with_settings(|settings| settings.max_connections = connections)
    }

    /// How often a heartbeat is sent where nothing else is; default 10 s. A peer that asks for a shorter interval gets it.
    #[must_use]
    pub fn heartbeat(self, interval: Duration) -> Self {
        self.with_settings(|settings| settings.heartbeat = interval)
    }

    /// Uids besides our own that may connect to its Unix sockets.
    #[must_use]
    pub fn allow_uids(self, uids: impl Into<Vec<u32>>) -> Self {
        let uids = uids.into();
        self.with_target(|target| target.allow_uids.clone_from(&uids))
    }

    /// Lets TCP beyond this machine go unencrypted.
    #[must_use]
    pub fn allow_plaintext(self) -> Self {
        self.with_target(|target| target.insecure_plaintext = true)
    }

    /// Binds every endpoint and serves in the background: when this returns, producers and consumers can connect.
    ///
    /// # Errors
    /// If an endpoint cannot be bound; none is then.
    pub async fn start(self) -> Result<RunningRelay, RelayError> {
        let mut bound = Vec::new();
        for (target, directory) in self.serves.directories() {
            let services: Vec<_> = directory
                .services()
                .iter()
                .map(|service| Arc::clone(&service.name))
                .collect();
            let listener = transport::listen(&target)
                .await
                .map_err(|source| RelayError::Bind {
                    services: services.clone(),
                    endpoint: directory.endpoint.as_str().into(),
                    source: Arc::new(source),
                })?;
            let local = LocalEndpoint {
                services,
                endpoint: listener.local_endpoint(),
            };
            tracing::info!(endpoint = %local.endpoint, services = ?local.services, "relay listens");
            bound.push((
                local,
                Port {
                    listener,
                    directory: Arc::new(directory),
                },
            ));
        }
        let (stop, stopped) = watch::channel(false);
        let directories = bound
            .iter()
            .map(|(_, port)| Arc::clone(&port.directory))
            .collect();
        let local = bound.iter().map(|(local, _)| local.clone()).collect();
        let mut ports = JoinSet::new();
        for (_, port) in bound {
            ports.spawn(accept::serve(port, stopped.clone()));
        }
        Ok(RunningRelay {
            handle: RelayHandle { directories, local },
            stop,
            ports,
        })
    }

    /// Binds every endpoint and serves until `shutdown` resolves, then sees everyone out. Dropping the future cuts every connection.
    ///
    /// # Errors
    /// If an endpoint cannot be bound.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<RelayReport, RelayError> {
        let running = self.start().await?;
        shutdown.await;
        Ok(running.shut_down().await)
    }

    fn with_settings(mut self, change: impl Fn(&mut Settings)) -> Self {
        match &mut self.serves {
            Serves::Any { settings, .. } => change(settings),
            Serves::Registry { places, .. } => {
                places
                    .iter_mut()
                    .flat_map(|place| &mut place.services)
                    .for_each(|placed| change(&mut placed.settings));
            }
        }
        self
    }

    fn with_target(mut self, change: impl Fn(&mut Target)) -> Self {
        match &mut self.serves {
            Serves::Any { target, .. } => change(target),
            Serves::Registry { places, .. } => places
                .iter_mut()
                .for_each(|place| change(&mut place.target)),
        }
        self
    }
}

impl Serves {
    fn directories(self) -> Vec<(Target, Directory)> {
        match self {
            Self::Any { target, settings } => {
                let endpoint = target.endpoint.to_string();
                vec![(target, Directory::any(endpoint, settings))]
            }
            Self::Registry { plan, places } => places
                .into_iter()
                .map(|place| directory(place, &plan))
                .collect(),
        }
    }
}

fn directory(place: Place, plan: &Arc<Plan>) -> (Target, Directory) {
    let mut services = Vec::new();
    for placed in place.services {
        let service = Arc::new(Service::new(Arc::clone(&placed.name), placed.settings));
        services.extend(
            placed
                .aliases
                .into_iter()
                .map(|alias| (alias, Arc::clone(&service))),
        );
        services.push((placed.name, service));
    }
    let endpoint = place.target.endpoint.to_string();
    (
        place.target,
        Directory::registered(endpoint, Arc::clone(plan), services),
    )
}

// === impl RunningRelay ===

impl RunningRelay {
    /// Where it listens.
    #[must_use]
    pub fn local_endpoints(&self) -> &[LocalEndpoint] {
        &self.handle.local
    }

    /// Its numbers now.
    #[must_use]
    pub fn statistics(&self) -> RelayStatistics {
        self.handle.statistics()
    }

    /// A handle that outlives it and shows its numbers.
    #[must_use]
    pub fn handle(&self) -> RelayHandle {
        self.handle.clone()
    }

    /// Serves until `shutdown` resolves, then sees everyone out.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> RelayReport {
        shutdown.await;
        self.shut_down().await
    }

    /// Ends: takes what producers have written, lets consumers read what is retained (5 s), says goodbye.
    pub async fn shut_down(mut self) -> RelayReport {
        self.stop.send_replace(true);
        let mut cut = 0;
        while let Some(ended) = self.ports.join_next().await {
            cut += ended.unwrap_or(0);
        }
        let refused = self
            .handle
            .directories
            .iter()
            .map(|directory| directory.refused())
            .sum();
        RelayReport {
            services: self.statistics().services,
            cut,
            refused,
        }
    }
}

// === impl RelayHandle ===

impl RelayHandle {
    /// Where it listens.
    #[must_use]
    pub fn local_endpoints(&self) -> &[LocalEndpoint] {
        &self.local
    }

    /// Its numbers now.
    #[must_use]
    pub fn statistics(&self) -> RelayStatistics {
        let services = self
            .directories
            .iter()
            .flat_map(|directory| directory.services());
        RelayStatistics {
            services: services.map(|service| service.statistics()).collect(),
        }
    }
}
