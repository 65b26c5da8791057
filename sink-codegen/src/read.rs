//! Reads a registry and the overlays beside it, for build script, command line and `sinks!` alike.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use sink_schema::{MAX_REGISTRY_BYTES, SourceFile, Unreadable};

use crate::input::{Overlay, Registry};

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
    let unread = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "there is no registry at {}\n\nhelp: `cargo sinks init` writes one; another is named relative to Cargo.toml in build.rs, \
             `sink_codegen::Build::new(\"services.toml\")`, or by `--registry`",
            path.display()
        ),
        _ => format!("the registry {} cannot be read: {error}", path.display()),
    };
    // Before it is opened: a pipe would wait for who writes into it.
    let about = fs::metadata(path).map_err(unread)?;
    if !about.is_file() {
        return Err(Unreadable::no_file(&shown, about.is_dir()).to_string());
    }
    if let Some(long) = Unreadable::too_long(&shown, about.len()) {
        return Err(long.to_string());
    }
    let mut bytes = Vec::new();
    let most = MAX_REGISTRY_BYTES as u64 + 1;
    let file = fs::File::open(path).map_err(unread)?;
    file.take(most).read_to_end(&mut bytes).map_err(unread)?;
    SourceFile::from_bytes(shown, bytes).map_err(|mistake| mistake.to_string())
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
