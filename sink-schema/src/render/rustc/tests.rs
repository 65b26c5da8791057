//! The same reports drawn here and by `annotate-snippets`, which draws as rustc does: what mistakes are made of, and pictures at random.

use annotate_snippets as rustc;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Change, ERROR, Mark, Part, Picture, Report, WARNING, draw};

/// The report as the other renderer draws it.
fn expected(report: &Report<'_>, colored: bool) -> String {
    let level = match report.level {
        "error" => Level::ERROR,
        _ => Level::WARNING,
    };
    let mut group = rustc::Group::with_title(level.primary_title(report.title).id(report.code));
    for part in &report.parts {
        group = match part {
            Part::Note("note", text) => group.element(Level::NOTE.message(*text)),
            Part::Note(_, text) => group.element(Level::HELP.message(*text)),
            Part::Place { path, line, column } => {
                let origin = rustc::Origin::path(*path);
                group.element(origin.line(*line).char_column(*column))
            }
            Part::Picture(picture) => group.element(snippet(picture)),
        };
    }
    let mut groups = vec![group];
    if let Some((title, change)) = &report.change {
        let patch = rustc::Patch::new(change.range.clone(), change.replacement);
        let snippet = Snippet::source(change.text).line_start(change.first_line);
        let snippet = snippet.path(change.path).patch(patch);
        groups.push(Level::HELP.secondary_title(*title).element(snippet));
    }
    match colored {
        true => Renderer::styled().render(&groups),
        false => Renderer::plain().render(&groups),
    }
}

fn snippet<'a>(picture: &Picture<'a>) -> Snippet<'a, rustc::Annotation<'a>> {
    let mut snippet = Snippet::source(picture.text)
        .line_start(picture.first_line)
        .path(picture.path);
    for mark in &picture.marks {
        let kind = match mark.primary {
            true => AnnotationKind::Primary,
            false => AnnotationKind::Context,
        };
        let annotation = kind.span(mark.range.clone());
        snippet = snippet.annotation(match mark.label.is_empty() {
            true => annotation,
            false => annotation.label(mark.label),
        });
    }
    snippet
}

#[track_caller]
fn same(report: &Report<'_>, what: &str) {
    for colored in [false, true] {
        let (ours, theirs) = (draw(report, colored), expected(report, colored));
        assert!(
            ours == theirs,
            "{what}, ours:\n{ours}\nand theirs:\n{theirs}\n{ours:?}\n{theirs:?}"
        );
    }
}

fn report<'a>(parts: Vec<Part<'a>>, change: Option<(&'a str, Change<'a>)>) -> Report<'a> {
    Report {
        level: "error",
        style: ERROR,
        code: "E0102",
        title: "unknown key",
        parts,
        change,
    }
}

/// A picture of a text whose marks stand in it: `«text»label»`, `‹text›label›` for those that are not primary.
fn marked(text: &str) -> (String, Vec<(std::ops::Range<usize>, String, bool)>) {
    let (mut plain, mut marks) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find(['«', '‹']) {
        let primary = rest[at..].starts_with('«');
        let close = if primary { '»' } else { '›' };
        plain.push_str(&rest[..at]);
        let mut fields = rest[at..].splitn(3, close);
        let (inner, label) = (fields.next().unwrap_or(""), fields.next().unwrap_or(""));
        rest = fields.next().unwrap_or("");
        let inner = inner.trim_start_matches(['«', '‹']);
        marks.push((
            plain.len()..plain.len() + inner.len(),
            label.to_owned(),
            primary,
        ));
        plain.push_str(inner);
    }
    plain.push_str(rest);
    (plain, marks)
}

