//! `cargo sinks check`: every mistake, without a compiler run.

use std::path::Path;

use sink_codegen::Options;
use sink_schema::{Color, Diagnostic, Diagnostics, Format, Location};

use crate::{
    cli::{CheckArgs, RegistryArgs, ReportFormat},
    failure::Failure,
    github, output,
    registry::{self, Loaded},
};

/// Reports; fails if there is an error.
pub(crate) fn run(registry: &RegistryArgs, args: &CheckArgs) -> Result<(), Failure> {
    let options = Options {
        deny_warnings: args.deny_warnings,
        ..Options::default()
    };
    let loaded = match registry::load(registry, options) {
        Ok(loaded) => loaded,
        Err(failure) => {
            let report = unreadable(&registry.registry, &failure, args.format);
            match args.format {
                ReportFormat::Human => tell!("{}", report.trim_end()),
                _ => output::print(&report)?,
            }
            // Who reads the line of a program may not read it: people are told as well.
            return Err(match args.format {
                ReportFormat::Human | ReportFormat::Short => Failure::Reported,
                ReportFormat::Json | ReportFormat::Github => failure,
            });
        }
    };
    let report = match args.format {
        ReportFormat::Human => {
            let outcome = loaded.report();
            tell!("{}", verdict(&loaded));
            return outcome;
        }
        ReportFormat::Short => loaded.diagnostics.render(Format::Short, Color::Never),
        ReportFormat::Json => loaded.diagnostics.render(Format::Json, Color::Never),
        ReportFormat::Github => github::annotations(&loaded.diagnostics),
    };
    if !report.trim().is_empty() {
        output::print(&format!("{}\n", report.trim_end()))?;
    }
    if loaded.diagnostics.has_errors() {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}

/// The one mistake of a registry that cannot be read.
fn unreadable(path: &Path, failure: &Failure, format: ReportFormat) -> String {
    let text = failure.to_string();
    let (message, help) = text.split_once("\n\nhelp: ").unwrap_or((&text, ""));
    let path = path.to_string_lossy().replace('\\', "/");
    let (line, column, message) = placed(message, &path).unwrap_or((1, 1, message));
    let help = Vec::from_iter((!help.is_empty()).then(|| help.to_owned()));
    let place = Location { path, line, column };
    let mistake = Diagnostic::unreadable(place, message.to_owned(), help);
    let drawn = |format| Diagnostics::default().render_one(&mistake, format, Color::Never);
    match format {
        ReportFormat::Json => format!("[\n{}\n]\n", drawn(Format::Json)),
        ReportFormat::Github => github::annotation(&Diagnostics::default(), &mistake),
        ReportFormat::Short => drawn(Format::Short),
        ReportFormat::Human => {
            // There is no source to draw a place in.
            let drawn =
                Diagnostics::default().render_one(&mistake, Format::Human, registry::color());
            let (first, rest) = drawn.split_once('\n').unwrap_or((&drawn, ""));
            format!("{first}\n --> {}\n{rest}", mistake.location())
        }
    }
}

/// Takes the place off `services.toml:2:10: the registry is not UTF-8`.
fn placed<'a>(message: &'a str, path: &str) -> Option<(u32, u32, &'a str)> {
    let rest = message.strip_prefix(path)?.strip_prefix(':')?;
    let (line, rest) = rest.split_once(':')?;
    let (column, rest) = rest.split_once(": ")?;
    Some((line.parse().ok()?, column.parse().ok()?, rest))
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
