//! A changed line: as it is and as it would be, or with what is added underlined.

use std::ops::Range;

use super::canvas::{ADDED, Canvas, FRAME, PLAIN, REMOVED, Style};
use super::picture;
use super::source::{Place, Source, visible, width};

/// A replacement of some bytes of a text by others that hold no line break.
pub(in crate::render) struct Change<'a> {
    pub(in crate::render) path: &'a str,
    pub(in crate::render) text: &'a str,
    pub(in crate::render) first_line: usize,
    pub(in crate::render) range: Range<usize>,
    pub(in crate::render) replacement: &'a str,
}

/// A change, applied.
pub(super) struct Patched<'a> {
    source: Source<'a>,
    /// The line as it would be.
    line: String,
    /// What is replaced, without what stays the same at its ends.
    range: Range<usize>,
    replacement: &'a str,
    /// Whether it takes the place of more than white space.
    replaces: bool,
    look: Look,
    /// The largest line number drawn.
    pub(super) last_line: usize,
}

/// How a change is drawn.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// The old lines, and the new one.
    Diff,
    /// The new line, and what is new in it underlined.
    Underline,
    /// The new line: all of it is new.
    Bare,
}

impl<'a> Change<'a> {
    pub(super) fn apply(&self) -> Patched<'a> {
        let source = Source::new(self.text, self.first_line);
        let (mut range, mut replacement) = (self.range.clone(), self.replacement);
        let old = self.text.get(range.clone());
        if !replacement.is_empty()
            && let Some(old) = old
            && let Some((before, added, behind)) = addition(old, replacement)
        {
            range = range.start + before..range.end.saturating_sub(behind);
            replacement = added;
        }
        let line = spliced(&source, &range, replacement);
        let old = self.text.get(range.clone()).map(str::trim);
        let replaces = old.map_or(!range.is_empty(), |old| !old.is_empty());
        let new = replacement.trim();
        let destroys =
            !replacement.is_empty() && old.is_none_or(|old| addition(old, new).is_none());
        let look = match replaces && (new.is_empty() || destroys) {
            true => Look::Diff,
            false if new != line.trim() => Look::Underline,
            false => Look::Bare,
        };
        let last_line = match look {
            Look::Diff => source.touched(&range).last().map(|line| line.number),
            Look::Underline | Look::Bare => None,
        };
        let last_line = last_line.unwrap_or_else(|| source.places(&self.range).0.line);
        Patched {
            source,
            line,
            range,
            replacement,
            replaces,
            look,
            last_line,
        }
    }
}

/// Of a replacement that holds the old text at its ends: how many bytes of it stand before and behind what is added.
fn addition<'a>(old: &str, new: &'a str) -> Option<(usize, &'a str, usize)> {
    if let Some(added) = new.strip_prefix(old) {
        return Some((old.len(), added, 0));
    }
    if let Some(added) = new.strip_suffix(old) {
        return Some((0, added, old.len()));
    }
    let mut same = 0;
    for (a, b) in old.chars().zip(new.chars()) {
        if a != b {
            break;
        }
        same += a.len_utf8();
    }
    let rest = &old[same..];
    let added = new[same..].strip_suffix(rest)?;
    Some((same, added, rest.len()))
}

/// The line that comes of a replacement: what stands before it, it, and what stands behind it.
fn spliced(source: &Source<'_>, range: &Range<usize>, replacement: &str) -> String {
    let (start, end) = source.places(range);
    let text = |place: Place| source.line(place.line).map_or("", |line| line.text);
    let mut line: String = text(start).chars().take(start.chars).collect();
    line.push_str(replacement);
    line.extend(text(end).chars().skip(end.chars));
    line
}

/// Draws a change below its title; `same_file` where the path was said above.
pub(super) fn draw(
    out: &mut Canvas,
    change: &Change<'_>,
    patched: &Patched<'_>,
    digits: usize,
    same_file: bool,
) {
    let gutter = digits + 1;
    let (start, end) = patched.source.places(&patched.range);
    if !same_file {
        let place = format!("{}:{}:{}", change.path, start.line, start.chars + 1);
        picture::origin(out, digits, &place, true);
    }
    out.put(out.rows(), gutter, '|', FRAME);
    let first = out.rows();
    let sheet = Sheet {
        digits,
        patched,
        places: patched.source.places(&change.range),
        start,
        end,
    };
    let row = match patched.look {
        _ if patched.line.is_empty() => sheet.removed_whole(out, first),
        Look::Diff => sheet.diff(out, first),
        Look::Underline | Look::Bare => {
            sheet.number(out, first, sheet.places.0.line);
            out.text(first, gutter, "| ", FRAME);
            out.append(first, &visible(&patched.line), PLAIN);
            sheet.style_added(out, first);
            first + 1
        }
    };
    if patched.look == Look::Underline {
        sheet.underline(out, row);
    }
    out.put(row, gutter, '|', FRAME);
}

