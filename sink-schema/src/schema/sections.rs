//! `[lints]` and `[defaults]`.

use crate::by_name::ByName;
use crate::capabilities::Capabilities;
use crate::codes;
use crate::draft::{Draft, Given};
use crate::keys::{self, Certainty, Kinds};
use crate::mistakes::{LintLevel, Mistake, Mistakes};
use crate::names::{self, show};
use crate::tree::{Data, Entry};
use crate::values::Reader;

/// Reads the level of each warning.
pub(super) fn lints(entries: &[Entry], mistakes: &mut Mistakes) {
    for entry in entries {
        let Some((code, _)) =
            codes::lints().find(|(code, lint)| *lint == entry.key || *code == entry.key)
        else {
            unknown_lint(entry, mistakes);
            continue;
        };
        let level = match &entry.value.data {
            Data::Text(word) => match word.as_str() {
                "allow" => Some(LintLevel::Allow),
                "warn" => Some(LintLevel::Warn),
                "deny" => Some(LintLevel::Deny),
                _ => None,
            },
            _ => None,
        };
        match level {
            Some(level) => mistakes.set_lint(code, level),
            None => bad_level(entry, mistakes),
        }
    }
}

fn unknown_lint(entry: &Entry, mistakes: &mut Mistakes) {
    let mistake = Mistake::new(
        codes::UNKNOWN_LINT,
        entry.key_span,
        format!("unknown lint {}", show(&entry.key)),
    );
    let error = codes::ALL
        .iter()
        .any(|(code, lint)| *code == entry.key && lint.is_none());
    let near = names::nearest(&entry.key, codes::lints().map(|(_, lint)| lint));
    let all: Vec<&str> = codes::lints().map(|(_, lint)| lint).collect();
    mistakes.push(match near {
        _ if error => mistake
            .label("an error, which no lint can allow")
            .help("remove it and repair the mistake"),
        Some(near) => mistake.label("no such warning").patch(
            entry.key_span,
            near,
            format!("a warning with a similar name exists: `{near}`"),
        ),
        None => mistake
            .label("no such warning")
            .help(format!("warnings are {}", crate::values::one_of(&all))),
    });
}

fn bad_level(entry: &Entry, mistakes: &mut Mistakes) {
    mistakes.push(match &entry.value.data {
        Data::Text(word) => {
            let message = format!("unknown level {} of lint `{}`", show(word), entry.key);
            let mistake = Mistake::new(codes::UNKNOWN_VALUE, entry.value.span, message);
            match names::nearest(word, ["allow", "warn", "deny"]) {
                Some(near) => mistake.label("no such level").patch(
                    entry.value.span,
                    format!("\"{near}\""),
                    format!("write `\"{near}\"`"),
                ),
                None => mistake.label("expected `allow`, `warn` or `deny`"),
            }
        }
        other => {
            let message = format!(
                "the level of lint `{}` is a string, not {}",
                entry.key,
                other.words()
            );
            let mistake = Mistake::new(codes::WRONG_TYPE, entry.value.span, message);
            mistake.label("expected `\"allow\"`, `\"warn\"` or `\"deny\"`")
        }
    });
}

/// Reads `[defaults]` once: a mistake in it is one mistake, however many services it would reach.
pub(super) fn defaults(
    entries: &[Entry],
    capabilities: &Capabilities,
    mistakes: &mut Mistakes,
) -> Vec<Given> {
    let mut defaults = Vec::new();
    for entry in entries {
        let Some(key) = keys::find(&entry.key) else {
            unknown_default(entry, mistakes);
            continue;
        };
        if !key.in_defaults() {
            let message = format!("key `{}` cannot be a default", key.name);
            let mistake = Mistake::new(codes::WRONG_KIND, entry.key_span, message)
                .label("belongs to one service");
            mistakes.push(mistake.help("move it below `[services.name]`"));
            continue;
        }
        let mut reader = Reader {
            capabilities,
            service: None,
            mistakes,
        };
        if let Some(typed) = reader.read(key, entry.key_span, &entry.value) {
            let (key_span, value_span) = (entry.key_span, entry.value.span);
            defaults.push(Given {
                key,
                key_span,
                value_span,
                typed,
                inherited: true,
            });
        }
    }
    defaults
}

fn unknown_default(entry: &Entry, mistakes: &mut Mistakes) {
    let message = format!("unknown key {} in `[defaults]`", show(&entry.key));
    let mistake = Mistake::new(codes::UNKNOWN_KEY, entry.key_span, message).label("no such key");
    mistakes.push(match keys::meant(&entry.key, Kinds::ALL) {
        Some((key, Certainty::Sure)) => mistake.patch(
            entry.key_span,
            key.name,
            format!("a key with a similar name exists: `{}`", key.name),
        ),
        Some((key, Certainty::Likely)) => mistake.help(format!("this is called `{}`", key.name)),
        Some((key, Certainty::Unit)) => mistake.help(super::unit_help(key, entry, false)),
        None => mistake.help("`cargo sinks explain E0102` lists the keys"),
    });
    super::hide_secret(entry, mistakes);
}

/// Warns of defaults that no service has.
pub(super) fn unused(
    defaults: &[Given],
    used: &ByName<()>,
    drafts: &[Draft],
    mistakes: &mut Mistakes,
) {
    let certain = drafts
        .iter()
        .all(|draft| draft.is_composite() || draft.is_leaf());
    if !certain || drafts.is_empty() {
        return;
    }
    for default in defaults
        .iter()
        .filter(|default| !used.contains(default.key.name))
    {
        let message = format!("default `{}` reaches no service", default.key.name);
        mistakes.push(
            Mistake::new(codes::UNUSED_DEFAULT, default.key_span, message)
                .label(format!(
                    "belongs to {}, and there are none",
                    default.key.kinds.words()
                ))
                .help("remove it"),
        );
    }
}
