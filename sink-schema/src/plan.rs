//! The registry after validation: what generator, runtime and command line read. Only sound services are in it.

use std::collections::HashMap;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::text::Location;

/// Every sound service of a registry, in the order the file names them, and the names of the broken ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Services that passed every rule.
    pub services: Vec<ServicePlan>,
    /// Services that have a mistake, under names that code may call them by: the generator writes stubs, so that one mistake is one error.
    pub broken: Vec<BrokenService>,
    /// The registry may name services that nobody could read: what is called one of them is no second mistake.
    pub incomplete: bool,
    names: HashMap<String, usize>,
}

impl Plan {
    pub(crate) fn new(services: Vec<ServicePlan>, broken: Vec<BrokenService>) -> Self {
        let mut names = HashMap::new();
        for (at, service) in services.iter().enumerate() {
            for alias in &service.aliases {
                names.insert(alias.name.clone(), at);
            }
        }
        for (at, service) in services.iter().enumerate() {
            names.insert(service.name.clone(), at);
        }
        Self {
            services,
            broken,
            incomplete: false,
            names,
        }
    }

    /// Finds a service by its name, or by one of its former names.
    pub fn find(&self, name: &str) -> Option<&ServicePlan> {
        self.names.get(name).and_then(|at| self.services.get(*at))
    }

    /// The nearest service name to a misspelt one, for "did you mean".
    pub fn nearest(&self, name: &str) -> Option<&str> {
        crate::names::nearest(
            name,
            self.services.iter().map(|service| service.name.as_str()),
        )
    }
}

/// One sound service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePlan {
    /// The name as the registry writes it.
    pub name: String,
    /// The name as a Rust identifier: `orders_eu`, `r#match`.
    pub ident: String,
    /// The name as a Rust type: `OrdersEu`.
    pub type_ident: String,
    /// Where its name stands.
    pub location: Location,
    /// Where its message type stands, whichever layer says it.
    pub message_location: Option<Location>,
    /// The owner's own words about it.
    pub doc: Option<String>,
    /// Former names, which still resolve.
    pub aliases: Vec<Alias>,
    /// Reachable only through `Sinks::dynamic` and `SinkFactory`.
    pub runtime: bool,
    /// What it is.
    pub kind: Kind,
}

impl ServicePlan {
    /// The leaf, if it is one.
    pub fn leaf(&self) -> Option<&LeafPlan> {
        match &self.kind {
            Kind::Leaf(leaf) => Some(leaf),
            Kind::Composite(_) => None,
        }
    }

    /// The composite, if it is one.
    pub fn composite(&self) -> Option<&CompositePlan> {
        match &self.kind {
            Kind::Leaf(_) => None,
            Kind::Composite(composite) => Some(composite),
        }
    }

    /// The Rust path of the message type; `None` carries untyped messages.
    pub fn message(&self) -> Option<&str> {
        match &self.kind {
            Kind::Leaf(leaf) => leaf.message.as_deref(),
            Kind::Composite(composite) => composite.message.as_deref(),
        }
    }

    /// Whether every message is delivered at least once.
    pub fn at_least_once(&self) -> bool {
        match &self.kind {
            Kind::Leaf(leaf) => leaf.delivery == Delivery::AtLeastOnce,
            Kind::Composite(composite) => composite.at_least_once,
        }
    }
}

/// A former name of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The former name as the registry writes it.
    pub name: String,
    /// The former name as a Rust identifier.
    pub ident: String,
    /// Where it stands.
    pub location: Location,
}

/// A service that has a sound name and a mistake in its table, or a target that has one.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokenService {
    /// The name as the registry writes it.
    pub name: String,
    /// The name as a Rust identifier.
    pub ident: String,
    /// The name as a Rust type.
    pub type_ident: String,
    /// Where its name stands.
    pub location: Location,
    /// What it would have been, as far as the table tells.
    pub kind_hint: KindHint,
    /// The first mistake, in one line, for the stub's documentation.
    pub message: String,
    /// The code of that mistake, or `None` when only a target of it is broken.
    pub code: Option<&'static str>,
    /// The Rust path of the message type, where the table names one.
    pub message_type: Option<String>,
    /// Reachable only at run time.
    pub runtime: bool,
    /// Former names that are sound.
    pub aliases: Vec<Alias>,
}

/// What a broken service would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KindHint {
    /// A relay service.
    Relay,
    /// A direct service.
    Direct,
    /// A composite service.
    Composite,
    /// The table does not tell.
    Unknown,
}

/// Leaf or composite.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a registry holds few services; a box would be in everyone's way"
)]
pub enum Kind {
    /// One address.
    Leaf(LeafPlan),
    /// A sink of sinks.
    Composite(CompositePlan),
}

