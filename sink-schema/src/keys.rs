//! The one table of keys: name, kinds, type, unit, default, range, availability and doc. Validation, the reference, the
//! JSON Schema and editors all read it; to add a key is to add a row. To switch a behaviour on is to change its `NotYet`.

pub(crate) mod table;

use crate::values::units;

pub(crate) use table::KEYS;

/// Kinds of service a key belongs to, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) u8);

// === impl Kinds ===

impl Kinds {
    pub(crate) const RELAY: Kinds = Kinds(1);
    pub(crate) const DIRECT: Kinds = Kinds(2);
    pub(crate) const FANOUT: Kinds = Kinds(4);
    pub(crate) const FAILOVER: Kinds = Kinds(8);
    pub(crate) const ROUND_ROBIN: Kinds = Kinds(16);
    pub(crate) const PARTITION: Kinds = Kinds(32);
    pub(crate) const LEAF: Kinds = Kinds(3);
    pub(crate) const PICKING: Kinds = Kinds(8 | 16 | 32);
    pub(crate) const COMPOSITE: Kinds = Kinds(4 | 8 | 16 | 32);
    pub(crate) const ALL: Kinds = Kinds(63);

    pub(crate) fn overlaps(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds in words, as they follow "belongs to".
    pub(crate) fn words(self) -> String {
        match self {
            Kinds::ALL => "every service".to_owned(),
            Kinds::LEAF => "relay and direct services".to_owned(),
            Kinds::COMPOSITE => "composites".to_owned(),
            Kinds::RELAY => "relay services".to_owned(),
            Kinds::DIRECT => "direct services".to_owned(),
            Kinds::FANOUT => "composites with `pattern = \"fanout\"`".to_owned(),
            Kinds::FAILOVER => "composites with `pattern = \"failover\"`".to_owned(),
            Kinds::ROUND_ROBIN => "composites with `pattern = \"round_robin\"`".to_owned(),
            Kinds::PARTITION => "composites with `pattern = \"partition\"`".to_owned(),
            _ => "composites that pick one target".to_owned(),
        }
    }
}

/// Whether this version can do what a key or value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// It can.
    Built,
    /// Part of the language, not of this version.
    NotYet,
    /// It can with this Cargo feature.
    Feature(&'static str),
    /// It can with the carrier of this crate.
    #[expect(dead_code, reason = "the state of `nats` once its crate is here")]
    Carrier(&'static str),
}

/// One word a key may have as its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) availability: Availability,
    pub(crate) doc: &'static str,
}

/// What a value is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyType {
    /// Any text.
    Text,
    /// One of some words.
    Choice(&'static [Choice]),
    /// A whole number.
    Integer { min: u64, max: u64 },
    /// Milliseconds; `"never"` where allowed.
    Millis { min: u64, max: u64, never: bool },
    /// `true` or `false`.
    Bool,
    /// `scheme://…`.
    Endpoint,
    /// An array of user ids.
    Uids,
    /// An array of service names.
    Names,
    /// A path of Rust identifiers.
    RustPath,
    /// Field names joined by dots.
    FieldPath,
    /// One Rust identifier.
    Ident,
    /// `"all"`, `"any"` or `{ quorum = n }`.
    Ack,
    /// Text, or a reference to a secret.
    TextOrSecret,
    /// `{ ca, cert, key, server_name }`.
    Tls,
    /// A path of the file system.
    Directory,
    /// `"always"`, `"never"` or a time such as `"500ms"`.
    Sync,
    /// A name of letters, digits, `_`, `-` and `.`.
    Word,
}

/// What stands in for a key that is not written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Preset {
    /// The key must be written.
    Required,
    /// Nothing.
    None,
    /// Described in words.
    Words(&'static str),
    /// A number.
    Number(u64),
    /// A word.
    Word(&'static str),
    /// A switch.
    Bool(bool),
}

/// Where a key may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// In services, `[defaults]`, overlays and the environment.
    Everywhere,
    /// In services of any layer, not in `[defaults]`.
    Service,
    /// As `Service`, and what a composite is made of: its accessor follows what the layers make of it at start.
    Shape,
    /// In services of the base file alone: generated code depends on it.
    CompiledIn,
    /// As `CompiledIn`, and in `[defaults]` of the base file.
    CompiledInDefault,
}

/// What gives a key an effect, beside the kind of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    /// An endpoint of this scheme.
    Scheme(&'static str),
    /// A connection: a direct service within one process has none, and encodes nothing.
    Connection,
    /// Messages that have a size: typed ones within one process are never encoded.
    Size,
    /// Our own framing.
    OurFraming,
    /// A framing of peers that are not ours.
    ForeignFraming,
}

impl Only {
    /// In words that follow "only".
    pub(crate) fn words(self) -> String {
        match self {
            Only::Scheme(scheme) => format!("for `{scheme}://`"),
            Only::Connection => "between processes, or through a relay".to_owned(),
            Only::Size => {
                "between processes, through a relay, or for messages that are bytes".to_owned()
            }
            Only::OurFraming => "for our own framing".to_owned(),
            Only::ForeignFraming => "for foreign framings".to_owned(),
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kinds: Kinds,
    pub(crate) ty: KeyType,
    pub(crate) unit: &'static str,
    pub(crate) preset: Preset,
    pub(crate) scope: Scope,
    pub(crate) availability: Availability,
    /// What else a service must be for the key to have an effect; all of it.
    pub(crate) only: &'static [Only],
    pub(crate) doc: &'static str,
    pub(crate) symptom: &'static str,
    pub(crate) example: &'static str,
}

// === impl Key ===

impl Key {
    pub(crate) fn in_defaults(&self) -> bool {
        matches!(self.scope, Scope::Everywhere | Scope::CompiledInDefault)
    }

    pub(crate) fn in_overlays(&self) -> bool {
        matches!(
            self.scope,
            Scope::Everywhere | Scope::Service | Scope::Shape
        )
    }
}

/// Finds a key by its exact name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Finds a key of the table that the code itself names.
pub(crate) fn row(name: &str) -> &'static Key {
    find(name).expect("keys named in code stand in the table; a test walks them")
}

/// Words that people write for a key of ours.
pub(crate) const SYNONYMS: &[(&str, &str)] = &[
    ("kind", "type"),
    ("address", "endpoint"),
    ("addr", "endpoint"),
    ("url", "endpoint"),
    ("uri", "endpoint"),
    ("path", "endpoint"),
    ("socket", "endpoint"),
    ("host", "endpoint"),
    ("hostname", "endpoint"),
    ("port", "endpoint"),
    ("listen", "bind"),
    ("bind_address", "bind"),
    ("description", "doc"),
    ("comment", "doc"),
    ("schema", "message"),
    ("format", "codec"),
    ("serializer", "codec"),
    ("encoding", "codec"),
    ("capacity", "buffer_size"),
    ("queue_size", "buffer_size"),
    ("buffer", "buffer_size"),
    ("buffer_messages", "buffer_size"),
    ("overflow", "when_full"),
    ("backpressure", "when_full"),
    ("on_full", "when_full"),
    ("retries", "max_attempts"),
    ("max_retries", "max_attempts"),
    ("guarantee", "delivery"),
    ("qos", "delivery"),
    ("members", "targets"),
    ("sinks", "targets"),
    ("services", "targets"),
    ("children", "targets"),
    ("strategy", "pattern"),
    ("mode", "pattern"),
    ("acks", "ack"),
    ("quorum", "ack"),
    ("ttl_ms", "max_age_ms"),
    ("fsync", "sync"),
    ("name", "ident"),
    ("alias", "aliases"),
    ("renamed_from", "aliases"),
    ("retention", "retain"),
    ("start", "from"),
    ("group", "consumer"),
    ("plaintext", "insecure_plaintext"),
    ("timeout_ms", "send_timeout_ms"),
    ("keepalive_ms", "heartbeat_ms"),
];

/// The key an unknown name was probably meant to be, among those that fit, and whether that is certain enough to replace.
pub(crate) fn meant(name: &str, kinds: Kinds) -> Option<(&'static Key, Certainty)> {
    let fits = |key: &&'static Key| key.kinds.overlaps(kinds);
    let lower = in_words(name);
    if let Some(key) = find(&lower).filter(fits) {
        return Some((key, Certainty::Sure));
    }
    if let Some((_, real)) = SYNONYMS.iter().find(|(word, _)| *word == lower) {
        return find(real).filter(fits).map(|key| (key, Certainty::Likely));
    }
    let unitless = |key: &'static Key| units::of_name(key.name).map(|(stem, _)| stem);
    let unit = units::of_name(&lower);
    let stem = unit.map_or(&*lower, |(stem, _)| stem);
    // Whether a number under the one name is the same number under the other.
    let same = |key: &'static Key| unit.is_some_and(|(_, unit)| units::are_one(unit, key.unit));
    let by_unit = |key, sure| match same(key) {
        true => (key, sure),
        false => (key, Certainty::Unit),
    };
    let mut known = KEYS.iter().filter(fits);
    if let Some(key) = known.find(|key| unitless(key) == Some(stem)) {
        return Some(by_unit(key, Certainty::Sure));
    }
    // `timeout_secs` is `timeout_ms` in another unit, and that another word for one of ours.
    let mut words = SYNONYMS.iter();
    let synonym = words.find(|(word, _)| word.strip_suffix("_ms") == Some(stem));
    if let Some(key) = synonym.and_then(|(_, real)| find(real)).filter(fits) {
        return Some(by_unit(key, Certainty::Likely));
    }
    let near = crate::names::nearest(&lower, KEYS.iter().filter(fits).map(|key| key.name))?;
    let near = find(near)?;
    // What ends otherwise may be another unit, known or not: its number is none of ours.
    let ends_otherwise =
        unitless(near).is_some() && lower.rsplit_once('_').map(|(stem, _)| stem) == unitless(near);
    let says_more = lower
        .strip_prefix(near.name)
        .is_some_and(|rest| rest.starts_with('_'));
    let other_unit =
        unit.is_some() && unitless(near).is_some() && !same(near) || ends_otherwise || says_more;
    let certainty = match other_unit {
        true => Certainty::Unit,
        false => Certainty::Sure,
    };
    Some((near, certainty))
}

/// A name in the manner of ours: `send_timeout_secs` of `sendTimeoutSecs` and `send-timeout-secs`.
pub(crate) fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len());
    let mut after_small = false;
    for c in name.chars() {
        if after_small && c.is_ascii_uppercase() {
            words.push('_');
        }
        after_small = c.is_ascii_lowercase();
        words.push(match c {
            '-' => '_',
            c => c.to_ascii_lowercase(),
        });
    }
    words
}

/// How sure a guess is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// A slip of the fingers.
    Sure,
    /// Another word for it.
    Likely,
    /// The unit is missing or another one, so the number may be wrong as well.
    Unit,
}

#[cfg(test)]
mod tests;
