//! Statements that nothing closes: one lost bracket or quote would make the parser misread every line that follows.
//!
//! Looked for only in texts that are no TOML. What is found is told once, at its opener, and blanked out, so that the
//! parser reads on at the next line that begins a statement. One pass; looking ahead is bounded.

use super::syntax::secret;
use crate::codes;
use crate::mistakes::{Mistake, Mistakes};
use crate::text::{Span, Text};
use crate::tree::SyntaxError;

/// Lines behind a possible end of `{…}` in which its closing brace is looked for.
const MAX_LINES_AHEAD: usize = 64;

/// One `key = value` whose value does not end.
#[derive(Debug)]
pub(super) struct Unclosed {
    /// The bytes to leave out.
    statement: std::ops::Range<usize>,
    /// Where the bracket or quote stands.
    pub(super) opener: usize,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// With the place behind the last thing within, where closing it repairs it.
    Bracket(Option<usize>),
    String,
    /// A closing quote, with the beginning of the word before it.
    NotOpened(usize),
    /// `"""` or `'''`.
    Lines,
}

/// Everything in `text` that is not closed.
pub(super) fn find(text: &Text) -> Vec<Unclosed> {
    let mut found = Vec::new();
    let mut line = 0;
    while line < text.lines() {
        let value = value_on(text.line_text(line));
        let Some(value) = value else {
            line += 1;
            continue;
        };
        let start = text.line_range(line).start;
        let mut scan = Scan::new(text, start + value);
        scan.run();
        line = text.line_of(scan.at.min(text.text.len())).max(line);
        if let Some((opener, fault)) = scan.fault {
            let statement = start..scan.at;
            found.push(Unclosed {
                statement,
                opener,
                fault,
            });
            line = scan.resume;
        } else {
            line += 1;
        }
    }
    found
}

/// The text with blanks in the place of what is not closed: every other byte stays where it is.
pub(super) fn without(text: &str, found: &[Unclosed]) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut done = 0;
    for Unclosed { statement, .. } in found {
        blanked.push_str(&text[done..statement.start]);
        let gone = text[statement.clone()].bytes();
        blanked.extend(gone.map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        done = statement.end;
    }
    blanked.push_str(&text[done..]);
    blanked
}

/// Blanks out lines that hold a key and nothing else, which is where the parser stops reading; whether there were any.
pub(super) fn leave_out_keys_alone(text: &Text, errors: &[SyntaxError], read: &mut String) -> bool {
    let mut any = false;
    for error in errors {
        let line = text.line_of(text.floor(error.at.start));
        let bytes = text.line_range(line);
        let Some(written) = read.get(bytes.clone()) else {
            continue;
        };
        let value = match value_on(written) {
            Some(value) => written[value..].trim_start(),
            // A remnant of a header is none.
            None if error.message.starts_with("key with no value") && !written.contains(']') => "",
            None => continue,
        };
        if value.is_empty() || value.starts_with('#') {
            any = true;
            read.replace_range(bytes.clone(), &" ".repeat(bytes.len()));
        }
    }
    any
}

/// Tells one of them.
pub(super) fn tell(file: usize, text: &Text, found: &Unclosed, mistakes: &mut Mistakes) -> Mistake {
    let at = found.opener;
    let line = text.line_of(at);
    let hidden = secret(file, text, line);
    if let Some(hidden) = hidden {
        mistakes.mask(hidden);
    }
    let quotes = text.text[at..].chars().next().unwrap_or('"');
    let (what, wide) = match (quotes, found.fault) {
        (_, Fault::Lines) => ("a string of several lines is not closed", 3),
        (_, Fault::NotOpened(_)) => ("a string is closed that was not opened", 1),
        ('[', _) => ("an array is not closed", 1),
        ('{', _) => ("a table is not closed", 1),
        _ => ("a string is not closed", 1),
    };
    let span = Span::new(file, at..at + wide);
    let mistake = Mistake::new(
        codes::TOML_SYNTAX,
        span,
        format!("this is not TOML: {what}"),
    );
    let closer = match quotes {
        '[' => ']',
        '{' => '}',
        other => other,
    };
    match found.fault {
        Fault::Bracket(end) => {
            let mistake = mistake.label(format!("this `{quotes}` is not closed"));
            match end {
                Some(end) => {
                    let end = Span::new(file, end..end);
                    mistake.patch(end, closer.to_string(), format!("close it with `{closer}`"))
                }
                None => mistake.help(format!("write `{closer}` where it ends")),
            }
        }
        Fault::NotOpened(word) => {
            let mistake = mistake.label(format!("no `{quotes}` stands where it begins"));
            let start = Span::new(file, word..word);
            match hidden {
                Some(_) => mistake.help(format!("write `{quotes}` where it begins")),
                None => mistake.patch(start, quotes.to_string(), "open it"),
            }
        }
        Fault::String => {
            let mistake = mistake.label(format!("this `{quotes}` is not closed on its line"));
            let rest = &text.text[at..text.line_range(line).end];
            match quotes == '"' && rest.contains("\\\"") {
                true => mistake
                    .help("write `\\\\` for a backslash, or single quotes around the whole string"),
                false => mistake.help(format!("write `{quotes}` where it ends")),
            }
        }
        Fault::Lines => {
            let quotes = &text.text[at..at + 3];
            mistake
                .label("begins here and ends nowhere")
                .help(format!("write `{quotes}` where it ends"))
        }
    }
}

