//! Variables `SINKS__NAME__KEY` as the topmost layer, written down as a text of their own so that mistakes can point at it.

use crate::by_name::{ByName, order};
use crate::codes;
use crate::keys::{self, KeyType};
use crate::mistakes::{Mistake, Mistakes};
use crate::names::{self, shortened, show};
use crate::text::{SourceFile, Span, Text};
use crate::tree::{self, Data, Entry, Value};

use crate::raw::{RawService, Registry};

const PREFIX: &str = "SINKS__";

/// One variable and where its parts stand in the text of all.
struct Variable<'a> {
    name: &'a str,
    value: &'a str,
    line_at: usize,
}

// === impl Variable ===

impl Variable<'_> {
    fn name_span(&self, file: usize) -> Span {
        Span::new(file, self.line_at..self.line_at + self.name.len())
    }

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
        .filter(|(name, _)| is_ours(name))
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
    let mut said = ByName::default();
    for (line_at, name, value) in &placed {
        let variable = Variable {
            name,
            value,
            line_at: *line_at,
        };
        one(registry, file, &variable, &mut said, mistakes);
    }
}

/// Whether a variable is meant for a registry: by its prefix, or by its form if the prefix is not in capitals.
fn is_ours(name: &str) -> bool {
    let Some((prefix, rest)) = name.split_at_checked(PREFIX.len()) else {
        return false;
    };
    prefix == PREFIX || (prefix.eq_ignore_ascii_case(PREFIX) && rest.contains("__"))
}

/// Tells a variable that would do nothing because its prefix is not in capitals.
fn small_prefix(file: usize, variable: &Variable<'_>, mistakes: &mut Mistakes) {
    mistakes.mask(variable.value_span(file));
    let prefix = Span::new(file, variable.line_at..variable.line_at + PREFIX.len());
    let message = format!("variable {} is not read", show(variable.name));
    let mistake = Mistake::new(codes::UNKNOWN_VARIABLE, prefix, message);
    mistakes.push(mistake.label("capitals are expected").help(format!(
        "write `{}`",
        shortened(&variable.name.to_uppercase())
    )));
}

