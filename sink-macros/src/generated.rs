//! What `include_sinks!` includes.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use proc_macro2::{Literal, Span, TokenStream};
use quote::quote;
use sink_codegen::{Whole, find_overlays, in_module};

use crate::mistakes;

const NO_BUILD_SCRIPT: &str =
    "include_sinks!() found no generated code: this crate's build script did not run \
`sink_codegen::Build`

help: add a build.rs beside Cargo.toml:

    fn main() {
        sink_codegen::Build::new(\"services.toml\").run();
    }

and to Cargo.toml:

    [build-dependencies]
    sink-codegen = \"0.1\"

help: `cargo sinks init` does both";

const STANDS_ONCE: &str = "include_sinks!() stands once in a crate, and this is another one

help: remove it; wherever `Sinks` is needed, `use` the one of the module that stays";

/// The code and the mistakes that the build script left in `OUT_DIR`.
pub(crate) fn expand(runtime: &TokenStream) -> TokenStream {
    let span = Span::call_site();
    if stands_already() {
        return mistakes::alone(STANDS_ONCE.to_owned(), span);
    }
    let Some(out) = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .filter(|out| out.join("sinks.rs").exists())
    else {
        return mistakes::alone(NO_BUILD_SCRIPT.to_owned(), span);
    };
    let left = |file| fs::read_to_string(out.join(file)).unwrap_or_default();
    let mut found = read(&left("sinks.mistakes"));
    found.extend(came_later(&left("sinks.overlays")));
    let mistakes = mistakes::emit(&found, span);
    let items = quote! {
        use #runtime as __sink_runtime;
        ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/sinks.rs"));
        #mistakes
    };
    in_module(&items, Whole::ByName, left("sinks.names").lines())
}

/// Whether the crate has included its sinks already.
///
/// Two in one module would be an error for every name they share, two in two modules two links to each service. The compiler
/// has a process for each crate; an editor's server, which expands a macro again and again, has another name.
fn stands_already() -> bool {
    static STANDS: AtomicBool = AtomicBool::new(false);
    let process = env::current_exe().unwrap_or_default();
    let compiler = ["rustc", "rustdoc", "clippy-driver"].map(OsStr::new);
    let compiles = process
        .file_stem()
        .is_some_and(|name| compiler.contains(&name));
    compiles && STANDS.swap(true, Ordering::Relaxed)
}

/// One Rust string literal per line.
fn read(mistakes: &str) -> Vec<String> {
    let literals = mistakes
        .lines()
        .filter_map(|line| line.parse::<Literal>().ok());
    literals
        .filter_map(|literal| syn::parse2::<syn::LitStr>(quote! { #literal }).ok())
        .map(|text| text.value())
        .collect()
}

/// Cargo cannot be told to watch for a file that does not exist, so an overlay that was added since the build script ran
/// would be left out in silence: unchecked, and not part of the program.
fn came_later(seen: &str) -> Option<String> {
    let mut seen = seen.lines();
    let registry = Path::new(seen.next()?);
    let seen: Vec<&str> = seen.collect();
    let (_, overlay) = find_overlays(registry)
        .into_iter()
        .find(|(profile, _)| !seen.contains(&profile.as_str()))?;
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    Some(format!(
        "the overlay {} was added after the build script ran, and is not part of this build\n\n\
         help: save {} again, or `touch` it: cargo then runs the build script",
        name(&overlay),
        name(registry)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_that_the_build_script_did_not_see_is_a_mistake() {
        let folder = env::temp_dir().join(format!("sinks-later-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let registry = folder.join("services.toml");
        fs::write(&registry, "").unwrap();
        fs::write(folder.join("services.staging.toml"), "").unwrap();
        let seen = format!("{}\nstaging\n", registry.display());
        let before = came_later(&seen);
        fs::write(folder.join("services.production.toml"), "").unwrap();
        let after = came_later(&seen);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(before, None);
        let after = after.unwrap();
        assert!(
            after.starts_with("the overlay services.production.toml was added after")
                && after.contains("save services.toml again"),
            "{after}"
        );
    }

    #[test]
    fn a_build_script_that_read_no_registry_saw_no_overlays() {
        assert_eq!(came_later(""), None);
    }
}
