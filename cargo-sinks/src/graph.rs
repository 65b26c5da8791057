//! `cargo sinks graph`: the registry as a picture.

mod dot;
mod mermaid;
mod svg;

use sink_codegen::Options;
use sink_schema::{CompositePlan, Kind, LeafPlan, Pattern, Plan, Role, ServicePlan};

use crate::{
    cli::{GraphArgs, GraphFormat, RegistryArgs},
    failure::Failure,
    output, registry,
};

/// Prints the picture; of a registry with mistakes those alone, since a picture of the rest would look whole.
pub(crate) fn run(registry: &RegistryArgs, args: &GraphArgs) -> Result<(), Failure> {
    let loaded = registry::load(registry, Options::default())?;
    loaded.report()?;
    let graph = Graph::of(&loaded.plan);
    let text = match args.format {
        GraphFormat::Mermaid => mermaid::draw(&graph),
        GraphFormat::Dot => dot::draw(&graph),
        GraphFormat::Svg => svg::draw(&graph),
    };
    output::print(&text)
}

/// What all three languages draw.
#[derive(Debug)]
struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

/// A service.
#[derive(Debug)]
struct Node {
    /// Safe in every language.
    id: String,
    name: String,
    /// The second line: kind, address or pattern, guarantee.
    facts: String,
    colour: Colour,
}

/// A composite and one of its targets.
#[derive(Debug)]
struct Edge {
    from: usize,
    to: usize,
    label: String,
    optional: bool,
}

/// Fill and border of a kind of service.
#[derive(Clone, Copy, Debug)]
struct Colour {
    class: &'static str,
    fill: &'static str,
    border: &'static str,
}

const RELAY: Colour = Colour {
    class: "relay",
    fill: "#dbeafe",
    border: "#1d4ed8",
};
const DIRECT: Colour = Colour {
    class: "direct",
    fill: "#dcfce7",
    border: "#15803d",
};
const COMPOSITE: Colour = Colour {
    class: "composite",
    fill: "#fef3c7",
    border: "#b45309",
};

impl Graph {
    fn of(plan: &Plan) -> Graph {
        let nodes = plan
            .services
            .iter()
            .enumerate()
            .map(|(i, service)| node(i, service))
            .collect();
        let mut edges = Vec::new();
        for (from, service) in plan.services.iter().enumerate() {
            let Kind::Composite(composite) = &service.kind else {
                continue;
            };
            for (order, target) in composite.targets.iter().enumerate() {
                let Some(to) = plan
                    .services
                    .iter()
                    .position(|service| service.name == *target)
                else {
                    continue;
                };
                edges.push(edge(from, to, order, composite, &plan.services[to]));
            }
        }
        Graph { nodes, edges }
    }

    /// How far a node is from the composites that nothing feeds.
    fn depth(&self, node: usize) -> usize {
        let feeding = self.edges.iter().filter(|edge| edge.to == node);
        feeding
            .map(|edge| self.depth(edge.from) + 1)
            .max()
            .unwrap_or(0)
    }
}

fn node(i: usize, service: &ServicePlan) -> Node {
    let (colour, facts) = match &service.kind {
        Kind::Leaf(leaf) => leaf_facts(leaf),
        Kind::Composite(composite) => (COMPOSITE, pattern(composite.pattern).to_owned()),
    };
    let runtime = if service.runtime {
        " · only at run time"
    } else {
        ""
    };
    Node {
        id: format!("s{i}"),
        name: shown(&service.name),
        facts: format!("{facts} · {}{runtime}", guarantee(service)),
        colour,
    }
}

fn leaf_facts(leaf: &LeafPlan) -> (Colour, String) {
    let (colour, kind) = match leaf.role {
        Role::Relay => (RELAY, "relay"),
        Role::Direct => (DIRECT, "direct"),
    };
    (
        colour,
        format!("{kind} · {}", shown(&leaf.endpoint.to_string())),
    )
}

fn edge(
    from: usize,
    to: usize,
    order: usize,
    composite: &CompositePlan,
    target: &ServicePlan,
) -> Edge {
    let optional = composite.optional.contains(&target.name);
    let place = match composite.pattern {
        Pattern::Failover => format!("{}.", order + 1),
        Pattern::FanOut | Pattern::RoundRobin | Pattern::Partition => {
            pattern(composite.pattern).to_owned()
        }
    };
    let optional_word = if optional { " · optional" } else { "" };
    Edge {
        from,
        to,
        label: format!("{place} · {}{optional_word}", guarantee(target)),
        optional,
    }
}

fn pattern(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::FanOut => "fan-out",
        Pattern::Failover => "failover",
        Pattern::RoundRobin => "round robin",
        Pattern::Partition => "partition",
    }
}

fn guarantee(service: &ServicePlan) -> &'static str {
    if service.at_least_once() {
        "at least once"
    } else {
        "at most once"
    }
}

/// Text of the registry on one line, with nothing in it that a terminal or a viewer acts on.
fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
