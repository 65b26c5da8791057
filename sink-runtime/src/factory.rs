//! Sinks by name: the one signature that no stage changes.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::dynamic::DynSink;
use crate::error::RegistryError;
use crate::message::{Message, MessageType};
use crate::registry::ServiceRegistry;
use crate::transport::BoxFuture;

/// Longest wait for a registry's answer.
pub(crate) const PROVISION_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers for names. Stage 1: [`ServiceRegistry`]; a control plane later.
pub trait Resolver: Send + Sync + 'static {
    /// The registry as it stands, with everything needed to connect to `service`.
    fn provision_connection<'a>(
        &'a self,
        service: &'a str,
    ) -> BoxFuture<'a, Result<Arc<ServiceRegistry>, RegistryError>>;

    /// Waits for the next version of the registry; never, where it does not change.
    fn watch(&self) -> BoxFuture<'_, Result<Arc<ServiceRegistry>, RegistryError>> {
        Box::pin(std::future::pending())
    }
}

/// A file does not change under a running program.
struct Fixed(Result<Arc<ServiceRegistry>, RegistryError>);

impl Resolver for Fixed {
    fn provision_connection<'a>(
        &'a self,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Arc<ServiceRegistry>, RegistryError>> {
        Box::pin(std::future::ready(self.0.clone()))
    }
}

/// Makes sinks by name. The same name gives the same link, also under a race, and shares it with `Sinks::name()`.
#[derive(Clone)]
pub struct SinkFactory {
    resolver: Arc<dyn Resolver>,
}

impl SinkFactory {
    /// A factory over this registry.
    #[must_use]
    pub fn new(registry: Arc<ServiceRegistry>) -> Self {
        Self::of(Ok(registry))
    }

    /// A factory over another resolver.
    #[must_use]
    pub fn with_resolver(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver }
    }

    pub(crate) fn of(registry: Result<Arc<ServiceRegistry>, RegistryError>) -> Self {
        Self {
            resolver: Arc::new(Fixed(registry)),
        }
    }

    /// The sink of an untyped service. Awaits the registry, at most 10 s, and never a connection.
    ///
    /// # Errors
    /// If there is no such service, it carries typed messages, or the registry is out of reach.
    pub async fn create_sink(&self, service: &str) -> Result<DynSink, RegistryError> {
        self.create_typed::<Message>(service).await
    }

    /// The sink of a service that carries `M`.
    ///
    /// # Errors
    /// If there is no such service, it carries another type, or the registry is out of reach.
    pub async fn create_typed<M: MessageType>(
        &self,
        service: &str,
    ) -> Result<DynSink<M>, RegistryError> {
        let provision = self.resolver.provision_connection(service);
        match bounded(provision).await {
            Some(registry) => registry?.sink::<M>(service),
            None if tokio::runtime::Handle::try_current().is_err() => {
                Err(RegistryError::Unsupported {
                    service: Arc::from(service),
                    text: Arc::from(
                        "its resolver must wait, and outside a tokio runtime nobody keeps the time",
                    ),
                })
            }
            None => Err(RegistryError::TimedOut {
                waited: PROVISION_TIMEOUT,
            }),
        }
    }
}

/// Bounds a wait where a runtime can keep the time; a resolver that needs no waiting works outside one too.
async fn bounded<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    let mut ready = None;
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(output) = std::pin::Pin::new(&mut future).poll(cx) {
            ready = Some(output);
        }
        std::task::Poll::Ready(())
    })
    .await;
    match ready {
        Some(output) => Some(output),
        None if tokio::runtime::Handle::try_current().is_err() => None,
        None => tokio::time::timeout(PROVISION_TIMEOUT, future).await.ok(),
    }
}

impl fmt::Debug for SinkFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SinkFactory")
    }
}
