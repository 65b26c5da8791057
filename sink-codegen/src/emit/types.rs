//! One type alias per service, where it can be in nobody's way.
//!
//! An alias stands beside `Sinks`, among the user's own items, and a service may well be named like its message or like
//! something imported there: `[services.tick]` with `crate::Tick`. So the aliases have a module of their own and come out of
//! it by globs, which give way to whatever has the name already; and so does the module `services`. A glob for each: of a private item that hides one name of a
//! glob that exports others too, rustc warns.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use sink_schema::{CompositePlan, Kind, LeafPlan, Pattern, Plan, Role, ServicePlan};

use super::{docs, messages, messages::MessageAlias, names, services, stubs};

/// The types of generated code itself.
pub(super) const OWN: [&str; 4] = ["Sinks", "Sources", "SinkSet", "SinkSetBuilder"];

/// `pub type MarketDataRelay = …` for each service that the program knows.
pub(super) fn emit(plan: &Plan, messages: &[MessageAlias]) -> TokenStream {
    let known = plan.services.iter().filter(|service| !service.runtime);
    let aliases = known.clone().map(|service| alias(plan, service, messages));
    let stubs = stubs::types(plan);
    let names = known.map(|service| &service.type_ident);
    let names = names.chain(stubs.iter().map(|(name, _)| *name));
    let beside = names.filter(|name| !gives_way(name, messages));
    let beside: Vec<Ident> = beside.map(|name| names::ident(name)).collect();
    let modules: Vec<Ident> = beside.iter().map(module).collect();
    let stubs = stubs.iter().map(|(_, stub)| stub);
    let services = services::emit(plan);
    quote! {
        #[allow(dead_code, non_snake_case, private_bounds, private_interfaces, unreachable_pub, unused_imports, clippy::pedantic)]
        pub(crate) mod __types {
            use super::__sink_runtime;
            #services
            #(#aliases)*
            #(#stubs)*
            pub mod __services { pub use super::services; }
            #(pub mod #modules { pub use super::#beside; })*
        }
        #[allow(unreachable_pub, unused_imports)]
        pub use __types::{__services::*, #(#modules::*),*};
    }
}

/// Puts `items` into a module, and imports what a user names from it: `handed_out`, and what stands for the whole.
pub(crate) fn in_module(
    items: &TokenStream,
    whole: Whole,
    handed_out: &[TokenStream],
) -> TokenStream {
    let own = OWN.iter().map(|name| names::ident(name));
    let own: Vec<Ident> = own.collect();
    let modules: Vec<Ident> = own.iter().map(module).collect();
    let ways_out =
        quote! { #(#[allow(non_snake_case)] pub(crate) mod #modules { pub use super::#own; })* };
    let name = names::ident(match whole {
        Whole::ByName => "__sinks",
        Whole::ByGlob => "__sinks_of_this_place",
    });
    let (ways_out, whole) = match whole {
        Whole::ByName => (None, quote! { #(#own,)* }),
        Whole::ByGlob if handed_out.is_empty() => (None, TokenStream::new()),
        Whole::ByGlob => (Some(ways_out), quote! { #(#modules::*,)* }),
    };
    let rest = match handed_out {
        [] => quote! { * },
        paths => quote! { #(#paths),* },
    };
    quote! {
        #[allow(unused_imports)]
        mod #name {
            use super::*;
            #items
            #ways_out
        }
        #[allow(unreachable_pub, unused_imports)]
        pub use #name::{#whole #rest};
    }
}

/// How `Sinks` and what stands beside it come out of the module around generated code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// One by one: rustc then calls them by these names, not by their paths. A second set beside them is an error for each.
    ByName,
    /// By globs: a second set beside them is no error of theirs.
    ByGlob,
}

/// What a user names of the module around generated code beside `Sinks`: paths from it, each a glob, as above.
pub(crate) fn handed_out(plan: &Plan) -> Vec<String> {
    let messages = messages::aliases(plan);
    let known = plan.services.iter().filter(|service| !service.runtime);
    let names = known.map(|service| service.type_ident.as_str());
    let beside = names.filter(|name| !gives_way(name, &messages));
    let beside = beside.map(|name| format!("__types::{}::*", module(&names::ident(name))));
    std::iter::once("__types::__services::*".to_owned())
        .chain(beside)
        .collect()
}

/// The module that an alias comes out of.
fn module(alias: &Ident) -> Ident {
    names::ident(&format!("__{alias}"))
}

/// Whether the name beside `Sinks` belongs to something else for certain: a glob would give way to an item, but not to
/// another glob, it would hide the prelude, and a message that is not there would be taken for its sink.
fn gives_way(name: &str, messages: &[MessageAlias]) -> bool {
    const PRELUDE: [&str; 34] = [
        "Option",
        "Result",
        "String",
        "Vec",
        "Box",
        "Send",
        "Sync",
        "Sized",
        "Copy",
        "Clone",
        "Drop",
        "Fn",
        "FnMut",
        "FnOnce",
        "Iterator",
        "IntoIterator",
        "Extend",
        "Default",
        "Eq",
        "PartialEq",
        "Ord",
        "PartialOrd",
        "AsRef",
        "AsMut",
        "Into",
        "From",
        "ToOwned",
        "ToString",
        "TryFrom",
        "TryInto",
        "FromIterator",
        "DoubleEndedIterator",
        "ExactSizeIterator",
        "Future",
    ];
    let is_message = |message: &MessageAlias| {
        let path = message.path.as_str();
        let path = path
            .strip_prefix("crate::")
            .or_else(|| path.strip_prefix("self::"))
            .unwrap_or(path);
        path == name
    };
    OWN.contains(&name) || PRELUDE.contains(&name) || messages.iter().any(is_message)
}

fn alias(plan: &Plan, service: &ServicePlan, messages: &[MessageAlias]) -> TokenStream {
    let ident = names::ident(&service.type_ident);
    let docs = docs::service(plan, service, "super::Sinks");
    let sink = match &service.kind {
        Kind::Leaf(leaf) => self::leaf(service, leaf, messages),
        Kind::Composite(composite) => self::composite(plan, composite),
    };
    quote! {
        #docs
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
    quote! { __sink_runtime::Lazy<__sink_runtime::#kind<super::#message, services::#tag>> }
}

fn composite(plan: &Plan, composite: &CompositePlan) -> TokenStream {
    let kind = pattern(composite);
    let branches = members(plan, composite).map(|member| {
        let ident = names::ident(&member.type_ident);
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
