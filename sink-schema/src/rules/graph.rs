//! Rules about composites as a whole: cycles, depth, one message type, one wire, a leaf reached twice. Nothing recurses.

use crate::by_name::ByName;
use crate::codes;
use crate::draft::Draft;
use crate::keys::Kinds;
use crate::mistakes::{Mistake, Mistakes};
use crate::names::show;
use crate::text::Span;

use super::composite::Graph;

/// Deepest nesting of composites: their types nest as well, and rustc minds.
pub(crate) const MAX_NESTING: u32 = 16;

/// Longest cycle that is written out in full.
const SHOWN_CYCLE: usize = 8;

/// Entries of leaf sets that the search for diamonds may cost.
const MAX_DIAMOND_WORK: usize = 1_000_000;

/// What is known of each service once its members are.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Message type, if it is known: `Some(None)` is untyped.
    pub(super) message: Option<Option<String>>,
    message_span: Option<Span>,
    wire: Option<(&'static str, &'static str)>,
    wire_span: Option<Span>,
    pub(super) at_least_once: bool,
    depth: u32,
    leaves: Vec<usize>,
}

/// Facts of all services, members before composites; `None` for what lies on a cycle or above one.
pub(super) fn judge(
    drafts: &[Draft],
    graph: &Graph,
    mistakes: &mut Mistakes,
) -> Vec<Option<Facts>> {
    let order = order(drafts, graph, mistakes);
    let mut facts: Vec<Option<Facts>> = vec![None; drafts.len()];
    let mut work = 0;
    for at in order {
        facts[at] = match drafts[at].is_composite() {
            true => composite(at, drafts, graph, &facts, &mut work, mistakes),
            false => Some(leaf(at, &drafts[at])),
        };
    }
    facts
}

/// Members before composites; services on a cycle, or above one, are left out.
fn order(drafts: &[Draft], graph: &Graph, mistakes: &mut Mistakes) -> Vec<usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
        Cyclic,
    }
    let mut marks = vec![Mark::New; drafts.len()];
    let mut in_cycle = vec![false; drafts.len()];
    let mut order = Vec::with_capacity(drafts.len());
    for root in 0..drafts.len() {
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::Open;
        let mut path: Vec<(usize, usize)> = vec![(root, 0)];
        while let Some((at, next)) = path.pop() {
            let Some(edge) = graph.edges[at].get(next) else {
                let cyclic = in_cycle[at]
                    || graph.edges[at]
                        .iter()
                        .any(|edge| marks[edge.to] == Mark::Cyclic);
                marks[at] = if cyclic { Mark::Cyclic } else { Mark::Done };
                if !cyclic {
                    order.push(at);
                }
                continue;
            };
            path.push((at, next + 1));
            match marks[edge.to] {
                Mark::New => {
                    marks[edge.to] = Mark::Open;
                    path.push((edge.to, 0));
                }
                Mark::Open => {
                    let told = in_cycle[edge.to] && in_cycle[at];
                    let start = path.iter().position(|(on, _)| *on == edge.to).unwrap_or(0);
                    if !told {
                        let members: Vec<(usize, Span)> = path[start..]
                            .iter()
                            .map(|(on, next)| (*on, graph.edges[*on][next.saturating_sub(1)].span))
                            .collect();
                        cycle(drafts, &members, mistakes);
                        members.iter().for_each(|(on, _)| in_cycle[*on] = true);
                    }
                }
                Mark::Done | Mark::Cyclic => {}
            }
        }
    }
    order
}

/// Tells one cycle as a path, beginning with the service that stands first in the file.
fn cycle(drafts: &[Draft], members: &[(usize, Span)], mistakes: &mut Mistakes) {
    let first = members
        .iter()
        .enumerate()
        .min_by_key(|(_, (at, _))| *at)
        .map_or(0, |(place, _)| place);
    let turned: Vec<(usize, Span)> = members[first..]
        .iter()
        .chain(&members[..first])
        .copied()
        .collect();
    let mut path: Vec<String> = turned
        .iter()
        .take(SHOWN_CYCLE)
        .map(|(at, _)| show(&drafts[*at].name))
        .collect();
    if turned.len() > SHOWN_CYCLE {
        path.push(format!("({} more)", turned.len() - SHOWN_CYCLE));
    }
    let Some(((start, span), rest)) = turned.split_first() else {
        return;
    };
    path.push(show(&drafts[*start].name));
    let target = |place: usize| turned.get(place + 1).unwrap_or(&turned[0]).0;
    let message = format!("composites contain each other: {}", path.join(" → "));
    let mut mistake = Mistake::new(codes::CYCLE, *span, message)
        .label(format!(
            "{} contains {}",
            show(&drafts[*start].name),
            show(&drafts[target(0)].name)
        ))
        .of(&drafts[*start].name);
    for (place, (at, span)) in rest.iter().enumerate().take(SHOWN_CYCLE - 1) {
        let words = format!(
            "{} contains {}",
            show(&drafts[*at].name),
            show(&drafts[target(place + 1)].name)
        );
        mistake = mistake.also(*span, words);
    }
    let sparing = turned
        .iter()
        .any(|(at, _)| super::composite::spares_one(&drafts[*at]));
    mistakes.push(mistake.help(match sparing {
        true => "remove one of these targets",
        false => "name another service in the place of one of these targets",
    }));
}

