use super::*;
use crate::{Capabilities, Layers, SourceFile, load};

#[test]
fn every_key_of_the_language_stands_in_the_table_once() {
    let language = "type endpoint bind doc message codec framing preamble buffer_size buffer_bytes when_full confirm on_disk_full \
        spool_dir spool_bytes sync delivery reconnect_delay_ms reconnect_max_delay_ms max_attempts connect_timeout_ms send_timeout_ms \
        heartbeat_ms idle_timeout_ms max_age_ms max_frame_bytes max_connections allow_uids tls insecure_plaintext runtime ident aliases \
        retain retain_bytes slow_consumer from consumer pattern targets ack optional attempt_timeout_ms failback failback_after_ms \
        partition_by";
    let mut wanted: Vec<&str> = language.split_whitespace().collect();
    let mut found: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    assert_eq!(wanted, found);
}

#[test]
fn every_example_fits_its_key() {
    for key in KEYS {
        let kind = match key.kinds {
            kinds if kinds.overlaps(Kinds::RELAY) => "type = \"relay\"",
            Kinds::PARTITION => "type = \"composite\"\npattern = \"partition\"",
            Kinds::FANOUT => "type = \"composite\"\npattern = \"fanout\"",
            _ => "type = \"composite\"\npattern = \"failover\"",
        };
        let line = format!("{} = {}\n", key.name, key.example);
        let text = match key.name {
            "type" | "pattern" => format!("[services.x]\n{line}"),
            _ => format!("[services.x]\n{kind}\n{line}"),
        };
        let base = SourceFile::new("services.toml", text);
        let told = load(&Layers {
            capabilities: Capabilities::everything(),
            ..Layers::of(&base)
        })
        .1;
        // Rules between keys may speak; the value itself is right.
        let own = [
            "E0102", "E0103", "E0104", "E0105", "E0106", "E0108", "E0109", "E0124", "E0150",
        ];
        assert!(!told.iter().any(|item| own.contains(&item.code)), "{told}");
    }
}

#[test]
fn synonyms_lead_to_keys_and_are_none_themselves() {
    for (word, real) in SYNONYMS {
        assert!(
            find(word).is_none() && find(real).is_some(),
            "{word} {real}"
        );
    }
}

#[test]
fn every_key_is_documented() {
    for key in KEYS {
        assert!(
            key.doc.ends_with('.') && !key.example.is_empty(),
            "{}",
            key.name
        );
        let unit = key.name.ends_with("_ms") == matches!(key.ty, KeyType::Millis { .. });
        assert!(unit, "{}", key.name);
    }
}
