//! Mistakes of TOML itself, in words of ours: one per line, since the parser stumbles on after the first.

use std::collections::HashSet;

use crate::codes;
use crate::mistakes::{Mistake, Mistakes};
use crate::names::show;
use crate::text::{Span, Text};
use crate::tree::{self, Data, Entry, SyntaxError};

/// How many repeated keys are shown beside their first: each costs reading the text before it again.
const MAX_FIRST_PLACES: usize = 8;

/// Tells the mistakes of one file.
pub(super) fn tell(file: usize, root: &[Entry], errors: Vec<SyntaxError>, mistakes: &mut Mistakes) {
    let text = mistakes.files[file].clone();
    let extents = extents(root);
    let mut lines = HashSet::new();
    let mut torn_tables: HashSet<usize> = HashSet::new();
    let mut first_places = 0;
    for error in errors {
        let start = text.floor(error.at.start);
        let line = text.line_of(start);
        let duplicate = error.message == "duplicate key";
        let repeats_below = || torn_tables.contains(&header_before(&text, line));
        if !lines.insert(line) || (duplicate && !torn_tables.is_empty() && repeats_below()) {
            continue;
        }
        let span = Span::new(file, start..text.floor(error.at.end.max(start)));
        let owner = owner_of(&text, &extents, start).map(str::to_owned);
        let mistake = if duplicate {
            let is_header = text.line_text(line).trim_start().starts_with('[');
            if is_header {
                // The keys below a repeated header are repeated as well: one cause, one error.
                torn_tables.insert(line);
            }
            let first = (first_places < MAX_FIRST_PLACES)
                .then(|| first_place(file, &text, line, span))
                .flatten();
            first_places += 1;
            duplicate_key(&text, span, is_header, first)
        } else {
            syntax(&text, line, span, &error.message)
        };
        mistakes.push(match owner {
            Some(service) => mistake.of(&service),
            None => mistake,
        });
    }
}

/// Names of the services inside whose tables an error stands.
pub(super) fn owners(root: &[Entry], errors: &[usize], mistakes: &Mistakes) -> HashSet<String> {
    let Some(text) = mistakes.files.last() else {
        return HashSet::new();
    };
    let extents = extents(root);
    errors
        .iter()
        .filter_map(|at| owner_of(text, &extents, *at).map(str::to_owned))
        .collect()
}

/// Where each table of interest begins, in the order of the file, with the service it belongs to.
fn extents(root: &[Entry]) -> Vec<(usize, Option<&str>)> {
    let mut extents = Vec::new();
    for entry in root {
        match (&*entry.key, &entry.value.data) {
            ("services", Data::Table(services)) => {
                extents.extend(
                    services
                        .iter()
                        .map(|service| (service.key_span.start, Some(service.key.as_str()))),
                );
            }
            _ => extents.push((entry.key_span.start, None)),
        }
    }
    extents.sort();
    extents
}

fn owner_of<'a>(text: &Text, extents: &[(usize, Option<&'a str>)], at: usize) -> Option<&'a str> {
    let end_of_line = text.line_range(text.line_of(text.floor(at))).end;
    let next = extents.partition_point(|(start, _)| *start <= end_of_line);
    next.checked_sub(1).and_then(|last| extents[last].1)
}

/// The line of the last `[header]` at or before `line`.
fn header_before(text: &Text, line: usize) -> usize {
    (0..=line)
        .rev()
        .take(1_000)
        .find(|at| text.line_text(*at).trim_start().starts_with('['))
        .unwrap_or(0)
}

fn duplicate_key(text: &Text, span: Span, is_header: bool, first: Option<Span>) -> Mistake {
    let name = text.slice(span).trim_matches(['"', '\'']);
    let message = if is_header {
        format!("table {} is defined twice", show(name))
    } else {
        format!("key {} is written twice", show(name))
    };
    let mistake = Mistake::new(codes::DUPLICATE_KEY, span, message).label("once more here");
    let mistake = match first {
        Some(first) => mistake.also(first, "first here"),
        None => mistake,
    };
    mistake.help(if is_header {
        "remove one, or give it a name of its own"
    } else {
        "remove one of the two"
    })
}

/// Where a repeated key stood first: the text before it is read again, and the same key looked up in it.
fn first_place(file: usize, text: &Text, line: usize, span: Span) -> Option<Span> {
    let before = &text.text[..text.line_range(line).start.min(span.start)];
    let (root, _) = tree::parse(file, before);
    let name = text.slice(span).trim_matches(['"', '\'']);
    let mut found: Option<Span> = None;
    let mut open: Vec<&Entry> = root.iter().collect();
    while let Some(entry) = open.pop() {
        if entry.key == name && found.is_none_or(|best| entry.key_span.start > best.start) {
            found = Some(entry.key_span);
        }
        if let Data::Table(entries) = &entry.value.data {
            open.extend(entries);
        }
    }
    found
}

/// A mistake of form, with the commonest ones in plain words.
fn syntax(text: &Text, line: usize, span: Span, message: &str) -> Mistake {
    if message.contains("recurs") {
        return Mistake::new(codes::TOO_DEEP, span, "values are nested too deeply")
            .label("deeper than 80 levels")
            .help("a registry needs three");
    }
    let mistake = Mistake::new(
        codes::TOML_SYNTAX,
        span,
        format!("this is not TOML: {}", plain(message)),
    );
    let source = text.line_text(line);
    match hint(source) {
        Some(help) => mistake.help(help),
        None => mistake,
    }
}

/// The parser's words in the manner of ours.
fn plain(message: &str) -> String {
    let mut chars = message.chars();
    match chars.next() {
        Some(first) => first
            .to_lowercase()
            .chain(chars)
            .collect::<String>()
            .trim_end_matches('.')
            .to_owned(),
        None => "unreadable".to_owned(),
    }
}

/// What to do about a line that is often written so.
fn hint(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(name) = line.strip_prefix('[').filter(|_| !line.contains(']')) {
        return Some(format!(
            "close the bracket: `[{}]`",
            name.split('#').next().unwrap_or(name).trim()
        ));
    }
    if line.contains(['“', '”', '‘', '’']) {
        return Some("write straight quotes: `\"`".to_owned());
    }
    if !line.contains('=') && line.contains(": ") && !line.starts_with('[') {
        return Some("write `key = value`".to_owned());
    }
    None
}
