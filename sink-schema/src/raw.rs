//! A registry as it was read, all layers in one and nothing judged yet.

use crate::text::Span;
use crate::tree::Entry;

/// All layers as one table of services.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) services: Vec<RawService>,
    pub(crate) defaults: Vec<Entry>,
    pub(crate) lints: Vec<Entry>,
    /// TOML itself is broken somewhere, so that a service may be missing for no reason of its own.
    pub(crate) torn: bool,
    /// What should hold the services holds none: nobody knows their names.
    pub(crate) nameless: bool,
    /// The file of the overlay, if there is one.
    pub(crate) overlay: Option<usize>,
}

/// One `[services.name]`, not yet judged.
#[derive(Clone, Debug)]
pub(crate) struct RawService {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    /// `None` if it is no table at all.
    pub(crate) entries: Option<Vec<Entry>>,
    /// An upper layer says another `type`: keys of the base that no longer apply are passed over.
    pub(crate) retyped: bool,
    pub(crate) torn: bool,
    /// What is wrong with its name, or with where it stands, was told.
    pub(crate) told: bool,
}

impl RawService {
    /// A service of which only the name is known.
    pub(crate) fn misplaced(name: String, name_span: Span) -> RawService {
        RawService {
            name,
            name_span,
            entries: None,
            retyped: false,
            torn: true,
            told: true,
        }
    }
}
