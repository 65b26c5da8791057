//! How mistakes look.

use crate::diagnostics::{Color, Diagnostic, Diagnostics, Format};

pub(crate) fn render(all: &Diagnostics, format: Format, color: Color) -> String {
    all.iter()
        .map(|item| one(all, item, format, color))
        .collect()
}

pub(crate) fn one(_all: &Diagnostics, item: &Diagnostic, _format: Format, _color: Color) -> String {
    format!(
        "{}: {}[{}]: {}\n",
        item.location(),
        item.severity,
        item.code,
        item.message
    )
}
