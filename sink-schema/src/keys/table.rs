//! The rows. Order is the order of the reference.

use super::{Availability, Choice, Key, KeyType, Kinds, Only, Preset, Scope};
use Availability::{Built, Feature, NotYet};
use Only::{Connection, ForeignFraming, OurFraming, Size};

const fn choice(name: &'static str, doc: &'static str) -> Choice {
    Choice {
        name,
        availability: Built,
        doc,
    }
}

const fn later(name: &'static str, doc: &'static str) -> Choice {
    Choice {
        name,
        availability: NotYet,
        doc,
    }
}

/// Schemes the language knows; a carrier at hand makes any other one sound.
pub(crate) const SCHEMES: &[Choice] = &[
    choice("unix", "a Unix socket on this host: `unix:///path`"),
    choice(
        "tcp",
        "TCP: `tcp://host:port`; beyond this host only with `insecure_plaintext = true`",
    ),
    choice("inproc", "this process: `inproc://name`"),
    later("tls", "TLS over TCP: `tls://host:port`"),
    later("nats", "a NATS cluster: `nats://host:port/subject`"),
];

pub(crate) const TYPES: &[Choice] = &[
    choice(
        "relay",
        "through a relay: any number of producers and consumers, in any start order",
    ),
    choice("direct", "straight to the one receiver that listens"),
    choice("composite", "a sink of sinks"),
];

pub(crate) const PATTERNS: &[Choice] = &[
    choice("fanout", "every target gets every message"),
    choice("failover", "the first healthy target gets the message"),
    later("round_robin", "each target in turn, unhealthy ones skipped"),
    later("partition", "equal keys go to the same target"),
];

const CODECS: &[Choice] = &[
    Choice {
        name: "postcard",
        availability: Feature("postcard"),
        doc: "compact binary",
    },
    Choice {
        name: "json",
        availability: Feature("json"),
        doc: "JSON text",
    },
    choice("raw", "the payload as it is; untyped messages only"),
];

const FRAMINGS: &[Choice] = &[
    choice("sink", "our protocol: sequence numbers, heartbeats, acks"),
    choice("u32be", "length as big-endian `u32`, then the payload"),
    choice("u32le", "length as little-endian `u32`, then the payload"),
    choice("lines", "one line per message"),
    choice(
        "raw",
        "nothing but payloads; a receiver takes what it reads at once for one message",
    ),
];

const WHEN_FULL: &[Choice] = &[
    choice(
        "block",
        "the caller waits up to `send_timeout_ms`; no message is lost",
    ),
    choice("reject", "the caller gets the message back at once"),
    choice("drop_newest", "the new message is dropped and counted"),
    choice(
        "drop_oldest",
        "the oldest waiting message is dropped and counted",
    ),
    later("spill", "the message goes to `spool_dir`"),
];

const ON_DISK_FULL: &[Choice] = &[
    choice("block", "the caller waits up to `send_timeout_ms`"),
    choice("reject", "the caller gets the message back at once"),
    choice("drop_newest", "the new message is dropped and counted"),
    choice(
        "drop_oldest",
        "the oldest spooled message is dropped and counted",
    ),
];

const LEVELS: &[Choice] = &[
    later("spooled", "in the local spool, as durable as `sync` says"),
    choice("written", "the kernel took every byte; not yet delivered"),
    choice("acked", "the process at the other end took it"),
    later("stored", "that process holds it on disk"),
];

const DELIVERIES: &[Choice] = &[
    choice("at_most_once", "never twice, possibly not at all"),
    choice("at_least_once", "sent again until acknowledged"),
];

const SLOW_CONSUMERS: &[Choice] = &[
    choice(
        "drop_oldest",
        "its oldest messages are dropped, and it sees a gap",
    ),
    choice("disconnect", "it is disconnected"),
    later("block", "producers wait for it"),
];

const STARTS: &[Choice] = &[
    choice("retained", "at the oldest message the relay retains"),
    choice("now", "at the next message"),
];

const FAILBACKS: &[Choice] = &[
    choice("auto", "as soon as it was healthy for `failback_after_ms`"),
    choice("manual", "only when told"),
];

/// Forms of `ack`; `quorum` is written as a table.
pub(crate) const ACKS: &[Choice] = &[
    choice("all", "every branch that is not optional"),
    later("any", "any one branch"),
    later("quorum", "so many branches: `{ quorum = n }`"),
];

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;
const GIB: u64 = 1_024 * MIB;

