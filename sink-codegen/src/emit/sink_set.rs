//! `SinkSet`: the sinks as values, for tests and dependency injection. Same types as `Sinks`, so code takes either.
//!
//! `for<'a> Tick: MessageType` keeps rustc from asking that of a message type here too: one place asks it, and one error says so.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::quote;
use sink_schema::{CompositePlan, Kind, Plan, ServicePlan};

use super::{docs, messages, messages::MessageAlias, names, stubs, types};

/// `pub struct SinkSet` and its builder.
pub(super) fn emit(plan: &Plan, messages: &[MessageAlias]) -> TokenStream {
    let known: Vec<&ServicePlan> = plan
        .services
        .iter()
        .filter(|service| !service.runtime)
        .collect();
    let leaves: Vec<&ServicePlan> = known
        .iter()
        .copied()
        .filter(|service| matches!(service.kind, Kind::Leaf(_)))
        .collect();
    let set = set(plan, &known, &leaves);
    let builder = builder(plan, &known, &leaves, messages);
    quote! { #set #builder }
}

fn set(plan: &Plan, known: &[&ServicePlan], leaves: &[&ServicePlan]) -> TokenStream {
    let idents: Vec<_> = known
        .iter()
        .map(|service| names::ident(&service.ident))
        .collect();
    let types: Vec<_> = known
        .iter()
        .map(|service| names::type_ident(service))
        .collect();
    let docs = known.iter().map(|service| docs::service(plan, service));
    let leaves = leaves.iter().map(|service| names::ident(&service.ident));
    let stubs = stubs::set(plan);
    quote! {
        /// The sinks of [`Sinks`] as values of their own, for tests and for programs that pass their sinks along.
        ///
        /// What replaces a leaf replaces it everywhere, in the composites too.
        #[derive(Clone)]
        #[allow(dead_code, non_snake_case, unreachable_pub, clippy::pedantic)]
        pub struct SinkSet {
            #(#idents: ::std::sync::Arc<#types>,)*
        }
        impl ::core::fmt::Debug for SinkSet {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("SinkSet").finish_non_exhaustive()
            }
        }
        #[allow(dead_code, non_snake_case, unreachable_pub, clippy::all, clippy::pedantic)]
        impl SinkSet {
            /// Starts with the real sinks, each of which can be replaced.
            pub fn builder() -> SinkSetBuilder {
                SinkSetBuilder { #(#leaves: ::core::option::Option::None,)* }
            }
            #(
                #docs
                pub fn #idents(&self) -> &::std::sync::Arc<#types> {
                    &self.#idents
                }
            )*
            #(#stubs)*
        }
    }
}

fn builder(
    plan: &Plan,
    known: &[&ServicePlan],
    leaves: &[&ServicePlan],
    messages: &[MessageAlias],
) -> TokenStream {
    let idents: Vec<_> = leaves
        .iter()
        .map(|service| names::ident(&service.ident))
        .collect();
    let types: Vec<_> = leaves
        .iter()
        .map(|service| names::type_ident(service))
        .collect();
    let messages: Vec<_> = leaves
        .iter()
        .map(|service| messages::of(service, messages))
        .collect();
    // One bound for each type: a type without its derive is then one error, at the line that names the registry.
    let mut seen = HashSet::new();
    let bounds: Vec<_> = messages
        .iter()
        .filter(|message| seen.insert(message.to_string()))
        .collect();
    let docs = leaves.iter().map(|service| {
        format!(
            " Sends to `double` what goes to [`SinkSet::{}`].",
            service.ident
        )
    });
    let made = in_order(plan, known)
        .into_iter()
        .map(|service| make(plan, service));
    let all = known.iter().map(|service| names::ident(&service.ident));
    let stubs = stubs::builder(plan);
    quote! {
        /// Builds a [`SinkSet`].
        #[must_use = "nothing is built before `build()`"]
        #[allow(dead_code, non_snake_case, unreachable_pub)]
        pub struct SinkSetBuilder {
            #(#idents: ::core::option::Option<#types>,)*
        }
        impl ::core::fmt::Debug for SinkSetBuilder {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct("SinkSetBuilder").finish_non_exhaustive()
            }
        }
        #[allow(dead_code, non_snake_case, unreachable_pub, clippy::all, clippy::pedantic)]
        impl SinkSetBuilder {
            #(
                #[doc = #docs]
                pub fn #idents(mut self, double: impl __sink_runtime::MessageSink<#messages> + 'static) -> Self
                where
                    for<'a> #messages: __sink_runtime::MessageType,
                {
                    self.#idents = ::core::option::Option::Some(#types::double(__sink_runtime::DynSink::new(double)));
                    self
                }
            )*
            #(#stubs)*
            /// Builds the set.
            pub fn build(self) -> SinkSet {
                #(#made)*
                SinkSet { #(#all,)* }
            }
        }
        #[allow(dead_code, non_snake_case, unreachable_pub, unused_mut, clippy::all, clippy::pedantic)]
        impl SinkSetBuilder {
            /// Lets every leaf that is not replaced keep its messages in memory instead of sending them:
            /// `set.name().recorded()` shows them.
            pub fn others_recording(mut self) -> Self
            where
                #(for<'a> #bounds: __sink_runtime::MessageType,)*
            {
                #(
                    if self.#idents.is_none() {
                        self.#idents = ::core::option::Option::Some(#types::recording());
                    }
                )*
                self
            }
        }
    }
}

/// Leaves as they were replaced, composites of what was made before them.
fn make(plan: &Plan, service: &ServicePlan) -> TokenStream {
    let ident = names::ident(&service.ident);
    let alias = names::type_ident(service);
    let value = match &service.kind {
        Kind::Leaf(_) => quote! {
            match self.#ident {
                ::core::option::Option::Some(double) => double,
                ::core::option::Option::None => #alias::leaf(),
            }
        },
        Kind::Composite(composite) => self::composite(plan, service, composite),
    };
    quote! { let #ident = ::std::sync::Arc::new(#value); }
}

fn composite(plan: &Plan, service: &ServicePlan, composite: &CompositePlan) -> TokenStream {
    let alias = names::type_ident(service);
    let name = &service.name;
    let branches = types::members(plan, composite).map(|member| {
        let ident = names::ident(&member.ident);
        let branch = quote! { __sink_runtime::Ref::Shared(::std::sync::Arc::clone(&#ident)) };
        if types::is_optional(composite, member) {
            quote! { __sink_runtime::Optional(#branch) }
        } else {
            branch
        }
    });
    quote! { #alias::compiled(#name, &__REGISTRY, (#(#branches,)*)) }
}

/// Members before their composites; the registry may name them in any order.
fn in_order<'a>(plan: &'a Plan, known: &[&'a ServicePlan]) -> Vec<&'a ServicePlan> {
    let mut ordered = Vec::with_capacity(known.len());
    let mut placed = HashSet::new();
    for service in known {
        place(plan, service, &mut placed, &mut ordered);
    }
    ordered
}

fn place<'a>(
    plan: &'a Plan,
    service: &'a ServicePlan,
    placed: &mut HashSet<&'a str>,
    ordered: &mut Vec<&'a ServicePlan>,
) {
    if !placed.insert(&service.name) {
        return;
    }
    if let Kind::Composite(composite) = &service.kind {
        types::members(plan, composite).for_each(|member| place(plan, member, placed, ordered));
    }
    ordered.push(service);
}
