//! Files that the catalogue does not know, as reports name them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalogue::Cursor;
use crate::inventory::{Artifact, ArtifactIndex, Inventory};

/// A file, or a whole folder that is not known itself, so that a folder of the user's own is one line and not thousands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// Where it lies.
    pub path: PathBuf,
    pub is_folder: bool,
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Files that are not known, in the order of their paths.
pub fn gathered(inventory: &Inventory, files: impl Iterator<Item = ArtifactIndex>) -> Vec<Gathered> {
    let mut found: BTreeMap<PathBuf, Gathered> = BTreeMap::new();
    for artifact in files.map(|index| inventory.artifact(index)) {
        let store = &inventory.store(inventory.store_of(artifact)).store;
        let folder = unknown_folder(inventory, artifact);
        let is_folder = folder.is_some();
        let path = folder.map_or_else(|| inventory.full_path(artifact), |folder| store.root.join(folder));
        let new = Gathered { path: path.clone(), is_folder, files: 0, bytes: 0 };
        let one = found.entry(path).or_insert(new);
        one.files += 1;
        one.bytes += artifact.stamp.size;
    }
    found.into_values().collect()
}

/// The topmost folder above a file of which the catalogue knows nothing, by its path in the store.
fn unknown_folder(inventory: &Inventory, artifact: &Artifact) -> Option<PathBuf> {
    let path = inventory.path(artifact);
    let mut cursor = Cursor::at(inventory.store(inventory.store_of(artifact)).store.kind);
    let mut folder = PathBuf::new();
    for name in path.parent().unwrap_or(Path::new("")) {
        folder.push(name);
        cursor = cursor.enter(name.as_encoded_bytes());
        // From here down the catalogue knows nothing, so nothing below needs a line of its own.
        if cursor.is_dead() {
            return Some(folder);
        }
    }
    None
}
