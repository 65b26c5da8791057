//! Reads a registry and the overlays beside it, for build script, command line and `sinks!` alike.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sink_schema::SourceFile;

use crate::generate::{Overlay, Registry};

/// Reads the registry at `path`, shown to people as `shown`, and its overlays.
///
/// # Errors
///
/// The text of a compile error that names the file and what to do.
pub fn read(path: &Path, shown: &Path) -> Result<Registry, String> {
    let base = source(path, shown)?;
    let overlays = find_overlays(path).into_iter().map(|(profile, overlay)| {
        let shown = shown.with_file_name(overlay.file_name().unwrap_or_default());
        Ok(Overlay {
            profile,
            file: source(&overlay, &shown)?,
        })
    });
    Ok(Registry {
        base,
        overlays: overlays.collect::<Result<_, String>>()?,
    })
}

fn source(path: &Path, shown: &Path) -> Result<SourceFile, String> {
    let shown = shown.to_string_lossy().replace('\\', "/");
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "there is no registry at {}\n\nhelp: `cargo sinks init` writes one; another is named relative to Cargo.toml in build.rs, \
             `sink_codegen::Build::new(\"services.toml\")`, or by `--registry`",
            path.display()
        ),
        _ => format!("the registry {} cannot be read: {error}", path.display()),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&shown, error.as_bytes()))?;
    Ok(SourceFile { path: shown, text })
}

/// Where a file stops being text, as a person counts, and what it probably is.
fn not_utf8(shown: &str, bytes: &[u8]) -> String {
    let sound = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let line = sound.matches('\n').count() + 1;
    let column = sound.lines().last().filter(|_| !sound.ends_with('\n'));
    let column = column.map_or(0, |line| line.chars().count()) + 1;
    let help = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "it is saved as UTF-16: save it as UTF-8"
    } else {
        "save it as UTF-8"
    };
    format!("{shown}:{line}:{column}: the registry is not UTF-8\n\nhelp: {help}")
}

/// The overlays beside a registry, as profile and path, in the order of their profiles.
#[must_use]
pub fn find_overlays(registry: &Path) -> Vec<(String, PathBuf)> {
    let (Some(folder), Some(stem)) = (
        registry.parent(),
        registry.file_stem().and_then(|stem| stem.to_str()),
    ) else {
        return Vec::new();
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let profile = |name: &str| {
        let profile = name
            .strip_prefix(stem)?
            .strip_prefix('.')?
            .strip_suffix(".toml")?;
        (!profile.is_empty() && !profile.contains('.')).then(|| profile.to_owned())
    };
    let mut overlays: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((profile(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    overlays.sort();
    overlays
}
