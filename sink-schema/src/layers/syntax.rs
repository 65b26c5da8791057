//! Mistakes of TOML itself, in words of ours: one per line, since the parser stumbles on after the first.

use std::collections::HashSet;

use super::unclosed::Unclosed;
use crate::by_name::{ByName, order};
use crate::codes;
use crate::mistakes::{Mistake, Mistakes};
use crate::names::{self, show};
use crate::schema::looks_secret;
use crate::text::{Span, Text};
use crate::tree::{self, Data, Entry, SyntaxError};
use crate::values::units;

/// How many repeated keys are shown beside their first: each costs reading the text before it again.
const MAX_FIRST_PLACES: usize = 8;

/// Tells the mistakes of one file.
pub(super) fn tell(
    file: usize,
    root: &[Entry],
    mut errors: Vec<SyntaxError>,
    unclosed: &[Unclosed],
    mistakes: &mut Mistakes,
) {
    let text = mistakes.files[file].clone();
    if !(errors.is_empty() && unclosed.is_empty())
        && let Some(mistake) = other_language(file, &text)
    {
        return mistakes.push(mistake);
    }
    let extents = extents(root);
    let mut lines = HashSet::new();
    let mut torn_tables: HashSet<usize> = HashSet::new();
    let mut first_places = 0;
    for one in unclosed {
        let mistake = super::unclosed::tell(file, &text, one, mistakes);
        let owner = owner_of(&text, &extents, one.opener);
        mistakes.push(match owner {
            Some(service) => mistake.of(service),
            None => mistake,
        });
    }
    errors.sort_by_key(|error| text.line_of(error.at.start));
    for error in errors {
        let mut start = text.floor(error.at.start);
        if start == text.text.len() {
            // What is missing at the end is missing behind the last thing written, not on an empty line below.
            start = text.text.trim_end().len();
        }
        let line = text.line_of(start);
        let duplicate = error.message == "duplicate key";
        let repeats_below = || torn_tables.contains(&header_before(&text, line));
        if !lines.insert(line)
            || goes_on(&text, &lines, line)
            || (duplicate && !torn_tables.is_empty() && repeats_below())
        {
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
            let secret = secret(file, &text, line);
            if let Some(secret) = secret {
                mistakes.mask(secret);
            }
            let hidden = secret.is_some_and(|secret| span.start < secret.end);
            syntax(&text, line, span, &error.message, hidden)
        };
        mistakes.push(match owner {
            Some(service) => mistake.of(&service),
            None => mistake,
        });
    }
}

/// Whether a line begins nothing of its own, and is what is left of a broken line right above it.
fn goes_on(text: &Text, broken: &HashSet<usize>, line: usize) -> bool {
    let written = text.line_text(line).trim_start();
    let rest = written.starts_with(['"', '\'', ']', '}', '{']) && !written.contains('=');
    rest && line > 0 && broken.contains(&(line - 1))
}

/// Names of the services inside whose tables an error stands.
pub(super) fn owners(root: &[Entry], errors: &[usize], mistakes: &Mistakes) -> ByName<()> {
    let Some(text) = mistakes.files.last() else {
        return ByName::default();
    };
    let extents = extents(root);
    let mut owners = ByName::default();
    for at in errors {
        if let Some(owner) = owner_of(text, &extents, *at) {
            owners.insert(owner, ());
        }
    }
    owners
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
    let order = order(extents.len(), &mut |a, b| extents[a].cmp(&extents[b]));
    order.into_iter().map(|at| extents[at]).collect()
}

fn owner_of<'a>(text: &Text, extents: &[(usize, Option<&'a str>)], at: usize) -> Option<&'a str> {
    let line = text.line_of(text.floor(at));
    let bytes = text.line_range(line);
    let next = extents.partition_point(|(start, _)| *start <= bytes.end);
    let (start, owner) = extents[next.checked_sub(1)?];
    // A header too broken to be read begins a table of its own, not a part of the one before.
    let header = text.line_text(line).trim_start().starts_with('[');
    if header && start < bytes.start {
        None
    } else {
        owner
    }
}

