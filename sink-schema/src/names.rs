//! Names: from a service's name to Rust's, and from a misspelt name to the nearest one.

/// The candidate that `name` was probably meant to be.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let _ = name;
    candidates.into_iter().next().filter(|_| false)
}
