//! User text made harmless: what a registry says must not become code, links, doctests or terminal commands.

/// `text` with control and direction-changing characters written as escapes, on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if is_plain(c) {
                vec![c]
            } else {
                c.escape_default().collect()
            }
        })
        .collect()
}

/// Lines of a `doc` value as Markdown that means what the author sees, and nothing more.
pub(crate) fn doc_lines(doc: &str) -> Vec<String> {
    doc.lines()
        .map(|line| markdown(&one_line(line.trim())))
        .collect()
}

/// A line as Markdown: code spans and plain links live, everything else that Markdown or HTML would act on is escaped.
fn markdown(line: &str) -> String {
    let balanced = line.matches('`').count().is_multiple_of(2) && !line.contains("``");
    if !balanced {
        return words(line);
    }
    let spans = line.split('`').enumerate();
    spans
        .map(|(i, span)| {
            if i % 2 == 0 {
                words(span)
            } else {
                format!("`{span}`")
            }
        })
        .collect()
}

fn words(text: &str) -> String {
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A bare link becomes one, without the full stop that ends its sentence.
fn word(word: &str) -> String {
    let link = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')']);
    if is_link(link) {
        format!("<{link}>{}", escaped(&word[link.len()..]))
    } else {
        escaped(word)
    }
}

fn is_link(word: &str) -> bool {
    let rest = word
        .strip_prefix("https://")
        .or_else(|| word.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !word.contains(['<', '>', '\\', '`', '"']))
}

fn escaped(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for c in word.chars() {
        if matches!(
            c,
            '\\' | '`' | '<' | '>' | '[' | ']' | '~' | '|' | '&' | '*'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out.replace("://", ":\\//")
}

/// Whether rustc, rustdoc and a terminal all show this character as itself.
fn is_plain(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace() || is_invisible(c))
}

/// Marks that reorder or hide the text around them; rustc refuses the first group in source (`text_direction_codepoint_*`).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{61c}' | '\u{ad}')
}

#[cfg(test)]
mod tests;
