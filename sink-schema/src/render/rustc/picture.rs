//! Lines of the source with what is marked in them.

use super::Picture;
use super::canvas::{Canvas, FRAME, PLAIN, Style};
use super::layout::{Labels, Margin};
use super::marks::{Kind, LineMark, Marked, marked};
use super::source::{Source, char_width, line_breaks, visible, width};

/// What is cut out of a line that is too long.
const DOTS: &str = "...";
/// Columns that stay of a long mark at each end, at least.
const LEAST_PAD: usize = 5;

/// A picture's lines, looked up.
pub(super) struct Drawn<'a> {
    source: Source<'a>,
    lines: Vec<Marked<'a>>,
    /// How many bars stand beside each other.
    pub(super) depth: usize,
    /// The largest line number.
    pub(super) last_line: usize,
}

impl<'a> Drawn<'a> {
    pub(super) fn new(picture: &Picture<'a>) -> Self {
        let source = Source::new(picture.text, picture.first_line);
        let (depth, lines) = marked(&source, &picture.marks);
        let end = picture.marks.iter().map(|mark| mark.range.end).max();
        let end = end.unwrap_or(picture.text.len()).min(picture.text.len());
        Self {
            source,
            lines,
            depth,
            last_line: picture.first_line + line_breaks(&picture.text[..end]),
        }
    }
}

/// The line that says where: `--> path:line:column`, or `:::` for all but the primary place.
pub(super) fn origin(out: &mut Canvas, digits: usize, place: &str, primary: bool) {
    let row = out.rows();
    out.append(row, &" ".repeat(digits), PLAIN);
    out.append(row, if primary { "--> " } else { "::: " }, FRAME);
    out.append(row, place, PLAIN);
}

/// What all pictures of a report share.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Of the largest line number.
    pub(super) digits: usize,
    /// How many bars stand beside each other where most do.
    pub(super) depth: usize,
    /// The primary marks' style.
    pub(super) style: Style,
}

/// Draws the lines below their place.
pub(super) fn draw(out: &mut Canvas, frame: Frame, path: &str, drawn: &Drawn<'_>, primary: bool) {
    let gutter = frame.digits + 1;
    if !primary {
        out.put(out.rows(), gutter, '|', FRAME);
    }
    let place = place(path, &drawn.lines, primary);
    origin(out, frame.digits, &place, primary);
    out.put(out.rows(), gutter, '|', FRAME);
    let bars = frame.digits + 3;
    let code = match frame.depth {
        0 => bars,
        depth => bars + depth + 1,
    };
    let sheet = Sheet {
        frame,
        bars,
        code,
        margin: Margin::new(&drawn.lines, code),
    };
    // Bars that are open: their depth and style.
    let mut open: Vec<(usize, Style)> = Vec::new();
    for (at, line) in drawn.lines.iter().enumerate() {
        let first_row = out.rows();
        let turned = sheet.line(out, line);
        let mut opened: Vec<(usize, Style)> = Vec::new();
        for (depth, style) in turned {
            if let Some(index) = open.iter().position(|(other, _)| *other == depth) {
                open.swap_remove(index);
            } else {
                opened.retain(|(other, _)| *other != depth);
                opened.push((depth, style));
            }
        }
        for row in first_row..out.rows() {
            sheet.bars(out, row, &open);
        }
        if let Some(next) = drawn.lines.get(at + 1) {
            sheet.gap(out, &drawn.source, line, next, &open);
        }
        open.extend(opened);
    }
}

/// The place that a picture's first line names.
fn place(path: &str, lines: &[Marked<'_>], primary: bool) -> String {
    let is_primary = |line: &&Marked<'_>| line.marks.iter().any(|mark| mark.primary);
    let first = match primary {
        true => lines.iter().find(is_primary).or(lines.first()),
        false => lines.first(),
    };
    let Some(line) = first else {
        return path.to_owned();
    };
    let mut best: Option<&LineMark<'_>> = None;
    for mark in &line.marks {
        let better = |best: &LineMark<'_>| match (mark.primary, best.primary) {
            (true, false) => true,
            (false, true) => false,
            _ => mark.start.chars < best.start.chars,
        };
        if best.is_none_or(|best| primary && better(best)) {
            best = Some(mark);
        }
    }
    let column = best.map_or(1, |mark| mark.start.chars + 1);
    format!("{path}:{}:{column}", line.number)
}

/// Where on the canvas things stand, in columns.
struct Sheet {
    frame: Frame,
    bars: usize,
    code: usize,
    margin: Margin,
}

