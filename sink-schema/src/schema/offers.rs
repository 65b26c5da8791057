//! Values that a help offers for a key that is missing: whoever follows it shall not meet the next mistake.

use std::collections::HashSet;

use crate::raw::RawService;
use crate::tree::Data;

/// What the registry holds already, and what was offered.
pub(super) struct Offers<'a> {
    services: &'a [RawService],
    /// Ports that are written anywhere, looked for when one is first needed.
    ports: Option<HashSet<u16>>,
}

impl<'a> Offers<'a> {
    pub(super) fn new(services: &'a [RawService]) -> Self {
        Self {
            services,
            ports: None,
        }
    }

    /// A port that no address of the registry has, another each time.
    pub(super) fn port(&mut self) -> u16 {
        let services = self.services;
        let ports = self.ports.get_or_insert_with(|| written_ports(services));
        let free = (9_001..u16::MAX).find(|port| !ports.contains(port));
        let port = free.unwrap_or(u16::MAX);
        ports.insert(port);
        port
    }

    /// Up to two leaves that carry the same message, as an array.
    pub(super) fn targets(&self, composite: &RawService) -> Option<String> {
        let mut leaves = self
            .services
            .iter()
            .filter(|service| service.name_span != composite.name_span && is_leaf(service));
        let first = leaves.next()?;
        let alike = |service: &&RawService| text(service, "message") == text(first, "message");
        let names = [Some(first), leaves.find(alike)];
        let names = names.iter().flatten();
        let quoted: Vec<String> = names.map(|service| format!("{:?}", service.name)).collect();
        Some(format!("[{}]", quoted.join(", ")))
    }
}

fn written_ports(services: &[RawService]) -> HashSet<u16> {
    let addresses = services
        .iter()
        .flat_map(|service| [text(service, "endpoint"), text(service, "bind")]);
    let ports = addresses
        .flatten()
        .filter_map(|address| address.rsplit_once(':')?.1.parse().ok());
    ports.collect()
}

/// A service that any composite may have: known to the program, its name an ordinary word.
fn is_leaf(service: &RawService) -> bool {
    let mut entries = service.entries.iter().flatten();
    crate::names::rust_name(&service.name).is_ok()
        && matches!(text(service, "type"), Some("relay" | "direct"))
        && !entries.any(|entry| entry.key == "runtime")
}

fn text<'a>(service: &'a RawService, key: &str) -> Option<&'a str> {
    let mut entries = service.entries.iter().flatten();
    let entry = entries.find(|entry| entry.key == key)?;
    match &entry.value.data {
        Data::Text(text) => Some(text),
        _ => None,
    }
}
