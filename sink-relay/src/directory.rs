//! Which services an endpoint serves, and how many peers it turned away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sink_runtime::frame::{RefuseCode, escape};
use sink_schema::Plan;
use tokio::time::Instant;

use crate::service::{Refusal, Service};
use crate::settings::{MAX_SERVICES, Settings};

/// The same trouble is logged once in so long; what comes between is counted.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The services of one endpoint.
#[derive(Debug)]
pub(crate) struct Directory {
    /// As it is named in errors.
    pub(crate) endpoint: String,
    /// Connections that the endpoint holds at once, greeted or not.
    pub(crate) max_connections: usize,
    names: Names,
    refused: AtomicU64,
    refusals: Mutex<Repeats>,
}

#[derive(Debug)]
enum Names {
    /// Those of a registry, by name and former name.
    Registered {
        plan: Arc<Plan>,
        services: BTreeMap<Arc<str>, Arc<Service>>,
    },
    /// Whatever is asked for.
    Any {
        settings: Settings,
        services: Mutex<BTreeMap<Arc<str>, Arc<Service>>>,
    },
}

/// Counts what is not logged.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    logged: Option<Instant>,
    since: u64,
}

// === impl Directory ===

impl Directory {
    /// The registry's services at one endpoint, by every name they have.
    pub(crate) fn registered(
        endpoint: String,
        plan: Arc<Plan>,
        services: Vec<(Arc<str>, Arc<Service>)>,
    ) -> Self {
        let services: BTreeMap<_, _> = services.into_iter().collect();
        let mut max_connections = 0;
        for (name, service) in &services {
            max_connections += if *name == service.name {
                service.settings.max_connections as usize
            } else {
                0
            };
        }
        Self::new(
            endpoint,
            max_connections,
            Names::Registered { plan, services },
        )
    }

    /// Any service, made when first asked for.
    pub(crate) fn any(endpoint: String, settings: Settings) -> Self {
        let max_connections = settings.max_connections as usize;
        Self::new(
            endpoint,
            max_connections,
            Names::Any {
                settings,
                services: Mutex::default(),
            },
        )
    }

    fn new(endpoint: String, max_connections: usize, names: Names) -> Self {
        Self {
            endpoint,
            max_connections,
            names,
            refused: AtomicU64::new(0),
            refusals: Mutex::default(),
        }
    }

    /// The service of this name, or a former one.
    ///
    /// # Errors
    /// If there is none: the nearest is named.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Service>, Refusal> {
        match &self.names {
            Names::Registered { plan, services } => services
                .get(name)
                .cloned()
                .ok_or_else(|| self.unknown(name, plan, services)),
            Names::Any { settings, services } => {
                let mut services = services.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(service) = services.get(name) {
                    return Ok(Arc::clone(service));
                }
                if services.len() >= MAX_SERVICES {
                    let reason =
                        format!("{} serves {MAX_SERVICES} services already", self.endpoint);
                    return Err(Refusal {
                        code: RefuseCode::UnknownService,
                        reason,
                    });
                }
                let name: Arc<str> = Arc::from(name);
                let service = Arc::new(Service::new(Arc::clone(&name), settings.clone()));
                services.insert(name, Arc::clone(&service));
                Ok(service)
            }
        }
    }

    fn unknown(
        &self,
        name: &str,
        plan: &Plan,
        services: &BTreeMap<Arc<str>, Arc<Service>>,
    ) -> Refusal {
        let mut reason = format!(
            "no service `{}` at {}",
            escape(name.as_bytes()),
            self.endpoint
        );
        match plan
            .nearest(name)
            .filter(|near| services.contains_key(*near))
        {
            Some(near) => reason.push_str(&format!("; did you mean `{near}`?")),
            None => {
                let names: Vec<_> = services
                    .keys()
                    .take(8)
                    .map(|name| format!("`{name}`"))
                    .collect();
                reason.push_str(&format!("; it serves {}", names.join(", ")));
            }
        }
        Refusal {
            code: RefuseCode::UnknownService,
            reason,
        }
    }

    /// Every service, each once.
    pub(crate) fn services(&self) -> Vec<Arc<Service>> {
        match &self.names {
            Names::Registered { services, .. } => services
                .iter()
                .filter(|(name, service)| **name == service.name)
                .map(|(_, service)| Arc::clone(service))
                .collect(),
            Names::Any { services, .. } => services
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .cloned()
                .collect(),
        }
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts a refusal, and logs it unless another was logged just now.
    pub(crate) fn note_refusal(&self, refusal: &Refusal) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let repeats = self
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(Instant::now());
        if let Some(count) = repeats {
            tracing::warn!(endpoint = %self.endpoint, code = ?refusal.code, reason = %refusal.reason, count, "peer refused");
        }
    }
}

// === impl Repeats ===

impl Repeats {
    /// How many are to be logged now, this one included; `None` if it is only counted.
    pub(crate) fn note(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        if self
            .logged
            .is_some_and(|logged| now < logged + LOG_INTERVAL)
        {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}