/// Lines of headers that are broken: what stands below them is read as part of another table.
pub(super) fn torn_headers(text: &Text, errors: &[usize]) -> HashSet<usize> {
    let lines = errors.iter().map(|at| text.line_of(text.floor(*at)));
    lines
        .filter(|line| text.line_text(*line).trim_start().starts_with('['))
        .collect()
}

/// The name of a service in a header that is broken: `orders` in `[services.orders`.
pub(super) fn name_in_header(file: usize, text: &Text, line: usize) -> Option<(String, Span)> {
    let whole = text.line_text(line);
    let below = whole
        .trim_start_matches(['[', ' ', '\t'])
        .strip_prefix("services")?;
    let below = below.trim_start().strip_prefix(['.', '/'])?.trim_start();
    let name = match below.strip_prefix(['"', '\'']) {
        Some(quoted) => quoted.split(['"', '\'', ']']).next()?,
        None => below
            .split(|c: char| c.is_whitespace() || "].#\"'".contains(c))
            .next()?,
    };
    if name.is_empty() {
        return None;
    }
    let start = text.line_range(line).start + whole.len() - below.len() + below.find(name)?;
    Some((name.to_owned(), Span::new(file, start..start + name.len())))
}

/// Whether `span` stands below one of the `torn` headers.
pub(super) fn is_below(text: &Text, torn: &HashSet<usize>, span: Span) -> bool {
    if torn.is_empty() {
        return false;
    }
    let line = text.line_of(span.start);
    let header = header_before(text, line);
    header != line && torn.contains(&header)
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
    // Of the same name in several tables, the one whose path is that of the repeated key.
    let path = dotted(text, line, span);
    let mut found: Option<(usize, Span)> = None;
    let mut open: Vec<(&Entry, Vec<&str>)> = root.iter().map(|entry| (entry, vec![])).collect();
    while let Some((entry, above)) = open.pop() {
        if entry.key == name {
            let same = path
                .iter()
                .rev()
                .zip(above.iter().rev())
                .take_while(|(wanted, key)| wanted == key)
                .count();
            let place = (same, entry.key_span);
            if found.is_none_or(|best| (place.0, place.1.start) > (best.0, best.1.start)) {
                found = Some(place);
            }
        }
        if let Data::Table(entries) = &entry.value.data {
            let below = [above.as_slice(), &[entry.key.as_str()]].concat();
            open.extend(entries.iter().map(|entry| (entry, below.clone())));
        }
    }
    found.map(|(_, place)| place)
}

/// The keys before a dotted key on its own line: `["services", "a"]` of `services.a.type`.
fn dotted(text: &Text, line: usize, span: Span) -> Vec<&str> {
    let start = text.line_range(line).start;
    let before = text.text.get(start..span.start).unwrap_or("");
    let Some(before) = before.trim_end().strip_suffix('.') else {
        return Vec::new();
    };
    before
        .trim_start_matches(['[', ' ', '\t'])
        .split('.')
        .map(|key| key.trim().trim_matches(['"', '\'']))
        .collect()
}

/// What to say in the place of a fix that would leave a secret where it stands.
const MAYBE_SECRET: &str = "it may be a secret, which stands nowhere in a registry";

