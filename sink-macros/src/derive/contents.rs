//! What a message's fields hold: whether it contains itself through other messages, and the print of their shapes. A derive
//! sees one type, so the compiler walks them.
//!
//! Each derived type says how to look for another among its fields, one step of fuel less at each; types that derive nothing
//! end the walk (`__private::contents`). Whoever finds itself is told at the field that leads there.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, GenericArgument, Path, PathArguments, Type, spanned::Spanned};

use super::{places, shape};

pub(super) fn emit(input: &DeriveInput, spelt: &str, runtime: &Path) -> TokenStream {
    let ident = &input.ident;
    let name = shape::name(ident);
    let mut types = Vec::new();
    for ty in shape::field_types(&input.data) {
        parts(ty, &mut types);
    }
    let private = quote! { #runtime::__private::contents };
    let needs_names = needs_names(input, &private);
    let known = types.iter().map(|ty| part(ty, &private, &quote! { __F }));
    let checks = types.iter().map(|ty| {
        let through = shape::text(quote! { #ty });
        let text = format!(
            "message `{name}` contains itself through `{through}`: a sender could nest it until the receiver's stack is exhausted\n\
             help: send the parts as a list that refers to one another by index, such as `Vec<Part>` with `parent: Option<u32>`"
        );
        quote_spanned! {ty.span()=>
            const _: () = if #private::Inside::<#ty, #private::Full, #ident>::FOUND {
                ::core::panic!(#text)
            };
        }
    });
    quote! {
        const _: () = {
            use #private::{Elsewhere as _, Unprinted as _};

            #[doc(hidden)]
            pub struct __Members;

            #[doc(hidden)]
            pub struct __Look<__F, __R>(::core::marker::PhantomData<(__F, __R)>);

            #[automatically_derived]
            impl<__F: #private::Fuel, __R: #private::Contents> #private::Answer for __Look<__F, __R> {
                const FOUND: bool = false #(|| #private::Inside::<#types, __F, __R>::FOUND)*;
            }

            #[doc(hidden)]
            pub struct __Print<__F>(::core::marker::PhantomData<__F>);

            #[automatically_derived]
            impl<__F: #private::Fuel> #private::Printed for __Print<__F> {
                const PRINT: u64 = #private::print(#spelt, &[#(#known),*]);
                const NEEDS_NAMES: ::core::option::Option<&'static str> = #needs_names;
            }

            #[automatically_derived]
            impl #private::Members for __Members {
                type Look<__F: #private::Fuel, __R: #private::Contents> = __Look<__F, __R>;
                type Print<__F: #private::Fuel> = __Print<__F>;
            }

            #[automatically_derived]
            impl #private::Known for #ident {
                type Print<__F: #private::Fuel> = <__F as #private::Fuel>::Print<__Members>;
            }

            #[automatically_derived]
            impl #private::Contents for #ident {
                const PLACE: (&'static str, &'static str) = (::core::module_path!(), #name);
                type Members = __Members;
            }

            #(#checks)*
        };
    }
}

/// Why a codec without names cannot carry the type: a reason of its own, or the first among what is encoded with it.
fn needs_names(input: &DeriveInput, private: &TokenStream) -> TokenStream {
    if let Some(why) = places::needs_names(input) {
        return quote! { ::core::option::Option::Some(#why) };
    }
    let within = places::encoded_within(input);
    let within = within
        .iter()
        .map(|ty| quote! { #private::Print::<#ty, __F>::NEEDS_NAMES });
    quote! { #private::first(&[#(#within),*]) }
}

/// A type as `contents::Part`: its name as it is spelt, the name it has, its print.
fn part(ty: &Type, private: &TokenStream, fuel: &TokenStream) -> TokenStream {
    let spelt = match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|last| shape::name(&last.ident)),
        _ => None,
    };
    let spelt = spelt.unwrap_or_default();
    quote! { (#spelt, #private::Print::<#ty, #fuel>::NAME, #private::Print::<#ty, #fuel>::OF) }
}

/// The shape's text, with the marks that the compiler makes.
pub(super) fn text(shape: &shape::Shape, runtime: &Path) -> TokenStream {
    if let [shape::Piece::Text(text)] = shape.pieces.as_slice() {
        return quote! { #text };
    }
    let private = quote! { #runtime::__private::contents };
    let pieces = shape.pieces.iter().map(|piece| match piece {
        shape::Piece::Text(text) => quote! { #private::Piece::Text(#text) },
        shape::Piece::Mark(types) => {
            let full = quote! { #private::Full };
            let parts = types.iter().map(|ty| part(ty, &private, &full));
            quote! { #private::Piece::Mark(#private::mark(&[#(#parts),*])) }
        }
    });
    quote! {
        {
            use #private::Unprinted as _;
            const PIECES: &[#private::Piece] = &[#(#pieces),*];
            const LENGTH: usize = #private::length(PIECES);
            const BYTES: [u8; LENGTH] = #private::joined(PIECES);
            #private::text(&BYTES)
        }
    }
}

/// The named types that a field's type is made of, each once.
pub(super) fn parts(ty: &Type, found: &mut Vec<Type>) {
    match ty {
        Type::Array(array) => parts(&array.elem, found),
        Type::Group(group) => parts(&group.elem, found),
        Type::Paren(paren) => parts(&paren.elem, found),
        Type::Slice(slice) => parts(&slice.elem, found),
        Type::Reference(reference) => parts(&reference.elem, found),
        Type::Tuple(tuple) => tuple.elems.iter().for_each(|ty| parts(ty, found)),
        Type::Path(path) => {
            let text = quote! { #ty }.to_string();
            if !found
                .iter()
                .any(|known| quote! { #known }.to_string() == text)
            {
                found.push(ty.clone());
            }
            for segment in &path.path.segments {
                let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                    continue;
                };
                for argument in &arguments.args {
                    if let GenericArgument::Type(ty) = argument {
                        parts(ty, found);
                    }
                }
            }
        }
        _ => {}
    }
}
