//! Layers and lints: E0170 to E0173.

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
        r#"Variables `SINKS__SERVICE__KEY` set keys of services. One that names none, or whose `SINKS__` is not in capitals, would silently do nothing."#,
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
        "E0174",
        r#"an overlay takes away a guarantee"#,
        r#"At-least-once delivery is in the type of a service's accessor, and code that asks for it was compiled with it. Another layer may promise more than the one the program is built with, and not less."#,
        r#"[services.orders]
type = "relay"
delivery = "at_least_once"
# services.prod.toml
[services.orders]
delivery = "at_most_once"
"#,
        r#"[services.orders]
type = "relay"
# services.prod.toml
[services.orders]
delivery = "at_least_once"
"#,
    ),
];
