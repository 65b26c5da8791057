//! `include_sinks!` in a function: each mistake of its registry is one error there too.

pub fn uses() {
    sink_runtime::include_sinks!();
    let _ = Sinks::market_data_relay();
    let _ = Sinks::everywhere();
}
