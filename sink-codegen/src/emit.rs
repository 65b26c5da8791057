//! Plan to Rust tokens: one function per kind of item, in the order in which they stand in the output.
//!
//! The output is dull on purpose: it calls public runtime API by `__sink_runtime::` paths, which `include_sinks!` binds to
//! whatever name the user gave the runtime. Names from the registry become identifiers only here, after the schema checked them.

mod accessors;
mod docs;
mod features;
mod messages;
mod names;
mod registry;
mod services;
mod sink_set;
mod statics;
mod stubs;
mod types;

use proc_macro2::TokenStream;
use quote::quote;
use sink_schema::Plan;

use crate::input::{Options, Registry};

pub(crate) use messages::{MessageAlias, aliases as message_aliases};
pub(crate) use names::place;
pub(crate) use stubs::everything as nothing_known;
pub use types::Whole;
pub(crate) use types::{handed_out, in_module};

/// Emits the items that `include_sinks!` includes, or an error type for every name of a service that is broken.
pub(crate) fn emit(plan: &Plan, registry: &Registry, options: &Options) -> TokenStream {
    let runtime = options.runtime_path.as_deref().map(registry::runtime);
    let messages = messages::aliases(plan);
    let message_types = messages
        .iter()
        .map(|message| messages::emit(message, options.nested));
    let expectations = messages.iter().map(messages::expectation);
    let registry = registry::emit(registry, options);
    let features = features::emit(plan);
    let types = types::emit(plan, &messages);
    let statics = statics::emit(plan, &messages);
    let sinks = accessors::sinks(plan, &messages);
    let sources = accessors::sources(plan, &messages);
    let sink_set = sink_set::emit(plan, &messages);
    quote! {
        #runtime
        #(#message_types)*
        #types
        #statics
        #sinks
        #sources
        #sink_set
        #[doc(hidden)]
        const __MESSAGES: &[__sink_runtime::Expect] = &[#(#expectations),*];
        #features
        // Last, for it carries the registry's text: rustc compiles anew what stands on another line than before, so a line more
        // here moves nothing.
        #registry
    }
}
