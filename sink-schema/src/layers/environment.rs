//! Variables `SINKS__NAME__KEY` as the topmost layer, written down as a text of their own so that mistakes can point at it.

use crate::by_name::order;
use crate::codes;
use crate::keys::{self, KeyType};
use crate::mistakes::{Mistake, Mistakes};
use crate::names::{self, show};
use crate::text::{SourceFile, Span, Text};
use crate::tree::{self, Data, Entry, Value};

use super::{RawService, Registry};

const PREFIX: &str = "SINKS__";

/// One variable and where its parts stand in the text of all.
struct Variable<'a> {
    name: &'a str,
    value: &'a str,
    line_at: usize,
}

// === impl Variable ===

impl Variable<'_> {
    fn value_span(&self, file: usize) -> Span {
        let start = self.line_at + self.name.len() + 1;
        Span::new(file, start..start + self.value.len())
    }
}

pub(super) fn lay_over(
    registry: &mut Registry,
    environment: &[(String, String)],
    mistakes: &mut Mistakes,
) {
    let variables: Vec<&(String, String)> = environment
        .iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    if variables.is_empty() {
        return;
    }
    let order = order(variables.len(), &mut |a, b| variables[a].cmp(variables[b]));
    let file = mistakes.files.len();
    let mut text = String::new();
    let mut placed = Vec::with_capacity(variables.len());
    for at in order {
        let (name, value) = variables[at];
        placed.push((text.len(), flat(name), flat(value)));
        text.push_str(&format!("{}={}\n", flat(name), flat(value)));
    }
    mistakes
        .files
        .push(Text::new(&SourceFile::new("environment", text)));
    for (line_at, name, value) in &placed {
        one(
            registry,
            file,
            &Variable {
                name,
                value,
                line_at: *line_at,
            },
            mistakes,
        );
    }
}

/// One line per variable: a line break inside a value would make two.
fn flat(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn one(registry: &mut Registry, file: usize, variable: &Variable<'_>, mistakes: &mut Mistakes) {
    let rest = &variable.name[PREFIX.len()..];
    let Some((service, key)) = rest
        .rsplit_once("__")
        .filter(|(service, key)| !service.is_empty() && !key.is_empty())
    else {
        let span = Span::new(
            file,
            variable.line_at..variable.line_at + variable.name.len(),
        );
        let mistake = Mistake::new(
            codes::UNKNOWN_VARIABLE,
            span,
            format!("variable {} names no service and key", show(variable.name)),
        );
        mistakes.mask(variable.value_span(file));
        mistakes.push(
            mistake
                .label("not of the form")
                .help("write `SINKS__SERVICE__KEY`"),
        );
        return;
    };
    let service_at = variable.line_at + PREFIX.len();
    let service_span = Span::new(file, service_at..service_at + service.len());
    let key_at = service_at + service.len() + 2;
    let key_span = Span::new(file, key_at..key_at + key.len());
    let value_span = variable.value_span(file);

    let wanted = service.to_uppercase();
    let Some(known) = registry
        .services
        .iter_mut()
        .find(|known| variable_of(known) == wanted)
    else {
        // Whatever this variable is for, its value is nothing to print.
        mistakes.mask(value_span);
        if !registry.torn {
            unknown_service(registry, service, service_span, mistakes);
        }
        return;
    };
    let key = key.to_lowercase();
    let data = data(&key, variable.value);
    let entry = Entry {
        key,
        key_span,
        value: Value {
            span: value_span,
            data,
        },
    };
    super::put(known, entry, mistakes);
}

/// The name of a service inside a variable: its identifier in upper case.
fn variable_of(service: &RawService) -> String {
    let ident =
        service
            .entries
            .iter()
            .flatten()
            .find_map(|entry| match (&*entry.key, &entry.value.data) {
                ("ident", Data::Text(ident)) => Some(ident.as_str()),
                _ => None,
            });
    let plain = ident.unwrap_or(&service.name).trim_start_matches("r#");
    plain.replace(['-', '.'], "_").to_uppercase()
}

fn unknown_service(registry: &Registry, service: &str, span: Span, mistakes: &mut Mistakes) {
    let all: Vec<String> = registry.services.iter().map(variable_of).collect();
    let mistake = Mistake::new(
        codes::UNKNOWN_VARIABLE,
        span,
        format!(
            "the environment names service {}, which the registry does not have",
            show(service)
        ),
    );
    let mistake = mistake.label("no such service");
    mistakes.push(
        match names::nearest(service, all.iter().map(String::as_str)) {
            Some(near) => mistake.patch(
                span,
                near,
                format!("a service with a similar name exists: `{near}`"),
            ),
            None => mistake.help("remove the variable, or add the service to the registry"),
        },
    );
}

/// The text of a variable as its key wants it: numbers, switches and lists need no TOML quoting.
fn data(key: &str, value: &str) -> Data {
    let text = || Data::Text(value.to_owned());
    let Some(key) = keys::find(key) else {
        return text();
    };
    let structured = value.trim_start().starts_with(['[', '{']);
    match key.ty {
        KeyType::Integer { .. } | KeyType::Millis { .. } | KeyType::Bool => {
            match tree::parse_value(value.trim()) {
                Some(data @ (Data::Integer(_) | Data::Bool(_) | Data::Float)) => data,
                _ => text(),
            }
        }
        KeyType::Ack | KeyType::Tls | KeyType::TextOrSecret if structured => {
            tree::parse_value(value).unwrap_or_else(text)
        }
        KeyType::Names | KeyType::Uids if structured => {
            tree::parse_value(value).unwrap_or_else(text)
        }
        KeyType::Names => Data::Array(
            pieces(value)
                .map(|piece| whole(Data::Text(piece.to_owned())))
                .collect(),
        ),
        KeyType::Uids => Data::Array(
            pieces(value)
                .map(|piece| {
                    whole(tree::parse_value(piece).unwrap_or_else(|| Data::Text(piece.to_owned())))
                })
                .collect(),
        ),
        _ => text(),
    }
}

fn pieces(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(',')
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
}

fn whole(data: Data) -> Value {
    Value {
        span: Span::default(),
        data,
    }
}
