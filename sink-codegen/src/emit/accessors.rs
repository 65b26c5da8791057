//! `Sinks::name()` and `Sources::name()`: inherent functions, because rustc then suggests the right name for a misspelt one.

use proc_macro2::TokenStream;
use quote::quote;
use sink_schema::{Kind, Plan, ServicePlan};

use super::{docs, messages, messages::MessageAlias, names, services, stubs};

/// `pub struct Sinks` with an accessor per service, and what concerns all of them.
pub(super) fn sinks(plan: &Plan, messages: &[MessageAlias]) -> TokenStream {
    let accessors = plan.services.iter().map(|service| match service.runtime {
        false => sink(plan, service),
        true => sink_only_at_run_time(service, messages),
    });
    let stubs = stubs::sinks(plan);
    let whole = whole();
    quote! {
        /// Where messages go: one function per service of the registry.
        ///
        /// An accessor does no work: nothing connects before the first message.
        #[derive(Clone, Copy, Debug)]
        #[allow(dead_code, unreachable_pub)]
        pub struct Sinks {
            _private: (),
        }
        #[allow(dead_code, non_snake_case, private_bounds, private_interfaces, unreachable_pub, clippy::all, clippy::pedantic)]
        impl Sinks {
            #(#accessors)*
            #(#stubs)*
            #whole
        }
    }
}

fn sink(plan: &Plan, service: &ServicePlan) -> TokenStream {
    let ident = names::ident(&service.ident);
    let alias = names::sink_type(service);
    let docs = docs::service(plan, service, "Sinks");
    let sink = match &service.kind {
        Kind::Leaf(_) => quote! { #alias::SINK },
        Kind::Composite(_) => quote! { __statics::#ident.get() },
    };
    let old_names = service.aliases.iter().map(|old| {
        let old_ident = names::ident(&old.ident);
        let note = renamed("Sinks", service);
        let doc = format!(" The old name of [`Sinks::{}`].", service.ident);
        quote! {
            #[doc = #doc]
            #[deprecated(note = #note)]
            #[inline]
            pub fn #old_ident() -> &'static #alias {
                Self::#ident()
            }
        }
    });
    quote! {
        #docs
        #[inline]
        pub fn #ident() -> &'static #alias {
            #sink
        }
        #(#old_names)*
    }
}

fn renamed(owner: &str, service: &ServicePlan) -> String {
    format!(
        "renamed to `{owner}::{}()` ({})",
        service.ident,
        names::place(&service.location)
    )
}

/// An accessor that exists to explain why it cannot be called; `for<'a>` keeps rustc from refusing its definition.
fn sink_only_at_run_time(service: &ServicePlan, messages: &[MessageAlias]) -> TokenStream {
    let ident = names::ident(&service.ident);
    let message = messages::of(service, messages);
    let explanation = services::explanation_ident(service);
    let doc = format!(
        " `{}` exists only at run time (`{}`): ask for it with [`Sinks::dynamic`].",
        crate::text::one_line(&service.name),
        names::place(&service.location)
    );
    quote! {
        #[doc = #doc]
        pub fn #ident() -> &'static __sink_runtime::DynSink<#message>
        where
            for<'a> __types::services::#ident: __types::services::#explanation,
        {
            loop {}
        }
    }
}

