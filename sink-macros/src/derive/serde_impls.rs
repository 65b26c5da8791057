//! `#[message(serde)]`: serde's traits without a dependency on serde.
//!
//! serde's own derive is given a twin of the type, whose impls it writes for the type itself (`remote`).
//!
//! A field whose type is not serde's would be an error at each place of those impls that it is needed at. So the impls of the
//! twin are bounded by what they need of their fields, where `for<'a>` keeps rustc from refusing them; where a bound does not
//! hold, what calls the twin finds a trait in its place, and a check of its own tells it once, at the field.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, Data, DeriveInput, Fields, LitStr, Path, spanned::Spanned};

/// `Serialize` and `Deserialize` for the type.
pub(super) fn emit(input: &DeriveInput, runtime: &Path) -> TokenStream {
    let ident = &input.ident;
    let twin = format_ident!("__{}", syn::ext::IdentExt::unraw(ident));
    let serde = quote! { #runtime::__private::serde };
    let serde_path = serde.to_string().replace(' ', "");
    let remote = ident.to_string();
    let attributes = serde_attributes(&input.attrs);
    let body = body(&twin, input, runtime);
    let checks = checks(input, runtime);
    quote! {
        #[allow(unused_imports)]
        const _: () = {
            use #runtime::__private::Unfielded as _;
            impl #runtime::__private::Unfielded for #twin {}
            const _: () = { #checks };

            #[derive(#serde::Serialize, #serde::Deserialize)]
            #[serde(crate = #serde_path, remote = #remote)]
            #(#attributes)*
            #[allow(dead_code)]
            #body

            #[automatically_derived]
            impl #serde::Serialize for #ident {
                fn serialize<S: #serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                    #twin::serialize(self, serializer)
                }
            }

            #[automatically_derived]
            impl<'de> #serde::Deserialize<'de> for #ident {
                fn deserialize<D: #serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                    #twin::deserialize(deserializer)
                }
            }
        };
    }
}

