//! Text to text: a registry and its overlays in, Rust and mistakes out. Reads no files, prints nothing.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;
use sink_schema::{Capabilities, Color, Diagnostic, Diagnostics, Format, Layers, Plan, SourceFile};

use crate::{emit, layout};

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
    /// Whether the code is for [`Tokens::in_module`].
    pub nested: bool,
    /// Whether each warning counts as an error.
    pub deny_warnings: bool,
}

/// What came out.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Rust, with stubs for the services that are broken.
    pub code: String,
    /// All mistakes and warnings, of the base file and of every overlay.
    pub diagnostics: Diagnostics,
}

/// Generates the code of a registry as a build script writes it, whatever is wrong with it: broken services become stubs.
#[must_use]
pub fn generate(registry: &Registry, options: &Options) -> Generated {
    let Tokens {
        tokens,
        plan,
        diagnostics,
    } = tokens(registry, options);
    let code = layout::text(tokens, &plan, registry);
    Generated { code, diagnostics }
}

/// Generates the same code as [`generate`], formatted, for people to read and to check in.
#[cfg(feature = "pretty")]
#[must_use]
pub fn generate_pretty(registry: &Registry, options: &Options) -> Generated {
    let Tokens {
        tokens,
        plan,
        diagnostics,
    } = tokens(registry, options);
    let code = match syn::parse2(tokens) {
        Ok(file) => layout::pretty::text(file, &plan, registry),
        Err(error) => our_mistake(&error),
    };
    Generated { code, diagnostics }
}

/// Generated code before it is formatted, and what it was made of.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The items.
    pub tokens: TokenStream,
    /// The registry after validation.
    pub plan: Plan,
    /// All mistakes and warnings.
    pub diagnostics: Diagnostics,
}

impl Tokens {
    /// Puts the code, and with it what the macro adds, into a module, and re-exports what a user names.
    ///
    /// So it may stand in a function, whose items no `super` reaches, and a second one beside it is one error.
    #[must_use]
    pub fn in_module(&self, added: &TokenStream) -> TokenStream {
        let tokens = &self.tokens;
        let items = quote! { #added #tokens };
        match self.plan.broken.is_empty() && !lost_names(&self.diagnostics) {
            true => emit::in_module(&items, &self.plan),
            // Whatever names there are; and a mistake in the registry is not the time for a warning of the compiler's.
            false => quote! {
                #[allow(unused_imports)]
                mod __sinks_of_this_place { use super::*; #items }
                #[allow(unused_imports)]
                pub use __sinks_of_this_place::*;
            },
        }
    }
}

/// Generates as [`generate`] does, for macros, which have no use for formatted text.
#[must_use]
pub fn tokens(registry: &Registry, options: &Options) -> Tokens {
    let (plan, diagnostics) = load(registry, options);
    let tokens = match lost_names(&diagnostics) {
        true => emit::nothing_known(options),
        false => emit::emit(&plan, registry, options),
    };
    Tokens {
        tokens,
        plan,
        diagnostics,
    }
}

/// Whether the file could not be read to its end, so that nobody knows which names it has.
fn lost_names(diagnostics: &Diagnostics) -> bool {
    const SYNTAX: &str = "E0100";
    const TOO_LARGE: &str = "E0115";
    const TOO_DEEP: &str = "E0116";
    diagnostics
        .errors()
        .any(|error| [SYNTAX, TOO_LARGE, TOO_DEEP].contains(&error.code))
}

/// Validates the registry and each overlay, as the build, the command line and `sinks!` all do.
///
/// The plan is that of the base file under the overlay of [`Options::profile`]; [`Registry::chosen`] says whether there is one.
#[must_use]
pub fn load(registry: &Registry, options: &Options) -> (Plan, Diagnostics) {
    let layers = |overlay| Layers {
        base: &registry.base,
        overlay,
        environment: &[],
        capabilities: capabilities(&options.carriers),
    };
    let chosen = registry.chosen(options).ok().flatten();
    let (plan, mut diagnostics) = sink_schema::load(&layers(chosen.map(|overlay| &overlay.file)));
    for overlay in &registry.overlays {
        if chosen.is_none_or(|chosen| chosen.profile != overlay.profile) {
            diagnostics.merge(sink_schema::load(&layers(Some(&overlay.file))).1);
        }
    }
    if options.deny_warnings {
        diagnostics.deny_warnings();
    }
    (plan, diagnostics)
}

/// The text of a mistake as the body of a compiler error, which begins with `error: ` already.
#[must_use]
pub fn mistake_text(diagnostics: &Diagnostics, mistake: &Diagnostic) -> String {
    let text = diagnostics.render_one(mistake, Format::Human, Color::Never);
    let headed = format!("{}[{}]: ", mistake.severity, mistake.code);
    match text.strip_prefix(&headed) {
        Some(rest) => format!("[{}] {}", mistake.code, rest.trim_end()),
        None => text.trim_end().to_owned(),
    }
}

fn capabilities(carriers: &[Carrier]) -> Capabilities {
    carriers
        .iter()
        .fold(Capabilities::build(), |capabilities, carrier| {
            capabilities.with_scheme(&carrier.scheme)
        })
}

/// Emitted code that does not parse is a mistake of ours; it must not look like one of the user's.
#[cfg(feature = "pretty")]
fn our_mistake(error: &syn::Error) -> String {
    format!(
        "::core::compile_error!({:?});\n",
        format!(
            "sink-codegen wrote Rust that does not parse ({error}); please report it with your services.toml"
        )
    )
}
