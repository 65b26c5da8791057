//! Base, profile overlay and environment, laid over each other before anything is judged.

mod environment;
mod syntax;
mod unclosed;

use std::collections::HashSet;

use crate::by_name::ByName;
use crate::capabilities::Capabilities;
use crate::codes;
use crate::diagnostics::Diagnostics;
use crate::keys::{self, Scope};
use crate::mistakes::{Mistake, Mistakes};
use crate::names::{self, show, shown_key, toml_key};
use crate::plan::Plan;
use crate::raw::{RawService, Registry};
use crate::text::{SourceFile, Span, Text};
use crate::tree::{self, Data, Entry};

/// Largest registry text that is read: some 20,000 services.
pub const MAX_REGISTRY_BYTES: usize = 4 * 1_024 * 1_024;

/// The texts a registry consists of, lowest first.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    /// `services.toml`.
    pub base: &'a SourceFile,
    /// `services.<profile>.toml`.
    pub overlay: Option<&'a SourceFile>,
    /// Environment variables; all but `SINKS__NAME__KEY` are passed over.
    pub environment: &'a [(String, String)],
    /// What the program has built in.
    pub capabilities: Capabilities,
}

impl<'a> Layers<'a> {
    /// A registry of one file, judged for a build script.
    pub fn of(base: &'a SourceFile) -> Self {
        Self {
            base,
            overlay: None,
            environment: &[],
            capabilities: Capabilities::build(),
        }
    }
}

/// Reads all layers: the sound services, and every mistake at once.
///
/// Never panics and does no I/O; time is linear in the size of the texts, which [`MAX_REGISTRY_BYTES`] bounds.
pub fn load(layers: &Layers<'_>) -> (Plan, Diagnostics) {
    let (plan, _, mistakes) = judged(layers);
    (plan, mistakes.finish())
}

/// The same for an overlay of a program that is built with `compiled`: what its types promise, no layer takes away.
pub fn load_over(layers: &Layers<'_>, compiled: &Plan) -> (Plan, Diagnostics) {
    let (plan, registry, mut mistakes) = judged(layers);
    crate::rules::keep_guarantees(&plan, compiled, &registry, &mut mistakes);
    (plan, mistakes.finish())
}

fn judged(layers: &Layers<'_>) -> (Plan, Registry, Mistakes) {
    let mut mistakes = Mistakes::default();
    let registry = merge(layers, &mut mistakes);
    let drafts = crate::schema::read(&registry, &layers.capabilities, &mut mistakes);
    let plan = crate::rules::resolve(drafts, &registry, &mut mistakes);
    (plan, registry, mistakes)
}

/// Broken headers that are looked into for the name of a service.
const MAX_BROKEN_HEADERS: usize = 1_000;

// === merging ===

fn merge(layers: &Layers<'_>, mistakes: &mut Mistakes) -> Registry {
    let Some((root, torn)) = parse(layers.base, mistakes) else {
        return Registry {
            torn: true,
            nameless: true,
            ..Registry::default()
        };
    };
    let mut registry = base(root, &torn, mistakes);
    if let Some(overlay) = layers.overlay {
        let file = mistakes.files.len();
        registry.overlay = Some(file);
        if let Some((root, torn)) = parse(overlay, mistakes) {
            registry.torn |= !torn.is_empty();
            let damage = Damage::of(&root, &torn, mistakes);
            lay_over(&mut registry, root, &damage, mistakes);
        } else {
            registry.torn = true;
        }
    }
    environment::lay_over(&mut registry, layers.environment, mistakes);
    registry
}

/// Parses one file; the second part are the byte positions of its syntax errors. `None` if it is too large to read.
fn parse(source: &SourceFile, mistakes: &mut Mistakes) -> Option<(Vec<Entry>, Vec<usize>)> {
    let file = mistakes.files.len();
    if source.text.len() > MAX_REGISTRY_BYTES {
        mistakes
            .files
            .push(Text::new(&SourceFile::new(source.path.clone(), "")));
        let mib = |bytes: usize| bytes.div_ceil(1_024 * 1_024);
        let message = format!(
            "the registry is {} MiB long, at most {} MiB are read",
            mib(source.text.len()),
            mib(MAX_REGISTRY_BYTES)
        );
        let mistake = Mistake::new(codes::TOO_LARGE, Span::new(file, 0..0), message);
        mistakes.push(mistake.help("split it: each program names only the services it uses"));
        return None;
    }
    let text = Text::new(source);
    let (mut root, mut errors) = tree::parse(file, &text.text);
    let mut unclosed = Vec::new();
    if !errors.is_empty() {
        unclosed = unclosed::find(&text);
        let mut read = unclosed::without(&text.text, &unclosed);
        if !unclosed.is_empty() {
            (root, errors) = tree::parse(file, &read);
        }
        if unclosed::leave_out_keys_alone(&text, &errors, &mut read) {
            let (whole, more) = tree::parse(file, &read);
            root = whole;
            errors.extend(more);
        }
    }
    mistakes.files.push(text);
    let torn = errors.iter().map(|error| error.at.start);
    let torn = torn.chain(unclosed.iter().map(|one| one.opener)).collect();
    syntax::tell(file, &root, errors, &unclosed, mistakes);
    Some((root, torn))
}

