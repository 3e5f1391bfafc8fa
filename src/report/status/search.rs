//! What was found below a folder that was searched.

use serde::Serialize;

use super::Sight;
use crate::escape::text;
use crate::report::json::Error;

/// What was found below a folder.
#[derive(Debug, Serialize)]
pub struct SearchJson {
    pub(super) dir: String,
    pub(super) folders: u64,
    pub(super) found: Vec<FoundJson>,
    pub(super) unreadable: Vec<Error>,
}

/// A tree of the client.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundJson {
    pub(super) root: String,
    pub(super) kind: &'static str,
    pub(super) owner: String,
    pub(super) sessions: u64,
    pub(super) artifacts: u64,
    pub(super) bytes: u64,
    pub(super) marks: Vec<&'static str>,
    /// Whether every run visits it already.
    pub(super) known: bool,
}

impl Sight<'_> {
    pub(super) fn found(&self, found: &crate::locate::search::Found) -> FoundJson {
        let stores = &self.run.inventory.stores;
        let owner = stores
            .iter()
            .find(|view| view.store.owner == found.owner)
            .map_or_else(|| found.owner.to_string(), |view| view.store.owner_name.clone());
        FoundJson {
            root: text(&found.root),
            kind: found.kind.word(),
            owner,
            sessions: found.sessions,
            artifacts: found.files,
            bytes: found.bytes,
            marks: found.marks.clone(),
            known: stores.iter().any(|view| view.store.root == found.root && view.store.kind == found.kind),
        }
    }
}
