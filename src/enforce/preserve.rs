//! Preservation copies of what a hold covers: sealed, beside the sealed sessions, where the client's
//! own sweep knows no name. The sources stay as they are.
//!
//! A copy lies in `ccretain/held/<hold>/<session>/` of the session's store, in the form of a sealed
//! session: its record and its files, each of which can be opened without this program.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::sealed_file::{NotSealed, Plain};
use super::{dir, sealed};
use crate::catalogue::{Kind, Root, SessionId};
use crate::dir::{Dir, FileType};
use crate::error::chain;
use crate::escape::text;
use crate::inventory::{ArtifactIndex, Inventory, Oddity, Session, SessionIndex, StoreIndex};
use crate::ledger::Ciphertext;
use crate::locate::Store;
use crate::policy::Compression;
use crate::seal::manifest::{Manifest, SealedFile, SealedLink};
use crate::seal::naming::{self, Tree};
use crate::seal::{Recipients, Sealer};

/// The folder of all copies, in a store.
const FOLDER: &str = "ccretain/held";
/// How often a file that is being written to is tried.
const TRIES: u32 = 3;

/// What preserving needs.
pub struct Preserving<'a> {
    /// What was found.
    pub inventory: &'a Inventory,
    /// The name of the hold, a folder's name ([`can_be_folder`]).
    pub hold: &'a str,
    /// To whom the copies are sealed.
    pub recipients: &'a Recipients,
    /// What is done to files before they are encrypted.
    pub compression: Compression,
    /// The time of the run.
    pub now: DateTime<Utc>,
}

/// What became of one session.
#[derive(Debug, Default)]
pub struct Preserved {
    /// How many bytes of plaintext were copied.
    pub bytes: u64,
    /// The copies.
    pub sealed: Vec<Ciphertext<'static>>,
    /// What could not be copied, and why.
    pub failed: Vec<(PathBuf, String)>,
}

