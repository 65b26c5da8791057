//! What of serde's attributes only a codec that names its fields can carry: postcard writes fields and variants by their places,
//! so one that is left out shifts all that follow, and nothing says what comes next.

use quote::ToTokens;
use syn::{
    Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Lit, Meta, Token, Type,
    punctuated::Punctuated,
};

use super::{contents, shape};

/// Why postcard cannot carry the type, if its own attributes say so: the first reason.
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
         help: write `codec = \"json\"` at the services that carry `{name}`, also within another message, or take the attribute away"
    ))
}

/// The types that are encoded with this one by their own impls of serde's traits, and may have a reason of theirs.
pub(super) fn encoded_within(input: &DeriveInput) -> Vec<Type> {
    let mut types = Vec::new();
    if is_another(&input.attrs) {
        others(&input.attrs)
            .iter()
            .for_each(|ty| contents::parts(ty, &mut types));
        return types;
    }
    let mut add = |fields: &Fields| {
        for field in fields {
            let is_marker = matches!(&field.ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "PhantomData"));
            if !is_marker && !says(&field.attrs, NOT_BY_ITS_TYPE) {
                contents::parts(&field.ty, &mut types);
            }
        }
    };
    match &input.data {
        Data::Struct(data) => add(&data.fields),
        Data::Enum(data) => {
            let variants = data.variants.iter();
            variants
                .filter(|variant| !says(&variant.attrs, NOT_BY_ITS_TYPE))
                .for_each(|variant| add(&variant.fields));
        }
        Data::Union(_) => {}
    }
    types
}

/// What keeps serde from asking the type of a field how it is encoded.
const NOT_BY_ITS_TYPE: &[&str] = &["skip", "with", "serialize_with", "deserialize_with"];

fn says(attributes: &[Attribute], any: &[&str]) -> bool {
    let words = words(attributes);
    any.iter()
        .any(|word| words.iter().any(|known| known == word))
}

/// Whether serde writes and reads a type of another name in the place of this one.
fn is_another(attributes: &[Attribute]) -> bool {
    says(attributes, ANOTHER)
}

const ANOTHER: &[&str] = &["from", "try_from", "into"];

/// The types that it writes and reads in its place.
fn others(attributes: &[Attribute]) -> Vec<Type> {
    let named = listed(attributes)
        .into_iter()
        .filter_map(|meta| match meta {
            Meta::NameValue(value) if ANOTHER.iter().any(|word| value.path.is_ident(word)) => {
                Some(value.value)
            }
            _ => None,
        });
    let texts = named.filter_map(|value| match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => text.parse().ok(),
        _ => None,
    });
    texts.collect()
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
        Data::Struct(data) => of_fields(&data.fields, name),
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
                    _ => of_fields(&variant.fields, &format!("{name}::{}", variant.ident)),
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
        Some((attribute, format!("field `{before}.{field}`")))
    })
}

/// The words that `#[serde(…)]` lists.
fn words(attributes: &[Attribute]) -> Vec<String> {
    let listed = listed(attributes).into_iter();
    listed
        .map(|meta| meta.path().to_token_stream().to_string())
        .collect()
}

/// What `#[serde(…)]` lists; what cannot be read, serde's own derive refuses.
fn listed(attributes: &[Attribute]) -> Vec<Meta> {
    let serde = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"));
    let lists = serde.filter_map(|attribute| {
        attribute
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .ok()
    });
    lists.flatten().collect()
}
