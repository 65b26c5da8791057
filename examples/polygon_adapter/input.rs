//! What is played: the hand-made sample, or a recording from a file.

use sinks::polygon::recording::{Recording, RecordingError};

use crate::args::Args;

const SAMPLE: &str = include_str!("sample.json");

/// A recording and what to call it.
#[derive(Debug)]
pub(crate) struct Input {
    /// For the head of the table.
    pub(crate) name: String,
    /// What is played.
    pub(crate) recording: Recording,
}

// === impl Input ===

impl Input {
    /// The recording that `--input` names, or the sample.
    pub(crate) fn open(args: &Args) -> Result<Self, RecordingError> {
        let Some(path) = &args.input else {
            let recording = Recording::from_json("sample.json", SAMPLE)?;
            return Ok(Self {
                name: "Hand-made sample, no real trades".to_owned(),
                recording,
            });
        };
        Ok(Self {
            name: format!("Recording {}", path.display()),
            recording: Recording::open(path)?,
        })
    }
}
