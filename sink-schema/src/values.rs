//! One value against one row of the key table: its type, its range, its words. Rules between keys stand in `rules`.

mod structured;
mod text;
pub(crate) mod units;

use crate::capabilities::Capabilities;
use crate::codes;
use crate::endpoint::Endpoint;
use crate::keys::{self, Availability, Choice, Key, KeyType};
use crate::mistakes::{Mistake, Mistakes};
use crate::names::{self, show};
use crate::plan::{Ack, SyncMode, TextOrSecret, TlsPlan};
use crate::text::Span;
use crate::tree::{Data, Value};

/// A value that fits its key.
#[derive(Clone, Debug)]
pub(crate) enum Typed {
    Text(String),
    Choice(&'static str),
    Number(u64),
    /// `None` is `"never"`.
    Millis(Option<u64>),
    Bool(bool),
    Endpoint(Endpoint),
    Uids(Vec<u32>),
    Names(Vec<(String, Span)>),
    Ack(Ack, Span),
    TextOrSecret(TextOrSecret),
    Tls(TlsPlan),
    Sync(SyncMode),
}

/// Whose value is read, and with what at hand.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) capabilities: &'a Capabilities,
    /// `None` in `[defaults]`.
    pub(crate) service: Option<&'a str>,
    pub(crate) mistakes: &'a mut Mistakes,
}

// === impl Reader ===

