//! What was asked for, and how it was removed.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was asked for and how it was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Method {
    /// How files were removed: `unlink`.
    pub files: String,
    /// How lines were removed: `rewrite`.
    pub lines: String,
    /// Whether anything was overwritten: never.
    pub overwritten: bool,
    /// What was asked for.
    pub scope: Scope,
    /// What became of the key that opens sealed files.
    pub identity: Identity,
}

impl Method {
    /// The only method there is, for what was asked.
    pub fn new(scope: Scope, identity: Identity) -> Self {
        Self { files: "unlink".to_owned(), lines: "rewrite".to_owned(), overwritten: false, scope, identity }
    }
}

/// What a purge was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// Only projects that match one of these globs; empty where none was given.
    pub projects: Vec<String>,
    /// Only this session; absent where none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Only these stores (`--store`); empty where none was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<String>,
    /// Only what was last active before this time; absent where none was given.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub before: Option<DateTime<Utc>>,
    /// Stores that are known and were left out (`--store` named others); empty where there are none.
    pub left_out: Vec<String>,
    /// What was removed besides session content: `credentials`, `settings`, `memory`,
    /// `unrecognised`, `identity`.
    pub with: Vec<String>,
    /// Unrecognised files that were kept on the operator's word, as globs of paths in a store.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Whether clients that were running did not stop it.
    pub even_live: bool,
    /// Why holds were broken; absent where none was.
    pub break_holds: Option<String>,
}

impl Scope {
    /// Whether less than every session of every store known was asked for.
    pub fn is_partial(&self) -> bool {
        !self.projects.is_empty()
            || self.session.is_some()
            || !self.stores.is_empty()
            || self.before.is_some()
            || !self.left_out.is_empty()
    }
}

/// What became of the identity, the key that opens sealed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// There was none beside the user's policy.
    None,
    /// It stays.
    Kept,
    /// It was removed with what it opens; other recipients' keys, and copies of it, are not known
    /// here.
    Removed,
}
