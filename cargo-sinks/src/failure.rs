//! Why a command ends with status 1.

use std::{fmt, io, path::PathBuf};

/// One line for the terminal, or nothing if everything was said already.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The mistakes are on the screen.
    Reported,
    /// What is wrong, and what to do.
    Said(String),
    /// A file could not be read or written.
    File { path: PathBuf, source: io::Error },
}

impl Failure {
    /// For `map_err` on what is done with `path`.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Failure {
        let path = path.into();
        move |source| Failure::File { path, source }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Reported => Ok(()),
            Failure::Said(text) => f.write_str(text),
            Failure::File { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}