/// A mistake of form, with the commonest ones in plain words.
fn syntax(text: &Text, line: usize, span: Span, message: &str, hidden: bool) -> Mistake {
    if message.contains("recurs") {
        let span = if span.start >= text.text.trim_end().len() {
            deepest(text, span)
        } else {
            span
        };
        return Mistake::new(codes::TOO_DEEP, span, "values are nested too deeply")
            .label("deeper than 80 levels")
            .help("a registry needs three");
    }
    let word = text.slice(span);
    let bare = !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c));
    let boolean = matches!(word.to_ascii_lowercase().as_str(), "true" | "false");
    let (words, label) = words(message, word);
    let (span, label) = match opening(text, span, message) {
        Some(opening) => (opening, "begins here and ends nowhere"),
        None => (span, label),
    };
    let mistake = Mistake::new(
        codes::TOML_SYNTAX,
        span,
        format!("this is not TOML: {words}"),
    )
    .label(label);
    let quoted = is_bare_word(message, word);
    if quoted && boolean {
        let lower = word.to_ascii_lowercase();
        return mistake.patch(span, lower.clone(), format!("write `{lower}`"));
    }
    let nothing = ["null", "nil", "none", "undefined"];
    if quoted && nothing.contains(&word.to_ascii_lowercase().as_str()) {
        return mistake.help("remove it: TOML has no word for nothing, and a key that is not written has its default");
    }
    if quoted && hidden {
        return mistake.help(MAYBE_SECRET);
    }
    if quoted && bare {
        return mistake.patch(span, format!("\"{word}\""), "quote it, if it is a string");
    }
    let of_header = [
        "unclosed table",
        "invalid unquoted key",
        "invalid basic string",
    ];
    if of_header.iter().any(|start| message.starts_with(start))
        && let Some((header, meant)) = header_meant(text, line, span)
    {
        let title = match text.slice(header).starts_with("[services/") {
            true => format!("write a dot: `{meant}`"),
            false => format!("write letters, digits, `_` and `-`: `{meant}`"),
        };
        return mistake.patch(header, meant, title);
    }
    if message.starts_with("unclosed table") {
        return mistake.patch(
            Span {
                end: span.start,
                ..span
            },
            "]",
            "close it",
        );
    }
    if message.starts_with("invalid unquoted key")
        && let Some(key) = unquoted_key(text, span)
    {
        if let Some((ours, words)) = names::in_our_letters(text.slice(key)) {
            return mistake
                .note(words)
                .patch(key, names::toml_key(&ours), "write it as it looks");
        }
        let quoted = format!("\"{}\"", text.slice(key));
        return mistake.patch(key, quoted, "quote it");
    }
    if let Some(colon) = colon_for_equals(text, span, message) {
        let mistake = mistake.at(colon);
        return match hidden {
            true => mistake.help(MAYBE_SECRET),
            false => mistake.patch(colon, " =", "write `=`"),
        };
    }
    repaired(mistake, text, line, span, message)
}

/// A mistake of form with what is to be done about it, where that does not depend on a header or on what a word is.
fn repaired(mistake: Mistake, text: &Text, line: usize, span: Span, message: &str) -> Mistake {
    if message.starts_with("missing comma between") {
        return mistake.patch(comma_between(text, span), ", ", "write a comma");
    }
    if let Some(key) = next_key(text, line, span, message) {
        return mistake.at(key).help("begin a new line for each key");
    }
    if let Some((list, array)) = list_without_brackets(text, line, span, message) {
        let title = format!("write `{array}`");
        return mistake.patch(list, array, title);
    }
    if let Some((number, plain)) = number_with_commas(text, line, span, message) {
        let title = format!("a number has no commas: write `{plain}`");
        return mistake.patch(number, plain, title);
    }
    if let Some(comma) = comma_at_end(text, line, span, message) {
        return mistake.patch(comma, "", "lines end without a comma");
    }
    match hint(text.line_text(line), message) {
        Some(help) => mistake.help(help),
        None => mistake,
    }
}

/// Whether the parser's words are about text without quotes. What begins with `n` or `i` it takes for `nan` or `inf`.
fn is_bare_word(message: &str, word: &str) -> bool {
    let float =
        message.starts_with("invalid float") && word.starts_with(|c: char| c.is_ascii_alphabetic());
    float
        || message.starts_with("string values must be quoted")
        || message.starts_with("invalid boolean")
}

