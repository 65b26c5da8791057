//! Rules about one composite's lists, and the graph of who contains whom.

use crate::by_name::ByName;
use crate::codes;
use crate::draft::Draft;
use crate::keys::Kinds;
use crate::mistakes::{Mistake, Mistakes};
use crate::names::shown_key;
use crate::names::{self, show};
use crate::plan::Ack;
use crate::raw::Registry;
use crate::text::Span;
use crate::values::Typed;

/// Most targets of one composite: its type is a tuple of them.
pub(crate) const MAX_TARGETS: usize = 8;

/// Misspelt targets that get a suggestion; each is compared with every service.
const MAX_SUGGESTIONS: usize = 200;

/// One target of a composite that exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) to: usize,
    pub(super) span: Span,
}

/// For each draft its targets; empty for leaves.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) edges: Vec<Vec<Edge>>,
    /// A target is missing or repeated, so that nothing can be said of the whole.
    pub(super) incomplete: Vec<bool>,
}

/// Judges each composite's lists and resolves names to services.
pub(super) fn judge(drafts: &[Draft], registry: &Registry, mistakes: &mut Mistakes) -> Graph {
    let mut index = ByName::default();
    for (at, draft) in drafts.iter().enumerate() {
        for (alias, _, _) in &draft.aliases {
            index.insert(alias, (at, true));
        }
    }
    for (at, draft) in drafts.iter().enumerate() {
        index.insert(&draft.name, (at, false));
    }
    let mut resolver = Resolver {
        drafts,
        index,
        torn: registry.torn,
        suggestions: 0,
    };
    let mut graph = Graph {
        edges: Vec::with_capacity(drafts.len()),
        incomplete: Vec::with_capacity(drafts.len()),
    };
    for (at, draft) in drafts.iter().enumerate() {
        let mut edges = Vec::new();
        let mut incomplete = false;
        if draft.kind.overlaps(Kinds::COMPOSITE) && !draft.torn {
            incomplete = !resolver.targets(at, draft, &mut edges, mistakes);
            if !incomplete {
                lists(draft, &edges, &resolver, mistakes);
            }
        }
        graph.edges.push(edges);
        graph.incomplete.push(incomplete);
    }
    graph
}

struct Resolver<'a> {
    drafts: &'a [Draft],
    /// Name → service, and whether the name is a former one.
    index: ByName<(usize, bool)>,
    torn: bool,
    suggestions: usize,
}

// === impl Resolver ===

