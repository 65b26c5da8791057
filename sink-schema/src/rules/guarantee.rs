//! What a program was built to promise, no overlay of it takes away: the guarantee is in compiled types.

use crate::codes;
use crate::mistakes::{Mistake, Mistakes};
use crate::names::show;
use crate::plan::Plan;
use crate::raw::{RawService, Registry};
use crate::text::Span;

/// Tells of every service that is built for at-least-once delivery and has less in these layers. A composite whose lack is a
/// member's that is told of is not told of once more.
pub(crate) fn judge(plan: &Plan, compiled: &Plan, registry: &Registry, mistakes: &mut Mistakes) {
    let is_lowered = |name: &str| {
        let promised = compiled
            .find(name)
            .is_some_and(|service| service.at_least_once());
        promised
            && plan
                .find(name)
                .is_some_and(|service| !service.at_least_once())
    };
    for service in &registry.services {
        if !is_lowered(&service.name) {
            continue;
        }
        let found = plan
            .find(&service.name)
            .and_then(|service| service.composite());
        let (takes, help) = match found {
            None => (
                ["delivery"].as_slice(),
                "remove it, or set it to \"at_least_once\"; in the base, set delivery = \"at_most_once\" if nobody needs more",
            ),
            Some(composite) => {
                let mut deciding = composite
                    .targets
                    .iter()
                    .filter(|target| !composite.optional.contains(target));
                if deciding.any(|target| is_lowered(target)) {
                    continue;
                }
                (
                    ["targets", "optional", "pattern"].as_slice(),
                    "set delivery = \"at_least_once\" for every member that is not in `optional`",
                )
            }
        };
        let (span, word) = written(service, takes, registry);
        let message = format!(
            "this overlay takes at-least-once delivery from {}",
            show(&service.name)
        );
        mistakes.push(
            Mistake::new(codes::GUARANTEE_LOWERED, span, message)
                .label(format!("{word} promises less than what the program is built with"))
                .note("the guarantee is in the type of the accessor: adapters that ask for it were compiled with it")
                .help(help)
                .of(&service.name),
        );
    }
}

/// The key of the overlay that takes it, of the service or of `[defaults]`, or else the service.
fn written(service: &RawService, keys: &[&str], registry: &Registry) -> (Span, String) {
    let of_service = service.entries.iter().flatten();
    let mut entries = of_service
        .chain(&registry.defaults)
        .filter(|entry| Some(entry.key_span.file) == registry.overlay);
    match entries.find(|entry| keys.contains(&entry.key.as_str())) {
        Some(entry) => (entry.key_span, format!("this `{}`", entry.key)),
        None => (service.name_span, "it".to_owned()),
    }
}
