//! TOML text as entries in the order of the file, each key and value with its span. Knows no key of ours.

use toml::de::{DeTable, DeValue};

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

/// Reads `text` as far as it can be read. Depth is bounded by the parser (80 levels), so this may recurse.
pub(crate) fn parse(file: usize, text: &str) -> (Vec<Entry>, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let errors = errors
        .into_iter()
        .map(|error| SyntaxError {
            at: error.span().unwrap_or(text.len()..text.len()),
            message: error.message().to_owned(),
        })
        .collect();
    (entries(file, table.into_inner()), errors)
}

/// Reads one value, as the environment writes arrays and tables.
pub(crate) fn parse_value(text: &str) -> Option<Data> {
    let (value, errors) = DeValue::parse_recoverable(text);
    errors.is_empty().then(|| data(0, value.into_inner()))
}

fn entries(file: usize, table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let key_span = Span::new(file, key.span());
            let span = Span::new(file, value.span());
            let value = Value {
                span,
                data: data_at(file, Some(span), value.into_inner()),
            };
            Entry {
                key: key.into_inner().into_owned(),
                key_span,
                value,
            }
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span);
    entries
}

fn data(file: usize, value: DeValue<'_>) -> Data {
    data_at(file, None, value)
}

fn data_at(file: usize, span: Option<Span>, value: DeValue<'_>) -> Data {
    match value {
        DeValue::String(text) => Data::Text(text.into_owned()),
        DeValue::Integer(number) => {
            Data::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(_) => Data::Float,
        DeValue::Boolean(value) => Data::Bool(value),
        DeValue::Datetime(_) => Data::Datetime,
        DeValue::Array(array) => {
            let values: Vec<Value> = array
                .into_iter()
                .map(|item| Value {
                    span: Span::new(file, item.span()),
                    data: data(file, item.into_inner()),
                })
                .collect();
            // `[[name]]` gives the array the place of its first table; a written array begins before its first item.
            let tables = values.first().is_some_and(|first| Some(first.span) == span);
            if tables {
                Data::Tables(values)
            } else {
                Data::Array(values)
            }
        }
        DeValue::Table(table) => Data::Table(entries(file, table)),
    }
}
