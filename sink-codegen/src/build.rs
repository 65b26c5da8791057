//! The edge: reads the registry beside `Cargo.toml`, writes into `OUT_DIR`, talks to cargo.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use sink_schema::{Diagnostic, is_rust_path};

use crate::{
    generate::{Generated, generate, mistake_text, nothing_known, unreadable_text},
    input::{Carrier, Options, Registry},
    read::read,
};

/// Generates `Sinks` from a registry; the whole of a build script.
///
/// ```no_run
/// // build.rs
/// fn main() {
///     sink_codegen::Build::new("services.toml").run();
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is generated before `run()`"]
pub struct Build {
    registry: PathBuf,
    options: Options,
}

impl Build {
    /// Starts with the registry at `path`, relative to the crate's `Cargo.toml`.
    ///
    /// Overlays are the files beside it whose name has a profile in the middle: `services.staging.toml`.
    pub fn new(path: impl Into<PathBuf>) -> Build {
        Build {
            registry: path.into(),
            options: Options {
                nested: true,
                ..Options::default()
            },
        }
    }

    /// Adds the carrier of another crate, which must be a dependency: `"sink_nats"` for `nats://…` endpoints.
    ///
    /// The scheme is the crate's name without `sink_`; [`Build::carrier_for`] takes any other.
    pub fn carrier(mut self, krate: impl AsRef<str>) -> Build {
        self.options.carriers.push(Carrier::of(krate.as_ref()));
        self
    }

    /// Adds the carrier `::krate::CARRIER` for endpoints `scheme://…`.
    pub fn carrier_for(mut self, scheme: impl Into<String>, krate: impl Into<String>) -> Build {
        self.options.carriers.push(Carrier {
            scheme: scheme.into(),
            krate: krate.into(),
        });
        self
    }

    /// Says where the runtime is, for generated code that is checked in; `include_sinks!` knows it otherwise.
    pub fn runtime_path(mut self, path: impl Into<String>) -> Build {
        self.options.runtime_path = Some(path.into());
        // `include_sinks!` puts the code into a module; code that is checked in stands where it stands.
        self.options.nested = false;
        self
    }

    /// Generates from the registry as `services.<profile>.toml` changes it, and makes that the registry that is compiled in:
    /// without `SINKS_PROFILE` the program runs with this profile, with it by that one.
    ///
    /// A registry named at run time replaces the compiled-in one, and its profile with it.
    pub fn profile(mut self, profile: impl Into<String>) -> Build {
        self.options.profile = Some(profile.into());
        self
    }

    /// Makes every warning an error.
    pub fn deny_warnings(mut self) -> Build {
        self.options.deny_warnings = true;
        self
    }

    /// Generates. Never fails and never panics: `include_sinks!()` reports what is wrong.
    pub fn run(self) {
        let root = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .unwrap_or_default();
        let path = root.join(&self.registry);
        println!("cargo::rerun-if-changed={}", path.display());
        let outcome = self.outcome(&path);
        for warning in &outcome.warnings {
            println!("cargo::warning={warning}");
        }
        let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
            println!(
                "cargo::error=sink_codegen::Build::run() works in a build script, where cargo sets OUT_DIR"
            );
            return;
        };
        if let Err(error) = outcome.write(&out) {
            println!(
                "cargo::error=cannot write generated code into {}: {error}",
                out.display()
            );
        }
    }
}

// === impl Build ===

impl Build {
    /// Reads and generates; everything but telling cargo of it.
    fn outcome(&self, path: &Path) -> Outcome {
        let registry = match read(path, &self.registry) {
            Ok(registry) => registry,
            Err(mistake) => {
                return Outcome {
                    code: nothing_known().to_string(),
                    mistakes: vec![unreadable_text(&mistake)],
                    warnings: vec![],
                    overlays: String::new(),
                    handed_out: vec![],
                };
            }
        };
        watch(&registry, path);
        let mut options = self.options.clone();
        let no_path = options.runtime_path.take_if(|path| !is_rust_path(path));
        let mut outcome = Outcome::of(&generate(&registry, &options));
        outcome.mistakes.extend(no_path.map(|path| {
            format!("`Build::runtime_path({path:?})` is not a path of Rust\n\nhelp: write `::sink_runtime`")
        }));
        outcome.overlays = seen(path, &registry);
        outcome
            .mistakes
            .extend(registry.chosen(&self.options).err());
        outcome
    }
}

