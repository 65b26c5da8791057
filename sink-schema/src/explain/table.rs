//! One row per code, in a file for each range of numbers.
//!
//! A line `# services.prod.toml` or `# environment` begins another layer of an example.

mod composites;
mod file;
mod layers;
mod leaves;
mod names;
mod warnings;

/// Code, rule, cause, wrong, right.
pub(super) type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// All rows, in the order of the numbers.
pub(super) const TABLES: &[&[Row]] = &[
    file::ROWS,
    names::ROWS,
    composites::ROWS,
    leaves::ROWS,
    layers::ROWS,
    warnings::ROWS,
];