/// Takes the base file's tables apart.
fn base(root: Vec<Entry>, errors: &[usize], mistakes: &mut Mistakes) -> Registry {
    let mut registry = Registry {
        torn: !errors.is_empty(),
        ..Registry::default()
    };
    let damage = Damage::of(&root, errors, mistakes);
    let mut elsewhere = damage.names(mistakes);
    for entry in root {
        if damage.hides(&entry, mistakes) {
            continue;
        }
        match entry.key.as_str() {
            "services" => match entry.value.data {
                Data::Table(services) => {
                    let services = services
                        .into_iter()
                        .filter_map(|service| raw(service, &damage, mistakes));
                    registry.services = services.collect();
                }
                _ => {
                    services_is_no_table(&entry, mistakes);
                    registry.torn = true;
                    registry.nameless = true;
                }
            },
            "defaults" => registry.defaults = section(entry, mistakes),
            "lints" => registry.lints = section(entry, mistakes),
            // What is wrong with its header was told.
            _ if damage.is_header(&entry, mistakes) => {}
            _ => elsewhere.extend(unknown_section(&entry, mistakes)),
        }
    }
    for (name, span) in elsewhere {
        if registry.services.iter().all(|known| known.name != name) {
            registry.services.push(RawService::misplaced(name, span));
        }
    }
    registry
}

fn services_is_no_table(entry: &Entry, mistakes: &mut Mistakes) {
    let message = format!("`services` is a table, not {}", entry.value.data.words());
    let mistake = Mistake::new(codes::WRONG_TYPE, entry.key_span, message);
    mistakes.push(
        mistake
            .label("expected a table")
            .help("write `[services.name]` for each service"),
    );
}

/// What syntax errors make doubtful in one file.
struct Damage {
    /// Services inside whose tables an error stands.
    owners: ByName<()>,
    headers: HashSet<usize>,
    file: usize,
}

impl Damage {
    fn of(root: &[Entry], errors: &[usize], mistakes: &Mistakes) -> Self {
        let file = mistakes.files.len().saturating_sub(1);
        Self {
            owners: syntax::owners(root, errors, mistakes),
            headers: mistakes
                .files
                .get(file)
                .map_or_else(HashSet::new, |text| syntax::torn_headers(text, errors)),
            file,
        }
    }

    /// Services whose headers are broken, as far as their names can be read.
    fn names(&self, mistakes: &Mistakes) -> Vec<(String, Span)> {
        let Some(text) = mistakes.files.get(self.file) else {
            return Vec::new();
        };
        let mut lines: Vec<usize> = self.headers.iter().copied().collect();
        lines.sort_unstable();
        let names = lines.into_iter().take(MAX_BROKEN_HEADERS);
        names
            .filter_map(|line| syntax::name_in_header(self.file, text, line))
            .collect()
    }

    /// Whether an entry is a table with a broken header.
    fn is_header(&self, entry: &Entry, mistakes: &Mistakes) -> bool {
        let text = mistakes.files.get(self.file);
        text.is_some_and(|text| self.headers.contains(&text.line_of(entry.key_span.start)))
    }

    /// Whether an entry is none of its table's, but of a broken header above it.
    fn hides(&self, entry: &Entry, mistakes: &Mistakes) -> bool {
        let text = mistakes.files.get(self.file);
        text.is_some_and(|text| syntax::is_below(text, &self.headers, entry.key_span))
    }
}

fn raw(entry: Entry, damage: &Damage, mistakes: &mut Mistakes) -> Option<RawService> {
    if damage.hides(&entry, mistakes) {
        return None;
    }
    let torn = damage.owners.contains(&entry.key);
    let entries = match entry.value.data {
        Data::Table(entries) => Some(entries),
        other => {
            if !torn {
                not_a_service(
                    &entry.key,
                    entry.key_span,
                    entry.value.span,
                    &other,
                    mistakes,
                );
            }
            None
        }
    };
    let text = mistakes.files.get(damage.file);
    let line = text.map(|text| text.line_of(entry.key_span.start));
    Some(RawService {
        name: entry.key,
        name_span: entry.key_span,
        entries,
        retyped: false,
        torn,
        told: line.is_some_and(|line| damage.headers.contains(&line)),
    })
}