/// Whether a line that stands within a value begins a table: `[services.a]` alone, but not an array such as `[1]`.
fn is_header(line: &str) -> bool {
    let line = line.trim_start();
    let Some(inner) = line.strip_prefix("[[").or_else(|| line.strip_prefix('[')) else {
        return false;
    };
    let Some((path, rest)) = inner.trim_start().split_once(']') else {
        return false;
    };
    let rest = rest.strip_prefix(']').unwrap_or(rest).trim();
    let bare = |c: char| c.is_alphanumeric() || "_-. \t\"'".contains(c);
    let letter = |c: char| c.is_alphabetic() || c == '_';
    path.starts_with(letter)
        && path.chars().all(bare)
        && !matches!(path.trim(), "true" | "false" | "inf" | "nan")
        && (rest.is_empty() || rest.starts_with('#'))
}

/// Where the value begins on a line that begins `key =`.
fn value_on(line: &str) -> Option<usize> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '.']);
        if let Some(value) = rest.strip_prefix('=') {
            let empty = line.trim_start().starts_with('=');
            return (!empty).then(|| line.len() - value.len());
        }
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        rest = match quote {
            Some(quote) => rest[1..].split_once(quote)?.1,
            None => {
                let bare = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
                let after = rest.trim_start_matches(bare);
                if after.len() == rest.len() {
                    return None;
                }
                after
            }
        };
    }
}

/// A walk through one value.
struct Scan<'a> {
    text: &'a Text,
    at: usize,
    open: Vec<usize>,
    /// What was first found wrong, and at which byte.
    fault: Option<(usize, Fault)>,
    /// Behind the last thing that is neither blank nor comment.
    last: usize,
    /// The line to go on with after a fault.
    resume: usize,
    /// Inside braces: the first line that may begin the next statement, with what was open and written before it.
    doubt: Option<(usize, usize, usize, usize)>,
}

// === impl Scan ===

impl<'a> Scan<'a> {
    fn new(text: &'a Text, at: usize) -> Self {
        Self {
            text,
            at,
            open: Vec::new(),
            fault: None,
            last: at,
            resume: 0,
            doubt: None,
        }
    }

