//! One type alias per service.

use proc_macro2::TokenStream;
use quote::quote;
use sink_schema::{CompositePlan, Kind, LeafPlan, Pattern, Plan, Role, ServicePlan};

use super::{docs, messages, messages::MessageAlias, names};

/// `pub type MarketDataRelay = …` for each service that the program knows.
pub(super) fn emit(plan: &Plan, messages: &[MessageAlias]) -> TokenStream {
    let known = plan.services.iter().filter(|service| !service.runtime);
    known
        .map(|service| alias(plan, service, messages))
        .collect()
}

fn alias(plan: &Plan, service: &ServicePlan, messages: &[MessageAlias]) -> TokenStream {
    let ident = names::type_ident(service);
    let docs = docs::service(plan, service);
    let sink = match &service.kind {
        Kind::Leaf(leaf) => self::leaf(service, leaf, messages),
        Kind::Composite(composite) => self::composite(plan, composite),
    };
    quote! {
        #docs
        #[allow(dead_code, non_snake_case, private_bounds, private_interfaces, unreachable_pub, clippy::pedantic)]
        pub type #ident = #sink;
    }
}

fn leaf(service: &ServicePlan, leaf: &LeafPlan, messages: &[MessageAlias]) -> TokenStream {
    let tag = names::ident(&service.ident);
    let message = messages::of(service, messages);
    let kind = match leaf.role {
        Role::Relay => quote! { Relay },
        Role::Direct => quote! { Direct },
    };
    quote! { __sink_runtime::Lazy<__sink_runtime::#kind<#message, services::#tag>> }
}

fn composite(plan: &Plan, composite: &CompositePlan) -> TokenStream {
    let kind = pattern(composite);
    let branches = members(plan, composite).map(|member| {
        let ident = names::type_ident(member);
        let branch = quote! { __sink_runtime::Ref<#ident> };
        if is_optional(composite, member) {
            quote! { __sink_runtime::Optional<#branch> }
        } else {
            branch
        }
    });
    quote! { __sink_runtime::#kind<(#(#branches,)*)> }
}

/// The runtime's type for a pattern.
fn pattern(composite: &CompositePlan) -> TokenStream {
    match composite.pattern {
        Pattern::FanOut => quote! { FanOut },
        Pattern::Failover => quote! { Failover },
        Pattern::RoundRobin => quote! { RoundRobin },
        Pattern::Partition => quote! { Partition },
    }
}

/// The members of a composite, in the order of its `targets`; the schema dropped composites with unsound ones.
pub(super) fn members<'a>(
    plan: &'a Plan,
    composite: &'a CompositePlan,
) -> impl Iterator<Item = &'a ServicePlan> {
    composite
        .targets
        .iter()
        .filter_map(|target| plan.find(target))
}

/// Whether a member neither blocks nor decides.
pub(super) fn is_optional(composite: &CompositePlan, member: &ServicePlan) -> bool {
    composite.optional.contains(&member.name)
}
