//! What the registry needs of the runtime: a feature that is left out is a compile error here, not each sink's at run time.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use sink_schema::{Codec, Endpoint, LeafPlan, Plan, ServicePlan};

use super::names;

/// `__sink_runtime::__needs_json! { "…" }` for each feature, with the first service that needs it.
pub(super) fn emit(plan: &Plan) -> TokenStream {
    let mut told: Vec<&str> = Vec::new();
    let mut needs = TokenStream::new();
    for service in &plan.services {
        for (feature, why) in service.leaf().into_iter().flat_map(of) {
            if told.contains(&feature) {
                continue;
            }
            told.push(feature);
            needs.extend(need(service, feature, &why));
        }
    }
    needs
}

fn need(service: &ServicePlan, feature: &str, why: &str) -> TokenStream {
    let text = format!(
        "{}: service `{}` has {why}, which needs the feature `{feature}` of sink-runtime: add it to `features` in Cargo.toml (E0113)",
        names::place(&service.location),
        crate::text::one_line(&service.name),
    );
    let needs = Ident::new(&format!("__needs_{feature}"), Span::call_site());
    quote! { __sink_runtime::#needs! { #text } }
}

fn of(leaf: &LeafPlan) -> Vec<(&'static str, String)> {
    let endpoints = [Some(&leaf.endpoint), leaf.bind.as_ref()];
    let schemes = endpoints.into_iter().flatten().filter_map(|endpoint| {
        let feature = match endpoint {
            Endpoint::Unix(_) | Endpoint::UnixDefault(_) => "unix",
            Endpoint::Tcp { .. } => "tcp",
            _ => return None,
        };
        Some((feature, format!("an endpoint `{feature}://`")))
    });
    let codec = match leaf.codec {
        Codec::Json => Some(("json", "`codec = \"json\"`".to_owned())),
        Codec::Postcard if leaf.message.is_some() => {
            Some(("postcard", "the codec `postcard`".to_owned()))
        }
        _ => None,
    };
    schemes.chain(codec).collect()
}
