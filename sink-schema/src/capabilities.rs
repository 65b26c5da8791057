//! What the program at hand has built in: carriers and features. The same registry may be sound for one and not for another.

/// Carriers and features at hand. A key or endpoint that needs another is an error naming what to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Sorted, as the features are.
    schemes: Vec<String>,
    features: Vec<String>,
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
            schemes: Vec::new(),
            features: Vec::new(),
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
        insert(&mut self.schemes, scheme);
        self
    }

    /// Adds a feature: `postcard`, `json`, `tls`, `spool`.
    #[must_use]
    pub fn with_feature(mut self, feature: &str) -> Self {
        insert(&mut self.features, feature);
        self
    }

    /// Whether a carrier for `scheme` is at hand.
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.everything || self.schemes.iter().any(|known| known == scheme)
    }

    /// Whether a feature is at hand.
    pub fn has_feature(&self, feature: &str) -> bool {
        self.everything || self.features.iter().any(|known| known == feature)
    }

    /// Schemes at hand, sorted.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.schemes.iter().map(String::as_str)
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.everything
    }
}

/// Adds a name that is not there, in its place.
fn insert(names: &mut Vec<String>, name: &str) {
    let at = names.partition_point(|known| known.as_str() < name);
    if names.get(at).is_none_or(|known| known != name) {
        names.insert(at, name.to_owned());
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::build()
    }
}