fn not_a_service(
    name: &str,
    key_span: Span,
    value_span: Span,
    data: &Data,
    mistakes: &mut Mistakes,
) {
    let message = format!("service {} is a table, not {}", show(name), data.words());
    let mistake = Mistake::new(codes::WRONG_TYPE, value_span, message).of(name);
    let header = mistakes.text(value_span).to_owned();
    mistakes.push(match data {
        Data::Tables(tables) if tables.len() == 1 => {
            let single = header.replacen("[[", "[", 1).replacen("]]", "]", 1);
            mistake.label("a service stands once").patch(
                value_span,
                single,
                "write single brackets",
            )
        }
        Data::Tables(_) => mistake
            .label("a service stands once")
            .help("write single brackets, and a name of its own for each"),
        _ => mistake
            .label("expected a table")
            .also(key_span, "this is a service")
            .help(format!(
                "write `[services.{}]` on a line of its own, and its keys below",
                shown_key(name)
            )),
    });
}

/// The entries of `[defaults]` or `[lints]`.
fn section(entry: Entry, mistakes: &mut Mistakes) -> Vec<Entry> {
    match entry.value.data {
        Data::Table(entries) => entries,
        other => {
            let message = format!("`{}` is a table, not {}", entry.key, other.words());
            let mistake = Mistake::new(codes::WRONG_TYPE, entry.value.span, message);
            mistakes.push(
                mistake
                    .label("expected a table")
                    .help(format!("write `[{}]`", entry.key)),
            );
            Vec::new()
        }
    }
}

/// Tells a table or key that has no place at the top; returns the services that it was meant to be, or to hold.
fn unknown_section(entry: &Entry, mistakes: &mut Mistakes) -> Vec<(String, Span)> {
    crate::schema::hide_secret(entry, mistakes);
    const SECTIONS: [&str; 3] = ["services", "defaults", "lints"];
    let is_table = matches!(entry.value.data, Data::Table(_));
    let noun = if is_table { "table" } else { "key" };
    let message = format!(
        "unknown {noun} {} at the top of the registry",
        show(&entry.key)
    );
    let mistake = Mistake::new(codes::UNKNOWN_KEY, entry.key_span, message);
    let looks_like_service = match &entry.value.data {
        Data::Table(entries) => entries
            .iter()
            .any(|part| matches!(part.key.as_str(), "type" | "endpoint" | "targets")),
        _ => false,
    };
    let near = names::nearest(&entry.key, SECTIONS).or(match entry.key.as_str() {
        "sinks" | "sink" => Some("services"),
        "default" => Some("defaults"),
        _ => None,
    });
    let tables = |parts: &[Entry]| {
        let tables = parts.iter();
        let tables = tables.filter(|part| matches!(part.value.data, Data::Table(_)));
        tables
            .map(|part| (part.key.clone(), part.key_span))
            .collect()
    };
    let meant = match &entry.value.data {
        _ if looks_like_service => vec![(entry.key.clone(), entry.key_span)],
        Data::Table(parts) if near == Some("services") => tables(parts),
        _ => Vec::new(),
    };
    mistakes.push(match near {
        _ if looks_like_service && near.is_none() => {
            let written = mistakes.text(entry.key_span).to_owned();
            let title = format!(
                "a service stands under `services`: write `[services.{}]`",
                names::shortened(&written)
            );
            let mistake = mistake.label("not a table of the registry");
            match names::registry_name(&entry.key) {
                Ok(()) => mistake.patch(entry.key_span, format!("services.{written}"), title),
                // It would be the next mistake.
                Err(_) => mistake.help(title),
            }
        }
        Some(near) if !looks_like_service || near == "services" => {
            let mistake = mistake.label("no such table");
            match meant.len() {
                0 | 1 => mistake.patch(entry.key_span, near, format!("write `{near}`")),
                many => mistake.help(format!(
                    "write `{near}`, in the headers of all {many} tables below it"
                )),
            }
        }
        _ if keys::find(&entry.key).is_some() => mistake
            .label("belongs to a service")
            .help("write it below `[services.name]`, or below `[defaults]` for all services"),
        _ => mistake.label("expected `services`, `defaults` or `lints`"),
    });
    meant
}