/// What may be a secret on a line that is no TOML: all of a value whose key sounds like one, and credentials of an endpoint.
pub(super) fn secret(file: usize, text: &Text, line: usize) -> Option<Span> {
    let bytes = text.line_range(line);
    let (key, value) = text.line_text(line).split_once(['=', ':'])?;
    let start = bytes.start + key.len() + 1;
    let range = if looks_secret(key) {
        let blank = value.len() - value.trim_start().len();
        start + blank..bytes.end
    } else {
        let user = value.find("://")? + "://".len();
        start + user..start + user + value[user..].rfind('@')?
    };
    Some(Span::new(file, range))
}

/// A whole key of letters that TOML wants in quotes.
fn unquoted_key(text: &Text, span: Span) -> Option<Span> {
    let part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let before = text.text[..span.start].chars().rev().take_while(part);
    let after = text.text[span.start..].chars().take_while(part);
    let key = Span {
        start: span.start - before.map(char::len_utf8).sum::<usize>(),
        end: span.start + after.map(char::len_utf8).sum::<usize>(),
        ..span
    };
    let next = text.text[key.end..].trim_start_matches([' ', '\t']);
    (key.end > span.start && next.starts_with(['.', ']', '='])).then_some(key)
}

/// The header that a line was meant to be whose name no header has as it stands: `[services.my_orders]` for
/// `[services.my orders]`.
fn header_meant(text: &Text, line: usize, span: Span) -> Option<(Span, String)> {
    let whole = text.line_text(line).trim_end();
    let path = whole.strip_prefix('[')?;
    let path = path.strip_prefix("services")?;
    // A path of other tools.
    let name = path.strip_prefix('.').or_else(|| path.strip_prefix('/'))?;
    let closed = name.rfind(']')?;
    if !name[closed + 1..].trim_start().is_empty()
        && !name[closed + 1..].trim_start().starts_with('#')
    {
        return None;
    }
    let name = name[..closed].trim_matches([']', '"', '\'', ' ']);
    if names::registry_name(name).is_ok() && path.starts_with('.') {
        return None;
    }
    let start = text.line_range(line).start;
    let end = start + "[services.".len() + closed + 1;
    let meant = format!("[services.{}]", names::suggest_ident(name, |_| false)?);
    Some((Span { start, end, ..span }, meant))
}

/// The blanks that a comma should stand in the place of: those before a value, if it does not begin its line.
fn comma_between(text: &Text, span: Span) -> Span {
    let before = &text.text[..span.start];
    let start = before.trim_end().len();
    let start = match before[start..].contains('\n') {
        // What ends the line above may be a comment.
        true => span.start,
        false => start,
    };
    Span {
        start,
        end: span.start,
        ..span
    }
}

/// The second key on a line, of `a = 1 b = 2`.
fn next_key(text: &Text, line: usize, span: Span, message: &str) -> Option<Span> {
    if !message.starts_with("unexpected key or value") {
        return None;
    }
    let bytes = text.line_range(line);
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let before = text.text.get(bytes.start..span.start)?;
    // After a number the parser stumbles over the `=`, after a string over the key.
    let start = match text.text[span.start..].starts_with('=') {
        true => bytes.start + before.trim_end().trim_end_matches(bare).len(),
        false => span.start,
    };
    let rest = text.text.get(start..bytes.end)?;
    let behind = rest.trim_start_matches(bare);
    let end = start + rest.len() - behind.len();
    let first = text.text[bytes.start..start].contains('=');
    let apart = text.text[bytes.start..start].ends_with([' ', '\t']);
    (first && apart && end > start && behind.trim_start().starts_with('=')).then_some(Span {
        start,
        end,
        ..span
    })
}

/// The colon of `key: value`.
fn colon_for_equals(text: &Text, span: Span, message: &str) -> Option<Span> {
    let before = text.text[..span.start].trim_end();
    let start = before.strip_suffix(':')?.len();
    message.starts_with("key with no value").then_some(Span {
        start,
        end: start + 1,
        ..span
    })
}

