//! From judged drafts to the plan: what is sound in full, what is broken by name.

use std::time::Duration;

use crate::draft::Draft;
use crate::endpoint::Endpoint;
use crate::keys::Kinds;
use crate::mistakes::Mistakes;
use crate::names::show;
use crate::plan::{
    Ack, Alias, BrokenService, Codec, CompositePlan, Delivery, Failback, Framing, From_, Kind,
    KindHint, LeafPlan, Level, OnDiskFull, Pattern, Plan, Role, ServicePlan, SlowConsumer,
    SyncMode, TextOrSecret, TlsPlan, WhenFull,
};
use crate::text::{Location, Span};
use crate::values::Typed;

use super::composite::Graph;
use super::graph::Facts;

/// The default `sync`, when the key is not written.
const SYNC_EVERY: Duration = Duration::from_millis(500);

/// Bytes of a frame when neither key is written; less if the buffer is smaller.
const MAX_FRAME_BYTES: u64 = 1_024 * 1_024;

pub(super) fn plan(
    drafts: &[Draft],
    graph: &Graph,
    facts: &[Option<Facts>],
    mistakes: &Mistakes,
) -> Plan {
    let sound = sound(drafts, graph, facts, mistakes);
    let mut services = Vec::new();
    let mut broken = Vec::new();
    for (at, draft) in drafts.iter().enumerate() {
        let kind = if sound[at] {
            kind(at, drafts, graph, facts[at].as_ref())
        } else {
            None
        };
        match kind {
            Some(kind) => services.extend(service(draft, kind, mistakes)),
            None => broken.extend(stub(at, drafts, graph, facts, &sound, mistakes)),
        }
    }
    Plan::new(services, broken)
}

/// Whether each service can be built: no error of its own, and none below it.
fn sound(
    drafts: &[Draft],
    graph: &Graph,
    facts: &[Option<Facts>],
    mistakes: &Mistakes,
) -> Vec<bool> {
    let mut sound: Vec<bool> = drafts
        .iter()
        .enumerate()
        .map(|(at, draft)| {
            let whole = draft.is_leaf() || draft.is_composite();
            let own =
                !draft.torn && draft.rust.is_some() && mistakes.error_of(&draft.name).is_none();
            whole && own && facts[at].is_some() && !graph.incomplete[at]
        })
        .collect();
    // What is broken breaks what contains it: walk upwards, each service at most once.
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    for (at, edges) in graph.edges.iter().enumerate() {
        edges.iter().for_each(|edge| above[edge.to].push(at));
    }
    let mut open: Vec<usize> = (0..drafts.len()).filter(|at| !sound[*at]).collect();
    while let Some(at) = open.pop() {
        for parent in &above[at] {
            if std::mem::replace(&mut sound[*parent], false) {
                open.push(*parent);
            }
        }
    }
    sound
}

fn locate(span: Span, mistakes: &Mistakes) -> Location {
    mistakes
        .files
        .get(span.file)
        .map(|file| file.location(span.start))
        .unwrap_or_default()
}

fn aliases(draft: &Draft, mistakes: &Mistakes) -> Vec<Alias> {
    let alias = |(name, rust, span): &(String, crate::names::RustName, Span)| Alias {
        name: name.clone(),
        ident: rust.ident.clone(),
        location: locate(*span, mistakes),
    };
    draft.aliases.iter().map(alias).collect()
}

fn service(draft: &Draft, kind: Kind, mistakes: &Mistakes) -> Option<ServicePlan> {
    let rust = draft.rust.clone()?;
    Some(ServicePlan {
        name: draft.name.clone(),
        ident: rust.ident,
        type_ident: rust.type_ident,
        location: locate(draft.name_span, mistakes),
        message_location: draft
            .get("message")
            .map(|given| locate(given.value_span, mistakes)),
        doc: draft.text("doc").map(str::to_owned),
        aliases: aliases(draft, mistakes),
        runtime: draft.switch("runtime"),
        kind,
    })
}

