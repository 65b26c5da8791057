//! The lines of a picture, and where a byte of it stands: in which line, behind how many characters, and how far to the right.

use std::ops::Range;

use unicode_width::UnicodeWidthChar;

/// A text as lines.
pub(super) struct Source<'a> {
    lines: Vec<Line<'a>>,
    first: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Without its ending.
    pub(super) text: &'a str,
    pub(super) number: usize,
    start: usize,
    /// Behind its ending, which is `ending` bytes long.
    end: usize,
    ending: usize,
}

/// A place: the line's number, and what stands before it in that line.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) chars: usize,
    pub(super) columns: usize,
    pub(super) byte: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str, first: usize) -> Self {
        let mut lines = Vec::new();
        let mut start = 0;
        while start < text.len() || lines.is_empty() {
            let rest = &text[start..];
            let (line, ending) = match rest.find('\n') {
                Some(at) if rest[..at].ends_with('\r') => (&rest[..at - 1], 2),
                Some(at) => (&rest[..at], 1),
                None => (rest, 0),
            };
            let end = start + line.len() + ending;
            lines.push(Line {
                text: line,
                number: first + lines.len(),
                start,
                end,
                ending,
            });
            start = end;
        }
        Self { lines, first }
    }

    pub(super) fn line(&self, number: usize) -> Option<&Line<'a>> {
        self.lines.get(number.checked_sub(self.first)?)
    }

    pub(super) fn lines(&self) -> &[Line<'a>] {
        &self.lines
    }

    /// The line that holds `byte`; behind all text, the last one.
    fn holding(&self, byte: usize) -> &Line<'a> {
        let at = self.lines.partition_point(|line| line.end <= byte);
        &self.lines[at.min(self.lines.len() - 1)]
    }

    fn place(&self, byte: usize) -> (Place, &Line<'a>) {
        let line = self.holding(byte);
        let before = &line.text[..(byte - line.start).min(line.text.len())];
        let place = Place {
            line: line.number,
            chars: before.chars().count(),
            columns: width(before),
            byte,
        };
        (place, line)
    }

    /// Where a range begins and ends.
    pub(super) fn places(&self, range: &Range<usize>) -> (Place, Place) {
        let (mut start, line) = self.place(range.start);
        // Inside a line's ending is one further than its last character.
        start.chars += usize::from(range.start - line.start > line.text.len());
        if range.is_empty() {
            return (start, start);
        }
        let (mut end, line) = self.place(range.end);
        if start.line != end.line && end.byte > line.end - line.ending {
            end.chars += 1;
            end.columns += 1;
        }
        (start, end)
    }

    /// The lines that a range touches.
    pub(super) fn touched(&self, range: &Range<usize>) -> &[Line<'a>] {
        let first = self.lines.partition_point(|line| line.end <= range.start);
        let behind = self.lines.partition_point(|line| line.start <= range.end);
        match self.lines.get(first..behind) {
            Some(lines) if !lines.is_empty() => lines,
            _ => &self.lines[self.lines.len() - 1..],
        }
    }
}

/// Columns of a text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Columns of a character: a tab is drawn as four spaces, a control character as its picture.
pub(super) fn char_width(c: char) -> usize {
    match c {
        '\t' => 4,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => 1,
        c => c.width().unwrap_or(1),
    }
}

/// A text as it is drawn: nothing in it moves the cursor or goes unseen.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\0'..='\u{1f}' => out.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{200d}' => {}
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Lines that `str::lines` finds behind the first.
pub(super) fn line_breaks(text: &str) -> usize {
    text.lines().count().saturating_sub(1)
}
