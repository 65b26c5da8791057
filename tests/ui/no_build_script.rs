//! `include_sinks!()` in a crate without a build script says what to add.

sink_runtime::include_sinks!();

pub fn uses() {
    let _ = Sinks::market_data_relay();
    let _ = SinkSet::builder().build();
}
