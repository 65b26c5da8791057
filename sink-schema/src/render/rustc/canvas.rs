//! Characters by row and column, each with its style.

/// The sequence that a terminal is told before a character; empty for none.
pub(in crate::render) type Style = &'static str;

pub(super) const PLAIN: Style = "";
pub(super) const BOLD: Style = match cfg!(windows) {
    true => "\u{1b}[1m\u{1b}[97m",
    false => "\u{1b}[1m",
};
/// Line numbers, bars, and marks that are not the primary one.
pub(super) const FRAME: Style = match cfg!(windows) {
    true => "\u{1b}[1m\u{1b}[96m",
    false => "\u{1b}[1m\u{1b}[94m",
};
pub(super) const ADDED: Style = "\u{1b}[92m";
pub(super) const REMOVED: Style = "\u{1b}[91m";
pub(in crate::render) const ERROR: Style = "\u{1b}[1m\u{1b}[91m";
pub(in crate::render) const WARNING: Style = match cfg!(windows) {
    true => "\u{1b}[1m\u{1b}[93m",
    false => "\u{1b}[1m\u{1b}[33m",
};
pub(in crate::render) const HELP: Style = "\u{1b}[1m\u{1b}[96m";

const RESET: &str = "\u{1b}[0m";

/// What is drawn so far; grows to where something is put.
#[derive(Default)]
pub(super) struct Canvas {
    rows: Vec<Vec<(char, Style)>>,
}

impl Canvas {
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    fn row(&mut self, row: usize, width: usize) -> &mut Vec<(char, Style)> {
        while self.rows.len() <= row {
            self.rows.push(Vec::new());
        }
        let cells = &mut self.rows[row];
        while cells.len() < width {
            cells.push((' ', PLAIN));
        }
        cells
    }

    pub(super) fn put(&mut self, row: usize, column: usize, c: char, style: Style) {
        self.row(row, column + 1)[column] = (c, style);
    }

    /// Writes `text` over what stands there. An empty text makes no row.
    pub(super) fn text(&mut self, row: usize, column: usize, text: &str, style: Style) {
        if text.is_empty() {
            return;
        }
        let cells = self.row(row, column);
        for (at, c) in text.chars().enumerate() {
            match cells.get_mut(column + at) {
                Some(cell) => *cell = (c, style),
                None => cells.push((c, style)),
            }
        }
    }

    pub(super) fn append(&mut self, row: usize, text: &str, style: Style) {
        let column = self.rows.get(row).map_or(0, Vec::len);
        self.text(row, column, text, style);
    }

    /// Puts dots in the place of some columns, where all of them are there.
    pub(super) fn elide(&mut self, row: usize, from: usize, to: usize) {
        let cells = &mut self.rows[row];
        if from < to && to <= cells.len() {
            let rest = cells.split_off(to);
            cells.truncate(from);
            cells.extend([('.', FRAME); 3]);
            cells.extend(rest);
        }
    }

    /// Restyles columns, as far as they are there.
    pub(super) fn restyle(&mut self, row: usize, from: usize, to: usize, style: Style) {
        let Some(cells) = self.rows.get_mut(row) else {
            return;
        };
        for cell in cells.iter_mut().take(to).skip(from) {
            cell.1 = style;
        }
    }

    pub(super) fn into_text(self, colored: bool) -> String {
        let mut text = String::new();
        for (at, cells) in self.rows.iter().enumerate() {
            if at > 0 {
                text.push('\n');
            }
            let mut current = PLAIN;
            for (c, style) in cells {
                if colored && *style != current {
                    text.push_str(if current.is_empty() { "" } else { RESET });
                    text.push_str(style);
                    current = style;
                }
                text.push(*c);
            }
            text.push_str(if current.is_empty() { "" } else { RESET });
        }
        text
    }
}
