//! `cargo sinks schema`: the JSON Schema that editors complete and check `services.toml` with.

use crate::{cli::SchemaArgs, failure::Failure};

/// Prints or writes it.
pub(crate) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    let _ = args;
    Err(Failure::Said("not there yet".to_owned()))
}
