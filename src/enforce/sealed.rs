//! A sealed session on disk: its record, and its files opened and compared with it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::dir;
use crate::catalogue::{Root, SessionId};
use crate::dir::{Dir, FileType};
use crate::error::{At as _, PathError};
use crate::escape::shown;
use crate::files;
use crate::inventory::{ArtifactIndex, Inventory, Session};
use crate::locate::Store;
use crate::seal::manifest::{Manifest, ManifestError, SealedFile};
use crate::seal::naming::{self, Tree};
use crate::seal::{Identities, PlainSize, UnsealError};

/// Why a sealed session could not be opened or restored. Nothing of it was removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] PathError),
    /// The record cannot be understood.
    #[error("cannot understand '{}'", shown(path))]
    Record {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ManifestError,
    },
    /// A sealed file cannot be opened.
    #[error("cannot open the sealed file '{}'", shown(path))]
    Open {
        /// The sealed file.
        path: PathBuf,
        /// Why.
        #[source]
        source: UnsealError,
    },
    /// A sealed file is another one than was recorded.
    #[error(
        "'{}' is not the file that was sealed: it is damaged, or was exchanged for another one",
        shown(.0)
    )]
    Exchanged(PathBuf),
    /// The sealed transcript is gone.
    #[error("the sealed file '{}' is gone", shown(.0))]
    Missing(PathBuf),
    /// There is something else where a file belongs.
    #[error("'{}' is in the way: it is {} what was sealed", shown(path), if *is_newer { "newer than" } else { "not" })]
    InTheWay {
        /// What is there.
        path: PathBuf,
        /// Whether it was changed after the one that was sealed.
        is_newer: bool,
    },
    /// A sealed file is in no record, so that nobody knows what it is of.
    #[error(
        "the sealed file '{}' is not in the record of its session; move it out of the store, \
         then run the same command again",
        shown(.0)
    )]
    Unrecorded(PathBuf),
    /// The record names a place where no file of a session lies.
    #[error("'{}' is not a place of a session's file", shown(.0))]
    NoPlace(PathBuf),
}

/// A sealed session with its record.
#[derive(Debug)]
pub struct SealedSession<'a> {
    /// The store it lies in.
    pub store: &'a Store,
    pub id: SessionId,
    pub record: Manifest,
    /// Its folder, relative to the store.
    pub below: PathBuf,
    pub(super) folder: Dir,
    /// SHA-256 of sealed files that this program has made.
    vouched: HashSet<[u8; 32]>,
}

impl<'a> SealedSession<'a> {
    /// Reads the record of a sealed session.
    ///
    /// # Errors
    /// There is none, or it cannot be read or understood.
    pub fn open(store: &'a Store, id: SessionId) -> Result<Self, SealedError> {
        Self::open_in(store, id, naming::session_folder(id))
    }

    /// The same of one that lies in another folder of its store, such as a preservation copy.
    ///
    /// # Errors
    /// As [`SealedSession::open`].
    pub fn open_in(store: &'a Store, id: SessionId, below: PathBuf) -> Result<Self, SealedError> {
        let at = store.root.join(&below);
        let folder = store.below(&below).at("open", &at)?;
        let path = at.join(naming::RECORD);
        let file = folder.read(OsStr::new(naming::RECORD)).at("open", &path)?;
        let json = files::contents(&file, files::DOCUMENT).at("read", &path)?;
        // By the id that the folder is called by: a record of another session, copied here, is refused.
        let record = Manifest::parse(&json, id).map_err(|source| SealedError::Record { path, source })?;
        Ok(Self { store, id, record, below, folder, vouched: HashSet::new() })
    }