/// `"a", "b"` as a value, and the array that it is meant to be.
fn list_without_brackets(
    text: &Text,
    line: usize,
    span: Span,
    message: &str,
) -> Option<(Span, String)> {
    if !message.starts_with("unexpected key or value") {
        return None;
    }
    let (start, value) = value_on(text, line)?;
    let quoted = |part: &str| {
        let inner = part
            .strip_prefix('"')
            .and_then(|part| part.strip_suffix('"'));
        inner.is_some_and(|inner| !inner.contains(['"', '\\']))
    };
    let mut parts = value.split(',').map(str::trim);
    (value.contains(',') && parts.all(quoted)).then(|| {
        let end = start + value.len();
        (Span { start, end, ..span }, format!("[{value}]"))
    })
}

/// `10,000` as a value, and what it is in TOML.
fn number_with_commas(
    text: &Text,
    line: usize,
    span: Span,
    message: &str,
) -> Option<(Span, String)> {
    if !message.starts_with("unexpected key or value") {
        return None;
    }
    let (start, value) = value_on(text, line)?;
    let number = units::amount(value.contains(',').then_some(value)?, "", "")?;
    let end = start + value.len();
    Some((Span { start, end, ..span }, units::grouped(number)))
}

/// What stands behind the `=` of a line, without its comment if it holds no string.
fn value_on(text: &Text, line: usize) -> Option<(usize, &str)> {
    let (key, value) = text.line_text(line).split_once('=')?;
    let value = match value.split_once('#') {
        Some((before, _)) if !value.contains(['"', '\'']) => before,
        _ => value,
    };
    let start = text.line_range(line).start + key.len() + 1 + value.len();
    let start = start - value.trim_start().len();
    Some((start, value.trim()))
}

/// A comma after which the line ends, as other languages write it.
fn comma_at_end(text: &Text, line: usize, span: Span, message: &str) -> Option<Span> {
    let rest = text.text.get(span.start..text.line_range(line).end)?;
    let after = rest.strip_prefix(',')?.trim_start();
    let ends = after.is_empty() || after.starts_with('#');
    (ends && message.starts_with("unexpected key or value")).then_some(Span {
        end: span.start + 1,
        ..span
    })
}

/// Where a string of several lines begins that nothing closes.
fn opening(text: &Text, span: Span, message: &str) -> Option<Span> {
    if !message.starts_with("invalid multi-line") {
        return None;
    }
    let quotes = if message.contains("literal") {
        "'''"
    } else {
        "\"\"\""
    };
    let start = text.text[..span.start].rfind(quotes)?;
    Some(Span {
        start,
        end: start + quotes.len(),
        ..span
    })
}

/// The first line with more dots or brackets than any registry has: some errors of depth come without a place.
fn deepest(text: &Text, otherwise: Span) -> Span {
    let deep = |line: &str| {
        line.bytes()
            .filter(|byte| matches!(byte, b'.' | b'[' | b'{'))
            .count()
            > 80
    };
    let at = text.text.lines().position(deep);
    at.map_or(otherwise, |line| {
        let start = text.line_range(line).start;
        Span {
            start,
            end: start + 1,
            ..otherwise
        }
    })
}

