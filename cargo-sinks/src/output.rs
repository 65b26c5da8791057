//! Standard output and standard error, which may end early: `cargo sinks expand | head` is no error.

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

/// Says something on standard error; nobody is left to be told if that is gone, so nothing follows from it.
pub(crate) fn tell(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `eprintln!` that does not panic when whoever read standard error has gone.
macro_rules! tell {
    ($($words:tt)*) => {
        $crate::output::tell(format_args!($($words)*))
    };
}
