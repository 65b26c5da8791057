//! What of serde's attributes only a codec that names its fields can carry: postcard writes fields and variants by their places,
//! so one that is left out shifts all that follow, and nothing says what comes next.

use quote::ToTokens;
use syn::{Attribute, Data, DeriveInput, Fields, Meta, Token, punctuated::Punctuated};

use super::shape;

/// Why postcard cannot carry the type, if its attributes say so: the first reason.
pub(super) fn needs_names(input: &DeriveInput) -> Option<String> {
    let name = shape::name(&input.ident);
    if is_another(&input.attrs) {
        return None;
    }
    let why = of_type(&input.attrs)
        .map(|attribute| (attribute, format!("message `{name}`")))
        .or_else(|| within(&input.data, &name))?;
    let (attribute, place) = why;
    Some(format!(
        "`#[serde({attribute})]` at {place} needs a codec that names fields and variants, which postcard, the default, does not\n\
         help: write `codec = \"json\"` at the services that carry `{name}`, or take the attribute away"
    ))
}

/// Whether serde writes and reads a type of another name in the place of this one.
fn is_another(attributes: &[Attribute]) -> bool {
    let words = words(attributes);
    ["from", "try_from", "into"]
        .iter()
        .any(|word| words.iter().any(|known| known == word))
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
        Data::Enum(data) => {
            let mut variants = data.variants.iter().enumerate();
            variants.find_map(|(at, variant)| {
                let words = words(&variant.attrs);
                let has = |word: &str| words.iter().any(|known| known == word);
                let place = format!("variant `{name}::{}`", variant.ident);
                if has("untagged") {
                    return Some(("untagged", place));
                }
                // serde writes the number that a variant has among all, and reads the one among those that are read.
                let skipped = ["skip", "skip_deserializing"]
                    .into_iter()
                    .find(|word| has(word));
                match skipped {
                    Some(word) if at + 1 < data.variants.len() => Some((word, place)),
                    _ => of_fields(&variant.fields, &format!("{}.", variant.ident)),
                }
            })
        }
        Data::Union(_) => None,
    }
}

fn of_fields(fields: &Fields, before: &str) -> Option<(&'static str, String)> {
    fields.iter().enumerate().find_map(|(at, field)| {
        let words = words(&field.attrs);
        let has = |word: &str| words.iter().any(|known| known == word);
        let attribute = if has("skip") {
            return None;
        } else if has("flatten") {
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
