//! `cargo sinks check`: every mistake, without a compiler run.

use sink_codegen::Options;
use sink_schema::{Color, Format};

use crate::{
    cli::{CheckArgs, RegistryArgs, ReportFormat},
    failure::Failure,
    output,
    registry::{self, Loaded},
};

/// Reports; fails if there is an error.
pub(crate) fn run(registry: &RegistryArgs, args: &CheckArgs) -> Result<(), Failure> {
    let loaded = registry::load(
        registry,
        Options {
            deny_warnings: args.deny_warnings,
            ..Options::default()
        },
    )?;
    let format = match args.format {
        ReportFormat::Human => {
            let outcome = loaded.report();
            eprintln!("{}", verdict(&loaded));
            return outcome;
        }
        ReportFormat::Short => Format::Short,
        ReportFormat::Json => Format::Json,
        ReportFormat::Github => Format::Github,
    };
    let report = loaded.diagnostics.render(format, Color::Never);
    if !report.trim().is_empty() {
        output::print(&format!("{}\n", report.trim_end()))?;
    }
    if loaded.diagnostics.has_errors() {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}

/// `services.toml and 2 overlays: 8 services, no mistakes`
fn verdict(loaded: &Loaded) -> String {
    let overlays = match loaded.registry.overlays.len() {
        0 => String::new(),
        1 => " and 1 overlay".to_owned(),
        n => format!(" and {n} overlays"),
    };
    let services = match loaded.plan.services.len() + loaded.plan.broken.len() {
        1 => "1 service".to_owned(),
        n => format!("{n} services"),
    };
    format!(
        "{}{overlays}: {services}, {}",
        loaded.registry.base.path,
        loaded.diagnostics.summary()
    )
}
