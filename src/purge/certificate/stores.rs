//! The roots a certificate speaks of.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::risks::SeenWord;
use crate::escape::text;
use crate::exposure::Volume;

/// A root that was purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreEntry {
    /// Its real path.
    pub root: String,
    /// Which tree it is: `config`, `cache`, `temp`, `desktop`, `home`, `heap-dumps`.
    pub kind: String,
    /// The name of its owner.
    pub owner: String,
    /// How it was found.
    pub found_by: String,
    /// The number of the device it lies on (`st_dev`).
    pub device: u64,
    /// What is mounted there, e.g. `/dev/mapper/vg-home`; absent where it cannot be told.
    pub volume: Option<String>,
    /// The kind of file system; absent where it cannot be told.
    pub file_system: Option<String>,
    /// Whether the volume is encrypted.
    pub encrypted: SeenWord,
    /// Files that lay in it before, recognised or not.
    pub artifacts: u64,
    /// Sessions that lay in it before.
    pub sessions: u64,
    /// Folders of it that lie elsewhere, behind links and mount points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<FolderEntry>,
}

/// A folder of a root that lies elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FolderEntry {
    /// Its path in the root.
    pub path: String,
    /// What leads to it: `link` or `mount`.
    pub way: String,
    /// The number of the device it lies on (`st_dev`).
    pub device: u64,
    /// What is mounted there; absent where it cannot be told.
    pub volume: Option<String>,
    /// The kind of file system; absent where it cannot be told.
    pub file_system: Option<String>,
    /// Whether the volume is encrypted.
    pub encrypted: SeenWord,
}

impl FolderEntry {
    /// A folder on its volume.
    pub fn new(path: &Path, way: &str, device: u64, volume: &Volume) -> Self {
        Self {
            path: text(path),
            way: way.to_owned(),
            device,
            volume: volume.source.as_ref().map(text),
            file_system: volume.file_system.clone(),
            encrypted: SeenWord::from(&volume.encrypted),
        }
    }
}

impl StoreEntry {
    /// A store on its volume.
    pub fn new(origin: Origin<'_>, volume: &Volume, artifacts: u64, sessions: u64) -> Self {
        Self {
            root: text(origin.root),
            kind: origin.kind.to_owned(),
            owner: text(origin.owner),
            found_by: origin.found_by.to_owned(),
            device: origin.device,
            volume: volume.source.as_ref().map(text),
            file_system: volume.file_system.clone(),
            encrypted: SeenWord::from(&volume.encrypted),
            artifacts,
            sessions,
            folders: Vec::new(),
        }
    }
}

/// Where a store lies and how it was found, for [`StoreEntry::new`].
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Its real path.
    pub root: &'a Path,
    /// Which tree it is, in the word of reports.
    pub kind: &'a str,
    /// The name of its owner.
    pub owner: &'a str,
    /// How it was found, in the word of reports.
    pub found_by: &'a str,
    /// The number of its device.
    pub device: u64,
}
