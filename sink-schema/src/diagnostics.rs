//! Every mistake of a registry, collected; how they look is `render`'s. Nothing here decides what is a mistake.

use std::fmt;

use crate::by_name::ByName;
use crate::text::{Location, Span, Text};

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The service cannot be built.
    Error,
    /// It can, and somebody should look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// A marked place with a word on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where it begins.
    pub location: Location,
    /// What is said about it; may be empty.
    pub text: String,
    /// The place to change, as against one that explains.
    pub primary: bool,
    pub(crate) span: Span,
}

/// A change of the source that removes the mistake for certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where the replaced text begins.
    pub location: Location,
    /// Bytes replaced, in the text without its byte-order mark.
    pub range: std::ops::Range<usize>,
    /// What takes their place.
    pub replacement: String,
    /// Why, in words that stand above the changed line.
    pub title: String,
    pub(crate) file: usize,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Stable code: `E0102`, `W0201`.
    pub code: &'static str,
    /// The name that `[lints]` knows a warning by.
    pub lint: Option<&'static str>,
    /// What is wrong, in one line.
    pub message: String,
    /// File.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
    /// Marked places; the first is the primary one.
    pub labels: Vec<Label>,
    /// Facts that explain the mistake.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Vec<String>,
    /// The change that is certain to repair it, if one is.
    pub patch: Option<Patch>,
    /// The service it belongs to, if it belongs to one.
    pub service: Option<String>,
}

impl Diagnostic {
    /// The mistake of a file that cannot be read: who reads files tells it, since nothing here does.
    pub fn unreadable(place: Location, message: String, help: Vec<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: crate::codes::UNREADABLE,
            lint: None,
            message,
            path: place.path,
            line: place.line,
            column: place.column,
            labels: Vec::new(),
            notes: Vec::new(),
            help,
            patch: None,
            service: None,
        }
    }

    /// Where to look first.
    pub fn location(&self) -> Location {
        Location {
            path: self.path.clone(),
            line: self.line,
            column: self.column,
        }
    }
}

/// How to draw mistakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// As rustc draws them, with the source.
    #[default]
    Human,
    /// One line each: `path:line:column: error[E0102]: …`.
    Short,
    /// One JSON array, one line per mistake.
    Json,
    /// Annotations of a GitHub workflow.
    Github,
}

/// Whether to colour [`Format::Human`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Color {
    /// Plain text.
    #[default]
    Never,
    /// ANSI colours.
    Always,
}

/// All mistakes found at once, in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    pub(crate) sources: Vec<Text>,
    pub(crate) items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Walks through the mistakes: by file, then line, then column.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.items.iter()
    }

    /// Walks through the errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items
            .iter()
            .filter(|item| item.severity == Severity::Error)
    }

    /// Walks through the warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items
            .iter()
            .filter(|item| item.severity == Severity::Warning)
    }

    /// How many mistakes.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether anything keeps a service from being built.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Turns every warning into an error; its code and name stay.
    pub fn deny_warnings(&mut self) {
        for item in &mut self.items {
            item.severity = Severity::Error;
        }
    }

    /// Puts the errors before the warnings, for who must not look for them.
    pub fn errors_first(&mut self) {
        self.items.sort_by_key(|item| item.severity);
    }

    /// The files in which the errors are, in words: `services.toml and the environment`.
    pub fn places_of_errors(&self) -> String {
        let mut places: Vec<&str> = Vec::new();
        for error in self.errors() {
            let place = match error.path.as_str() {
                "environment" => "the environment",
                path => path,
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places.join(" and ")
    }

    /// Adds the mistakes of another load, each only once: overlays repeat what their base says.
    pub fn merge(&mut self, other: Diagnostics) {
        let once =
            |item: &Diagnostic| format!("{}: {}: {}", item.location(), item.code, item.message);
        let mut seen = ByName::default();
        for (at, item) in self.items.iter().enumerate() {
            seen.insert(&once(item), at);
        }
        let files: Vec<usize> = other
            .sources
            .into_iter()
            .map(
                |source| match self.sources.iter().position(|known| *known == source) {
                    Some(at) => at,
                    None => {
                        self.sources.push(source);
                        self.sources.len() - 1
                    }
                },
            )
            .collect();
        for mut item in other.items {
            let known = once(&item);
            if let Some(at) = seen.get(&known) {
                // One overlay may deny what the others let pass.
                let known = &mut self.items[*at];
                if item.severity < known.severity {
                    known.severity = item.severity;
                    known.notes = item.notes;
                }
            } else {
                seen.insert(&known, self.items.len());
                item.labels
                    .iter_mut()
                    .for_each(|label| label.span.file = files[label.span.file]);
                if let Some(patch) = &mut item.patch {
                    patch.file = files[patch.file];
                }
                self.items.push(item);
            }
        }
    }

    /// Counts in words: `2 errors, 1 warning`.
    pub fn summary(&self) -> String {
        let counted = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            more => Some(format!("{more} {word}s")),
        };
        let parts = [
            counted(self.errors().count(), "error"),
            counted(self.warnings().count(), "warning"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            "no mistakes".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Diagnostics {}