fn stub(
    at: usize,
    drafts: &[Draft],
    graph: &Graph,
    facts: &[Option<Facts>],
    sound: &[bool],
    mistakes: &Mistakes,
) -> Option<BrokenService> {
    let draft = &drafts[at];
    let (rust, others) = match &draft.rust {
        Some(rust) => (rust.clone(), &[][..]),
        None => draft
            .stand_ins
            .split_first()
            .map(|(first, others)| (first.clone(), others))?,
    };
    let (message, code) = match mistakes.error_of(&draft.name) {
        Some((message, code)) => (message.clone(), Some(*code)),
        None => {
            let below = graph.edges[at].iter().find(|edge| !sound[edge.to]);
            let message = match below {
                Some(edge) => format!("target {} has a mistake", show(&drafts[edge.to].name)),
                None => "its table has a mistake".to_owned(),
            };
            (message, None)
        }
    };
    let carried = facts[at]
        .as_ref()
        .and_then(|facts| facts.message.clone())
        .flatten();
    Some(BrokenService {
        name: draft.name.clone(),
        ident: rust.ident,
        type_ident: rust.type_ident,
        location: locate(draft.name_span, mistakes),
        kind_hint: match draft.kind {
            Kinds::RELAY => KindHint::Relay,
            Kinds::DIRECT => KindHint::Direct,
            _ if draft.is_composite() => KindHint::Composite,
            _ => KindHint::Unknown,
        },
        message,
        code,
        message_type: carried.or_else(|| draft.text("message").map(str::to_owned)),
        runtime: draft.switch("runtime"),
        aliases: others
            .iter()
            .map(|other| Alias {
                name: draft.name.clone(),
                ident: other.ident.clone(),
                location: locate(draft.name_span, mistakes),
            })
            .chain(aliases(draft, mistakes))
            .collect(),
    })
}

fn kind(at: usize, drafts: &[Draft], graph: &Graph, facts: Option<&Facts>) -> Option<Kind> {
    let draft = &drafts[at];
    match draft.kind {
        Kinds::RELAY => leaf(draft, Role::Relay).map(Kind::Leaf),
        Kinds::DIRECT => leaf(draft, Role::Direct).map(Kind::Leaf),
        _ => composite(at, drafts, graph, facts?).map(Kind::Composite),
    }
}

fn millis(draft: &Draft, key: &str) -> Option<Duration> {
    draft.number(key).map(Duration::from_millis)
}

fn number32(draft: &Draft, key: &str) -> Option<u32> {
    draft
        .number(key)
        .and_then(|number| u32::try_from(number).ok())
}

fn leaf(draft: &Draft, role: Role) -> Option<LeafPlan> {
    let endpoint = match draft.endpoint("endpoint") {
        Some((endpoint, _)) => endpoint.clone(),
        None if role == Role::Relay => Endpoint::UnixDefault(draft.name.clone()),
        None => return None,
    };
    let buffer_bytes = draft.number("buffer_bytes")?;
    let frame = draft
        .number("max_frame_bytes")
        .unwrap_or(MAX_FRAME_BYTES.min(buffer_bytes));
    let retain_bytes = draft.number("retain_bytes")?;
    Some(LeafPlan {
        role,
        endpoint,
        bind: draft.endpoint("bind").map(|(bind, _)| bind.clone()),
        message: draft.text("message").map(str::to_owned),
        codec: match draft.codec()? {
            "postcard" if draft.get("message").is_some() => Codec::Postcard,
            "json" if draft.get("message").is_some() => Codec::Json,
            _ => Codec::Raw,
        },
        framing: match draft.word("framing")? {
            "u32be" => Framing::U32Be,
            "u32le" => Framing::U32Le,
            "lines" => Framing::Lines,
            "raw" => Framing::Raw,
            _ => Framing::Sink,
        },
        preamble: preamble(draft),
        buffer_size: number32(draft, "buffer_size")?,
        buffer_bytes,
        when_full: match draft.word("when_full")? {
            "reject" => WhenFull::Reject,
            "drop_newest" => WhenFull::DropNewest,
            "drop_oldest" => WhenFull::DropOldest,
            "spill" => WhenFull::Spill,
            _ => WhenFull::Block,
        },
        confirm: draft.word("confirm").map(|word| match word {
            "spooled" => Level::Spooled,
            "written" => Level::Written,
            "acked" => Level::Acked,
            _ => Level::Stored,
        }),
        on_disk_full: match draft.word("on_disk_full")? {
            "reject" => OnDiskFull::Reject,
            "drop_newest" => OnDiskFull::DropNewest,
            "drop_oldest" => OnDiskFull::DropOldest,
            _ => OnDiskFull::Block,
        },
        spool_dir: draft.text("spool_dir").map(str::to_owned),
        spool_bytes: draft.number("spool_bytes")?,
        sync: sync(draft),
        delivery: if draft.at_least_once() {
            Delivery::AtLeastOnce
        } else {
            Delivery::AtMostOnce
        },
        reconnect_delay: millis(draft, "reconnect_delay_ms")?,
        reconnect_max_delay: millis(draft, "reconnect_max_delay_ms")?,
        max_attempts: number32(draft, "max_attempts"),
        connect_timeout: millis(draft, "connect_timeout_ms")?,
        send_timeout: millis(draft, "send_timeout_ms"),
        heartbeat: millis(draft, "heartbeat_ms")?,
        idle_timeout: millis(draft, "idle_timeout_ms"),
        max_age: millis(draft, "max_age_ms"),
        max_frame_bytes: u32::try_from(frame).ok()?,
        max_connections: number32(draft, "max_connections")?,
        allow_uids: uids(draft),
        tls: tls(draft),
        insecure_plaintext: draft.switch("insecure_plaintext"),
        retain: number32(draft, "retain")?,
        retain_bytes,
        slow_consumer: match draft.word("slow_consumer")? {
            "disconnect" => SlowConsumer::Disconnect,
            "block" => SlowConsumer::Block,
            _ => SlowConsumer::DropOldest,
        },
        from: if draft.word("from")? == "now" {
            From_::Now
        } else {
            From_::Retained
        },
        consumer: draft.text("consumer").map(str::to_owned),
    })
}