/// What the build script leaves for `include_sinks!()`.
struct Outcome {
    code: String,
    mistakes: Vec<String>,
    warnings: Vec<String>,
    overlays: String,
    handed_out: Vec<String>,
}

impl Outcome {
    fn of(generated: &Generated) -> Outcome {
        let diagnostics = &generated.diagnostics;
        Outcome {
            code: generated.code.clone(),
            mistakes: diagnostics
                .errors()
                .map(|mistake| mistake_text(diagnostics, mistake))
                .collect(),
            warnings: diagnostics.warnings().map(warning_line).collect(),
            overlays: String::new(),
            handed_out: generated.handed_out.clone(),
        }
    }

    /// Writes `sinks.rs`, and beside it `sinks.mistakes`, one Rust string literal per line, `sinks.names`, what the module
    /// around the code hands out, one path per line, and `sinks.overlays`.
    fn write(&self, out: &Path) -> std::io::Result<()> {
        let mistakes: String = self
            .mistakes
            .iter()
            .map(|mistake| format!("{mistake:?}\n"))
            .collect();
        write_if_changed(&out.join("sinks.rs"), &self.code)?;
        write_if_changed(&out.join("sinks.mistakes"), &mistakes)?;
        write_if_changed(&out.join("sinks.names"), &self.handed_out.join("\n"))?;
        write_if_changed(&out.join("sinks.overlays"), &self.overlays)
    }
}

/// Leaves the time of an unchanged file alone, so that nothing is rebuilt for it.
fn write_if_changed(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text)
}

/// Cargo shows a build script's warnings a line at a time, so a warning is one line here; `cargo sinks check` draws it whole.
fn warning_line(warning: &Diagnostic) -> String {
    let Diagnostic {
        path,
        line,
        column,
        code,
        message,
        ..
    } = warning;
    let help = warning
        .help
        .first()
        .map(|help| format!(" (help: {help})"))
        .unwrap_or_default();
    crate::text::one_line(&format!("{path}:{line}:{column}: [{code}] {message}{help}"))
}

/// Cargo runs the build script again when one of these changes.
///
/// A file that does not exist yet cannot be among them: cargo takes that for a change every time. The folder can, but cargo
/// looks at everything beneath it, so only one that holds nothing but registries is watched; elsewhere `include_sinks!`
/// notices an overlay that came later.
fn watch(registry: &Registry, path: &Path) {
    for overlay in &registry.overlays {
        let name = Path::new(&overlay.file.path)
            .file_name()
            .unwrap_or_default();
        println!(
            "cargo::rerun-if-changed={}",
            path.with_file_name(name).display()
        );
    }
    if let Some(folder) = path.parent()
        && holds_only_registries(folder)
    {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
}

fn holds_only_registries(folder: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.all(|entry| {
        entry.is_ok_and(|entry| {
            let path = entry.path();
            path.extension()
                .is_some_and(|extension| extension == "toml")
                && path.file_name().is_some_and(|name| name != "Cargo.toml")
        })
    })
}

/// What `include_sinks!` compares with the folder: the registry's path, then the profiles that had an overlay, a line each.
fn seen(path: &Path, registry: &Registry) -> String {
    let profiles = registry.overlays.iter().map(|overlay| &overlay.profile);
    std::iter::once(path.to_string_lossy().as_ref())
        .chain(profiles.map(String::as_str))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[cfg(test)]
mod tests;
