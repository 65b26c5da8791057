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
            note = "or remove `runtime = true` to have its name checked by the compiler"
        )]
        pub trait #ident {}
        #[diagnostic::do_not_recommend]
        impl #ident for () {}
    }
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
