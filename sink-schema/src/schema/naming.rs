//! Names of services and aliases: identifiers, reserved words, and collisions in any name derived from them.

use crate::by_name::ByName;
use crate::codes;
use crate::mistakes::{Mistake, Mistakes};
use crate::names::{self, NameFault, RustName, show};
use crate::raw::RawService;
use crate::text::Span;
use crate::tree::{Data, Entry};

/// What a service and its former names are called in Rust.
pub(super) struct Named {
    /// `None` after a mistake.
    pub(super) rust: Option<RustName>,
    /// What it may be called in code all the same: its uses are no mistakes of their own.
    pub(super) stand_ins: Vec<RustName>,
    /// The sound ones.
    pub(super) aliases: Vec<(String, RustName, Span)>,
}

/// Who took a name first.
#[derive(Clone)]
struct Owner {
    name: String,
    span: Span,
    is_alias: bool,
}

/// All derived names given so far.
#[derive(Default)]
struct Taken {
    idents: ByName<Owner>,
    types: ByName<Owner>,
    variables: ByName<Owner>,
    /// Identifiers that a help offers: two who follow it must not collide again.
    offered: ByName<()>,
}

impl Taken {
    /// Whether anything that `ident` would become is taken.
    fn holds(&self, ident: &str) -> bool {
        names::identifier(ident).map_or(true, |name| {
            self.offered.contains(&name.type_ident)
                || self.idents.contains(name.bare())
                || self.types.contains(&name.type_ident)
                || self.variables.contains(&name.variable())
        })
    }
}

impl Taken {
    fn offer(&mut self, ident: &str) {
        if let Ok(name) = names::identifier(ident) {
            self.offered.insert(&name.type_ident, ());
        }
    }
}

/// Names all services, in the order of the file: of two that collide, the later one is the mistake.
pub(super) fn read(services: &[RawService], mistakes: &mut Mistakes) -> Vec<Named> {
    let mut taken = Taken::default();
    let plain: Vec<Option<RustName>> = services
        .iter()
        .map(|service| match service.told {
            true => mistakes.muted(|mistakes| service_name(service, &mut taken, mistakes)),
            false => service_name(service, &mut taken, mistakes),
        })
        .collect();
    services
        .iter()
        .zip(plain)
        .map(|(service, rust)| Named {
            stand_ins: match rust {
                Some(_) => Vec::new(),
                None => stand_ins(service),
            },
            aliases: aliases(service, &mut taken, mistakes),
            rust,
        })
        .collect()
}

/// The names by which code may call a service whose name is a mistake: the ones that are written, as far as they go, and the
/// ones that a help offers.
fn stand_ins(service: &RawService) -> Vec<RustName> {
    let offered = |name: &str| {
        let ident = names::suggest_ident(name, |_| false)?;
        names::identifier(&ident).ok()
    };
    let ident = written(service, "ident").and_then(|entry| match &entry.value.data {
        Data::Text(text) => offered(text),
        _ => None,
    });
    let own = names::rust_name(&service.name).ok();
    let own = own.or_else(|| offered(&service.name));
    own.into_iter().chain(ident).collect()
}

fn written<'a>(service: &'a RawService, key: &str) -> Option<&'a Entry> {
    service
        .entries
        .iter()
        .flatten()
        .find(|entry| entry.key == key)
}

fn service_name(
    service: &RawService,
    taken: &mut Taken,
    mistakes: &mut Mistakes,
) -> Option<RustName> {
    if let Err(fault) = names::registry_name(&service.name) {
        bad_name(service, &fault, taken, mistakes);
        return None;
    }
    let ident = written(service, "ident").and_then(|entry| match &entry.value.data {
        Data::Text(text) => Some((text.as_str(), entry.value.span)),
        _ => None,
    });
    let (found, span) = match ident {
        Some((text, span)) => (names::identifier(text), span),
        None => (names::rust_name(&service.name), service.name_span),
    };
    match found {
        Ok(name) => {
            if collides(service, &name, span, taken, mistakes) {
                return None;
            }
            let owner = Owner {
                name: service.name.clone(),
                span,
                is_alias: false,
            };
            taken.idents.insert(name.bare(), owner.clone());
            taken.types.insert(&name.type_ident, owner.clone());
            taken.variables.insert(&name.variable(), owner);
            Some(name)
        }
        Err(fault) => {
            match ident {
                // What the parser made of a line that is no TOML was told as that.
                Some(_) if service.torn => {}
                Some((text, span)) => bad_ident(service, text, span, &fault, mistakes),
                None => bad_name(service, &fault, taken, mistakes),
            }
            None
        }
    }
}

fn bad_name(service: &RawService, fault: &NameFault, taken: &mut Taken, mistakes: &mut Mistakes) {
    let code = if matches!(fault, NameFault::Reserved(_)) {
        codes::RESERVED_NAME
    } else {
        codes::BAD_NAME
    };
    let message = format!("service name {} {}", show(&service.name), fault.words());
    let mistake = Mistake::new(code, service.name_span, message).of(&service.name);
    let label = label(fault);
    let offer = names::suggest_ident(&service.name, |ident| taken.holds(ident));
    offer.iter().for_each(|ident| taken.offer(ident));
    // `ident` mends what Rust minds; it does not mend a name that cannot be a file name.
    let mends = names::registry_name(&service.name).is_ok();
    mistakes.push(match offer {
        Some(ident) if mends => mistake
            .label(label)
            .help(format!("keep the name and add `ident = \"{ident}\"`")),
        Some(ident) => mistake.label(label).patch(
            service.name_span,
            crate::names::toml_key(&ident),
            format!("write letters, digits, `_` and `-`: `{ident}`"),
        ),
        None => mistake
            .label(label)
            .help("write letters, digits, `_` and `-`, beginning with a letter"),
    });
}

