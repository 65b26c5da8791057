//! The JSON Schema (draft 7) of a registry, for editors: completion, types, ranges, words. Rules between keys are not in it.

use std::fmt::Write;

use crate::codes;
use crate::keys::table::{SCHEMES, TYPES};
use crate::keys::{Availability, Choice, KEYS, Key, KeyType, Kinds, Preset};
use crate::render::string;

/// A JSON value that is only ever printed.
enum Json {
    Text(String),
    Number(u64),
    Bool(bool),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
    Named(Vec<(String, Json)>),
}

fn text(value: impl Into<String>) -> Json {
    Json::Text(value.into())
}

/// The schema of `services.toml` and its overlays.
pub fn json_schema() -> String {
    let root = Json::Object(vec![
        ("$schema", text("http://json-schema.org/draft-07/schema#")),
        ("title", text("Registry of typed sinks")),
        (
            "description",
            text("Every place a message may go. See docs/REGISTRY.md."),
        ),
        ("type", text("object")),
        ("additionalProperties", Json::Bool(false)),
        (
            "properties",
            Json::Object(vec![
                ("services", services()),
                (
                    "defaults",
                    table(
                        "Keys for every service that has them and does not write them itself.",
                        defaults(),
                    ),
                ),
                ("lints", table("Level of each warning.", lints())),
            ]),
        ),
        ("definitions", definitions()),
    ]);
    let mut out = String::new();
    print(&mut out, &root, 0);
    out.push('\n');
    out
}

fn services() -> Json {
    Json::Object(vec![
        (
            "description",
            text("One table per service: `[services.name]`."),
        ),
        ("type", text("object")),
        (
            "additionalProperties",
            Json::Object(vec![("$ref", text("#/definitions/service"))]),
        ),
    ])
}

/// A service, told apart by its `type`; the shape that editors follow is `if`/`then` per kind.
fn definitions() -> Json {
    let kinds = [
        ("relay", Kinds::RELAY),
        ("direct", Kinds::DIRECT),
        ("composite", Kinds::COMPOSITE),
    ];
    let branches = kinds.iter().map(|(name, kinds)| {
        let keys: Vec<&Key> = KEYS
            .iter()
            .filter(|key| key.kinds.overlaps(*kinds))
            .collect();
        let allowed = keys
            .iter()
            .map(|key| (key.name.to_owned(), Json::Bool(true)))
            .collect();
        Json::Object(vec![
            (
                "if",
                Json::Object(vec![
                    (
                        "properties",
                        Json::Object(vec![("type", Json::Object(vec![("const", text(*name))]))]),
                    ),
                    ("required", Json::Array(vec![text("type")])),
                ]),
            ),
            (
                "then",
                Json::Object(vec![
                    ("properties", Json::Named(allowed)),
                    ("additionalProperties", Json::Bool(false)),
                ]),
            ),
        ])
    });
    let all = KEYS
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let service = Json::Object(vec![
        ("type", text("object")),
        ("properties", Json::Named(all)),
        ("additionalProperties", Json::Bool(false)),
        ("allOf", Json::Array(branches.collect())),
    ]);
    let secret = |part: &'static str, doc: &'static str| {
        Json::Object(vec![
            ("type", text("object")),
            (
                "properties",
                Json::Named(vec![(
                    part.to_owned(),
                    described(doc, vec![("type", text("string"))]),
                )]),
            ),
            ("required", Json::Array(vec![text(part)])),
            ("additionalProperties", Json::Bool(false)),
        ])
    };
    Json::Object(vec![
        ("service", service),
        (
            "secret",
            described(
                "Where the secret is kept.",
                vec![(
                    "oneOf",
                    Json::Array(vec![
                        secret("env", "Name of an environment variable."),
                        secret("file", "Path of a file."),
                    ]),
                )],
            ),
        ),
    ])
}

fn table(doc: &str, properties: Vec<(String, Json)>) -> Json {
    described(
        doc,
        vec![
            ("type", text("object")),
            ("properties", Json::Named(properties)),
            ("additionalProperties", Json::Bool(false)),
        ],
    )
}

fn defaults() -> Vec<(String, Json)> {
    KEYS.iter()
        .filter(|key| key.in_defaults())
        .map(|key| (key.name.to_owned(), property(key)))
        .collect()
}

fn lints() -> Vec<(String, Json)> {
    let levels = || Json::Array(["allow", "warn", "deny"].into_iter().map(text).collect());
    codes::lints()
        .map(|(code, lint)| {
            let title = crate::explain(code).map_or("", |found| found.title);
            (
                lint.to_owned(),
                described(&format!("{code}: {title}."), vec![("enum", levels())]),
            )
        })
        .collect()
}

