//! Where things lie: paths to be shown, to be compared and to be opened.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::artifact::{Artifact, Folder};
use super::index::{ArtifactIndex, FolderIndex, SessionIndex, StoreIndex};
use super::liveness::PID_FILES;
use super::names::Names;
use super::{Inventory, Problem};
use crate::catalogue::{self, Cursor, Root};
use crate::dir::Dir;
use crate::seal::naming::{self, Tree};

/// The path of a folder, or of a name in it, as it may be shown.
pub(super) fn shown_path(
    folders: &[Folder],
    names: &Names,
    folder: FolderIndex,
    name: Option<&OsStr>,
) -> PathBuf {
    let (mut open, mut hidden): (Vec<&OsStr>, Vec<&OsStr>) = (Vec::new(), name.into_iter().collect());
    let mut at = folders.get(folder.at());
    while let Some(folder) = at.filter(|folder| folder.parent.is_some()) {
        let above = folder.parent.and_then(|parent| folders.get(parent.at()));
        if above.is_some_and(|above| above.hides_names) { &mut hidden } else { &mut open }
            .push(names.get(folder.name));
        at = above;
    }
    let hides = folders.get(folder.at()).is_some_and(|folder| folder.hides_names);
    let mut path: PathBuf = open.iter().rev().collect();
    let below: PathBuf = hidden.iter().rev().collect();
    match below.as_os_str().is_empty() {
        true => {}
        false if hides => path.push(catalogue::hidden(&below)),
        false => path.push(below),
    }
    path
}

impl Inventory {
    /// What the catalogue knows of a folder.
    pub fn cursor(&self, folder: FolderIndex) -> Cursor {
        let root = Cursor::at(self.store(self.folder(folder).store).store.kind);
        let path = self.folder_path(folder);
        path.iter().fold(root, |cursor, name| cursor.enter(name.as_encoded_bytes()))
    }

    /// The path of a folder relative to its store.
    pub fn folder_path(&self, index: FolderIndex) -> PathBuf {
        let mut names: Vec<&OsStr> = Vec::new();
        let mut at = Some(index);
        while let Some(folder) = at.map(|index| self.folder(index)) {
            if folder.parent.is_some() {
                names.push(self.folder_name(folder));
            }
            at = folder.parent;
        }
        let mut path = OsString::new();
        for name in names.iter().rev() {
            if !path.is_empty() {
                path.push("/");
            }
            path.push(name);
        }
        PathBuf::from(path)
    }

    /// The folder at a path below its store.
    pub fn folder_at(&self, store: StoreIndex, below: &Path) -> Option<FolderIndex> {
        let is_it = |index: &FolderIndex| {
            let folder = self.folder(*index);
            folder.store == store
                && match below.file_name() {
                    None => folder.parent.is_none(),
                    // The name first: a path is made anew for each that is asked for.
                    Some(name) => self.folder_name(folder) == name && self.folder_path(*index) == below,
                }
        };
        (0..self.folders.len()).map(FolderIndex::of).find(is_it)
    }

    /// The file at a path below its store.
    pub fn file_at(&self, store: StoreIndex, below: &Path) -> Option<ArtifactIndex> {
        let (name, folder) = (below.file_name()?, self.folder_at(store, below.parent()?)?);
        let is_it = |artifact: &Artifact| artifact.folder == folder && self.name(artifact) == name;
        self.artifacts.iter().position(is_it).map(ArtifactIndex::of)
    }

    /// The session that a folder is of, best one of its own store.
    pub fn session_of_folder(&self, folder: FolderIndex) -> Option<SessionIndex> {
        let folder = self.folder(folder);
        let id = folder.session?;
        let of_id = |own: bool| {
            self.sessions
                .iter()
                .position(|session| session.id == id && (!own || session.store == folder.store))
        };
        of_id(true).or_else(|| of_id(false)).map(SessionIndex::of)
    }

    /// Whether everything in a folder, however deep, could be seen.
    pub fn saw_all_of(&self, folder: FolderIndex) -> bool {
        let path = self.full_folder_path(folder);
        !self.problems.iter().any(|problem| problem.path.starts_with(&path))
    }

