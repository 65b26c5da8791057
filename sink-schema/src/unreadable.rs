//! What is said of a registry that is no text a person wrote: whoever opens the file asks here, so that build, command line and
//! run time say the same. Opens nothing itself.

use std::fmt;

use crate::layers::MAX_REGISTRY_BYTES;
use crate::text::{Location, SourceFile};

/// Why a file is not read as a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file, and where it stops being text.
    pub location: Location,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl Unreadable {
    /// What is opened and is no file: one that is a pipe would wait for a writer, and a device never ends.
    pub fn no_file(path: &str, is_folder: bool) -> Self {
        let (what, help) = match is_folder {
            true => ("a folder", "name the file in it"),
            false => (
                "no regular file",
                "write what it gives into a file, and name that",
            ),
        };
        Self::whole(path, format!("the registry {path} is {what}"), help)
    }

    /// What is longer than [`MAX_REGISTRY_BYTES`], so that nobody has to read it to know.
    pub fn too_long(path: &str, bytes: u64) -> Option<Self> {
        const MIB: u64 = 1_024 * 1_024;
        (bytes > MAX_REGISTRY_BYTES as u64).then(|| {
            let message = format!(
                "the registry {path} is {} MiB long, at most {} MiB are read",
                bytes.div_ceil(MIB),
                MAX_REGISTRY_BYTES as u64 / MIB
            );
            Self::whole(
                path,
                message,
                "split it: each program names only the services it uses",
            )
        })
    }

    /// Where bytes stop being text, as a person counts, and what they probably are.
    fn not_utf8(path: &str, bytes: &[u8]) -> Self {
        let sound = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let column = sound.lines().last().filter(|_| !sound.ends_with('\n'));
        let count = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        Self {
            location: Location {
                path: path.to_owned(),
                line: count(sound.matches('\n').count()),
                column: count(column.map_or(0, |line| line.chars().count())),
            },
            message: "the registry is not UTF-8".to_owned(),
            help: if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
                "it is saved as UTF-16: save it as UTF-8".to_owned()
            } else {
                "save it as UTF-8".to_owned()
            },
        }
    }

    fn whole(path: &str, message: String, help: &str) -> Self {
        Self {
            location: Location {
                path: path.to_owned(),
                line: 1,
                column: 1,
            },
            message,
            help: help.to_owned(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.message.contains(&self.location.path) {
            write!(f, "{}: ", self.location)?;
        }
        write!(f, "{}\n\nhelp: {}", self.message, self.help)
    }
}

impl std::error::Error for Unreadable {}

impl SourceFile {
    /// Takes a file as it was read.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn from_bytes(path: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Unreadable> {
        let path = path.into();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { path, text }),
            Err(error) => Err(Unreadable::not_utf8(&path, error.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[test]
    fn what_is_no_text_is_told_by_its_place_and_its_encoding() {
        let utf16: Vec<u8> = [0xff, 0xfe, b'[', 0].to_vec();
        let said = SourceFile::from_bytes("services.toml", utf16).unwrap_err();
        assert_eq!(
            said.to_string(),
            "services.toml:1:1: the registry is not UTF-8\n\nhelp: it is saved as UTF-16: save it as UTF-8"
        );
        let latin1 = b"[services.a]\ndoc = \"K\xf6ln\"\n".to_vec();
        let said = SourceFile::from_bytes("services.toml", latin1).unwrap_err();
        assert_eq!(
            said.to_string(),
            "services.toml:2:9: the registry is not UTF-8\n\nhelp: save it as UTF-8"
        );
    }

    #[test]
    fn what_is_no_file_or_too_long_is_told_without_reading_it() {
        assert_eq!(
            Unreadable::no_file("/dev/zero", false).to_string(),
            "the registry /dev/zero is no regular file\n\nhelp: write what it gives into a file, and name that"
        );
        assert_eq!(Unreadable::too_long("a", MAX_REGISTRY_BYTES as u64), None);
        let long = Unreadable::too_long("a", MAX_REGISTRY_BYTES as u64 + 1).unwrap();
        assert!(
            long.message
                .starts_with("the registry a is 5 MiB long, at most 4")
        );
    }
}
