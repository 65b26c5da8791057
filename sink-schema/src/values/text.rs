//! Values that are text with a form: prose, addresses, paths of Rust and of the file system.

use std::str::FromStr;

use super::{Reader, Typed, and, one_of};
use crate::codes;
use crate::endpoint::{Endpoint, EndpointErrorKind};
use crate::keys::Key;
use crate::keys::table::SCHEMES;
use crate::mistakes::Mistake;
use crate::names::{self, show};
use crate::text::Span;
use crate::tree::{Data, Value};

/// Longest free text.
const MAX_TEXT_BYTES: usize = 16 * 1_024;

// === impl Reader ===

impl Reader<'_> {
    pub(super) fn plain_text(&mut self, key: &'static Key, value: &Value) -> Option<String> {
        match &value.data {
            Data::Text(text) => Some(text.clone()),
            _ => self.wrong_type(key, value, "a string"),
        }
    }

    /// Free text: anything a person can see, lines and tabs included.
    pub(super) fn prose(&mut self, key: &'static Key, value: &Value) -> Option<String> {
        let text = self.plain_text(key, value)?;
        if text.len() > MAX_TEXT_BYTES {
            let message = format!(
                "`{}` is {} bytes long, at most {MAX_TEXT_BYTES} fit",
                key.name,
                text.len()
            );
            self.tell(
                Mistake::new(codes::OUT_OF_RANGE, value.span, message)
                    .label("too long")
                    .help("shorten it"),
            );
            return None;
        }
        let odd = |c: char| {
            (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || names::is_invisible(c)
        };
        match text.char_indices().find(|(_, c)| odd(*c)) {
            None => Some(text),
            Some((at, c)) => {
                let span = self.inside(value, &text, at..at + c.len_utf8());
                self.tell(
                    Mistake::new(
                        codes::INVISIBLE,
                        span,
                        format!(
                            "`{}` holds the invisible character U+{:04X}",
                            key.name,
                            u32::from(c)
                        ),
                    )
                    .label("cannot be seen, and changes how the rest is read")
                    .help("remove this character"),
                );
                None
            }
        }
    }

    pub(super) fn endpoint(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        let text = self.plain_text(key, value)?;
        let endpoint = match Endpoint::from_str(&text) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                let span = self.inside(value, &text, error.at.clone());
                if error.kind == EndpointErrorKind::Userinfo {
                    return self.userinfo(key, &text, span, error.at);
                }
                let mistake = Mistake::new(
                    codes::BAD_ENDPOINT,
                    span,
                    format!("`{}`: {}", key.name, error.message),
                );
                let whole = error.at.len() == text.len();
                let mistake = mistake.label(if whole {
                    "not an endpoint"
                } else {
                    "this part"
                });
                // An endpoint that holds an `@` may hold a password as well, which no help may repeat.
                if let Some(query) = text.find('?') {
                    let hidden = self.inside(value, &text, query..text.len());
                    self.mistakes.mask(hidden);
                }
                let mistake = if text.contains('@') || text.contains("%40") {
                    self.mistakes.mask(value.span);
                    mistake.help("write `scheme://host:port`, without credentials")
                } else {
                    match self.certain_endpoint(&error.help) {
                        Some(whole) if error.kind == EndpointErrorKind::Malformed => {
                            let quoted = self.quoted(value.span, &whole);
                            mistake.patch(value.span, quoted, error.help)
                        }
                        _ => mistake.help(error.help),
                    }
                };
                self.tell(mistake);
                return None;
            }
        };
        self.scheme_is_at_hand(value, &text, &endpoint)
            .then_some(Typed::Endpoint(endpoint))
    }

    /// The endpoint inside "write `…`": help that does not say "for example" is certain.
    fn certain_endpoint(&self, help: &str) -> Option<String> {
        let offered = help.strip_prefix("write `")?.strip_suffix('`')?;
        Endpoint::from_str(offered)
            .is_ok()
            .then(|| offered.to_owned())
    }

    fn userinfo(
        &mut self,
        key: &'static Key,
        text: &str,
        span: Span,
        at: std::ops::Range<usize>,
    ) -> Option<Typed> {
        self.mistakes.mask(Span {
            end: span.end.saturating_sub(1),
            ..span
        });
        let whole = !text.is_empty() && span.end - span.start == at.len();
        let mut mistake = Mistake::new(
            codes::USERINFO,
            span,
            format!("`{}` carries credentials", key.name),
        )
        .label("whoever reads the registry reads them");
        mistake = if whole {
            mistake.patch(span, "", "remove them")
        } else {
            mistake.help("remove everything between `://` and `@`")
        };
        self.tell(
            mistake.note("secrets are references: `{ env = \"NAME\" }` or `{ file = \"path\" }`"),
        );
        None
    }

    /// Whether the scheme is one of ours or has a carrier, and is built.
    fn scheme_is_at_hand(&mut self, value: &Value, text: &str, endpoint: &Endpoint) -> bool {
        let scheme = endpoint.scheme().to_owned();
        if self.capabilities.has_scheme(&scheme) && !self.capabilities.is_everything() {
            return true;
        }
        let span = self.inside(value, text, 0..scheme.len());
        if let Some(known) = SCHEMES.iter().find(|known| known.name == scheme) {
            let built = self.is_available(
                known.availability,
                span,
                &format!("scheme `{scheme}://`"),
                "write an endpoint of `unix://`, `tcp://` or `inproc://`",
            );
            let brought = built && !self.capabilities.has_scheme(&scheme);
            if brought {
                self.missing_feature_of(&scheme, span);
            }
            return built && !brought;
        }
        let words = self.words_of(SCHEMES);
        let at_hand: Vec<&str> = match self.capabilities.is_everything() {
            true => words.clone(),
            false => self.capabilities.schemes().collect(),
        };
        let all = SCHEMES.iter().map(|known| known.name);
        let mistake = match names::nearest(&scheme, all) {
            Some(near) if !words.contains(&near) => {
                Mistake::new(codes::UNKNOWN_SCHEME, span, format!("unknown scheme {}", show(&scheme)))
                    .label(format!("expected {}", one_of(&words)))
                    .note(super::not_built(near))
            }
            Some(near) => Mistake::new(codes::UNKNOWN_SCHEME, span, format!("unknown scheme {}", show(&scheme)))
                .label("no such scheme")
                .patch(span, near, format!("write `{near}`")),
            None if foreign(&scheme).is_some() => {
                let mistake = Mistake::new(codes::UNKNOWN_SCHEME, span, format!("unknown scheme {}", show(&scheme)))
                    .label(format!("expected {}", one_of(&words)));
                match foreign(&scheme).unwrap_or_default() {
                    write_tls if write_tls.contains("tls://") && !words.contains(&"tls") => {
                        mistake.note(super::not_built("tls"))
                    }
                    help => mistake.help(help),
                }
            }
            None => Mistake::new(codes::MISSING_CARRIER, span, format!("no carrier for scheme {}", show(&scheme)))
                .label("nothing in this program can go there")
                .help(format!("schemes built in are {}", and(&at_hand)))
                .help("a crate that brings this one is added in build.rs: `Build::new(…).carrier(\"its_crate\").run()`"),
        };
        self.tell(mistake);
        false
    }

    fn missing_feature_of(&mut self, scheme: &str, span: Span) {
        self.tell(
            Mistake::new(
                codes::MISSING_FEATURE,
                span,
                format!("scheme `{scheme}://` needs the feature `{scheme}`"),
            )
            .label("not built into this program")
            .help(format!(
                "in Cargo.toml, give `sink-runtime` the feature: `features = [\"{scheme}\"]`"
            )),
        );
    }

    pub(super) fn rust_path(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        let text = self.plain_text(key, value)?;
        if names::is_rust_path(&text) {
            return Some(Typed::Text(text));
        }
        let mistake = Mistake::new(
            codes::BAD_PATH,
            value.span,
            format!("{} is not a path of a Rust type", show(&text)),
        );
        let mistake = mistake.label("not a path");
        // `crate:Order`, `crate.Order`, `crate/Order`.
        let dotted = text.replace("::", ":").replace([':', '.', '/'], "::");
        let mistake = if text.contains(['<', '(', '[', '&']) {
            mistake.help(
                "write a struct of your own that holds it, `struct TickBatch(Vec<Tick>);` with `#[derive(Message)]`, and name that: \
                 `crate::TickBatch`",
            )
        } else if names::is_rust_path(&dotted) {
            mistake.patch(
                value.span,
                self.quoted(value.span, &dotted),
                format!("write `\"{dotted}\"`"),
            )
        } else {
            mistake.help(format!("for example: `{} = {}`", key.name, key.example))
        };
        self.tell(mistake);
        None
    }

    pub(super) fn field_path(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        let text = self.plain_text(key, value)?;
        if text.split('.').all(names::is_identifier) {
            return Some(Typed::Text(text));
        }
        self.tell(
            Mistake::new(
                codes::BAD_PATH,
                value.span,
                format!("{} is not a field of a message", show(&text)),
            )
            .label("not a field")
            .help("write a field's name, or several joined by dots: `order.symbol`"),
        );
        None
    }

    pub(super) fn directory(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        let text = self.prose(key, value)?;
        if text.starts_with('/') {
            return Some(Typed::Text(text));
        }
        self.tell(
            Mistake::new(
                codes::BAD_PATH,
                value.span,
                format!("`{}` is not an absolute path", key.name),
            )
            .label("depends on where the program is started")
            .help(format!("for example: `{} = {}`", key.name, key.example)),
        );
        None
    }

    pub(super) fn word(&mut self, key: &'static Key, value: &Value) -> Option<Typed> {
        let text = self.plain_text(key, value)?;
        match names::registry_name(&text) {
            Ok(()) => Some(Typed::Text(text)),
            Err(fault) => {
                let message = format!(
                    "`{}` {}",
                    key.name,
                    fault.words().replace(", which no Rust identifier has", "")
                );
                self.tell(
                    Mistake::new(codes::BAD_NAME, value.span, message)
                        .label("not a name")
                        .help("write letters, digits, `_`, `-` and `.`"),
                );
                None
            }
        }
    }
}

/// What to write instead of a scheme that other tools have.
fn foreign(scheme: &str) -> Option<&'static str> {
    Some(match scheme {
        "http" | "https" | "ws" | "wss" => {
            "sinks carry messages, not requests: write `tcp://host:port`"
        }
        "udp" => "datagrams are not offered: write `tcp://host:port`",
        "ipc" | "file" | "uds" => "write `unix:///path`",
        "memory" | "mem" | "local" | "inmem" => "write `inproc://name`",
        "ssl" | "tcps" | "tcp+tls" => "write `tls://host:port`",
        _ => return None,
    })
}
