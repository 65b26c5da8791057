//! TOML text as entries in the order of the file, each key and value with its span. Knows no key of ours.

mod read;

use crate::text::Span;

/// One `key = value`, or one `[key]` with its body.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Value,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) span: Span,
    pub(crate) data: Data,
}

/// What a value holds.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Text(String),
    /// `None` when it does not fit 64 bits.
    Integer(Option<i64>),
    Float,
    Bool(bool),
    Datetime,
    Array(Vec<Value>),
    /// `[[name]]`, as against `name = [{…}]`.
    Tables(Vec<Value>),
    Table(Vec<Entry>),
}

impl Data {
    /// The type in words, with its article.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Data::Text(_) => "a string",
            Data::Integer(_) => "an integer",
            Data::Float => "a float",
            Data::Bool(_) => "a boolean",
            Data::Datetime => "a date or time",
            Data::Array(_) => "an array",
            Data::Tables(_) => "an array of tables",
            Data::Table(_) => "a table",
        }
    }
}

/// A mistake of TOML itself.
#[derive(Clone, Debug)]
pub(crate) struct SyntaxError {
    pub(crate) at: std::ops::Range<usize>,
    pub(crate) message: String,
}

/// Reads `text` as far as it can be read. Depth is bounded (80 levels), so that reading and what comes after may recurse.
pub(crate) fn parse(file: usize, text: &str) -> (Vec<Entry>, Vec<SyntaxError>) {
    read::document(file, text)
}

/// Reads one value, as the environment writes arrays and tables; `text` stands at byte `at` of its file.
pub(crate) fn parse_value(file: usize, at: usize, text: &str) -> Option<Data> {
    let (data, errors) = read::value(file, at, text);
    errors.is_empty().then_some(data)
}
