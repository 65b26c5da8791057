//! Where messages are received.

/// stub
#[derive(Clone, Debug, thiserror::Error)]
#[error("gap")]
pub struct Gap;
