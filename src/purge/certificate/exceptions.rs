//! What was not removed although it should have been, or is not wholly gone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that was not removed although it should have been, or is not wholly gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exception {
    /// Why, in one word.
    pub reason: ExceptionReason,
    /// Where; empty where no path is concerned.
    pub path: String,
    /// Why, in a sentence; never content of a file.
    pub detail: String,
    /// How many bytes it has, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Why something is an exception.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ExceptionReason {
    /// A root was refused as a store.
    Refused,
    /// Something could not be read.
    Unreadable,
    /// Removing it failed.
    Failed,
    /// A hold covers it.
    Held,
    /// A `keepAtLeast` floor covers it.
    KeepAtLeast,
    /// A client has it open, or may have.
    Live,
    /// It changed between the plan and the deed.
    Changed,
    /// It lies behind a link, which was not followed.
    Linked,
    /// It is gone by this name, and another name still leads to its data.
    HardLinked,
    /// The catalogue does not know it.
    Unrecognised,
    /// Sessions outside of what was asked for share it.
    Shared,
    /// It belongs to somebody else.
    Foreign,
    /// It cannot be told whether it is of what was asked for.
    Unattributed,
    /// It was written after the purge.
    WrittenSince,
    /// The second scan found it.
    Left,
    /// The run was stopped before it got there.
    Stopped,
    /// The ledger could not record it.
    Ledger,
}

impl ExceptionReason {
    /// The word of it in JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }
}
