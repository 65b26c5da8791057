//! Where the runtime is, if `#[message(crate = "…")]` does not say.
//!
//! A derive cannot ask for the crate that it was reached through. It runs inside the compiler, though, whose command line
//! names the crates that can be used: `--extern rt=…/libsink_runtime-0123.rmeta` for a runtime that Cargo.toml calls `rt`.

use proc_macro2::Span;
use syn::{Ident, Path, parse_quote};

/// `::sink_runtime`, or what Cargo.toml calls it instead.
pub(super) fn path() -> Path {
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    match renamed(arguments) {
        Some(name) => {
            let name = Ident::new(&name, Span::call_site());
            parse_quote!(::#name)
        }
        None => parse_quote!(::sink_runtime),
    }
}

/// Whether the crate that is compiled certainly has no runtime of its own: only through another crate, which nobody can name.
pub(super) fn is_missing() -> bool {
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    has_others_only(arguments)
}

/// Whether a command line names crates and the runtime is none of them. Without a crate it is no command line of rustc.
fn has_others_only(arguments: impl Iterator<Item = String>) -> bool {
    let mut arguments = arguments.peekable();
    let mut named = false;
    let externs = externs(std::iter::from_fn(|| {
        let argument = arguments.next()?;
        // The runtime's own tests call it by its name.
        named |= argument == "--crate-name"
            && arguments.peek().is_some_and(|name| name != "sink_runtime");
        Some(argument)
    }));
    named
        && !externs.is_empty()
        && externs.iter().all(|value| {
            let name = value
                .split('=')
                .next()
                .and_then(|name| name.rsplit(':').next());
            name != Some("sink_runtime") && name_of_the_runtime(value).is_none()
        })
}

/// What stands behind each `--extern`.
fn externs(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    let mut is_extern = false;
    for argument in arguments {
        let value = argument.strip_prefix("--extern=");
        values.extend(value.or(is_extern.then_some(&*argument)).map(str::to_owned));
        is_extern = argument == "--extern";
    }
    values
}

/// The name of the runtime, if that is the only one it has here and not its own.
fn renamed(arguments: impl Iterator<Item = String>) -> Option<String> {
    let values = externs(arguments);
    let names = values.iter().filter_map(|value| name_of_the_runtime(value));
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    match &*names {
        [name] if name != "sink_runtime" => names.pop(),
        _ => None,
    }
}

/// `rt` of `rt=…/libsink_runtime-0123.rmeta` and of `priv,noprelude:rt=…`.
fn name_of_the_runtime(value: &str) -> Option<&str> {
    let (name, file) = value.split_once('=')?;
    let file = file.rsplit(['/', '\\']).next()?;
    let (krate, _) = file.split_once(['-', '.'])?;
    let name = name.rsplit(':').next()?;
    (krate.trim_start_matches("lib") == "sink_runtime" && syn::parse_str::<Ident>(name).is_ok())
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{has_others_only, renamed};

    fn of(line: &str) -> Option<String> {
        renamed(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn the_only_name_of_the_runtime_is_read_from_the_command_line() {
        let line = "rustc --crate-name app --extern rt=/t/deps/libsink_runtime-0123.rmeta --extern tokio=/t/libtokio-1.rlib";
        assert_eq!(of(line).as_deref(), Some("rt"));
        assert_eq!(
            of("rustc --extern=priv:rt=libsink_runtime.rlib").as_deref(),
            Some("rt")
        );
        assert_eq!(
            of(r"rustc --extern rt=C:\t\sink_runtime-01.dll").as_deref(),
            Some("rt")
        );
    }

    #[test]
    fn a_runtime_by_its_own_name_or_by_several_or_by_none_is_not_renamed() {
        let own = "--extern sink_runtime=/t/libsink_runtime-0123.rmeta";
        assert_eq!(of(own), None);
        assert_eq!(
            of(&format!("{own} --extern rt=/t/libsink_runtime-4567.rmeta")),
            None
        );
        assert_eq!(
            of("rustc --extern rt=/t/libsink_runtime_extra-0.rmeta"),
            None
        );
        assert_eq!(
            of("rustc rt=/t/libsink_runtime-0.rmeta --extern sink_runtime"),
            None
        );
    }

    #[test]
    fn a_crate_that_has_the_runtime_under_no_name_is_known_by_its_command_line() {
        let missing = |line: &str| has_others_only(line.split(' ').map(str::to_owned));
        let shop = "rustc --crate-name app --extern shop=/t/libshop-0123.rmeta";
        assert!(missing(shop));
        assert!(!missing(&format!(
            "{shop} --extern rt=/t/libsink_runtime-0123.rmeta"
        )));
        assert!(!missing(&format!("{shop} --extern sink_runtime")));
        assert!(!missing(&format!(
            "{shop} --extern=priv:sink_runtime=/t/other.rlib"
        )));
        // The runtime's own, a crate of whose dependencies nothing is said, and no compiler at all.
        assert!(!missing(
            "rustc --crate-name sink_runtime --extern serde=/t/libserde-0.rmeta"
        ));
        assert!(!missing("rustc --crate-name app src/lib.rs"));
        assert!(!missing("rust-analyzer-proc-macro-srv"));
    }
}
