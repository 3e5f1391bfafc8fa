//! What a second scan found.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amounts::Amount;

/// What a second scan found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// How: `second-scan`.
    pub method: String,
    /// When it ended; absent where it was not made.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub time: Option<DateTime<Utc>>,
    /// What it came to.
    pub result: Proof,
    /// How many roots it looked at.
    pub roots: u64,
    /// How many files it looked at.
    pub files: u64,
    /// What it found that was to be removed; each is among the exceptions.
    pub left: Left,
}

impl Verification {
    /// A scan that was made.
    pub fn scanned(time: DateTime<Utc>, roots: u64, files: u64, left: Left, all_readable: bool) -> Self {
        let result = match (left.is_nothing(), all_readable) {
            // What was found goes before what could not be read: it is certain.
            (false, _) => Proof::Left,
            (true, false) => Proof::Unreadable,
            (true, true) => Proof::NothingLeft,
        };
        Self { method: "second-scan".to_owned(), time: Some(time), result, roots, files, left }
    }

    /// A scan that was not made, because the run was stopped.
    pub fn not_made() -> Self {
        Self {
            method: "second-scan".to_owned(),
            time: None,
            result: Proof::NotMade,
            roots: 0,
            files: 0,
            left: Left::default(),
        }
    }
}

/// What a second scan came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// It found nothing that was to be removed.
    NothingLeft,
    /// It found something.
    Left,
    /// It could not read everything.
    Unreadable,
    /// It was not made.
    NotMade,
}

impl Proof {
    /// What it came to, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::NothingLeft => "found nothing that was to be removed",
            Self::Left => "found something that was to be removed",
            Self::Unreadable => "could not read everything",
            Self::NotMade => "was not made",
        }
    }
}

/// What was to be removed and is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Left {
    /// Sessions with anything left.
    pub sessions: u64,
    /// Files that are left.
    pub files: u64,
    /// Lines and entries that are left in files that stay.
    pub lines: u64,
    /// The sizes of those files and lines.
    pub bytes: u64,
}

impl Left {
    /// Files, lines and bytes.
    pub fn amount(&self) -> Amount {
        Amount { files: self.files, lines: self.lines, bytes: self.bytes }
    }

    /// Whether nothing is left.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}
