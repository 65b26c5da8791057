//! From the layered tables to drafts: names, keys and values one by one. Rules between keys and services stand in `rules`.

mod naming;
mod offers;
mod sections;

use crate::by_name::ByName;
use crate::capabilities::Capabilities;
use crate::codes;
use crate::draft::{Draft, Given};
use crate::keys::{self, Availability, Certainty, Key, KeyType, Kinds, Preset};
use crate::mistakes::{Mistake, Mistakes};
use crate::names::show;
use crate::raw::{RawService, Registry};
use crate::text::Span;
use crate::tree::{Data, Entry};
use crate::values::{Reader, and, units};

use offers::Offers;

/// Reads every service, and tells every key and value that is wrong on its own.
pub(crate) fn read(
    registry: &Registry,
    capabilities: &Capabilities,
    mistakes: &mut Mistakes,
) -> Vec<Draft> {
    sections::lints(&registry.lints, mistakes);
    let defaults = sections::defaults(&registry.defaults, capabilities, mistakes);
    let misplaced = registry.defaults.iter().map(|entry| entry.key.as_str());
    let misplaced: Vec<&str> = misplaced
        .filter(|name| keys::find(name).is_some_and(|key| !key.in_defaults()))
        .collect();
    let mut names = naming::read(&registry.services, mistakes);
    let mut used = ByName::default();
    let mut offers = Offers::new(&registry.services);
    let mut drafts = Vec::with_capacity(registry.services.len());
    for (raw, named) in registry.services.iter().zip(names.drain(..)) {
        let mut draft = Draft {
            name: raw.name.clone(),
            name_span: raw.name_span,
            rust: named.rust,
            stand_ins: named.stand_ins,
            kind: Kinds::ALL,
            given: Vec::new(),
            aliases: named.aliases,
            poisoned: Vec::new(),
            torn: raw.torn || raw.entries.is_none(),
        };
        let mut service = Service {
            raw,
            capabilities,
            draft: &mut draft,
            read_already: Vec::new(),
            misplaced: Vec::new(),
            in_defaults: &misplaced,
            offers: &mut offers,
        };
        if raw.torn {
            mistakes.muted(|mistakes| service.read(mistakes));
        } else if raw.entries.is_some() {
            service.read(mistakes);
        }
        inherit(&mut draft, &defaults, &mut used);
        drafts.push(draft);
    }
    if !registry.torn {
        sections::unused(&defaults, &used, &drafts, mistakes);
    }
    drafts
}

/// Gives a service the defaults that its kind has and it does not write itself.
fn inherit(draft: &mut Draft, defaults: &[Given], used: &mut ByName<()>) {
    for default in defaults {
        let name = default.key.name;
        let fits = if draft.is_composite() || draft.is_leaf() {
            default.key.kinds.overlaps(draft.kind)
        } else {
            false
        };
        if !fits {
            continue;
        }
        used.insert(name, ());
        if draft.get(name).is_none() && !draft.is_poisoned(name) {
            draft.given.push(Given {
                inherited: true,
                ..default.clone()
            });
        }
    }
}

/// One service while its keys are read.
struct Service<'a, 'b> {
    raw: &'a RawService,
    capabilities: &'a Capabilities,
    draft: &'a mut Draft,
    /// Keys that decide the kind are read before the others.
    read_already: Vec<Span>,
    /// Keys of other kinds of service.
    misplaced: Vec<(&'static Key, Span)>,
    /// Keys that stand in `[defaults]`, where they cannot: what to do about it was told.
    in_defaults: &'a [&'a str],
    offers: &'a mut Offers<'b>,
}

// === impl Service ===

impl Service<'_, '_> {
    fn read(&mut self, mistakes: &mut Mistakes) {
        self.find_kind(mistakes);
        for entry in self.raw.entries.iter().flatten() {
            if !self.read_already.contains(&entry.key_span) {
                self.read_entry(entry, mistakes);
            }
        }
        let missing = self.missing();
        let poisoned = missing.iter().map(|key| key.name);
        self.draft.poisoned.extend(poisoned);
        let untyped = missing.iter().any(|key| key.name == "type");
        // Keys of another kind where its own are missing are one mistake, unless nobody said what kind it is.
        self.tell_misplaced(if untyped { &[] } else { &missing }, mistakes);
        if self.misplaced.is_empty() || untyped {
            self.tell_missing(&missing, mistakes);
        }
    }