impl Reader<'_> {
    /// Reads `value` as `key` wants it. `None` after the mistake was told.
    pub(crate) fn read(
        &mut self,
        key: &'static Key,
        key_span: Span,
        value: &Value,
    ) -> Option<Typed> {
        if !self.key_is_available(key, key_span) {
            return None;
        }
        match key.ty {
            KeyType::Text => self.prose(key, value).map(Typed::Text),
            KeyType::Choice(choices) => self.choice(key, choices, value),
            KeyType::Integer { min, max } => self.integer(key, value, min, max).map(Typed::Number),
            KeyType::Millis { min, max, never } => self.millis(key, value, min, max, never),
            KeyType::Bool => match value.data {
                Data::Bool(yes) => Some(Typed::Bool(yes)),
                _ => self.wrong_type(key, value, "`true` or `false`"),
            },
            KeyType::Endpoint => self.endpoint(key, value),
            KeyType::Uids => self.uids(key, value),
            KeyType::Names => self.names(key, value),
            KeyType::RustPath => self.rust_path(key, value),
            KeyType::FieldPath => self.field_path(key, value),
            KeyType::Ident => self.plain_text(key, value).map(Typed::Text),
            KeyType::Ack => self.ack(key, value),
            KeyType::TextOrSecret => self.text_or_secret(key, value),
            KeyType::Tls => self.tls(key, value),
            KeyType::Directory => self.directory(key, value),
            KeyType::Sync => self.sync(key, value),
            KeyType::Word => self.word(key, value),
        }
    }

    /// Tells a mistake of the service being read.
    fn tell(&mut self, mistake: Mistake) {
        let mistake = match self.service {
            Some(service) => mistake.of(service),
            None => mistake,
        };
        self.mistakes.push(mistake);
    }

    fn key_is_available(&mut self, key: &'static Key, span: Span) -> bool {
        let what = format!("key `{}`", key.name);
        self.is_available(key.availability, span, &what, REMOVE)
    }

    /// Whether this version can do `what`; tells if it cannot, and what to do `instead` if no version can.
    fn is_available(
        &mut self,
        availability: Availability,
        span: Span,
        what: &str,
        instead: &str,
    ) -> bool {
        if self.capabilities.is_everything() {
            return true;
        }
        match availability {
            Availability::Built => true,
            Availability::Feature(feature) if self.capabilities.has_feature(feature) => true,
            Availability::Feature(feature) => {
                self.tell(
                    Mistake::new(codes::MISSING_FEATURE, span, format!("{what} needs the feature `{feature}`"))
                        .label("not built into this program")
                        .help(format!(
                            "in Cargo.toml, give `sink-runtime` the feature: `features = [\"{feature}\"]`"
                        )),
                );
                false
            }
            Availability::Carrier(name) => {
                self.tell(
                    Mistake::new(
                        codes::MISSING_CARRIER,
                        span,
                        format!("{what} needs the carrier of `{name}`"),
                    )
                    .label("no carrier for it in this program")
                    .help(format!(
                        "in build.rs, write `Build::new(…).carrier(\"{name}\").run()`"
                    )),
                );
                false
            }
            Availability::NotYet => {
                self.tell(
                    Mistake::new(
                        codes::NOT_BUILT,
                        span,
                        format!("{what} is not built into this version"),
                    )
                    .label("known, but nothing would happen yet")
                    .help(instead),
                );
                false
            }
        }
    }

    /// Whether to offer it: what no build of this version has would be the next mistake.
    fn offers(&self, availability: Availability) -> bool {
        availability != Availability::NotYet || self.capabilities.is_everything()
    }

    /// The words of `choices` that can be offered.
    fn words_of(&self, choices: &'static [Choice]) -> Vec<&'static str> {
        let offered = choices
            .iter()
            .filter(|choice| self.offers(choice.availability));
        offered.map(|choice| choice.name).collect()
    }

    fn wrong_type<T>(&mut self, key: &'static Key, value: &Value, wanted: &str) -> Option<T> {
        let found = value.data.words();
        let mut mistake = Mistake::new(
            codes::WRONG_TYPE,
            value.span,
            format!("`{}` is {wanted}, not {found}", key.name),
        )
        .label(format!("expected {wanted}"));
        mistake = match rewritten(key, value) {
            Some((text, title)) => mistake.patch(value.span, text, title),
            None => {
                let example = match key.name {
                    "ack" if !self.offers(structured::availability("quorum")) => "\"all\"",
                    _ => key.example,
                };
                mistake.help(format!("for example: `{} = {example}`", key.name))
            }
        };
        self.tell(mistake);
        None
    }

    fn choice(
        &mut self,
        key: &'static Key,
        choices: &'static [Choice],
        value: &Value,
    ) -> Option<Typed> {
        let Data::Text(text) = &value.data else {
            return self.wrong_type(key, value, "a string");
        };
        if let Some(choice) = choices.iter().find(|choice| choice.name == text) {
            let what = format!("`{} = \"{}\"`", key.name, choice.name);
            let instead = match key.preset {
                // A key that must be there is not removed.
                keys::Preset::Required => format!("write {}", alternatives(key, choices)),
                _ => REMOVE.to_owned(),
            };
            let available = self.is_available(choice.availability, value.span, &what, &instead);
            return available.then_some(Typed::Choice(choice.name));
        }
        self.no_choice(key, choices, value.span, text);
        None
    }

    /// Tells a word that is none of the key's, with the one that is meant.
    fn no_choice(&mut self, key: &'static Key, choices: &'static [Choice], span: Span, text: &str) {
        let (code, message) = match key.name {
            "type" => (codes::UNKNOWN_TYPE, format!("unknown type {}", show(text))),
            "pattern" => (
                codes::UNKNOWN_PATTERN,
                format!("unknown pattern {}", show(text)),
            ),
            other => (
                codes::UNKNOWN_VALUE,
                format!("unknown value {} for `{other}`", show(text)),
            ),
        };
        let words = self.words_of(choices);
        let mistake = Mistake::new(code, span, message);
        let mistake = match nearest_choice(text, choices) {
            Some(near) if !words.contains(&near) => mistake
                .label("no such value")
                .note(not_built(near))
                .help(format!("write {}", alternatives(key, choices))),
            Some(near) => {
                let written = self.quoted(span, near);
                mistake.label("no such value").patch(
                    span,
                    written.clone(),
                    format!("write `{written}`"),
                )
            }
            None => mistake.label(format!("expected {}", one_of(&words))),
        };
        let mut patterns = keys::table::PATTERNS.iter();
        let pattern = patterns.find(|known| known.name == text && key.name == "type");
        self.tell(match pattern {
            Some(known) if self.offers(known.availability) => mistake.help(format!(
                "that is a pattern of composites: write `type = \"composite\"`, and below it `pattern = \"{text}\"`"
            )),
            Some(known) => mistake.note(format!("that is a pattern of composites, and {}", not_built(known.name))),
            None => mistake,
        });
    }

    fn integer(&mut self, key: &'static Key, value: &Value, min: u64, max: u64) -> Option<u64> {
        let number = match value.data {
            Data::Integer(Some(number)) => number,
            Data::Integer(None) => return self.out_of_range(key, value, min, max),
            _ => return self.wrong_type(key, value, "a whole number"),
        };
        match u64::try_from(number) {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            _ => self.out_of_range(key, value, min, max),
        }
    }

    fn out_of_range<T>(
        &mut self,
        key: &'static Key,
        value: &Value,
        min: u64,
        max: u64,
    ) -> Option<T> {
        let unit = if key.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", key.unit)
        };
        let written = show(self.mistakes.text(value.span));
        let negative = matches!(value.data, Data::Integer(Some(number)) if number < 0);
        let zero = matches!(value.data, Data::Integer(Some(0)));
        let label = match (zero || negative, negative) {
            (_, true) => "negative".to_owned(),
            (true, _) => "zero".to_owned(),
            _ => "out of range".to_owned(),
        };
        let mut mistake = Mistake::new(
            codes::OUT_OF_RANGE,
            value.span,
            format!("`{}` cannot be {written}", key.name),
        )
        .label(label)
        .help(format!("write a number from {min} to {max}{unit}"));
        if let (true, KeyType::Millis { never: true, .. }) = (zero || negative, key.ty) {
            mistake = mistake.help(format!(
                "to wait without bound, write `{} = \"never\"`",
                key.name
            ));
        }
        self.tell(mistake);
        None
    }

    fn millis(
        &mut self,
        key: &'static Key,
        value: &Value,
        min: u64,
        max: u64,
        never: bool,
    ) -> Option<Typed> {
        match &value.data {
            Data::Text(word) if never && word == "never" => Some(Typed::Millis(None)),
            Data::Integer(_) => self
                .integer(key, value, min, max)
                .map(|number| Typed::Millis(Some(number))),
            _ if never => {
                self.wrong_type(key, value, "a whole number of milliseconds or `\"never\"`")
            }
            _ => self.wrong_type(key, value, "a whole number of milliseconds"),
        }
    }

    fn uids(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        let Data::Array(items) = &value.data else {
            return self.wrong_type(key, value, "an array of user ids");
        };
        let mut uids = Vec::with_capacity(items.len());
        let mut sound = true;
        for item in items {
            match item.data {
                Data::Integer(_) => match self.integer(key, item, 0, u64::from(u32::MAX) - 1) {
                    Some(uid) => uids.push(u32::try_from(uid).unwrap_or(u32::MAX)),
                    None => sound = false,
                },
                _ => {
                    let found = item.data.words();
                    self.tell(
                        Mistake::new(
                            codes::WRONG_TYPE,
                            item.span,
                            format!("`{}` holds numeric user ids, not {found}", key.name),
                        )
                        .label("expected a number")
                        .help("`id -u NAME` prints a user's number"),
                    );
                    sound = false;
                }
            }
        }
        sound.then_some(Typed::Uids(uids))
    }

    fn names(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        let Data::Array(items) = &value.data else {
            return self.wrong_type(key, value, "an array of strings");
        };
        let mut found = Vec::with_capacity(items.len());
        let mut sound = true;
        for item in items {
            match &item.data {
                Data::Text(name) => found.push((name.clone(), item.span)),
                other => {
                    let mistake = Mistake::new(
                        codes::WRONG_TYPE,
                        item.span,
                        format!("`{}` holds names, not {}", key.name, other.words()),
                    );
                    self.tell(mistake.label("expected a string"));
                    sound = false;
                }
            }
        }
        sound.then_some(Typed::Names(found))
    }

    /// `text` in the quotes that a value at `span` has; the environment has none.
    fn quoted(&self, span: Span, text: &str) -> String {
        if self.mistakes.text(span).starts_with(['"', '\'']) {
            format!("\"{text}\"")
        } else {
            text.to_owned()
        }
    }

    /// The bytes `at` of a decoded string inside its source, if the two agree; the whole value otherwise.
    fn inside(&self, value: &Value, decoded: &str, at: std::ops::Range<usize>) -> Span {
        let source = self.mistakes.text(value.span);
        match source.find(decoded) {
            Some(offset) if !decoded.is_empty() && at.end <= decoded.len() => {
                let start = value.span.start + offset;
                Span {
                    file: value.span.file,
                    start: start + at.start,
                    end: start + at.end,
                }
            }
            _ => value.span,
        }
    }
}

