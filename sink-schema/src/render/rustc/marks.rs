//! Which lines of a picture are drawn, and what is marked in each. A mark of several lines becomes one of its first, one of its last,
//! and a bar at the left of those between.

use super::Mark;
use super::source::{Place, Source};

/// A line that is drawn.
pub(super) struct Marked<'a> {
    pub(super) text: &'a str,
    pub(super) number: usize,
    pub(super) marks: Vec<LineMark<'a>>,
}

/// What is marked in one line.
#[derive(Clone, Copy)]
pub(super) struct LineMark<'a> {
    pub(super) start: Place,
    pub(super) end: Place,
    pub(super) label: &'a str,
    pub(super) primary: bool,
    pub(super) kind: Kind,
}

/// Which part of a mark; with how many bars are to its left, itself included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Whole,
    First(usize),
    Between,
    Last(usize),
}

/// A mark of several lines.
#[derive(Clone, Copy)]
struct Tall<'a> {
    start: Place,
    end: Place,
    label: &'a str,
    primary: bool,
    depth: usize,
    /// Another one has the same beginning and end.
    doubled: bool,
}

impl LineMark<'_> {
    /// Marks that begin or end a bar always have lines of their own.
    pub(super) fn takes_space(&self) -> bool {
        matches!(self.kind, Kind::First(_) | Kind::Last(_))
    }

    pub(super) fn has_label(&self) -> bool {
        !self.label.is_empty()
    }

    /// Whether the two share columns, `padding` more of this one.
    pub(super) fn overlaps(&self, other: &Self, padding: usize) -> bool {
        let (a, b) = (self.start.columns, self.end.columns + padding);
        let (c, d) = (other.start.columns, other.end.columns);
        (c <= a && a < d) || (a <= c && c < b)
    }
}

/// The marked lines in their order, and how many bars stand beside each other.
pub(super) fn marked<'a>(source: &Source<'a>, marks: &[Mark<'a>]) -> (usize, Vec<Marked<'a>>) {
    let mut lines = Vec::new();
    for line in source.lines() {
        lines.push(Marked {
            text: line.text,
            number: line.number,
            marks: Vec::new(),
        });
    }
    let first = lines[0].number;
    let mut add = |line: usize, mark: LineMark<'a>| {
        if let Some(line) = lines.get_mut(line - first) {
            line.marks.push(mark);
        }
    };
    let mut tall: Vec<Tall<'a>> = Vec::new();
    for mark in marks {
        let (start, mut end) = source.places(&mark.range);
        // An empty place is pointed at all the same.
        if start.columns == end.columns && start.line == end.line {
            end.columns += 1;
        }
        if start.line != end.line {
            tall.push(Tall {
                start,
                end,
                label: mark.label,
                primary: mark.primary,
                depth: 1,
                doubled: false,
            });
            continue;
        }
        let whole = LineMark {
            start,
            end,
            label: mark.label,
            primary: mark.primary,
            kind: Kind::Whole,
        };
        add(start.line, whole);
    }
    let depth = stack(&mut tall);
    for mark in &tall {
        bar(source, mark, &mut add);
    }
    lines.retain(|line| !line.marks.is_empty());
    (depth, lines)
}

/// Sorts marks of several lines and gives each that overlaps another a bar of its own; returns how many there are.
fn stack(tall: &mut [Tall<'_>]) -> usize {
    // Few; and a sort of the library's would be compiled for this type alone.
    for sorted in 1..tall.len() {
        let key = |mark: &Tall<'_>| (mark.start.line, usize::MAX - mark.end.line);
        let mut at = sorted;
        while at > 0 && key(&tall[at]) < key(&tall[at - 1]) {
            tall.swap(at, at - 1);
            at -= 1;
        }
    }
    let as_given = tall.to_vec();
    let mut primary = Vec::new();
    for (outer, mark) in as_given.iter().enumerate() {
        if mark.primary {
            primary.push((mark.start, mark.end));
        }
        for (inner, other) in tall.iter_mut().enumerate() {
            let same = (mark.start, mark.end) == (other.start, other.end);
            let (a, b) = (mark.start.line, mark.end.line);
            let (c, d) = (other.start.line, other.end.line);
            if !same && ((c <= a && a <= d) || (a <= c && c <= b)) {
                other.depth += 1;
            } else if same && outer != inner {
                other.doubled = true;
            } else {
                other.primary |= primary.contains(&(other.start, other.end));
                break;
            }
        }
    }
    let depth = tall.iter().map(|mark| mark.depth).max().unwrap_or(0);
    // From the other side, so that fewer bars cross.
    for mark in tall {
        mark.depth = depth - mark.depth + 1;
    }
    depth
}

/// Marks the lines of a mark of several lines: the first, at most four behind it, the one before the last, the last.
fn bar<'a>(source: &Source<'a>, mark: &Tall<'a>, add: &mut dyn FnMut(usize, LineMark<'a>)) {
    let one = |place: Place, kind| LineMark {
        start: place,
        end: Place {
            chars: place.chars + 1,
            columns: place.columns + 1,
            byte: place.byte + 1,
            ..place
        },
        label: "",
        primary: mark.primary,
        kind,
    };
    if !mark.doubled {
        let (start, end) = (mark.start.line, mark.end.line);
        add(start, one(mark.start, Kind::First(mark.depth)));
        let telling = |line: usize| source.line(line).is_some_and(|line| tells(line.text));
        let middle = end.min(start + 4);
        let until = (start..middle).rev().find(|line| telling(*line));
        let between = LineMark {
            start: Place::default(),
            end: Place::default(),
            ..one(mark.start, Kind::Between)
        };
        for line in start + 1..until.map_or(start, |line| line + 1) {
            add(line, between);
        }
        if middle < end - 1 && telling(end - 1) {
            add(end - 1, between);
        }
    }
    let last = Place {
        line: mark.end.line,
        chars: mark.end.chars.saturating_sub(1),
        columns: mark.end.columns.saturating_sub(1),
        byte: mark.end.byte.saturating_sub(1),
    };
    let kind = match mark.doubled {
        true => Kind::Whole,
        false => Kind::Last(mark.depth),
    };
    add(
        mark.end.line,
        LineMark {
            start: Place {
                line: last.line,
                ..last
            },
            end: mark.end,
            label: mark.label,
            primary: mark.primary,
            kind,
        },
    );
}

/// Whether a line says more than a bracket or a comment of Rust: rustc leaves such ends away.
fn tells(line: &str) -> bool {
    let line = line.trim();
    let comment = line.starts_with("//") && !line.starts_with("///") && !line.starts_with("//!");
    !comment && !matches!(line, "" | "{" | "}" | "(" | ")" | "[" | "]")
}