    /// Looks whether the record names every sealed file that is there: of a session that is known in part, a part would be
    /// taken for the whole.
    ///
    /// # Errors
    /// It lacks one; a folder cannot be listed.
    pub fn is_whole(&self) -> Result<(), SealedError> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let at = || self.root().join(&folder);
            let dir =
                if folder.as_os_str().is_empty() { self.folder.again() } else { self.folder.below(&folder) };
            let dir = dir.at("open", at())?;
            for entry in dir.entries().at("list", at())? {
                let path = folder.join(&entry.name);
                let file_type = match entry.file_type {
                    Some(file_type) => file_type,
                    None => dir.stat(&entry.name).at("look at", self.root().join(&path))?.file_type,
                };
                if file_type == FileType::Folder {
                    folders.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        self.names_all(found)
    }

    /// Looks whether the record names all sealed files among these, by their paths in the session's folder.
    ///
    /// # Errors
    /// It lacks one.
    pub fn names_all(&self, found: impl IntoIterator<Item = PathBuf>) -> Result<(), SealedError> {
        let recorded: HashSet<&Path> = self.record.files.iter().map(|file| &*file.sealed).collect();
        let is_sealed = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "age");
        match found.into_iter().filter(is_sealed).find(|path| !recorded.contains(&**path)) {
            Some(path) => Err(SealedError::Unrecorded(self.root().join(path))),
            None => Ok(()),
        }
    }

    /// Where it lies.
    pub fn root(&self) -> PathBuf {
        self.store.root.join(&self.below)
    }

    /// Where a sealed file lies.
    pub fn path(&self, entry: &SealedFile) -> PathBuf {
        self.root().join(&entry.sealed)
    }

    /// The folder of a sealed file.
    pub(super) fn parent(&self, sealed: &Path) -> io::Result<Dir> {
        match sealed.parent() {
            Some(parent) => self.folder.below(parent),
            None => self.folder.again(),
        }
    }

    /// Opens a sealed file to be read; `None` where it is not there.
    ///
    /// # Errors
    /// It cannot be opened, or is no regular file.
    pub(super) fn file(&self, entry: &SealedFile) -> Result<Option<File>, SealedError> {
        let open = || self.parent(&entry.sealed)?.read(entry.sealed.file_name().unwrap_or_default());
        match open() {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at("open", self.path(entry)).map_err(SealedError::File),
        }
    }

    /// The SHA-256 of a sealed file of the length that was recorded.
    fn digest(&self, entry: &SealedFile, file: &File) -> Result<[u8; 32], SealedError> {
        let length = file.metadata().at("look at", self.path(entry))?.len();
        let becoming = entry.becoming.as_ref().map(|becoming| becoming.sealed_size);
        // Told without reading a byte: anybody can put a file of a terabyte there.
        if length != entry.sealed_size && Some(length) != becoming {
            return Err(SealedError::Exchanged(self.path(entry)));
        }
        Ok(super::seal::digest(file).at("read", self.path(entry))?)
    }

    /// Says which sealed files this program has made, by their SHA-256: they may unpack to any size.
    pub fn vouched_by(mut self, digests: impl IntoIterator<Item = [u8; 32]>) -> Self {
        self.vouched.extend(digests);
        self
    }

    /// Writes what a sealed file holds; gives the SHA-256 of the sealed file.
    ///
    /// # Errors
    /// Every reason why it does not open; what was written until then must not be kept.
    pub fn decrypt(
        &self,
        entry: &SealedFile,
        identities: &Identities,
        to: &mut impl Write,
    ) -> Result<[u8; 32], SealedError> {
        let path = || self.path(entry);
        let mut file = self.file(entry)?.ok_or_else(|| SealedError::Missing(path()))?;
        // Compared before anything is opened: what was never sealed costs no more than its length.
        if !entry.is(&self.digest(entry, &file)?) {
            return Err(SealedError::Exchanged(path()));
        }
        file.rewind().at("read", path())?;
        let is_vouched = self.vouched.contains(&entry.sha256);
        let size = if is_vouched { PlainSize::Vouched(entry.size) } else { PlainSize::Exactly(entry.size) };
        let opened = identities
            .unseal(&mut file, entry.compression, size, to)
            .map_err(|source| SealedError::Open { path: path(), source })?;
        // Once more, of the bytes that were opened: the file may have been exchanged after it was compared.
        if entry.is(&opened.sha256) { Ok(opened.sha256) } else { Err(SealedError::Exchanged(path())) }
    }

