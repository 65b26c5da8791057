//! A picture without another tool: one column per depth, straight edges.

use std::fmt::Write;

use super::Graph;

const WIDTH: usize = 300;
const HEIGHT: usize = 54;
const GAP_X: usize = 200;
const GAP_Y: usize = 24;
const MARGIN: usize = 20;

/// An SVG document.
pub(super) fn draw(graph: &Graph) -> String {
    let places = places(graph);
    let right = places
        .iter()
        .map(|(x, _)| x + WIDTH)
        .max()
        .unwrap_or_default()
        + MARGIN;
    let bottom = places
        .iter()
        .map(|(_, y)| y + HEIGHT)
        .max()
        .unwrap_or_default()
        + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {right} {bottom}\" width=\"{right}\" height=\"{bottom}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#6b7280\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for edge in &graph.edges {
        let (x1, y1) = (
            places[edge.from].0 + WIDTH,
            places[edge.from].1 + HEIGHT / 2,
        );
        let (x2, y2) = (places[edge.to].0, places[edge.to].1 + HEIGHT / 2);
        let dashes = if edge.optional {
            " stroke-dasharray=\"5 4\""
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"#6b7280\" marker-end=\"url(#arrow)\"{dashes}/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#374151\">{}</text>",
            (x1 + x2) / 2,
            (y1 + y2) / 2 - 4,
            escaped(&edge.label)
        );
    }
    for (node, (x, y)) in graph.nodes.iter().zip(&places) {
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\" fill=\"{}\" stroke=\"{}\"/>\
             <text x=\"{tx}\" y=\"{}\" font-weight=\"bold\" fill=\"#111827\">{}</text>\
             <text x=\"{tx}\" y=\"{}\" font-size=\"10\" fill=\"#374151\">{}</text>",
            node.colour.fill,
            node.colour.border,
            y + 22,
            escaped(&cut(&node.name, 40)),
            y + 40,
            escaped(&cut(&node.facts, 56)),
            tx = x + 12,
        );
    }
    out.push_str("</svg>\n");
    out
}

/// Left upper corners: a column per depth, in registry order.
fn places(graph: &Graph) -> Vec<(usize, usize)> {
    let mut filled: Vec<usize> = Vec::new();
    (0..graph.nodes.len())
        .map(|node| {
            let column = graph.depth(node);
            filled.resize(filled.len().max(column + 1), 0);
            let row = filled[column];
            filled[column] += 1;
            (
                MARGIN + column * (WIDTH + GAP_X),
                MARGIN + row * (HEIGHT + GAP_Y),
            )
        })
        .collect()
}

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
