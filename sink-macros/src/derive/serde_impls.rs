//! `#[message(serde)]`: serde's traits without a dependency on serde.
//!
//! serde's own derive is given a twin of the type, whose impls it writes for the type itself (`remote`).

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Fields, Path};

/// `Serialize` and `Deserialize` for the type.
pub(super) fn emit(input: &DeriveInput, runtime: &Path) -> TokenStream {
    let ident = &input.ident;
    let twin = format_ident!("__{}", syn::ext::IdentExt::unraw(ident));
    let serde = quote! { #runtime::__private::serde };
    let serde_path = serde.to_string().replace(' ', "");
    let remote = ident.to_string();
    let attributes = serde_attributes(&input.attrs);
    let body = body(&twin, &input.data);
    quote! {
        const _: () = {
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
fn body(twin: &syn::Ident, data: &Data) -> TokenStream {
    match data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(_) => {
                let fields = fields(&data.fields);
                quote! { struct #twin { #(#fields),* } }
            }
            Fields::Unnamed(_) => {
                let fields = fields(&data.fields);
                quote! { struct #twin( #(#fields),* ); }
            }
            Fields::Unit => quote! { struct #twin; },
        },
        Data::Enum(data) => {
            let variants = data.variants.iter().map(|variant| {
                let attributes = serde_attributes(&variant.attrs);
                let ident = &variant.ident;
                let fields = fields(&variant.fields);
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

fn fields(fields: &Fields) -> Vec<TokenStream> {
    let field = |field: &syn::Field| {
        let attributes = serde_attributes(&field.attrs);
        let ty = &field.ty;
        let name = field.ident.as_ref().map(|ident| quote! { #ident: });
        quote! { #(#attributes)* #name #ty }
    };
    fields.iter().map(field).collect()
}

fn serde_attributes(attributes: &[Attribute]) -> impl Iterator<Item = TokenStream> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
        .map(ToTokens::to_token_stream)
}