/// The type again under another name, with serde's attributes and no others.
fn body(twin: &syn::Ident, input: &DeriveInput, runtime: &Path) -> TokenStream {
    let bounded = are_bounded(input);
    let fields = |all: &Fields, attributes: &[Attribute]| {
        let bounded = bounded && !says(attributes, OTHERWISE);
        fields(all, bounded.then_some(runtime))
    };
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) => {
                let fields = fields(&data.fields, &[]);
                quote! { struct #twin { #(#fields),* } }
            }
            Fields::Unnamed(_) => {
                let fields = fields(&data.fields, &[]);
                quote! { struct #twin( #(#fields),* ); }
            }
            Fields::Unit => quote! { struct #twin; },
        },
        Data::Enum(data) => {
            let variants = data.variants.iter().map(|variant| {
                let attributes = serde_attributes(&variant.attrs);
                let ident = &variant.ident;
                let fields = fields(&variant.fields, &variant.attrs);
                match &variant.fields {
                    Fields::Named(_) => quote! { #(#attributes)* #ident { #(#fields),* } },
                    Fields::Unnamed(_) => quote! { #(#attributes)* #ident( #(#fields),* ) },
                    Fields::Unit => quote! { #(#attributes)* #ident },
                }
            });
            quote! { enum #twin { #(#variants),* } }
        }
        Data::Union(_) => TokenStream::new(),
    }
}

/// Whether serde encodes the fields of a type at all.
fn are_bounded(input: &DeriveInput) -> bool {
    !says(
        &input.attrs,
        &["bound", "from", "try_from", "into", "remote"],
    )
}

/// A check for each field that serde encodes.
fn checks(input: &DeriveInput, runtime: &Path) -> TokenStream {
    encoded(input)
        .iter()
        .map(|ty| quote_spanned! {ty.span()=> let _ = #runtime::__private::is_encoded::<#ty>; })
        .collect()
}

/// The types of the fields that serde's derive asks something of.
pub(super) fn encoded(input: &DeriveInput) -> Vec<syn::Type> {
    let whole = |fields: &Fields| -> Vec<syn::Type> {
        let fields = fields.iter();
        let fields = fields.filter(|field| !says(&field.attrs, OTHERWISE));
        fields.map(|field| field.ty.clone()).collect()
    };
    match &input.data {
        _ if !are_bounded(input) => Vec::new(),
        Data::Struct(data) => whole(&data.fields),
        Data::Enum(data) => {
            let variants = data.variants.iter();
            let variants = variants.filter(|variant| !says(&variant.attrs, OTHERWISE));
            variants
                .flat_map(|variant| whole(&variant.fields))
                .collect()
        }
        Data::Union(_) => Vec::new(),
    }
}

/// Refuses arrays that serde does not implement its traits for, in fields that it encodes.
pub(super) fn has_no_long_arrays(input: &DeriveInput) -> syn::Result<()> {
    let mut mistakes: Option<syn::Error> = None;
    for ty in encoded(input) {
        let Some(array) = long_array(&ty) else {
            continue;
        };
        let element = super::shape::text(array.elem.to_token_stream());
        let text = format!(
            "serde encodes arrays of at most {LONGEST_ARRAY} elements\n\
             help: hold `Vec<{element}>`, or say how it is encoded: `#[serde(with = \"…\")]`"
        );
        let error = syn::Error::new(array.span(), text);
        match &mut mistakes {
            Some(mistakes) => mistakes.combine(error),
            None => mistakes = Some(error),
        }
    }
    mistakes.map_or(Ok(()), Err)
}

/// serde writes one impl for each length, up to this.
const LONGEST_ARRAY: u64 = 32;

/// An array that is too long, in a type that is serde's only if what it holds is.
fn long_array(ty: &syn::Type) -> Option<&syn::TypeArray> {
    const HOLDERS: [&str; 6] = ["Option", "Vec", "Box", "VecDeque", "HashMap", "BTreeMap"];
    match ty {
        syn::Type::Array(array) => {
            let long = match &array.len {
                syn::Expr::Lit(syn::ExprLit {
                    lit: syn::Lit::Int(length),
                    ..
                }) => length
                    .base10_parse::<u64>()
                    .is_ok_and(|length| length > LONGEST_ARRAY),
                _ => false,
            };
            long.then_some(array).or_else(|| long_array(&array.elem))
        }
        syn::Type::Group(group) => long_array(&group.elem),
        syn::Type::Paren(paren) => long_array(&paren.elem),
        syn::Type::Tuple(tuple) => tuple.elems.iter().find_map(long_array),
        syn::Type::Path(path) => {
            let last = path.path.segments.last()?;
            let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return None;
            };
            let holds = HOLDERS.iter().any(|holder| last.ident == holder);
            let mut arguments = arguments.args.iter().filter(|_| holds);
            arguments.find_map(|argument| match argument {
                syn::GenericArgument::Type(ty) => long_array(ty),
                _ => None,
            })
        }
        _ => None,
    }
}

/// Attributes of serde under which it asks nothing, or something else, of the type of a field.
const OTHERWISE: &[&str] = &[
    "bound",
    "with",
    "serialize_with",
    "deserialize_with",
    "skip",
    "skip_serializing",
    "skip_deserializing",
    "borrow",
    "getter",
];

/// Each field, and under what bound it is encoded.
fn fields(fields: &Fields, bounded: Option<&Path>) -> Vec<TokenStream> {
    let field = |field: &syn::Field| {
        let attributes = serde_attributes(&field.attrs);
        let ty = &field.ty;
        let name = field.ident.as_ref().map(|ident| quote! { #ident: });
        let bound = bounded
            .filter(|_| !says(&field.attrs, OTHERWISE))
            .map(|runtime| {
                let bound = quote! { for<'__sinks> #ty: #runtime::__private::Encoded }.to_string();
                let bound = LitStr::new(&bound, ty.span());
                quote! { #[serde(bound = #bound)] }
            });
        quote! { #bound #(#attributes)* #name #ty }
    };
    fields.iter().map(field).collect()
}

/// Whether serde's attributes say one of `words`.
fn says(attributes: &[Attribute], words: &[&str]) -> bool {
    serde_attributes(attributes)
        .flatten()
        .any(|token| match token {
            TokenTree::Group(group) => {
                let inner = group.stream().into_iter();
                inner.into_iter().any(|token| match token {
                    TokenTree::Group(group) => mentions(group.stream(), words),
                    _ => false,
                })
            }
            _ => false,
        })
}

/// Whether a key of a list of attributes is one of `words`.
fn mentions(list: TokenStream, words: &[&str]) -> bool {
    let idents = list.into_iter().filter_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    });
    idents
        .into_iter()
        .any(|ident| words.contains(&ident.as_str()))
}

fn serde_attributes(attributes: &[Attribute]) -> impl Iterator<Item = TokenStream> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
        .map(ToTokens::to_token_stream)
}
