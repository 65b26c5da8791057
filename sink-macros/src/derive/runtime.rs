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

/// The name of the runtime, if that is the only one it has here and not its own.
fn renamed(arguments: impl Iterator<Item = String>) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    let mut is_extern = false;
    for argument in arguments {
        let value = argument.strip_prefix("--extern=");
        if let Some(value) = value.or(is_extern.then_some(&*argument)) {
            names.extend(name_of_the_runtime(value).map(str::to_owned));
        }
        is_extern = argument == "--extern";
    }
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
    use super::renamed;

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
}
