//! The profile that a program is built with is in force until `SINKS_PROFILE` names another; an empty overlay is the base.
#![allow(clippy::unwrap_used, reason = "in a test, anything else is a failure")]

use std::{env, process::Command};

use sink_runtime::{Message, MessageSink};

sink_runtime::sinks!("tests/profiles/services.toml", profile = "staging");

/// Asks this test, run again, which endpoint it should have.
const EXPECTED: &str = "SINKS_TEST_ENDPOINT";

#[tokio::test]
async fn the_endpoint_is_that_of_the_profile() {
    Sinks::orders().send(Message::new(vec![1])).await.unwrap();
    let mut orders = Sources::orders();
    let received = orders.recv().await.unwrap().unwrap();
    assert_eq!(received.payload().as_ref(), [1]);
    let endpoint = orders.local_endpoint().unwrap().to_string();
    let expected = env::var(EXPECTED).unwrap_or_else(|_| "inproc://staging".to_owned());
    assert_eq!(endpoint, expected);
}

#[test]
fn another_profile_and_the_bare_base_can_be_asked_for() {
    for (profile, endpoint) in [
        ("", "inproc://staging"),
        ("staging", "inproc://staging"),
        ("base", "inproc://base"),
    ] {
        let again = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_endpoint_is_that_of_the_profile"])
            .env("SINKS_PROFILE", profile)
            .env(EXPECTED, endpoint)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&again.stdout).into_owned();
        assert!(
            again.status.success() && said.contains("1 passed"),
            "{profile}: {said}"
        );
    }
}
