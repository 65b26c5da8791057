//! Hostile and huge inputs: no panic, no unbounded time, a plan that keeps its promises.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write;
use std::time::{Duration, Instant};

use sink_schema::{
    Capabilities, Color, Diagnostics, Format, Layers, MAX_REGISTRY_BYTES, Plan, SourceFile, load,
};

fn judge(text: &str) -> (Plan, Diagnostics) {
    load(&Layers::of(&SourceFile::new("services.toml", text)))
}

fn registry(services: usize) -> String {
    let mut text = String::new();
    for at in 0..services {
        let _ = write!(
            text,
            "[services.s{at}]\ntype = \"direct\"\nendpoint = \"inproc://s{at}\"\nbuffer_size = 500\nmessage = \"crate::Tick\"\n\n"
        );
        if at % 4 == 3 {
            let (a, b) = (at - 1, at);
            let _ = write!(
                text,
                "[services.c{at}]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"s{a}\", \"s{b}\"]\n\n"
            );
        }
    }
    text
}

/// The best of a few runs: other work on the host only ever adds.
fn best(mut run: impl FnMut()) -> Duration {
    let mut measure = || {
        let started = Instant::now();
        run();
        started.elapsed()
    };
    (0..5).map(|_| measure()).min().unwrap()
}

#[test]
fn time_is_linear_in_the_number_of_services() {
    let (small, large) = (registry(1_000), registry(8_000));
    let (small, large) = (best(|| drop(judge(&small))), best(|| drop(judge(&large))));
    assert!(
        large < small * 24,
        "1,000 services {small:?}, 8,000 services {large:?}"
    );
}

#[test]
fn a_file_of_ten_megabytes_is_refused_at_once() {
    let text = "# a comment\n".repeat(10 * 1_024 * 1_024 / 12);
    assert!(text.len() > MAX_REGISTRY_BYTES);
    let (plan, mistakes) = judge(&text);
    assert!(plan.services.is_empty());
    let picture = mistakes.render(Format::Human, Color::Never);
    assert!(
        picture.starts_with("error[E0115]: the registry is 10 MiB long, at most 4 MiB are read"),
        "{picture}"
    );
}

#[test]
fn a_file_full_of_mistakes_shows_a_bounded_number() {
    for line in [
        "x\n",
        "[services.a]\n",
        "a = 1\n",
        "]]]\n",
        "\"\"\"\n",
        "[services.\"\"]\n",
        "[[a]]\n",
        "x = [\n",
        "x = {a=1\n",
        "x = [\n[a]\n",
        "x = \"\n",
        "x = '''\n",
    ] {
        let text = line.repeat(250_000 / line.len());
        let started = Instant::now();
        let (_, mistakes) = judge(&text);
        assert!(mistakes.len() <= 2_000, "{line:?}: {}", mistakes.len());
        assert!(mistakes.render(Format::Human, Color::Never).len() < 10_000_000);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{line:?}: {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn a_chain_of_ten_thousand_composites_does_not_recurse() {
    let mut text = String::from("[services.c0]\ntype = \"relay\"\n");
    for at in 1..10_000 {
        let _ = write!(
            text,
            "[services.c{at}]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"c{}\"]\n",
            at - 1
        );
    }
    let (_, mistakes) = judge(&text);
    assert_eq!(
        mistakes
            .errors()
            .filter(|item| item.code == "E0136")
            .count(),
        1
    );
    let ring = text.replacen(
        "[services.c0]\ntype = \"relay\"\n",
        "[services.c0]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"c9999\"]\n",
        1,
    );
    let (plan, mistakes) = judge(&ring);
    assert_eq!(
        mistakes
            .errors()
            .filter(|item| item.code == "E0132")
            .count(),
        1
    );
    assert!(plan.services.is_empty());
}

/// A small deterministic generator: the same texts in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

#[test]
fn damaged_registries_never_panic() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/registry/bad");
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            texts.push(std::fs::read_to_string(path).unwrap());
        }
    }
    texts.sort();
    let mut dice = Dice(0x5EED);
    let scraps = [
        "\"", "[", "]", "{", "}", "=", ".", "\n", "\r", "\t", "'''", "\"\"\"", "é", "\u{202e}",
        "services", "-1", ",",
    ];
    for round in 0..4_000 {
        let mut text: Vec<char> = texts[dice.roll(texts.len())].chars().take(4_000).collect();
        for _ in 0..=dice.roll(6) {
            let at = dice.roll(text.len() + 1);
            match dice.roll(3) {
                0 if at < text.len() => drop(text.remove(at)),
                1 => text.truncate(at.max(1)),
                _ => {
                    let scrap = scraps[dice.roll(scraps.len())];
                    scrap
                        .chars()
                        .rev()
                        .for_each(|c| text.insert(at.min(text.len()), c));
                }
            }
        }
        let text: String = text.into_iter().collect();
        let base = SourceFile::new("services.toml", text.clone());
        let overlay = SourceFile::new("services.prod.toml", texts[dice.roll(texts.len())].clone());
        let environment = vec![(
            "SINKS__ORDERS__ENDPOINT".to_owned(),
            text.chars().take(40).collect(),
        )];
        let capabilities = if round % 2 == 0 {
            Capabilities::build()
        } else {
            Capabilities::everything()
        };
        let layers = Layers {
            base: &base,
            overlay: (round % 3 == 0).then_some(&overlay),
            environment: &environment,
            capabilities,
        };
        let (plan, mistakes) = load(&layers);
        for format in [Format::Human, Format::Short, Format::Json, Format::Github] {
            let _ = mistakes.render(format, Color::Never);
        }
        // What the plan holds can be built: every target is there, and nothing broken is beside the point.
        for service in &plan.services {
            for target in service
                .composite()
                .map_or(&[][..], |composite| &composite.targets)
            {
                assert!(plan.find(target).is_some(), "{text}");
            }
        }
        assert!(plan.broken.is_empty() || mistakes.has_errors(), "{text}");
    }
}

/// A registry that is in order, with a bracket or quote of every kind.
const SOUND: &str = r#"[defaults]
buffer_size = 100

[services.orders]
type = "direct"
endpoint = "tcp://127.0.0.1:9100"
message = "crate::Order"
aliases = ["old"]

[services.audit]
type = "direct"
endpoint = 'tcp://127.0.0.1:9101'
framing = "lines"
preamble = { env = "HELLO" }

[services.feed]
type = "relay"
retain = 5_000
message = "crate::Order"

[services.all]
type = "composite"
pattern = "fanout"
targets = [
    "orders",
    "feed",
]
optional = ["feed"]

[lints]
diamond = "allow"
"#;

#[test]
fn a_lost_bracket_or_quote_is_one_error_and_the_other_services_are_sound() {
    assert!(judge(SOUND).1.is_empty(), "{}", judge(SOUND).1);
    let mut lost = 0;
    for (at, gone) in SOUND.char_indices() {
        if !"[]{}\"'".contains(gone) {
            continue;
        }
        lost += 1;
        let text = format!("{}{}", &SOUND[..at], &SOUND[at + 1..]);
        let (plan, mistakes) = judge(&text);
        let line = SOUND[..at].matches('\n').count() + 1;
        let case = format!("without the `{gone}` of line {line}:\n{mistakes}");
        assert_eq!(mistakes.errors().count(), 1, "{case}");
        // A header that is none takes what is below it along.
        let header = SOUND.lines().nth(line - 1).unwrap().starts_with('[');
        assert!(header || plan.services.len() >= 2, "{plan:?}\n{case}");
    }
    assert!(lost > 50, "{lost}");
}
