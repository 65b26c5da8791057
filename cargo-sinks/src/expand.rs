//! `cargo sinks expand`: the generated code, on standard output.

use sink_codegen::{Options, generate_pretty};

use crate::{
    cli::{ExpandArgs, RegistryArgs},
    failure::Failure,
    output, registry,
};

/// Prints the code even if services are broken, as the build would have it; then fails.
pub(crate) fn run(registry: &RegistryArgs, args: &ExpandArgs) -> Result<(), Failure> {
    let options = Options {
        runtime_path: args.runtime_path.clone(),
        ..Options::default()
    };
    let loaded = registry::load(registry, options)?;
    output::print(&generate_pretty(&loaded.registry, &loaded.options).code)?;
    loaded.report()
}