fn leaf(at: usize, draft: &Draft) -> Facts {
    let message = match draft.get("message") {
        _ if draft.is_poisoned("message") || !draft.is_leaf() => None,
        Some(_) => Some(draft.text("message").map(str::to_owned)),
        // It may stand where nothing could be read.
        None if draft.torn => None,
        None => Some(None),
    };
    let place = |key: &str| {
        draft
            .get(key)
            .map_or(draft.name_span, |given| given.value_span)
    };
    Facts {
        message,
        message_span: Some(place("message")),
        wire: draft
            .codec()
            .zip(draft.word("framing"))
            .filter(|_| draft.is_leaf() && !draft.torn && !draft.is_poisoned("framing")),
        wire_span: Some(if draft.get("framing").is_some() {
            place("framing")
        } else {
            place("codec")
        }),
        at_least_once: draft.at_least_once(),
        depth: 0,
        leaves: vec![at],
    }
}

fn composite(
    at: usize,
    drafts: &[Draft],
    graph: &Graph,
    facts: &[Option<Facts>],
    work: &mut usize,
    mistakes: &mut Mistakes,
) -> Option<Facts> {
    let draft = &drafts[at];
    let edges = &graph.edges[at];
    let members: Vec<(&Facts, usize, Span)> = edges
        .iter()
        .filter_map(|edge| {
            facts[edge.to]
                .as_ref()
                .map(|facts| (facts, edge.to, edge.span))
        })
        .collect();
    let depth = members
        .iter()
        .map(|(facts, _, _)| facts.depth)
        .max()
        .unwrap_or(0)
        + 1;
    if depth == MAX_NESTING + 1 {
        let message = format!("composite {} is nested {depth} deep", show(&draft.name));
        mistakes.push(
            Mistake::new(codes::NESTED_TOO_DEEP, draft.name_span, message)
                .label(format!("at most {MAX_NESTING} levels"))
                .help("name the leaves in fewer, wider composites")
                .of(&draft.name),
        );
    }
    let message = one_message(draft, drafts, &members, mistakes);
    let wire = one_wire(draft, drafts, &members, mistakes);
    let leaves = leaves(draft, drafts, &members, work, mistakes);
    let mut optional = ByName::default();
    for (name, _) in draft.names("optional") {
        optional.insert(name, ());
    }
    let is_optional = |target: &Draft| {
        let former = target
            .aliases
            .iter()
            .any(|(alias, ..)| optional.contains(alias));
        former || optional.contains(&target.name)
    };
    let mut deciding = members
        .iter()
        .filter(|(_, to, _)| !is_optional(&drafts[*to]));
    let at_least_once = !members.is_empty() && deciding.all(|(facts, _, _)| facts.at_least_once);
    Some(Facts {
        message: message.map(|(message, _)| message),
        message_span: members.first().and_then(|(facts, _, _)| facts.message_span),
        wire: wire.map(|(wire, _)| wire),
        wire_span: members.first().and_then(|(facts, _, _)| facts.wire_span),
        at_least_once,
        depth,
        leaves,
    })
}

fn carried(message: &Option<String>) -> String {
    match message {
        Some(message) => show(message),
        None => "untyped messages".to_owned(),
    }
}

