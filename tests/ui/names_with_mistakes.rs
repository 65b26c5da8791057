//! Services whose names are mistakes, or that stand in a wrong place: code that calls them by the names meant is no mistake.

sink_runtime::include_sinks!();

pub fn uses(ticks: &Ticks) {
    let _ = (ticks, Sinks::ticks(), Sinks::service_9x(), Sinks::my_orders());
    let _ = (Sinks::trades(), Sinks::fills(), Sources::fills(), Sinks::all());
    let _ = SinkSet::builder().trades(()).build();
}
