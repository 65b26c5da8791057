//! Source text with positions: a file, a span in it, and the line and column a person counts. Reads nothing itself.

use std::fmt;
use std::ops::Range;

/// One registry text as its owner read it; this crate opens no files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// How messages name the file. Never opened.
    pub path: String,
    /// The whole text. A byte-order mark at the start is ignored.
    pub text: String,
}

impl SourceFile {
    /// Pairs a display path with the text read from it.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

/// A place a person can go to: path, line and column, both counted from 1, the column in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// Path as the source file was named.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters; a tab is one.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

/// Bytes `start..end` of the source numbered `file`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn new(file: usize, range: Range<usize>) -> Self {
        Self {
            file,
            start: range.start,
            end: range.end,
        }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A text with an index of its lines, so that every lookup is a binary search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Bytes of the mark that the file begins with and `text` does not.
    pub(crate) mark: usize,
    line_starts: Vec<usize>,
}

impl Text {
    /// Indexes `file`, without its byte-order mark: spans count from the first character after it.
    pub(crate) fn new(file: &SourceFile) -> Self {
        let text = file
            .text
            .strip_prefix('\u{feff}')
            .unwrap_or(&file.text)
            .to_owned();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            path: crate::names::plain(&file.path),
            mark: file.text.len() - text.len(),
            text,
            line_starts,
        }
    }

    /// Number of the line that holds byte `at`, from 0.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.line_starts
            .partition_point(|start| *start <= at)
            .saturating_sub(1)
    }

    pub(crate) fn lines(&self) -> usize {
        self.line_starts.len()
    }

    /// Bytes of line `line` (from 0), without its line ending.
    pub(crate) fn line_range(&self, line: usize) -> Range<usize> {
        let start = self
            .line_starts
            .get(line)
            .copied()
            .unwrap_or(self.text.len());
        let end = self
            .line_starts
            .get(line + 1)
            .map_or(self.text.len(), |next| next - 1);
        let end = if end > start && self.text.as_bytes()[end - 1] == b'\r' {
            end - 1
        } else {
            end
        };
        start..end.max(start)
    }

    pub(crate) fn line_text(&self, line: usize) -> &str {
        &self.text[self.line_range(line)]
    }

    pub(crate) fn location(&self, at: usize) -> Location {
        let at = self.floor(at);
        let line = self.line_of(at);
        let start = self.line_starts[line];
        let column = self.text[start..at].chars().count() + 1;
        Location {
            path: self.path.clone(),
            line: small(line + 1),
            column: small(column),
        }
    }

    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// Overwrites a secret with asterisks of the same length in bytes, so that spans stay true.
    pub(crate) fn mask(&mut self, range: Range<usize>) {
        if self.text.get(range.clone()).is_some() {
            let stars: String = self.text[range.clone()]
                .bytes()
                .map(|byte| if byte == b'\n' { '\n' } else { '*' })
                .collect();
            self.text.replace_range(range, &stars);
        }
    }

    /// The nearest character boundary at or before `at`, inside the text.
    pub(crate) fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