/// All members carry one message type.
fn one_message(
    draft: &Draft,
    drafts: &[Draft],
    members: &[(&Facts, usize, Span)],
    mistakes: &mut Mistakes,
) -> Option<(Option<String>, Span)> {
    let mut known = members.iter().filter_map(|(facts, to, span)| {
        facts
            .message
            .as_ref()
            .map(|message| (message, facts, to, span))
    });
    let (first, first_facts, first_to, _) = known.next()?;
    for (message, facts, to, span) in known {
        if message == first {
            continue;
        }
        let text = format!("targets of {} carry different messages", show(&draft.name));
        let mut mistake = Mistake::new(codes::MIXED_MESSAGES, *span, text)
            .label(format!("carries {}", carried(message)))
            .of(&draft.name);
        for (facts, message, to) in [(first_facts, first, first_to), (facts, message, to)] {
            if let Some(place) = facts.message_span {
                mistake = mistake.also(
                    place,
                    format!("{} carries {}", show(&drafts[*to].name), carried(message)),
                );
            }
        }
        mistakes
            .push(mistake.help("write the same `message` in all of them, or take this target out"));
        return None;
    }
    Some((first.clone(), draft.name_span))
}

/// All members of a failover write the same bytes, so that what one has not sent another can.
fn one_wire(
    draft: &Draft,
    drafts: &[Draft],
    members: &[(&Facts, usize, Span)],
    mistakes: &mut Mistakes,
) -> Option<((&'static str, &'static str), Span)> {
    let known: Vec<_> = members
        .iter()
        .filter_map(|(facts, to, span)| facts.wire.map(|wire| (wire, facts, to, span)))
        .collect();
    let (first, first_facts, first_to, _) = known.first()?;
    let other = known.iter().find(|(wire, ..)| wire != first);
    let Some((wire, facts, to, span)) = other else {
        return (known.len() == members.len()).then_some((*first, draft.name_span));
    };
    // Different message types explain different codecs, and are told already.
    let same_message = facts.message == first_facts.message;
    if draft.kind == Kinds::FAILOVER && same_message {
        let (what, ours, theirs) = if wire.0 == first.0 {
            ("framing", wire.1, first.1)
        } else {
            ("codec", wire.0, first.0)
        };
        let text = format!("targets of failover {} differ in {what}", show(&draft.name));
        let mut mistake = Mistake::new(codes::MIXED_WIRE, **span, text)
            .label(format!("{what} `{ours}`"))
            .of(&draft.name);
        for (facts, to, word) in [(first_facts, first_to, theirs), (facts, to, ours)] {
            if let Some(place) = facts.wire_span {
                mistake = mistake.also(
                    place,
                    format!("{} has {what} `{word}`", show(&drafts[**to].name)),
                );
            }
        }
        mistakes.push(mistake.help(format!("write the same `{what}` in all of them")));
    }
    None
}

/// The leaves below a composite; warns where a fan-out reaches one by two ways.
fn leaves(
    draft: &Draft,
    drafts: &[Draft],
    members: &[(&Facts, usize, Span)],
    work: &mut usize,
    mistakes: &mut Mistakes,
) -> Vec<usize> {
    let total: usize = members.iter().map(|(facts, _, _)| facts.leaves.len()).sum();
    *work = work.saturating_add(total);
    if *work > MAX_DIAMOND_WORK {
        return Vec::new();
    }
    let mut all: Vec<(usize, usize)> = Vec::with_capacity(total);
    for (place, (facts, _, _)) in members.iter().enumerate() {
        all.extend(facts.leaves.iter().map(|leaf| (*leaf, place)));
    }
    all.sort_unstable();
    if draft.kind == Kinds::FANOUT {
        let twice = all.windows(2).find(|pair| pair[0].0 == pair[1].0);
        if let Some([(leaf, first), (_, second)]) =
            twice.and_then(|pair| <&[(usize, usize); 2]>::try_from(pair).ok())
        {
            diamond(
                draft,
                drafts,
                *leaf,
                members[*first],
                members[*second],
                mistakes,
            );
        }
    }
    let mut leaves: Vec<usize> = all.into_iter().map(|(leaf, _)| leaf).collect();
    leaves.dedup();
    leaves
}

fn diamond(
    draft: &Draft,
    drafts: &[Draft],
    leaf: usize,
    first: (&Facts, usize, Span),
    second: (&Facts, usize, Span),
    mistakes: &mut Mistakes,
) {
    let name = show(&drafts[leaf].name);
    let way = |(_, to, _): &(&Facts, usize, Span)| {
        if *to == leaf {
            "reaches it directly".to_owned()
        } else {
            format!("reaches it through {}", show(&drafts[*to].name))
        }
    };
    mistakes.push(
        Mistake::new(
            codes::DIAMOND,
            second.2,
            format!("fan-out {} reaches {name} by two ways", show(&draft.name)),
        )
        .label(way(&second))
        .also(first.2, way(&first))
        .note(format!("every message is sent to {name} twice"))
        .help("take one of the two out")
        .of(&draft.name),
    );
}
