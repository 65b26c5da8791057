//! The plan: defaults, layers, names, guarantees, and what is left of it after a mistake.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use sink_schema::{
    Ack, Capabilities, Codec, Delivery, Diagnostics, Endpoint, KindHint, Layers, Pattern, Plan,
    Role, Severity, SourceFile, WhenFull, load,
};

const SEED: &str = r#"[services.market_data_relay]
type = "relay"
endpoint = "unix:///tmp/market_data.sock"   # accepted, with a warning: shared directory
buffer_size = 10000
[services.strategy_a]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
reconnect_delay_ms = 1000
[services.broadcast_group]
type = "composite"
pattern = "fanout"
targets = ["market_data_relay", "strategy_a"]
"#;

fn layered(base: &str, overlay: Option<&str>, environment: &[(&str, &str)]) -> (Plan, Diagnostics) {
    let base = SourceFile::new("services.toml", base);
    let overlay = overlay.map(|text| SourceFile::new("services.prod.toml", text));
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    load(&Layers {
        base: &base,
        overlay: overlay.as_ref(),
        environment: &environment,
        capabilities: Capabilities::build(),
    })
}

#[test]
fn the_seed_registry_works_unchanged() {
    let (plan, mistakes) = layered(SEED, None, &[]);
    let told: Vec<(Severity, &str, u32, u32)> = mistakes
        .iter()
        .map(|item| (item.severity, item.code, item.line, item.column))
        .collect();
    assert_eq!(told, [(Severity::Warning, "W0201", 3, 12)]);

    let relay = plan.services[0].leaf().unwrap();
    assert_eq!(
        (
            plan.services[0].ident.as_str(),
            plan.services[0].type_ident.as_str()
        ),
        ("market_data_relay", "MarketDataRelay")
    );
    assert_eq!(
        (
            plan.services[0].location.line,
            plan.services[0].location.column
        ),
        (1, 11)
    );
    assert_eq!(relay.role, Role::Relay);
    assert_eq!(
        relay.endpoint,
        Endpoint::Unix("/tmp/market_data.sock".to_owned())
    );
    assert_eq!(
        (relay.codec, relay.when_full, relay.delivery),
        (Codec::Raw, WhenFull::Block, Delivery::AtMostOnce)
    );
    assert_eq!(
        (relay.buffer_size, relay.buffer_bytes, relay.max_frame_bytes),
        (10_000, 16 << 20, 1 << 20)
    );
    assert_eq!(relay.reconnect_delay, Duration::from_millis(100));
    assert_eq!(relay.send_timeout, Some(Duration::from_secs(30)));

    let direct = plan.services[1].leaf().unwrap();
    assert_eq!(direct.reconnect_delay, Duration::from_secs(1));
    let all = plan.services[2].composite().unwrap();
    assert_eq!((all.pattern, all.ack), (Pattern::FanOut, Ack::All));
    assert_eq!(all.targets, ["market_data_relay", "strategy_a"]);
}

#[test]
fn upper_layers_win_key_by_key() {
    let overlay = "[defaults]\nbuffer_size = 7\n[services.strategy_a]\nreconnect_delay_ms = 50\n";
    let environment = [
        ("SINKS__STRATEGY_A__ENDPOINT", "tcp://127.0.0.1:9101"),
        ("SINKS__STRATEGY_A__SEND_TIMEOUT_MS", "never"),
        ("HOME", "/root"),
        ("SINKS_PROFILE", "prod"),
    ];
    let (plan, mistakes) = layered(SEED, Some(overlay), &environment);
    assert!(!mistakes.has_errors(), "{mistakes}");
    let direct = plan.find("strategy_a").unwrap().leaf().unwrap();
    assert_eq!(
        direct.endpoint,
        Endpoint::Tcp {
            host: "127.0.0.1".to_owned(),
            port: 9101
        }
    );
    assert_eq!(
        (
            direct.reconnect_delay,
            direct.send_timeout,
            direct.buffer_size
        ),
        (Duration::from_millis(50), None, 7)
    );
    // What a service writes itself is stronger than a default of any layer.
    assert_eq!(
        plan.find("market_data_relay")
            .unwrap()
            .leaf()
            .unwrap()
            .buffer_size,
        10_000
    );
}

#[test]
fn a_variable_names_a_service_by_its_rust_name_or_a_former_one() {
    let base = "[services.orders-eu]\ntype = \"direct\"\nendpoint = \"inproc://a\"\nident = \"eu\"\n\
        [services.fills-us]\ntype = \"direct\"\nendpoint = \"inproc://b\"\naliases = [\"old-fills\"]\n\
        [services.\"börse\"]\ntype = \"direct\"\nendpoint = \"inproc://c\"\n\
        [services.a__b_]\ntype = \"direct\"\nendpoint = \"inproc://d\"\n";
    let sizes = |environment: &[(&str, &str)]| {
        let (plan, mistakes) = layered(base, None, environment);
        assert!(!mistakes.has_errors(), "{mistakes}");
        let sizes = plan
            .services
            .iter()
            .map(|service| service.leaf().unwrap().buffer_size);
        sizes.collect::<Vec<_>>()
    };
    let set = [
        ("SINKS__EU__BUFFER_SIZE", "1"),
        ("SINKS__FILLS_US__BUFFER_SIZE", "2"),
        ("SINKS__BÖRSE__BUFFER_SIZE", "3"),
        ("SINKS__A__B___BUFFER_SIZE", "4"),
    ];
    assert_eq!(sizes(&set), [1, 2, 3, 4]);
    let set = [
        ("SINKS__eu__buffer_size", "5"),
        ("SINKS__old-fills__BUFFER_SIZE", "6"),
        ("SINKS__börse__BUFFER_SIZE", "7"),
        ("SINKS__a__b___BUFFER_SIZE", "8"),
    ];
    assert_eq!(sizes(&set), [5, 6, 7, 8]);
}