    /// Reads `type`, and `pattern` of a composite: which other keys belong here depends on them.
    fn find_kind(&mut self, mistakes: &mut Mistakes) {
        let word = self.deciding("type", Kinds::ALL, mistakes);
        self.draft.kind = match word {
            Some("relay") => Kinds::RELAY,
            Some("direct") => Kinds::DIRECT,
            Some(_) => Kinds::COMPOSITE,
            None if self.pattern_as_type() => {
                // The pattern is known, only written in the wrong place: its absence is no second mistake.
                self.draft.poisoned.push("pattern");
                Kinds::COMPOSITE
            }
            None if self.has("targets") || self.has("pattern") => Kinds::COMPOSITE,
            None if self.has("endpoint") || self.has("bind") => Kinds::LEAF,
            None => Kinds::ALL,
        };
        if self.draft.kind == Kinds::COMPOSITE {
            self.draft.kind = match self.deciding("pattern", Kinds::COMPOSITE, mistakes) {
                Some("fanout") => Kinds::FANOUT,
                Some("failover") => Kinds::FAILOVER,
                Some("round_robin") => Kinds::ROUND_ROBIN,
                Some("partition") => Kinds::PARTITION,
                _ => Kinds::COMPOSITE,
            };
        }
    }

    /// `type = "fanout"`.
    fn pattern_as_type(&self) -> bool {
        let mut entries = self.raw.entries.iter().flatten();
        entries.any(|entry| match &entry.value.data {
            Data::Text(text) if entry.key == "type" => {
                keys::table::PATTERNS.iter().any(|known| known.name == text)
            }
            _ => false,
        })
    }

    fn has(&self, key: &str) -> bool {
        self.raw
            .entries
            .iter()
            .flatten()
            .any(|entry| entry.key == key)
    }

    /// Whether the layer that has `entry` writes `key` too: what another layer writes is no reason to remove the entry.
    fn has_beside(&self, key: &str, entry: &Entry) -> bool {
        let mut entries = self.raw.entries.iter().flatten();
        entries.any(|other| other.key == key && other.key_span.file == entry.key_span.file)
    }

