//! The corpus: every bad registry beside the text that is shown for it, every good one without any.
//!
//! `tests/registry/bad/x.toml` with `x.overlay.toml` and `x.env` where there are such layers, and `x.err` as it is drawn;
//! `UPDATE=1` rewrites the latter. A line `# capabilities: everything` (or `none`) in the file says what is built in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sink_schema::{
    Capabilities, Color, Diagnostics, Format, Layers, Plan, SourceFile, load, load_over,
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/registry")
        .join(name)
}

/// Every case of a folder by name, with the paths of its layers.
fn cases(name: &str) -> BTreeMap<String, PathBuf> {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(case) = file
            .strip_suffix(".toml")
            .filter(|case| !case.ends_with(".overlay"))
        {
            cases.insert(case.to_owned(), path);
        }
    }
    cases
}

fn environment(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path.with_extension("env")).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn judge(path: &Path) -> (Plan, Diagnostics) {
    judge_text(path, std::fs::read_to_string(path).unwrap())
}

/// Judges another base file in the place of the case's own.
fn judge_text(path: &Path, text: String) -> (Plan, Diagnostics) {
    let base = SourceFile::new("services.toml", text);
    let overlay = std::fs::read_to_string(path.with_extension("overlay.toml")).ok();
    let overlay = overlay.map(|text| SourceFile::new("services.prod.toml", text));
    let capabilities = match () {
        () if base.text.contains("# capabilities: everything") => Capabilities::everything(),
        () if base.text.contains("# capabilities: none") => Capabilities::none(),
        () => Capabilities::build(),
    };
    let built = Layers {
        base: &base,
        overlay: None,
        environment: &[],
        capabilities,
    };
    let Some(overlay) = &overlay else {
        return load(&Layers {
            environment: &environment(path),
            ..built
        });
    };
    let (compiled, _) = load(&built);
    let over = Layers {
        overlay: Some(overlay),
        environment: &environment(path),
        ..built
    };
    load_over(&over, &compiled)
}

fn drawn(plan: &Plan, mistakes: &Diagnostics) -> String {
    let names = |names: Vec<&str>| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let sound = names(
        plan.services
            .iter()
            .map(|service| service.name.as_str())
            .collect(),
    );
    let broken = names(
        plan.broken
            .iter()
            .map(|service| service.name.as_str())
            .collect(),
    );
    let picture = mistakes.render(Format::Human, Color::Never);
    format!(
        "{picture}\n{}; sound: {}; broken: {}\n",
        mistakes.summary(),
        sound.escape_debug(),
        broken.escape_debug()
    )
}

