//! The same with line breaks where `prettyplease` has them, for code that people read: `cargo sinks generate` and `expand`.

use std::fmt::Write;

use sink_schema::{Plan, ServicePlan};

use super::{comment, header};
use crate::{
    emit::{MessageAlias, message_aliases, place},
    input::Registry,
};

/// Formats item by item, so that no text of the registry is ever searched or changed.
pub(crate) fn text(file: syn::File, plan: &Plan, registry: &Registry) -> String {
    let mut out = header(registry);
    let aliases = message_aliases(plan);
    for item in file.items {
        if holds_services(&item) {
            out.push_str(&services(item, plan));
            continue;
        }
        let comment = comment_of(&item, plan, &aliases);
        let _ = write!(out, "\n{}{comment}\n", formatted(item).trim_end());
    }
    out
}

fn formatted(item: syn::Item) -> String {
    prettyplease::unparse(&syn::File {
        frontmatter: None,
        shebang: None,
        attrs: Vec::new(),
        items: vec![item],
    })
}

fn holds_services(item: &syn::Item) -> bool {
    matches!(item, syn::Item::Mod(item) if item.ident == "__types")
}

/// The tags, each with the line of its service, which rustc then shows when it points at one.
fn services(item: syn::Item, plan: &Plan) -> String {
    let mut services = plan.services.iter().peekable();
    let mut out = String::from("\n");
    for line in formatted(item).lines() {
        out.push_str(line);
        let tag = |service: &ServicePlan| format!("pub struct {};", service.ident);
        if let Some(service) = services.next_if(|service| line.trim_start() == tag(service)) {
            let _ = write!(out, " // {}", place(&service.location));
        }
        out.push('\n');
    }
    out
}

fn comment_of(item: &syn::Item, plan: &Plan, aliases: &[MessageAlias]) -> String {
    let syn::Item::Type(item) = item else {
        return String::new();
    };
    aliases
        .iter()
        .find(|alias| alias.ident == item.ident)
        .map(|alias| comment(plan, alias))
        .unwrap_or_default()
}