    /// Reads a key that decides the kind, under its own name or a misspelt one, and guesses at a misspelt value.
    fn deciding(
        &mut self,
        name: &'static str,
        kinds: Kinds,
        mistakes: &mut Mistakes,
    ) -> Option<&'static str> {
        let raw = self.raw;
        let entries = || raw.entries.iter().flatten();
        let entry = entries().find(|entry| entry.key == name).or_else(|| {
            entries().find(|entry| {
                let text = matches!(entry.value.data, Data::Text(_));
                text && keys::find(&entry.key).is_none()
                    && keys::meant(&entry.key, kinds).is_some_and(|(near, _)| near.name == name)
            })
        })?;
        self.read_already.push(entry.key_span);
        self.read_entry(entry, mistakes);
        if let Some(word) = self.draft.word(name) {
            return Some(word);
        }
        let Data::Text(text) = &entry.value.data else {
            return None;
        };
        let choices = if name == "type" {
            keys::table::TYPES
        } else {
            keys::table::PATTERNS
        };
        let words = || choices.iter().map(|choice| choice.name);
        // A value that is known but not built, or misspelt, still says what the other keys are for.
        words()
            .find(|word| word == text)
            .or_else(|| crate::names::nearest(text, words()))
    }

    fn read_entry(&mut self, entry: &Entry, mistakes: &mut Mistakes) {
        let Some(key) = keys::find(&entry.key) else {
            return self.unknown(entry, mistakes);
        };
        if !key.kinds.overlaps(self.draft.kind) {
            let of_base = entry.key_span.file == 0;
            if !(self.raw.retyped && of_base) {
                self.misplaced.push((key, entry.key_span));
            }
            return;
        }
        self.take(key, entry, mistakes);
    }

    fn take(&mut self, key: &'static Key, entry: &Entry, mistakes: &mut Mistakes) {
        let mut reader = Reader {
            capabilities: self.capabilities,
            service: Some(&self.draft.name),
            mistakes,
        };
        match reader.read(key, entry.key_span, &entry.value) {
            Some(typed) => self.draft.given.push(Given {
                key,
                key_span: entry.key_span,
                value_span: entry.value.span,
                typed,
                inherited: false,
            }),
            None => self.draft.poisoned.push(key.name),
        }
    }

    fn unknown(&mut self, entry: &Entry, mistakes: &mut Mistakes) {
        let guess = keys::meant(&entry.key, self.draft.kind);
        let written = guess.filter(|(key, _)| self.has_beside(key.name, entry));
        let guess = guess.filter(|_| written.is_none());
        // Whether or not the guess is right, the absence of its key is not a second mistake.
        let fits = guess.is_some_and(|(key, _)| {
            let known = self.draft.given.len();
            let below = self.draft.get(key.name).is_some();
            mistakes.muted(|mistakes| self.take(key, entry, mistakes));
            let fits = self.draft.given.len() > known;
            let decides = matches!(key.name, "type" | "pattern");
            if below || !decides {
                // No rule judges what is only a guess, but which keys belong here depends on some. What the layer below says of
                // the key stands until this one says it rightly.
                self.draft.given.truncate(known);
            }
            self.draft.poisoned.push(key.name);
            fits
        });
        let mistake = Mistake::new(
            codes::UNKNOWN_KEY,
            entry.key_span,
            format!("unknown key {}", show(&entry.key)),
        )
        .of(&self.draft.name);
        let mistake = match written {
            Some((key, _)) => mistake.label("no such key").help(format!(
                "`{}` is written already: remove this one",
                key.name
            )),
            None => self.unknown_help(mistake, entry, guess, fits, mistakes),
        };
        mistakes.push(mistake);
        hide_secret(entry, mistakes);
    }

    fn unknown_help(
        &self,
        mistake: Mistake,
        entry: &Entry,
        guess: Option<(&'static Key, Certainty)>,
        fits: bool,
        mistakes: &Mistakes,
    ) -> Mistake {
        if holds_services(entry) {
            return mistake.label("a table inside a service").help(format!(
                "write `[services.{}]`: services do not stand inside each other",
                crate::names::shown_key(&entry.key)
            ));
        }
        let mistake = mistake.label("no such key");
        let variables = |file: usize| mistakes.files.get(file).map(|file| &*file.path);
        let is_variable = variables(entry.key_span.file) == Some("environment");
        let replaced =
            |key: &Key| replacement(mistakes.text(entry.key_span), key.name, is_variable);
        match guess {
            Some((key, Certainty::Sure)) => mistake.patch(
                entry.key_span,
                replaced(key),
                format!("a key with a similar name exists: `{}`", key.name),
            ),
            Some((key, Certainty::Likely)) if fits => mistake.patch(
                entry.key_span,
                replaced(key),
                format!("this is called `{}`", key.name),
            ),
            Some((key, Certainty::Likely)) => mistake.help(format!(
                "this is called `{}`: `{0} = {}`",
                key.name, key.example
            )),
            Some((key, Certainty::Unit)) => mistake.help(unit_help(key, entry, is_variable)),
            None if looks_secret(&entry.key) => mistake.help(
                "secrets stand nowhere in a registry; where one is needed it is `{ env = \"NAME\" }`",
            ),
            None => mistake.help(format!(
                "keys of {} are listed by `cargo sinks explain E0102`",
                self.draft.kind.words()
            )),
        }
    }

    /// Tells all keys that belong to another kind of service in one piece: usually the `type` is what is wrong.
    fn tell_misplaced(&mut self, missing: &[&'static Key], mistakes: &mut Mistakes) {
        let Some(((first, span), rest)) = self.misplaced.split_first() else {
            return;
        };
        for (key, _) in &self.misplaced {
            self.draft.poisoned.push(key.name);
        }
        let names: Vec<&str> = self.misplaced.iter().map(|(key, _)| key.name).collect();
        let whole = Kinds(
            self.misplaced
                .iter()
                .fold(63, |all, (key, _)| all & key.kinds.0),
        );
        let message = match rest {
            [] => format!("key `{}` belongs to {}", first.name, first.kinds.words()),
            _ if whole.0 != 0 => format!("keys {} belong to {}", and(&names), whole.words()),
            _ => format!("keys {} belong to other kinds of service", and(&names)),
        };
        let mut mistake = Mistake::new(codes::WRONG_KIND, *span, message)
            .label("has no meaning here")
            .of(&self.draft.name);
        for (_, span) in rest {
            mistake = mistake.also(*span, "nor this");
        }
        let deciding = if self.draft.is_composite() && whole.overlaps(Kinds::COMPOSITE) {
            "pattern"
        } else {
            "type"
        };
        if let Some(given) = self.draft.own(deciding) {
            mistake = mistake.also(
                given.value_span,
                format!(
                    "{} is {}",
                    show(&self.draft.name),
                    kind_words(self.draft.kind)
                ),
            );
        }
        for help in self.misplaced_helps(deciding, whole, missing) {
            mistake = mistake.help(help);
        }
        mistakes.push(mistake);
    }

    /// What may be meant by keys of another kind: that kind, or none of them.
    fn misplaced_helps(
        &mut self,
        deciding: &str,
        whole: Kinds,
        missing: &[&'static Key],
    ) -> Vec<String> {
        let (them, many) = match self.misplaced.len() {
            1 => ("it", false),
            _ => ("them", true),
        };
        let remove = self.with_lines(format!("remove {them}"), missing);
        let composites = whole.overlaps(Kinds::COMPOSITE) && !whole.overlaps(Kinds::LEAF);
        let empty = !self.has("pattern") && !self.has("targets");
        let other = if self.draft.is_leaf() && composites && (many || whole == Kinds::COMPOSITE) {
            let lacking = ["pattern", "targets"].into_iter();
            let lacking = lacking.filter(|key| !self.has(key)).map(keys::row);
            let lacking: Vec<&Key> = lacking.collect();
            let write = "if it is a sink of sinks, write `type = \"composite\"`";
            let help = self.with_lines(write.to_owned(), &lacking);
            let own = self.draft.given.iter().map(|given| given.key);
            let own = own.filter(|key| !key.kinds.overlaps(Kinds::COMPOSITE));
            let own: Vec<&str> = own.map(|key| key.name).collect();
            match own.as_slice() {
                [] => help,
                own => format!("{help}, and remove {}", and(own)),
            }
        } else if deciding == "type" && self.draft.is_composite() && empty {
            match self.has("endpoint") {
                true => "if it is no sink of sinks, write `type = \"direct\"`".to_owned(),
                false => "if it is no sink of sinks, write `type = \"relay\"`".to_owned(),
            }
        } else {
            return vec![remove];
        };
        vec![other, format!("otherwise {remove}")]
    }

    /// What to do, and to add the lines of `keys`.
    fn with_lines(&mut self, what: String, keys: &[&'static Key]) -> String {
        let lines = keys.iter().enumerate().map(|(at, key)| {
            let line = self.line_for(key);
            match line.strip_prefix("add ").filter(|_| at > 0) {
                Some(more) => format!(" and {more}"),
                None => format!(", and {line}"),
            }
        });
        what + &lines.collect::<String>()
    }

    /// Keys that the service must have and has not.
    fn missing(&self) -> Vec<&'static Key> {
        let mut entries = self.raw.entries.iter().flatten().peekable();
        if entries.peek().is_some() && entries.all(holds_services) {
            // `[services.a.b]` alone: nobody wrote a service `a` that could lack something.
            return Vec::new();
        }
        let certain =
            self.draft.is_composite() || self.draft.is_leaf() || self.draft.kind == Kinds::ALL;
        let required = |key: &&'static Key| {
            // A key that only some kinds have is asked for only where the kind is certain.
            let fits = key.kinds == Kinds::ALL
                || (certain && key.kinds.0 & self.draft.kind.0 == self.draft.kind.0);
            // To ask for what cannot be written yet helps nobody: what makes it necessary is told.
            let offered =
                self.capabilities.is_everything() || key.availability != Availability::NotYet;
            fits && offered
                && matches!(key.preset, Preset::Required)
                && self.draft.kind.overlaps(key.kinds)
        };
        let mut missing: Vec<&'static Key> = keys::KEYS.iter().filter(required).collect();
        if self.draft.kind == Kinds::DIRECT {
            missing.push(keys::row("endpoint"));
        }
        missing
            .retain(|key| self.draft.get(key.name).is_none() && !self.draft.is_poisoned(key.name));
        missing.retain(|key| !self.in_defaults.contains(&key.name));
        missing
    }

    fn tell_missing(&mut self, missing: &[&'static Key], mistakes: &mut Mistakes) {
        if missing.is_empty() {
            return;
        }
        let name = self.draft.name.clone();
        let names: Vec<&str> = missing.iter().map(|key| key.name).collect();
        let mut mistake = Mistake::new(
            codes::MISSING_KEY,
            self.draft.name_span,
            format!("service {} lacks {}", show(&name), and(&names)),
        )
        .label(format!(
            "{} {} missing",
            and(&names),
            if names.len() == 1 { "is" } else { "are" }
        ))
        .of(&name);
        if let Some(given) = self.draft.own("type").filter(|_| self.raw.retyped) {
            let words = format!("{} is {} here", show(&name), kind_words(self.draft.kind));
            mistake = mistake.also(given.value_span, words);
        }
        for key in missing {
            mistake = mistake.help(self.line_for(key));
        }
        mistakes.push(mistake);
    }

    /// A line to add, with what is known of the service.
    fn line_for(&mut self, key: &'static Key) -> String {
        match key.name {
            "type" if self.draft.is_composite() => "add `type = \"composite\"`".to_owned(),
            "type" if self.draft.is_leaf() => {
                "add `type = \"relay\"` or `type = \"direct\"`".to_owned()
            }
            "type" => "add `type = \"relay\"`, `\"direct\"` or `\"composite\"`".to_owned(),
            "endpoint" => {
                let port = self.offers.port();
                format!(
                    "add `endpoint = \"tcp://127.0.0.1:{port}\"` or `endpoint = \"unix:///run/…\"`"
                )
            }
            "targets" => match self.offers.targets(self.raw) {
                Some(targets) => format!("add `targets = {targets}`"),
                None => "add `targets = […]` with the names of the services it sends to".to_owned(),
            },
            name => format!("add `{name} = {}`", key.example),
        }
    }
}

/// Whether an entry of a service is a service itself.
fn holds_services(entry: &Entry) -> bool {
    match &entry.value.data {
        Data::Table(parts) => parts.iter().any(|part| part.key == "type"),
        _ => false,
    }
}

/// A kind with its article.
fn kind_words(kind: Kinds) -> &'static str {
    match kind {
        Kinds::RELAY => "a relay",
        Kinds::DIRECT => "a direct service",
        Kinds::FANOUT => "a fan-out",
        Kinds::FAILOVER => "a failover",
        Kinds::ROUND_ROBIN => "a round-robin",
        Kinds::PARTITION => "a partition",
        _ => "a composite",
    }
}

/// A key of another unit or none as it is written here: with the same number, if it is known what that is.
fn unit_help(key: &Key, entry: &Entry, is_variable: bool) -> String {
    let number = units::converted(key, &keys::in_words(&entry.key), &entry.value.data);
    let outside = number.and_then(|number| match key.ty {
        KeyType::Integer { min, max } | KeyType::Millis { min, max, .. } => {
            (!(min..=max).contains(&number)).then_some((number, min, max))
        }
        _ => None,
    });
    if let Some((number, min, max)) = outside {
        return format!(
            "units stand in the name: `{}`, a number from {min} to {max}, which {} is not",
            key.name,
            units::grouped(number)
        );
    }
    let value = number.map_or(key.example.to_owned(), units::grouped);
    match is_variable {
        true => format!(
            "units stand in the name: `{}={value}`",
            key.name.to_uppercase()
        ),
        false => format!("units stand in the name: `{} = {value}`", key.name),
    }
}

/// A key in the manner of the one it replaces: quoted, or in the capitals of a variable.
fn replacement(written: &str, name: &str, is_variable: bool) -> String {
    match written.starts_with(['"', '\'']) {
        true => format!("\"{name}\""),
        false if is_variable => name.to_uppercase(),
        false => name.to_owned(),
    }
}

pub(crate) fn looks_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    [
        "password",
        "passwd",
        "secret",
        "token",
        "credential",
        "api_key",
        "apikey",
        "private_key",
        "passphrase",
    ]
    .iter()
    .any(|word| lower.contains(word))
}

/// Keeps the value of a key that sounds like a secret out of every picture of the source.
pub(crate) fn hide_secret(entry: &Entry, mistakes: &mut Mistakes) {
    match &entry.value.data {
        Data::Text(_) if looks_secret(&entry.key) => mistakes.mask(entry.value.span),
        Data::Table(parts) => parts.iter().for_each(|part| hide_secret(part, mistakes)),
        _ => {}
    }
}