#[test]
fn a_relay_without_endpoint_has_a_private_socket() {
    let (plan, _) = layered("[services.orders]\ntype = \"relay\"\n", None, &[]);
    assert_eq!(
        plan.services[0].leaf().unwrap().endpoint,
        Endpoint::UnixDefault("orders".to_owned())
    );
}

#[test]
fn a_small_buffer_lowers_the_frame_that_nobody_wrote() {
    let (plan, mistakes) = layered(
        "[services.orders]\ntype = \"relay\"\nbuffer_bytes = 4096\n",
        None,
        &[],
    );
    assert!(mistakes.is_empty(), "{mistakes}");
    assert_eq!(plan.services[0].leaf().unwrap().max_frame_bytes, 4_096);
}

#[test]
fn a_composite_promises_what_its_required_targets_promise() {
    let text = "[services.a]\ntype = \"relay\"\ndelivery = \"at_least_once\"\nmessage = \"crate::Tick\"\naliases = [\"old_a\"]\n\
        [services.b]\ntype = \"relay\"\nmessage = \"crate::Tick\"\n\
        [services.weak]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\", \"b\"]\n\
        [services.strong]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\", \"b\"]\noptional = [\"b\"]\n";
    let (plan, mistakes) = layered(text, None, &[]);
    assert!(mistakes.is_empty(), "{mistakes}");
    assert!(!plan.find("weak").unwrap().at_least_once());
    assert!(plan.find("strong").unwrap().at_least_once());
    assert_eq!(plan.find("strong").unwrap().message(), Some("crate::Tick"));
    assert_eq!(plan.find("old_a").unwrap().name, "a");
}

#[test]
fn broken_services_are_named_so_that_stubs_stand_in_for_them() {
    let text = "[services.a]\ntype = \"relay\"\nbufer_size = 5\nmessage = \"crate::Tick\"\n\
        [services.b]\ntype = \"relay\"\nmessage = \"crate::Tick\"\n\
        [services.all]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\", \"b\"]\n";
    let (plan, mistakes) = layered(text, None, &[]);
    assert_eq!(mistakes.len(), 1);
    assert_eq!(
        plan.services
            .iter()
            .map(|service| service.name.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
    let [a, all] = &plan.broken[..] else {
        panic!("{:?}", plan.broken)
    };
    assert_eq!(
        (a.ident.as_str(), a.kind_hint, a.code),
        ("a", KindHint::Relay, Some("E0102"))
    );
    assert_eq!(
        (all.type_ident.as_str(), all.kind_hint, all.code),
        ("All", KindHint::Composite, None)
    );
    assert_eq!(all.message, "target `a` has a mistake");
    assert_eq!(all.message_type.as_deref(), Some("crate::Tick"));
}

#[test]
fn overlays_repeat_what_the_base_says_and_it_is_told_once() {
    let (_, mut all) = layered(SEED, None, &[]);
    let (_, other) = layered(SEED, Some("[services.strategy_a]\nbufer_size = 1\n"), &[]);
    assert_eq!(other.len(), 2);
    all.merge(other);
    assert_eq!(
        all.iter().map(|item| item.code).collect::<Vec<_>>(),
        ["W0201", "E0102"]
    );
    assert_eq!(all.summary(), "1 error, 1 warning");
    assert!(all.to_string().contains("services.prod.toml:2:1"));
    all.deny_warnings();
    assert_eq!(all.errors().count(), 2);
}

#[test]
fn secrets_do_not_show() {
    let text = "[services.a]\ntype = \"direct\"\nendpoint = \"tcp://ada:hunter2@127.0.0.1:9001\"\ntoken = \"hunter2\"\n\
        tls = { cert = \"c\", key = \"hunter2\" }\n";
    let base = SourceFile::new("services.toml", text);
    let (_, mistakes) = load(&Layers {
        capabilities: Capabilities::everything(),
        ..Layers::of(&base)
    });
    for format in [
        sink_schema::Format::Human,
        sink_schema::Format::Short,
        sink_schema::Format::Json,
        sink_schema::Format::Github,
    ] {
        let picture = mistakes.render(format, sink_schema::Color::Never);
        assert!(!picture.contains("hunter2"), "{picture}");
    }
}

/// Code calls a service whose name is a mistake by the names that are written, or offered.
#[test]
fn names_that_are_mistakes_have_stubs() {
    let base = SourceFile::new(
        "services.toml",
        "[services.ticks]\ntype = \"relay\"\nident = \"9x\"\n\
         [services.\"my orders\"]\ntype = \"relay\"\n\
         [trades]\ntype = \"relay\"\n\
         [service.fills]\ntype = \"relay\"\n\
         [services.quotes\ntype = \"relay\"\n",
    );
    let (plan, _) = load(&Layers::of(&base));
    let names = plan.broken.iter().map(|stub| {
        let others = stub.aliases.iter().map(|alias| alias.ident.as_str());
        std::iter::once(stub.ident.as_str())
            .chain(others)
            .collect::<Vec<_>>()
    });
    let names: Vec<_> = names.collect();
    let wanted: [&[&str]; 5] = [
        &["ticks", "service_9x"],
        &["my_orders"],
        &["quotes"],
        &["trades"],
        &["fills"],
    ];
    assert_eq!(names, wanted);
    assert!(!plan.incomplete);
    let base = SourceFile::new("services.toml", "services = \"many\"\n");
    assert!(load(&Layers::of(&base)).0.incomplete);
}
