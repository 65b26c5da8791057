//! What is said first on a connection of a foreign framing: as the registry writes it, or kept elsewhere and read when it is
//! needed. Never printed.

use std::fmt;
use std::io;

use sink_schema::{Secret, TextOrSecret};

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Preamble(pub(crate) Option<TextOrSecret>);

impl Preamble {
    /// The bytes, read anew each time: who changes a secret need not start the program again.
    pub(crate) fn resolve(&self) -> io::Result<Vec<u8>> {
        let missing = |what: String, error: &dyn fmt::Display| {
            let text = format!("the preamble is kept in {what}, which cannot be read: {error}");
            // A person must mend it: such a link tries again at its longest delay.
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        match &self.0 {
            None => Ok(Vec::new()),
            Some(TextOrSecret::Text(text)) => Ok(text.clone().into_bytes()),
            Some(TextOrSecret::Secret(Secret::Env(name))) => std::env::var(name)
                .map(String::into_bytes)
                .map_err(|error| missing(format!("the environment variable {name}"), &error)),
            Some(TextOrSecret::Secret(Secret::File(path))) => {
                std::fs::read(path).map_err(|error| missing(format!("the file {path}"), &error))
            }
        }
    }
}

impl fmt::Debug for Preamble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "***" } else { "none" })
    }
}
