//! Graphviz.

use std::fmt::Write;

use super::Graph;

/// A digraph from composites to leaves.
pub(super) fn draw(graph: &Graph) -> String {
    let mut out = String::from(
        "digraph sinks {\n    rankdir = LR\n    node [shape = box, style = \"rounded,filled\", fontname = \"sans-serif\"]\n    \
         edge [fontname = \"sans-serif\", fontsize = 10]\n",
    );
    for node in &graph.nodes {
        let _ = writeln!(
            out,
            "    {} [label = \"{}\\n{}\", fillcolor = \"{}\", color = \"{}\"]",
            node.id,
            escaped(&node.name),
            escaped(&node.facts),
            node.colour.fill,
            node.colour.border
        );
    }
    for edge in &graph.edges {
        let style = if edge.optional {
            ", style = dashed"
        } else {
            ""
        };
        let (from, to) = (&graph.nodes[edge.from].id, &graph.nodes[edge.to].id);
        let _ = writeln!(
            out,
            "    {from} -> {to} [label = \"{}\"{style}]",
            escaped(&edge.label)
        );
    }
    out.push_str("}\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
