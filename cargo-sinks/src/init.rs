//! `cargo sinks init`: a crate that has sinks, and builds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use crate::{
    cli::{InitArgs, RegistryArgs},
    failure::Failure,
};

const REGISTRY: &str = include_str!("init/services.toml");
const BUILD_SCRIPT: &str = include_str!("init/build.rs.txt");
const INCLUDE: &str = "sink_runtime::include_sinks!();";

/// Writes what is not there; what is there stays as it is, and is named.
pub(crate) fn run(registry: &RegistryArgs, args: &InitArgs) -> Result<(), Failure> {
    let folder = if args.folder == Path::new(".") {
        Path::new("")
    } else {
        &args.folder
    };
    let mut manifest = Manifest::read(&folder.join("Cargo.toml"))?;
    // As the build script names it: relative to the crate, with the folders it was asked for in.
    let name = registry.registry.to_string_lossy().into_owned();
    let runtime = manifest.depend("dependencies", "sink-runtime", args.path.as_deref())?;
    let codegen = manifest.depend("build-dependencies", "sink-codegen", args.path.as_deref())?;
    let script = folder.join(manifest.build_script());
    let name = build_script(&script, &codegen, &name)?;
    write_new(&folder.join(&name), REGISTRY)?;
    manifest.write()?;
    include(folder, &INCLUDE.replace("sink_runtime", &runtime))?;
    tell!(
        "\nnext: `cargo build`; {name} says what there is, and each service of it is a function of `Sinks`"
    );
    Ok(())
}

/// Writes the build script; or says what the one that is there lacks. Gives the name of the registry that it reads.
fn build_script(path: &Path, codegen: &str, name: &str) -> Result<String, Failure> {
    let wanted = BUILD_SCRIPT
        .replace("\"services.toml\"", &format!("{name:?}"))
        .replace("services.toml", name)
        .replace("sink_codegen", codegen);
    if !path.exists() {
        write_new(path, &wanted)?;
        return Ok(name.to_owned());
    }
    let there = fs::read_to_string(path).map_err(Failure::at(path))?;
    let script = path.display();
    if !there.contains(&format!("{codegen}::")) {
        tell!("   kept {script}: put `{codegen}::Build::new({name:?}).run();` into its `main`");
        return Ok(name.to_owned());
    }
    let literal = there
        .split_once("Build::new(\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let name = literal.map_or(name, |(literal, _)| literal);
    tell!("   kept {script}, which generates from {name}");
    Ok(name.to_owned())
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    if path.exists() {
        tell!("   kept {}", path.display());
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Failure::at(folder))?;
    }
    fs::write(path, text).map_err(Failure::at(path))?;
    tell!("  wrote {}", path.display());
    Ok(())
}

/// The manifest of a package.
struct Manifest {
    path: PathBuf,
    document: DocumentMut,
}

impl Manifest {
    fn read(path: &Path) -> Result<Manifest, Failure> {
        let shown = path.display();
        if !path.exists() {
            return Err(Failure::Said(format!(
                "there is no {shown}: run `cargo new` first"
            )));
        }
        let text = fs::read_to_string(path).map_err(Failure::at(path))?;
        let document: DocumentMut = text
            .parse()
            .map_err(|error| Failure::Said(format!("{shown}: {error}")))?;
        if !document.contains_key("package") {
            return Err(Failure::Said(match members(&document) {
                Some(members) => format!(
                    "{shown} is a workspace without a package of its own: \
                     run `cargo sinks init` in the member that sends or receives{members}"
                ),
                None => format!("{shown} has no [package]: run `cargo new` first"),
            }));
        }
        Ok(Manifest {
            path: path.to_owned(),
            document,
        })
    }

    /// Where the build script is, relative to the manifest.
    fn build_script(&self) -> String {
        let named = self.document["package"].get("build");
        let named = named.and_then(Item::as_str);
        named.unwrap_or("build.rs").to_owned()
    }

