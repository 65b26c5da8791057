//! Values with parts: acknowledgement, secrets, TLS material, times with a unit.

use std::time::Duration;

use super::{Reader, Typed, milliseconds};
use crate::codes;
use crate::keys::Key;
use crate::keys::table::ACKS;
use crate::mistakes::Mistake;
use crate::names::{self, show};
use crate::plan::{Ack, Secret, SyncMode, TextOrSecret, TlsPlan};
use crate::text::Span;
use crate::tree::{Data, Entry, Value};

/// Longest time between two fsyncs.
const MAX_SYNC_MS: u64 = 60_000;

// === impl Reader ===

impl Reader<'_> {
    pub(super) fn ack(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        match &value.data {
            Data::Text(word) if word == "all" => Some(Typed::Ack(Ack::All, value.span)),
            Data::Text(word) if word == "any" => {
                let built = self.is_available(
                    availability("any"),
                    value.span,
                    "`ack = \"any\"`",
                    super::REMOVE,
                );
                built.then_some(Typed::Ack(Ack::Any, value.span))
            }
            Data::Text(word) => {
                let mistake = Mistake::new(
                    codes::UNKNOWN_VALUE,
                    value.span,
                    format!("unknown value {} for `ack`", show(word)),
                );
                let words = self.words_of(ACKS);
                let mistake = match names::nearest(word, ["all", "any"]) {
                    Some(near) if !words.contains(&near) => mistake
                        .label("no such value")
                        .note(super::not_built(near))
                        .help("write `ack = \"all\"`"),
                    Some(near) => mistake.label("no such value").patch(
                        value.span,
                        self.quoted(value.span, near),
                        format!("write `\"{near}\"`"),
                    ),
                    None => mistake.label(format!("expected {}", self.ack_forms())),
                };
                self.tell(mistake);
                None
            }
            Data::Table(entries) => self.quorum(key, value, entries),
            Data::Integer(_) => {
                self.ack_as_number(value);
                None
            }
            _ => {
                let forms = self.ack_forms();
                self.wrong_type(key, value, &forms)
            }
        }
    }

    /// `ack = 2`, by which a quorum is meant.
    fn ack_as_number(&mut self, value: &Value) {
        let text = self.mistakes.text(value.span).to_owned();
        let message = "`ack` is a word or a quorum, not an integer";
        let mistake = Mistake::new(codes::WRONG_TYPE, value.span, message)
            .label(format!("expected {}", self.ack_forms()));
        let written = format!("{{ quorum = {text} }}");
        let title = format!("write `ack = {written}`");
        self.tell(match self.offers(availability("quorum")) {
            true => mistake.patch(value.span, written, title),
            false => mistake
                .note(super::not_built("quorum"))
                .help("write `ack = \"all\"`"),
        });
    }

    /// What `ack` may be, as it is written.
    fn ack_forms(&self) -> String {
        let forms = self.words_of(ACKS).into_iter().map(|word| match word {
            "quorum" => "{ quorum = n }".to_owned(),
            word => format!("\"{word}\""),
        });
        let forms: Vec<String> = forms.collect();
        super::one_of(&forms.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn quorum(&mut self, key: &'static Key, value: &Value, entries: &[Entry]) -> Option<Typed> {
        let what = "`ack = { quorum = … }`";
        if !self.offers(availability("quorum")) {
            // Whatever number it is of.
            self.is_available(availability("quorum"), value.span, what, super::REMOVE);
            return None;
        }
        let sound = self.only(key, entries, &["quorum"]);
        let Some(entry) = entries.iter().find(|entry| entry.key == "quorum") else {
            if sound {
                self.missing_part::<()>(key, value, "quorum", "{ quorum = 2 }");
            }
            return None;
        };
        let Data::Integer(Some(number)) = entry.value.data else {
            let found = entry.value.data.words();
            self.tell(
                Mistake::new(
                    codes::WRONG_TYPE,
                    entry.value.span,
                    format!("`quorum` is a whole number, not {found}"),
                )
                .label("expected a whole number")
                .help("for example: `ack = { quorum = 2 }`"),
            );
            return None;
        };
        match u32::try_from(number) {
            Ok(number) if number > 0 && sound => {
                let built =
                    self.is_available(availability("quorum"), value.span, what, super::REMOVE);
                built.then_some(Typed::Ack(Ack::Quorum(number), entry.value.span))
            }
            Ok(_) if !sound => None,
            _ => {
                self.tell(
                    Mistake::new(
                        codes::BAD_QUORUM,
                        entry.value.span,
                        format!("a quorum of {number} decides nothing"),
                    )
                    .label("at least 1")
                    .help("write a number from 1 to the number of targets"),
                );
                None
            }
        }
    }

    pub(super) fn sync(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        let text = self.plain_text(key, value)?;
        match text.as_str() {
            "always" => return Some(Typed::Sync(SyncMode::Always)),
            "never" => return Some(Typed::Sync(SyncMode::Never)),
            _ => {}
        }
        let with_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
        match milliseconds(&text).filter(|_| with_unit) {
            Some(millis) if (1..=MAX_SYNC_MS).contains(&millis) => {
                Some(Typed::Sync(SyncMode::Every(Duration::from_millis(millis))))
            }
            Some(_) => {
                self.tell(
                    Mistake::new(
                        codes::OUT_OF_RANGE,
                        value.span,
                        format!("`sync` cannot be {}", show(&text)),
                    )
                    .label("out of range")
                    .help("write a time from \"1ms\" to \"60s\""),
                );
                None
            }
            None => {
                self.tell(
                    Mistake::new(
                        codes::UNKNOWN_VALUE,
                        value.span,
                        format!("unknown value {} for `sync`", show(&text)),
                    )
                    .label("expected `always`, `never` or a time such as `500ms`"),
                );
                None
            }
        }
    }

    pub(super) fn text_or_secret(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        match &value.data {
            Data::Text(text) => Some(Typed::TextOrSecret(TextOrSecret::Text(text.clone()))),
            Data::Table(entries) => {
                let secret = self.secret(key, value, entries)?;
                Some(Typed::TextOrSecret(TextOrSecret::Secret(secret)))
            }
            _ => self.wrong_type(
                key,
                value,
                "a string, `{ env = \"…\" }` or `{ file = \"…\" }`",
            ),
        }
    }

    fn secret(&mut self, key: &'static Key, value: &Value, entries: &[Entry]) -> Option<Secret> {
        let sound = self.only(key, entries, &["env", "file"]);
        match entries {
            _ if !sound => None,
            [entry] => {
                let text = match &entry.value.data {
                    Data::Text(text) if !text.is_empty() => text.clone(),
                    other => {
                        let found = if matches!(other, Data::Text(_)) {
                            "empty"
                        } else {
                            other.words()
                        };
                        self.tell(
                            Mistake::new(
                                codes::WRONG_TYPE,
                                entry.value.span,
                                format!(
                                    "`{}` names where the secret is kept, not {found}",
                                    entry.key
                                ),
                            )
                            .label("expected a name"),
                        );
                        return None;
                    }
                };
                Some(if entry.key == "env" {
                    Secret::Env(text)
                } else {
                    Secret::File(text)
                })
            }
            [] => self.missing_part(key, value, "env", "{ env = \"NAME\" }"),
            [_, second, ..] => {
                self.tell(
                    Mistake::new(
                        codes::WRONG_TYPE,
                        second.key_span,
                        "a secret comes from one place, not two",
                    )
                    .label("one too many")
                    .help("keep `env` or `file`"),
                );
                None
            }
        }
    }

    pub(super) fn tls(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        const PARTS: [&str; 4] = ["ca", "cert", "key", "server_name"];
        let Data::Table(entries) = &value.data else {
            return self.wrong_type(key, value, "a table");
        };
        let mut sound = self.only(key, entries, &PARTS);
        let mut plan = TlsPlan::default();
        for entry in entries {
            match (entry.key.as_str(), &entry.value.data) {
                ("ca", Data::Text(text)) => plan.ca = Some(text.clone()),
                ("cert", Data::Text(text)) => plan.cert = Some(text.clone()),
                ("server_name", Data::Text(text)) => plan.server_name = Some(text.clone()),
                ("key", Data::Table(parts)) => match self.secret(key, &entry.value, parts) {
                    Some(secret) => plan.key = Some(secret),
                    None => sound = false,
                },
                ("key", Data::Text(text)) => {
                    self.literal_secret("tls.key", entry.value.span, text);
                    sound = false;
                }
                (part, other) if PARTS.contains(&part) => {
                    let message = format!("`tls.{part}` is a string, not {}", other.words());
                    self.tell(
                        Mistake::new(codes::WRONG_TYPE, entry.value.span, message)
                            .label("expected a string"),
                    );
                    sound = false;
                }
                _ => {}
            }
        }
        if sound && plan.cert.is_some() != plan.key.is_some() {
            let missing = if plan.cert.is_some() { "key" } else { "cert" };
            return self.missing_part(
                key,
                value,
                missing,
                "{ cert = \"me.pem\", key = { file = \"me.key\" } }",
            );
        }
        sound.then_some(Typed::Tls(plan))
    }

    fn literal_secret(&mut self, what: &str, span: Span, text: &str) {
        self.mistakes.mask(span);
        let path_like =
            text.starts_with(['/', '.']) || text.ends_with(".pem") || text.ends_with(".key");
        let mistake = Mistake::new(
            codes::LITERAL_SECRET,
            span,
            format!("`{what}` is a secret and stands in the file"),
        )
        .label("whoever reads the registry reads it")
        .help(if path_like {
            "if this is a file's name, write `{ file = \"…\" }`"
        } else {
            "keep it elsewhere: `{ env = \"NAME\" }` or `{ file = \"path\" }`"
        });
        self.tell(mistake);
    }

    /// Tells every part of an inline table that does not belong there.
    fn only(&mut self, key: &'static Key, entries: &[Entry], parts: &[&str]) -> bool {
        let mut sound = true;
        for entry in entries
            .iter()
            .filter(|entry| !parts.contains(&entry.key.as_str()))
        {
            sound = false;
            let mistake = Mistake::new(
                codes::UNKNOWN_KEY,
                entry.key_span,
                format!("unknown key {} in `{}`", show(&entry.key), key.name),
            );
            let mistake = match names::nearest(&entry.key, parts.iter().copied()) {
                Some(near) => mistake.label("no such key").patch(
                    entry.key_span,
                    near,
                    format!("write `{near}`"),
                ),
                None => mistake.label(format!("expected {}", super::one_of(parts))),
            };
            self.tell(mistake);
        }
        sound
    }

    fn missing_part<T>(
        &mut self,
        key: &'static Key,
        value: &Value,
        part: &str,
        example: &str,
    ) -> Option<T> {
        self.tell(
            Mistake::new(
                codes::MISSING_KEY,
                value.span,
                format!("`{}` lacks `{part}`", key.name),
            )
            .label(format!("`{part}` is missing"))
            .help(format!("for example: `{} = {example}`", key.name)),
        );
        None
    }
}

pub(super) fn availability(form: &str) -> crate::keys::Availability {
    let known = ACKS.iter().find(|ack| ack.name == form);
    known.map_or(crate::keys::Availability::NotYet, |ack| ack.availability)
}
