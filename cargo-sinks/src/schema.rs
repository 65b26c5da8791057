//! `cargo sinks schema`: the JSON Schema that editors complete and check `services.toml` with.

use std::fs;

use sink_schema::json_schema;

use crate::{cli::SchemaArgs, failure::Failure, output};

/// Prints or writes it.
pub(crate) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    let schema = json_schema();
    match &args.out {
        None => output::print(&schema),
        Some(out) => {
            fs::write(out, schema).map_err(Failure::at(out))?;
            tell!("wrote {}", out.display());
            Ok(())
        }
    }
}