/// What to do about a key that has another value when it is not written.
const REMOVE: &str = "remove it: a key that does nothing is never accepted";

/// That a word is known, and why it is not what to write.
fn not_built(word: &str) -> String {
    format!("`{word}` is not built into this version")
}

/// `key = "word"` for each word that every version has.
fn alternatives(key: &Key, choices: &'static [Choice]) -> String {
    let built = choices
        .iter()
        .filter(|choice| choice.availability == Availability::Built);
    let lines: Vec<String> = built
        .map(|choice| format!("{} = \"{}\"", key.name, choice.name))
        .collect();
    one_of(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The word meant by a misspelt one: nearest, or the start of exactly one.
fn nearest_choice(text: &str, choices: &'static [Choice]) -> Option<&'static str> {
    let folded = text.to_ascii_lowercase().replace('-', "_");
    let squeezed = folded.replace('_', "");
    if let Some(same) = choices
        .iter()
        .find(|choice| choice.name.replace('_', "") == squeezed)
    {
        return Some(same.name);
    }
    let meant = || SYNONYMS.iter().find(|(word, _)| *word == squeezed);
    let known = |name: &str| choices.iter().find(|choice| choice.name == name);
    names::nearest(text, choices.iter().map(|choice| choice.name))
        .or_else(|| known(meant()?.1).map(|choice| choice.name))
}

/// Words of other tools for a word of ours.
const SYNONYMS: &[(&str, &str)] = &[
    ("broadcast", "fanout"),
    ("multicast", "fanout"),
    ("tee", "fanout"),
    ("fallback", "failover"),
    ("backup", "failover"),
    ("loadbalance", "round_robin"),
    ("shard", "partition"),
];

/// Words joined as a choice: `` `a`, `b` or `c` ``.
pub(crate) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

/// Words in a row: `` `a`, `b` and `c` ``.
pub(crate) fn and(words: &[&str]) -> String {
    one_of(words).replace(" or ", " and ")
}

/// The same value written as the key wants it, where that is beyond doubt.
fn rewritten(key: &Key, value: &Value) -> Option<(String, String)> {
    let title = |text: &str| format!("write `{} = {text}`", key.name);
    let certain = |text: String| {
        let title = title(&text);
        (text, title)
    };
    match (&key.ty, &value.data) {
        (KeyType::Integer { min, max }, Data::Text(text)) => {
            let number = units::amount(text, key.unit, key.unit)?;
            (*min..=*max)
                .contains(&number)
                .then(|| certain(units::grouped(number)))
        }
        (KeyType::Millis { min, max, .. }, Data::Text(text)) => {
            let millis = milliseconds(text)?;
            (*min..=*max)
                .contains(&millis)
                .then(|| certain(units::grouped(millis)))
        }
        (KeyType::Bool, Data::Text(text)) if matches!(text.as_str(), "true" | "false") => {
            Some(certain(text.clone()))
        }
        // One word in brackets.
        (
            KeyType::Text
            | KeyType::Choice(_)
            | KeyType::Ack
            | KeyType::Endpoint
            | KeyType::RustPath
            | KeyType::Ident
            | KeyType::Word,
            Data::Array(items),
        ) => match items.as_slice() {
            [
                Value {
                    data: Data::Text(text),
                    ..
                },
            ] => Some(certain(names::toml_string(text))),
            _ => None,
        },
        // `"a,b"`: no name holds a comma.
        (KeyType::Names, Data::Text(text)) => {
            let plain = text
                .chars()
                .all(|c| !c.is_control() && c != '"' && c != '\\');
            let names = text.split(',').map(str::trim);
            let names = names.filter(|name| !name.is_empty());
            let quoted: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
            plain.then(|| certain(format!("[{}]", quoted.join(", "))))
        }
        _ => None,
    }
}

/// `500ms`, `5s`, `2m` or a bare number, in milliseconds.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    units::amount(text, "ms", "ms")
}
