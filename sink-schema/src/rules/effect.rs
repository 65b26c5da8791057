//! A key that has no effect is never passed over: what gives each key one stands in the table of keys.

use crate::codes;
use crate::draft::{Draft, Given};
use crate::endpoint::Endpoint;
use crate::keys::{Kinds, Only};
use crate::mistakes::{Mistake, Mistakes};
use crate::text::Span;
use crate::values::Typed;

use super::leaf::foreign;

/// Tells every key of a leaf that nothing minds; runs after what is wrong with endpoint and framing themselves.
pub(super) fn judge(draft: &Draft, mistakes: &mut Mistakes) {
    for given in &draft.given {
        // What never happens has no effect anywhere.
        if matches!(given.typed, Typed::Millis(None)) {
            continue;
        }
        let missing = given.key.only.iter().find_map(|only| lacks(draft, *only));
        let Some((what, because)) = missing else {
            continue;
        };
        if is_own(given, because) {
            tell(draft, given, what, because, mistakes);
        }
    }
}

/// What a service is instead of what a key needs, and where that is written; `None` if it has what is needed, or may have.
fn lacks(draft: &Draft, only: Only) -> Option<(Lacks, Option<Span>)> {
    let endpoint = draft.endpoint("endpoint");
    let span = endpoint.map(|(_, span)| span);
    match only {
        Only::Scheme(wanted) => {
            let scheme = match endpoint {
                // A carrier of another crate may mind any key.
                Some((Endpoint::Other { .. }, _)) => return None,
                Some((endpoint, _)) => endpoint.scheme(),
                None if draft.kind == Kinds::RELAY && !draft.is_poisoned("endpoint") => "unix",
                None => return None,
            };
            (scheme != wanted).then(|| (Lacks::Scheme(scheme.to_owned(), wanted), span))
        }
        Only::Connection => is_within(draft).then_some((Lacks::Connection, span)),
        Only::Size => {
            let is_typed = draft.get("message").is_some();
            (is_within(draft) && is_typed).then_some((Lacks::Size, span))
        }
        Only::OurFraming => {
            let framing = draft.get("framing")?;
            foreign(draft).map(|word| (Lacks::OurFraming(word), Some(framing.value_span)))
        }
        Only::ForeignFraming => {
            let ours = draft.word("framing") == Some("sink") && !draft.is_poisoned("framing");
            let written = draft.get("framing").map(|given| given.value_span);
            ours.then_some((Lacks::ForeignFraming, written))
        }
    }
}

/// Whether its messages stay in this process.
fn is_within(draft: &Draft) -> bool {
    let is_inproc = matches!(draft.endpoint("endpoint"), Some((Endpoint::Inproc(_), _)));
    is_inproc && draft.kind == Kinds::DIRECT
}

/// See [`Only`].
enum Lacks {
    Scheme(String, &'static str),
    Connection,
    Size,
    OurFraming(&'static str),
    ForeignFraming,
}

/// Whether the key was written by someone who could see what takes its effect: an overlay that moves a service into this
/// process leaves the keys of the base as they are.
fn is_own(given: &Given, because: Option<Span>) -> bool {
    !given.inherited && because.is_none_or(|because| given.key_span.file >= because.file)
}

fn tell(
    draft: &Draft,
    given: &Given,
    lacks: Lacks,
    because: Option<Span>,
    mistakes: &mut Mistakes,
) {
    let key = given.key.name;
    let (where_, label, place, help) = match lacks {
        Lacks::Scheme(scheme, wanted) => (
            format!("on {scheme}"),
            Only::Scheme(wanted).words(),
            "the endpoint",
            "remove it",
        ),
        Lacks::Connection => (
            "within one process".to_owned(),
            Only::Connection.words(),
            "stays in this process",
            "remove it",
        ),
        Lacks::Size => (
            "on typed messages within one process".to_owned(),
            Only::Size.words(),
            "stays in this process",
            "remove it",
        ),
        Lacks::OurFraming(word) => (
            format!("under the framing `{word}`"),
            Only::OurFraming.words(),
            "a peer that is not ours",
            "remove it",
        ),
        Lacks::ForeignFraming => (
            "on our own framing".to_owned(),
            Only::ForeignFraming.words(),
            "our own",
            "remove it, or write the peer's `framing`",
        ),
    };
    let mut mistake = Mistake::new(
        codes::NO_EFFECT,
        given.key_span,
        format!("`{key}` has no effect {where_}"),
    )
    .label(format!("only {label}"))
    .help(help)
    .of(&draft.name);
    if let Some(because) = because {
        mistake = mistake.also(because, place);
    }
    mistakes.push(mistake);
}
