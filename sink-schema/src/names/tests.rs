use super::*;

#[test]
fn names_become_identifiers_and_types() {
    for (name, ident, type_ident) in [
        ("market_data_relay", "market_data_relay", "MarketDataRelay"),
        ("orders-eu", "orders_eu", "OrdersEu"),
        ("orders.eu", "orders_eu", "OrdersEu"),
        ("match", "r#match", "Match"),
        ("_1", "_1", "_1"),
        ("größe", "größe", "Größe"),
        ("a__b", "a__b", "AB"),
    ] {
        let name = rust_name(name).unwrap();
        assert_eq!(
            (name.ident.as_str(), name.type_ident.as_str()),
            (ident, type_ident)
        );
    }
}

#[test]
fn unsound_names_say_why() {
    for (name, fault) in [
        ("", NameFault::Empty),
        ("a b", NameFault::Character(' ')),
        ("a/b", NameFault::Character('/')),
        ("1st", NameFault::FirstCharacter('1')),
        ("__", NameFault::OnlyUnderscores),
        ("self", NameFault::NotRaw),
        ("u\u{308}ber", NameFault::Composed('\u{308}')),
    ] {
        assert_eq!(rust_name(name), Err(fault), "{name}");
    }
    assert!(matches!(rust_name("init"), Err(NameFault::Reserved(_))));
    assert!(matches!(rust_name("str"), Err(NameFault::Reserved(_))));
    assert!(matches!(rust_name("self_"), Err(NameFault::Reserved(_))));
    assert!(matches!(
        rust_name(&"x".repeat(65)),
        Err(NameFault::TooLong(65))
    ));
}

#[test]
fn a_type_may_be_named_like_any_other() {
    for name in ["string", "sinks", "option"] {
        assert!(rust_name(name).is_ok(), "{name}");
    }
}

#[test]
fn paths_of_rust_are_told_from_other_text() {
    for path in [
        "Tick",
        "crate::Tick",
        "::msgs::Tick",
        "super::super::a::Tick",
        "msgs::r#type::T",
    ] {
        assert!(is_rust_path(path), "{path}");
    }
    for text in [
        "",
        "crate",
        "crate::",
        "a::crate::T",
        "Vec<u8>",
        "a b",
        "::crate::T",
        "type",
        "1::T",
        "a:::b",
    ] {
        assert!(!is_rust_path(text), "{text}");
    }
}

#[test]
fn the_nearest_name_is_near() {
    let names = ["endpoint", "buffer_size", "reconnect_delay_ms"];
    assert_eq!(nearest("endpiont", names), Some("endpoint"));
    assert_eq!(nearest("Buffer-Size", names), Some("buffer_size"));
    assert_eq!(nearest("zzz", names), None);
    assert_eq!(nearest("", names), None);
    assert_eq!(nearest(&"x".repeat(10_000), names), None);
}

#[test]
fn letters_that_look_like_ours_are_named_by_number() {
    for (their, our) in LOOKALIKES {
        assert!(our.is_ascii() && !their.is_ascii(), "{their} {our}");
    }
    assert_eq!(in_our_letters("orders"), None);
    assert_eq!(in_our_letters("größe"), None);
    // A word of another alphabet is no word of ours misspelt.
    assert_eq!(in_our_letters("\u{440}\u{44b}\u{43d}\u{43e}\u{43a}"), None);
    let (ours, words) = in_our_letters("m\u{430}rk\u{435}t").unwrap();
    assert_eq!(ours, "market");
    assert_eq!(
        words,
        "character 2 of `m\u{430}rk\u{435}t` is U+0430, which looks like `a`"
    );
}
