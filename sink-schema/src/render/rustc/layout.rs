//! How much of a line is drawn, and in which rows the labels below it stand. Numbers only; nothing is drawn here.

use super::marks::{Kind, LineMark, Marked};
use super::source::width;

/// Columns that are drawn at most, the line number included.
const WIDTH: usize = 140;
/// The dots at a cut, and room beside them.
const DOTS: usize = 6;
/// White space at the left beyond which it is cut, and what stays of it.
const MUCH_SPACE: usize = 20;
const SPACE_KEPT: usize = 16;

/// Which columns of the source are drawn.
#[derive(Clone, Copy)]
pub(super) struct Margin {
    left: usize,
    right: usize,
    pub(super) width: usize,
}

impl Margin {
    /// Fits the marks of `lines` into the width that `code_column` leaves.
    pub(super) fn new(lines: &[Marked<'_>], code_column: usize) -> Self {
        let (mut space, mut left) = (usize::MAX, usize::MAX);
        let (mut right, mut label_right, mut longest) = (0, 0, 0);
        for line in lines {
            longest = longest.max(width(line.text));
            if line.text.chars().any(|c| !c.is_whitespace()) {
                let mut leading = 0;
                for c in line.text.chars().take_while(|c| c.is_whitespace()) {
                    leading += if c == '\t' { 4 } else { 1 };
                }
                space = space.min(leading);
            }
            for mark in &line.marks {
                let (start, end) = (mark.start.columns, mark.end.columns);
                if mark.kind != Kind::Between {
                    left = left.min(start).min(end);
                }
                right = right.max(start).max(end);
                let label = match mark.has_label() {
                    true => width(mark.label) + 1,
                    false => 0,
                };
                label_right = label_right.max(end + label);
            }
        }
        let or_none = |columns| if columns == usize::MAX { 0 } else { columns };
        let (space, left) = (or_none(space), or_none(left));
        let mut margin = Self {
            left: 0,
            right: 0,
            width: WIDTH.saturating_sub(code_column),
        };
        margin.fit(
            space.min(left).saturating_sub(DOTS),
            left.saturating_sub(DOTS),
            right + DOTS,
            label_right + DOTS,
            longest,
        );
        margin
    }

    fn fit(&mut self, space: usize, left: usize, right: usize, labels: usize, longest: usize) {
        self.left = match space > MUCH_SPACE {
            true => space - SPACE_KEPT,
            false => 0,
        };
        self.right = longest.max(self.left);
        if self.right - self.left <= self.width {
            return;
        }
        if labels >= space && labels - space <= self.width {
            // Without the white space at the left all of it fits.
            self.left = space;
        } else if labels - left <= self.width {
            self.left = left.saturating_sub((self.width - (labels - left)) / 2);
        } else if right - left <= self.width {
            self.left = left.saturating_sub((self.width - (right - left)) / 5 * 2);
        } else {
            (self.left, self.right) = (left, right);
            return;
        }
        self.right = self.left + self.width;
    }

    pub(super) fn is_cut_left(&self) -> bool {
        self.left > 0
    }

    /// The columns drawn of a line of so many.
    pub(super) fn columns(&self, line: usize) -> (usize, usize) {
        let right = match line.saturating_sub(self.left) <= self.width {
            true => line,
            false => line.min(self.right),
        };
        (self.left.min(line), right)
    }
}

/// The marks of a line from right to left, each with the row its label hangs in below the marks; 0 is beside them.
pub(super) struct Labels<'a> {
    pub(super) marks: Vec<(usize, LineMark<'a>)>,
    /// Of each, whether it shares columns with another.
    pub(super) overlaps: Vec<bool>,
    /// Rows needed below the marks.
    pub(super) rows: usize,
}

impl<'a> Labels<'a> {
    /// Marks are drawn from the right, so that no line crosses a label: what is left of a label hangs below it.
    pub(super) fn new(line: &Marked<'a>) -> Self {
        let mut marks = line.marks.clone();
        // Few; and a sort of the library's would be compiled for this type alone.
        for sorted in 1..marks.len() {
            let key = |mark: &LineMark<'_>| (mark.start.columns, mark.start.chars);
            let mut at = sorted;
            while at > 0 && key(&marks[at]) > key(&marks[at - 1]) {
                marks.swap(at, at - 1);
                at -= 1;
            }
        }
        let mut overlaps = vec![false; marks.len()];
        let mut placed = Vec::new();
        let (mut rows, mut row) = (0, 0);
        for (at, mark) in marks.iter().enumerate() {
            for (other, next) in marks.iter().enumerate() {
                let shared = next.overlaps(mark, 0);
                if shared && other > 1 {
                    overlaps[at] = true;
                    overlaps[other] = true;
                }
                if shared && mark.has_label() && other > at && row == 0 {
                    if same_columns(next, mark) && !next.has_label() {
                        continue;
                    }
                    row += 1;
                    break;
                }
            }
            placed.push((row, *mark));
            if marks[at + 1..].iter().any(|next| collides(mark, next, row)) {
                row += 1;
            }
            rows = rows.max(row);
        }
        if rows != 0 {
            rows += 1;
        }
        // Where bars only begin, the order of rows is that of the bars: fewer lines cross.
        if placed
            .iter()
            .all(|(_, mark)| matches!(mark.kind, Kind::First(_)))
        {
            let deepest = placed.iter().map(|(row, _)| *row).max().unwrap_or(0);
            for (row, _) in &mut placed {
                *row = deepest - *row;
            }
            rows = rows.saturating_sub(1);
        }
        Self {
            marks: placed,
            overlaps,
            rows,
        }
    }
}

fn same_columns(a: &LineMark<'_>, b: &LineMark<'_>) -> bool {
    let edges = |mark: &LineMark<'_>| {
        let (start, end) = (mark.start, mark.end);
        (start.columns, start.chars, end.columns, end.chars)
    };
    edges(a) == edges(b)
}

/// Whether `next`, further left, needs a row of its own below that of `mark`.
fn collides(mark: &LineMark<'_>, next: &LineMark<'_>, row: usize) -> bool {
    let padding = match next.has_label() {
        true => next.label.len() + 2,
        false => 0,
    };
    let shared = next.overlaps(mark, padding);
    let ends_before = (next.end.columns, next.end.chars) <= (mark.end.columns, mark.end.chars);
    (shared && mark.has_label() && next.has_label())
        || (mark.takes_space() && next.has_label())
        || (mark.has_label() && next.takes_space())
        || (mark.takes_space() && next.takes_space())
        || (shared && ends_before && next.has_label() && row == 0)
}
