use sink_schema::SourceFile;

use super::super::CompiledRegistry;
use super::*;
use crate::{Codec, DecodeError, EncodeError, Payload};

const BUILT: &str = r#"
[services.plain]
type = "direct"
endpoint = "inproc://plain"
[services.orders]
type = "direct"
endpoint = "inproc://orders"
message = "crate::Order"
aliases = ["old_orders"]
[services.ticks]
type = "relay"
endpoint = "tcp://127.0.0.1:9"
message = "crate::Tick"
delivery = "at_least_once"
[services.more_ticks]
type = "relay"
endpoint = "tcp://127.0.0.1:10"
message = "crate::Tick"
delivery = "at_least_once"
[services.both]
type = "composite"
pattern = "fanout"
targets = ["ticks", "more_ticks"]
[services.later]
type = "direct"
endpoint = "inproc://later"
runtime = true
"#;

// As generated code has it: by the types' own names.
const EXPECTED: &[Expect] = &[
    Expect {
        services: &["orders"],
        message: "Order",
    },
    Expect {
        services: &["ticks", "more_ticks"],
        message: "Tick",
    },
];

/// What `Sinks::check()` says of another registry, a line for each.
fn said(live: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let built = CompiledRegistry::new("built.toml", BUILT, &[], &[]).carrying(EXPECTED);
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let live = built
        .resolve(&SourceFile::new("live.toml", live), None, &environment)
        .expect("the program's own registry is sound");
    match built.judge(&live) {
        Ok(()) => Vec::new(),
        Err(RegistryError::Several { all, .. }) => all.iter().map(ToString::to_string).collect(),
        Err(one) => vec![one.to_string()],
    }
}

#[test]
fn the_registry_of_the_build_fits_and_needs_no_services_of_run_time() {
    assert_eq!(said(BUILT, &[]), [""; 0]);
    let without = BUILT.split("[services.later]").next().unwrap_or_default();
    assert_eq!(said(without, &[]), [""; 0]);
}

#[test]
fn everything_that_does_not_fit_is_said_at_once() {
    let live = r#"
[services.order]
type = "direct"
endpoint = "inproc://order"
[services.old_orders]
type = "direct"
endpoint = "inproc://orders"
message = "crate::Order"
[services.ticks]
type = "relay"
endpoint = "tcp://127.0.0.1:9"
message = "crate::Quote"
delivery = "at_least_once"
[services.more_ticks]
type = "relay"
endpoint = "tcp://127.0.0.1:10"
message = "crate::Quote"
"#;
    assert_eq!(
        said(live, &[]),
        [
            "`more_ticks`: the program was built with at-least-once delivery (built.toml:15), which live.toml takes away: set \
             delivery = \"at_least_once\" there",
            "no service `plain` in live.toml (the program was built with it: built.toml:2); add `[services.plain]` there",
            "`orders`: the program was built with it (built.toml:5), and live.toml has it under its former name: write \
             [services.orders] instead of [services.old_orders] there",
            "`ticks` carries `crate::Quote` in live.toml:12, the program expects `Tick`; change `message` there, or the type that \
             the program uses",
            "`more_ticks` carries `crate::Quote` in live.toml:17, the program expects `Tick`; change `message` there, or the \
             type that the program uses",
            "no service `both` in live.toml (the program was built with it: built.toml:20); add `[services.both]` there",
        ]
    );
}

#[test]
fn an_untyped_service_that_got_a_type_and_a_leaf_that_became_a_composite_are_told() {
    let live = BUILT
        .replacen(
            "endpoint = \"inproc://plain\"",
            "endpoint = \"inproc://plain\"\nmessage = \"crate::Order\"",
            1,
        )
        .replacen(
            "type = \"relay\"\nendpoint = \"tcp://127.0.0.1:10\"\nmessage = \"crate::Tick\"\ndelivery = \"at_least_once\"",
            "type = \"composite\"\npattern = \"fanout\"\ntargets = [\"ticks\"]",
            1,
        );
    assert_eq!(
        said(&live, &[]),
        [
            "`plain` carries `crate::Order` in live.toml:5, the program expects `Message`; change `message` there, or the type \
             that the program uses",
            "`more_ticks`: the program was built with a relay service (built.toml:15), and live.toml:16 makes it a fanout of \
             ticks, which has no link of its own: give the composite another name, or build again with this registry",
        ]
    );
}

