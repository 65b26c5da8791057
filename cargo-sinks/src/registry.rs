//! Reads the registry that a command works on, judged as the build judges it.

use std::{
    collections::VecDeque,
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use sink_codegen::{Carrier, Options, Registry};
use sink_schema::{Color, Diagnostics, Format, Plan};

use crate::{cli::RegistryArgs, failure::Failure};

/// A registry, read and validated.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) registry: Registry,
    pub(crate) options: Options,
    pub(crate) plan: Plan,
    pub(crate) diagnostics: Diagnostics,
}

/// Reads and validates the registry and all overlays beside it.
///
/// # Errors
///
/// A file cannot be read, or the profile has no overlay. Mistakes in the registry are not errors here.
pub(crate) fn load(args: &RegistryArgs, options: Options) -> Result<Loaded, Failure> {
    let registry = sink_codegen::read(&args.registry, &args.registry)
        .map_err(|text| Failure::Said(elsewhere(&args.registry, text)))?;
    let options = Options {
        profile: args.profile.clone(),
        carriers: carriers(args),
        ..options
    };
    registry.chosen(&options).map_err(Failure::Said)?;
    let (plan, diagnostics) = sink_codegen::load(&registry, &options);
    Ok(Loaded {
        registry,
        options,
        plan,
        diagnostics,
    })
}

/// The text of a registry that is not there, with what is near instead: in a crate of this workspace, or above.
fn elsewhere(path: &Path, text: String) -> String {
    let name = path.file_name().filter(|_| !path.exists());
    let near = name.map_or_else(Vec::new, |name| near(name.as_ref()));
    let Some(first) = near.first() else {
        return text;
    };
    let message = text.split("\n\nhelp: ").next().unwrap_or_default();
    let all: Vec<String> = near.iter().map(|path| path.display().to_string()).collect();
    format!(
        "{message}\n\nhelp: there is {}: `--registry {}`",
        all.join(", "),
        first.display()
    )
}

/// Files of that name in the folders above that hold a crate, else in those beneath.
fn near(name: &Path) -> Vec<PathBuf> {
    const FOLDERS_UP: usize = 16;
    let above = std::iter::successors(Some(PathBuf::from("..")), |folder| Some(folder.join("..")));
    let above = above
        .take(FOLDERS_UP)
        .filter(|folder| folder.join("Cargo.toml").exists());
    let above = above
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    above.map_or_else(|| beneath(name), |above| vec![above])
}

/// Breadth first, so that a bound on the folders looked at loses the deepest.
fn beneath(name: &Path) -> Vec<PathBuf> {
    const FOLDERS: usize = 200;
    const NAMED: usize = 3;
    let mut folders = VecDeque::from([PathBuf::new()]);
    let mut found = Vec::new();
    for _ in 0..FOLDERS {
        let Some(folder) = folders.pop_front() else {
            break;
        };
        let path = folder.join(name);
        if path.is_file() {
            found.push(path);
        }
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &folder
        };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let inner = entries.filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let built = name == "target" || name == "node_modules" || name.starts_with('.');
            !built && entry.file_type().is_ok_and(|kind| kind.is_dir())
        });
        let folder = folder.strip_prefix(".").unwrap_or(folder);
        let mut inner: Vec<PathBuf> = inner.map(|entry| folder.join(entry.file_name())).collect();
        inner.sort();
        folders.extend(inner);
    }
    found.truncate(NAMED);
    found
}

/// Carriers named on the command line, and those that the build script beside the registry adds.
fn carriers(args: &RegistryArgs) -> Vec<Carrier> {
    let build_script =
        fs::read_to_string(args.registry.with_file_name("build.rs")).unwrap_or_default();
    let mut carriers: Vec<Carrier> = Vec::new();
    for carrier in args
        .carriers
        .iter()
        .map(|krate| Carrier::of(krate))
        .chain(in_build_script(&build_script))
    {
        if !carriers.contains(&carrier) {
            carriers.push(carrier);
        }
    }
    carriers
}

/// Finds `.carrier("crate")` and `.carrier_for("scheme", "crate")` without compiling the script.
fn in_build_script(text: &str) -> Vec<Carrier> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let calls = code.split(".carrier").skip(1);
    calls
        .filter_map(|call| {
            let (call, rest) = call.trim_start().split_once('(')?;
            let literals: Vec<&str> = rest
                .split(')')
                .next()?
                .split('"')
                .skip(1)
                .step_by(2)
                .collect();
            match (call, literals.as_slice()) {
                ("", [krate]) => Some(Carrier::of(krate)),
                ("_for", [scheme, krate]) => Some(Carrier {
                    scheme: (*scheme).to_owned(),
                    krate: (*krate).to_owned(),
                }),
                _ => None,
            }
        })
        .collect()
}

impl Loaded {
    /// Draws the mistakes on standard error and says whether one of them is an error.
    ///
    /// # Errors
    ///
    /// [`Failure::Reported`] if there is one.
    pub(crate) fn report(&self) -> Result<(), Failure> {
        if !self.diagnostics.is_empty() {
            tell!(
                "{}\n",
                self.diagnostics.render(Format::Human, color()).trim_end()
            );
        }
        if self.diagnostics.has_errors() {
            Err(Failure::Reported)
        } else {
            Ok(())
        }
    }
}

/// Colours if standard error is a terminal and nobody asked for none.
pub(crate) fn color() -> Color {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stderr().is_terminal() && !refused {
        Color::Always
    } else {
        Color::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_are_found_in_a_build_script() {
        let script = r#"
            // .carrier("sink_old")
            sink_codegen::Build::new("services.toml").carrier("sink_nats")
                .carrier_for("mq", "my_queue").run();"#;
        let found = in_build_script(script);
        let pairs: Vec<_> = found
            .iter()
            .map(|carrier| (carrier.scheme.as_str(), carrier.krate.as_str()))
            .collect();
        assert_eq!(pairs, [("nats", "sink_nats"), ("mq", "my_queue")]);
    }
}
