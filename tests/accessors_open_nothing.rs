//! PROMISES 2.1, at a real process: constructing every accessor opens no socket and connects nowhere.

use std::process::Command;

use sink_runtime::{MessageSink, SinkState};
use sinks::{PoolEvent, Sinks, Sources};

/// Set in the process that is traced.
const TRACED: &str = "SINKS_TEST_TRACED";

/// What the traced process does: touches everything the registry generated, and sends nothing.
fn construct_every_accessor() {
    let relay = Sinks::market_data_relay();
    let strategy = Sinks::strategy_a();
    let group = Sinks::broadcast_group();
    let sources = (Sources::market_data_relay(), Sources::strategy_a());
    assert!(matches!(relay.state(), SinkState::Idle));
    assert!(matches!(
        MessageSink::<PoolEvent>::state(strategy),
        SinkState::Idle
    ));
    assert!(!MessageSink::<PoolEvent>::is_connected(group));
    drop(sources);
}

#[test]
fn no_socket_is_opened_before_data_flows() {
    if std::env::var_os(TRACED).is_some() {
        return construct_every_accessor();
    }
    if Command::new("strace").arg("--version").output().is_err() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = directory.path().join("trace");
    let traced = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=socket,socketpair,connect,bind,listen,clone,clone3",
            "-o",
        ])
        .arg(&log)
        .arg(std::env::current_exe().expect("this test's own path"))
        .args([
            "--exact",
            "no_socket_is_opened_before_data_flows",
            "--test-threads=1",
        ])
        .env(TRACED, "1")
        .output()
        .expect("strace starts");
    if !traced.status.success() {
        let said = String::from_utf8_lossy(&traced.stderr);
        // Tracing needs a permission that containers may withhold.
        assert!(
            said.contains("ptrace") || said.contains("PTRACE"),
            "the traced process failed: {said}"
        );
        eprintln!("skipped: strace may not trace here: {said}");
        return;
    }
    let trace = std::fs::read_to_string(&log).expect("strace wrote its log");
    for call in ["socket(", "socketpair(", "connect(", "bind(", "listen("] {
        assert!(
            !trace.contains(call),
            "constructing accessors made a {call}…) call:\n{trace}"
        );
    }
}
