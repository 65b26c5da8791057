//! Names: E0120 to E0125.

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
        r#"`message` is a path of Rust identifiers; a type with parameters stands in a struct of your own, such as `struct TickBatch(Vec<Tick>)` with `#[derive(Message)]`. Directories are absolute."#,
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
];
