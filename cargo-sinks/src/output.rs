//! Standard output, which may end early: `cargo sinks expand | head` is no error.

use std::io::{self, ErrorKind, Write};

use crate::failure::Failure;

/// Prints `text` as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::File {
            path: "standard output".into(),
            source: error,
        }),
        _ => Ok(()),
    }
}
