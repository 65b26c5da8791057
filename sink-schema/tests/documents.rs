//! Documents written from the key table agree with it; `UPDATE=1 cargo test -p sink-schema` rewrites them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

fn agrees(path: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is out of date: run `UPDATE=1 cargo test -p sink-schema`",
        path.display()
    );
}

#[test]
fn the_reference_agrees_with_the_key_table() {
    agrees("../docs/REGISTRY.md", &sink_schema::reference_markdown());
}

#[test]
fn the_json_schema_is_json_and_names_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&sink_schema::json_schema()).unwrap();
    let keys = schema["definitions"]["service"]["properties"]
        .as_object()
        .unwrap();
    for key in ["type", "endpoint", "when_full", "partition_by", "aliases"] {
        assert!(keys[key]["description"].is_string(), "{key}");
    }
    assert_eq!(
        schema["properties"]["lints"]["properties"]["shared_directory"]["enum"][2],
        "deny"
    );
}
