//! One `static` per service, constructed by the compiler: an accessor does no work.

use proc_macro2::TokenStream;
use quote::quote;
use sink_schema::{CompositePlan, Kind, Plan, ServicePlan};

use super::{names, types};

/// `mod __statics { pub(super) static market_data_relay: … }`
pub(super) fn emit(plan: &Plan) -> TokenStream {
    let known = plan.services.iter().filter(|service| !service.runtime);
    let statics = known.map(|service| single(plan, service));
    quote! {
        #[allow(non_upper_case_globals)]
        mod __statics {
            #(#statics)*
        }
    }
}

fn single(plan: &Plan, service: &ServicePlan) -> TokenStream {
    let ident = names::ident(&service.ident);
    let alias = names::sink_type(service);
    let value = match &service.kind {
        Kind::Leaf(_) => quote! { super::#alias::leaf() },
        Kind::Composite(composite) => self::composite(plan, service, composite),
    };
    quote! { pub(super) static #ident: super::#alias = #value; }
}

fn composite(plan: &Plan, service: &ServicePlan, composite: &CompositePlan) -> TokenStream {
    let alias = names::sink_type(service);
    let name = &service.name;
    let branches = types::members(plan, composite).map(|member| {
        let ident = names::ident(&member.ident);
        let branch = quote! { super::__sink_runtime::Ref::Static(&#ident) };
        if types::is_optional(composite, member) {
            quote! { super::__sink_runtime::Optional(#branch) }
        } else {
            branch
        }
    });
    quote! { super::#alias::compiled(#name, &super::__REGISTRY, (#(#branches,)*)) }
}
