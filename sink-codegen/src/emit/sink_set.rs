//! `SinkSet`: the sinks as values, for tests and dependency injection. Same types as `Sinks`, so code takes either.
//!
//! One method per service and nothing over all of them: a function that makes every sink is compiled whether or not it is
//! called, and rustc's time for it grows with the square of the services (a thousand: 40 s). `#[inline]` leaves a method
//! that nobody calls uncompiled.
//!
//! Nothing here asks that a message type derives `Message`: one place asks it, and one error says so.

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use sink_schema::{CompositePlan, Kind, LeafPlan, Plan, Role, ServicePlan};

use super::{messages, messages::MessageAlias, names, stubs, types};

/// `pub struct SinkSet` and its builder.
pub(super) fn emit(plan: &Plan, messages: &[MessageAlias]) -> TokenStream {
    let known: Vec<&ServicePlan> = plan
        .services
        .iter()
        .filter(|service| !service.runtime)
        .collect();
    let set = set(plan, &known);
    let builder = builder(plan, &known, messages);
    quote! { #set #builder }
}

fn set(plan: &Plan, known: &[&ServicePlan]) -> TokenStream {
    let services = Literal::usize_unsuffixed(known.len());
    let members = known
        .iter()
        .enumerate()
        .map(|(place, service)| member(plan, place, service));
    let stubs = stubs::set(plan);
    quote! {
        /// The sinks of [`Sinks`] as values of their own, for tests and for programs that pass their sinks along.
        ///
        /// What replaces a leaf replaces it everywhere, in the composites too.
        #[derive(Clone, Debug)]
        #[allow(dead_code, unreachable_pub)]
        pub struct SinkSet {
            set: ::std::sync::Arc<__sink_runtime::Set>,
        }
        #[allow(dead_code, non_snake_case, private_bounds, private_interfaces, unreachable_pub, clippy::all, clippy::pedantic)]
        impl SinkSet {
            /// Starts with the real sinks, each of which can be replaced.
            pub fn builder() -> SinkSetBuilder {
                SinkSetBuilder { set: __sink_runtime::Set::new(#services) }
            }
            #(#members)*
            #(#stubs)*
        }
    }
}

fn member(plan: &Plan, place: usize, service: &ServicePlan) -> TokenStream {
    let ident = names::ident(&service.ident);
    let alias = names::sink_type(service);
    let doc = format!(" [`Sinks::{}`] of this set.", service.ident);
    let place = Literal::usize_unsuffixed(place);
    let sink = match &service.kind {
        Kind::Leaf(leaf) => match leaf.role {
            Role::Relay => quote! { relay(#place) },
            Role::Direct => quote! { direct(#place) },
        },
        Kind::Composite(composite) => {
            let value = self::composite(plan, service, composite);
            quote! { composite(#place, || #value) }
        }
    };
    quote! {
        #[doc = #doc]
        #[inline]
        pub fn #ident(&self) -> &::std::sync::Arc<#alias> {
            self.set.#sink
        }
    }
}

fn composite(plan: &Plan, service: &ServicePlan, composite: &CompositePlan) -> TokenStream {
    let alias = names::sink_type(service);
    let name = &service.name;
    let branches = types::members(plan, composite).map(|member| {
        let ident = names::ident(&member.ident);
        let branch = quote! { __sink_runtime::Ref::Shared(::std::sync::Arc::clone(self.#ident())) };
        if types::is_optional(composite, member) {
            quote! { __sink_runtime::Optional(#branch) }
        } else {
            branch
        }
    });
    quote! { #alias::compiled(#name, &__REGISTRY, (#(#branches,)*)) }
}

fn builder(plan: &Plan, known: &[&ServicePlan], messages: &[MessageAlias]) -> TokenStream {
    let doubles = known
        .iter()
        .enumerate()
        .filter_map(|(place, service)| match &service.kind {
            Kind::Leaf(leaf) => Some(double(place, service, leaf, messages)),
            Kind::Composite(_) => None,
        });
    let stubs = stubs::builder(plan);
    quote! {
        /// Builds a [`SinkSet`].
        #[derive(Debug)]
        #[must_use = "nothing is built before `build()`"]
        #[allow(dead_code, unreachable_pub)]
        pub struct SinkSetBuilder {
            set: __sink_runtime::Set,
        }
        #[allow(dead_code, non_snake_case, private_bounds, private_interfaces, unreachable_pub, clippy::all, clippy::pedantic)]
        impl SinkSetBuilder {
            #(#doubles)*
            #(#stubs)*
            /// Lets every leaf that is not replaced keep its messages in memory instead of sending them:
            /// `set.name().recorded()` shows them.
            pub fn others_recording(self) -> Self {
                SinkSetBuilder { set: self.set.others_recording() }
            }
            /// Builds the set.
            pub fn build(self) -> SinkSet {
                SinkSet { set: ::std::sync::Arc::new(self.set) }
            }
        }
    }
}

fn double(
    place: usize,
    service: &ServicePlan,
    leaf: &LeafPlan,
    messages: &[MessageAlias],
) -> TokenStream {
    let ident = names::ident(&service.ident);
    let put = match leaf.role {
        Role::Relay => quote! { double_relay },
        Role::Direct => quote! { double_direct },
    };
    let message = messages::of(service, messages);
    let doc = format!(
        " Sends to `double` what goes to [`SinkSet::{}`].",
        service.ident
    );
    let place = Literal::usize_unsuffixed(place);
    quote! {
        #[doc = #doc]
        pub fn #ident(self, double: impl __sink_runtime::MessageSink<#message> + 'static) -> Self {
            SinkSetBuilder { set: self.set.#put::<#message, __types::services::#ident, _>(#place, double) }
        }
    }
}
