//! Message types of the registry, each named once by an alias that carries its line.
//!
//! A misspelt `message` is then one error of rustc, with rustc's own suggestion, in a line that reads
//! `type services_toml_line_12 = crate::PoolEvnt; // services.toml:12: …`, however many services use it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use sink_schema::{Codec, Kind, Plan, ServicePlan};

use super::names;

/// One message type and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct MessageAlias {
    /// The type as the registry writes it.
    pub(crate) path: String,
    /// `services_toml_line_12`.
    pub(crate) ident: Ident,
    /// Services that carry it, each with its place in the registry.
    pub(crate) users: Vec<(String, String)>,
    /// Some of them send it by postcard.
    by_places: bool,
}

/// The distinct message types of all leaves, in registry order.
pub(crate) fn aliases(plan: &Plan) -> Vec<MessageAlias> {
    let mut aliases: Vec<MessageAlias> = Vec::new();
    for service in &plan.services {
        let Kind::Leaf(leaf) = &service.kind else {
            continue;
        };
        let Some(path) = &leaf.message else { continue };
        let location = service
            .message_location
            .as_ref()
            .unwrap_or(&service.location);
        let user = (service.name.clone(), names::place(location));
        let by_places = leaf.codec == Codec::Postcard;
        if let Some(alias) = aliases.iter_mut().find(|alias| alias.path == *path) {
            alias.users.push(user);
            alias.by_places |= by_places;
            continue;
        }
        let ident = unused(&aliases, &names::line_ident(location));
        aliases.push(MessageAlias {
            path: path.clone(),
            ident,
            users: vec![user],
            by_places,
        });
    }
    aliases
}

/// A line may name several types when tables are written inline.
fn unused(aliases: &[MessageAlias], wanted: &str) -> Ident {
    let taken = |name: &str| aliases.iter().any(|alias| alias.ident == name);
    let numbered = (2..).map(|n| format!("{wanted}_{n}"));
    let name = std::iter::once(wanted.to_owned())
        .chain(numbered)
        .find(|name| !taken(name))
        .expect("names do not end");
    Ident::new(&name, Span::call_site())
}

/// `type services_toml_line_12 = crate::Tick;`
///
/// What is `nested` stands a module below the one that paths are relative to.
pub(super) fn emit(alias: &MessageAlias, nested: bool) -> TokenStream {
    let ident = &alias.ident;
    let path: TokenStream = alias.path.parse().unwrap_or_default();
    let path = match alias.path.split_once("::") {
        Some(("self", rest)) if nested => format!("super::{rest}").parse().unwrap_or(path),
        Some(("super", _)) if nested => quote! { super::#path },
        _ => path,
    };
    quote! {
        #[allow(non_camel_case_types)]
        type #ident = #path;
    }
}

/// The row that the registry in force is compared with: a path may call a type by another name than its own.
///
/// What only a codec with names can carry is an error here; a constant of its own for each, so that all of them are shown.
pub(super) fn expectation(alias: &MessageAlias) -> TokenStream {
    let ident = &alias.ident;
    let services = alias.users.iter().map(|(name, _)| name);
    match alias.by_places {
        false => quote! { __sink_runtime::Expect::of::<#ident>(&[#(#services),*]) },
        true => quote! {
            {
                const EXPECTED: __sink_runtime::Expect = __sink_runtime::Expect::by_places::<#ident>(&[#(#services),*]);
                EXPECTED
            }
        },
    }
}

/// The table of the leaves that carry a service's message type: `__leaves_of_services_toml_line_12`.
pub(super) fn leaves(service: &ServicePlan, aliases: &[MessageAlias]) -> Ident {
    match alias(service, aliases) {
        Some(MessageAlias { ident, .. }) => quote::format_ident!("__leaves_of_{ident}"),
        None => Ident::new("__leaves_of_message", Span::call_site()),
    }
}

/// The type that a service carries; `Message` if the registry names none.
pub(super) fn of(service: &ServicePlan, aliases: &[MessageAlias]) -> TokenStream {
    match alias(service, aliases) {
        Some(MessageAlias { ident, .. }) => quote! { #ident },
        None => quote! { __sink_runtime::Message },
    }
}

fn alias<'a>(service: &ServicePlan, aliases: &'a [MessageAlias]) -> Option<&'a MessageAlias> {
    let message = match &service.kind {
        Kind::Leaf(leaf) => &leaf.message,
        Kind::Composite(composite) => &composite.message,
    };
    let path = message.as_ref()?;
    aliases.iter().find(|alias| alias.path == *path)
}
