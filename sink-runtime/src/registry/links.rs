//! The links made from a registry: one for each leaf, at its first use, for whoever asks.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sink_schema::{Delivery, LeafPlan, Role, ServicePlan};

use super::ServiceRegistry;
use crate::carried::Carried;
use crate::error::RegistryError;
use crate::foreign::Framing;
use crate::inproc::{Inproc, InprocConfig};
use crate::leaf::Leaf;
use crate::life::LifePolicy;
use crate::link::{Link, LinkConfig, MessageIdentity};
use crate::message::MessageType;
use crate::preamble::Preamble;
use crate::receipt::Level;
use crate::report::DrainReport;
use crate::transport::Target;
use crate::transport::foreign::ForeignDial;

/// A link that exists, behind the handle that keeps it.
pub(super) struct Made {
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

impl ServiceRegistry {
    /// The one link of a leaf: made at the first call, shared by all later ones.
    pub(super) fn make<M: MessageType>(
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

fn level(level: sink_schema::Level) -> Level {
    match level {
        sink_schema::Level::Spooled => Level::Spooled,
        sink_schema::Level::Written => Level::Written,
        sink_schema::Level::Acked => Level::Acked,
        sink_schema::Level::Stored => Level::Stored,
    }
}

pub(super) fn target(plan: &LeafPlan, endpoint: crate::transport::Endpoint) -> Target {
    Target {
        endpoint,
        allow_uids: plan.allow_uids.clone(),
        insecure_plaintext: plan.insecure_plaintext,
    }
}

pub(super) fn life_policy(plan: &LeafPlan) -> LifePolicy {
    LifePolicy {
        reconnect_delay: plan.reconnect_delay,
        reconnect_max_delay: plan.reconnect_max_delay,
        connect_timeout: plan.connect_timeout,
        max_attempts: plan.max_attempts,
        heartbeat: plan.heartbeat,
    }
}
