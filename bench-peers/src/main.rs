//! What would one pick instead? The generated sink beside ZeroMQ, gRPC and core NATS: many messages through one sender, and the
//! way of one message on an idle link. 256 B, all paths in the same rounds of the same process; the tables, rounds and readers
//! are those of `benches/`. README.md says what is needed, and what is counted.

#[path = "../../benches/support/mod.rs"]
mod support;

mod flood;
#[cfg(feature = "grpc")]
mod grpc;
mod latency;
#[cfg(feature = "nats")]
mod nats;
mod ours;
mod peer;
#[cfg(feature = "zeromq")]
mod zeromq;

use std::path::Path;

use support::{service, table};

/// Who takes part; what is not here has said why.
pub struct Peers {
    #[cfg(feature = "nats")]
    pub nats: Option<nats::Server>,
}

fn main() {
    let directory = support::reader::directory();
    table::question("what one would pick instead, 256 B, the same rounds");
    let peers = Peers::gather(directory.path());
    let entry = |name: &str| {
        let endpoint = format!("unix://{}/{name}.sock", directory.path().display());
        service::entry(name, &endpoint, None, "")
    };
    service::compile(flood::SERVICES.map(entry).concat() + &latency::SERVICES.map(entry).concat());
    let runtime = support::current_thread();
    flood::run(&runtime, directory.path(), &peers);
    latency::run(&runtime, directory.path(), &peers);
}

impl Peers {
    /// Names each peer, present or absent, and starts the server of the one that has one.
    fn gather(directory: &Path) -> Self {
        let without =
            |feature: &str| Err::<String, _>(format!("built without the feature `{feature}`"));
        let _ = (directory, &without);
        #[cfg(feature = "zeromq")]
        let zeromq = Ok(zeromq::about());
        #[cfg(not(feature = "zeromq"))]
        let zeromq = without("zeromq");
        #[cfg(feature = "grpc")]
        let grpc = Ok(grpc::about());
        #[cfg(not(feature = "grpc"))]
        let grpc = without("grpc");
        #[cfg(feature = "nats")]
        let server = nats::Server::start(directory);
        #[cfg(feature = "nats")]
        let nats = server
            .as_ref()
            .map(nats::Server::about)
            .map_err(String::clone);
        #[cfg(not(feature = "nats"))]
        let nats = without("nats");
        for (name, about) in [("ZeroMQ", zeromq), ("gRPC", grpc), ("core NATS", nats)] {
            table::who("peers", name, &about);
        }
        Self {
            #[cfg(feature = "nats")]
            nats: server.ok(),
        }
    }
}

/// The version of a library that this bench is locked to.
#[cfg(any(feature = "grpc", feature = "nats"))]
pub fn locked(library: &str) -> &'static str {
    include_str!("../Cargo.lock")
        .split_once(&format!("name = \"{library}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split('"').next())
        .expect("a library of this bench")
}