#[test]
fn a_picture_is_what_rustc_would_draw() {
    let long = "x".repeat(300);
    let texts = [
        "a = «1»expected a string»".to_owned(),
        "«»here»".to_owned(),
        "a = 1\n«»behind it»".to_owned(),
        "\ta\t= «\t1»a tab in it»\t# «x»»".to_owned(),
        "a = ‹1›first› «2»second» ‹3››\r\nb = «3»third»\r\n".to_owned(),
        "a = «[\n  1,\n  2,\n]»too long» # ‹x›y›".to_owned(),
        "a = ‹[\n1\n›one› «2\n3\n4\n5\n6\n]»two»\n".to_owned(),
        "«a = 1\nb = 2»both»\n".to_owned(),
        "a = ‹1›this›\n\nb = «2»that»".to_owned(),
        "a = ‹1›this›\n\n\n\nb = «2»that»".to_owned(),
        "名前 = «\"値\"»wide» # ‹ｶﾅ›half›".to_owned(),
        "a\u{301} = «e\u{301}»no width of its own»".to_owned(),
        "a\u{0}b«\u{7}c\u{7f}»control»".to_owned(),
        "a\rb = «1\r»a lone return»".to_owned(),
        format!("a = \"{long}\" # «here»far right»"),
        format!("a = «\"{long}\"»long»"),
        format!("«a» » = \"{long}\" # ‹here›far right›"),
        format!("{}a = «1»indented»", " ".repeat(60)),
        format!("{}a = «1»a long word: {long}»", " ".repeat(60)),
        format!("{}a = «1»indented» {long}", "\u{3000}".repeat(60)),
        format!("a = «\"{}\"»wide and long»", "値".repeat(200)),
        format!(
            "{}a = «1»a long word: {}» {long}",
            " ".repeat(60),
            &long[..130]
        ),
        format!("a = «1»a long word: {}» {long}", &long[..130]),
    ];
    let indented = (20..30).map(|space| format!("{}a = «1»here»", " ".repeat(space)));
    let texts: Vec<String> = texts.into_iter().chain(indented).collect();
    for text in &texts {
        let (plain, marks) = marked(text);
        for first_line in [1, 9, 99, 1234] {
            let marks = || marks.iter().map(mark).collect();
            let picture = |path, marks| {
                Part::Picture(Picture {
                    path,
                    text: &plain,
                    first_line,
                    marks,
                })
            };
            same(&report(vec![picture("a.toml", marks())], None), text);
            let note = Part::Note("note", "one\ntwo");
            let parts = vec![
                picture("a.toml", marks()),
                picture("b.toml", marks()),
                picture("a.toml", marks()),
                note,
                Part::Note("help", "three"),
            ];
            same(&report(parts, None), text);
        }
    }
}

fn mark<'a>((range, label, primary): &'a (std::ops::Range<usize>, String, bool)) -> Mark<'a> {
    Mark {
        range: range.clone(),
        label,
        primary: *primary,
    }
}

#[test]
fn what_has_no_picture_is_what_rustc_would_draw() {
    same(&report(vec![], None), "a title alone");
    let place = || Part::Place {
        path: "a.toml",
        line: 12,
        column: 4,
    };
    same(&report(vec![place()], None), "a place");
    same(
        &report(vec![place(), place(), Part::Note("note", "n")], None),
        "places and a note",
    );
    same(&report(vec![Part::Note("help", "h")], None), "help alone");
    let mut odd = report(vec![], None);
    (odd.level, odd.style) = ("warning", WARNING);
    odd.title = "two\nlines, a \u{202e} and a \u{1b}";
    same(&odd, "an odd title");
}

