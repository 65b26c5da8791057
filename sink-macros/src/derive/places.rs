//! What of serde's attributes only a codec that names its fields can carry: postcard writes fields and variants by their places,
//! so one that is left out shifts all that follow, and nothing says what comes next.

use quote::ToTokens;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Meta, Token, punctuated::Punctuated};

use super::shape;

/// Why postcard cannot carry the type, if its attributes say so: the first reason.
pub(super) fn needs_names(input: &DeriveInput) -> Option<String> {
    let name = shape::name(&input.ident);
    let why = of_type(&input.attrs)
        .map(|attribute| (attribute, format!("message `{name}`")))
        .or_else(|| within(&input.data, &name))?;
    let (attribute, place) = why;
    Some(format!(
        "`#[serde({attribute})]` at {place} needs a codec that names fields and variants, which postcard, the default, does not\n\
         help: write `codec = \"json\"` at the services that carry `{name}`, or take the attribute away"
    ))
}

fn of_type(attributes: &[Attribute]) -> Option<&'static str> {
    let words = words(attributes);
    let has = |word: &str| words.iter().any(|known| known == word);
    if has("untagged") {
        return Some("untagged");
    }
    has("tag").then_some("tag")
}

fn within(data: &Data, name: &str) -> Option<(&'static str, String)> {
    match data {
        Data::Struct(data) => of_fields(&data.fields, ""),
        Data::Enum(data) => data.variants.iter().find_map(|variant| {
            let ident = &variant.ident;
            let untagged = words(&variant.attrs).iter().any(|word| word == "untagged");
            if untagged {
                return Some(("untagged", format!("variant `{name}::{ident}`")));
            }
            of_fields(&variant.fields, &format!("{ident}."))
        }),
        Data::Union(_) => None,
    }
}

fn of_fields(fields: &Fields, before: &str) -> Option<(&'static str, String)> {
    fields.iter().enumerate().find_map(|(at, field)| {
        let words = words(&field.attrs);
        let has = |word: &str| words.iter().any(|known| known == word);
        let attribute = if has("flatten") {
            "flatten"
        } else if has("skip_serializing_if") {
            "skip_serializing_if"
        } else if has("skip_serializing") && !has("skip_deserializing") {
            "skip_serializing"
        } else if has("skip_deserializing") && !has("skip_serializing") {
            "skip_deserializing"
        } else {
            return None;
        };
        let field = match &field.ident {
            Some(ident) => shape::name(ident),
            None => at.to_string(),
        };
        Some((attribute, format!("field `{before}{field}`")))
    })
}

/// Whether serde neither writes nor reads the field.
pub(super) fn is_skipped(field: &Field) -> bool {
    words(&field.attrs).iter().any(|word| word == "skip")
}

/// The words that `#[serde(…)]` lists; what it cannot read, serde's own derive refuses.
fn words(attributes: &[Attribute]) -> Vec<String> {
    let serde = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"));
    let lists = serde.filter_map(|attribute| {
        attribute
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .ok()
    });
    lists
        .flatten()
        .map(|meta| meta.path().to_token_stream().to_string())
        .collect()
}