/// What concerns the registry as a whole.
fn whole() -> TokenStream {
    quote! {
        /// The sink of a service by name, for names known only when the program runs.
        ///
        /// The same name gives the same link, shared with the accessor of that name if there is one.
        ///
        /// # Errors
        ///
        /// The registry has no such service, or it carries another message type.
        pub fn dynamic<M: __sink_runtime::MessageType>(
            name: &str,
        ) -> ::core::result::Result<__sink_runtime::DynSink<M>, __sink_runtime::RegistryError> {
            __REGISTRY.dynamic(name)
        }

        /// Reads the registry now instead of at the first message: file, profile overlay and environment.
        ///
        /// # Errors
        ///
        /// A layer does not pass the validation that the build does, with every mistake in it.
        pub fn init() -> ::core::result::Result<(), __sink_runtime::RegistryError> {
            __REGISTRY.init()
        }

        /// Compares the live registry with what this program was built for.
        ///
        /// # Errors
        ///
        /// Everything at once that keeps an accessor from its service: one that is missing, carries another message type or is
        /// of a kind that its type cannot follow, a guarantee of its type that a layer takes away, and what is wrong with the
        /// registry itself. Each names the service, both sides and the fix.
        pub fn check() -> ::core::result::Result<(), __sink_runtime::RegistryError> {
            __REGISTRY.check()
        }

        /// Closes every sink that was used, parents before children: the last line of a program.
        pub async fn close_all(deadline: ::core::time::Duration) -> ::std::vec::Vec<__sink_runtime::DrainReport> {
            __REGISTRY.close_all(deadline).await
        }

        /// A factory of sinks by name, over the same registry and the same links.
        #[must_use]
        pub fn factory() -> __sink_runtime::SinkFactory {
            __REGISTRY.factory()
        }
    }
}

/// `pub struct Sources` with the receiving end of each leaf.
pub(super) fn sources(plan: &Plan, messages: &[MessageAlias]) -> TokenStream {
    let accessors = plan.services.iter().map(|service| match &service.kind {
        Kind::Composite(_) => no_source(service, services::nothing_ident(service), messages),
        Kind::Leaf(_) if service.runtime => {
            no_source(service, services::explanation_ident(service), messages)
        }
        Kind::Leaf(_) => source(service, messages),
    });
    let stubs = stubs::sources(plan);
    quote! {
        /// Where messages are received: one function per relay (subscribe) and direct service (bind and listen).
        #[derive(Clone, Copy, Debug)]
        #[allow(dead_code, unreachable_pub)]
        pub struct Sources {
            _private: (),
        }
        #[allow(dead_code, non_snake_case, private_bounds, private_interfaces, unreachable_pub, clippy::all, clippy::pedantic)]
        impl Sources {
            #(#accessors)*
            #(#stubs)*

            /// The receiving end of a service by name, for names known only when the program runs.
            ///
            /// # Errors
            ///
            /// The registry has no such service, it is a composite, or it carries another message type.
            pub fn dynamic<M: __sink_runtime::MessageType>(
                name: &str,
            ) -> ::core::result::Result<__sink_runtime::Source<M>, __sink_runtime::RegistryError> {
                __REGISTRY.source(name)
            }
        }
    }
}

/// A receiving end that exists to explain why there is none.
fn no_source(
    service: &ServicePlan,
    explanation: proc_macro2::Ident,
    messages: &[MessageAlias],
) -> TokenStream {
    let ident = names::ident(&service.ident);
    let message = messages::of(service, messages);
    quote! {
        #[doc(hidden)]
        pub fn #ident() -> __sink_runtime::Source<#message>
        where
            for<'a> __types::services::#ident: __types::services::#explanation,
        {
            loop {}
        }
    }
}

fn source(service: &ServicePlan, messages: &[MessageAlias]) -> TokenStream {
    let ident = names::ident(&service.ident);
    let message = messages::of(service, messages);
    let docs = docs::source(service);
    let old_names = service.aliases.iter().map(|old| {
        let old_ident = names::ident(&old.ident);
        let note = renamed("Sources", service);
        let doc = format!(" The old name of [`Sources::{}`].", service.ident);
        quote! {
            #[doc = #doc]
            #[deprecated(note = #note)]
            #[inline]
            #[must_use]
            pub fn #old_ident() -> __sink_runtime::Source<#message> {
                Self::#ident()
            }
        }
    });
    quote! {
        #docs
        #[inline]
        #[must_use]
        pub fn #ident() -> __sink_runtime::Source<#message> {
            __sink_runtime::Source::compiled::<__types::services::#ident>()
        }
        #(#old_names)*
    }
}