fn described(doc: &str, mut rest: Vec<(&'static str, Json)>) -> Json {
    rest.insert(0, ("description", text(doc)));
    Json::Object(rest)
}

fn property(key: &Key) -> Json {
    let mut doc = format!("{} {}", key.doc, key.symptom).trim_end().to_owned();
    if !key.unit.is_empty() {
        let _ = write!(doc, " Unit: {}.", key.unit);
    }
    match key.availability {
        Availability::NotYet => doc.push_str(" Not built into this version: an error."),
        Availability::Feature(feature) => {
            let _ = write!(doc, " Needs the feature `{feature}`.");
        }
        Availability::Built | Availability::Carrier(_) => {}
    }
    let mut parts = shape(key);
    match key.preset {
        Preset::Number(number) => parts.push(("default", Json::Number(number))),
        Preset::Word(word) => parts.push(("default", text(word))),
        Preset::Bool(yes) => parts.push(("default", Json::Bool(yes))),
        Preset::Words(words) => {
            let _ = write!(doc, " Default: {words}.");
        }
        Preset::Required | Preset::None => {}
    }
    described(&doc, parts)
}

fn shape(key: &Key) -> Vec<(&'static str, Json)> {
    let plain = |pattern: Option<&str>| {
        let mut parts = vec![("type", text("string"))];
        parts.extend(pattern.map(|pattern| ("pattern", text(pattern))));
        parts
    };
    let number = |min: u64, max: u64| {
        vec![
            ("type", text("integer")),
            ("minimum", Json::Number(min)),
            ("maximum", Json::Number(max)),
        ]
    };
    let either = |forms: Vec<Json>| vec![("anyOf", Json::Array(forms))];
    let secret = || Json::Object(vec![("$ref", text("#/definitions/secret"))]);
    match key.ty {
        KeyType::Text => plain(None),
        KeyType::Choice(choices) if key.name == "type" => {
            words(if choices.is_empty() { TYPES } else { choices })
        }
        KeyType::Choice(choices) => words(choices),
        KeyType::Integer { min, max }
        | KeyType::Millis {
            min,
            max,
            never: false,
        } => number(min, max),
        KeyType::Millis {
            min,
            max,
            never: true,
        } => either(vec![
            Json::Object(number(min, max)),
            Json::Object(vec![("const", text("never"))]),
        ]),
        KeyType::Bool => vec![("type", text("boolean"))],
        KeyType::Endpoint => {
            let known: Vec<String> = SCHEMES
                .iter()
                .map(|scheme| format!("{}://", scheme.name))
                .collect();
            let mut parts = plain(Some("^[a-z][a-z0-9+.-]*://[^@\\s]+$"));
            parts.push((
                "examples",
                Json::Array(known.into_iter().map(text).collect()),
            ));
            parts
        }
        KeyType::Uids => {
            vec![
                ("type", text("array")),
                ("items", Json::Object(number(0, u64::from(u32::MAX) - 1))),
            ]
        }
        KeyType::Names => {
            let mut parts = vec![
                ("type", text("array")),
                ("items", Json::Object(vec![("type", text("string"))])),
                ("uniqueItems", Json::Bool(true)),
            ];
            if key.name == "targets" {
                parts.extend([("minItems", Json::Number(1)), ("maxItems", Json::Number(8))]);
            }
            parts
        }
        KeyType::RustPath => plain(Some("^[^\\s<>()\\[\\]&.]+$")),
        KeyType::FieldPath | KeyType::Ident | KeyType::Word => plain(Some("^\\S+$")),
        KeyType::Ack => either(vec![
            Json::Object(vec![("enum", Json::Array(vec![text("all"), text("any")]))]),
            Json::Object(vec![
                ("type", text("object")),
                (
                    "properties",
                    Json::Object(vec![("quorum", Json::Object(number(1, 8)))]),
                ),
                ("required", Json::Array(vec![text("quorum")])),
                ("additionalProperties", Json::Bool(false)),
            ]),
        ]),
        KeyType::TextOrSecret => either(vec![Json::Object(plain(None)), secret()]),
        KeyType::Tls => vec![
            ("type", text("object")),
            (
                "properties",
                Json::Object(vec![
                    ("ca", Json::Object(plain(None))),
                    ("cert", Json::Object(plain(None))),
                    ("key", secret()),
                    ("server_name", Json::Object(plain(None))),
                ]),
            ),
            ("additionalProperties", Json::Bool(false)),
        ],
        KeyType::Directory => plain(Some("^/")),
        KeyType::Sync => plain(Some("^(always|never|[0-9]+(ms|s))$")),
    }
}

fn words(choices: &[Choice]) -> Vec<(&'static str, Json)> {
    let names = || Json::Array(choices.iter().map(|choice| text(choice.name)).collect());
    // Taplo and the editors built on it show these beside each word.
    let docs = Json::Array(choices.iter().map(|choice| text(choice.doc)).collect());
    let hints = Json::Object(vec![("docs", Json::Object(vec![("enumValues", docs)]))]);
    vec![
        ("type", text("string")),
        ("enum", names()),
        ("x-taplo", hints),
    ]
}

fn print(out: &mut String, value: &Json, depth: usize) {
    match value {
        Json::Text(value) => out.push_str(&string(value)),
        Json::Number(value) => out.push_str(&value.to_string()),
        Json::Bool(value) => out.push_str(&value.to_string()),
        Json::Array(items) => {
            let flat = items.iter().all(|item| matches!(item, Json::Text(_)));
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 {
                    ""
                } else if flat {
                    ", "
                } else {
                    ","
                });
                if !flat {
                    line(out, depth + 1);
                }
                print(out, item, depth + 1);
            }
            if !flat {
                line(out, depth);
            }
            out.push(']');
        }
        Json::Object(parts) => {
            object(out, parts.iter().map(|(name, value)| (*name, value)), depth);
        }
        Json::Named(parts) => object(
            out,
            parts.iter().map(|(name, value)| (name.as_str(), value)),
            depth,
        ),
    }
}

fn object<'a>(out: &mut String, parts: impl Iterator<Item = (&'a str, &'a Json)>, depth: usize) {
    out.push('{');
    for (at, (name, value)) in parts.enumerate() {
        if at > 0 {
            out.push(',');
        }
        line(out, depth + 1);
        out.push_str(&string(name));
        out.push_str(": ");
        print(out, value, depth + 1);
    }
    line(out, depth);
    out.push('}');
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}
