//! What the sinks of all accessors are at run time, constructed by the compiler: an accessor does no work.
//!
//! Leaves that carry one message type stand in one table, and a tag says which row is its own: a static for each, of a type
//! of its own, was a third of what a registry costs to compile.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use sink_schema::{CompositePlan, Kind, Plan, ServicePlan};

use super::{messages, messages::MessageAlias, names, types};

/// The leaves that carry one message type.
struct Table<'a> {
    ident: Ident,
    message: TokenStream,
    leaves: Vec<&'a ServicePlan>,
}

/// One table for each message type of the leaves that the program knows, in registry order.
fn tables<'a>(plan: &'a Plan, messages: &[MessageAlias]) -> Vec<Table<'a>> {
    let mut tables: Vec<Table> = Vec::new();
    for service in known(plan).filter(|service| matches!(service.kind, Kind::Leaf(_))) {
        let ident = messages::leaves(service, messages);
        match tables.iter_mut().find(|table| table.ident == ident) {
            Some(table) => table.leaves.push(service),
            None => tables.push(Table {
                message: messages::of(service, messages),
                ident,
                leaves: vec![service],
            }),
        }
    }
    tables
}

fn known(plan: &Plan) -> impl Iterator<Item = &ServicePlan> {
    plan.services.iter().filter(|service| !service.runtime)
}

/// `mod __statics { pub(super) static broadcast_group: … }`, the tables of leaves and the row of each.
pub(super) fn emit(plan: &Plan, messages: &[MessageAlias]) -> TokenStream {
    let tables = tables(plan, messages);
    let items = tables.iter().map(table);
    let rows = tables.iter().flat_map(rows);
    let composites = known(plan).filter_map(|service| match &service.kind {
        Kind::Leaf(_) => None,
        Kind::Composite(composite) => Some(self::composite(plan, service, composite)),
    });
    quote! {
        #(#items)*
        #(#rows)*
        #[allow(non_upper_case_globals)]
        mod __statics {
            #(#composites)*
        }
    }
}

fn table(table: &Table) -> TokenStream {
    let Table {
        ident,
        message,
        leaves,
    } = table;
    let count = Literal::usize_unsuffixed(leaves.len());
    let services = leaves.iter().map(|service| &service.name);
    quote! {
        #[doc(hidden)]
        #[allow(
            missing_copy_implementations,
            missing_debug_implementations,
            non_camel_case_types,
            private_interfaces,
            unreachable_pub
        )]
        pub enum #ident {}
        impl __sink_runtime::Leaves<#message> for #ident {
            #[inline]
            fn slots() -> &'static [__sink_runtime::Slot<#message>] {
                static SLOTS: [__sink_runtime::Slot<#message>; #count] =
                    __sink_runtime::Slot::table::<__Registry, #count>([#(#services),*]);
                &SLOTS
            }
        }
    }
}

fn rows<'a>(table: &'a Table) -> impl Iterator<Item = TokenStream> + 'a {
    let Table { ident, message, .. } = table;
    table
        .leaves
        .iter()
        .enumerate()
        .map(move |(place, service)| {
            let tag = names::ident(&service.ident);
            let place = Literal::usize_unsuffixed(place);
            quote! {
                impl __sink_runtime::LeafService<#message> for __types::services::#tag {
                    type Leaves = #ident;
                    const PLACE: usize = #place;
                }
            }
        })
}

fn composite(plan: &Plan, service: &ServicePlan, composite: &CompositePlan) -> TokenStream {
    let ident = names::ident(&service.ident);
    let alias = names::sink_type(service);
    let name = &service.name;
    let branches = types::members(plan, composite).map(|member| {
        let branch = match &member.kind {
            Kind::Leaf(_) => {
                let alias = names::sink_type(member);
                quote! { super::__sink_runtime::Ref::Static(super::#alias::SINK) }
            }
            Kind::Composite(_) => {
                let ident = names::ident(&member.ident);
                quote! { super::__sink_runtime::Ref::Single(&#ident) }
            }
        };
        if types::is_optional(composite, member) {
            quote! { super::__sink_runtime::Optional(#branch) }
        } else {
            branch
        }
    });
    quote! {
        pub(super) static #ident: super::__sink_runtime::Single<super::#alias> =
            super::__sink_runtime::Single::new(super::#alias::compiled(#name, &super::__REGISTRY, (#(#branches,)*)));
    }
}
