//! What each code means: cause, an example that has the mistake, and one that does not. Tests hold the examples to it.

mod table;

use std::fmt::Write;

use crate::codes;
use crate::keys::{KEYS, Key, Kinds};

/// The long form of a code, as `cargo sinks explain` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// `E0102`, `W0201`.
    pub code: &'static str,
    /// The name that `[lints]` knows a warning by.
    pub lint: Option<&'static str>,
    /// The rule in one line.
    pub title: &'static str,
    /// Why it is a rule, and what to do.
    pub cause: &'static str,
    /// A registry that breaks it.
    pub wrong: &'static str,
    /// The same registry without the mistake.
    pub right: &'static str,
}

impl std::fmt::Display for Explanation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}\n\n{}\n", self.code, self.title, self.cause)?;
        if let Some(lint) = self.lint {
            writeln!(
                f,
                "This is a warning: `{lint} = \"allow\" | \"warn\" | \"deny\"` in `[lints]` sets its level.\n"
            )?;
        }
        writeln!(
            f,
            "Wrong:\n\n{}\nRight:\n\n{}",
            indented(self.wrong),
            indented(self.right)
        )?;
        if self.code == codes::UNKNOWN_KEY {
            f.write_str(&key_lists())
        } else {
            Ok(())
        }
    }
}

/// The keys of each kind of service in lines, for `explain`.
fn key_lists() -> String {
    let mut out = "\nKeys:\n\n".to_owned();
    for (title, kinds) in [
        ("every service", Kinds::ALL),
        ("relay and direct", Kinds::LEAF),
        ("relay", Kinds::RELAY),
        ("composite", Kinds::COMPOSITE),
    ] {
        let names: Vec<&str> = KEYS
            .iter()
            .filter(|key| section(key) == kinds)
            .map(|key| key.name)
            .collect();
        let _ = writeln!(out, "    {title}: {}", names.join(" "));
    }
    out
}

/// The chapter of a key.
pub(crate) fn section(key: &Key) -> Kinds {
    match key.kinds {
        Kinds::ALL | Kinds::LEAF | Kinds::RELAY => key.kinds,
        _ => Kinds::COMPOSITE,
    }
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            }
        })
        .collect()
}

/// Explains a code; upper and lower case are one, and a warning may be given by its lint name.
pub fn explain(code: &str) -> Option<Explanation> {
    let wanted = code.trim().to_ascii_uppercase();
    explanations().find(|found| {
        found.code == wanted
            || found
                .lint
                .is_some_and(|lint| lint.eq_ignore_ascii_case(code.trim()))
    })
}

/// Every code with its explanation, in the order of the numbers.
pub fn explanations() -> impl Iterator<Item = Explanation> {
    table::TABLES
        .iter()
        .copied()
        .flatten()
        .map(|(code, title, cause, wrong, right)| Explanation {
            code,
            lint: codes::lint_of(code),
            title,
            cause,
            wrong,
            right,
        })
}

#[cfg(test)]
mod tests;
