//! The shape of a type as text, which two processes compare by its fingerprint.
//!
//! The text names fields and their types as they are written, without paths, in the order of the wire. It does not look into
//! the types of fields: those are other messages with shapes of their own, or types of the standard library.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, Type, ext::IdentExt};

/// `Tick{price:u64,side:Side}`, `Pair(u64,u32)`, `Event{Swap(Swap)|Sync{a:u64}|Halt}`
pub(super) fn of(input: &DeriveInput) -> String {
    let name = name(&input.ident);
    let serde = serde(&input.attrs);
    match &input.data {
        Data::Struct(data) => format!("{serde}{name}{}", fields(&data.fields)),
        Data::Enum(data) => {
            let variants = data.variants.iter().map(|variant| {
                format!(
                    "{}{}{}",
                    serde_of(&variant.attrs),
                    self::name(&variant.ident),
                    fields(&variant.fields)
                )
            });
            format!(
                "{serde}{name}{{{}}}",
                variants.collect::<Vec<_>>().join("|")
            )
        }
        Data::Union(_) => name,
    }
}

/// FNV-1a, 64 bits: short enough to compare at every connect, the same on every platform.
pub(super) fn fingerprint(shape: &str) -> u64 {
    shape.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The name without `r#`.
pub(super) fn name(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The types of all fields, of all variants.
pub(super) fn field_types(data: &Data) -> Vec<&Type> {
    match data {
        Data::Struct(data) => data.fields.iter().map(|field| &field.ty).collect(),
        Data::Enum(data) => data
            .variants
            .iter()
            .flat_map(|variant| &variant.fields)
            .map(|field| &field.ty)
            .collect(),
        Data::Union(_) => Vec::new(),
    }
}

fn fields(fields: &Fields) -> String {
    let list = fields.iter().map(field).collect::<Vec<_>>().join(",");
    match fields {
        Fields::Named(_) => format!("{{{list}}}"),
        Fields::Unnamed(_) => format!("({list})"),
        Fields::Unit => String::new(),
    }
}

fn field(field: &Field) -> String {
    let ty = &field.ty;
    let ty = text(quote! { #ty });
    let serde = serde_of(&field.attrs);
    match &field.ident {
        Some(ident) => format!("{serde}{}:{ty}", name(ident)),
        None => format!("{serde}{ty}"),
    }
}

/// `#[serde(…)]` changes what is on the wire, so it is part of the shape; where the type's own impls come from is not.
fn serde(attributes: &[Attribute]) -> String {
    serde_of(attributes)
}

fn serde_of(attributes: &[Attribute]) -> String {
    let serde = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"));
    let lists = serde.filter_map(|attribute| attribute.meta.require_list().ok());
    let texts = lists
        .map(|list| text(list.tokens.clone()))
        .filter(|text| !text.starts_with("crate="));
    texts.map(|text| format!("#[{text}]")).collect()
}

/// Tokens as text that formatting and imports do not change: no spaces, and of a path only its last name.
pub(super) fn text(tokens: TokenStream) -> String {
    let mut out = String::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                let ident = ident.unraw().to_string();
                if out.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    out.push(' ');
                }
                out.push_str(&ident);
            }
            TokenTree::Punct(punct) => {
                out.push(punct.as_char());
                if out.ends_with("::") {
                    out.truncate(start_of_segment(&out));
                }
            }
            TokenTree::Literal(literal) => out.push_str(&literal.to_string()),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                out.push_str(&format!("{open}{}{close}", text(group.stream())));
            }
        }
    }
    out
}

/// Where the path segment before a final `::` begins.
fn start_of_segment(path: &str) -> usize {
    let path = &path[..path.len() - 2];
    path.rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(0, |at| {
            at + path[at..].chars().next().map_or(1, char::len_utf8)
        })
}
