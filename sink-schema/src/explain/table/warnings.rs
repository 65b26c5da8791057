//! Warnings: W0201 to W0210.

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
