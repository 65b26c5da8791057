//! The shape of a type as text, which two processes compare by its fingerprint.
//!
//! The text names fields and their types as they are written, without paths, in the order of the wire. Behind a type that is a
//! message itself, or an alias of a plain type, the compiler writes a mark of what it holds (`__private::contents`): a derive sees
//! one type. Other types are known by their spelling alone.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Field, Fields, GenericArgument, Ident, PathArguments, Type,
    TypeReference, ext::IdentExt,
};

/// A shape in pieces: text, and the types of which the compiler says what they hold.
#[derive(Default)]
pub(super) struct Shape {
    pub(super) pieces: Vec<Piece>,
}

pub(super) enum Piece {
    Text(String),
    Mark(Vec<Type>),
}

impl Shape {
    /// `Tick{price:u64,side:Side}`, `Pair(u64,u32)`, `Event{Swap(Swap)|Sync{a:u64}|Halt}`
    pub(super) fn of(input: &DeriveInput) -> Self {
        let mut shape = Self::default();
        shape.text(&serde_of(&input.attrs));
        shape.text(&name(&input.ident));
        match &input.data {
            Data::Struct(data) => shape.fields(&data.fields),
            Data::Enum(data) => {
                shape.text("{");
                for (at, variant) in data.variants.iter().enumerate() {
                    shape.text(if at == 0 { "" } else { "|" });
                    shape.text(&serde_of(&variant.attrs));
                    shape.text(&name(&variant.ident));
                    shape.fields(&variant.fields);
                }
                shape.text("}");
            }
            Data::Union(_) => {}
        }
        shape
    }

    /// The text without marks.
    pub(super) fn spelt(&self) -> String {
        let texts = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Mark(_) => "",
        });
        texts.collect()
    }

    fn text(&mut self, more: &str) {
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            text.push_str(more);
        } else {
            self.pieces.push(Piece::Text(more.to_owned()));
        }
    }

    fn fields(&mut self, fields: &Fields) {
        let (open, close) = match fields {
            Fields::Named(_) => ("{", "}"),
            Fields::Unnamed(_) => ("(", ")"),
            Fields::Unit => return,
        };
        self.text(open);
        for (at, field) in fields.iter().enumerate() {
            self.text(if at == 0 { "" } else { "," });
            self.field(field);
        }
        self.text(close);
    }

    fn field(&mut self, field: &Field) {
        let ty = &field.ty;
        self.text(&serde_of(&field.attrs));
        if let Some(ident) = &field.ident {
            self.text(&format!("{}:", name(ident)));
        }
        self.text(&text(quote! { #ty }));
        let mut parts = Vec::new();
        super::contents::parts(ty, &mut parts);
        parts.retain(|part| !PLAIN.contains(&text(quote! { #part }).as_str()));
        if !parts.is_empty() {
            self.pieces.push(Piece::Mark(parts));
        }
    }
}

/// Spelt so, a type is what it seems: nothing need be asked of the compiler.
const PLAIN: [&str; 18] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize", "String", "Vec<u8>",
];

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

/// The first reference in a type, wherever it is nested.
pub(super) fn reference(ty: &Type) -> Option<&TypeReference> {
    match ty {
        Type::Reference(reference) => Some(reference),
        Type::Array(array) => reference(&array.elem),
        Type::Group(group) => reference(&group.elem),
        Type::Paren(paren) => reference(&paren.elem),
        Type::Slice(slice) => reference(&slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter().find_map(reference),
        Type::Path(path) => path.path.segments.iter().find_map(|segment| {
            let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
                return None;
            };
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ty) => reference(ty),
                _ => None,
            })
        }),
        _ => None,
    }
}

/// `#[serde(…)]` changes what is on the wire, so it is part of the shape; where the type's own impls come from is not.
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