impl Resolver<'_> {
    /// Resolves `targets`; false if any is missing, repeated or the composite itself.
    fn targets(
        &mut self,
        at: usize,
        draft: &Draft,
        edges: &mut Vec<Edge>,
        mistakes: &mut Mistakes,
    ) -> bool {
        let Some(given) = draft.get("targets") else {
            return false;
        };
        let Typed::Names(targets) = &given.typed else {
            return false;
        };
        if targets.is_empty() {
            mistakes.push(
                Mistake::new(
                    codes::EMPTY_TARGETS,
                    given.value_span,
                    format!("composite {} has no targets", show(&draft.name)),
                )
                .label("empty")
                .help("name at least one service")
                .of(&draft.name),
            );
            return false;
        }
        if targets.len() > MAX_TARGETS {
            let span = targets
                .get(MAX_TARGETS)
                .map_or(given.value_span, |(_, span)| *span);
            mistakes.push(
                Mistake::new(
                    codes::TOO_MANY_TARGETS,
                    span,
                    format!(
                        "composite {} has {} targets",
                        show(&draft.name),
                        targets.len()
                    ),
                )
                .label(format!("at most {MAX_TARGETS} fit"))
                .help("nest: put some into a composite of their own, and name that one here")
                .of(&draft.name),
            );
        }
        let mut first: ByName<Span> = ByName::default();
        let mut whole = true;
        for (name, span) in targets {
            let span = *span;
            match self.index.get(name.as_str()).copied() {
                None => {
                    whole = false;
                    self.unknown(draft, name, span, mistakes);
                }
                Some((to, _)) if to == at => {
                    whole = false;
                    itself(draft, span, mistakes);
                }
                Some((to, former)) => {
                    if let Some(earlier) = first.insert(&self.drafts[to].name, span) {
                        whole = false;
                        repeated(draft, name, span, earlier, mistakes);
                        continue;
                    }
                    if former {
                        self.former(draft, name, to, span, mistakes);
                    }
                    if self.drafts[to].switch("runtime") {
                        whole = false;
                        self.runtime(draft, to, span, mistakes);
                    }
                    edges.push(Edge { to, span });
                }
            }
        }
        whole
    }

    fn unknown(&mut self, draft: &Draft, name: &str, span: Span, mistakes: &mut Mistakes) {
        if self.torn {
            return;
        }
        let message = format!(
            "composite {} names target {}, which is no service",
            show(&draft.name),
            show(name)
        );
        let mistake = Mistake::new(codes::UNKNOWN_TARGET, span, message)
            .label("no such service")
            .of(&draft.name);
        self.suggestions += 1;
        let other = (self.suggestions <= MAX_SUGGESTIONS)
            .then(|| self.by_another_name(draft, name, span, mistakes))
            .flatten();
        if let Some((known, replaced, at, words)) = other {
            let mistake = mistake.also(known, "the service of that name");
            return mistakes.push(mistake.patch(at, replaced, words));
        }
        let near = (self.suggestions <= MAX_SUGGESTIONS)
            .then(|| {
                names::nearest(
                    name,
                    self.drafts
                        .iter()
                        .map(|other| other.name.as_str())
                        .filter(|other| *other != draft.name),
                )
            })
            .flatten();
        mistakes.push(match near {
            Some(near) => {
                let known = self
                    .index
                    .get(near)
                    .map(|(at, _)| self.drafts[*at].name_span);
                let replacement = as_written(span, near, mistakes);
                let mistake = match known {
                    Some(known) => mistake.also(known, "a service with a similar name"),
                    None => mistake,
                };
                mistake.patch(
                    span,
                    replacement,
                    format!("a service with a similar name exists: {}", show(near)),
                )
            }
            None => mistake.help(self.unknown_help(draft, name)),
        });
    }

    /// The service that a target names by its `ident`, or in letters that look alike: where it stands, and what to write
    /// at which place instead.
    fn by_another_name(
        &self,
        draft: &Draft,
        name: &str,
        span: Span,
        mistakes: &Mistakes,
    ) -> Option<(Span, String, Span, String)> {
        let others = || self.drafts.iter().filter(|other| other.name != draft.name);
        let write = |text: &str| as_written(span, text, mistakes);
        let is_ident = |other: &&Draft| other.rust.as_ref().is_some_and(|rust| rust.bare() == name);
        if let Some(other) = others().find(is_ident) {
            let (ident, present) = (show(name), show(&other.name));
            let words = format!("{ident} is the `ident` of {present}: write {present}");
            return Some((other.name_span, write(&other.name), span, words));
        }
        if let Some((ours, words)) = names::in_our_letters(name)
            && let Some(other) = others().find(|other| other.name == ours)
        {
            let words = format!("{words}: write {}", show(&ours));
            return Some((other.name_span, write(&ours), span, words));
        }
        others().find_map(|other| {
            let (ours, words) = names::in_our_letters(&other.name)?;
            let words = format!("{words}: write `{ours}`");
            let place = other.name_span;
            (ours == name).then(|| (place, names::toml_key(&ours), place, words))
        })
    }

    /// What to do about a target that is like no service.
    fn unknown_help(&self, draft: &Draft, name: &str) -> String {
        let mut others = self.drafts.iter();
        let named = |other: &Draft| {
            let mut targets = draft.names("targets").iter();
            targets.any(|(target, _)| *target == other.name)
        };
        let other = others.find(|other| {
            other.name != draft.name && other.is_leaf() && !other.torn && !named(other)
        });
        let or = match other {
            _ if spares_one(draft) => "remove the target".to_owned(),
            Some(other) => format!(
                "name a service that is there, such as {}",
                show(&other.name)
            ),
            None => String::new(),
        };
        let add = format!("add `[services.{}]` with its `type`", shown_key(name));
        match (names::registry_name(name).is_ok(), or.as_str()) {
            (true, "") => add,
            (true, or) => format!("{add}, or {or}"),
            (false, "") => "name a service here, and add its `[services.…]`".to_owned(),
            (false, or) => or.to_owned(),
        }
    }

    fn former(&self, draft: &Draft, name: &str, to: usize, span: Span, mistakes: &mut Mistakes) {
        let present = &self.drafts[to].name;
        let written = as_written(span, present, mistakes);
        let mistake = Mistake::new(
            codes::FORMER_NAME,
            span,
            format!(
                "{} is a former name of service {}",
                show(name),
                show(present)
            ),
        );
        mistakes.push(
            mistake
                .label("a former name")
                .patch(
                    span,
                    written,
                    format!("write its present name: {}", show(present)),
                )
                .of(&draft.name),
        );
    }

    fn runtime(&self, draft: &Draft, to: usize, span: Span, mistakes: &mut Mistakes) {
        let target = &self.drafts[to];
        let message = format!("target {} exists at run time only", show(&target.name));
        let mut mistake = Mistake::new(codes::RUNTIME_TARGET, span, message)
            .label("not there when the composite is compiled")
            .of(&draft.name);
        if let Some(given) = target.get("runtime") {
            mistake = mistake.also(given.key_span, "reachable by name only");
        }
        let or = match spares_one(draft) {
            true => ", or remove the target",
            false => "",
        };
        mistakes.push(mistake.help(format!("remove `runtime` from {}{or}", show(&target.name))));
    }
}