    /// Reads to the end of the value, or to the line at which the next statement begins.
    fn run(&mut self) {
        let bytes = self.text.text.as_bytes();
        while let Some(byte) = bytes.get(self.at).copied() {
            match byte {
                b'\n' if self.open.is_empty() => break,
                b'\n' => {
                    self.at += 1;
                    if self.ends_before_line() {
                        return;
                    }
                    continue;
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'#' => self.skip_comment(),
                b'"' | b'\'' => {
                    if self.string(byte) {
                        return;
                    }
                }
                b'[' | b'{' => {
                    self.open.push(self.at);
                    self.step();
                }
                b']' | b'}' => {
                    self.open.pop();
                    self.step();
                }
                _ => self.step(),
            }
        }
        if self.at >= bytes.len() && !self.open.is_empty() {
            self.give_up(self.text.lines());
        } else {
            self.resume = self.text.line_of(self.at) + 1;
        }
    }

    fn step(&mut self) {
        self.at += 1;
        self.last = self.at;
    }

    fn skip_comment(&mut self) {
        let rest = &self.text.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n');
        self.at += length.unwrap_or(rest.len());
    }

    /// Within brackets, at the beginning of a line: whether it begins the next statement.
    fn ends_before_line(&mut self) -> bool {
        let line = self.text.line_of(self.at);
        let written = self.text.line_text(line);
        if let Some((doubtful, ..)) = self.doubt
            && line > doubtful + MAX_LINES_AHEAD
        {
            self.give_up(line);
            return true;
        }
        if is_header(written) {
            self.give_up(line);
            return true;
        }
        let (Some(opener), true) = (self.open.last().copied(), value_on(written).is_some()) else {
            return false;
        };
        let bytes = self.text.text.as_bytes();
        if bytes[opener] == b'[' {
            self.give_up(line);
            return true;
        }
        // A key of the same braces, if a comma stands before it; without one it may be either.
        if !matches!(bytes.get(self.last.wrapping_sub(1)), Some(b',' | b'{')) {
            let doubt = (line, opener, self.last, self.open.len());
            self.doubt.get_or_insert(doubt);
        }
        false
    }

    /// What is open is not closed; `line` begins the next statement, if no line before it did.
    fn give_up(&mut self, line: usize) {
        let opener = self.open.last().copied().unwrap_or(self.at);
        let here = (line, opener, self.last, self.open.len());
        let (line, opener, last, depth) = self.doubt.unwrap_or(here);
        let bytes = self.text.text.as_bytes();
        let comma = bytes.get(last.wrapping_sub(1)) == Some(&b',');
        let certain = depth == 1 && !(comma && bytes.get(opener) == Some(&b'{'));
        self.fault
            .get_or_insert((opener, Fault::Bracket(certain.then_some(last))));
        self.resume = line;
        self.at = self.text.line_range(line).start;
    }

    /// Reads a string; `true` where nothing more of the statement can be read.
    fn string(&mut self, quote: u8) -> bool {
        let (start, text) = (self.at, &self.text.text);
        let bytes = text.as_bytes();
        let triple = [quote; 3];
        if bytes[start..].starts_with(&triple) {
            return self.lines(quote);
        }
        let mut at = start + 1;
        while let Some(byte) = bytes.get(at).copied().filter(|byte| *byte != b'\n') {
            match byte {
                b'\\' if quote == b'"' && bytes.get(at + 1).is_some_and(|byte| *byte != b'\n') => {
                    at += 2;
                }
                byte if byte == quote => {
                    (self.at, self.last) = (at + 1, at + 1);
                    return false;
                }
                _ => at += 1,
            }
        }
        let fault = self.not_opened(start).unwrap_or(Fault::String);
        self.fault.get_or_insert((start, fault));
        let closes = text[start + 1..at].trim_end();
        self.at = match fault {
            // What follows a closing quote is no part of the string.
            Fault::NotOpened(_) => start + 1,
            // A bracket at the end of the line was hardly meant to be in the string.
            _ if !self.open.is_empty() && closes.ends_with([']', '}']) => start + closes.len(),
            _ => at,
        };
        false
    }

    /// The word before a quote that closes what no quote opened.
    fn not_opened(&self, quote: usize) -> Option<Fault> {
        let before = &self.text.text[..quote];
        let word = before.trim_end_matches(|c: char| c.is_alphanumeric() || "_./:-".contains(c));
        (word.len() < before.len()).then_some(Fault::NotOpened(word.len()))
    }

    /// Reads a string of several lines.
    fn lines(&mut self, quote: u8) -> bool {
        let (start, text) = (self.at, &self.text.text);
        let quotes = if quote == b'"' { "\"\"\"" } else { "'''" };
        let mut at = start + 3;
        while let Some(found) = text[at..].find(quotes) {
            let escaped = text[..at + found]
                .bytes()
                .rev()
                .take_while(|b| *b == b'\\')
                .count();
            at += found + 3;
            if quote == b'\'' || escaped % 2 == 0 {
                // As many as five quotes may stand at the end.
                at += text[at..]
                    .bytes()
                    .take(2)
                    .take_while(|b| *b == quote)
                    .count();
                (self.at, self.last) = (at, at);
                return false;
            }
        }
        // A line of the form `key =` may be one of the string's.
        let first = self.text.line_of(start) + 1;
        let next = (first..self.text.lines()).find(|line| is_header(self.text.line_text(*line)));
        self.fault.get_or_insert((start, Fault::Lines));
        self.resume = next.unwrap_or(self.text.lines());
        self.at = self.text.line_range(self.resume).start;
        true
    }
}
