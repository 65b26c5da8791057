//! The file and its keys: E0100 to E0117.

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
];