/// Whether a composite has enough targets without one of them.
pub(super) fn spares_one(draft: &Draft) -> bool {
    let least = match draft.kind.overlaps(Kinds::FANOUT) {
        true => 1,
        false => 2,
    };
    draft.names("targets").len() > least
}

fn itself(draft: &Draft, span: Span, mistakes: &mut Mistakes) {
    mistakes.push(
        Mistake::new(
            codes::SELF_TARGET,
            span,
            format!("composite {} names itself as a target", show(&draft.name)),
        )
        .label("itself")
        .also(draft.name_span, "this composite")
        .help(match spares_one(draft) {
            true => "take it out, or name the service that was meant",
            false => "name the service that was meant",
        })
        .of(&draft.name),
    );
}

fn repeated(draft: &Draft, name: &str, span: Span, earlier: Span, mistakes: &mut Mistakes) {
    mistakes.push(
        Mistake::new(
            codes::REPEATED_TARGET,
            span,
            format!(
                "composite {} names target {} twice",
                show(&draft.name),
                show(name)
            ),
        )
        .label("once more here")
        .also(earlier, "first here")
        .help(match spares_one(draft) {
            true => "remove one of the two",
            false => "name another service in the place of one of the two",
        })
        .of(&draft.name),
    );
}

/// A name in the manner of the one at `span`: the environment lists names without quotes.
fn as_written(span: Span, name: &str, mistakes: &Mistakes) -> String {
    match mistakes.text(span).starts_with(['"', '\'']) {
        true => names::toml_string(name),
        false => name.to_owned(),
    }
}

// === lists ===

/// Rules that need all targets known.
fn lists(draft: &Draft, edges: &[Edge], resolver: &Resolver<'_>, mistakes: &mut Mistakes) {
    if draft.kind.overlaps(Kinds::PICKING)
        && !draft.kind.overlaps(Kinds::FANOUT)
        && edges.len() == 1
    {
        let given = draft
            .get("targets")
            .map_or(draft.name_span, |given| given.value_span);
        mistakes.push(
            Mistake::new(
                codes::LONE_MEMBER,
                given,
                format!(
                    "{} {} has a single target",
                    pattern(draft),
                    show(&draft.name)
                ),
            )
            .label("nothing to choose from")
            .help("add a second target, or send to the one directly")
            .of(&draft.name),
        );
    }
    if draft.kind != Kinds::FANOUT {
        return;
    }
    let Some(deciding) = optional(draft, edges, resolver, mistakes) else {
        return;
    };
    quorum(draft, deciding, mistakes);
}

