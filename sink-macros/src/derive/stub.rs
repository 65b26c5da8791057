//! What a refused message derives: impls that exist to be found.
//!
//! Without them rustc would add an error at each use of the type, and advise a derive that is already there.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, GenericParam, parse_quote};

use super::{attributes::Attributes, shape};

/// The traits that the derive would have given; nothing calls them, because the crate does not compile.
pub(super) fn emit(input: &DeriveInput, attributes: &Attributes) -> TokenStream {
    let runtime = &attributes.runtime;
    let ident = &input.ident;
    let name = shape::name(ident);
    let mut bounded = input.generics.clone();
    if !bounded.params.is_empty() {
        // The trait's own bounds, which parameters do not meet; without parameters they hold or are an error of their own.
        let bounds: syn::WherePredicate = parse_quote! { Self: ::core::marker::Send + 'static };
        bounded.make_where_clause().predicates.push(bounds);
    }
    let (parameters, arguments, bounds) = bounded.split_for_impl();
    let serde = attributes.serde.then(|| serde(input, runtime));
    quote! {
        #[automatically_derived]
        impl #parameters #runtime::MessageType for #ident #arguments #bounds {
            const NAME: &'static str = #name;
            const SHAPE: &'static str = "";
            const FINGERPRINT: u64 = 0;

            fn encode(
                &self,
                _: #runtime::Codec,
                _: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), #runtime::EncodeError> {
                ::core::unreachable!()
            }

            fn decode(
                _: #runtime::Codec,
                _: #runtime::Payload<'_>,
            ) -> ::core::result::Result<Self, #runtime::DecodeError> {
                ::core::unreachable!()
            }
        }
        #serde
    }
}

/// serde's traits, for messages that hold this one.
fn serde(input: &DeriveInput, runtime: &syn::Path) -> TokenStream {
    let ident = &input.ident;
    let serde = quote! { #runtime::__private::serde };
    let (parameters, arguments, bounds) = input.generics.split_for_impl();
    let mut with_input = input.generics.clone();
    let of_input: GenericParam = parse_quote!('__de);
    with_input.params.insert(0, of_input);
    let (parameters_and_input, _, _) = with_input.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters #serde::Serialize for #ident #arguments #bounds {
            fn serialize<__S: #serde::Serializer>(&self, _: __S) -> ::core::result::Result<__S::Ok, __S::Error> {
                ::core::unreachable!()
            }
        }

        #[automatically_derived]
        impl #parameters_and_input #serde::Deserialize<'__de> for #ident #arguments #bounds {
            fn deserialize<__D: #serde::Deserializer<'__de>>(_: __D) -> ::core::result::Result<Self, __D::Error> {
                ::core::unreachable!()
            }
        }
    }
}
