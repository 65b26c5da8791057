//! `cargo sinks`: the command line over a registry.
//!
//! # Map
//!
//! [`cli`] names the commands; each command is one file with one `run`. [`registry`] reads what all of them work on.

#[macro_use]
mod output;

mod check;
mod cli;
mod expand;
mod explain;
mod failure;
mod generate;
mod github;
mod graph;
mod init;
mod registry;
mod relay;
mod schema;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Command},
    failure::Failure,
};

fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments());
    let outcome = match cli.command {
        Command::Check(args) => check::run(&cli.registry, &args),
        Command::Expand(args) => expand::run(&cli.registry, &args),
        Command::Generate(args) => generate::run(&cli.registry, &args),
        Command::Graph(args) => graph::run(&cli.registry, &args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Init(args) => init::run(&cli.registry, &args),
        Command::Relay => relay::run(&cli.registry),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Reported) => ExitCode::FAILURE,
        Err(failure) => {
            tell!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// `cargo sinks check` runs `cargo-sinks sinks check`; both that and `cargo-sinks check` mean the same.
fn arguments() -> impl Iterator<Item = std::ffi::OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "sinks") {
        arguments.remove(1);
    }
    arguments.into_iter()
}
