//! The registry as it was when the program was built, carried in the program.

use proc_macro2::{Literal, TokenStream, TokenTree};
use quote::quote;

use crate::input::{Options, Overlay, Registry};

/// `use ::sink_runtime as __sink_runtime;`, for code that `include_sinks!` does not include.
pub(super) fn runtime(path: &str) -> TokenStream {
    let path: TokenStream = path.parse().unwrap_or_default();
    quote! {
        #[allow(unused_imports)]
        use #path as __sink_runtime;
    }
}

/// `static __REGISTRY: CompiledRegistry = …`, and the type by which tags name it.
pub(super) fn emit(registry: &Registry, options: &Options) -> TokenStream {
    let path = &registry.base.path;
    let text = text(&registry.base.text);
    let overlays = registry.overlays.iter().map(|Overlay { profile, file }| {
        let path = &file.path;
        let text = self::text(&file.text);
        quote! { (#profile, #path, #text) }
    });
    let profile = options.profile.as_ref().filter(|profile| {
        let mut overlays = registry.overlays.iter();
        overlays.any(|overlay| overlay.profile == **profile)
    });
    let profile = profile.map(|profile| quote! { .of_profile(#profile) });
    let carriers = options.carriers.iter().map(|carrier| {
        let krate = super::names::ident(&carrier.krate);
        quote! { &::#krate::CARRIER }
    });
    quote! {
        static __REGISTRY: __sink_runtime::CompiledRegistry = __sink_runtime::CompiledRegistry::new(
            #path,
            #text,
            &[#(#overlays),*],
            &[#(#carriers),*],
        )
        .carrying(__MESSAGES)#profile;
        #[doc(hidden)]
        #[allow(missing_copy_implementations, missing_debug_implementations, unreachable_pub)]
        pub enum __Registry {}
        impl __sink_runtime::Compiled for __Registry {
            fn registry() -> &'static __sink_runtime::CompiledRegistry {
                &__REGISTRY
            }
        }
    }
}

/// The text as a raw string that reads like the file, or escaped if it holds anything that does not show as itself.
fn text(text: &str) -> TokenTree {
    let plain =
        text.lines().all(|line| crate::text::one_line(line) == line) && !text.contains('\r');
    let hashes = "#".repeat(hashes_needed(text));
    let raw = format!("r{hashes}\"{text}\"{hashes}");
    match raw.parse::<Literal>() {
        Ok(literal) if plain && hashes.len() < 200 => literal.into(),
        _ => Literal::string(text).into(),
    }
}

/// One more than follow any quotation mark in the text; none if it has no quotation mark.
fn hashes_needed(text: &str) -> usize {
    let after_quotes = text.split('"').skip(1);
    let runs = after_quotes.map(|rest| rest.len() - rest.trim_start_matches('#').len() + 1);
    runs.max().unwrap_or(0)
}
