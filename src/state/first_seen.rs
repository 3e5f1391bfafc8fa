//! When runs first saw what has no date, which dates it from then on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{State, lossless};
use crate::inventory::Inventory;

/// What is beyond this stays undated, so that a store cannot make the state too large to be read.
const MOST: usize = 50_000;

/// What one run was the first to see in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FirstSeen {
    /// The root of the store.
    #[serde(with = "lossless")]
    pub store: PathBuf,
    pub time: DateTime<Utc>,
    /// Ids of sessions, and digests of the paths of files, sorted.
    pub what: Vec<String>,
    /// What a later version knows besides.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl State {
    /// When what has no date was first seen, by the root of its store and its word.
    pub fn first_seen(&self) -> FxHashMap<(&Path, &str), DateTime<Utc>> {
        // Sorted by time, so that of two the first is taken last.
        let runs = self.first_seen.iter().rev();
        runs.flat_map(|run| run.what.iter().map(|what| ((run.store.as_path(), what.as_str()), run.time)))
            .collect()
    }

    /// Remembers what has no date, and forgets what is gone, or has one now, of stores that were seen.
    pub fn saw_undated(&mut self, inventory: &Inventory) {
        let mut seen: BTreeMap<(PathBuf, DateTime<Utc>), Vec<String>> = BTreeMap::new();
        let known = self.first_seen();
        for undated in inventory.undated().take(MOST) {
            let root = &inventory.store(undated.store).store.root;
            // A time that lies ahead is that of a clock that has been put right since.
            let known = known.get(&(root.as_path(), undated.key.as_str())).copied();
            let time = known.filter(|time| *time <= inventory.taken).unwrap_or(inventory.taken);
            seen.entry((root.clone(), time)).or_default().push(undated.key);
        }
        self.first_seen.retain(|seen| inventory.stores.iter().all(|view| view.store.root != seen.store));
        for ((store, time), mut what) in seen {
            what.sort_unstable();
            what.dedup();
            self.first_seen.push(FirstSeen { store, time, what, unknown: Map::new() });
        }
        self.first_seen.sort_by(|a, b| (&a.store, a.time).cmp(&(&b.store, b.time)));
    }
}