/// The word at the caret.
fn label(fault: &NameFault) -> &'static str {
    match fault {
        NameFault::Reserved(_) => "reserved",
        NameFault::TooLong(_) => "too long",
        NameFault::Empty => "empty",
        _ => "not an identifier",
    }
}

fn bad_ident(
    service: &RawService,
    text: &str,
    span: Span,
    fault: &NameFault,
    mistakes: &mut Mistakes,
) {
    let code = if matches!(fault, NameFault::Reserved(_)) {
        codes::RESERVED_NAME
    } else {
        codes::BAD_NAME
    };
    let message = format!("`ident` {} {}", show(text), fault.words());
    let mistake = Mistake::new(code, span, message).of(&service.name);
    let label = label(fault);
    mistakes.push(match names::suggest_ident(text, |_| false) {
        Some(ident) => mistake
            .label(label)
            .help(format!("for example: `ident = \"{ident}\"`")),
        None => mistake
            .label(label)
            .help("write letters, digits and `_`, beginning with a letter"),
    });
}

/// Whether any name derived from the service's is taken; tells the first that is.
fn collides(
    service: &RawService,
    name: &RustName,
    span: Span,
    taken: &mut Taken,
    mistakes: &mut Mistakes,
) -> bool {
    let variable = name.variable();
    let (owner, what) = if let Some(owner) = taken.idents.get(name.bare()) {
        (owner, format!("both become the function `{}`", name.ident))
    } else if let Some(owner) = taken.types.get(&name.type_ident) {
        (owner, format!("both become the type `{}`", name.type_ident))
    } else if let Some(owner) = taken.variables.get(&variable) {
        (
            owner,
            format!("both become `SINKS__{variable}__…` in the environment"),
        )
    } else {
        return false;
    };
    let message = format!(
        "services {} and {} collide: {what}",
        show(&owner.name),
        show(&service.name)
    );
    let mistake = Mistake::new(codes::NAME_COLLISION, span, message)
        .label("the second of the two")
        .also(owner.span, "the first")
        .of(&service.name);
    let offer = names::suggest_ident(&service.name, |ident| taken.holds(ident))
        .unwrap_or_else(|| format!("{}_2", name.bare()));
    taken.offer(&offer);
    let renamed = written(service, "ident").is_some();
    let own = names::rust_name(&service.name).is_ok_and(|own| own.ident == offer);
    mistakes.push(if renamed && own {
        mistake.help("remove `ident`: the service's own name is free")
    } else {
        mistake.help(format!(
            "give one of them a Rust name of its own: `ident = \"{offer}\"`"
        ))
    });
    true
}

fn aliases(
    service: &RawService,
    taken: &mut Taken,
    mistakes: &mut Mistakes,
) -> Vec<(String, RustName, Span)> {
    let Some(Data::Array(items)) = written(service, "aliases").map(|entry| &entry.value.data)
    else {
        return Vec::new();
    };
    let mut sound = Vec::new();
    for item in items {
        let Data::Text(alias) = &item.data else {
            continue;
        };
        match names::rust_name(alias) {
            Ok(name) => {
                if let Some(owner) = taken.idents.get(name.bare()) {
                    shadows(service, alias, item.span, owner, mistakes);
                    continue;
                }
                let owner = Owner {
                    name: alias.clone(),
                    span: item.span,
                    is_alias: true,
                };
                taken.idents.insert(name.bare(), owner);
                sound.push((alias.clone(), name, item.span));
            }
            Err(fault) => {
                let reserved = matches!(fault, NameFault::Reserved(_));
                let code = if reserved {
                    codes::RESERVED_NAME
                } else {
                    codes::BAD_NAME
                };
                let message = format!("alias {} {}", show(alias), fault.words());
                let mistake = Mistake::new(code, item.span, message).of(&service.name);
                mistakes.push(
                    mistake
                        .label(if reserved {
                            "reserved"
                        } else {
                            "not an identifier"
                        })
                        .help("an alias is a name the service once had; remove it"),
                );
            }
        }
    }
    sound
}

fn shadows(service: &RawService, alias: &str, span: Span, owner: &Owner, mistakes: &mut Mistakes) {
    let what = match (owner.is_alias, owner.name == service.name) {
        (false, true) => "is the service's own name".to_owned(),
        (false, false) => format!("shadows service {}", show(&owner.name)),
        (true, _) if owner.name == alias => "is given twice".to_owned(),
        (true, _) => format!("collides with alias {}", show(&owner.name)),
    };
    let first = match (owner.is_alias, owner.name == service.name) {
        (false, true) => "its present name",
        (false, false) => "the service that has this name",
        (true, _) => "first here",
    };
    mistakes.push(
        Mistake::new(
            codes::ALIAS_SHADOWS,
            span,
            format!("alias {} {what}", show(alias)),
        )
        .label("taken")
        .also(owner.span, first)
        .help("remove the alias")
        .of(&service.name),
    );
}
