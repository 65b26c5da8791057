use super::*;
use crate::{Capabilities, Diagnostics, Layers, SourceFile, load, load_over};

/// Splits an example into base, overlay and environment.
fn judge(example: &str, capabilities: Capabilities) -> Diagnostics {
    let (rest, environment) = example
        .split_once("# environment\n")
        .unwrap_or((example, ""));
    let (base, overlay) = rest
        .split_once("# services.prod.toml\n")
        .unwrap_or((rest, ""));
    let base = SourceFile::new("services.toml", base);
    let overlay = SourceFile::new("services.prod.toml", overlay);
    let environment: Vec<(String, String)> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let overlay = (!overlay.text.is_empty()).then_some(&overlay);
    let built = Layers {
        base: &base,
        overlay: None,
        environment: &[],
        capabilities,
    };
    let (compiled, _) = load(&built);
    let runs = Layers {
        overlay,
        environment: &environment,
        ..built
    };
    load_over(&runs, &compiled).1
}

#[test]
fn every_code_is_explained_once_and_in_order() {
    let known: Vec<&str> = codes::ALL.iter().map(|(code, _)| *code).collect();
    let explained: Vec<&str> = explanations().map(|found| found.code).collect();
    assert_eq!(known, explained);
    assert_eq!(explain("e0102").map(|found| found.code), Some("E0102"));
    assert_eq!(
        explain("shared_directory").map(|found| found.code),
        Some("W0201")
    );
    assert_eq!(explain("E9999"), None);
}

#[test]
fn wrong_examples_have_the_mistake_and_nothing_else() {
    let shown = |code| ![codes::TOO_LARGE, codes::UNREADABLE].contains(&code);
    for found in explanations().filter(|found| shown(found.code)) {
        let at_hand = [
            Capabilities::build(),
            Capabilities::everything(),
            Capabilities::none()
                .with_scheme("unix")
                .with_feature("postcard"),
        ];
        let told: Vec<Diagnostics> = at_hand
            .into_iter()
            .map(|capabilities| judge(found.wrong, capabilities))
            .collect();
        let exact = |mistakes: &Diagnostics| {
            mistakes.len() == 1 && mistakes.iter().all(|item| item.code == found.code)
        };
        assert!(told.iter().any(exact), "{}: {}", found.code, told[0]);
    }
}

#[test]
fn right_examples_are_clean() {
    for found in explanations() {
        let told = judge(found.right, Capabilities::everything());
        assert!(told.is_empty(), "{}: {told}", found.code);
    }
}

/// Who follows an explanation has a registry that this version builds.
#[test]
fn right_examples_are_built() {
    // It shows the one secret of the language, which no version has a use for yet.
    let not_yet = [codes::LITERAL_SECRET];
    let judged = |found: &Explanation| judge(found.right, Capabilities::build());
    let refused = explanations().filter(|found| !judged(found).is_empty());
    let refused: Vec<&str> = refused.map(|found| found.code).collect();
    assert_eq!(refused, not_yet);
}