/// Whether a hold of this name can have copies: the name is that of their folder.
pub fn can_be_folder(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

impl Preserving<'_> {
    /// Copies a session as it is now: every plain file of it that could be sealed.
    pub fn session(&self, index: SessionIndex) -> Preserved {
        let session = self.inventory.session(index);
        let mut done = Preserved::default();
        let (mut files, mut links) = (Vec::new(), Vec::new());
        let prepared = self.folder(session, None).and_then(|folder| {
            Sealer::new(self.recipients, self.compression)
                .map(|sealer| (folder, sealer))
                .map_err(io::Error::other)
        });
        let (folder, mut sealer) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let path = self.inventory.store(self.store_for(session)).store.root.join(self.path(session));
                done.failed.push((path, format!("cannot begin its copy: {error}")));
                return done;
            }
        };
        for artifact in self.inventory.files(session) {
            match self.link(*artifact, session) {
                Ok(None) => {}
                Ok(Some(link)) => {
                    links.push(link);
                    continue;
                }
                Err(error) => {
                    let path = self.inventory.full_path(self.inventory.artifact(*artifact));
                    done.failed.push((path, format!("cannot read the link: {error}")));
                    continue;
                }
            }
            match self.file(*artifact, session, &mut sealer) {
                Ok(Some(file)) => {
                    done.bytes += file.size;
                    let path = self.path(session).join(&file.sealed);
                    done.sealed
                        .push(Ciphertext { path: text(&path).into(), sha256: hex::encode(file.sha256) });
                    files.push(file);
                }
                Ok(None) => {}
                Err(why) => {
                    done.failed.push((self.inventory.full_path(self.inventory.artifact(*artifact)), why));
                }
            }
        }
        if let Err(error) = self.record(session, files, links, &folder) {
            let path = self.inventory.store(self.store_for(session)).store.root.join(self.path(session));
            done.failed.push((path, format!("cannot write the record of its copy: {error}")));
        }
        done
    }

    /// The store that the copy of a session goes to: its own, or the user's where it lies in a temp tree alone.
    fn store_for(&self, session: &Session) -> StoreIndex {
        let is_own = |store: &StoreIndex| {
            let store = &self.inventory.store(*store).store;
            store.kind == Root::Config && store.in_scope
        };
        let stores = (0..self.inventory.stores.len()).map(StoreIndex::of);
        std::iter::once(session.store).chain(stores).find(is_own).unwrap_or(session.store)
    }

    /// The folder of a session's copy, relative to its store.
    fn path(&self, session: &Session) -> PathBuf {
        Path::new(FOLDER).join(self.hold).join(session.id.to_string())
    }

    /// Opens a folder of a session's copy, which is made if it is not there.
    fn folder(&self, session: &Session, below: Option<&Path>) -> io::Result<Dir> {
        let mut path = self.path(session);
        path.extend(below);
        dir::folders(&self.inventory.store(self.store_for(session)).store, &path)
    }

    /// A link of the session's own, which is noted in the record; `None` for anything else.
    fn link(&self, index: ArtifactIndex, session: &Session) -> io::Result<Option<SealedLink>> {
        let artifact = self.inventory.artifact(index);
        if artifact.file_type != FileType::Link || !artifact.can_be_sealed() {
            return Ok(None);
        }
        let (tree, path, temp) = sealed::place(self.inventory, index);
        if tree == Tree::Store && self.inventory.store_of(artifact) != self.store_for(session) {
            return Ok(None);
        }
        let target = self.inventory.open(artifact.folder)?.read_link(self.inventory.name(artifact))?;
        let Some(mtime) = artifact.stamp.modified.date() else { return Ok(None) };
        Ok(Some(SealedLink { path, temp, target, mtime }))
    }

    /// Copies one file; `None` for what has no plain content of the session.
    fn file(
        &self,
        index: ArtifactIndex,
        session: &Session,
        sealer: &mut Sealer,
    ) -> Result<Option<SealedFile>, String> {
        let artifact = self.inventory.artifact(index);
        let Some(kind) = artifact.kind.filter(|kind| kind.row().sealable) else { return Ok(None) };
        if artifact.sealed || artifact.oddity != Oddity::None || !artifact.is_regular() {
            return Ok(None);
        }
        let (tree, path, temp) = sealed::place(self.inventory, index);
        // A copy comes back to the store that it lies in.
        if tree == Tree::Store && self.inventory.store_of(artifact) != self.store_for(session) {
            return Ok(None);
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.copy(index, kind, tree, &path, session, sealer) {
                Ok(file) => return Ok(Some(SealedFile { temp, ..file })),
                // A client is writing to it; what is there by then is copied.
                Err(Failed::Changed) if tries < TRIES => {}
                Err(Failed::Changed) => return Err("it was written to while it was copied".to_owned()),
                Err(Failed::Other(why)) => return Err(why),
            }
        }
    }

    fn copy(
        &self,
        index: ArtifactIndex,
        kind: Kind,
        tree: Tree,
        path: &Path,
        session: &Session,
        sealer: &mut Sealer,
    ) -> Result<SealedFile, Failed> {
        let artifact = self.inventory.artifact(index);
        let file = self
            .inventory
            .open(artifact.folder)
            .and_then(|folder| folder.read(self.inventory.name(artifact)))?;
        let stat = Dir::stat_open(&file)?;
        // Its size and date may be new: the session goes on while it is copied. Another inode may be anybody's
        // file.
        if stat.file_type != FileType::File || stat.stamp.inode != artifact.stamp.inode {
            return Err(Failed::Other("it is another file than the one that was seen".to_owned()));
        }
        naming::sealed_name(tree, path, self.compression, 0).map_err(|error| Failed::Other(chain(&error)))?;
        let (mode, path) = (u32::from(artifact.mode), path.to_path_buf());
        let plain = Plain { file, stamp: stat.stamp, kind, mode, tree, path, temp: None };
        let folder = self.folder(session, plain.sealed_parent().as_deref())?;
        let (part, entry) = plain.seal(&folder, self.compression, &mut BTreeSet::new(), sealer)?;
        let name = entry.sealed.file_name().unwrap_or_default();
        finish(&part, &folder, &naming::part_name(name), name)?;
        Ok(entry)
    }

    /// Writes the record of a copy, once its files are there.
    fn record(
        &self,
        session: &Session,
        files: Vec<SealedFile>,
        links: Vec<SealedLink>,
        folder: &Dir,
    ) -> io::Result<()> {
        let recipients = Some(self.recipients.digest());
        let manifest = Manifest { links, ..sealed::describe(session, files, recipients, self.now) };
        let name = OsStr::new(naming::RECORD);
        let part_name = naming::part_name(name);
        let mut part = dir::create_part(folder, &part_name)?;
        part.write_all(&manifest.to_json()?)?;
        finish(&part, folder, &part_name, name)
    }
}

