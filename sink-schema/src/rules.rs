//! Rules between keys and between services, then the plan of what is sound. One file per kind of rule, one function per rule.

mod address;
mod composite;
mod graph;
mod leaf;
mod plan;

use crate::by_name::ByName;
use crate::codes;
use crate::draft::Draft;
use crate::layers::Registry;
use crate::mistakes::{Mistake, Mistakes};
use crate::names::show;
use crate::plan::Plan;
use crate::text::Span;

/// Judges all drafts and plans the sound ones.
pub(crate) fn resolve(drafts: Vec<Draft>, registry: &Registry, mistakes: &mut Mistakes) -> Plan {
    if drafts.is_empty() && !registry.torn && mistakes.is_empty() {
        let mistake = Mistake::new(
            codes::EMPTY_REGISTRY,
            Span::default(),
            "the registry names no service",
        );
        mistakes.push(mistake.help("add `[services.name]` with `type = \"relay\"`"));
    }
    for draft in drafts.iter().filter(|draft| draft.is_leaf() && !draft.torn) {
        address::judge(draft, mistakes);
        leaf::judge(draft, mistakes);
    }
    address::duplicates(&drafts, mistakes);
    message_type_names(&drafts, mistakes);
    let graph = composite::judge(&drafts, registry, mistakes);
    let facts = graph::judge(&drafts, &graph, mistakes);
    composite::single_targets(&drafts, &graph, |at| facts[at].is_some(), mistakes);
    plan::plan(&drafts, &graph, &facts, mistakes)
}

/// Warns where a service's type would have the name of a message type of the crate's root.
fn message_type_names(drafts: &[Draft], mistakes: &mut Mistakes) {
    let mut types = ByName::default();
    for draft in drafts {
        if let Some(rust) = &draft.rust {
            types.insert(&rust.type_ident, draft);
        }
    }
    let mut told = ByName::default();
    for draft in drafts {
        let Some((message, given)) = draft.text("message").zip(draft.get("message")) else {
            continue;
        };
        let Some(name) = message
            .strip_prefix("crate::")
            .filter(|name| !name.contains("::"))
        else {
            continue;
        };
        let Some(service) = types.get(name).filter(|_| told.insert(name, ()).is_none()) else {
            continue;
        };
        let message = format!(
            "service {} becomes the type `{name}`, which is a message's name",
            show(&service.name)
        );
        mistakes.push(
            Mistake::new(codes::MESSAGE_TYPE_NAME, service.name_span, message)
                .label(format!("becomes `{name}`"))
                .also(given.value_span, "the message")
                .help(format!(
                    "add `ident = \"{}_sink\"`, or keep `include_sinks!()` in a module of its own",
                    service
                        .rust
                        .as_ref()
                        .map_or(service.name.as_str(), |rust| rust.bare())
                ))
                .of(&service.name),
        );
    }
}
