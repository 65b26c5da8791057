//! What a source is told once, and whether a producer's type is its own.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Surroundings;
use crate::codec::Codec;
use crate::foreign::Framing;
use crate::frame::Start;
use crate::life::LifePolicy;
use crate::link::MessageIdentity;
use crate::preamble::Preamble;
use crate::transport::Target;

/// Whether a source listens or subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Listen,
    Subscribe,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct SourceSettings {
    pub(crate) service: Arc<str>,
    pub(crate) role: Role,
    pub(crate) target: Target,
    pub(crate) codec: Codec,
    pub(crate) framing: Framing,
    pub(crate) preamble: Preamble,
    pub(crate) message: MessageIdentity,
    pub(crate) buffer_size: u32,
    pub(crate) buffer_bytes: u64,
    pub(crate) max_frame_bytes: u32,
    pub(crate) max_connections: u32,
    pub(crate) life: LifePolicy,
    pub(crate) start: Start,
    pub(crate) consumer: Option<Arc<str>>,
    pub(crate) acks: bool,
    pub(crate) surroundings: Surroundings,
}

impl SourceSettings {
    /// Largest frame in all.
    pub(crate) fn frame_limit(&self) -> usize {
        self.max_frame_bytes as usize + crate::frame::OVERHEAD
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        self.life.heartbeat
    }

    /// What to say of a producer whose type is not ours; `None` if it is, or if either side is untyped.
    pub(crate) fn mismatch(&self, fingerprint: u64, message: &str, shape: &str) -> Option<String> {
        let ours = &self.message;
        if fingerprint == 0
            || ours.fingerprint == 0
            || fingerprint == ours.fingerprint
            || ours.accepts.contains(&fingerprint)
        {
            return None;
        }
        let message = crate::frame::escape(message.as_bytes());
        let differing = differing_fields(&crate::frame::escape(shape.as_bytes()), ours.shape);
        Some(format!(
            "producer sends `{message}` {fingerprint:#018x}, consumer expects `{}` {:#018x}{differing}; \
             to admit it, write #[message(accepts = [\"{fingerprint:#018x}\"])] on `{}`",
            ours.name, ours.fingerprint, ours.name
        ))
    }
}

/// The fields two shapes do not share, as `; producer has …, consumer has …`.
fn differing_fields(theirs: &str, ours: &str) -> String {
    let (theirs, ours) = (fields(theirs), fields(ours));
    let only = |these: &[&str], those: &[&str]| {
        let names: Vec<String> = these
            .iter()
            .filter(|field| !those.contains(field))
            .map(|field| format!("`{field}`"))
            .collect();
        if names.is_empty() {
            "nothing else".to_owned()
        } else {
            names.join(", ")
        }
    };
    format!(
        "; only the producer has {}; only the consumer has {}",
        only(&theirs, &ours),
        only(&ours, &theirs)
    )
}

/// The fields of a shape, split at its outermost level: `Tick{price:u64,side:Side}` → `price:u64`, `side:Side`.
fn fields(shape: &str) -> Vec<&str> {
    let inner = shape
        .split_once(['{', '('])
        .map_or(shape, |(_, rest)| rest)
        .trim_end_matches(['}', ')']);
    let mut fields = Vec::new();
    let (mut depth, mut from) = (0i32, 0);
    for (at, character) in inner.char_indices() {
        match character {
            '{' | '(' | '<' | '[' => depth += 1,
            '}' | ')' | '>' | ']' => depth -= 1,
            ',' | '|' if depth == 0 => {
                fields.push(inner[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    fields.push(inner[from..].trim());
    fields.retain(|field| !field.is_empty());
    fields
}
