//! Composites: E0130 to E0143.

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
];
