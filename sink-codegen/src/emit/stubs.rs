//! Names of broken services, so that a mistake in the registry does not become a mistake at every use.
//!
//! Their type is `__Broken`, which `include_sinks!` defines as an array whose length is the compile error itself: rustc
//! knows such a type to be in error already and says nothing about what is done with it.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use sink_schema::Plan;

use super::names;
use crate::input::Options;

/// `pub type StrategyA = __Broken;`, each behind its name.
pub(super) fn types(plan: &Plan) -> Vec<(&String, TokenStream)> {
    let mut taken: HashSet<&str> = plan
        .services
        .iter()
        .map(|service| service.type_ident.as_str())
        .collect();
    let types = plan
        .broken
        .iter()
        .filter(|service| taken.insert(&service.type_ident));
    types
        .map(|service| {
            let ident = names::ident(&service.type_ident);
            let doc = format!(
                " Broken: see the mistakes at `{}`.",
                names::place(&service.location)
            );
            let stub = quote! {
                #[doc = #doc]
                pub type #ident = super::__Broken;
            };
            (&service.type_ident, stub)
        })
        .collect()
}

/// What a registry leaves that cannot be read to its end: nobody knows its names, so every name of `Sinks` is right, and so
/// are the types of the services that were read all the same.
pub(crate) fn everything(plan: &Plan, options: &Options) -> TokenStream {
    let runtime = options
        .runtime_path
        .as_deref()
        .map(super::registry::runtime);
    let read = plan.services.iter();
    let read = read.map(|service| (&service.ident, &service.type_ident));
    let torn = plan.broken.iter();
    let read = read.chain(torn.map(|service| (&service.ident, &service.type_ident)));
    let (tags, types): (Vec<&String>, Vec<&String>) = read.unzip();
    let types = super::types::OWN
        .into_iter()
        .chain(types.into_iter().map(String::as_str));
    let types = once_each(types);
    let tags = once_each(tags.into_iter().map(String::as_str));
    quote! {
        #runtime
        #(
            #[doc(hidden)]
            #[allow(dead_code, unreachable_pub)]
            pub type #types = __Broken;
        )*
        #[doc(hidden)]
        #[allow(dead_code, non_camel_case_types, unreachable_pub)]
        pub mod services {
            #(pub type #tags = super::__Broken;)*
        }
    }
}

fn once_each<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Ident> {
    let mut seen = HashSet::new();
    names
        .filter(|name| seen.insert(*name))
        .map(names::ident)
        .collect()
}

/// Accessors that return the error.
pub(super) fn sinks(plan: &Plan) -> Vec<TokenStream> {
    idents(plan)
        .into_iter()
        .map(|ident| quote! { pub fn #ident() -> &'static __Broken { loop {} } })
        .collect()
}

/// Receiving ends that are the error.
pub(super) fn sources(plan: &Plan) -> Vec<TokenStream> {
    idents(plan)
        .into_iter()
        .map(|ident| quote! { pub fn #ident() -> __Broken { loop {} } })
        .collect()
}

/// Members of a set that are the error.
pub(super) fn set(plan: &Plan) -> Vec<TokenStream> {
    idents(plan)
        .into_iter()
        .map(|ident| quote! { pub fn #ident(&self) -> &__Broken { loop {} } })
        .collect()
}

/// A builder that was asked to replace a broken service is the error from then on.
pub(super) fn builder(plan: &Plan) -> Vec<TokenStream> {
    idents(plan)
        .into_iter()
        .map(|ident| quote! { pub fn #ident<T>(self, _: T) -> __Broken { loop {} } })
        .collect()
}

/// Names and old names of broken services that no sound service has.
fn idents(plan: &Plan) -> Vec<Ident> {
    let sound = plan.services.iter().flat_map(|service| {
        std::iter::once(service.ident.as_str())
            .chain(service.aliases.iter().map(|alias| alias.ident.as_str()))
    });
    let mut taken: HashSet<&str> = sound.collect();
    let broken = plan.broken.iter().flat_map(|service| {
        std::iter::once(service.ident.as_str())
            .chain(service.aliases.iter().map(|alias| alias.ident.as_str()))
    });
    broken
        .filter(|ident| taken.insert(ident))
        .map(names::ident)
        .collect()
}