/// The parser's words in the manner of ours, and what to say at the place.
fn words(message: &str, word: &str) -> (String, &'static str) {
    let known = [
        ("key with no value", "a key has no value", "expected `=`"),
        ("unclosed table", "a header is not closed", "expected `]`"),
        ("unclosed array", "an array is not closed", "expected `]`"),
        (
            "unclosed inline table",
            "a table is not closed",
            "expected `}`",
        ),
        (
            "invalid basic string, expected `\"`",
            "a string is not closed",
            "expected `\"`",
        ),
        (
            "invalid literal string",
            "a string is not closed",
            "expected `'`",
        ),
        (
            "invalid basic string",
            "a string holds a control character",
            "write it as an escape",
        ),
        (
            "invalid multi-line",
            "a string of several lines is not closed",
            "",
        ),
        (
            "cannot extend value of type",
            "a key that has a value cannot have keys below it",
            "has a value already",
        ),
        (
            "missing escaped value",
            "a backslash begins an escape, and this is none",
            "after a backslash",
        ),
        (
            "too few unicode",
            "a backslash begins an escape, and this is none",
            "expected digits of a character's code",
        ),
        (
            "unexpected key or value",
            "something follows where the line should end",
            "does not belong here",
        ),
        (
            "missing comma between key-value pairs",
            "a comma stands between the keys of a table on one line",
            "expected `,`",
        ),
        (
            "missing comma between",
            "a comma stands between the items of a list",
            "expected `,`",
        ),
        (
            "`_` may only",
            "an underscore stands between two digits",
            "not between digits",
        ),
        (
            "unexpected leading zero",
            "a number does not begin with 0",
            "remove the zero",
        ),
        (
            "carriage return",
            "a line ends with a lone carriage return",
            "expected a line feed",
        ),
        (
            "invalid unquoted key",
            "a key is letters, digits, `-` and `_`, or in quotes",
            "not part of a key",
        ),
        (
            "invalid key-value pair",
            "a key is missing",
            "expected a key",
        ),
    ];
    if is_bare_word(message, word) {
        return match word.is_empty() {
            true => ("a value is missing".to_owned(), "expected a value"),
            false => (
                "a string stands in quotes, and this is no number, boolean or date".to_owned(),
                "not a value",
            ),
        };
    }
    if let Some((_, words, label)) = known
        .into_iter()
        .find(|(start, ..)| message.starts_with(start))
    {
        return (words.to_owned(), label);
    }
    let mut chars = message.chars();
    let lower = chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    });
    (lower.trim_end_matches('.').to_owned(), "")
}

/// What to do about a line that is often written so.
fn hint(line: &str, message: &str) -> Option<String> {
    let line = line.trim();
    let help = if line.contains(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']) {
        "write straight quotes: `\"`"
    } else if line.starts_with("//") {
        "comments begin with `#`"
    } else if line.starts_with('\u{feff}') {
        "an invisible byte-order mark stands here: remove it"
    } else if message.contains("escape") || message.contains("unicode") {
        "write `\\\\` for a backslash, or single quotes around the whole string"
    } else if message.starts_with("invalid multi-line") {
        match message.contains("literal") {
            true => "write `'''` where it ends",
            false => "write `\"\"\"` where it ends",
        }
    } else if message.starts_with("`_` may only") {
        "write digits alone, such as `10_000`"
    } else if message.starts_with("key with no value") {
        "write `key = value`"
    } else if message.starts_with("unexpected key or value")
        && line.contains(',')
        && !line.contains(['[', '{'])
    {
        "a number has no commas: write `5_000`"
    } else if message.starts_with("unexpected key or value") {
        "begin a new line for each key"
    } else {
        return None;
    };
    Some(help.to_owned())
}

/// A whole file in another language is one mistake.
fn other_language(file: usize, text: &Text) -> Option<Mistake> {
    let start = text.text.len() - text.text.trim_start().len();
    let (name, at) = match text.text.trim_start().starts_with('{') {
        true => ("JSON", start..start + 1),
        false => {
            let line = (0..text.lines().min(50))
                .find(|line| text.line_text(*line).trim_end() == "services:")?;
            ("YAML", text.line_range(line))
        }
    };
    let message = format!("this is not TOML: it looks like {name}");
    let mistake = Mistake::new(codes::TOML_SYNTAX, Span::new(file, at), message);
    Some(
        mistake
            .label(format!("{name}, not TOML"))
            .help("write `[services.name]`, and below it `key = value` on lines of their own"),
    )
}
