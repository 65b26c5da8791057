//! Rules between keys and between services, then the plan of what is sound. One file per kind of rule, one function per rule.

mod address;
mod composite;
mod effect;
mod graph;
mod guarantee;
mod leaf;
mod plan;

use crate::codes;
use crate::draft::Draft;
use crate::mistakes::{Mistake, Mistakes};
use crate::plan::Plan;
use crate::raw::Registry;
use crate::text::Span;

pub(crate) use guarantee::judge as keep_guarantees;

/// Judges all drafts and plans the sound ones.
pub(crate) fn resolve(
    mut drafts: Vec<Draft>,
    registry: &Registry,
    mistakes: &mut Mistakes,
) -> Plan {
    if drafts.is_empty() && !registry.torn && mistakes.is_empty() {
        let mistake = Mistake::new(
            codes::EMPTY_REGISTRY,
            Span::default(),
            "the registry names no service",
        );
        mistakes.push(mistake.help("add `[services.name]` with `type = \"relay\"`"));
    }
    for draft in &mut drafts {
        if draft.is_leaf() && !draft.torn {
            address::judge(draft, mistakes);
            leaf::judge(draft, mistakes);
            effect::judge(draft, mistakes);
        }
    }
    address::duplicates(&drafts, mistakes);
    let graph = composite::judge(&drafts, registry, mistakes);
    let facts = graph::judge(&drafts, &graph, mistakes);
    composite::single_targets(&drafts, &graph, |at| facts[at].is_some(), mistakes);
    let mut plan = plan::plan(&drafts, &graph, &facts, mistakes);
    plan.incomplete = registry.nameless;
    plan
}
