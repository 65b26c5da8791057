//! rustc's look, by rustc's own renderer. It is given only the lines it shows, so that drawing costs the same in any file.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Patch, Renderer, Snippet};

use crate::diagnostics::{Color, Diagnostic, Severity};
use crate::names::is_invisible;
use crate::text::{Span, Text};

/// Places further apart than this are drawn as pictures of their own.
const SAME_PICTURE_LINES: usize = 40;

/// Lines longer than this are named, not drawn.
const MAX_DRAWN_BYTES: usize = 4_096;

pub(super) fn draw(sources: &[Text], item: &Diagnostic, color: Color) -> String {
    let level = match item.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(item.message.as_str()).id(item.code));
    for picture in pictures(sources, item) {
        group = group.element(picture);
    }
    for note in &item.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    for help in &item.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let mut report = vec![group];
    if let Some(patch) = &item.patch {
        let title = Level::HELP.secondary_title(patch.title.as_str());
        let span = Span::new(patch.file, patch.range.clone());
        if let Some((text, lines)) = sources
            .get(patch.file)
            .and_then(|text| excerpt(text, &[span]).map(|lines| (text, lines)))
        {
            let source = Legible::new(&text.text[lines.bytes.clone()]);
            let place = source.place(shifted(text, span, lines.bytes.start));
            let snippet = Snippet::source(source.text)
                .line_start(lines.first_line + 1)
                .path(text.path.as_str())
                .patch(Patch::new(place, patch.replacement.as_str()));
            report.push(title.element(snippet));
        } else {
            report[0] = report[0]
                .clone()
                .element(Level::HELP.message(patch.title.as_str()));
        }
    }
    let renderer = match color {
        Color::Never => Renderer::plain(),
        Color::Always => Renderer::styled(),
    };
    let drawn = renderer.render(&report);
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

/// One picture for each group of places that stand near each other, the primary one first.
fn pictures<'a>(sources: &'a [Text], item: &'a Diagnostic) -> Vec<Element<'a>> {
    let mut groups: Vec<(usize, Vec<&crate::diagnostics::Label>)> = Vec::new();
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
    groups
        .iter()
        .filter_map(|(file, labels)| sources.get(*file).map(|text| picture(text, labels)))
        .collect()
}

fn picture<'a>(text: &'a Text, labels: &[&'a crate::diagnostics::Label]) -> Element<'a> {
    let spans: Vec<Span> = labels.iter().map(|label| label.span).collect();
    let Some(lines) = excerpt(text, &spans) else {
        let place = &labels[0].location;
        return Origin::path(text.path.as_str())
            .line(place.line as usize)
            .char_column(place.column as usize)
            .into();
    };
    let source = Legible::new(&text.text[lines.bytes.clone()]);
    let places: Vec<_> = spans
        .iter()
        .map(|span| source.place(shifted(text, *span, lines.bytes.start)))
        .collect();
    let mut snippet = Snippet::source(source.text)
        .line_start(lines.first_line + 1)
        .path(text.path.as_str());
    for (label, place) in labels.iter().zip(places) {
        let kind = if label.primary {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        let annotation = kind.span(place);
        snippet = snippet.annotation(match label.text.is_empty() {
            true => annotation,
            false => annotation.label(label.text.as_str()),
        });
    }
    snippet.into()
}
