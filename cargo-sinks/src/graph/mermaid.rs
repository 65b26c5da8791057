//! Mermaid, which GitHub and GitLab draw in Markdown.

use std::fmt::Write;

use super::{COMPOSITE, DIRECT, Graph, RELAY};

/// A flowchart from composites to leaves.
pub(super) fn draw(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    for node in &graph.nodes {
        let (open, close) = if node.colour.class == COMPOSITE.class {
            ("{{", "}}")
        } else {
            ("[", "]")
        };
        let _ = writeln!(
            out,
            "    {}{open}\"{}<br/><small>{}</small>\"{close}:::{}",
            node.id,
            entities(&node.name),
            entities(&node.facts),
            node.colour.class
        );
    }
    for edge in &graph.edges {
        let arrow = if edge.optional { "-.->" } else { "-->" };
        let _ = writeln!(
            out,
            "    {} {arrow}|\"{}\"| {}",
            graph.nodes[edge.from].id, edge.label, graph.nodes[edge.to].id
        );
    }
    for colour in [RELAY, DIRECT, COMPOSITE] {
        let _ = writeln!(
            out,
            "    classDef {} fill:{},stroke:{},color:#111827",
            colour.class, colour.fill, colour.border
        );
    }
    out
}

/// Mermaid's own escapes: `#quot;`, and `#35;` for the mark itself.
fn entities(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | ';' => format!("#{};", c as u32),
            c => c.to_string(),
        })
        .collect()
}
