//! `docs/REGISTRY.md`, written from the tables that validation reads.

use std::fmt::Write;

use crate::codes;
use crate::explain::{explanations, section};
use crate::keys::table::{ACKS, SCHEMES};
use crate::keys::{Availability, Choice, KEYS, Key, KeyType, Kinds, Preset, Scope};

const HEAD: &str = r#"# The registry

Generated from the key table of `sink-schema`; a test fails when it is out of date (`UPDATE=1 cargo test -p sink-schema` rewrites it).

A registry is a TOML file, usually `services.toml`. Every table `[services.name]` is one service:

```toml
[services.market_data_relay]
type = "relay"
endpoint = "unix:///run/market/data.sock"

[services.strategy_a]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"

[services.broadcast_group]
type = "composite"
pattern = "fanout"
targets = ["market_data_relay", "strategy_a"]
```

- `[defaults]` holds keys for every service that has them and does not write them itself.
- `services.<profile>.toml` is an overlay: it changes keys of services that the base has, key by key, and adds no service.
  `SINKS_PROFILE` chooses one when the program starts, `Build::profile` or `sinks!(…, profile = "…")` when it is built: that one
  is then in force wherever `SINKS_PROFILE` says nothing and no other registry is named. A program built with one has the bare
  base as a profile too if there is an overlay that changes nothing: an empty `services.base.toml`, and `SINKS_PROFILE=base`.
- An overlay that is added beside `Cargo.toml` is seen when the crate is next compiled, and is then an error that says so until the
  registry is saved again: cargo can watch a file that is there, or a folder with all that is beneath. A folder that holds nothing
  but registries is watched: `Build::new("registry/services.toml")`.
- `SINKS__SERVICE__KEY` in the environment changes one key: `SINKS__STRATEGY_A__ENDPOINT=tcp://127.0.0.1:9101`. `SINKS__`
  is written in capitals, and a variable of that form with small letters there is an error; what follows is matched without regard
  to case. Lists are separated by commas (`orders,trades`), or written as in TOML. `SERVICE` is the service's Rust name, its `ident`
  where it has one, with `_` for `-` and `.`: `orders-eu` is `SINKS__ORDERS_EU__ENDPOINT`. A former name (`aliases`) will do as
  well. Two variables of one key are an error, whatever they say. A name with letters beyond ASCII is matched too
  (`SINKS__BÖRSE__ENDPOINT`); where a shell cannot write such a variable, `env` can, or give the service an `ident` without them.
- Order of force: environment, overlay, base, `[defaults]`, the default below. Every layer passes the same validation as the build.
- Secrets are references, `{ env = "NAME" }` or `{ file = "path" }`, resolved at run time and printed as `***`.
- Names become Rust: `orders-eu` is `Sinks::orders_eu()` and the type `OrdersEu`; `ident` chooses another, `aliases` keep former ones.
  Where the type's name is taken (`[services.tick]` beside `crate::Tick`, an import, Rust's prelude), what has it keeps it: the
  service has its accessor all the same, and with `ident = "tick_sink"` its type has a name too.
- In a workspace the registry, `build.rs` and `include_sinks!()` belong to one library, and the others use its `Sinks`. A runtime that
  `Cargo.toml` calls by another name is found; messages in a crate that has it only through another one say where it is:
  `#[message(crate = "shop::sink_runtime")]`. Generated code that is checked in names it itself: `Build::runtime_path`, or
  `cargo sinks generate --runtime-path`.
- `[lints]` sets each warning to `"allow"`, `"warn"` or `"deny"`, by name. An error is an error.

"#;

