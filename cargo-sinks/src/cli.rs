//! The commands and their arguments.

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::invalid_html_tags,
    reason = "these comments are the help that a terminal shows"
)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Checks, shows and serves a registry of services.
#[derive(Debug, Parser)]
#[command(
    name = "cargo sinks",
    bin_name = "cargo sinks",
    version,
    propagate_version = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which registry; may stand before or after the command.
#[derive(Clone, Debug, Args)]
pub(crate) struct RegistryArgs {
    /// The registry to work on
    #[arg(
        long,
        global = true,
        default_value = "services.toml",
        value_name = "FILE"
    )]
    pub(crate) registry: PathBuf,
    /// Lay services.<PROFILE>.toml over it
    #[arg(long, global = true, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// A crate that brings a carrier; those named in a build.rs beside the registry are known [repeatable]
    #[arg(long = "carrier", global = true, value_name = "CRATE")]
    pub(crate) carriers: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Report every mistake in the registry and its overlays; exits 1 if there is an error
    Check(CheckArgs),
    /// Print the Rust code that the registry generates
    Expand(ExpandArgs),
    /// Write the generated code into a file that is checked in
    Generate(GenerateArgs),
    /// Draw the services and what feeds what
    Graph(GraphArgs),
    /// Explain a mistake by its code: cause, wrong and right
    Explain(ExplainArgs),
    /// Print the JSON Schema of the registry, for editors
    Schema(SchemaArgs),
    /// Put a registry, a build script and the dependencies into a crate
    Init(InitArgs),
    /// Serve every relay service of the registry until Ctrl-C
    Relay,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Count every warning as an error
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// How to report
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub(crate) format: ReportFormat,
}

/// How mistakes are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// As rustc draws them, on standard error
    Human,
    /// One line each: path:line:column: error[E0102]: …
    Short,
    /// One JSON array
    Json,
    /// Annotations of a GitHub workflow
    Github,
}

#[derive(Debug, Args)]
pub(crate) struct ExpandArgs {
    /// Where the runtime is, if the code shall stand on its own
    #[arg(long, value_name = "PATH", value_parser = rust_path)]
    pub(crate) runtime_path: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The file to write, for `mod sinks;`
    #[arg(long, default_value = "src/sinks.rs", value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Only compare; exits 1 if the file is not what the registry generates
    #[arg(long)]
    pub(crate) check: bool,
    /// Where the runtime is
    #[arg(long, default_value = "::sink_runtime", value_name = "PATH", value_parser = rust_path)]
    pub(crate) runtime_path: String,
}

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// What to print
    #[arg(long, value_enum, default_value_t = GraphFormat::Mermaid)]
    pub(crate) format: GraphFormat,
}

/// A language to draw in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// For Markdown on GitHub and GitLab
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture, no other tool needed
    Svg,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Such as E0102; without one, all codes are listed
    pub(crate) code: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Write it here instead of on standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The crate's folder
    #[arg(default_value = ".", value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Depend on a checkout of the sinks repository instead of the published crates
    #[arg(long, value_name = "FOLDER")]
    pub(crate) path: Option<PathBuf>,
}

/// A path as generated code names it.
fn rust_path(text: &str) -> Result<String, String> {
    match sink_schema::is_rust_path(text) {
        true => Ok(text.to_owned()),
        false => Err("this is no path of Rust: write one such as `::sink_runtime`".to_owned()),
    }
}