    /// Puts a record in the place of the one that is there.
    pub(super) fn write_record(&self, record: &Manifest) -> io::Result<()> {
        let (name, part) = (OsStr::new(naming::RECORD), naming::part_name(OsStr::new(naming::RECORD)));
        let mut file = dir::create_part(&self.folder, &part)?;
        file.write_all(&record.to_json()?)?;
        // Flushed here whatever the platform: the rename must not outlive the content.
        file.sync_all()?;
        dir::rename(&self.folder, &part, name)?;
        dir::sync(&self.folder)
    }

    /// Removes sealed files that are no longer needed, and the record with the last of them; gives how many went. One
    /// that was sealed anew meanwhile stays.
    ///
    /// # Errors
    /// A sealed file or a folder cannot be removed; what is left is still described by the record.
    pub fn remove(&self, files: &[SealedFile]) -> Result<usize, SealedError> {
        // The record is read anew: only what is still recorded as it was goes.
        let now = Self::open_in(self.store, self.id, self.below.clone())?;
        let root = self.root();
        let recorded: HashMap<&Path, &SealedFile> =
            now.record.files.iter().map(|file| (&*file.sealed, file)).collect();
        let mut removed: HashSet<&Path> = HashSet::new();
        let mut folders = std::collections::BTreeSet::new();
        // Somebody may have sealed it anew since it was opened: that one holds more.
        for entry in files.iter().filter(|entry| recorded.get(&*entry.sealed) == Some(entry)) {
            let unlinked = now
                .parent(&entry.sealed)
                .and_then(|dir| dir::unlink(&dir, entry.sealed.file_name().unwrap_or_default()));
            match unlinked {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).at("remove", root.join(&entry.sealed)).map_err(SealedError::File);
                }
                _ => removed.insert(&entry.sealed),
            };
            let above = entry.sealed.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty());
            folders.extend(above.map(Path::to_path_buf));
        }
        // A folder sorts before what lies in it.
        for folder in folders.iter().rev() {
            if let (Ok(parent), Some(name)) = (now.parent(folder), folder.file_name()) {
                let _ = dir::remove_if_empty(&parent, name);
            }
        }
        let names = now.folder.entries().at("list", &root)?;
        if names.iter().any(|entry| entry.name != naming::RECORD) {
            // The links came back with the files.
            let mut rest = Manifest { links: Vec::new(), ..now.record.clone() };
            rest.files.retain(|file| !removed.contains(&*file.sealed));
            now.write_record(&rest).at("write", root.join(naming::RECORD))?;
            return Ok(removed.len());
        }
        // The record last: until here whatever is left is described by it.
        dir::unlink(&now.folder, OsStr::new(naming::RECORD)).at("remove", root.join(naming::RECORD))?;
        let above = self.below.parent().unwrap_or(Path::new(naming::FOLDER));
        let above = self.store.below(above).at("open", &root)?;
        dir::remove_if_empty(&above, OsStr::new(&self.id.to_string())).at("remove", &root)?;
        dir::sync(&above).at("flush", &root)?;
        Ok(removed.len())
    }
}

/// Where the sealed form of an artifact belongs: the tree, its path there, and the folder of the
/// temp tree that it comes from.
pub fn place(inventory: &Inventory, index: ArtifactIndex) -> (Tree, PathBuf, Option<PathBuf>) {
    let artifact = inventory.artifact(index);
    let at = inventory.store_of(artifact);
    let (store, path) = (&inventory.store(at).store, inventory.path(artifact));
    if store.kind == Root::Temp {
        // `<P>/<S>/…`: what lies below the session's own folder.
        let below: PathBuf = path.components().skip(2).collect();
        let own: PathBuf = path.components().take(2).collect();
        return (Tree::Temp, below, Some(store.root.join(own)));
    }
    (Tree::Store, path, None)
}

/// The record of a session as it is now, with these files; `recipients` is the digest of those that
/// all of them are sealed to.
pub(super) fn describe(
    session: &Session,
    files: Vec<SealedFile>,
    recipients: Option<String>,
    now: DateTime<Utc>,
) -> Manifest {
    Manifest { sealed_at: Some(now), recipients, ..session.record(files) }
}
