//! A service while it is being judged: what was written and fits, what was written and does not.

use crate::keys::{self, Key, Kinds, Preset};
use crate::names::RustName;
use crate::text::Span;
use crate::values::Typed;

/// One service, its keys read, its rules not yet applied.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    /// `None` if the name itself is a mistake.
    pub(crate) rust: Option<RustName>,
    /// In its place, what stubs are called.
    pub(crate) stand_ins: Vec<RustName>,
    /// All kinds it could be; more than one after a mistake.
    pub(crate) kind: Kinds,
    pub(crate) given: Vec<Given>,
    pub(crate) aliases: Vec<(String, RustName, Span)>,
    /// Keys that were written wrongly: no rule may lean on their presets.
    pub(crate) poisoned: Vec<&'static str>,
    /// TOML itself is broken inside this table: nothing more is said about it.
    pub(crate) torn: bool,
}

/// A key that was written, with a value that fits it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) key: &'static Key,
    pub(crate) key_span: Span,
    pub(crate) value_span: Span,
    pub(crate) typed: Typed,
    /// From `[defaults]`.
    pub(crate) inherited: bool,
}

// === impl Draft ===

impl Draft {
    pub(crate) fn is_composite(&self) -> bool {
        self.kind.overlaps(Kinds::COMPOSITE) && !self.kind.overlaps(Kinds::LEAF)
    }

    pub(crate) fn is_leaf(&self) -> bool {
        self.kind.overlaps(Kinds::LEAF) && !self.kind.overlaps(Kinds::COMPOSITE)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.key.name == key)
    }

    /// As `get`, unless `[defaults]` said it: a default that has no effect somewhere is no mistake there.
    pub(crate) fn own(&self, key: &str) -> Option<&Given> {
        self.get(key).filter(|given| !given.inherited)
    }

    pub(crate) fn is_poisoned(&self, key: &str) -> bool {
        self.poisoned.contains(&key)
    }

    /// A number as written or preset; `None` if it is neither, or a mistake.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        match self.get(key).map(|given| &given.typed) {
            Some(Typed::Number(number)) => Some(*number),
            Some(Typed::Millis(millis)) => *millis,
            Some(_) => None,
            None if self.is_poisoned(key) => None,
            None => match keys::row(key).preset {
                Preset::Number(number) => Some(number),
                _ => None,
            },
        }
    }

    /// A word as written or preset; `None` if it is neither, or a mistake.
    pub(crate) fn word(&self, key: &str) -> Option<&'static str> {
        match self.get(key).map(|given| &given.typed) {
            Some(Typed::Choice(word)) => Some(word),
            Some(_) => None,
            None if self.is_poisoned(key) => None,
            None => match keys::row(key).preset {
                Preset::Word(word) => Some(word),
                _ => None,
            },
        }
    }

    pub(crate) fn switch(&self, key: &str) -> bool {
        matches!(
            self.get(key).map(|given| &given.typed),
            Some(Typed::Bool(true))
        )
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key).map(|given| &given.typed) {
            Some(Typed::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn names(&self, key: &str) -> &[(String, Span)] {
        match self.get(key).map(|given| &given.typed) {
            Some(Typed::Names(names)) => names,
            _ => &[],
        }
    }

    pub(crate) fn endpoint(&self, key: &str) -> Option<(&crate::endpoint::Endpoint, Span)> {
        match self.get(key) {
            Some(Given {
                typed: Typed::Endpoint(endpoint),
                value_span,
                ..
            }) => Some((endpoint, *value_span)),
            _ => None,
        }
    }

    /// The codec in force: as written, else postcard for a typed service and raw for an untyped one.
    pub(crate) fn codec(&self) -> Option<&'static str> {
        if self.is_poisoned("codec") || self.is_poisoned("message") {
            return None;
        }
        let implied = if self.get("message").is_some() {
            "postcard"
        } else {
            "raw"
        };
        self.word("codec").or(Some(implied))
    }

    pub(crate) fn at_least_once(&self) -> bool {
        self.word("delivery") == Some("at_least_once")
    }
}
