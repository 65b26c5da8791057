//! `services` that is no table: one error, and no name is missed anywhere.

sink_runtime::include_sinks!();

pub fn uses() {
    let _ = (Sinks::ticks(), Sources::ticks(), SinkSet::builder().build());
}
