//! Mistakes of the registry as errors of the compiler, each once.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use sink_codegen::nothing_known;

/// One compile error per mistake, and `__Broken`, the type of every broken service.
///
/// Two properties of rustc make this free of cascades. An array type whose length did not compile is an *error type*:
/// rustc reports nothing that is done with one. And while a module that holds a `compile_error!` is not checked for names it
/// lacks, that silence ends at the module, so the errors stand in one of their own and leave the user's module checked.
pub(crate) fn emit(mistakes: &[String], span: Span) -> TokenStream {
    let Some((last, others)) = mistakes.split_last() else {
        return TokenStream::new();
    };
    quote_spanned! {span=>
        #[doc(hidden)]
        mod __mistakes {
            #(::core::compile_error! { #others })*
            #[allow(dead_code, unreachable_pub)]
            pub type Broken = [(); ::core::compile_error!(#last)];
        }
        #[allow(unused_imports)]
        use __mistakes::Broken as __Broken;
    }
}

/// A mistake that leaves nothing of the registry: every name of it is right, unless something beside the macro has that name.
pub(crate) fn alone(mistake: String, span: Span) -> TokenStream {
    let mistake = emit(&[mistake], span);
    let nothing = nothing_known();
    quote! {
        #[doc(hidden)]
        mod __sinks_unknown { #mistake #nothing }
        #[allow(unreachable_pub, unused_imports)]
        pub use __sinks_unknown::*;
    }
}