/// Gives a file that is written its name, once it is on disk.
fn finish(part: &File, folder: &Dir, part_name: &OsStr, name: &OsStr) -> io::Result<()> {
    // One by one and not by the batch: a copy is made because something may be lost soon.
    part.sync_all()?;
    dir::rename_new(folder, part_name, name)?;
    dir::sync(folder)
}

/// Why a file was not copied.
enum Failed {
    /// It was written to meanwhile.
    Changed,
    /// Anything else, in words.
    Other(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Other(format!("cannot copy it: {error}"))
    }
}

impl From<NotSealed> for Failed {
    fn from(error: NotSealed) -> Self {
        match error {
            NotSealed::Changed => Self::Changed,
            NotSealed::NoDate => Self::Other("its date cannot be written".to_owned()),
            NotSealed::Name(error) => Self::Other(format!("cannot copy it: {error}")),
            NotSealed::NoName => Self::Other("cannot find a name for its copy".to_owned()),
            NotSealed::Io(_, error) => error.into(),
            NotSealed::Seal(error) => Self::Other(format!("cannot seal it: {}", chain(&error))),
        }
    }
}

/// How many sessions of a hold have a copy in a store.
///
/// # Errors
/// The folder cannot be listed.
pub fn count(store: &Store, hold: &str) -> io::Result<usize> {
    if !can_be_folder(hold) {
        return Ok(0);
    }
    match store.below(&Path::new(FOLDER).join(hold)) {
        Ok(folder) => Ok(folder.entries()?.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// A preservation copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The hold it was made for.
    pub hold: String,
    pub session: SessionId,
    /// Its folder, relative to the store.
    pub below: PathBuf,
}

/// The copies in a store, of all holds; what has not the name of one is passed over.
///
/// # Errors
/// A folder cannot be listed.
pub fn all(store: &Store) -> io::Result<Vec<Copied>> {
    let names = |path: &Path| -> io::Result<Vec<String>> {
        let names = match store.below(path) {
            Ok(folder) => folder.entries()?,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Vec::new(),
            Err(error) => return Err(error),
        };
        let folders =
            names.into_iter().filter(|entry| matches!(entry.file_type, None | Some(FileType::Folder)));
        Ok(folders.filter_map(|entry| entry.name.into_string().ok()).collect())
    };
    let mut copies = Vec::new();
    for hold in names(Path::new(FOLDER))?.into_iter().filter(|hold| can_be_folder(hold)) {
        let folder = Path::new(FOLDER).join(&hold);
        for name in names(&folder)? {
            let Ok(session) = name.parse() else { continue };
            copies.push(Copied { hold: hold.clone(), session, below: folder.join(name) });
        }
    }
    copies.sort_by(|a, b| a.below.cmp(&b.below));
    Ok(copies)
}

/// Removes the copies of a hold that was released; gives how many files. A link is removed itself,
/// and never followed.
///
/// # Errors
/// Something of it cannot be removed; the rest stays for the next try.
pub fn remove(store: &Store, hold: &str) -> io::Result<u64> {
    if !can_be_folder(hold) {
        return Ok(0);
    }
    let above = match store.below(Path::new(FOLDER)) {
        Ok(above) => above,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let removed = empty(&above, OsStr::new(hold), 0)?;
    // Others may still have copies there.
    let _ = store.below(Path::new("ccretain")).and_then(|own| dir::remove_if_empty(&own, OsStr::new("held")));
    Ok(removed)
}

/// Removes a folder with all that is in it.
fn empty(above: &Dir, name: &OsStr, depth: u32) -> io::Result<u64> {
    // Our own folders are as deep as those of a session; a tree without end must not use up the stack.
    if depth > 64 {
        return Err(io::Error::other("it is nested too deeply to be one of ours"));
    }
    let folder = match above.child(name) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut removed = 0;
    for entry in folder.entries()? {
        // Of the name itself: a link to a folder is unlinked like a file.
        if folder.stat(&entry.name)?.file_type == FileType::Folder {
            removed += empty(&folder, &entry.name, depth + 1)?;
        } else {
            dir::unlink(&folder, &entry.name)?;
            removed += 1;
        }
    }
    dir::remove_if_empty(above, name)?;
    Ok(removed)
}
