//! rustc's look: a title, pictures of the source, notes, and a changed line. Knows nothing of registries.
//!
//! The layout is that of rustc's own emitter in the shape the crate `annotate-snippets` gives it (MIT OR Apache-2.0), less what no
//! diagnostic here needs; `rustc/tests.rs` holds the two against each other, character for character. Building that crate costs
//! everybody who depends on this one more than this copy does (docs/BUILD_COST.md).

mod canvas;
mod layout;
mod marks;
mod patch;
mod picture;
mod source;

use std::ops::Range;

use canvas::{BOLD, Canvas, FRAME, PLAIN, Style};
use picture::{Drawn, Frame};

pub(super) use canvas::{ERROR, HELP, WARNING};
pub(super) use patch::Change;

/// One mistake, as it is drawn.
pub(super) struct Report<'a> {
    /// `error` or `warning`.
    pub(super) level: &'a str,
    /// That word's style, which the primary marks have as well.
    pub(super) style: Style,
    pub(super) code: &'a str,
    pub(super) title: &'a str,
    pub(super) parts: Vec<Part<'a>>,
    /// A title, and the change that stands below it.
    pub(super) change: Option<(&'a str, Change<'a>)>,
}

/// What stands below the title.
pub(super) enum Part<'a> {
    Picture(Picture<'a>),
    /// A place whose line is not drawn.
    Place {
        path: &'a str,
        line: usize,
        column: usize,
    },
    /// `note` or `help`, and its text.
    Note(&'a str, &'a str),
}

/// Some whole lines of a file, and what is marked in them.
pub(super) struct Picture<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) first_line: usize,
    pub(super) marks: Vec<Mark<'a>>,
}

/// A marked place: bytes of the picture's text.
#[derive(Clone)]
pub(super) struct Mark<'a> {
    pub(super) range: Range<usize>,
    /// Empty where only the place is marked.
    pub(super) label: &'a str,
    pub(super) primary: bool,
}

/// Draws `report`; plain or in colours.
pub(super) fn draw(report: &Report<'_>, colored: bool) -> String {
    let mut drawn = Vec::new();
    for part in &report.parts {
        drawn.push(match part {
            Part::Picture(picture) => Some(Drawn::new(picture)),
            _ => None,
        });
    }
    let change = report.change.as_ref().map(|(title, change)| {
        let patched = change.apply();
        (*title, change, patched)
    });
    let mut last_line = None;
    for picture in drawn.iter().flatten() {
        last_line = last_line.max(Some(picture.last_line));
    }
    if let Some((_, _, patched)) = &change {
        last_line = last_line.max(Some(patched.last_line));
    }
    let digits = last_line.map_or(0, |line| line.to_string().len());

    let mut out = Canvas::default();
    title(&mut out, report);
    parts(&mut out, report, &drawn, digits, change.is_some());
    let mut text = out.into_text(colored);
    if let Some((title, change, patched)) = change {
        let mut out = Canvas::default();
        out.append(0, "help", HELP);
        out.append(0, ": ", PLAIN);
        lines(&mut out, 0, "help: ".len(), title, PLAIN);
        let same_file = report.parts.iter().find_map(Part::path) == Some(change.path);
        patch::draw(&mut out, change, &patched, digits, same_file);
        text.push('\n');
        text.push_str(&out.into_text(colored));
    }
    text
}

fn title(out: &mut Canvas, report: &Report<'_>) {
    for text in [report.level, "[", report.code, "]"] {
        out.append(0, text, report.style);
    }
    out.append(0, ": ", BOLD);
    let indent = report.level.len() + report.code.len() + "[]: ".len();
    lines(out, 0, indent, &source::visible(report.title), BOLD);
}

/// Text of several lines, all but the first indented.
fn lines(out: &mut Canvas, row: usize, indent: usize, text: &str, style: Style) {
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.append(row + at, &" ".repeat(indent), PLAIN);
        }
        out.append(row + at, line, style);
    }
}

fn parts(
    out: &mut Canvas,
    report: &Report<'_>,
    drawn: &[Option<Drawn<'_>>],
    digits: usize,
    more: bool,
) {
    let gutter = digits + 1;
    let spacer = |out: &mut Canvas| out.put(out.rows(), gutter, '|', FRAME);
    let is_note = |at: usize| matches!(report.parts.get(at), Some(Part::Note(..)));
    if is_note(0) || (report.parts.is_empty() && more) {
        spacer(out);
    }
    let primary_path = report.parts.iter().find_map(Part::path);
    let mut depth = 0;
    for picture in drawn.iter().flatten() {
        depth = depth.max(picture.depth);
    }
    let frame = Frame {
        digits,
        depth,
        style: report.style,
    };
    let mut seen = false;
    for (at, part) in report.parts.iter().enumerate() {
        let last = at + 1 == report.parts.len();
        let primary = part.path().is_some() && part.path() == primary_path && !seen;
        seen |= primary;
        match (part, &drawn[at]) {
            (Part::Note(level, text), _) => {
                let row = out.rows();
                out.append(row, &" ".repeat(digits), PLAIN);
                out.text(row, gutter, "= ", FRAME);
                out.append(row, level, BOLD);
                out.append(row, ": ", PLAIN);
                let indent = digits + 3 + level.len() + ": ".len();
                lines(out, row, indent, text, PLAIN);
            }
            (Part::Place { path, line, column }, _) => {
                picture::origin(out, digits, &format!("{path}:{line}:{column}"), primary);
                if last && more {
                    spacer(out);
                }
            }
            (Part::Picture(picture), Some(lines)) => {
                picture::draw(out, frame, picture.path, lines, primary);
                if is_note(at + 1) || (last && more) {
                    spacer(out);
                }
            }
            (Part::Picture(_), None) => {}
        }
    }
}

impl<'a> Part<'a> {
    fn path(&self) -> Option<&'a str> {
        match self {
            Part::Picture(picture) => Some(picture.path),
            Part::Place { path, .. } => Some(path),
            Part::Note(..) => None,
        }
    }
}

#[cfg(test)]
mod tests;
