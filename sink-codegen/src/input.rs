//! What goes into the generator: a registry's files, and what is asked of them.

use std::path::Path;

use sink_schema::SourceFile;

/// A registry as it was read: the base file and the overlays found beside it.
#[derive(Clone, Debug)]
pub struct Registry {
    /// `services.toml`.
    pub base: SourceFile,
    /// `services.<profile>.toml`, in the order of their profiles' names.
    pub overlays: Vec<Overlay>,
}

impl Registry {
    /// The overlay of [`Options::profile`], if one is asked for.
    ///
    /// # Errors
    ///
    /// The text of a compile error, if there is none of that name: what is asked for and not found would change nothing.
    pub fn chosen(&self, options: &Options) -> Result<Option<&Overlay>, String> {
        let Some(profile) = &options.profile else {
            return Ok(None);
        };
        let found = |overlay: &&Overlay| overlay.profile == *profile;
        if let Some(overlay) = self.overlays.iter().find(found) {
            return Ok(Some(overlay));
        }
        let known = || self.overlays.iter().map(|overlay| overlay.profile.as_str());
        let there = match known().collect::<Vec<_>>().as_slice() {
            [] => "there are no overlays".to_owned(),
            known => format!("there are: {}", known.join(", ")),
        };
        let help = sink_schema::nearest(profile, known()).map_or(String::new(), |near| {
            format!("\n\nhelp: a profile with a similar name exists: `{near}`")
        });
        let base = &self.base.path;
        // A profile may hold anything, a path's separators too.
        let stem = Path::new(base).file_stem().unwrap_or_default();
        let profile = sink_schema::shortened(profile);
        let overlay = format!("{}.{profile}.toml", stem.to_string_lossy());
        let overlay = crate::text::one_line(&overlay);
        Err(format!("no overlay {overlay} beside {base}; {there}{help}"))
    }
}

/// One `services.<profile>.toml`.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// The `<profile>` of the file's name.
    pub profile: String,
    /// The file.
    pub file: SourceFile,
}

/// A crate that brings a carrier, and the endpoint scheme that it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The scheme of the endpoints it serves: `nats` for `nats://…`.
    pub scheme: String,
    /// The crate's name in Rust: `sink_nats` for `::sink_nats::CARRIER`.
    pub krate: String,
}

impl Carrier {
    /// The carrier of a crate that is named for its scheme: `sink_nats` for `nats://…`.
    #[must_use]
    pub fn of(krate: &str) -> Carrier {
        let krate = krate.replace('-', "_");
        let scheme = krate
            .strip_prefix("sink_")
            .unwrap_or(&krate)
            .replace('_', "-");
        Carrier { scheme, krate }
    }
}

/// What to generate.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the runtime is, for generated code that is checked in; `include_sinks!` binds it otherwise.
    pub runtime_path: Option<String>,
    /// Carriers beyond those built into the runtime.
    pub carriers: Vec<Carrier>,
    /// The overlay that is baked in; the others are only checked.
    pub profile: Option<String>,
    /// Whether the code is for [`crate::in_module`].
    pub nested: bool,
    /// Whether each warning counts as an error.
    pub deny_warnings: bool,
}