/// Lays an overlay's tables over the base.
fn lay_over(registry: &mut Registry, root: Vec<Entry>, damage: &Damage, mistakes: &mut Mistakes) {
    for entry in root {
        if damage.hides(&entry, mistakes) {
            continue;
        }
        match entry.key.as_str() {
            "services" => match entry.value.data {
                Data::Table(services) => {
                    let mut places = ByName::default();
                    for (at, known) in registry.services.iter().enumerate() {
                        places.insert(&known.name, at);
                    }
                    for service in services {
                        match places.get(&service.key) {
                            Some(at) => {
                                let known = &mut registry.services[*at];
                                known.torn |= damage.owners.contains(&service.key);
                                over_service(known, service, mistakes);
                            }
                            None => new_in_overlay(registry, &service, mistakes),
                        }
                    }
                }
                _ => services_is_no_table(&entry, mistakes),
            },
            "defaults" => {
                for part in section(entry, mistakes) {
                    if compiled_in(&part, None, mistakes) {
                        continue;
                    }
                    replace(&mut registry.defaults, part);
                }
            }
            "lints" => {
                for part in section(entry, mistakes) {
                    replace(&mut registry.lints, part);
                }
            }
            _ if damage.is_header(&entry, mistakes) => {}
            _ => drop(unknown_section(&entry, mistakes)),
        }
    }
}

fn over_service(known: &mut RawService, service: Entry, mistakes: &mut Mistakes) {
    let parts = match service.value.data {
        Data::Table(parts) => parts,
        other => {
            return not_a_service(
                &service.key,
                service.key_span,
                service.value.span,
                &other,
                mistakes,
            );
        }
    };
    for part in parts {
        put(known, part, mistakes);
    }
}

/// Lays one key of an upper layer over a service.
pub(crate) fn put(known: &mut RawService, part: Entry, mistakes: &mut Mistakes) {
    if compiled_in(&part, Some(&known.name), mistakes) {
        return;
    }
    known.retyped |= matches!(part.key.as_str(), "type" | "pattern");
    if let Some(entries) = &mut known.entries {
        replace(entries, part);
    }
}

fn replace(entries: &mut Vec<Entry>, part: Entry) {
    match entries.iter_mut().find(|entry| entry.key == part.key) {
        Some(entry) => *entry = part,
        None => entries.push(part),
    }
}

/// Tells a key that generated code depends on and no upper layer may change.
fn compiled_in(part: &Entry, service: Option<&str>, mistakes: &mut Mistakes) -> bool {
    let Some(key) = keys::find(&part.key).filter(|key| !key.in_overlays()) else {
        return false;
    };
    let message = format!("`{}` is compiled in and cannot be changed here", key.name);
    let mistake = Mistake::new(codes::COMPILED_IN, part.key_span, message)
        .label("generated code depends on it")
        .help("change it in the base registry and build again");
    debug_assert!(matches!(
        key.scope,
        Scope::CompiledIn | Scope::CompiledInDefault
    ));
    mistakes.push(match service {
        Some(service) => mistake.of(service),
        None => mistake,
    });
    true
}

fn new_in_overlay(registry: &Registry, service: &Entry, mistakes: &mut Mistakes) {
    if registry.torn {
        return;
    }
    let base = mistakes
        .files
        .first()
        .map_or(String::new(), |file| file.path.clone());
    let message = format!(
        "overlay names service {}, which {} does not have",
        show(&service.key),
        show(&base)
    );
    let mistake = Mistake::new(codes::OVERLAY_NEW_SERVICE, service.key_span, message)
        .label("not in the base");
    let present = registry.services.iter().find_map(|known| {
        let what = match environment::ident(known) == Some(&*service.key) {
            true => "the `ident`",
            false => environment::former_names(known)
                .any(|name| name == service.key)
                .then_some("a former name")?,
        };
        Some((known, what))
    });
    if let Some((known, what)) = present {
        let (written, name) = (show(&service.key), show(&known.name));
        let title = format!("{written} is {what} of {name}: write {name}");
        let mistake = mistake.also(known.name_span, "the service of the base");
        return mistakes.push(mistake.patch(service.key_span, toml_key(&known.name), title));
    }
    let near = names::nearest(
        &service.key,
        registry.services.iter().map(|known| known.name.as_str()),
    );
    mistakes.push(match near {
        Some(near) => {
            let title = format!("a service with a similar name exists: {}", show(near));
            let known = registry.services.iter().find(|known| known.name == near);
            let mistake = match known {
                Some(known) => mistake.also(known.name_span, "the service of the base"),
                None => mistake,
            };
            mistake.patch(service.key_span, toml_key(near), title)
        }
        None => mistake
            .help("add it to the base first: an overlay changes services, it does not add any"),
    });
}