fn preamble(draft: &Draft) -> Option<TextOrSecret> {
    match draft.get("preamble").map(|given| &given.typed) {
        Some(Typed::TextOrSecret(text)) => Some(text.clone()),
        _ => None,
    }
}

fn sync(draft: &Draft) -> SyncMode {
    match draft.get("sync").map(|given| &given.typed) {
        Some(Typed::Sync(mode)) => *mode,
        _ => SyncMode::Every(SYNC_EVERY),
    }
}

fn uids(draft: &Draft) -> Vec<u32> {
    match draft.get("allow_uids").map(|given| &given.typed) {
        Some(Typed::Uids(uids)) => uids.clone(),
        _ => Vec::new(),
    }
}

fn tls(draft: &Draft) -> Option<TlsPlan> {
    match draft.get("tls").map(|given| &given.typed) {
        Some(Typed::Tls(tls)) => Some(tls.clone()),
        _ => None,
    }
}

fn composite(at: usize, drafts: &[Draft], graph: &Graph, facts: &Facts) -> Option<CompositePlan> {
    let draft = &drafts[at];
    let targets: Vec<String> = graph.edges[at]
        .iter()
        .map(|edge| drafts[edge.to].name.clone())
        .collect();
    let present = |name: &String| {
        let known = graph.edges[at].iter().map(|edge| &drafts[edge.to]);
        known
            .filter(|target| {
                target.name == *name || target.aliases.iter().any(|(alias, ..)| alias == name)
            })
            .map(|target| target.name.clone())
            .next()
    };
    Some(CompositePlan {
        pattern: match draft.kind {
            Kinds::FANOUT => Pattern::FanOut,
            Kinds::FAILOVER => Pattern::Failover,
            Kinds::ROUND_ROBIN => Pattern::RoundRobin,
            Kinds::PARTITION => Pattern::Partition,
            _ => return None,
        },
        targets,
        ack: match draft.get("ack").map(|given| &given.typed) {
            Some(Typed::Ack(ack, _)) => *ack,
            _ => Ack::All,
        },
        optional: draft
            .names("optional")
            .iter()
            .filter_map(|(name, _)| present(name))
            .collect(),
        attempt_timeout: millis(draft, "attempt_timeout_ms")?,
        failback: match draft.word("failback")? {
            "manual" => Failback::Manual,
            _ => Failback::Auto {
                after: millis(draft, "failback_after_ms")?,
            },
        },
        partition_by: draft.text("partition_by").map(str::to_owned),
        message: facts.message.clone()?,
        at_least_once: facts.at_least_once,
    })
}
