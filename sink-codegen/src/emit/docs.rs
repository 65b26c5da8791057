//! Documentation of generated items: what a reader of the code wants to know without opening the registry.

use proc_macro2::TokenStream;
use quote::quote;
use sink_schema::{
    Ack, CompositePlan, Endpoint, Kind, LeafPlan, Pattern, Plan, Role, ServicePlan, WhenFull,
};

use super::{names, services, types};

/// The author's words, then the facts; `sinks` is the path to `Sinks` from where they stand.
pub(super) fn service(plan: &Plan, service: &ServicePlan, sinks: &str) -> TokenStream {
    let facts = match &service.kind {
        Kind::Leaf(leaf) => leaf_facts(service, leaf),
        Kind::Composite(composite) => composite_facts(plan, service, composite, sinks),
    };
    lines(words(service).into_iter().chain(facts))
}

/// What the receiving end of a leaf does.
pub(super) fn source(service: &ServicePlan) -> TokenStream {
    let Kind::Leaf(leaf) = &service.kind else {
        return TokenStream::new();
    };
    let place = names::place(&service.location);
    let name = crate::text::one_line(&service.name);
    let receives = match leaf.role {
        Role::Relay => format!(
            "Subscribes to `{name}` at {}. `{place}`",
            endpoint(&leaf.endpoint)
        ),
        Role::Direct => {
            format!(
                "Listens for `{name}` at {}. `{place}`",
                endpoint(leaf.bind.as_ref().unwrap_or(&leaf.endpoint))
            )
        }
    };
    lines([receives])
}

fn lines(lines: impl IntoIterator<Item = String>) -> TokenStream {
    let lines = lines.into_iter().map(|line| {
        if line.is_empty() {
            line
        } else {
            format!(" {line}")
        }
    });
    quote! { #(#[doc = #lines])* }
}

/// The `doc` of the registry, or the name if there is none; then a paragraph's end.
fn words(service: &ServicePlan) -> Vec<String> {
    let mut words = service
        .doc
        .as_deref()
        .map(crate::text::doc_lines)
        .unwrap_or_default();
    if words.iter().all(String::is_empty) {
        words = vec![format!("`{}`.", crate::text::one_line(&service.name))];
    }
    words.push(String::new());
    words
}

fn leaf_facts(service: &ServicePlan, leaf: &LeafPlan) -> Vec<String> {
    let kind = match leaf.role {
        Role::Relay => "relay",
        Role::Direct => "direct",
    };
    vec![format!(
        "`{}` · {kind} · {} · {} · {}",
        names::place(&service.location),
        endpoint(&leaf.endpoint),
        guarantee(service),
        when_full(leaf.when_full),
    )]
}

fn composite_facts(
    plan: &Plan,
    service: &ServicePlan,
    composite: &CompositePlan,
    sinks: &str,
) -> Vec<String> {
    let kind = match composite.pattern {
        Pattern::FanOut => "fan-out",
        Pattern::Failover => "failover",
        Pattern::RoundRobin => "round robin",
        Pattern::Partition => "partition",
    };
    let members: Vec<&ServicePlan> = types::members(plan, composite).collect();
    let mut facts = vec![
        format!(
            "`{}` · {kind} · {}",
            names::place(&service.location),
            guarantee(service)
        ),
        String::new(),
    ];
    facts.push(format!(
        "Members: {}.",
        list(
            members
                .iter()
                .map(|member| self::member(composite, member, sinks))
        )
    ));
    if composite.pattern == Pattern::FanOut {
        facts.extend([
            String::new(),
            accepts(composite),
            who_blocks(composite, &members),
        ]);
    }
    facts
}

fn member(composite: &CompositePlan, member: &ServicePlan, sinks: &str) -> String {
    let optional = if types::is_optional(composite, member) {
        " (optional)"
    } else {
        ""
    };
    format!(
        "[`{}`]({sinks}::{}){optional}",
        crate::text::one_line(&member.name),
        member.ident
    )
}

fn accepts(composite: &CompositePlan) -> String {
    match composite.ack {
        Ack::All => "A message is accepted when every required member has room for it.".to_owned(),
        Ack::Any => "A message is accepted when one member has it.".to_owned(),
        Ack::Quorum(n) => format!("A message is accepted when {n} members have it."),
    }
}

/// PROMISES 7.2: a full required branch under `block` holds up the others, and the docs say which those are.
fn who_blocks(composite: &CompositePlan, members: &[&ServicePlan]) -> String {
    let blocks = |member: &&&ServicePlan| match &member.kind {
        Kind::Leaf(leaf) => leaf.when_full == WhenFull::Block,
        Kind::Composite(_) => true,
    };
    let required = members
        .iter()
        .filter(|member| !types::is_optional(composite, member));
    let blocking: Vec<String> = required
        .filter(blocks)
        .map(|member| format!("`{}`", crate::text::one_line(&member.name)))
        .collect();
    match (composite.ack, blocking.as_slice()) {
        (Ack::All, []) | (Ack::Any | Ack::Quorum(_), _) => {
            "No member holds up the others.".to_owned()
        }
        (Ack::All, [one]) => format!("When {one} is full, it holds up the others."),
        (Ack::All, many) => format!(
            "When one of {} is full, it holds up the others.",
            list(many.iter().cloned())
        ),
    }
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}

fn guarantee(service: &ServicePlan) -> &'static str {
    if services::promises_at_least_once(service) {
        "at least once"
    } else {
        "at most once"
    }
}

fn when_full(when_full: WhenFull) -> &'static str {
    match when_full {
        WhenFull::Block => "blocks when full",
        WhenFull::Reject => "rejects when full",
        WhenFull::DropNewest => "drops the newest when full",
        WhenFull::DropOldest => "drops the oldest when full",
        WhenFull::Spill => "spills to disk when full",
    }
}

/// The address without userinfo, whatever the schema let through: docs are published.
fn endpoint(endpoint: &Endpoint) -> String {
    let text = crate::text::one_line(&endpoint.to_string()).replace('`', "'");
    let shown = match text.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!(
                "{scheme}://{}{path}",
                authority.rsplit('@').next().unwrap_or_default()
            )
        }
        None => text,
    };
    format!("`{shown}`")
}