const ROW: Key = Key {
    name: "",
    kinds: Kinds::LEAF,
    ty: KeyType::Text,
    unit: "",
    preset: Preset::None,
    scope: Scope::Everywhere,
    availability: Built,
    only: &[],
    doc: "",
    symptom: "",
    example: "",
};

/// Every key of a service.
pub(crate) const KEYS: &[Key] = &[
    // what it is
    Key {
        name: "type",
        kinds: Kinds::ALL,
        ty: KeyType::Choice(TYPES),
        preset: Preset::Required,
        scope: Scope::Service,
        doc: "What the service is.",
        symptom: "Without it nothing can be generated.",
        example: "\"relay\"",
        ..ROW
    },
    Key {
        name: "endpoint",
        ty: KeyType::Endpoint,
        preset: Preset::Words("required; a relay has a private socket of its own"),
        scope: Scope::Service,
        doc: "Where senders connect. A relay that names none uses a socket in a directory only its user can enter.",
        symptom: "A wrong address is dialed again and again: state `Backoff`.",
        example: "\"unix:///run/my_app/orders.sock\"",
        ..ROW
    },
    Key {
        name: "bind",
        ty: KeyType::Endpoint,
        preset: Preset::Words("same as `endpoint`"),
        scope: Scope::Service,
        doc: "Where the receiving end listens, when that differs from `endpoint`, as in containers.",
        symptom: "A receiver that listens elsewhere is never reached.",
        example: "\"tcp://127.0.0.1:9001\"",
        ..ROW
    },
    Key {
        name: "doc",
        kinds: Kinds::ALL,
        scope: Scope::CompiledIn,
        doc: "Your own words about the service; they stand above its generated type.",
        example: "\"Every order as it is accepted.\"",
        ..ROW
    },
    Key {
        name: "message",
        ty: KeyType::RustPath,
        preset: Preset::Words("untyped `Message`"),
        scope: Scope::CompiledInDefault,
        doc: "Rust path of the message type, which derives `Message`.",
        symptom: "Both ends must name the same shape, or the link refuses to open.",
        example: "\"crate::Tick\"",
        ..ROW
    },
    Key {
        name: "codec",
        ty: KeyType::Choice(CODECS),
        preset: Preset::Words("`\"postcard\"`; `\"raw\"` without `message`"),
        doc: "How a message becomes bytes.",
        symptom: "Two ends that differ refuse to connect.",
        example: "\"json\"",
        ..ROW
    },
    Key {
        name: "framing",
        ty: KeyType::Choice(FRAMINGS),
        preset: Preset::Word("sink"),
        doc: "How the byte stream is cut into messages. All but `\"sink\"` talk to programs that are not ours and have no acks.",
        symptom: "A peer that frames otherwise sees garbage.",
        example: "\"lines\"",
        ..ROW
    },
    Key {
        name: "preamble",
        ty: KeyType::TextOrSecret,
        only: &[ForeignFraming],
        doc: "Sent once on every connection before the first message, and expected there by a source; may be a \
              reference to a secret, read anew for each connection.",
        symptom: "A peer that expects a greeting stays silent.",
        example: "\"HELLO 1\\n\"",
        ..ROW
    },
    // buffer
    Key {
        name: "buffer_size",
        ty: KeyType::Integer {
            min: 1,
            max: 16_777_216,
        },
        unit: "messages",
        preset: Preset::Number(10_000),
        doc: "Messages the sink holds while its link is busy or down.",
        symptom: "Too small: senders wait or messages are dropped at every pause. Too large: late news.",
        example: "10_000",
        ..ROW
    },
    Key {
        name: "buffer_bytes",
        ty: KeyType::Integer {
            min: KIB,
            max: 16 * GIB,
        },
        unit: "bytes",
        preset: Preset::Number(16 * MIB),
        only: &[Connection],
        doc: "Bytes the sink holds, whichever of the two bounds is met first.",
        symptom: "Too small: large messages are refused as too large.",
        example: "16_777_216",
        ..ROW
    },
    Key {
        name: "when_full",
        ty: KeyType::Choice(WHEN_FULL),
        preset: Preset::Word("block"),
        doc: "What a send does when the buffer is full.",
        symptom: "`block` passes the pressure to the caller; `drop_*` loses messages, counted and visible as gaps.",
        example: "\"drop_oldest\"",
        ..ROW
    },
    Key {
        name: "confirm",
        ty: KeyType::Choice(LEVELS),
        preset: Preset::Words("accepted into the buffer"),
        doc: "The level that `send` itself waits for.",
        symptom: "Every level above the buffer costs a round trip or a disk write per send.",
        example: "\"acked\"",
        ..ROW
    },
    Key {
        name: "on_disk_full",
        ty: KeyType::Choice(ON_DISK_FULL),
        preset: Preset::Word("block"),
        availability: NotYet,
        doc: "What a send does when `spool_bytes` is used up or the disk fails.",
        symptom: "As `when_full`.",
        example: "\"reject\"",
        ..ROW
    },
    Key {
        name: "spool_dir",
        ty: KeyType::Directory,
        availability: NotYet,
        doc: "Directory of the spool; one process at a time.",
        symptom: "Without it nothing can be spilled.",
        example: "\"/var/lib/my_app/spool\"",
        ..ROW
    },
    Key {
        name: "spool_bytes",
        ty: KeyType::Integer {
            min: MIB,
            max: 16 * 1_024 * GIB,
        },
        unit: "bytes",
        preset: Preset::Number(GIB),
        availability: NotYet,
        doc: "Disk quota of the spool.",
        symptom: "Too small: `on_disk_full` applies in a long outage.",
        example: "1_073_741_824",
        ..ROW
    },
    Key {
        name: "sync",
        ty: KeyType::Sync,
        preset: Preset::Word("500ms"),
        availability: NotYet,
        doc: "When spooled or retained data is forced to disk: `\"always\"`, at most so long after a write, or `\"never\"`.",
        symptom: "Power loss takes what was not forced.",
        example: "\"500ms\"",
        ..ROW
    },
    // delivery and the link
    Key {
        name: "delivery",
        ty: KeyType::Choice(DELIVERIES),
        preset: Preset::Word("at_most_once"),
        doc: "The guarantee.",
        symptom: "Under `at_most_once` what was written when a link broke may be gone.",
        example: "\"at_least_once\"",
        ..ROW
    },
    Key {
        name: "reconnect_delay_ms",
        ty: KeyType::Millis {
            min: 1,
            max: HOUR,
            never: false,
        },
        unit: "ms",
        preset: Preset::Number(100),
        only: &[Connection],
        doc: "First delay between attempts; it doubles up to `reconnect_max_delay_ms`.",
        symptom: "Too small: a dead peer is hammered. Too large: slow recovery.",
        example: "100",
        ..ROW
    },
    Key {
        name: "reconnect_max_delay_ms",
        ty: KeyType::Millis {
            min: 1,
            max: DAY,
            never: false,
        },
        unit: "ms",
        preset: Preset::Number(10_000),
        only: &[Connection],
        doc: "Longest delay between attempts.",
        symptom: "Too large: a service that comes back is found late.",
        example: "10_000",
        ..ROW
    },
    Key {
        name: "max_attempts",
        ty: KeyType::Integer {
            min: 1,
            max: u32::MAX as u64,
        },
        unit: "attempts",
        preset: Preset::Words("no limit"),
        only: &[Connection],
        doc: "Attempts after which the link gives up.",
        symptom: "A link that gave up keeps what it holds, and goes on at the next `connect()`.",
        example: "20",
        ..ROW
    },
    Key {
        name: "connect_timeout_ms",
        ty: KeyType::Millis {
            min: 1,
            max: 600 * SECOND,
            never: false,
        },
        unit: "ms",
        preset: Preset::Number(5_000),
        only: &[Connection],
        doc: "Bound of one attempt.",
        symptom: "Too small: distant peers are never reached.",
        example: "5_000",
        ..ROW
    },
    Key {
        name: "send_timeout_ms",
        ty: KeyType::Millis {
            min: 1,
            max: DAY,
            never: true,
        },
        unit: "ms",
        preset: Preset::Number(30_000),
        doc: "Bound of a send that must wait; `\"never\"` waits without bound.",
        symptom: "Too small: sends fail during a short outage.",
        example: "30_000",
        ..ROW
    },
    Key {
        name: "heartbeat_ms",
        ty: KeyType::Millis {
            min: 10,
            max: HOUR,
            never: false,
        },
        unit: "ms",
        preset: Preset::Number(10_000),
        only: &[Connection, OurFraming],
        doc: "Interval of heartbeats on an idle link; three missed ones lose it.",
        symptom: "Too large: a vanished peer is noticed late.",
        example: "10_000",
        ..ROW
    },
    Key {
        name: "idle_timeout_ms",
        ty: KeyType::Millis {
            min: 10,
            max: DAY,
            never: true,
        },
        unit: "ms",
        preset: Preset::Words("never"),
        only: &[Connection],
        doc: "Disconnects a link unused for so long; the next send connects again.",
        symptom: "Too small: every burst pays a connection.",
        example: "60_000",
        ..ROW
    },
    Key {
        name: "max_age_ms",
        ty: KeyType::Millis {
            min: 1,
            max: DAY,
            never: true,
        },
        unit: "ms",
        preset: Preset::Words("never"),
        doc: "Drops what waited longer, visibly: when it would be written; within the process, when it would be handed up.",
        symptom: "Too small: an outage empties the buffer.",
        example: "5_000",
        ..ROW
    },
    Key {
        name: "max_frame_bytes",
        ty: KeyType::Integer {
            min: 64,
            max: 64 * MIB,
        },
        unit: "bytes",
        preset: Preset::Words("1048576, or `buffer_bytes` if that is less"),
        only: &[Size],
        doc: "Largest message, encoded; never more than `buffer_bytes`.",
        symptom: "Too small: messages are refused before a byte is sent.",
        example: "1_048_576",
        ..ROW
    },
    Key {
        name: "max_connections",
        ty: KeyType::Integer {
            min: 1,
            max: 65_536,
        },
        unit: "connections",
        preset: Preset::Number(256),
        only: &[Connection],
        doc: "Connections the receiving end admits.",
        symptom: "Too small: further peers are turned away.",
        example: "256",
        ..ROW
    },
    // security
    Key {
        name: "allow_uids",
        ty: KeyType::Uids,
        preset: Preset::Words("our own user only"),
        only: &[Only::Scheme("unix")],
        doc: "User ids admitted on a Unix socket besides our own.",
        symptom: "Another user's process is refused by name.",
        example: "[1001, 1002]",
        ..ROW
    },
    Key {
        name: "tls",
        ty: KeyType::Tls,
        availability: NotYet,
        only: &[Only::Scheme("tls")],
        doc: "TLS material: `ca`, `cert`, `key` (a reference), `server_name`.",
        symptom: "A peer whose certificate is not trusted is refused.",
        example: "{ ca = \"ca.pem\", cert = \"me.pem\", key = { file = \"me.key\" } }",
        ..ROW
    },
    Key {
        name: "insecure_plaintext",
        ty: KeyType::Bool,
        preset: Preset::Bool(false),
        only: &[Only::Scheme("tcp")],
        doc: "Consent to unencrypted TCP beyond this host.",
        symptom: "Anyone on the way reads and writes the messages.",
        example: "true",
        ..ROW
    },
    // relay
    Key {
        name: "retain",
        kinds: Kinds::RELAY,
        ty: KeyType::Integer {
            min: 1,
            max: u32::MAX as u64,
        },
        unit: "messages",
        preset: Preset::Number(65_536),
        doc: "Messages the relay keeps for late and returning consumers.",
        symptom: "Too small: a returning consumer sees a gap.",
        example: "65_536",
        ..ROW
    },
    Key {
        name: "retain_bytes",
        kinds: Kinds::RELAY,
        ty: KeyType::Integer {
            min: KIB,
            max: 1_024 * GIB,
        },
        unit: "bytes",
        preset: Preset::Number(64 * MIB),
        doc: "Bytes the relay keeps, whichever of the two bounds is met first.",
        symptom: "Too small: a returning consumer sees a gap.",
        example: "67_108_864",
        ..ROW
    },
    Key {
        name: "slow_consumer",
        kinds: Kinds::RELAY,
        ty: KeyType::Choice(SLOW_CONSUMERS),
        preset: Preset::Word("drop_oldest"),
        doc: "What the relay does with a consumer that lags behind retention.",
        symptom: "A slow consumer costs only itself, unless this is `block`.",
        example: "\"disconnect\"",
        ..ROW
    },
    Key {
        name: "from",
        kinds: Kinds::RELAY,
        ty: KeyType::Choice(STARTS),
        preset: Preset::Word("retained"),
        doc: "Where a consumer without a kept cursor starts.",
        symptom: "`now` misses what was sent before the consumer came.",
        example: "\"now\"",
        ..ROW
    },
    Key {
        name: "consumer",
        kinds: Kinds::RELAY,
        ty: KeyType::Word,
        scope: Scope::Service,
        availability: NotYet,
        doc: "The consumer's name, under which the relay keeps its cursor.",
        symptom: "Two processes with one name share one cursor.",
        example: "\"risk\"",
        ..ROW
    },
    // composites
    Key {
        name: "pattern",
        kinds: Kinds::COMPOSITE,
        ty: KeyType::Choice(PATTERNS),
        preset: Preset::Required,
        scope: Scope::Shape,
        doc: "How messages spread over the targets.",
        symptom: "Without it nothing can be generated.",
        example: "\"fanout\"",
        ..ROW
    },
    Key {
        name: "targets",
        kinds: Kinds::COMPOSITE,
        ty: KeyType::Names,
        preset: Preset::Required,
        scope: Scope::Shape,
        doc: "Names of the members, at most eight; nest composites beyond. Order matters for failover.",
        symptom: "Members carry one message type.",
        example: "[\"orders_a\", \"orders_b\"]",
        ..ROW
    },
    Key {
        name: "ack",
        kinds: Kinds::FANOUT,
        ty: KeyType::Ack,
        preset: Preset::Word("all"),
        doc: "Which branches decide about a send: `\"all\"`, `\"any\"` or `{ quorum = n }`.",
        symptom: "Under `all` one dead branch fills up and then holds the caller.",
        example: "{ quorum = 2 }",
        ..ROW
    },
    Key {
        name: "optional",
        kinds: Kinds::FANOUT,
        ty: KeyType::Names,
        preset: Preset::Words("none"),
        scope: Scope::Shape,
        doc: "Targets that never block and never decide.",
        symptom: "At a full optional branch the copy is dropped and counted.",
        example: "[\"audit\"]",
        ..ROW
    },
    Key {
        name: "attempt_timeout_ms",
        kinds: Kinds::PICKING,
        ty: KeyType::Millis {
            min: 1,
            max: HOUR,
            never: false,
        },
        unit: "ms",
        preset: Preset::Number(1_000),
        availability: NotYet,
        doc: "A target that holds messages without progress for so long is unhealthy.",
        symptom: "Too small: targets change at every hiccup.",
        example: "1_000",
        ..ROW
    },
    Key {
        name: "failback",
        kinds: Kinds::FAILOVER,
        ty: KeyType::Choice(FAILBACKS),
        preset: Preset::Word("auto"),
        availability: NotYet,
        doc: "When a recovered target is used again.",
        symptom: "`manual` stays on the spare until somebody acts.",
        example: "\"manual\"",
        ..ROW
    },
    Key {
        name: "failback_after_ms",
        kinds: Kinds::PICKING,
        ty: KeyType::Millis {
            min: 1,
            max: DAY,
            never: false,
        },
        unit: "ms",
        preset: Preset::Number(5_000),
        availability: NotYet,
        doc: "How long a target must be ready to count as healthy again.",
        symptom: "Too small: a flapping target is chosen again and again.",
        example: "5_000",
        ..ROW
    },
    Key {
        name: "partition_by",
        kinds: Kinds::PARTITION,
        ty: KeyType::FieldPath,
        preset: Preset::Required,
        scope: Scope::Service,
        availability: NotYet,
        doc: "Field of the message whose equal values go to the same target.",
        symptom: "A field of few values loads few targets.",
        example: "\"symbol\"",
        ..ROW
    },
    // names that last
    Key {
        name: "runtime",
        ty: KeyType::Bool,
        preset: Preset::Bool(false),
        scope: Scope::CompiledIn,
        doc: "Reachable only by name at run time (`Sinks::dynamic`, `SinkFactory`); its accessor explains that.",
        symptom: "Composites of the same file cannot contain it.",
        example: "true",
        ..ROW
    },
    Key {
        name: "ident",
        kinds: Kinds::ALL,
        ty: KeyType::Ident,
        preset: Preset::Words("the name, with `-` and `.` as `_`"),
        scope: Scope::CompiledIn,
        doc: "The Rust name, where the service's own does not serve.",
        symptom: "Changing it renames the accessor.",
        example: "\"orders_eu\"",
        ..ROW
    },
    Key {
        name: "aliases",
        kinds: Kinds::ALL,
        ty: KeyType::Names,
        preset: Preset::Words("none"),
        scope: Scope::CompiledIn,
        doc: "Former names: deprecated accessors that name the present one.",
        symptom: "Without it a rename breaks every user at once.",
        example: "[\"orders_old\"]",
        ..ROW
    },
];
