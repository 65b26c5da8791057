//! What a registry is read from: files, the environment, and what is built in to serve it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sink_schema::{SourceFile, Unreadable};

use crate::carrier::Carrier;
use crate::error::RegistryError;

/// `services.toml` beside the executable, never in the working directory.
pub(super) fn beside_executable() -> Option<PathBuf> {
    let path = std::env::current_exe()
        .ok()?
        .parent()?
        .join("services.toml");
    path.is_file().then_some(path)
}

/// The variables that may be the topmost layer.
pub(super) fn environment() -> Result<Vec<(String, String)>, RegistryError> {
    std::env::vars_os()
        .filter(|(key, _)| may_be_ours(key.as_encoded_bytes()))
        .map(|(key, value)| {
            let name = key.to_string_lossy().into_owned();
            Ok((
                key.into_string().map_err(|_| not_text(&name))?,
                value.into_string().map_err(|_| not_text(&name))?,
            ))
        })
        .collect()
}

/// Whether a name begins `SINKS__`; with small letters it is passed on too, for the validator to say what is wrong with it.
fn may_be_ours(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"SINKS__";
    let prefix = name.get(..PREFIX.len());
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

/// An environment variable; one that is empty is none.
pub(super) fn variable(name: &str) -> Result<Option<String>, RegistryError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(not_text(name)),
    }
}

fn not_text(variable: &str) -> RegistryError {
    RegistryError::Unsupported {
        service: Arc::from(variable),
        text: Arc::from("the environment variable is not UTF-8"),
    }
}

pub(super) fn with_carriers(
    capabilities: sink_schema::Capabilities,
    carriers: &[&Carrier],
) -> sink_schema::Capabilities {
    let schemes = carriers.iter().flat_map(|carrier| carrier.schemes);
    schemes.fold(capabilities, |capabilities, scheme| {
        capabilities.with_scheme(scheme)
    })
}

/// What this build of the runtime can do.
pub(super) fn built_in() -> sink_schema::Capabilities {
    let mut capabilities = sink_schema::Capabilities::none().with_scheme("inproc");
    for (built, scheme) in [
        (cfg!(all(unix, feature = "unix")), "unix"),
        (cfg!(feature = "tcp"), "tcp"),
    ] {
        if built {
            capabilities = capabilities.with_scheme(scheme);
        }
    }
    for (built, feature) in [
        (cfg!(feature = "postcard"), "postcard"),
        (cfg!(feature = "json"), "json"),
    ] {
        if built {
            capabilities = capabilities.with_feature(feature);
        }
    }
    capabilities
}

/// A registry and the overlay of a profile beside it.
pub(super) fn read_files(
    path: &Path,
    profile: Option<&str>,
) -> Result<(SourceFile, Option<SourceFile>), RegistryError> {
    let base = read_file(path)?;
    let Some(profile) = profile else {
        return Ok((base, None));
    };
    let stem = path
        .file_stem()
        .map_or_else(|| "services".into(), |stem| stem.to_string_lossy());
    let overlay = read_file(&path.with_file_name(format!("{stem}.{profile}.toml")))?;
    Ok((base, Some(overlay)))
}

/// Reads a registry, or an overlay, as a program does: a regular file of bounded length that is text.
///
/// # Errors
/// If it is none, with the words of the build for it.
#[doc(hidden)]
pub fn read_file(path: &Path) -> Result<SourceFile, RegistryError> {
    let shown = path.display().to_string();
    let unread = |error| RegistryError::Read {
        registry: Arc::from(shown.as_str()),
        source: Arc::new(error),
    };
    // Before it is opened: a pipe would wait for who writes into it.
    let about = std::fs::metadata(path).map_err(unread)?;
    if !about.is_file() {
        return Err(unreadable(Unreadable::no_file(&shown, about.is_dir())));
    }
    if let Some(long) = Unreadable::too_long(&shown, about.len()) {
        return Err(unreadable(long));
    }
    let mut bytes = Vec::new();
    let most = sink_schema::MAX_REGISTRY_BYTES as u64 + 1;
    let file = std::fs::File::open(path).map_err(unread)?;
    file.take(most).read_to_end(&mut bytes).map_err(unread)?;
    SourceFile::from_bytes(shown.as_str(), bytes).map_err(unreadable)
}

fn unreadable(mistake: Unreadable) -> RegistryError {
    RegistryError::Invalid {
        registry: Arc::from(mistake.location.path.as_str()),
        count: 1,
        text: Arc::from(format!("error: {mistake}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::may_be_ours;

    #[test]
    fn a_variable_with_a_prefix_in_small_letters_reaches_the_validator() {
        assert!(may_be_ours(b"SINKS__ORDERS__ENDPOINT"));
        assert!(may_be_ours(b"sinks__orders__endpoint"));
        assert!(!may_be_ours(b"SINKS_PROFILE"));
        assert!(!may_be_ours(b"XSINKS__ORDERS__ENDPOINT"));
    }
}