    /// What keeps it from being told which sessions are open in Claude Code.
    pub fn unread_pid_files(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| {
            let store = problem.store.map(|store| &self.store(store).store);
            store.is_some_and(|store| problem.path.starts_with(store.root.join(PID_FILES)))
        })
    }

    /// The full path of a folder, as it may be shown.
    pub fn full_folder_path(&self, index: FolderIndex) -> PathBuf {
        let below = shown_path(&self.folders, &self.folder_names, index, None);
        self.store(self.folder(index).store).store.root.join(below)
    }

    /// The path of an artifact relative to its store, as it may be shown: a name that is content is hidden.
    pub fn path(&self, artifact: &Artifact) -> PathBuf {
        shown_path(&self.folders, &self.folder_names, artifact.folder, Some(self.name(artifact)))
    }

    /// The path of an artifact relative to its store, to be opened or compared and never to be shown.
    pub fn secret_path(&self, artifact: &Artifact) -> PathBuf {
        self.folder_path(artifact.folder).join(self.name(artifact))
    }

    /// The path of an artifact relative to its store, and of a sealed one that which it had before.
    pub fn original_path(&self, artifact: &Artifact) -> PathBuf {
        let path = self.path(artifact);
        let below = path.strip_prefix(naming::FOLDER).ok().filter(|_| artifact.sealed);
        // The first name is the session's.
        let sealed: Option<PathBuf> = below.map(|below| below.iter().skip(1).collect());
        let original = sealed.and_then(|sealed| naming::original(&sealed));
        original.filter(|original| original.tree == Tree::Store).map_or(path, |original| original.path)
    }

    /// The full path of an artifact, as it may be shown.
    pub fn full_path(&self, artifact: &Artifact) -> PathBuf {
        self.store(self.store_of(artifact)).store.root.join(self.path(artifact))
    }

    /// The digits that stand for the session of a scratch file, by the folder it lies in.
    pub fn scratch_digits(&self, artifact: &Artifact) -> Option<OsString> {
        let path = self.secret_path(artifact);
        path.strip_prefix("s").ok()?.iter().next().map(OsStr::to_os_string)
    }

    /// The preservation copies in all stores, each once: the name of the hold, and of the session's folder.
    pub fn preserved(&self) -> BTreeSet<(String, PathBuf)> {
        let holds = ["ccretain", "held"];
        let mut found = BTreeSet::new();
        // How deep each folder lies on the way to a copy; a folder comes after the one it lies in.
        let mut levels: Vec<Option<usize>> = Vec::with_capacity(self.folders.len());
        for (at, folder) in self.folders.iter().enumerate() {
            let name = self.folder_name(folder);
            let level = match folder.parent {
                None => (self.store(folder.store).store.kind == Root::Config).then_some(0),
                Some(parent) => levels[parent.at()].filter(|level| match holds.get(*level) {
                    Some(hold) => name == *hold,
                    None => *level < 4,
                }),
            };
            let level = level.map(|level| level + usize::from(folder.parent.is_some()));
            levels.push(level);
            if let (Some(4), Some(hold)) = (level, folder.parent) {
                let hold = self.folder_name(self.folder(hold)).to_string_lossy().into_owned();
                found.insert((hold, self.full_folder_path(FolderIndex::of(at))));
            }
        }
        found
    }

    /// How many folders each folder lies in.
    pub fn depths(&self) -> Vec<u32> {
        let mut depths: Vec<u32> = Vec::with_capacity(self.folders.len());
        for folder in &self.folders {
            // A folder comes after the one it lies in.
            depths.push(folder.parent.map_or(0, |parent| depths[parent.at()] + 1));
        }
        depths
    }

    /// Opens a folder through the handle of its store, following no link.
    ///
    /// # Errors
    /// As [`Dir::below`].
    pub fn open(&self, index: FolderIndex) -> io::Result<Dir> {
        let mut names: Vec<&OsStr> = Vec::new();
        let mut at = index;
        loop {
            let folder = self.folder(at);
            if let Some(anchor) = &folder.anchor {
                let path: PathBuf = names.iter().rev().collect();
                return anchor.below(&path);
            }
            names.push(self.folder_name(folder));
            at = folder.parent.ok_or(io::ErrorKind::NotFound)?;
        }
    }
}