/// One line per variable: a line break inside a value would make two.
fn flat(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Lays one variable over its service; `said` are the variables before it, by service and key.
fn one(
    registry: &mut Registry,
    file: usize,
    variable: &Variable<'_>,
    said: &mut ByName<(String, Span, Span)>,
    mistakes: &mut Mistakes,
) {
    let Some(rest) = variable.name.strip_prefix(PREFIX) else {
        return small_prefix(file, variable, mistakes);
    };
    let parts = rest
        .rsplit_once("__")
        .filter(|(service, key)| !service.is_empty() && !key.is_empty());
    let known = |service: &str| matches!(named(registry, service), Named::One(_));
    // Of a service that is there, what follows is a key, if one that it does not have.
    let parts = match (parts, rest.split_once("__")) {
        (Some((whole, _)), Some((first, key))) if !known(whole) && known(first) => {
            Some((first, key))
        }
        _ => parts,
    };
    let Some((service, key)) = parts else {
        let mistake = Mistake::new(
            codes::UNKNOWN_VARIABLE,
            variable.name_span(file),
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

    let known = match named(registry, service) {
        Named::One(known) => known,
        Named::None => {
            // Whatever this variable is for, its value is nothing to print.
            mistakes.mask(value_span);
            if !registry.torn {
                unknown_service(registry, service, service_span, mistakes);
            }
            return;
        }
        Named::FormerlyTwo(one, other) => {
            mistakes.mask(value_span);
            formerly_two([one, other], service, service_span, mistakes);
            return;
        }
    };
    let known = &mut registry.services[known];
    let key = key.to_lowercase();
    let own = (
        variable.name.to_owned(),
        variable.name_span(file),
        value_span,
    );
    let place = format!("{}\0{key}", known.name);
    if let Some(first) = said.get(&place) {
        twice(known, &key, first, &own, mistakes);
        return;
    }
    said.insert(&place, own);
    if let Some(list) = unquoted_list(&key, variable.value) {
        return no_list(known, &key, value_span, list, mistakes);
    }
    let data = data(&key, variable.value, value_span);
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

/// The items of `[a,b]` where a list is wanted: brackets make it TOML, in which words are quoted.
fn unquoted_list<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    let key = keys::find(key).filter(|key| matches!(key.ty, KeyType::Names | KeyType::Uids))?;
    let inner = value.trim().strip_prefix('[')?;
    let inner = inner.strip_suffix(']').unwrap_or(inner).trim();
    let mends = !matches!(key.ty, KeyType::Uids) && !inner.contains(['[', ']', '"', '\'', '{']);
    tree::parse_value(0, 0, value.trim())
        .is_none()
        .then_some(if mends { inner } else { "" })
}

fn no_list(service: &RawService, key: &str, span: Span, items: &str, mistakes: &mut Mistakes) {
    let message = format!("{} is a list, and this is none", show(key));
    let mistake = Mistake::new(codes::WRONG_TYPE, span, message)
        .label("expected a list")
        .of(&service.name);
    let how = "a variable lists its items with commas, without brackets and quotes";
    mistakes.push(match items {
        "" => mistake.help(format!("{how}: `orders,trades`")),
        items => mistake.patch(span, items, how),
    });
}

/// Two variables of one key: which of them was meant, nobody can tell, so neither is passed over in silence.
fn twice(
    service: &RawService,
    key: &str,
    (first, first_span, first_value): &(String, Span, Span),
    (second, second_span, second_value): &(String, Span, Span),
    mistakes: &mut Mistakes,
) {
    // What they say is not the point, and one of them is looked at by no rule that would know a secret.
    mistakes.mask(*first_value);
    mistakes.mask(*second_value);
    let message = format!(
        "variables {} and {} both set {} of service {}",
        show(first),
        show(second),
        show(key),
        show(&service.name)
    );
    let mistake = Mistake::new(codes::DUPLICATE_KEY, *second_span, message).of(&service.name);
    mistakes.push(
        mistake
            .label("once more here")
            .also(*first_span, "first here")
            .help(format!(
                "remove one of the two; the usual spelling is `{PREFIX}{}__{}`",
                shortened(&variable_of(service)),
                shortened(&key.to_uppercase())
            )),
    );
}

/// Which service a variable names.
enum Named {
    One(usize),
    None,
    /// Former names of two services that differ in case alone.
    FormerlyTwo(String, String),
}

/// Finds a service by its present name, else by a former one.
fn named(registry: &Registry, written: &str) -> Named {
    let wanted = in_variable(written);
    let services = &registry.services;
    if let Some(known) = services
        .iter()
        .position(|known| variable_of(known) == wanted)
    {
        return Named::One(known);
    }
    let formerly = |known: &RawService| former_names(known).any(|name| in_variable(name) == wanted);
    let mut found = (0..services.len()).filter(|at| formerly(&services[*at]));
    match (found.next(), found.next()) {
        (None, _) => Named::None,
        (Some(one), None) => Named::One(one),
        (Some(one), Some(other)) => {
            Named::FormerlyTwo(services[one].name.clone(), services[other].name.clone())
        }
    }
}

fn formerly_two(services: [String; 2], written: &str, span: Span, mistakes: &mut Mistakes) {
    let [one, other] = services;
    let message = format!(
        "{} is a former name of service {} and of service {}",
        show(written),
        show(&one),
        show(&other)
    );
    let mistake = Mistake::new(codes::UNKNOWN_VARIABLE, span, message);
    mistakes.push(
        mistake
            .label("which of the two?")
            .help("name the service by its present name"),
    );
}

pub(super) fn former_names(service: &RawService) -> impl Iterator<Item = &str> {
    let entries = service.entries.iter().flatten();
    let aliases = entries.filter_map(|entry| match (&*entry.key, &entry.value.data) {
        ("aliases", Data::Array(items)) => Some(items),
        _ => None,
    });
    aliases.flatten().filter_map(|item| match &item.data {
        Data::Text(name) => Some(name.as_str()),
        _ => None,
    })
}

/// The identifier that a service says it has.
pub(super) fn ident(service: &RawService) -> Option<&str> {
    let mut entries = service.entries.iter().flatten();
    entries.find_map(|entry| match (&*entry.key, &entry.value.data) {
        ("ident", Data::Text(ident)) => Some(ident.as_str()),
        _ => None,
    })
}

/// The present name of a service inside a variable: its identifier in upper case.
fn variable_of(service: &RawService) -> String {
    let name = ident(service).unwrap_or(&service.name);
    in_variable(name.trim_start_matches("r#"))
}

/// A name as a variable may have it: most shells know neither small letters, by custom, nor `-` and `.`, at all.
fn in_variable(name: &str) -> String {
    name.replace(['-', '.'], "_").to_uppercase()
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
    let wanted = in_variable(service);
    let mut services = registry.services.iter();
    if let Some(renamed) = services.find(|known| in_variable(&known.name) == wanted) {
        // Its `ident` is its name wherever a name is not free to be anything.
        let near = variable_of(renamed);
        let title = format!("the service's `ident` is its name here: `{near}`");
        mistakes.push(mistake.patch(span, near, title));
        return;
    }
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

/// The text of a variable as its key wants it: numbers, switches and lists need no TOML quoting. It stands at `span`, and so
/// does whatever is in it: a mistake in a part of it shows that part.
fn data(key: &str, value: &str, span: Span) -> Data {
    let text = || Data::Text(value.to_owned());
    let Some(key) = keys::find(key) else {
        return text();
    };
    let trimmed = value.trim();
    let at = span.start + value.len() - value.trim_start().len();
    let structured = trimmed.starts_with(['[', '{']);
    let parsed = || tree::parse_value(span.file, at, trimmed);
    match key.ty {
        KeyType::Integer { .. } | KeyType::Millis { .. } | KeyType::Bool => match parsed() {
            Some(data @ (Data::Integer(_) | Data::Bool(_) | Data::Float)) => data,
            _ => text(),
        },
        KeyType::Ack | KeyType::Tls | KeyType::TextOrSecret | KeyType::Names | KeyType::Uids
            if structured =>
        {
            parsed().unwrap_or_else(text)
        }
        KeyType::Names => Data::Array(pieces(value, span, &|_, piece| {
            Data::Text(piece.to_owned())
        })),
        KeyType::Uids => Data::Array(pieces(value, span, &|span, piece| {
            tree::parse_value(span.file, span.start, piece)
                .unwrap_or_else(|| Data::Text(piece.to_owned()))
        })),
        _ => text(),
    }
}

/// The items between commas, each with its place.
fn pieces(value: &str, span: Span, data: &dyn Fn(Span, &str) -> Data) -> Vec<Value> {
    let mut items = Vec::new();
    let mut at = span.start;
    for written in value.split(',') {
        let piece = written.trim();
        let start = at + written.len() - written.trim_start().len();
        at += written.len() + 1;
        if !piece.is_empty() {
            let span = Span::new(span.file, start..start + piece.len());
            let data = data(span, piece);
            items.push(Value { span, data });
        }
    }
    items
}