#[test]
fn a_former_name_that_became_another_service_is_told() {
    let live = BUILT.replace(
        "aliases = [\"old_orders\"]",
        "[services.old_orders]\ntype = \"direct\"\nendpoint = \"inproc://old\"\nmessage = \"crate::Order\"",
    );
    assert_eq!(
        said(&live, &[]),
        [
            "`old_orders`: the program knows it as a former name of `orders` (built.toml:5), and live.toml:9 makes it another \
             service: give that one another name, or build again with this registry"
        ]
    );
}

#[test]
fn the_layer_and_the_member_that_take_a_guarantee_away_are_named() {
    let by_environment = said(BUILT, &[("SINKS__TICKS__DELIVERY", "at_most_once")]);
    assert_eq!(
        by_environment,
        [
            "`ticks`: the program was built with at-least-once delivery (built.toml:10), which the environment takes away: set \
             delivery = \"at_least_once\" there"
        ],
        "and not once more for the composite of it"
    );
    let live = format!(
        "{}\n[services.weak]\ntype = \"relay\"\nendpoint = \"tcp://127.0.0.1:11\"\nmessage = \"crate::Tick\"\n",
        BUILT.replace("\"ticks\", \"more_ticks\"]", "\"ticks\", \"weak\"]")
    );
    let of_the_composite = said(&live, &[]);
    assert_eq!(
        of_the_composite[0],
        "`both`: the program was built with at-least-once delivery (built.toml:20), which live.toml takes away: `weak` does not \
         promise it; set delivery = \"at_least_once\" for it, or list it in `optional`"
    );
}

#[test]
fn what_is_broken_is_told_by_its_own_mistake_beside_what_does_not_fit() {
    let live = BUILT
        .replace("tcp://127.0.0.1:9\"", "mq://127.0.0.1:9\"")
        .replace("[services.plain]", "[services.elsewhere]");
    let said = said(&live, &[]);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("`mq`"), "{}", said[0]);
    assert!(
        said[1].starts_with("no service `plain` in live.toml"),
        "{}",
        said[1]
    );
}

#[test]
fn a_path_that_calls_a_type_by_another_name_is_that_type() {
    struct Order;
    impl MessageType for Order {
        const NAME: &'static str = "Order";
        const SHAPE: &'static str = "Order";
        const FINGERPRINT: u64 = 1;
        fn encode(&self, _: Codec, _: &mut Vec<u8>) -> Result<(), EncodeError> {
            Ok(())
        }
        fn decode(_: Codec, _: Payload<'_>) -> Result<Self, DecodeError> {
            Ok(Self)
        }
    }
    const RENAMED: &str = "[services.orders]\ntype = \"direct\"\nendpoint = \"inproc://renamed\"\nmessage = \"crate::ShopOrder\"\n";
    let built = CompiledRegistry::new("built.toml", RENAMED, &[], &[]).carrying(&EXPECTED[..1]);
    let base = SourceFile::new("built.toml", RENAMED);
    let live = built.resolve(&base, None, &[]).expect("it is sound");
    built
        .judge(&live)
        .expect("`pub use orders::Order as ShopOrder;`");
    live.registry
        .sink::<Order>("orders")
        .expect("the type that the accessor carries");
    let other = live.registry.sink::<crate::Message>("orders").unwrap_err();
    assert!(
        other.to_string().starts_with(
            "`orders` carries `crate::ShopOrder` in built.toml:4, the program expects `Message`"
        ),
        "{other}"
    );
}