/// Warns of fan-outs to one target, where nothing worse is wrong with them: `sound` says which lie on or above no cycle.
pub(super) fn single_targets(
    drafts: &[Draft],
    graph: &Graph,
    sound: impl Fn(usize) -> bool,
    mistakes: &mut Mistakes,
) {
    for (at, draft) in drafts.iter().enumerate() {
        let single = draft.kind == Kinds::FANOUT && graph.edges[at].len() == 1;
        if !single || graph.incomplete[at] || !sound(at) {
            continue;
        }
        let given = draft
            .get("targets")
            .map_or(draft.name_span, |given| given.value_span);
        mistakes.push(
            Mistake::new(
                codes::SINGLE_TARGET,
                given,
                format!("fan-out {} has a single target", show(&draft.name)),
            )
            .label("the same as sending to it directly")
            .help("add a second target, or use the one directly")
            .of(&draft.name),
        );
    }
}

fn pattern(draft: &Draft) -> &'static str {
    draft.word("pattern").unwrap_or("composite")
}

/// How many targets decide; `None` after a mistake.
fn optional(
    draft: &Draft,
    edges: &[Edge],
    resolver: &Resolver<'_>,
    mistakes: &mut Mistakes,
) -> Option<usize> {
    if draft.is_poisoned("optional") {
        return None;
    }
    let mut seen: ByName<Span> = ByName::default();
    let mut sound = true;
    for (name, span) in draft.names("optional") {
        let span = *span;
        let to = resolver.index.get(name.as_str()).map(|(to, _)| *to);
        match to.filter(|to| edges.iter().any(|edge| edge.to == *to)) {
            Some(to) => {
                if let Some(earlier) = seen.insert(&resolver.drafts[to].name, span) {
                    sound = false;
                    mistakes.push(
                        Mistake::new(
                            codes::REPEATED_TARGET,
                            span,
                            format!("`optional` names {} twice", show(name)),
                        )
                        .label("once more here")
                        .also(earlier, "first here")
                        .help("remove one of the two")
                        .of(&draft.name),
                    );
                }
            }
            None => {
                sound = false;
                let targets = draft.names("targets");
                let message = format!(
                    "`optional` names {}, which is no target of {}",
                    show(name),
                    show(&draft.name)
                );
                let mistake = Mistake::new(codes::OPTIONAL_NOT_TARGET, span, message)
                    .label("not a target")
                    .of(&draft.name);
                mistakes.push(
                    match names::nearest(name, targets.iter().map(|(target, _)| target.as_str())) {
                        Some(near) => {
                            let written = as_written(span, near, mistakes);
                            let title = format!("write `{written}`");
                            mistake.patch(span, written, title)
                        }
                        None => mistake.help("add it to `targets`, or remove it here"),
                    },
                );
            }
        }
    }
    if sound && seen.len() == edges.len() {
        let span = draft
            .get("optional")
            .map_or(draft.name_span, |given| given.value_span);
        mistakes.push(
            Mistake::new(
                codes::ALL_OPTIONAL,
                span,
                format!(
                    "every target of {} is optional, so none decides",
                    show(&draft.name)
                ),
            )
            .label("leaves no target that counts")
            .help("take at least one target out of `optional`")
            .of(&draft.name),
        );
        return None;
    }
    sound.then_some(edges.len() - seen.len())
}

fn quorum(draft: &Draft, deciding: usize, mistakes: &mut Mistakes) {
    let Some(Typed::Ack(Ack::Quorum(wanted), span)) = draft.own("ack").map(|given| &given.typed)
    else {
        return;
    };
    if usize::try_from(*wanted).is_ok_and(|wanted| wanted <= deciding) {
        return;
    }
    let mut mistake = Mistake::new(
        codes::BAD_QUORUM,
        *span,
        format!(
            "a quorum of {wanted} can never be reached by {deciding} target{}",
            if deciding == 1 { "" } else { "s" }
        ),
    )
    .label(format!("at most {deciding}"))
    .of(&draft.name);
    if let Some(given) = draft.get("targets") {
        mistake = mistake.also(given.value_span, "the targets");
    }
    if let Some(given) = draft.get("optional") {
        mistake = mistake.also(given.value_span, "these do not count");
    }
    mistakes.push(mistake.help(format!("write `ack = {{ quorum = {deciding} }}` or less")));
}
