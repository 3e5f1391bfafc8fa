//! What is done to a file before it is encrypted: a word of the policy, and half of a sealed file's name.

use serde::{Deserialize, Serialize};

/// What a sealed file is compressed with before it is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Zstandard.
    #[default]
    Zstd,
    /// Nothing.
    None,
}