    /// Adds a dependency if there is none, and leaves every other character alone. Gives its name in code.
    fn depend(
        &mut self,
        table: &str,
        krate: &str,
        checkout: Option<&Path>,
    ) -> Result<String, Failure> {
        let shown = self.path.display();
        let entry = self.document.entry(table);
        let Some(table) = entry
            .or_insert(Item::Table(Table::new()))
            .as_table_like_mut()
        else {
            return Err(Failure::Said(format!(
                "{shown}: dependencies are not a table"
            )));
        };
        let renamed = table.iter().find(|(_, value)| {
            let package = value.get("package");
            package.and_then(Item::as_str) == Some(krate)
        });
        let renamed = renamed.map(|(name, _)| name.to_owned());
        if let Some(name) = renamed.filter(|name| name != krate) {
            tell!("   kept {krate} in {shown}, which calls it {name}");
            return Ok(name.replace('-', "_"));
        }
        if table.contains_key(krate) {
            tell!("   kept {krate} in {shown}");
        } else {
            let checkout = match checkout {
                Some(folder) => Some(absolute(folder)?),
                None => own_checkout(),
            };
            table.insert(krate, dependency(krate, checkout.as_deref()));
            tell!("  added {krate} to {shown}");
        }
        Ok(krate.replace('-', "_"))
    }

    fn write(&self) -> Result<(), Failure> {
        fs::write(&self.path, self.document.to_string()).map_err(Failure::at(&self.path))
    }
}

/// `: app, relay`, if this is a workspace.
fn members(document: &DocumentMut) -> Option<String> {
    let members = document.get("workspace")?.get("members");
    let members: Vec<&str> = members
        .and_then(Item::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    Some(match &*members {
        [] => String::new(),
        members => format!(" (members: {})", members.join(", ")),
    })
}

/// Where this command was built, if that still is a checkout: a crate beside it uses the same code.
fn own_checkout() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    absolute(folder).ok()
}

fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    let folder = fs::canonicalize(folder).map_err(Failure::at(folder))?;
    match folder.join("sink-runtime/Cargo.toml").exists() {
        true => Ok(folder),
        false => Err(Failure::Said(format!(
            "{} is not a checkout of sinks: it has no sink-runtime",
            folder.display()
        ))),
    }
}

fn dependency(krate: &str, checkout: Option<&Path>) -> Item {
    let version = env!("CARGO_PKG_VERSION");
    let version = version
        .rsplit_once('.')
        .map_or(version, |(version, _)| version);
    let value: Value = match checkout {
        None => version.into(),
        Some(checkout) => {
            let mut table = InlineTable::new();
            table.insert(
                "path",
                checkout.join(krate).to_string_lossy().into_owned().into(),
            );
            table.into()
        }
    };
    Item::Value(value)
}

/// Adds the line that makes `Sinks`, to the library if the crate has one, unless some file has it.
fn include(folder: &Path, line: &str) -> Result<(), Failure> {
    if let Some(path) = including(&folder.join("src")) {
        tell!("   kept {}, which has include_sinks!()", path.display());
        return Ok(());
    }
    let candidates = [folder.join("src/lib.rs"), folder.join("src/main.rs")];
    let Some(path) = candidates.into_iter().find(|path| path.exists()) else {
        tell!("   put `{line}` into your library");
        return Ok(());
    };
    let text = fs::read_to_string(&path).map_err(Failure::at(&path))?;
    let separator = if text.is_empty() { "" } else { "\n" };
    let text = format!("{}{separator}{line}\n", ensure_newline(text));
    fs::write(&path, text).map_err(Failure::at(&path))?;
    tell!("  added include_sinks!() to {}", path.display());
    Ok(())
}

/// The file below `folder` that includes the generated code already.
fn including(folder: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries.into_iter().find_map(|path| {
        if path.is_dir() {
            return including(&path);
        }
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let text = is_rust.then(|| fs::read_to_string(&path).ok()).flatten()?;
        text.contains("include_sinks!").then_some(path)
    })
}

fn ensure_newline(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