struct Sheet<'a> {
    digits: usize,
    patched: &'a Patched<'a>,
    /// Where the change begins and ends as it was given.
    places: (Place, Place),
    /// Where what is replaced begins and ends.
    start: Place,
    end: Place,
}

impl Sheet<'_> {
    fn number(&self, out: &mut Canvas, row: usize, line: usize) {
        out.text(
            row,
            0,
            &format!("{line:>width$}", width = self.digits),
            FRAME,
        );
    }

    fn removed(&self, out: &mut Canvas, row: usize, number: usize, line: &str, style: Style) {
        self.number(out, row, number);
        out.text(row, self.digits + 1, "- ", REMOVED);
        out.text(row, self.digits + 3, &visible(line), style);
    }

    /// Where nothing stays of the lines. Returns the row behind them, as all of these do.
    fn removed_whole(&self, out: &mut Canvas, first: usize) -> usize {
        let (from, to) = (self.places.0.line, self.places.1.line);
        // White space alone is taken away from the line of the bar.
        let first = first + usize::from(self.patched.look == Look::Diff);
        for number in from..=to {
            let line = self
                .patched
                .source
                .line(number)
                .map_or("", |line| line.text);
            self.removed(out, first - 1 + number - from, number, line, REMOVED);
        }
        first + to - from
    }

    fn diff(&self, out: &mut Canvas, first: usize) -> usize {
        let lines = self.patched.source.touched(&self.patched.range);
        let number = self.places.0.line;
        let Some((last, others)) = lines.split_last() else {
            return first;
        };
        let mut row = first;
        let marked = self.places.1.line + 1 - number;
        for (at, line) in others.iter().take(marked).enumerate() {
            self.removed(out, row, number + at, line.text, PLAIN);
            self.style_removed(out, row, number + at, line.text);
            row += 1;
        }
        if last.text == self.patched.line {
            // What is removed are whole lines before it.
            row -= 1;
            self.style_removed(out, row, self.places.1.line, last.text);
        } else {
            self.removed(out, row, number + others.len(), last.text, PLAIN);
            self.style_removed(out, row, self.places.1.line, last.text);
            if !self.patched.line.trim().is_empty() {
                row += 1;
                self.number(out, row, number);
                out.text(row, self.digits + 1, "+ ", ADDED);
                out.append(row, &visible(&self.patched.line), PLAIN);
            }
        }
        self.style_added(out, row);
        row + 1
    }

    fn style_removed(&self, out: &mut Canvas, row: usize, number: usize, line: &str) {
        if number < self.start.line || number > self.end.line {
            return;
        }
        let from = match number == self.start.line {
            true => self.start.chars,
            false => 0,
        };
        let to = match number == self.end.line {
            true => self.end.chars,
            false => line.chars().count(),
        };
        self.style(out, row, line, from, to, REMOVED);
    }

    fn style_added(&self, out: &mut Canvas, row: usize) {
        let mut length = 0;
        for c in self.patched.replacement.chars() {
            length += if c == '\t' { 4 } else { 1 };
        }
        let from = self.start.chars;
        self.style(out, row, &self.patched.line, from, from + length, ADDED);
    }

    /// Restyles characters of a drawn line, in which a tab is four.
    fn style(
        &self,
        out: &mut Canvas,
        row: usize,
        line: &str,
        from: usize,
        to: usize,
        style: Style,
    ) {
        let column = |at: usize| {
            let tabs = line.chars().take(at).filter(|c| *c == '\t').count();
            self.digits + 3 + at + tabs * 3
        };
        if from != to {
            out.restyle(row, column(from), column(to), style);
        }
    }

    /// Marks what is new: `+`, or `~` where it takes the place of something.
    fn underline(&self, out: &mut Canvas, row: usize) {
        let new = self.patched.replacement;
        let (skip, shown) = match new.trim() {
            "" => (0, new),
            trimmed => (new.len() - new.trim_start().len(), trimmed),
        };
        let c = if self.patched.replaces || new.is_empty() {
            '~'
        } else {
            '+'
        };
        let from = self.digits + 3 + self.start.columns + skip;
        for column in from..from + width(shown) {
            out.put(row, column, c, ADDED);
        }
    }
}