#[test]
fn a_changed_line_is_what_rustc_would_draw() {
    let cases = [
        ("bufer_size = 5", 0..10, "buffer_size"),
        ("\tport = 80 # x", 8..10, "\"80\""),
        ("a = x\r\nb = y\r\n", 4..5, "\"x\""),
        ("a = 1,\n", 5..6, ""),
        ("a = 1\n", 5..5, "]"),
        ("[[a]]", 0..5, "[a]"),
        ("a = \"\"\"\nx\ny\"\"\"\nb = 1", 4..14, "\"x\""),
        ("a = \"\"\"\nx\ny\"\"\"\nb = 1", 4..14, ""),
        ("a = 1\nb = 2\n", 0..6, ""),
        ("a = 1\n   \nb = 2\n", 6..9, ""),
        ("a = 1", 0..5, ""),
        ("", 0..0, "a = 1"),
        ("   ", 1..2, "x"),
        ("値 = 名", 6..9, "「名」"),
        ("a = \"1\"", 4..7, "  2"),
        ("a = 1", 4..4, "\t"),
    ];
    for (text, range, replacement) in cases {
        for first_line in [1, 99] {
            let change = |path| {
                let range = range.clone();
                Change {
                    path,
                    text,
                    first_line,
                    range,
                    replacement,
                }
            };
            let picture = || {
                Part::Picture(Picture {
                    path: "a.toml",
                    text: "a = 1",
                    first_line: 7,
                    marks: vec![Mark {
                        range: 4..5,
                        label: "here",
                        primary: true,
                    }],
                })
            };
            for path in ["a.toml", "b.toml"] {
                let title = "write it\nso";
                let what = format!("{replacement:?} at {range:?} of {text:?}");
                same(&report(vec![], Some((title, change(path)))), &what);
                same(&report(vec![picture()], Some((title, change(path)))), &what);
                let parts = vec![picture(), Part::Note("help", "or not")];
                same(&report(parts, Some((title, change(path)))), &what);
            }
        }
    }
}

/// Numbers from a seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 20] = [
            "a",
            " = ",
            "\n",
            "\n",
            "[",
            "]\n",
            "\"値\"",
            "\t",
            "\r\n",
            "名",
            "e\u{301}",
            "    ",
            "}\n",
            "\n\n\n",
            "# note",
            "\u{0}",
            "\r",
            "[services.a]\n",
            "0123456789012345678901234567890123456789",
            "\u{1f980}",
        ];
        let pieces = self.below(24);
        (0..pieces).map(|_| self.pick(&PIECES)).collect()
    }

    /// Two places of `text`, most often near each other.
    fn range(&mut self, text: &str) -> std::ops::Range<usize> {
        let places: Vec<usize> = (0..=text.len())
            .filter(|at| text.is_char_boundary(*at))
            .collect();
        let from = self.below(places.len());
        let most = match self.below(3) {
            0 => places.len(),
            _ => places.len().min(from + 8),
        };
        places[from]..places[from + self.below(most - from)]
    }
}

#[test]
fn pictures_at_random_are_what_rustc_would_draw() {
    let mut random = Random(0x5eed);
    for round in 0..6_000 {
        let texts: Vec<String> = (0..random.below(3)).map(|_| random.text()).collect();
        let mut parts = Vec::new();
        for text in &texts {
            let marks = (0..=random.below(5)).map(|_| Mark {
                range: random.range(text),
                label: random.pick(&["", "x", "a label", "a much longer label than that"]),
                primary: random.below(2) == 0,
            });
            parts.push(Part::Picture(Picture {
                marks: marks.collect(),
                path: random.pick(&["a.toml", "b.toml"]),
                text,
                first_line: 1 + random.below(120),
            }));
        }
        for _ in 0..random.below(3) {
            let text = random.pick(&["n", "two\nlines"]);
            parts.push(Part::Note(random.pick(&["note", "help"]), text));
        }
        let text = random.text();
        let change = (random.below(2) == 0).then(|| Change {
            range: random.range(&text),
            path: random.pick(&["a.toml", "b.toml"]),
            text: &text,
            first_line: 1 + random.below(120),
            replacement: random.pick(&["", "x", "[", "\"値\"", " ", "a = ", "\t"]),
        });
        let change = change.map(|change| ("write it so", change));
        same(&report(parts, change), &format!("round {round}"));
    }
}
