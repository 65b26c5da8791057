//! PROMISES 2.1, in a process of its own: its file descriptors and tasks are nobody else's.
#![allow(
    clippy::unwrap_used,
    reason = "a test that panics has failed, which is what it is for"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sink_runtime::{
    Compiled, CompiledRegistry, Direct, DynSink, FanOut, Lazy, LeafService, Leaves, Message,
    MessageSink, Ref, Relay, Service, ServiceRegistry, Slot,
};

static REGISTRY: CompiledRegistry = CompiledRegistry::new(
    "services.toml",
    "[services.orders]\ntype = \"relay\"\nendpoint = \"unix:///run/user/0/nowhere/orders.sock\"\n\
     [services.direct]\ntype = \"direct\"\nendpoint = \"tcp://127.0.0.1:9\"\n",
    &[],
    &[],
);

#[derive(Debug)]
enum Registry {}

impl Compiled for Registry {
    fn registry() -> &'static CompiledRegistry {
        &REGISTRY
    }
}

#[derive(Debug)]
struct Orders;

impl Service for Orders {
    const NAME: &'static str = "orders";
    type Registry = Registry;
}

#[derive(Debug)]
struct DirectOne;

impl Service for DirectOne {
    const NAME: &'static str = "direct";
    type Registry = Registry;
}

impl Leaves<Message> for Registry {
    fn slots() -> &'static [Slot<Message>] {
        static SLOTS: [Slot<Message>; 2] = Slot::table::<Registry, 2>(["orders", "direct"]);
        &SLOTS
    }
}

impl LeafService<Message> for Orders {
    type Leaves = Registry;
    const PLACE: usize = 0;
}

impl LeafService<Message> for DirectOne {
    type Leaves = Registry;
    const PLACE: usize = 1;
}

type OrdersSink = Lazy<Relay<Message, Orders>>;
type DirectSink = Lazy<Direct<Message, DirectOne>>;
static BOTH: FanOut<(Ref<OrdersSink>, Ref<DirectSink>)> = FanOut::compiled(
    "both",
    &REGISTRY,
    (Ref::Static(OrdersSink::SINK), Ref::Static(DirectSink::SINK)),
);

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn a_thousand_constructed_sinks_cost_no_connection_no_descriptor_and_no_task_2_1() {
    let metrics = tokio::runtime::Handle::current().metrics();
    let (fds, tasks) = (descriptors(), metrics.num_alive_tasks());
    let mut text = String::new();
    for number in 0..1000 {
        write!(
            text,
            "[services.s{number}]\ntype = \"direct\"\nendpoint = \"unix:///run/user/0/nowhere/{number}.sock\"\n"
        )
        .unwrap();
    }
    let registry = Arc::new(ServiceRegistry::from_toml(&text).unwrap());
    let sinks: Vec<DynSink> = (0..1000)
        .map(|number| registry.sink(&format!("s{number}")).unwrap())
        .collect();
    let lazies: Vec<Lazy<DynSink>> = (0..1000)
        .map(|_| Lazy::new(|| async { Err::<DynSink, _>("it is never opened") }))
        .collect();
    for sink in &sinks {
        assert!(!sink.is_connected());
        assert_eq!(sink.state().name(), "idle");
    }
    assert!(lazies.iter().all(|lazy| !lazy.is_connected()));
    // Statics, and all that may be asked of them without sending.
    let both: &dyn std::any::Any = &BOTH;
    assert!(both.is::<FanOut<(Ref<OrdersSink>, Ref<DirectSink>)>>());
    assert_eq!(
        MessageSink::<Message>::state(OrdersSink::SINK).name(),
        "idle"
    );
    assert_eq!(OrdersSink::SINK.ledger(), sink_runtime::Ledger::default());
    // Whatever was spawned has had its turn many times over.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(descriptors(), fds);
    assert_eq!(metrics.num_alive_tasks(), tasks);
    // Closing what was never used costs nothing either.
    for sink in &sinks {
        assert!(sink.close(Duration::from_secs(1)).await.is_clean());
    }
    assert_eq!((descriptors(), metrics.num_alive_tasks()), (fds, tasks));
}