#[test]
fn every_bad_registry_shows_its_text() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let cases = cases("bad");
    assert!(cases.len() >= 150, "{} cases", cases.len());
    for (case, path) in &cases {
        let (plan, mistakes) = judge(path);
        assert!(!mistakes.is_empty(), "{case} is not bad");
        let text = drawn(&plan, &mistakes);
        let expected = path.with_extension("err");
        if update {
            std::fs::write(&expected, &text).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != text {
            wrong.push(format!("=== {case}\n{text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases differ (UPDATE=1 rewrites):\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn every_good_registry_is_clean() {
    for (case, path) in cases("good") {
        let (plan, mistakes) = judge(&path);
        assert!(mistakes.is_empty(), "{case}:\n{mistakes}");
        assert!(
            plan.broken.is_empty() && !plan.services.is_empty(),
            "{case}"
        );
    }
}

/// The codes of which there are more errors now than before.
fn new_errors<'a>(before: &Diagnostics, after: &'a Diagnostics) -> Vec<&'a str> {
    let count =
        |all: &Diagnostics, code: &str| all.errors().filter(|item| item.code == code).count();
    let codes = after.errors().map(|item| item.code);
    codes
        .filter(|code| count(after, code) > count(before, code))
        .collect()
}

/// Mistakes that were in the file already, behind one that left nothing to judge.
const HIDDEN: [(&str, &str); 4] = [
    ("kind_targets_in_relay", "E0130"),
    ("ident_unquoted", "E0120"),
    ("secret_in_query", "E0154"),
    ("secret_unknown_part", "E0107"),
];

/// What a help says to add to a service, added: the mistake is gone, and no other has come.
#[test]
fn every_line_to_add_repairs_what_it_stands_under() {
    let mut lines = 0;
    for (case, path) in cases("bad") {
        let (_, before) = judge(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        for item in before.errors().filter(|item| item.path == "services.toml") {
            let Some(service) = &item.service else {
                continue;
            };
            let added: Vec<&str> = item
                .help
                .iter()
                .filter(|help| !help.starts_with("otherwise ") && !help.starts_with("if it is "))
                .flat_map(|help| lines_to_add(help))
                .collect();
            let header = [
                format!("[services.{service}]"),
                format!("[services.{service:?}]"),
            ];
            let header = header.iter().find(|header| text.contains(header.as_str()));
            let Some(header) = header.filter(|_| !added.is_empty()) else {
                continue;
            };
            let fixed = text.replacen(header, &format!("{header}\n{}", added.join("\n")), 1);
            let (_, after) = judge_text(&path, fixed.clone());
            let still = after.errors().any(|other| other.message == item.message);
            let new = new_errors(&before, &after);
            assert!(
                !still && new.is_empty(),
                "{case}: {added:?} does not repair {}, and brings {new:?}:\n{fixed}\n{after}",
                item.message
            );
            lines += added.len();
        }
    }
    assert!(lines >= 10, "{lines} lines");
}

/// The lines that "add `key = value`" and "keep the name and add `ident = …`" offer, if they are meant as they stand: of
/// alternatives the first, of several joined by "and" all.
fn lines_to_add(help: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = help.split_once("add `").map(|(_, rest)| rest);
    while let Some((line, behind)) = rest.and_then(|rest| rest.split_once('`')) {
        lines.push(line);
        rest = behind.strip_prefix(" and `");
    }
    let meant = |line: &&str| line.contains(" = ") && !line.contains('…');
    if lines.iter().all(meant) {
        lines
    } else {
        Vec::new()
    }
}

/// Applying a patch removes the mistake it stands under and brings no new one at that place.
#[test]
fn every_patch_repairs_what_it_stands_under() {
    let mut patches = 0;
    for (case, path) in cases("bad") {
        let (_, before) = judge(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        let capabilities = if text.contains("# capabilities: everything") {
            Capabilities::everything()
        } else {
            Capabilities::build()
        };
        let fixable = before.iter().filter(|item| {
            item.patch
                .as_ref()
                .is_some_and(|patch| patch.location.path == "services.toml")
        });
        for item in fixable.filter(|item| item.path == "services.toml") {
            let patch = item.patch.as_ref().unwrap();
            let mut fixed = text.clone();
            fixed.replace_range(patch.range.clone(), &patch.replacement);
            let base = SourceFile::new("services.toml", fixed.clone());
            let after = load(&Layers {
                base: &base,
                overlay: None,
                environment: &[],
                capabilities: capabilities.clone(),
            })
            .1;
            let still = after
                .iter()
                .any(|other| other.code == item.code && other.message == item.message);
            assert!(
                !still,
                "{case}: the patch does not repair {}:\n{fixed}\n{after}",
                item.message
            );
            let new = new_errors(&before, &after);
            let hidden = HIDDEN.contains(&(case.as_str(), new.concat().as_str()));
            assert!(
                new.is_empty() || hidden,
                "{case}: the patch of {} brings {new:?}:\n{fixed}\n{after}",
                item.code
            );
            patches += 1;
        }
    }
    assert!(patches >= 30, "{patches} patches");
}

/// What a help says to remove or to write in the place of something, done: the mistake is gone, and no other has come.
#[test]
fn every_help_that_removes_or_rewrites_repairs_what_it_stands_under() {
    let mut followed = 0;
    let mut wrong = Vec::new();
    for (case, path) in cases("bad") {
        let (_, before) = judge(&path);
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for item in before.errors().filter(|item| item.path == "services.toml") {
            let fixes = item.help.iter().filter_map(|help| follow(help, text, item));
            for fixed in fixes {
                followed += 1;
                let (_, after) = judge_text(&path, fixed.clone());
                let still = after.errors().any(|other| other.message == item.message);
                let new = new_errors(&before, &after);
                if (still || !new.is_empty()) && !HIDDEN.contains(&(case.as_str(), &new.concat())) {
                    wrong.push(format!(
                        "{case}: {:?} of {:?} brings {new:?}:\n{fixed}\n{after}",
                        item.help, item.message
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} helps lead nowhere:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(followed >= 40, "{followed} helps");
}

/// The text after a help was followed, if it says to remove lines, or to write a line in the place of one, and what to add.
fn follow(help: &str, text: &str, item: &sink_schema::Diagnostic) -> Option<String> {
    let help = help.strip_prefix("otherwise ").unwrap_or(help);
    let help = match help.strip_prefix("if it is ") {
        Some(rest) if rest.contains(", and remove ") => return None,
        Some(rest) => rest.split_once(", ")?.1,
        None => help,
    };
    let mut lines: Vec<&str> = text.lines().collect();
    let table = item.line as usize - 1;
    let table = (0..=table).rev().find(|at| lines[*at].starts_with('['))?;
    if help.starts_with("remove it") || help.starts_with("remove them") {
        let places = item.labels.iter();
        let places = places.filter(|label| label.primary || label.text == "nor this");
        let gone: Vec<usize> = places
            .map(|label| label.location.line as usize - 1)
            .collect();
        let whole = |at: &usize| {
            lines[*at]
                .split_once('=')
                .is_some_and(|(key, _)| !key.contains('{'))
        };
        if !gone.iter().all(whole) {
            return None;
        }
        gone.iter().for_each(|at| lines[*at] = "");
    } else if let Some(rest) = help.strip_prefix("remove `") {
        let (key, _) = rest.split_once('`')?;
        let at = line_of(key, &lines, table)?;
        lines[at] = "";
    } else if let Some(rest) = help.strip_prefix("write `") {
        let (line, _) = rest.split_once('`')?;
        let (key, _) = line.split_once(" = ").filter(|_| !line.contains('…'))?;
        let at = line_of(key, &lines, table)?;
        lines[at] = line;
    } else {
        return None;
    }
    if help.contains(", and add ") {
        let added = lines_to_add(help);
        if added.is_empty() {
            // A placeholder, which nobody writes as it stands.
            return None;
        }
        added
            .into_iter()
            .for_each(|line| lines.insert(table + 1, line));
    }
    Some(lines.join("\n"))
}

/// Where a key stands in a table.
fn line_of(key: &str, lines: &[&str], table: usize) -> Option<usize> {
    let end = (table + 1..lines.len()).find(|at| lines[*at].starts_with('['));
    (table..end.unwrap_or(lines.len())).find(|at| {
        let line = lines[*at].trim_start();
        line.strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

/// Every code but those for huge files and for files that are none has a case.
#[test]
fn every_code_has_a_case() {
    let mut seen = std::collections::BTreeSet::new();
    for path in cases("bad").values() {
        seen.extend(judge(path).1.iter().map(|item| item.code));
    }
    let missing: Vec<&str> = sink_schema::explanations()
        .map(|found| found.code)
        .filter(|code| !seen.contains(code) && !["E0115", "E0117"].contains(code))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

/// Line and column of every mistake point into its file.
#[test]
fn every_place_exists() {
    for (case, path) in cases("bad") {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for item in judge(&path)
            .1
            .iter()
            .filter(|item| item.path == "services.toml")
        {
            let line = text
                .split('\n')
                .nth(item.line as usize - 1)
                .unwrap_or_else(|| panic!("{case}: {}", item.location()));
            assert!(
                item.column as usize <= line.chars().count() + 1,
                "{case}: {}",
                item.location()
            );
        }
    }
}