/// The reference of the registry language, in Markdown.
pub fn reference_markdown() -> String {
    let mut out = HEAD.to_owned();
    for (title, kinds) in [
        ("Keys of every service", Kinds::ALL),
        ("Keys of relay and direct services", Kinds::LEAF),
        ("Keys of relay services", Kinds::RELAY),
        ("Keys of composites", Kinds::COMPOSITE),
    ] {
        let rows: Vec<&Key> = KEYS.iter().filter(|key| section(key) == kinds).collect();
        let _ = writeln!(out, "## {title}\n");
        rows.iter().for_each(|key| entry(&mut out, key));
    }
    schemes(&mut out);
    lints(&mut out);
    codes_table(&mut out);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn entry(out: &mut String, key: &Key) {
    let _ = writeln!(out, "### `{}`\n", key.name);
    let _ = write!(out, "{}", key.doc);
    if !key.only.is_empty() {
        let only: Vec<String> = key.only.iter().map(|only| only.words()).collect();
        let _ = write!(out, " Only {}.", only.join(", and "));
    }
    if !key.symptom.is_empty() {
        let _ = write!(out, " {}", key.symptom);
    }
    let _ = writeln!(out, "\n");
    let _ = writeln!(out, "- Type: {}", type_words(key));
    let _ = writeln!(out, "- Default: {}", preset_words(key));
    if section(key) == Kinds::COMPOSITE && key.kinds != Kinds::COMPOSITE {
        let _ = writeln!(out, "- Of: {}", key.kinds.words());
    }
    match key.scope {
        Scope::Everywhere => {}
        Scope::Service => out.push_str("- Not in `[defaults]`\n"),
        Scope::Shape => out.push_str(
            "- Not in `[defaults]`\n- Read at start: accessor and `Sinks::dynamic` both follow what an overlay or variable makes of it\n",
        ),
        Scope::CompiledIn => {
            out.push_str("- Compiled in: in the base file only, not in `[defaults]`\n")
        }
        Scope::CompiledInDefault => out.push_str("- Compiled in: in the base file only\n"),
    }
    if let Some(words) = availability_words(key.availability) {
        let _ = writeln!(out, "- {words}");
    }
    let _ = writeln!(out, "- Example: `{} = {}`", key.name, key.example);
    choices(out, key);
    out.push('\n');
}

fn choices(out: &mut String, key: &Key) {
    let (choices, quoted): (&[Choice], bool) = match key.ty {
        KeyType::Choice(choices) => (choices, true),
        KeyType::Ack => (ACKS, false),
        _ => return,
    };
    out.push_str("\n| value | meaning |\n|---|---|\n");
    for choice in choices {
        let name = if quoted || choice.name != "quorum" {
            format!("\"{}\"", choice.name)
        } else {
            "{ quorum = n }".to_owned()
        };
        let note = availability_words(choice.availability)
            .map_or(String::new(), |words| format!(" ({})", lower(&words)));
        let _ = writeln!(out, "| `{name}` | {}{note} |", choice.doc);
    }
}

fn lower(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

fn availability_words(availability: Availability) -> Option<String> {
    match availability {
        Availability::Built => None,
        Availability::NotYet => Some("Not built into this version: an error".to_owned()),
        Availability::Feature("postcard") => Some("Feature `postcard`, on by default".to_owned()),
        Availability::Feature(feature) => Some(format!("Feature `{feature}`")),
        Availability::Carrier(name) => Some(format!("Carrier of the crate `{name}`")),
    }
}

/// The type of a key with its range and unit.
pub(crate) fn type_words(key: &Key) -> String {
    match key.ty {
        KeyType::Text => "string".to_owned(),
        KeyType::Choice(_) => "one of the words below".to_owned(),
        KeyType::Integer { min, max } => format!("whole number of {}, {min} to {max}", key.unit),
        KeyType::Millis {
            min,
            max,
            never: false,
        } => format!("whole number of milliseconds, {min} to {max}"),
        KeyType::Millis {
            min,
            max,
            never: true,
        } => {
            format!("whole number of milliseconds, {min} to {max}, or `\"never\"`")
        }
        KeyType::Bool => "`true` or `false`".to_owned(),
        KeyType::Endpoint => "endpoint, as below".to_owned(),
        KeyType::Uids => "array of numeric user ids".to_owned(),
        KeyType::Names => "array of names".to_owned(),
        KeyType::RustPath => "path of a Rust type".to_owned(),
        KeyType::FieldPath => "field name, or several joined by dots".to_owned(),
        KeyType::Ident => "Rust identifier".to_owned(),
        KeyType::Ack => "one of the forms below".to_owned(),
        KeyType::TextOrSecret => "string, `{ env = \"NAME\" }` or `{ file = \"path\" }`".to_owned(),
        KeyType::Tls => "table of `ca`, `cert`, `key` and `server_name`".to_owned(),
        KeyType::Directory => "absolute path".to_owned(),
        KeyType::Sync => {
            "`\"always\"`, `\"never\"` or a time from `\"1ms\"` to `\"60s\"`".to_owned()
        }
        KeyType::Word => "letters, digits, `_`, `-` and `.`".to_owned(),
    }
}

fn preset_words(key: &Key) -> String {
    match key.preset {
        Preset::Required => "required".to_owned(),
        Preset::None => "none".to_owned(),
        Preset::Words(words) => words.to_owned(),
        Preset::Number(number) => number.to_string(),
        Preset::Word(word) => format!("`\"{word}\"`"),
        Preset::Bool(yes) => format!("`{yes}`"),
    }
}

fn schemes(out: &mut String) {
    out.push_str("## Endpoints\n\n| scheme | where |\n|---|---|\n");
    for scheme in SCHEMES {
        let note = availability_words(scheme.availability)
            .map_or(String::new(), |words| format!(" ({})", lower(&words)));
        let _ = writeln!(out, "| `{}` | {}{note} |", scheme.name, scheme.doc);
    }
    out.push_str(
        "\nAny other scheme is sound where its carrier is built in (`Build::new(…).carrier(\"its_crate\")`). A socket path has at most 107 bytes.\n\n",
    );
}

fn lints(out: &mut String) {
    out.push_str(
        "## Warnings\n\nEach may be set in `[lints]`.\n\n| lint | code | rule |\n|---|---|---|\n",
    );
    for found in explanations() {
        if let Some(lint) = codes::lint_of(found.code) {
            let _ = writeln!(out, "| `{lint}` | {} | {} |", found.code, found.title);
        }
    }
    out.push('\n');
}

fn codes_table(out: &mut String) {
    out.push_str("## Errors\n\n`cargo sinks explain E0102` shows each with a wrong and a right example.\n\n| code | rule |\n|---|---|\n");
    for found in explanations().filter(|found| found.lint.is_none()) {
        let _ = writeln!(out, "| {} | {} |", found.code, found.title);
    }
}
