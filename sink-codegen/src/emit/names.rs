//! Checked names become identifiers.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use sink_schema::{Location, ServicePlan};

/// The accessor and tag of a service: `market_data_relay`, `r#match`.
pub(super) fn ident(name: &str) -> Ident {
    match name.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, Span::call_site()),
        None => Ident::new(name, Span::call_site()),
    }
}

/// The type alias of a service where it is defined, whatever else has its name: `__types::MarketDataRelay`.
pub(super) fn sink_type(service: &ServicePlan) -> TokenStream {
    let alias = ident(&service.type_ident);
    quote! { __types::#alias }
}

/// `services.toml:3`.
pub(crate) fn place(location: &Location) -> String {
    format!(
        "{}:{}",
        crate::text::one_line(&location.path),
        location.line
    )
}

/// `services_toml_line_3`: an identifier that says where its text stands, for errors of rustc that show only code.
pub(super) fn line_ident(location: &Location) -> String {
    let file = location.path.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem: String = file
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    let start = if stem.starts_with(|c: char| c.is_ascii_alphabetic()) {
        ""
    } else {
        "registry_"
    };
    format!("{start}{stem}_line_{}", location.line)
}
