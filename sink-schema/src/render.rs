//! How mistakes look: as rustc draws them, in one line, as JSON, as GitHub annotations. All text is escaped here.

mod human;
mod rustc;

use std::fmt;

use crate::diagnostics::{Color, Diagnostic, Diagnostics, Format, Label};
use crate::names::is_invisible;
use crate::text::Text;

impl Diagnostics {
    /// Draws all mistakes.
    pub fn render(&self, format: Format, color: Color) -> String {
        let drawn: Vec<String> = self
            .iter()
            .map(|item| self.render_one(item, format, color))
            .collect();
        match format {
            Format::Human => drawn.join("\n"),
            Format::Short | Format::Github => drawn.concat(),
            Format::Json if drawn.is_empty() => "[]\n".to_owned(),
            Format::Json => format!("[\n{}\n]\n", drawn.join(",\n")),
        }
    }

    /// Draws one mistake; all but JSON end with a line break.
    pub fn render_one(&self, item: &Diagnostic, format: Format, color: Color) -> String {
        match format {
            Format::Human => human::draw(&self.sources, item, color),
            Format::Short => {
                format!(
                    "{}: {}[{}]: {}\n",
                    item.location(),
                    item.severity,
                    item.code,
                    item.message
                )
            }
            Format::Json => json(&self.sources, item),
            Format::Github => github(item),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Format::Human, Color::Never))
    }
}

fn github(item: &Diagnostic) -> String {
    let mut body = item.message.clone();
    for note in &item.notes {
        body.push_str(&format!("\nnote: {note}"));
    }
    for help in item
        .help
        .iter()
        .chain(item.patch.iter().map(|patch| &patch.title))
    {
        body.push_str(&format!("\nhelp: {help}"));
    }
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!(
        "::{} file={},line={},col={},title={}::{}\n",
        item.severity,
        property(&item.path),
        item.line,
        item.column,
        item.code,
        data(&body)
    )
}

fn json(sources: &[Text], item: &Diagnostic) -> String {
    let labels: Vec<String> = item.labels.iter().map(label).collect();
    let patch = item.patch.as_ref().map_or("null".to_owned(), |patch| {
        // Who reads this replaces bytes of the file, which may begin with a mark that the text here does not have.
        let mark = sources.get(patch.file).map_or(0, |source| source.mark);
        format!(
            "{{\"path\":{},\"line\":{},\"column\":{},\"start\":{},\"end\":{},\"replacement\":{},\"title\":{}}}",
            string(&patch.location.path),
            patch.location.line,
            patch.location.column,
            patch.range.start + mark,
            patch.range.end + mark,
            string(&patch.replacement),
            string(&patch.title)
        )
    });
    format!(
        "{{\"severity\":{},\"code\":{},\"lint\":{},\"message\":{},\"path\":{},\"line\":{},\"column\":{},\"service\":{},\"labels\":[{}],\"notes\":[{}],\"help\":[{}],\"patch\":{patch}}}",
        string(&item.severity.to_string()),
        string(item.code),
        item.lint.map_or("null".to_owned(), string),
        string(&item.message),
        string(&item.path),
        item.line,
        item.column,
        item.service.as_deref().map_or("null".to_owned(), string),
        labels.join(","),
        item.notes
            .iter()
            .map(|note| string(note))
            .collect::<Vec<_>>()
            .join(","),
        item.help
            .iter()
            .map(|help| string(help))
            .collect::<Vec<_>>()
            .join(","),
    )
}

fn label(label: &Label) -> String {
    format!(
        "{{\"path\":{},\"line\":{},\"column\":{},\"primary\":{},\"text\":{}}}",
        string(&label.location.path),
        label.location.line,
        label.location.column,
        label.primary,
        string(&label.text)
    )
}

/// A JSON string, quotes included.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
