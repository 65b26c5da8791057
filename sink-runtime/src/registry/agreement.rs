//! What a program was built with, held against the registry in force: every difference that an accessor cannot follow, all
//! at once.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use sink_schema::{CompositePlan, Kind, Layers, Pattern, Plan, Role, ServicePlan};

use super::ServiceRegistry;
use crate::composite::{Branches, Members};
use crate::error::RegistryError;
use crate::message::MessageType;
use crate::service::Expect;

/// A composite that the registry in force makes of other members, or in another pattern, than its compiled type has.
pub(super) struct Moved {
    pub(super) name: String,
    built: Pattern,
    /// What is said where it cannot be followed.
    pub(super) error: RegistryError,
    /// [`Members`] of the message type that the accessor carries, made at its first use.
    members: OnceLock<Result<Box<dyn Any + Send + Sync>, RegistryError>>,
}

// === impl Moved ===

impl Moved {
    /// What the accessor's composite has for members now.
    pub(super) fn members<M: MessageType>(
        &self,
        registry: &Arc<ServiceRegistry>,
    ) -> Result<&dyn Branches<M>, RegistryError> {
        let members = self.members.get_or_init(|| {
            let members = self.make::<M>(registry)?;
            Ok(Box::new(members))
        });
        match members {
            Ok(members) => match members.downcast_ref::<Members<M>>() {
                Some(members) => Ok(members),
                None => Err(self.error.clone()),
            },
            Err(error) => Err(error.clone()),
        }
    }

    fn make<M: MessageType>(
        &self,
        registry: &Arc<ServiceRegistry>,
    ) -> Result<Members<M>, RegistryError> {
        let service = registry.expect(&self.name, M::NAME)?;
        match &service.kind {
            Kind::Composite(now) if now.pattern == self.built => registry.members(now),
            // What is of another pattern, or no composite at all, is the one member of the compiled one, which passes on.
            _ => Ok(Members::new(vec![(registry.sink::<M>(&self.name)?, false)])),
        }
    }
}

/// The two sides.
pub(super) struct Agreement<'a> {
    pub(super) compiled: &'a Plan,
    pub(super) live: &'a ServiceRegistry,
}

// === impl Agreement ===

