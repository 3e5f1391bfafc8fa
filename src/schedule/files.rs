//! Files and folders of a schedule, and the receipt that lets a removal undo exactly what an
//! installation made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{At as _, PathError};

use super::{Backend, Host, Scheduler, Scope};

/// What installations made that cannot be told from what was there before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Receipt {
    /// By backend and scope.
    schedules: BTreeMap<String, Made>,
    /// The folders made for the receipt itself.
    folders: Vec<PathBuf>,
}

/// What one installation made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Made {
    /// Folders that were not there, outermost first.
    pub folders: Vec<PathBuf>,
    /// Whether a shared file or table was made, which goes again once it is empty.
    pub container: bool,
    /// The bytes put into a shared file.
    pub inserted: Option<String>,
}

fn key(backend: Backend, scope: Scope) -> String {
    match scope {
        Scope::User => backend.name().to_owned(),
        Scope::System => format!("{backend} system"),
    }
}

/// Folders that would have to be made for others to exist, for each the outermost first.
pub(super) fn missing<'p>(
    host: &dyn Host,
    folders: impl IntoIterator<Item = &'p Path>,
) -> Result<Vec<PathBuf>, PathError> {
    let mut missing = Vec::new();
    for folder in folders {
        let from = missing.len();
        for path in folder.ancestors() {
            if host.exists(path).at("look for", path)? {
                break;
            }
            missing.push(path.to_path_buf());
        }
        missing[from..].reverse();
    }
    Ok(missing)
}

/// Makes a folder and those above it.
pub(super) fn make_dirs(host: &dyn Host, folder: &Path) -> Result<(), PathError> {
    missing(host, [folder])?.iter().try_for_each(|path| host.make_dir(path).at("create", path))
}

/// Removes folders that were made and are empty again, innermost first.
pub(super) fn clear(host: &dyn Host, folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        host.remove_empty_dir(folder);
    }
}

/// The content of a file; `None` where there is none.
pub(super) fn read(host: &dyn Host, path: &Path) -> Result<Option<Vec<u8>>, PathError> {
    host.read(path).at("read", path)
}

impl Scheduler<'_> {
    fn receipt(&self) -> Receipt {
        // A receipt that cannot be read only means that an empty folder may stay.
        let content = self.host.read(&self.places.receipt).ok().flatten();
        content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default()
    }

    /// What was made by an earlier installation of this backend.
    pub(super) fn made(&self, backend: Backend) -> Made {
        self.receipt().schedules.remove(&key(backend, self.scope)).unwrap_or_default()
    }

    /// Remembers what an installation is about to make, before it does.
    pub(super) fn remember(&self, backend: Backend, made: Made) -> Result<(), PathError> {
        let mut receipt = self.receipt();
        // The folders of an installation before are kept: it is renewed, and what it made is still ours to take
        // away.
        let before = receipt.clone();
        let entry = receipt.schedules.entry(key(backend, self.scope)).or_default();
        for folder in made.folders {
            if !entry.folders.contains(&folder) {
                entry.folders.push(folder);
            }
        }
        entry.container |= made.container;
        entry.inserted = made.inserted.or(entry.inserted.take());
        if receipt == before {
            return Ok(());
        }
        let path = &self.places.receipt;
        if let Some(folder) = path.parent() {
            // Its own folders are in it as well, so that a removal leaves the home as it was.
            receipt.folders.extend(missing(self.host, [folder])?);
            make_dirs(self.host, folder)?;
        }
        self.save(&receipt)
    }

    /// Forgets an installation, removing the folders it made as far as they are empty.
    pub(super) fn forget(&self, backend: Backend) -> Result<(), PathError> {
        let mut receipt = self.receipt();
        let Some(made) = receipt.schedules.remove(&key(backend, self.scope)) else { return Ok(()) };
        clear(self.host, &made.folders);
        if !receipt.schedules.is_empty() {
            return self.save(&receipt);
        }
        self.host.remove(&self.places.receipt).at("remove", &self.places.receipt)?;
        clear(self.host, &receipt.folders);
        Ok(())
    }

    fn save(&self, receipt: &Receipt) -> Result<(), PathError> {
        let path = &self.places.receipt;
        let content = serde_json::to_vec_pretty(receipt).map_err(std::io::Error::from).at("write", path)?;
        self.host.write(path, &content, 0o600).at("write", path)
    }

    /// Puts files in place; returns what was there before, for those that are different now.
    pub(super) fn put(&self, files: &[(PathBuf, String)]) -> Result<Before, PathError> {
        let mut before = Before(Vec::new());
        for (path, content) in files {
            let old = read(self.host, path)?;
            // A file that is right keeps its times, and the scheduler need not be told of it.
            if old.as_deref() == Some(content.as_bytes()) {
                continue;
            }
            let written = path
                .parent()
                .map_or(Ok(()), |folder| make_dirs(self.host, folder))
                .and_then(|()| self.host.write(path, content.as_bytes(), 0o644).at("write", path));
            if let Err(error) = written {
                // A service without its timer, or the other way round, would be half an installation.
                before.restore(self.host);
                return Err(error);
            }
            before.0.push((path.clone(), old));
        }
        Ok(before)
    }
}

/// Files as they were before an installation.
pub(super) struct Before(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Before {
    /// Whether anything was written.
    pub fn changed(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether a file of an earlier installation was replaced.
    pub fn replaced(&self) -> bool {
        self.0.iter().any(|(_, old)| old.is_some())
    }

    /// Puts everything back, as far as that goes: the error that led here is the one to report.
    pub fn restore(&self, host: &dyn Host) {
        for (path, old) in self.0.iter().rev() {
            let _ = match old {
                Some(content) => host.write(path, content, 0o644),
                None => host.remove(path).map(drop),
            };
        }
    }
}
