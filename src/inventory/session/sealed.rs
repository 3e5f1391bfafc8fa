//! Sealed files, by where they lay and what they were.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use rustc_hash::FxHashMap;

use super::Folders;
use crate::catalogue::{Kind, SessionId};
use crate::inventory::names::{Name, Names};
use crate::inventory::{Artifact, Belongs, FolderIndex, Session, StoreIndex};
use crate::seal::manifest::Manifest;
use crate::seal::naming;

/// More folders than this above a sealed file, and its original is not known by its path.
const DEEPEST: usize = 256;

/// What a sealed file was, by its path in the session's sealed folder.
pub(super) fn kind_of_sealed(folders: &Folders, folder: FolderIndex, name: &OsStr) -> Kind {
    // An unfinished one has no content that can be opened, so that it is nobody's loss.
    if naming::is_part(name) {
        return Kind::OwnLeftover;
    }
    let original = naming::original(&sealed_path(folders, folder, name));
    original.and_then(|original| original.kind).unwrap_or(Kind::SealedFile)
}

/// The path of a sealed file in the session's sealed folder.
fn sealed_path(folders: &Folders, folder: FolderIndex, name: &OsStr) -> PathBuf {
    let mut names: Vec<&OsStr> = vec![name];
    let mut at = &folders.list[folder.at()];
    // Up to the session's own folder, which lies in `sealed`.
    while let Some(parent) = at.parent.map(|parent| &folders.list[parent.at()]) {
        if folders.names.get(parent.name) == "sealed" {
            break;
        }
        names.push(folders.names.get(at.name));
        at = parent;
        // Nothing that is sealed lies that deep, and each file would be looked for up to the root.
        if names.len() > DEEPEST {
            return PathBuf::from(name);
        }
    }
    names.iter().rev().collect()
}

/// The sealed files that lay elsewhere than in their store, by their paths in the session's sealed folder.
#[derive(Default)]
pub(super) struct FromElsewhere(FxHashMap<(StoreIndex, SessionId), BTreeMap<PathBuf, PathBuf>>);

impl FromElsewhere {
    pub(super) fn learn(&mut self, store: StoreIndex, record: &Manifest) {
        for file in &record.files {
            if let Some(temp) = &file.temp {
                let of_session = self.0.entry((store, record.session)).or_default();
                of_session.insert(file.sealed.clone(), temp.clone());
            }
        }
    }

    pub(super) fn of(
        &self,
        artifacts: &[Artifact],
        names: &Names,
        folders: &Folders,
        sessions: &[Session],
    ) -> FxHashMap<(FolderIndex, Name), PathBuf> {
        let origin = |artifact: &Artifact| {
            let Belongs::Session(session) = artifact.belongs else { return None };
            let store = folders.list[artifact.folder.at()].store;
            let of_session = self.0.get(&(store, sessions[session.at()].id))?;
            let origin = of_session.get(&sealed_path(folders, artifact.folder, names.get(artifact.name)))?;
            Some(((artifact.folder, artifact.name), origin.clone()))
        };
        let sealed = artifacts.iter().filter(|artifact| artifact.sealed && !self.0.is_empty());
        sealed.filter_map(origin).collect()
    }
}
