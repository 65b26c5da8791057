//! `cargo sinks explain E0102`: cause, wrong and right.

use crate::{cli::ExplainArgs, failure::Failure};

/// Prints one explanation, or the list of codes.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let _ = args;
    Err(Failure::Said("not there yet".to_owned()))
}
