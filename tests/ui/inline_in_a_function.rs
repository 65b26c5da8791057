//! `sinks!` in a function: each mistake of its registry is one error there too.

pub fn uses() {
    sink_runtime::sinks!("services.toml");
    let _ = Sinks::market_data_relay();
    let _ = Sinks::everywhere();
}
