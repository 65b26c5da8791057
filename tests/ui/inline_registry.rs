//! `sinks!("…")` reports at the name of the registry.

sink_runtime::sinks!("services.toml");

pub fn uses() {
    let _ = Sinks::market_data_relay();
    let _ = Sinks::everywhere();
}