impl Sheet {
    fn bar(&self, out: &mut Canvas, row: usize, depth: usize, style: Style) {
        out.put(row, self.bars + depth - 1, '|', style);
    }

    fn bars(&self, out: &mut Canvas, row: usize, open: &[(usize, Style)]) {
        for (depth, style) in open {
            self.bar(out, row, *depth, style);
        }
    }

    /// What stands between two drawn lines: nothing, the one line there is, or dots.
    fn gap(
        &self,
        out: &mut Canvas,
        source: &Source<'_>,
        line: &Marked<'_>,
        next: &Marked<'_>,
        open: &[(usize, Style)],
    ) {
        let row = out.rows();
        match next.number - line.number {
            2 => {
                let text = source.line(line.number + 1).map_or("", |line| line.text);
                self.code(out, row, &visible(text), line.number + 1);
            }
            0 | 1 => return,
            _ => out.text(row, 0, DOTS, FRAME),
        }
        self.bars(out, row, open);
        for mark in &line.marks {
            if let Kind::First(depth) = mark.kind {
                self.bar(out, row, depth, self.frame.style(mark));
            }
        }
    }

    /// One line of code with its number; returns how many columns at the left are not drawn.
    fn code(&self, out: &mut Canvas, row: usize, text: &str, number: usize) -> usize {
        let columns = width(text);
        let (mut left, right) = self.margin.columns(columns);
        let (mut skipped, mut taken) = (0, 0);
        let mut code = String::new();
        let mut rest = text.chars();
        while skipped < left
            && let Some(c) = rest.next()
        {
            skipped += char_width(c);
        }
        for c in rest {
            taken += char_width(c);
            if taken > right - left {
                break;
            }
            code.push(c);
        }
        left = left.max(skipped);
        let mut start = (0, 0);
        if self.margin.is_cut_left() {
            for c in code.chars() {
                start = (start.0 + char_width(c), start.1 + c.len_utf8());
                if start.0 >= DOTS.len() {
                    break;
                }
            }
            out.text(row, self.code, DOTS, FRAME);
        }
        out.text(row, self.code + start.0, &code[start.1..], PLAIN);
        if columns > right {
            let (mut behind, mut chars) = (0, 0);
            for c in code.chars().rev() {
                behind += char_width(c);
                chars += 1;
                if behind >= DOTS.len() {
                    break;
                }
            }
            let column = self.code + start.0 + code[start.1..].chars().count() - chars;
            out.text(row, column, DOTS, FRAME);
        }
        out.text(
            row,
            0,
            &format!("{number:>width$}", width = self.frame.digits),
            FRAME,
        );
        out.put(row, self.frame.digits + 1, '|', FRAME);
        left
    }

    /// One line with its marks and labels; returns the bars that begin or end in it.
    fn line(&self, out: &mut Canvas, line: &Marked<'_>) -> Vec<(usize, Style)> {
        let top = out.rows();
        let text = visible(line.text);
        let left = self.code(out, top, &text, line.number);
        if let Some(turned) = self.begins_bars(out, top, &text, line) {
            return turned;
        }
        let mut labels = Labels::new(line);
        for row in 0..=labels.rows {
            out.put(top + row + 1, self.frame.digits + 1, '|', FRAME);
        }
        let marks = Marks {
            sheet: self,
            top,
            left,
            rows: labels.rows,
        };
        for (row, mark) in &labels.marks {
            marks.across(out, *row, mark);
        }
        for (row, mark) in &labels.marks {
            marks.down(out, *row, mark);
        }
        for (row, mark) in &labels.marks {
            marks.label(out, *row, mark);
        }
        smallest_last(&mut labels.marks);
        for (row, mark) in &labels.marks {
            marks.underline(out, *row, mark);
        }
        for (at, (_, mark)) in labels.marks.iter().enumerate() {
            if !labels.overlaps[at] {
                marks.shorten(out, mark);
            }
        }
        let mut turned = Vec::new();
        for (_, mark) in &labels.marks {
            if let Kind::First(depth) | Kind::Last(depth) = mark.kind {
                turned.push((depth, self.frame.style(mark)));
            }
        }
        turned
    }

