//! What stays because it is not session content, was not asked for, or is evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that stays because it is not session content, was not asked for, or is evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remaining {
    /// What it is.
    pub what: RemainingKind,
    /// Where it lies.
    pub path: String,
    /// How many files it is.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemainingKind {
    /// The ledger of this program: paths, ids and times, no content.
    Ledger,
    /// What this program remembers between runs.
    State,
    /// The lock of this program in a store, which is empty.
    Lock,
    /// A policy.
    Policy,
    /// Holds of the user.
    Holds,
    /// The key that opens sealed files.
    Identity,
    /// Tokens of the client's account.
    Credentials,
    /// What the user wrote or installed, and the client's own state.
    Settings,
    /// Notes the client keeps about the user and the projects.
    Memory,
    /// Files the catalogue does not know, outside of what a partial purge was asked for.
    Unrecognised,
    /// Files the catalogue does not know that the operator named to be kept (`--except`); any makes the
    /// verdict `complete-except-as-listed`.
    Excepted,
    /// Sessions outside what a partial purge was asked for.
    OutsideScope,
}

impl RemainingKind {
    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ledger => "ledger of ccretain (paths, ids and times, no content)",
            Self::State => "state of ccretain",
            Self::Lock => "lock of ccretain (empty)",
            Self::Policy => "policy of ccretain",
            Self::Holds => "holds of ccretain",
            Self::Identity => "identity that opens sealed files",
            Self::Credentials => "credentials of Claude Code",
            Self::Settings => "settings of Claude Code, and what the user wrote or installed",
            Self::Memory => "memory: notes of Claude Code",
            Self::Unrecognised => "files that the catalogue does not know",
            Self::Excepted => "not recognised, and kept on the operator's word",
            Self::OutsideScope => "sessions outside what was asked for",
        }
    }
}
