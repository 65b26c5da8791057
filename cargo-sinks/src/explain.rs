//! `cargo sinks explain E0102`: cause, wrong and right.

use std::fmt::Write;

use sink_schema::{explain, explanations};

use crate::{cli::ExplainArgs, failure::Failure, output};

/// Prints one explanation, or the list of codes.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let Some(code) = &args.code else {
        return output::print(&list());
    };
    match explain(code) {
        Some(explanation) => output::print(&explanation.to_string()),
        None => Err(Failure::Said(format!(
            "there is no code `{}`; `cargo sinks explain` lists them all",
            sink_schema::shortened(code)
        ))),
    }
}

fn list() -> String {
    let mut list = String::new();
    for explanation in explanations() {
        let lint = explanation
            .lint
            .map(|lint| format!(" [{lint}]"))
            .unwrap_or_default();
        let _ = writeln!(list, "{}  {}{lint}", explanation.code, explanation.title);
    }
    list
}
