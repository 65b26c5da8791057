//! What the program at hand has built in: carriers and features. The same registry may be sound for one and not for another.

use std::collections::BTreeSet;

/// Carriers and features at hand. A key or endpoint that needs another is an error naming what to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    schemes: BTreeSet<String>,
    features: BTreeSet<String>,
    everything: bool,
}

impl Capabilities {
    /// What a build script assumes: unix, tcp and inproc; postcard and json.
    pub fn build() -> Self {
        Self::none()
            .with_scheme("unix")
            .with_scheme("tcp")
            .with_scheme("inproc")
            .with_feature("postcard")
            .with_feature("json")
    }

    /// Nothing at all, to add to.
    pub fn none() -> Self {
        Self {
            schemes: BTreeSet::new(),
            features: BTreeSet::new(),
            everything: false,
        }
    }

    /// The whole language, built or not: for documents and tools that look ahead of this version.
    pub fn everything() -> Self {
        Self {
            everything: true,
            ..Self::none()
        }
    }

    /// Adds a carrier by its scheme.
    #[must_use]
    pub fn with_scheme(mut self, scheme: &str) -> Self {
        self.schemes.insert(scheme.to_owned());
        self
    }

    /// Adds a feature: `postcard`, `json`, `tls`, `spool`.
    #[must_use]
    pub fn with_feature(mut self, feature: &str) -> Self {
        self.features.insert(feature.to_owned());
        self
    }

    /// Whether a carrier for `scheme` is at hand.
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.everything || self.schemes.contains(scheme)
    }

    /// Whether a feature is at hand.
    pub fn has_feature(&self, feature: &str) -> bool {
        self.everything || self.features.contains(feature)
    }

    /// Schemes at hand, sorted.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().map(String::as_str)
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.everything
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::build()
    }
}
