//! Polygon DEX events from a node to consumers, through generated sinks and a relay.
//!
//! # Map, in the order an event takes
//! - `feed`: a node that plays a recording (`input`: the sample or a file) · `node`: the connection to a node
//! - `adapter`: what the node says → `Sinks::market_data_relay().send(event)` · `intake`: what it left out, and why
//! - the relay, which is `sink_relay::Relay`
//! - `consumer`: `Sources::market_data_relay()` → `account`: its books · `report`: the table
//! - `together`: all of it in one process · `roles`: one part as a process of its own
//!
//! `before.rs` is the same adapter as one writes it by hand.

mod account;
mod adapter;
mod args;
mod consumer;
mod feed;
mod input;
mod intake;
mod latency;
mod node;
mod progress;
mod report;
mod roles;
mod rows;
mod stop;
mod together;

use std::process::ExitCode;

use clap::Parser;

use args::Args;

/// The registry that this program was built with, for the relay; sinks and sources carry theirs.
const REGISTRY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/services.toml");

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let stop = stop::on_signal();
    let done = match args.role {
        None => together::run(&args, stop).await,
        Some(role) => roles::run(role, &args, stop).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
