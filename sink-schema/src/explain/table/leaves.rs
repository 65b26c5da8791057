//! Leaves: E0150 to E0164.

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
];