impl<'a> Agreement<'a> {
    /// The services that the program has accessors of.
    fn known(&self) -> impl Iterator<Item = &'a ServicePlan> {
        let services = self.compiled.services.iter();
        services.filter(|service| !service.runtime)
    }

    /// Services whose types promise more than the registry in force keeps.
    ///
    /// A composite that lost its guarantee by a member that is told of here is not told of once more.
    pub(super) fn lowered(&self, by: &Lowered<'_>) -> Vec<RegistryError> {
        let lowered = |service: &&ServicePlan| {
            let found = self.live.plan.find(&service.name);
            service.at_least_once() && found.is_some_and(|found| !found.at_least_once())
        };
        let lost: Vec<&ServicePlan> = self.known().filter(lowered).collect();
        let told = |name: &str| lost.iter().any(|service| service.name == name);
        lost.iter()
            .filter_map(|service| {
                let found = self.live.plan.find(&service.name)?;
                let repair = match &found.kind {
                    Kind::Leaf(_) => "set delivery = \"at_least_once\" there".to_owned(),
                    Kind::Composite(now) => {
                        let weak = self.weak_members(now);
                        if weak.iter().all(|member| told(member)) {
                            return None;
                        }
                        let (them, do_not) = match weak.len() {
                            1 => ("it", "does not"),
                            _ => ("them", "do not"),
                        };
                        format!(
                            "`{}` {do_not} promise it; set delivery = \"at_least_once\" for {them}, or list {them} in `optional`",
                            weak.join("`, `")
                        )
                    }
                };
                Some(RegistryError::Unsupported {
                    service: Arc::from(service.name.as_str()),
                    text: Arc::from(format!(
                        "the program was built with at-least-once delivery ({}), which {} takes away: {repair}",
                        place(service),
                        by.layer(&service.name)
                    )),
                })
            })
            .collect()
    }

    /// The members by which a composite has no guarantee.
    fn weak_members(&self, composite: &CompositePlan) -> Vec<String> {
        let deciding = composite.targets.iter();
        let deciding = deciding.filter(|target| !composite.optional.contains(target));
        let weak = deciding.filter(|target| {
            let member = self.live.plan.find(target);
            member.is_none_or(|member| !member.at_least_once())
        });
        weak.cloned().collect()
    }

    /// Every service that is missing, of another message type or of a kind that its accessor cannot be.
    pub(super) fn differences(&self) -> Vec<RegistryError> {
        let broken = |service: &&ServicePlan| {
            // Its own mistake says why it is not there.
            let mut broken = self.live.plan.broken.iter();
            !broken.any(|broken| broken.name == service.name)
        };
        self.known()
            .filter(broken)
            .filter_map(|service| self.difference(service))
            .collect()
    }

    fn difference(&self, service: &ServicePlan) -> Option<RegistryError> {
        let Some(found) = self.live.plan.find(&service.name) else {
            return Some(self.missing(service));
        };
        let carried = self.live.carried.get(&service.name);
        let message = carried.map_or("Message", |(_, named)| named);
        if let Err(error) = self.live.expect(&service.name, message) {
            return Some(error);
        }
        if let (Kind::Leaf(built), Kind::Composite(now)) = (&service.kind, &found.kind) {
            return Some(became_composite(service, built.role, found, now));
        }
        self.former_name_of_another(service, found)
    }

    /// A former name under which the accessor goes to one service and `Sinks::dynamic` to another.
    fn former_name_of_another(
        &self,
        service: &ServicePlan,
        found: &ServicePlan,
    ) -> Option<RegistryError> {
        service.aliases.iter().find_map(|former| {
            let other = self.live.plan.find(&former.name)?;
            (other.name != found.name).then(|| RegistryError::Unsupported {
                service: Arc::from(former.name.as_str()),
                text: Arc::from(format!(
                    "the program knows it as a former name of `{}` ({}), and {} makes it another service: give that one \
                     another name, or build again with this registry",
                    service.name,
                    place(service),
                    place(other)
                )),
            })
        })
    }

    fn missing(&self, service: &ServicePlan) -> RegistryError {
        let origin = &self.live.origin;
        let mut former = service.aliases.iter();
        if let Some(former) = former.find(|former| self.live.plan.find(&former.name).is_some()) {
            return RegistryError::Unsupported {
                service: Arc::from(service.name.as_str()),
                text: Arc::from(format!(
                    "the program was built with it ({}), and {origin} has it under its former name: write \
                     [services.{}] instead of [services.{}] there",
                    place(service),
                    service.name,
                    former.name
                )),
            };
        }
        RegistryError::UnknownService {
            service: Arc::from(service.name.as_str()),
            registry: Arc::from(format!(
                "{origin} (the program was built with it: {})",
                place(service)
            )),
            help: self.live.plan.nearest(&service.name).map(Arc::from),
        }
    }

    /// The message types of the program's services, untyped ones too: each by its path and by its own name.
    pub(super) fn carried(&self, expected: &[Expect]) -> HashMap<String, (String, String)> {
        self.known()
            .map(|service| {
                let path = service.message().unwrap_or("sink_runtime::Message");
                let named = self.message_of(service, expected);
                (service.name.clone(), (path.to_owned(), named.to_owned()))
            })
            .collect()
    }

    /// The name of the type that the service's accessor carries; it comes from the type itself, which a path may name otherwise.
    fn message_of(&self, service: &'a ServicePlan, expected: &[Expect]) -> &'a str {
        let Some(path) = service.message() else {
            return "Message";
        };
        let mut services = self.compiled.services.iter();
        let leaf = services.find(|leaf| leaf.leaf().is_some() && leaf.message() == Some(path));
        let expected = leaf.and_then(|leaf| {
            let mut expected = expected.iter();
            expected.find(|expect| expect.services.contains(&leaf.name.as_str()))
        });
        expected.map_or_else(|| last_segment(path), |expect| expect.message)
    }

    /// Every composite that the registry in force makes of other members, or in another pattern, than its compiled type has.
    pub(super) fn moved(&self) -> Vec<Moved> {
        self.known()
            .filter_map(|service| {
                let Kind::Composite(built) = &service.kind else {
                    return None;
                };
                let found = self.live.plan.find(&service.name)?;
                let now = match &found.kind {
                    Kind::Leaf(_) => "a leaf".to_owned(),
                    Kind::Composite(now) if same_shape(built, now) => return None,
                    Kind::Composite(now) => shape(now),
                };
                let name = &service.name;
                let text = format!(
                    "the program was built with {} ({}), and {} or a layer over it makes it {now}, which a `SinkSet` \
                     with doubles cannot follow; build again with this registry",
                    shape(built),
                    place(service),
                    place(found)
                );
                let error = RegistryError::Unsupported {
                    service: Arc::from(name.as_str()),
                    text: Arc::from(text),
                };
                Some(Moved {
                    name: name.clone(),
                    built: built.pattern,
                    error,
                    members: OnceLock::new(),
                })
            })
            .collect()
    }
}

fn became_composite(
    service: &ServicePlan,
    built: Role,
    found: &ServicePlan,
    now: &CompositePlan,
) -> RegistryError {
    let role = match built {
        Role::Relay => "relay",
        Role::Direct => "direct",
    };
    RegistryError::Unsupported {
        service: Arc::from(service.name.as_str()),
        text: Arc::from(format!(
            "the program was built with a {role} service ({}), and {} makes it {}, which has no link of its own: give the \
             composite another name, or build again with this registry",
            place(service),
            place(found),
            shape(now)
        )),
    }
}

/// Which layer takes a guarantee away.
pub(super) struct Lowered<'a> {
    layers: &'a Layers<'a>,
}

impl<'a> Lowered<'a> {
    pub(super) fn by(layers: &'a Layers<'a>) -> Self {
        Self { layers }
    }

    /// The lowest layer with which the service is without its guarantee, in words.
    fn layer(&self, service: &str) -> String {
        let lacks = |overlay| {
            let (plan, _) = sink_schema::load(&Layers {
                overlay,
                environment: &[],
                ..self.layers.clone()
            });
            let found = plan.find(service);
            found.is_none_or(|found| !found.at_least_once())
        };
        match self.layers.overlay {
            _ if lacks(None) => self.layers.base.path.clone(),
            Some(overlay) if lacks(Some(overlay)) => overlay.path.clone(),
            _ => "the environment".to_owned(),
        }
    }
}

/// `services.toml:3`.
fn place(service: &ServicePlan) -> String {
    format!("{}:{}", service.location.path, service.location.line)
}

/// The name of the type that a path of the registry ends in.
pub(super) fn last_segment(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path).trim()
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

#[cfg(test)]
mod tests;
