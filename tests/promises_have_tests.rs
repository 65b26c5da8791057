//! docs/PROMISES.md against the tests: each numbered line is shown by a test whose name ends with its number.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// `4.10` for each numbered line that is built: what is not built yet stands in italics.
fn promised(document: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut numbers = BTreeSet::new();
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.split(' ').next().unwrap_or_default();
        } else if let Some((number, _)) = line.split_once(". ")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            numbers.insert(format!("{section}.{number}"));
        }
    }
    numbers
}

/// `4.10` for each `fn …_4_10(` below this folder.
fn shown(folder: &Path, numbers: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            shown(&path, numbers);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("source is text");
            for (_, after) in text
                .match_indices("fn ")
                .map(|(at, word)| text.split_at(at + word.len()))
            {
                let name = after.split('(').next().unwrap_or_default();
                let mut words = name.rsplit('_');
                if let (Some(line), Some(section)) = (words.next(), words.next())
                    && [line, section].iter().all(|word| {
                        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
                    })
                {
                    numbers.insert(format!("{section}.{line}"));
                }
            }
        }
    }
}

#[test]
fn every_numbered_promise_has_a_test_of_its_number() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document =
        fs::read_to_string(root.join("docs/PROMISES.md")).expect("the promises are in docs");
    let promised = promised(&document);
    assert!(
        promised.len() > 40,
        "only {} lines were found",
        promised.len()
    );

    let mut tests = BTreeSet::new();
    shown(root, &mut tests);
    let bare: Vec<_> = promised.difference(&tests).collect();
    assert!(bare.is_empty(), "no test is named after {bare:?}");
}
