//! A picture of a folder: every entry with its kind, mode, size and content, to compare before and after.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Everything below a folder, by relative path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<PathBuf, String>);

impl Tree {
    /// Looks at a folder; times are left out, so that reading it is no difference.
    pub fn of(root: &Path) -> Self {
        Self::build(root, false)
    }

    /// Looks at a folder, modification times of everything but folders included.
    pub fn with_times(root: &Path) -> Self {
        Self::build(root, true)
    }

    fn build(root: &Path, times: bool) -> Self {
        let mut entries = BTreeMap::new();
        let mut open = vec![PathBuf::new()];
        while let Some(relative) = open.pop() {
            let Ok(children) = fs::read_dir(root.join(&relative)) else {
                entries.insert(relative.join("<unreadable>"), String::new());
                continue;
            };
            for child in children.flatten() {
                let path = relative.join(child.file_name());
                let Ok(metadata) = fs::symlink_metadata(root.join(&path)) else { continue };
                let kind = metadata.file_type();
                let what = if kind.is_dir() {
                    open.push(path.clone());
                    "folder".to_owned()
                } else if kind.is_symlink() {
                    format!("link to {}", fs::read_link(root.join(&path)).unwrap_or_default().display())
                } else if kind.is_file() {
                    let content = fs::read(root.join(&path)).unwrap_or_default();
                    format!(
                        "file of {} bytes, {}",
                        metadata.len(),
                        hex::encode(&Sha256::digest(content)[..8])
                    )
                } else if kind.is_fifo() {
                    "fifo".to_owned()
                } else if kind.is_socket() {
                    "socket".to_owned()
                } else {
                    "device".to_owned()
                };
                let mut text = format!("{what}, mode {:o}", metadata.permissions().mode() & 0o7777);
                // A lock of ours tells since when it is held.
                if times && !kind.is_dir() && !path.ends_with("ccretain/lock") {
                    text += &format!(", mtime {}.{:09}", metadata.mtime(), metadata.mtime_nsec());
                }
                entries.insert(path, text);
            }
        }
        Self(entries)
    }

    /// Whether a path is there.
    pub fn has(&self, path: impl AsRef<Path>) -> bool {
        self.0.contains_key(path.as_ref())
    }

    /// A copy without what lies below a folder, and without the folder.
    pub fn without(&self, folder: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(path, _)| !path.starts_with(folder))
                .map(|(p, t)| (p.clone(), t.clone()))
                .collect(),
        )
    }

    /// The differences, a line each: `-` gone, `+` new, `~` changed.
    pub fn difference(&self, after: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, text) in &self.0 {
            match after.0.get(path) {
                None => lines.push(format!("- {}", path.display())),
                Some(new) if new != text => lines.push(format!("~ {}: {text} -> {new}", path.display())),
                Some(_) => {}
            }
        }
        for path in after.0.keys().filter(|path| !self.0.contains_key(*path)) {
            lines.push(format!("+ {}", path.display()));
        }
        lines
    }

    /// Asserts that nothing differs.
    #[track_caller]
    pub fn is_unchanged(&self, after: &Self) {
        let difference = self.difference(after);
        assert!(difference.is_empty(), "the tree changed:\n{}", difference.join("\n"));
    }
}
