//! One row per code: code, rule, cause, wrong, right.

/// A line `# services.prod.toml` or `# environment` begins another layer of an example.
pub(super) const TABLE: &[(&str, &str, &str, &str, &str)] = &[
    (
        "E0100",
        r#"the file is not TOML"#,
        r#"A registry is a TOML file. The parser stumbles at this place; what follows is read as far as it can be, and services whose own table is damaged are not judged any further."#,
        r#"[services.orders]
type = relay
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "E0101",
        r#"a key or table stands twice"#,
        r#"TOML gives every name one value. Two tables of one name are usually a copy that was not renamed. Variables
`SINKS__SERVICE__KEY` are matched without regard to case and by former names too: two that set one key are the same mistake."#,
        r#"[services.orders]
type = "relay"

[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
"#,
        r#"[services.orders]
type = "relay"

[services.orders_direct]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
"#,
    ),
    (
        "E0102",
        r#"a key is unknown"#,
        r#"A misspelt key would silently do nothing, so it is an error. docs/REGISTRY.md lists the keys of each kind of service; editors complete them from the JSON Schema (`cargo sinks schema`)."#,
        r#"[services.orders]
type = "relay"
bufer_size = 500
"#,
        r#"[services.orders]
type = "relay"
buffer_size = 500
"#,
    ),
    (
        "E0103",
        r#"a type is unknown"#,
        r#"`type` is `"relay"` (through a relay), `"direct"` (straight to the receiver) or `"composite"` (a sink of sinks)."#,
        r#"[services.orders]
type = "realy"
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "E0104",
        r#"a pattern is unknown"#,
        r#"`pattern` says how a composite spreads messages: `"fanout"`, `"failover"`, `"round_robin"` or `"partition"`."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fan_uot"
targets = ["a", "b"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "E0105",
        r#"a scheme is unknown"#,
        r#"An endpoint begins with how it is reached: `unix://`, `tcp://`, `tls://`, `inproc://` or `nats://`."#,
        r#"[services.orders]
type = "direct"
endpoint = "tpc://127.0.0.1:9001"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
"#,
    ),
    (
        "E0106",
        r#"a value is not one of the words a key knows"#,
        r#"Keys that choose between behaviours take one of a few words."#,
        r#"[services.orders]
type = "relay"
when_full = "drop_old"
"#,
        r#"[services.orders]
type = "relay"
when_full = "drop_oldest"
"#,
    ),
    (
        "E0107",
        r#"a key is missing"#,
        r#"Some keys have no sensible default: a service has a `type`, a direct service an `endpoint`, a composite a `pattern` and `targets`."#,
        r#"[services.orders]
type = "direct"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
"#,
    ),
    (
        "E0108",
        r#"a value has the wrong type"#,
        r#"Numbers are written without quotes, words with them, lists in brackets. Times are whole milliseconds."#,
        r#"[services.orders]
type = "relay"
reconnect_delay_ms = "2s"
"#,
        r#"[services.orders]
type = "relay"
reconnect_delay_ms = 2000
"#,
    ),
    (
        "E0109",
        r#"a value is out of range"#,
        r#"Every number has a range outside of which it cannot do what its name says."#,
        r#"[services.orders]
type = "relay"
buffer_size = 0
"#,
        r#"[services.orders]
type = "relay"
buffer_size = 10_000
"#,
    ),
    (
        "E0110",
        r#"a key belongs to another kind of service"#,
        r#"Relay and direct services have an address, composites have targets; some keys belong to one pattern. Often it is the `type` that is wrong."#,
        r#"[services.orders]
type = "relay"
targets = ["a"]
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "E0111",
        r#"a key has no effect here"#,
        r#"A key that would do nothing is an error, because somebody who wrote it expects something."#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
allow_uids = [1001]
"#,
        r#"[services.orders]
type = "direct"
endpoint = "unix:///run/shop/orders.sock"
allow_uids = [1001]
"#,
    ),
    (
        "E0112",
        r#"a key or value is not built into this version"#,
        r#"It is part of the language, and this version does not do it yet. It is refused rather than ignored."#,
        r#"[services.orders]
type = "relay"
spool_bytes = 1_073_741_824
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "E0113",
        r#"a key or value needs a Cargo feature"#,
        r#"The behaviour exists and was not compiled in. Features are named in Cargo.toml, at the dependency on `sink-runtime`."#,
        r#"[services.orders]
type = "relay"
message = "crate::Order"
codec = "json"
"#,
        r#"[services.orders]
type = "relay"
message = "crate::Order"
"#,
    ),
    (
        "E0114",
        r#"no carrier for a scheme"#,
        r#"Carriers beyond the built-in ones come from crates of their own, which the build script names: `Build::new(…).carrier("its_crate").run()`."#,
        r#"[services.orders]
type = "direct"
endpoint = "rabbitmq://127.0.0.1:5672/orders"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:5672"
"#,
    ),
    (
        "E0115",
        r#"the registry is too large"#,
        r#"A registry larger than 4 MiB (some 20,000 services) is not read, so that a wrong file cannot hold up a program. A program names only the services it uses."#,
        r#"# a file of more than 4 MiB
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "E0116",
        r#"values are nested too deeply"#,
        r#"Tables and arrays nest at most 80 levels; a registry needs three."#,
        r#"[services.orders]
type = "relay"
doc = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
"#,
        r#"[services.orders]
type = "relay"
doc = "Every order."
"#,
    ),
    (
        "E0117",
        r#"a registry or overlay cannot be read"#,
        r#"The file is not there, may not be read, is no regular file (a folder, a pipe, a device), or is not UTF-8; or a profile was asked for that has no overlay. A registry is named relative to Cargo.toml in build.rs, and relative to the working directory by `--registry`."#,
        r#"# no file, or none that is text
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "E0120",
        r#"a name is not a Rust identifier"#,
        r#"A service's name becomes a function, a type, a file name and part of a variable. `-` and `.` become `_`; anything else that Rust does not know in a name needs `ident`, or another name."#,
        r#"[services.4h-candles]
type = "relay"
"#,
        r#"[services.4h-candles]
type = "relay"
ident = "candles_4h"
"#,
    ),
    (
        "E0121",
        r#"a name is reserved"#,
        r#"`Sinks` has functions of its own, and some names are Rust's. `ident` gives the service another Rust name."#,
        r#"[services.init]
type = "relay"
"#,
        r#"[services.init]
type = "relay"
ident = "init_events"
"#,
    ),
    (
        "E0122",
        r#"two services collide in a derived name"#,
        r#"From each name a function, a type and a variable are derived. `orders-eu` and `orders_eu` are one function; `größe` and `GRÖSSE` are one variable."#,
        r#"[services.orders-eu]
type = "relay"

[services.orders_eu]
type = "relay"
"#,
        r#"[services.orders-eu]
type = "relay"

[services.orders_eu]
type = "relay"
ident = "orders_eu_new"
"#,
    ),
    (
        "E0123",
        r#"an alias shadows a name"#,
        r#"An alias is a name the service once had. It cannot be a name that something has now."#,
        r#"[services.orders]
type = "relay"
aliases = ["trades"]

[services.trades]
type = "relay"
"#,
        r#"[services.orders]
type = "relay"
aliases = ["orders_v1"]

[services.trades]
type = "relay"
"#,
    ),
    (
        "E0124",
        r#"a path is not one"#,
        r#"`message` is a path of Rust identifiers; generics get a name by `pub type`. Directories are absolute."#,
        r#"[services.orders]
type = "relay"
message = "crate.Order"
"#,
        r#"[services.orders]
type = "relay"
message = "crate::Order"
"#,
    ),
    (
        "E0125",
        r#"a text holds an invisible character"#,
        r#"Characters that cannot be seen and that turn text around can make a registry read differently from what it says."#,
        r#"[services.orders]
type = "relay"
doc = "every \u202Eredro"
"#,
        r#"[services.orders]
type = "relay"
doc = "every order"
"#,
    ),
    (
        "E0130",
        r#"a target is no service"#,
        r#"A composite names services of the same registry."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "c"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "E0131",
        r#"a composite names itself"#,
        r#"A message sent to it would come back to it."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b", "all"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "E0132",
        r#"composites contain each other"#,
        r#"Following the targets must end at leaves; a cycle would send each message for ever."#,
        r#"[services.a]
type = "composite"
pattern = "fanout"
targets = ["b", "leaf"]

[services.b]
type = "composite"
pattern = "fanout"
targets = ["a", "leaf"]

[services.leaf]
type = "relay"
"#,
        r#"[services.a]
type = "composite"
pattern = "fanout"
targets = ["b", "leaf"]

[services.b]
type = "composite"
pattern = "failover"
targets = ["c", "d"]

[services.leaf]
type = "relay"

[services.c]
type = "relay"

[services.d]
type = "relay"
"#,
    ),
    (
        "E0133",
        r#"a composite has no targets"#,
        r#"A message sent to it would go nowhere."#,
        r#"[services.all]
type = "composite"
pattern = "fanout"
targets = []
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "E0134",
        r#"a target is named twice"#,
        r#"It would get every message twice, which is never what a list of names means."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b", "a"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "E0135",
        r#"a composite has more than eight targets"#,
        r#"A composite's type is a tuple of its targets, of at most eight. Composites nest: put some targets into one of their own."#,
        r#"[services.s1]
type = "relay"

[services.s2]
type = "relay"

[services.s3]
type = "relay"

[services.s4]
type = "relay"

[services.s5]
type = "relay"

[services.s6]
type = "relay"

[services.s7]
type = "relay"

[services.s8]
type = "relay"

[services.s9]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"]
"#,
        r#"[services.s1]
type = "relay"

[services.s2]
type = "relay"

[services.s3]
type = "relay"

[services.s4]
type = "relay"

[services.s5]
type = "relay"

[services.s6]
type = "relay"

[services.s7]
type = "relay"

[services.s8]
type = "relay"

[services.s9]
type = "relay"

[services.rest]
type = "composite"
pattern = "fanout"
targets = ["s8", "s9"]

[services.all]
type = "composite"
pattern = "fanout"
targets = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "rest"]
"#,
    ),
    (
        "E0136",
        r#"composites are nested too deeply"#,
        r#"Types nest as composites do, and the compiler bounds how deep. Sixteen levels of eight targets are more leaves than anyone has."#,
        r#"[services.leaf_a]
type = "relay"

[services.leaf_b]
type = "relay"

[services.level_1]
type = "composite"
pattern = "fanout"
targets = ["leaf_a", "leaf_b"]

[services.own_2]
type = "relay"

[services.level_2]
type = "composite"
pattern = "fanout"
targets = ["level_1", "own_2"]

[services.own_3]
type = "relay"

[services.level_3]
type = "composite"
pattern = "fanout"
targets = ["level_2", "own_3"]

[services.own_4]
type = "relay"

[services.level_4]
type = "composite"
pattern = "fanout"
targets = ["level_3", "own_4"]

[services.own_5]
type = "relay"

[services.level_5]
type = "composite"
pattern = "fanout"
targets = ["level_4", "own_5"]

[services.own_6]
type = "relay"

[services.level_6]
type = "composite"
pattern = "fanout"
targets = ["level_5", "own_6"]

[services.own_7]
type = "relay"

[services.level_7]
type = "composite"
pattern = "fanout"
targets = ["level_6", "own_7"]

[services.own_8]
type = "relay"

[services.level_8]
type = "composite"
pattern = "fanout"
targets = ["level_7", "own_8"]

[services.own_9]
type = "relay"

[services.level_9]
type = "composite"
pattern = "fanout"
targets = ["level_8", "own_9"]

[services.own_10]
type = "relay"

[services.level_10]
type = "composite"
pattern = "fanout"
targets = ["level_9", "own_10"]

[services.own_11]
type = "relay"

[services.level_11]
type = "composite"
pattern = "fanout"
targets = ["level_10", "own_11"]

[services.own_12]
type = "relay"

[services.level_12]
type = "composite"
pattern = "fanout"
targets = ["level_11", "own_12"]

[services.own_13]
type = "relay"

[services.level_13]
type = "composite"
pattern = "fanout"
targets = ["level_12", "own_13"]

[services.own_14]
type = "relay"

[services.level_14]
type = "composite"
pattern = "fanout"
targets = ["level_13", "own_14"]

[services.own_15]
type = "relay"

[services.level_15]
type = "composite"
pattern = "fanout"
targets = ["level_14", "own_15"]

[services.own_16]
type = "relay"

[services.level_16]
type = "composite"
pattern = "fanout"
targets = ["level_15", "own_16"]

[services.own_17]
type = "relay"

[services.level_17]
type = "composite"
pattern = "fanout"
targets = ["level_16", "own_17"]
"#,
        r#"[services.leaf_a]
type = "relay"

[services.leaf_b]
type = "relay"

[services.level_1]
type = "composite"
pattern = "fanout"
targets = ["leaf_a", "leaf_b"]

[services.own_2]
type = "relay"

[services.level_2]
type = "composite"
pattern = "fanout"
targets = ["level_1", "own_2"]
"#,
    ),
    (
        "E0137",
        r#"targets carry different messages"#,
        r#"What is sent to a composite is sent to its targets, so they carry one message type, written with the same path."#,
        r#"[services.a]
type = "relay"
message = "crate::Order"

[services.b]
type = "relay"
message = "crate::Trade"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
        r#"[services.a]
type = "relay"
message = "crate::Order"

[services.b]
type = "relay"
message = "crate::Order"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "E0138",
        r#"targets of a failover differ in codec or framing"#,
        r#"What one target has not sent moves to the next as it is, so both must write the same bytes."#,
        r#"[services.a]
type = "relay"
message = "crate::Order"
codec = "json"

[services.b]
type = "relay"
message = "crate::Order"

[services.safe]
type = "composite"
pattern = "failover"
targets = ["a", "b"]
"#,
        r#"[services.a]
type = "relay"
message = "crate::Order"

[services.b]
type = "relay"
message = "crate::Order"

[services.safe]
type = "composite"
pattern = "failover"
targets = ["a", "b"]
"#,
    ),
    (
        "E0139",
        r#"a composite that picks has nothing to pick from"#,
        r#"Failover, round-robin and partition choose between targets; with one there is no choice."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.safe]
type = "composite"
pattern = "failover"
targets = ["a"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.safe]
type = "composite"
pattern = "failover"
targets = ["a", "b"]
"#,
    ),
    (
        "E0140",
        r#"a quorum can never be reached"#,
        r#"A quorum counts targets that are not optional: it is at least 1 and at most their number. This version has no quorums
yet: all targets that are not optional decide."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
ack = { quorum = 3 }
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
ack = "all"
"#,
    ),
    (
        "E0141",
        r#"an optional branch is no target"#,
        r#"`optional` marks some of the `targets`."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
optional = ["c"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
optional = ["b"]
"#,
    ),
    (
        "E0142",
        r#"every target is optional"#,
        r#"Optional branches never decide; at least one target must."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
optional = ["a", "b"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
optional = ["b"]
"#,
    ),
    (
        "E0143",
        r#"a target exists at run time only"#,
        r#"A composite of the registry is compiled with its targets. A service with `runtime = true` has no compiled part."#,
        r#"[services.a]
type = "relay"
runtime = true

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "E0150",
        r#"an endpoint is malformed"#,
        r#"Each scheme has one form: `unix:///path`, `tcp://host:port`, `tls://host:port`, `inproc://name`, `nats://host:port/subject`."#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
"#,
    ),
    (
        "E0151",
        r#"an endpoint carries credentials"#,
        r#"A registry is read, committed, printed and sent about; credentials do not belong in it. Secrets are references to where they are kept."#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://ada:lovelace@127.0.0.1:9001"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
"#,
    ),
    (
        "E0152",
        r#"a secret stands in the file"#,
        r#"Where a secret is needed, the registry says where it is kept: `{ env = "NAME" }` or `{ file = "path" }`. It is resolved at run time and printed as `***`.
The one key that is a secret belongs to TLS, which this version does not have yet."#,
        r#"[services.orders]
type = "direct"
endpoint = "tls://orders.example:9001"
tls = { cert = "me.pem", key = "MIIEvQ" }
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tls://orders.example:9001"
tls = { cert = "me.pem", key = { env = "ORDERS_KEY" } }
"#,
    ),
    (
        "E0153",
        r#"a socket path is too long"#,
        r#"The kernel takes 107 bytes of path for a Unix socket."#,
        r#"[services.orders]
type = "direct"
endpoint = "unix:///run/very_long_directory_name/very_long_directory_name/very_long_directory_name/very_long_directory_name/very_long_directory_name/orders.sock"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "unix:///run/shop/orders.sock"
"#,
    ),
    (
        "E0154",
        r#"plain TCP leaves this host"#,
        r#"Unencrypted TCP beyond loopback is a decision, not a default: anyone on the way reads and writes the messages."#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://orders.example:9001"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://orders.example:9001"
insecure_plaintext = true
"#,
    ),
    (
        "E0155",
        r#"two services have one endpoint"#,
        r#"Whoever listens there would get the messages of both. One service under two names is an alias. Nor do two relays listen at one
`bind`: one process serves every relay of a registry."#,
        r#"[services.a]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"

[services.b]
type = "direct"
endpoint = "tcp://localhost:9001"
"#,
        r#"[services.a]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"

[services.b]
type = "direct"
endpoint = "tcp://127.0.0.1:9002"
"#,
    ),
    (
        "E0156",
        r#"`bind` does not fit `endpoint`"#,
        r#"`bind` is where the receiving end listens for what arrives by `endpoint`, so both have one scheme, and one that listens."#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
bind = "unix:///run/shop/orders.sock"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
bind = "tcp://127.0.0.1:19001"
"#,
    ),
    (
        "E0157",
        r#"at-least-once without acks"#,
        r#"A message is sent again until the other end says that it has it. Foreign framings have no way to say so."#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
framing = "u32be"
delivery = "at_least_once"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
delivery = "at_least_once"
"#,
    ),
    (
        "E0158",
        r#"a dropping policy under at-least-once"#,
        r#"What is promised is not dropped for want of room or time."#,
        r#"[services.orders]
type = "relay"
delivery = "at_least_once"
when_full = "drop_oldest"
"#,
        r#"[services.orders]
type = "relay"
delivery = "at_least_once"
when_full = "block"
"#,
    ),
    (
        "E0159",
        r#"a frame is larger than what must hold it"#,
        r#"One message must fit into the buffer, and into what a relay retains."#,
        r#"[services.orders]
type = "relay"
max_frame_bytes = 4_194_304
buffer_bytes = 1_048_576
"#,
        r#"[services.orders]
type = "relay"
max_frame_bytes = 1_048_576
buffer_bytes = 4_194_304
"#,
    ),
    (
        "E0160",
        r#"codec and message do not fit"#,
        r#"`postcard` and `json` encode a type, which `message` names; `raw` carries bytes as they are."#,
        r#"[services.orders]
type = "relay"
codec = "json"
"#,
        r#"[services.orders]
type = "relay"
codec = "json"
message = "crate::Order"
"#,
    ),
    (
        "E0161",
        r#"a framing does not fit"#,
        r#"Foreign framings are for direct services that talk to programs which are not ours, and `lines` cannot carry binary."#,
        r#"[services.orders]
type = "relay"
framing = "lines"
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "E0162",
        r#"a level that is never reached"#,
        r#"`confirm` waits for a level. Each carrier has a highest one; to wait for more would be to wait for ever."#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
framing = "u32be"
confirm = "acked"
"#,
        r#"[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
framing = "u32be"
confirm = "written"
"#,
    ),
    (
        "E0163",
        r#"something goes to disk and has no directory"#,
        r#"`when_full = "spill"` and `confirm = "spooled"` write to `spool_dir`. This version
has no spool yet: a full buffer blocks, refuses or drops."#,
        r#"[services.orders]
type = "relay"
when_full = "spill"
"#,
        r#"[services.orders]
type = "relay"
when_full = "block"
"#,
    ),
    (
        "E0164",
        r#"the first delay is longer than the longest"#,
        r#"Reconnect delays double from `reconnect_delay_ms` up to `reconnect_max_delay_ms`."#,
        r#"[services.orders]
type = "relay"
reconnect_delay_ms = 20_000
"#,
        r#"[services.orders]
type = "relay"
reconnect_delay_ms = 20_000
reconnect_max_delay_ms = 60_000
"#,
    ),
    (
        "E0170",
        r#"an overlay names a service the base lacks"#,
        r#"A profile changes services; it does not add any, since no code was generated for them. Usually the name is misspelt."#,
        r#"[services.orders]
type = "relay"

# services.prod.toml
[services.order]
buffer_size = 50_000
"#,
        r#"[services.orders]
type = "relay"

# services.prod.toml
[services.orders]
buffer_size = 50_000
"#,
    ),
    (
        "E0171",
        r#"a compiled-in key is changed by a layer"#,
        r#"`message`, `doc`, `ident`, `aliases` and `runtime` are part of the generated code; a profile or the environment cannot change them."#,
        r#"[services.orders]
type = "relay"

# services.prod.toml
[services.orders]
message = "crate::Order"
"#,
        r#"[services.orders]
type = "relay"
message = "crate::Order"

# services.prod.toml
[services.orders]
buffer_size = 50_000
"#,
    ),
    (
        "E0172",
        r#"a variable names no service"#,
        r#"Variables `SINKS__SERVICE__KEY` set keys of services. One that names none would silently do nothing."#,
        r#"[services.orders]
type = "relay"

# environment
SINKS__ODERS__BUFFER_SIZE=50000
"#,
        r#"[services.orders]
type = "relay"

# environment
SINKS__ORDERS__BUFFER_SIZE=50000
"#,
    ),
    (
        "E0173",
        r#"a lint is unknown"#,
        r#"`[lints]` sets warnings, by name, to `allow`, `warn` or `deny`. Errors cannot be allowed."#,
        r#"[services.orders]
type = "relay"

[lints]
shared_dir = "allow"
"#,
        r#"[services.orders]
type = "relay"

[lints]
shared_directory = "allow"
"#,
    ),
    (
        "W0201",
        r#"a socket in a shared directory"#,
        r#"In a directory such as /tmp any user of the host can put a socket of that name first, and receive or read what was meant for the service."#,
        r#"[services.orders]
type = "relay"
endpoint = "unix:///tmp/orders.sock"
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "W0202",
        r#"a fan-out reaches a leaf by two ways"#,
        r#"The leaf gets every message twice."#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.pair]
type = "composite"
pattern = "failover"
targets = ["a", "b"]

[services.all]
type = "composite"
pattern = "fanout"
targets = ["pair", "a"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.c]
type = "relay"

[services.pair]
type = "composite"
pattern = "failover"
targets = ["a", "b"]

[services.all]
type = "composite"
pattern = "fanout"
targets = ["pair", "c"]
"#,
    ),
    (
        "W0203",
        r#"a send gives up before a connection could be made"#,
        r#"A waiting send lasts `send_timeout_ms`; if that is shorter than one attempt to connect, the first send to a slow peer always fails."#,
        r#"[services.orders]
type = "relay"
send_timeout_ms = 1_000
"#,
        r#"[services.orders]
type = "relay"
send_timeout_ms = 1_000
connect_timeout_ms = 500
"#,
    ),
    (
        "W0204",
        r#"a fan-out with a single target"#,
        r#"It is the same as sending to the target directly."#,
        r#"[services.a]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a"]
"#,
        r#"[services.a]
type = "relay"

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "W0205",
        r#"the registry names no service"#,
        r#"Nothing is generated from it. Perhaps the wrong file is read."#,
        r#"[defaults]
"#,
        r#"[services.orders]
type = "relay"
"#,
    ),
    (
        "W0206",
        r#"a target by its former name"#,
        r#"It still resolves; the present name does not need the alias."#,
        r#"[services.a]
type = "relay"
aliases = ["old_a"]

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["old_a", "b"]
"#,
        r#"[services.a]
type = "relay"
aliases = ["old_a"]

[services.b]
type = "relay"

[services.all]
type = "composite"
pattern = "fanout"
targets = ["a", "b"]
"#,
    ),
    (
        "W0207",
        r#"attempts end at-least-once delivery"#,
        r#"When the attempts are used up, messages that were promised are given up."#,
        r#"[services.orders]
type = "relay"
delivery = "at_least_once"
max_attempts = 20
"#,
        r#"[services.orders]
type = "relay"
delivery = "at_least_once"
"#,
    ),
    (
        "W0209",
        r#"a default reaches no service"#,
        r#"No service is of a kind that has the key."#,
        r#"[defaults]
retain = 1_000

[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
"#,
        r#"[defaults]
buffer_size = 1_000

[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
"#,
    ),
    (
        "W0210",
        r#"two services listen at one place"#,
        r#"Their senders go to two endpoints, and the receiving ends to one `bind`: whoever comes second cannot listen, unless each has a
host or a container of its own. Two relays are an error, because one process serves every relay of a registry."#,
        r#"[services.a]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
bind = "tcp://127.0.0.1:7000"

[services.b]
type = "direct"
endpoint = "tcp://127.0.0.1:9002"
bind = "tcp://127.0.0.1:7000"
"#,
        r#"[services.a]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
bind = "tcp://127.0.0.1:7000"

[services.b]
type = "direct"
endpoint = "tcp://127.0.0.1:9002"
bind = "tcp://127.0.0.1:7001"
"#,
    ),
];