/// One relay or direct service.
#[derive(Clone, Debug, PartialEq)]
pub struct LeafPlan {
    /// Relay or direct.
    pub role: Role,
    /// Where senders connect.
    pub endpoint: Endpoint,
    /// Where the receiving end listens, when that differs.
    pub bind: Option<Endpoint>,
    /// The Rust path of the message type as written; `None` carries untyped messages.
    pub message: Option<String>,
    /// How a message becomes bytes.
    pub codec: Codec,
    /// How bytes are cut into messages.
    pub framing: Framing,
    /// Sent once per connection before the first frame (foreign framings).
    pub preamble: Option<TextOrSecret>,
    /// Bound of the buffer in messages.
    pub buffer_size: u32,
    /// Bound of the buffer in bytes.
    pub buffer_bytes: u64,
    /// What a full buffer does.
    pub when_full: WhenFull,
    /// The level `send` waits for.
    pub confirm: Option<Level>,
    /// What a full disk quota does.
    pub on_disk_full: OnDiskFull,
    /// Directory of the spool.
    pub spool_dir: Option<String>,
    /// Disk quota of the spool.
    pub spool_bytes: u64,
    /// When written data is forced to disk.
    pub sync: SyncMode,
    /// The delivery guarantee.
    pub delivery: Delivery,
    /// First reconnect delay.
    pub reconnect_delay: Duration,
    /// Longest reconnect delay.
    pub reconnect_max_delay: Duration,
    /// Attempts before giving up; `None` never gives up.
    pub max_attempts: Option<u32>,
    /// Bound of one connection attempt.
    pub connect_timeout: Duration,
    /// Bound of a waiting `send`; `None` is `"never"`.
    pub send_timeout: Option<Duration>,
    /// Interval of heartbeats.
    pub heartbeat: Duration,
    /// Disconnects a link unused for so long.
    pub idle_timeout: Option<Duration>,
    /// Drops what waited longer.
    pub max_age: Option<Duration>,
    /// Largest frame.
    pub max_frame_bytes: u32,
    /// Connections the receiving end admits.
    pub max_connections: u32,
    /// User ids admitted on a Unix socket besides our own.
    pub allow_uids: Vec<u32>,
    /// TLS material for `tls://`.
    pub tls: Option<TlsPlan>,
    /// Consent to unencrypted TCP beyond this host.
    pub insecure_plaintext: bool,
    /// Messages a relay retains.
    pub retain: u32,
    /// Bytes a relay retains.
    pub retain_bytes: u64,
    /// What a relay does with a consumer that lags.
    pub slow_consumer: SlowConsumer,
    /// Where a new consumer starts.
    pub from: From_,
    /// The consumer's name, whose cursor the relay keeps.
    pub consumer: Option<String>,
}

/// A sink of sinks.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositePlan {
    /// How messages spread over the targets.
    pub pattern: Pattern,
    /// Names of the members, in order; former names already replaced by present ones.
    pub targets: Vec<String>,
    /// Which branches decide (fan-out).
    pub ack: Ack,
    /// Branches that never block and never decide.
    pub optional: Vec<String>,
    /// A child that holds messages without progress for so long is unhealthy.
    pub attempt_timeout: Duration,
    /// When a recovered child is used again.
    pub failback: Failback,
    /// The message field whose equal values go to the same child.
    pub partition_by: Option<String>,
    /// The members' message type.
    pub message: Option<String>,
    /// True if every target that is not optional promises it.
    pub at_least_once: bool,
}

/// Which kind of leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Through a relay: any number of producers and consumers.
    Relay,
    /// Straight to the one receiver that listens.
    Direct,
}

/// Message ↔ bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Compact binary.
    Postcard,
    /// JSON text.
    Json,
    /// The payload as it is: untyped messages.
    Raw,
}

/// Bytes ↔ frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Our protocol: sequence numbers, acks.
    Sink,
    /// Length as big-endian `u32`.
    U32Be,
    /// Length as little-endian `u32`.
    U32Le,
    /// One line per message.
    Lines,
    /// Nothing at all.
    Raw,
}

/// What a full buffer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// The caller waits.
    Block,
    /// The caller gets the message back.
    Reject,
    /// The new message is dropped.
    DropNewest,
    /// The oldest waiting message is dropped.
    DropOldest,
    /// The message goes to disk.
    Spill,
}

/// What a full disk quota does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnDiskFull {
    /// The caller waits.
    Block,
    /// The caller gets the message back.
    Reject,
    /// The new message is dropped.
    DropNewest,
    /// The oldest spooled message is dropped.
    DropOldest,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// In the local spool.
    Spooled,
    /// The kernel took every byte.
    Written,
    /// The process at the other end took it.
    Acked,
    /// That process holds it on disk.
    Stored,
}

/// The delivery guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Never twice, possibly not at all.
    AtMostOnce,
    /// Sent again until acknowledged.
    AtLeastOnce,
}

/// When written data is forced to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncMode {
    /// After every write.
    Always,
    /// At most so long after a write.
    Every(Duration),
    /// Left to the operating system.
    Never,
}

/// What a relay does with a consumer that lags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SlowConsumer {
    /// Its oldest messages are dropped, visibly.
    DropOldest,
    /// It is disconnected.
    Disconnect,
    /// Producers wait for it.
    Block,
}

/// Where a new consumer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum From_ {
    /// At the oldest retained message.
    Retained,
    /// At the next message.
    Now,
}

/// How messages spread over targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// To all.
    FanOut,
    /// To the first healthy one.
    Failover,
    /// To each in turn.
    RoundRobin,
    /// To the one chosen by a key.
    Partition,
}

/// Which branches of a fan-out decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ack {
    /// Every branch that is not optional.
    All,
    /// Any one branch.
    Any,
    /// So many branches.
    Quorum(u32),
}

/// When a recovered child is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failback {
    /// After it has been healthy for so long.
    Auto {
        /// How long.
        after: Duration,
    },
    /// Only when told.
    Manual,
}

/// A reference to a secret, resolved at run time; prints as `***`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Secret {
    /// Value of an environment variable.
    Env(String),
    /// Contents of a file.
    File(String),
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A text that may be kept out of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextOrSecret {
    /// As written.
    Text(String),
    /// By reference.
    Secret(Secret),
}

/// TLS material of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsPlan {
    /// PEM file of the authorities trusted besides the system's.
    pub ca: Option<String>,
    /// PEM file of our own certificate (mutual TLS).
    pub cert: Option<String>,
    /// Our private key.
    pub key: Option<Secret>,
    /// Name expected in the peer's certificate, if not the endpoint's host.
    pub server_name: Option<String>,
}