    /// Where a line has only beginnings of bars, before all its code, they are corners: `/`.
    fn begins_bars(
        &self,
        out: &mut Canvas,
        row: usize,
        text: &str,
        line: &Marked<'_>,
    ) -> Option<Vec<(usize, Style)>> {
        let mut turned = Vec::new();
        for mark in &line.marks {
            match mark.kind {
                Kind::First(depth) => {
                    let before = text.chars().take(mark.start.columns);
                    if !{ before }.all(char::is_whitespace) {
                        return None;
                    }
                    turned.push((depth, self.frame.style(mark)));
                }
                Kind::Between => {}
                Kind::Whole | Kind::Last(_) => return None,
            }
        }
        for (depth, style) in &turned {
            out.put(row, self.bars + depth - 1, '/', style);
        }
        Some(turned)
    }
}

impl Frame {
    fn style(&self, mark: &LineMark<'_>) -> Style {
        if mark.primary { self.style } else { FRAME }
    }
}

/// Smaller marks are drawn over larger ones, the primary over one of its size.
fn smallest_last(marks: &mut [(usize, LineMark<'_>)]) {
    let key = |(_, mark): &(usize, LineMark<'_>)| {
        let length = mark.end.columns.abs_diff(mark.start.columns);
        (usize::MAX - length, mark.primary)
    };
    for sorted in 1..marks.len() {
        let mut at = sorted;
        while at > 0 && key(&marks[at]) < key(&marks[at - 1]) {
            marks.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// What is drawn below one line of code.
struct Marks<'a> {
    sheet: &'a Sheet,
    /// The row of the code.
    top: usize,
    /// Columns of it that are not drawn.
    left: usize,
    /// Rows below the underlines.
    rows: usize,
}

impl Marks<'_> {
    fn column(&self, columns: usize) -> usize {
        (self.sheet.code + columns).saturating_sub(self.left)
    }

    /// The line from a bar to where its mark begins or ends.
    fn across(&self, out: &mut Canvas, row: usize, mark: &LineMark<'_>) {
        if let Kind::First(depth) | Kind::Last(depth) = mark.kind {
            for column in self.sheet.bars + depth..self.column(mark.start.columns) {
                out.put(
                    self.top + row + 1,
                    column,
                    '_',
                    self.sheet.frame.style(mark),
                );
            }
        }
    }

    /// The lines from a mark down to its label, and down along a bar.
    fn down(&self, out: &mut Canvas, row: usize, mark: &LineMark<'_>) {
        let style = self.sheet.frame.style(mark);
        let row = self.top + row + 1;
        if row > self.top + 1 && (mark.has_label() || mark.takes_space()) {
            for row in self.top + 1..=row {
                out.put(row, self.column(mark.start.columns), '|', style);
            }
        }
        match mark.kind {
            Kind::First(depth) => {
                out.put(row, self.sheet.bars + depth - 1, ' ', style);
                for row in row + 1..self.top + self.rows + 2 {
                    self.sheet.bar(out, row, depth, style);
                }
            }
            Kind::Last(depth) => {
                for row in self.top..=row {
                    self.sheet.bar(out, row, depth, style);
                }
            }
            Kind::Whole | Kind::Between => {}
        }
    }

    fn label(&self, out: &mut Canvas, row: usize, mark: &LineMark<'_>) {
        let (row, columns) = match row {
            0 if mark.end.columns == 0 => (1, 2),
            0 => (1, mark.end.columns + 1),
            row => (row + 2, mark.start.columns),
        };
        let column = self.sheet.code + columns.saturating_sub(self.left);
        out.text(
            self.top + row,
            column,
            mark.label,
            self.sheet.frame.style(mark),
        );
    }

    fn underline(&self, out: &mut Canvas, row: usize, mark: &LineMark<'_>) {
        let (style, c) = (
            self.sheet.frame.style(mark),
            if mark.primary { '^' } else { '-' },
        );
        for columns in mark.start.columns..mark.end.columns {
            out.put(self.top + 1, self.column(columns), c, style);
        }
        if mark.takes_space() || (row != 0 && mark.has_label()) {
            out.put(self.top + 1, self.column(mark.start.columns), c, style);
        }
    }

    /// Cuts the middle out of a mark that alone is longer than two lines.
    fn shorten(&self, out: &mut Canvas, mark: &LineMark<'_>) {
        let (start, end) = (mark.start.columns, mark.end.columns);
        let room = self.sheet.margin.width;
        let length = end.saturating_sub(start);
        if mark.kind != Kind::Whole || length <= room * 2 || length <= LEAST_PAD * 2 + DOTS.len() {
            return;
        }
        let pad = LEAST_PAD.max(room / 3);
        for row in [self.top, self.top + 1] {
            let from = self.sheet.code + (start + pad).saturating_sub(self.left);
            let to = self.sheet.code + (end - pad).saturating_sub(self.left);
            out.elide(row, from, to);
        }
    }
}
