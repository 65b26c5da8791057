//! A mistake as a report in rustc's look. Only the lines it shows are looked at, so that drawing costs the same in any file.

use std::borrow::Cow;
use std::ops::Range;

use super::rustc::{self, Change, Mark, Part, Picture, Report};
use crate::diagnostics::{Color, Diagnostic, Label, Patch, Severity};
use crate::names::is_invisible;
use crate::text::{Span, Text};

/// Places further apart than this are drawn as pictures of their own.
const SAME_PICTURE_LINES: usize = 40;

/// Lines longer than this are named, not drawn.
const MAX_DRAWN_BYTES: usize = 4_096;

pub(super) fn draw(sources: &[Text], item: &Diagnostic, color: Color) -> String {
    let style = match item.severity {
        Severity::Error => rustc::ERROR,
        Severity::Warning => rustc::WARNING,
    };
    let groups = pictures(sources, item);
    let mut parts = Vec::new();
    for group in &groups {
        parts.push(group.part());
    }
    for note in &item.notes {
        parts.push(Part::Note("note", note));
    }
    for help in &item.help {
        parts.push(Part::Note("help", help));
    }
    let place = item.patch.as_ref().and_then(|patch| place(sources, patch));
    let change = match (&item.patch, &place) {
        (Some(patch), Some(place)) => Some((patch.title.as_str(), place.change(patch))),
        (Some(patch), None) => {
            parts.push(Part::Note("help", &patch.title));
            None
        }
        (None, _) => None,
    };
    let report = Report {
        level: match item.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        style,
        code: item.code,
        title: &item.message,
        parts,
        change,
    };
    let drawn = rustc::draw(&report, matches!(color, Color::Always));
    let mut tidy: String = drawn
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    if tidy.is_empty() {
        tidy.push('\n');
    }
    tidy
}

/// Whole lines that hold some places.
struct Excerpt {
    first_line: usize,
    bytes: std::ops::Range<usize>,
}

fn excerpt(text: &Text, spans: &[Span]) -> Option<Excerpt> {
    let first = spans
        .iter()
        .map(|span| text.line_of(text.floor(span.start)))
        .min()?;
    let last = spans
        .iter()
        .map(|span| text.line_of(text.floor(span.end)))
        .max()?;
    let bytes = text.line_range(first).start..text.line_range(last).end;
    let drawable = spans.iter().all(|span| {
        text.line_range(text.line_of(text.floor(span.start))).len() <= MAX_DRAWN_BYTES
            && text.line_range(text.line_of(text.floor(span.end))).len() <= MAX_DRAWN_BYTES
    });
    drawable.then_some(Excerpt {
        first_line: first,
        bytes,
    })
}

/// Source whose every character can be seen: the renderer itself replaces only some of those that cannot.
struct Legible<'a> {
    text: Cow<'a, str>,
    /// Where replaced characters ended, and how many bytes longer or shorter the text is from there on.
    moved: Vec<(usize, isize)>,
}

impl<'a> Legible<'a> {
    fn new(text: &'a str) -> Self {
        // The first 32 control characters have pictures of their own in the renderer.
        let odd = |c: char| (c >= '\u{7f}' && c.is_control()) || is_invisible(c);
        let mut moved = Vec::new();
        if !text.contains(odd) {
            return Self {
                text: Cow::Borrowed(text),
                moved,
            };
        }
        let mut longer = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| odd(*c)) {
            longer +=
                char::REPLACEMENT_CHARACTER.len_utf8().cast_signed() - c.len_utf8().cast_signed();
            moved.push((at + c.len_utf8(), longer));
        }
        Self {
            text: Cow::Owned(text.replace(odd, "\u{fffd}")),
            moved,
        }
    }

    /// Where a place of the source is in `text`.
    fn place(&self, range: Range<usize>) -> Range<usize> {
        let at = |byte: usize| {
            let passed = self.moved.partition_point(|(end, _)| *end <= byte);
            let longer = passed.checked_sub(1).map_or(0, |last| self.moved[last].1);
            byte.saturating_add_signed(longer)
        };
        at(range.start)..at(range.end)
    }
}

/// A span inside its excerpt; never across a line break at its end, never cutting a character.
fn shifted(text: &Text, span: Span, start: usize) -> std::ops::Range<usize> {
    let from = text.floor(span.start).max(start);
    let to = text.floor(span.end).max(from);
    from - start..to - start
}

/// Lines of a file as they are drawn, with the places marked in them.
struct Group<'a> {
    text: &'a Text,
    labels: Vec<&'a Label>,
    /// `None` where a line is too long to be drawn.
    lines: Option<Lines<'a>>,
}

/// Some lines as they are drawn, and where places are in them.
struct Lines<'a> {
    text: &'a Text,
    first_line: usize,
    source: Legible<'a>,
    places: Vec<Range<usize>>,
}

/// One picture for each group of places that stand near each other, the primary one first.
fn pictures<'a>(sources: &'a [Text], item: &'a Diagnostic) -> Vec<Group<'a>> {
    let mut groups: Vec<(usize, Vec<&'a Label>)> = Vec::new();
    for label in &item.labels {
        let near = groups.iter_mut().find(|(file, labels)| {
            *file == label.span.file
                && labels.iter().any(|other| {
                    other.location.line.abs_diff(label.location.line) as usize <= SAME_PICTURE_LINES
                })
        });
        match near {
            Some((_, labels)) => labels.push(label),
            None => groups.push((label.span.file, vec![label])),
        }
    }
    let mut pictures = Vec::new();
    for (file, labels) in groups {
        if let Some(text) = sources.get(file) {
            let spans: Vec<Span> = labels.iter().map(|label| label.span).collect();
            pictures.push(Group {
                text,
                labels,
                lines: lines(text, &spans),
            });
        }
    }
    pictures
}

fn lines<'a>(text: &'a Text, spans: &[Span]) -> Option<Lines<'a>> {
    let lines = excerpt(text, spans)?;
    let source = Legible::new(&text.text[lines.bytes.clone()]);
    let places = spans
        .iter()
        .map(|span| source.place(shifted(text, *span, lines.bytes.start)))
        .collect();
    Some(Lines {
        text,
        first_line: lines.first_line + 1,
        source,
        places,
    })
}

impl Group<'_> {
    fn part(&self) -> Part<'_> {
        let path = self.text.path.as_str();
        let Some(lines) = &self.lines else {
            let place = &self.labels[0].location;
            return Part::Place {
                path,
                line: place.line as usize,
                column: place.column as usize,
            };
        };
        let mut marks = Vec::new();
        for (label, range) in self.labels.iter().zip(&lines.places) {
            marks.push(Mark {
                range: range.clone(),
                label: &label.text,
                primary: label.primary,
            });
        }
        Part::Picture(Picture {
            path,
            text: &lines.source.text,
            first_line: lines.first_line,
            marks,
        })
    }
}

/// The lines that a patch changes, where they can be drawn.
fn place<'a>(sources: &'a [Text], patch: &Patch) -> Option<Lines<'a>> {
    let text = sources.get(patch.file)?;
    lines(text, &[Span::new(patch.file, patch.range.clone())])
}

impl Lines<'_> {
    fn change<'a>(&'a self, patch: &'a Patch) -> Change<'a> {
        Change {
            path: &self.text.path,
            text: &self.source.text,
            first_line: self.first_line,
            range: self.places[0].clone(),
            replacement: &patch.replacement,
        }
    }
}
