//! One tag type per service: it gives two services with one message type two types, and carries the guarantee.

use proc_macro2::TokenStream;
use quote::quote;
use sink_schema::{Delivery, Kind, Plan, ServicePlan};

use super::names;

/// `pub mod services { pub struct market_data_relay; … }`, for the module of the aliases.
pub(super) fn emit(plan: &Plan) -> TokenStream {
    let tags = plan.services.iter().map(tag);
    let only_at_run_time = plan
        .services
        .iter()
        .filter(|service| service.runtime)
        .map(explanation);
    let composites = plan.services.iter();
    let composites = composites.filter_map(|service| receives_nothing(plan, service));
    quote! {
        /// One type per service of the registry: it names the service in types, and carries its guarantee.
        // Without derives: three impls for each service were a tenth of what a registry costs to compile, and no tag is ever a value.
        #[allow(
            dead_code,
            missing_copy_implementations,
            missing_debug_implementations,
            non_camel_case_types,
            unreachable_pub
        )]
        pub mod services {
            #(#tags)*
            #(#only_at_run_time)*
            #(#composites)*
        }
    }
}

fn tag(service: &ServicePlan) -> TokenStream {
    let ident = names::ident(&service.ident);
    let name = &service.name;
    let doc = format!(
        " `{}`, `{}`.",
        crate::text::one_line(name),
        names::place(&service.location)
    );
    let guarantee = promises_at_least_once(service).then(|| {
        quote! {
            impl super::__sink_runtime::PromisesAtLeastOnce for #ident {}
        }
    });
    quote! {
        #[doc = #doc]
        pub struct #ident;
        impl super::__sink_runtime::Service for #ident {
            const NAME: &'static str = #name;
            type Registry = super::super::__Registry;
        }
        #guarantee
    }
}

/// Whether nothing that the service took is lost while its producer lives.
pub(super) fn promises_at_least_once(service: &ServicePlan) -> bool {
    match &service.kind {
        Kind::Leaf(leaf) => leaf.delivery == Delivery::AtLeastOnce,
        Kind::Composite(composite) => composite.at_least_once,
    }
}

/// A trait that no tag has, so that rustc explains why the accessor of a `runtime = true` service cannot be called.
fn explanation(service: &ServicePlan) -> TokenStream {
    let ident = explanation_ident(service);
    let name = crate::text::one_line(&service.name).replace(['{', '}'], "");
    let place = names::place(&service.location).replace(['{', '}'], "");
    let message =
        format!("service `{name}` exists only at run time: it has `runtime = true` ({place})");
    let by_name = format!(
        "ask for it by name: `Sinks::dynamic::<{}>(\"{name}\")?`",
        message_path(service)
    );
    quote! {
        #[doc(hidden)]
        #[diagnostic::on_unimplemented(
            message = #message,
            label = "not known when this was compiled",
            note = #by_name,
            note = "its receiving end, if it has one, is `Sources::dynamic`",
            note = "or remove `runtime = true` to have its name checked by the compiler"
        )]
        pub trait #ident {}
        #[diagnostic::do_not_recommend]
        impl #ident for () {}
    }
}

/// The same for the receiving end of a composite, which has none.
fn receives_nothing(plan: &Plan, service: &ServicePlan) -> Option<TokenStream> {
    let Kind::Composite(composite) = &service.kind else {
        return None;
    };
    let ident = nothing_ident(service);
    let name = crate::text::one_line(&service.name).replace(['{', '}'], "");
    let place = names::place(&service.location).replace(['{', '}'], "");
    let message = format!("composite `{name}` has no receiving end ({place})");
    let members = composite.targets.iter();
    let members = members.filter_map(|target| plan.find(target));
    let members = members.filter(|member| member.composite().is_none() && !member.runtime);
    let members: Vec<String> = members
        .take(MEMBERS_NAMED)
        .map(|member| format!("`Sources::{}()`", member.ident))
        .collect();
    let members = match members.is_empty() {
        true => "ask for those of the services that it is made of in the end".to_owned(),
        false => format!("each member has its own, such as {}", members.join(" and ")),
    };
    Some(quote! {
        #[doc(hidden)]
        #[diagnostic::on_unimplemented(
            message = #message,
            label = "what is sent to it arrives at its members",
            note = #members
        )]
        pub trait #ident {}
        #[diagnostic::do_not_recommend]
        impl #ident for () {}
    })
}

/// Members of a composite that its explanation names.
const MEMBERS_NAMED: usize = 2;

pub(super) fn nothing_ident(service: &ServicePlan) -> proc_macro2::Ident {
    names::ident(&format!(
        "__{}_receives",
        service.ident.trim_start_matches("r#")
    ))
}

pub(super) fn explanation_ident(service: &ServicePlan) -> proc_macro2::Ident {
    names::ident(&format!(
        "__{}_when_compiling",
        service.ident.trim_start_matches("r#")
    ))
}

fn message_path(service: &ServicePlan) -> &str {
    let message = match &service.kind {
        Kind::Leaf(leaf) => &leaf.message,
        Kind::Composite(composite) => &composite.message,
    };
    message.as_deref().unwrap_or("sink_runtime::Message")
}
