//! What makes content readable or recoverable elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::escape::text;
use crate::exposure::{Finding, Seen};

/// What makes content readable or recoverable elsewhere, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResidualRisk {
    /// Which, e.g. `btrfs-snapshots`.
    pub id: String,
    /// What it means, in one line.
    pub title: String,
    /// Whether it was seen.
    pub seen: SeenWord,
    /// Why it cannot be told; absent where it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was seen, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Sighting>,
    /// What to do about it.
    pub remedy: String,
}

impl From<&Finding> for ResidualRisk {
    fn from(finding: &Finding) -> Self {
        let row = finding.risk.row();
        Self {
            id: row.id.to_owned(),
            title: row.title.to_owned(),
            seen: SeenWord::from(&finding.seen),
            reason: match &finding.seen {
                Seen::Unknown(reason) => Some(text(reason)),
                _ => None,
            },
            evidence: finding
                .evidence
                .iter()
                .map(|each| Sighting { path: each.path.as_deref().map(text), note: text(&each.note) })
                .collect(),
            remedy: row.remedy.to_owned(),
        }
    }
}

/// What was seen, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// Where; absent where no path is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What was seen there.
    pub note: String,
}

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum SeenWord {
    /// It is.
    Yes,
    /// It was looked for and is not.
    No,
    /// It cannot be told.
    Unknown,
}

impl From<&Seen> for SeenWord {
    fn from(seen: &Seen) -> Self {
        match seen {
            Seen::Yes => Self::Yes,
            Seen::No => Self::No,
            Seen::Unknown(_) => Self::Unknown,
        }
    }
}

impl SeenWord {
    /// The word.
    pub fn word(self) -> &'static str {
        self.into()
    }
}
