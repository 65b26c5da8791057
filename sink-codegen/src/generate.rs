//! Text to text: a registry and its overlays in, Rust and mistakes out. Reads no files, prints nothing.

use proc_macro2::TokenStream;
use sink_schema::{Capabilities, Color, Diagnostic, Diagnostics, Format, Layers, Location, Plan};

use crate::input::{Carrier, Options, Registry};
use crate::{emit, emit::Whole, layout};

/// What came out.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Rust, with stubs for the services that are broken.
    pub code: String,
    /// All mistakes and warnings, of the base file and of every overlay.
    pub diagnostics: Diagnostics,
    /// With [`Options::nested`], what [`in_module`] shall import; nothing if a service is broken.
    pub handed_out: Vec<String>,
}

/// Generates the code of a registry as a build script writes it, whatever is wrong with it: broken services become stubs.
#[must_use]
pub fn generate(registry: &Registry, options: &Options) -> Generated {
    let Tokens {
        tokens,
        plan,
        diagnostics,
        handed_out,
    } = tokens(registry, options);
    let code = layout::text(tokens, &plan, registry);
    Generated {
        code,
        diagnostics,
        handed_out,
    }
}

/// Generates the same code as [`generate`], formatted, for people to read and to check in.
#[cfg(feature = "pretty")]
#[must_use]
pub fn generate_pretty(registry: &Registry, options: &Options) -> Generated {
    let Tokens {
        tokens,
        plan,
        diagnostics,
        handed_out,
    } = tokens(registry, options);
    let code = match syn::parse2(tokens) {
        Ok(file) => layout::pretty::text(file, &plan, registry),
        Err(error) => our_mistake(&error),
    };
    Generated {
        code,
        diagnostics,
        handed_out,
    }
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
    /// With [`Options::nested`], what [`in_module`] shall import; nothing if a service is broken.
    pub handed_out: Vec<String>,
}

/// Puts generated code, and with it what a macro adds, into a module, and imports what a user names from it.
///
/// So it may stand in a function, whose items no `super` reaches, and a second one beside it is not an error for each item.
/// `handed_out` is [`Tokens::handed_out`]; if it is empty everything comes out, for nobody knows the names.
#[must_use]
pub fn in_module<'a>(
    items: &TokenStream,
    whole: Whole,
    handed_out: impl IntoIterator<Item = &'a str>,
) -> TokenStream {
    let paths = handed_out.into_iter();
    let paths: Vec<TokenStream> = paths.filter_map(|path| path.parse().ok()).collect();
    emit::in_module(items, whole, &paths)
}

/// What stands in for the code of a registry that was not read at all. Names `__Broken`, which the macro defines.
#[must_use]
pub fn nothing_known() -> TokenStream {
    emit::nothing_known(&Plan::default(), &Options::default())
}

/// Generates as [`generate`] does, for macros, which have no use for formatted text.
#[must_use]
pub fn tokens(registry: &Registry, options: &Options) -> Tokens {
    let (plan, diagnostics) = load(registry, options);
    let lost = plan.incomplete || lost_names(&diagnostics);
    let tokens = match lost {
        true => emit::nothing_known(&plan, options),
        false => emit::emit(&plan, registry, options),
    };
    let whole = options.nested && plan.broken.is_empty() && !lost;
    Tokens {
        tokens,
        handed_out: match whole {
            true => emit::handed_out(&plan),
            false => Vec::new(),
        },
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
            let over = layers(Some(&overlay.file));
            diagnostics.merge(sink_schema::load_over(&over, &plan).1);
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

/// The text of a registry that cannot be read, with its code, as the body of a compiler error.
#[must_use]
pub fn unreadable_text(text: &str) -> String {
    let code = Diagnostic::unreadable(Location::default(), String::new(), Vec::new()).code;
    format!("[{code}] {text}")
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
