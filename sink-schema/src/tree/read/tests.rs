//! The same texts read here and by the crate `toml`: entries, places and errors are the same.

use toml::de::{DeTable, DeValue};

use super::super::{Data, Entry, SyntaxError, Value};
use crate::text::Span;

fn expected(text: &str) -> (Vec<Entry>, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let errors = errors
        .into_iter()
        .map(|error| SyntaxError {
            at: error.span().unwrap_or(text.len()..text.len()),
            message: error.message().to_owned(),
        })
        .collect();
    (entries(table.into_inner()), errors)
}

fn entries(table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let span = Span::new(0, value.span());
            Entry {
                key_span: Span::new(0, key.span()),
                key: key.into_inner().into_owned(),
                value: Value {
                    span,
                    data: data(Some(span), value.into_inner()),
                },
            }
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span);
    entries
}

fn data(span: Option<Span>, value: DeValue<'_>) -> Data {
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
                    span: Span::new(0, item.span()),
                    data: data(None, item.into_inner()),
                })
                .collect();
            // `[[name]]` gives the array the place of its first table; a written array begins before its first item.
            match values.first().is_some_and(|first| Some(first.span) == span) {
                true => Data::Tables(values),
                false => Data::Array(values),
            }
        }
        DeValue::Table(table) => Data::Table(entries(table)),
    }
}

#[track_caller]
fn same(text: &str) {
    let ours = format!("{:#?}", super::document(0, text));
    let theirs = format!("{:#?}", expected(text));
    assert!(ours == theirs, "{text:?}\nours: {ours}\ntheirs: {theirs}");
    let (value, errors) = DeValue::parse_recoverable(text);
    let theirs = (data(None, value.into_inner()), errors);
    let ours = super::value(0, 0, text);
    assert_eq!(
        format!("{:?}", ours.0),
        format!("{:?}", theirs.0),
        "{text:?}"
    );
    let told = |at: Option<std::ops::Range<usize>>| at.unwrap_or(text.len()..text.len());
    let theirs = theirs.1.iter();
    let theirs: Vec<_> = theirs
        .map(|error| (told(error.span()), error.message().to_owned()))
        .collect();
    let ours = ours.1.into_iter();
    let ours: Vec<_> = ours.map(|error| (error.at, error.message)).collect();
    assert_eq!(ours, theirs, "{text:?}");
}

#[test]
fn what_stands_twice_is_told_as_toml_tells_it() {
    for text in [
        "a = 1\na = 2",
        "[a]\nb = 1\n[a]\nb = 2\nc = 3",
        "[a.b]\n[a]\nb = 1",
        "[a]\nb.c = 1\n[a.b]\nd = 1",
        "a.b = 1\n[a]\nc = 1",
        "a.b = 1\na.c = 2\na.b.c = 3",
        "a.b.c = 1\na.b.d = 2\n[a.b.e]\nf = 1",
        "a = {b = 1}\n[a]\nc = 1\n[a.d]\n",
        "a = {b = 1}\na.c = 2",
        "a = {b.c = 1, b.d = 2, b.c = 3, b = 4, e = 5, e.f = 6}",
        "a = {b = {c = 1}, b.d = 2}",
        "a = {b = [1], b.c = 2}",
        "a = []\n[[a]]\nb = 1",
        "[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 1\n[[a.e]]\n[[a.e]]\nf = 1\n[a]",
        "[[a]]\n[a.b]\n[[a.b]]",
        "[a]\n[[a]]\nb = 1",
        "a = [1]\n[a.b]\nc = 1\n[[a.b]]",
        "a = 1\n[a.b]\n[[a]]\na.b = 2",
        "a = 1.5\na.b = 2\nc = 1979-05-27\nc.d = 1\ne = true\ne.f = 1\ng = ''\ng.h = 1",
        "[]\n[a.]\n[.b]\n[[c]\nd = 1\n[e\nf = 2",
        "a.\"b c\".'d' = 1\n\"\\q\" = 1\n\"\\u00e9\" = \"\\u00e9\\x\"",
        "a = 1979-13-45\nb = 07:99:00\nc = 1979-05-27T07:32:00Z",
        "a = [1, 2,, 3\nb = 1",
        "a = {b = 1, c}\nd = {, e = 1}\nf = {g = }",
        "a = 9999999999999999999\nb = 0x_f\nc = 0xff\nd = -0b1",
        "a =\n= 1\nb = yes\nc 1\n",
        "a = \"x\nb = '''y\n",
    ] {
        same(text);
    }
    let keys: String = (0..60).map(|at| format!("k{at} = {at}\n")).collect();
    same(&format!(
        "{keys}k3 = 1\nk40 = 2\n[k5]\n[k50]\n[k70]\n[k70]\na = 1"
    ));
    let headers: String = (0..60).map(|at| format!("[s.k{at}]\na = {at}\n")).collect();
    same(&format!("{headers}{headers}[s]\nk1.b = 2\n"));
    for depth in [79, 80, 81] {
        same(&format!("a = {}1{}", "[".repeat(depth), "]".repeat(depth)));
        same(&format!(
            "{}b = 1\n[{}c]\nd = 1",
            "a.".repeat(depth),
            "a.".repeat(depth)
        ));
        same(&format!(
            "a = {}1{}",
            "{a = ".repeat(depth),
            "}".repeat(depth)
        ));
    }
}

#[test]
fn registries_are_read_as_toml_reads_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/registry");
    let mut read = 0;
    for folder in ["bad", "good"].map(|name| folder.join(name)) {
        for entry in std::fs::read_dir(folder).expect("the corpus") {
            let path = entry.expect("the corpus").path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                same(&std::fs::read_to_string(path).expect("a registry"));
                read += 1;
            }
        }
    }
    assert!(read >= 150, "{read} registries");
}

#[test]
fn texts_at_random_are_read_as_toml_reads_them() {
    const PIECES: [&str; 44] = [
        "a",
        "b",
        "c",
        "\"d\"",
        "'e'",
        ".",
        ".",
        ".",
        " = ",
        " = ",
        " = ",
        "=",
        "1",
        "-2",
        "0x1f",
        "1.5",
        "true",
        "1979-05-27",
        "\"x\"",
        "'y'",
        "\"\\n\"",
        "\"\"\"",
        "'''",
        "[",
        "[",
        "]",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        ", ",
        ",",
        "\n",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        "\t",
        "# note",
        "é",
        "\u{0}",
        "[a]\n",
    ];
    let mut state = 0x5eed_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % bound
    };
    for _ in 0..6_000 {
        let pieces = below(24);
        let text: String = (0..pieces).map(|_| PIECES[below(PIECES.len())]).collect();
        same(&text);
    }
    // Lines that are sound each, and meet each other in every way.
    const LINES: [&str; 16] = [
        "a = 1",
        "b = [1, {a = 2}]",
        "a.b = 1",
        "a.b.c = {d = 1}",
        "b.a = 2",
        "[a]",
        "[b]",
        "[a.b]",
        "[a.b.c]",
        "[[a]]",
        "[[b]]",
        "[[a.b]]",
        "c = {a.b = 1, a.c = 2}",
        "[c]",
        "c.a.d = 1",
        "[c.a]",
    ];
    for _ in 0..4_000 {
        let lines = below(9);
        let text: Vec<&str> = (0..lines).map(|_| LINES[below(LINES.len())]).collect();
        same(&text.join("\n"));
    }
}
