//! Bringing a sealed session back, or from its preservation copy what is gone: all of it, or nothing is
//! changed.
//!
//! The order: unfinished files in the target folders · flush · today's date for what is there already, where that
//! is wanted · names, never in the place of another file · links · flush · the sealed files go, the record last. At every instant each file
//! is there sealed, or restored whole, or both.

mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{File, FileTimes};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::sealed::{SealedError, SealedSession};
use super::{dir, seal};
use crate::catalogue::{Kind, SessionId};
use crate::dir::{Dir, FileTime, FileType, Stat};
use crate::error::At as _;
use crate::files::access;
use crate::locate::Store;
use crate::seal::manifest::SealedFile;
use crate::seal::{Identities, UnsealError, naming};

/// Which modification time restored files get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// Their own.
    Original,
    /// This one.
    Touch(DateTime<Utc>),
}

#[derive(Debug)]
pub struct Restored {
    /// The entries of the record that are plain files now.
    pub files: Vec<SealedFile>,
    /// The SHA-256 of each of them that was opened.
    pub digests: Vec<[u8; 32]>,
    /// Their bytes together.
    pub bytes: u64,
    /// Sealed files that are gone: a rule for their kind may have deleted them.
    pub missing: Vec<PathBuf>,
    /// Older sealed files of the same originals, which stay sealed.
    pub older: usize,
}

/// A folder that files are restored into: the store, or a session's folder in a temp tree.
type Tree = Option<PathBuf>;

/// A folder that was made, which goes again if nothing is restored.
enum Made {
    /// Below the store or a session's temp folder.
    Below(Tree, PathBuf),
    /// A temp folder itself, or one above it.
    Temp(PathBuf),
}

/// How a file is treated whose place is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It must be what was sealed, since only an interrupted run restored it.
    Compare,
    /// It stays, whatever it is: the session may have been continued after it was copied.
    Leave,
}

/// What has nothing in its place.
#[derive(Debug)]
pub struct Wanting<'r> {
    pub files: Vec<&'r SealedFile>,
    pub links: usize,
}

/// What restoring needs.
#[derive(Debug)]
pub struct Restoring<'a> {
    pub session: &'a SealedSession<'a>,
    /// The roots of temp trees into which may be restored, there or not.
    pub temps: &'a [PathBuf],
    /// Which dates the files get.
    pub dates: Dates,
    /// How files are treated that are there already.
    pub existing: Existing,
}

/// One file that waits for its name.
struct Part<'m> {
    entry: &'m SealedFile,
    /// Whether there is an unfinished file; else the file itself is there already.
    is_new: bool,
}

/// Says of what is in a file's place which of both is newer: a session may have been gone on with
/// after its copy was sealed.
fn in_the_way(path: PathBuf, sealed: DateTime<Utc>, found: Option<&Stat>) -> SealedError {
    let is_newer = found.and_then(|stat| stat.stamp.modified.date()).is_some_and(|date| date > sealed);
    SealedError::InTheWay { path, is_newer }
}

impl Restoring<'_> {
    /// Looks whether every file can have its place, without changing anything; gives what is wanting.
    ///
    /// # Errors
    /// Something else is in a file's place; the record names a place that is none.
    pub fn check(&self) -> Result<Wanting<'_>, SealedError> {
        let mut files = Vec::new();
        for entry in self.session.record.newest() {
            // First of all: anybody can write a record, and its paths say where files are made.
            self.is_a_place(entry.tree(), &entry.path, entry.temp.as_deref())?;
            let path = self.target_of(entry);
            let found = self
                .folder(&entry.temp, entry.path.parent(), None)
                .and_then(|dir| dir.stat(entry.path.file_name().unwrap_or_default()));
            match found {
                Ok(_) if self.existing == Existing::Leave => {}
                // The same file may be there: an earlier run was interrupted. It is compared later.
                Ok(stat) if stat.file_type == FileType::File && stat.stamp.size == entry.size => {}
                Ok(stat) => return Err(in_the_way(path, entry.mtime, Some(&stat))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => files.push(entry),
                Err(error) => return Err(error).at("look at", path).map_err(SealedError::File),
            }
        }
        Ok(Wanting { files, links: self.check_links()? })
    }

    /// Restores every file; the sealed ones stay, for [`SealedSession::remove`].
    ///
    /// # Errors
    /// Nothing was changed then, except that files may have got their names or today's date where a name was
    /// taken by somebody else in the same instant; nothing sealed is removed.
    pub fn restore(&self, identities: &Identities) -> Result<Restored, SealedError> {
        // Everything that can be known beforehand is: a session comes back whole, or nothing is changed.
        let wanting = self.check()?;
        let newest = self.session.record.newest();
        let mut restored = Restored {
            files: Vec::new(),
            digests: Vec::new(),
            bytes: 0,
            missing: Vec::new(),
            older: self.session.record.files.len() - newest.len(),
        };
        let entries = match self.existing {
            Existing::Compare => newest,
            Existing::Leave => wanting.files,
        };
        let mut made = Vec::new();
        let mut parts = Vec::new();
        let mut systems = BTreeMap::new();
        let done = self
            .write_all(&entries, identities, &mut made, &mut parts, &mut systems, &mut restored)
            .and_then(|()| {
                self.flush(&systems)?;
                // Before any has its name: from then on Claude Code may see the session, and go by the oldest date.
                self.touch(&parts)?;
                self.name(&parts)?;
                self.restore_links(&mut made)?;
                self.flush(&systems)
            });
        if let Err(error) = done {
            for part in parts.iter().filter(|part| part.is_new) {
                let name = self.unfinished(part.entry);
                let _ = self
                    .folder(&part.entry.temp, part.entry.path.parent(), None)
                    .and_then(|dir| dir::unlink(&dir, &name));
            }
            self.remove_made(&made);
            return Err(error);
        }
        Ok(restored)
    }

    fn write_all<'m>(
        &self,
        entries: &[&'m SealedFile],
        identities: &Identities,
        made: &mut Vec<Made>,
        parts: &mut Vec<Part<'m>>,
        systems: &mut BTreeMap<u64, Dir>,
        restored: &mut Restored,
    ) -> Result<(), SealedError> {
        for entry in entries.iter().copied() {
            let path = self.target_of(entry);
            if self.session.file(entry)?.is_none() {
                let is_there = self
                    .folder(&entry.temp, entry.path.parent(), None)
                    .is_ok_and(|dir| dir.stat(entry.path.file_name().unwrap_or_default()).is_ok());
                if !is_there && entry.kind == Kind::Transcript {
                    return Err(SealedError::Missing(self.session.path(entry)));
                }
                if !is_there {
                    restored.missing.push(self.session.path(entry));
                }
                // The entry goes from the record with the others.
                restored.files.push(entry.clone());
                continue;
            }
            let folder =
                self.folder(&entry.temp, entry.path.parent(), Some(made)).at("open the folder of", &path)?;
            let is_new = folder.stat(entry.path.file_name().unwrap_or_default()).is_err();
            if is_new {
                parts.push(Part { entry, is_new });
            }
            let digest = if is_new {
                self.write(entry, &folder, identities)?
            } else {
                parts.push(Part { entry, is_new });
                self.compare(entry, &folder, identities)?
            };
            let device = folder.stat_self().at("look at the folder of", &path)?.stamp.device;
            systems.entry(device).or_insert(folder);
            restored.digests.push(digest);
            restored.bytes += entry.size;
            restored.files.push(entry.clone());
        }
        Ok(())
    }

    /// Writes one file as an unfinished one.
    fn write(
        &self,
        entry: &SealedFile,
        folder: &Dir,
        identities: &Identities,
    ) -> Result<[u8; 32], SealedError> {
        let path = self.target_of(entry);
        let name = self.unfinished(entry);
        // Under an unfinished name until it is whole: a client that starts now must not find half a
        // conversation.
        let mut file = dir::create_part(folder, &name).at("create", &path)?;
        let digest = self.session.decrypt(entry, identities, &mut file)?;
        // A record can be forged: no file comes back that would run as its owner.
        access::give(&file, entry.mode & 0o1777, entry.acl.as_deref()).at("set the mode of", &path)?;
        let modified = match self.dates {
            Dates::Original => entry.mtime,
            Dates::Touch(now) => now,
        };
        // Claude Code orders conversations by this date, and its own cleanup goes by it.
        let times = FileTimes::new().set_modified(seal::system_time(FileTime::of(modified)));
        file.set_times(times).at("date", &path)?;
        dir::sync_unless_whole(&file).at("flush", &path)?;
        Ok(digest)
    }

    /// Compares a file that is there with what is sealed.
    fn compare(
        &self,
        entry: &SealedFile,
        folder: &Dir,
        identities: &Identities,
    ) -> Result<[u8; 32], SealedError> {
        let path = self.target_of(entry);
        let file = folder.read(entry.path.file_name().unwrap_or_default()).at("open", &path)?;
        match self.session.decrypt(entry, identities, &mut Comparing(file)) {
            Err(SealedError::Open { source: UnsealError::Target(error), .. })
                if error.kind() == io::ErrorKind::InvalidData =>
            {
                let stat = folder.stat(entry.path.file_name().unwrap_or_default());
                Err(in_the_way(path, entry.mtime, stat.ok().as_ref()))
            }
            other => other,
        }
    }

    fn flush(&self, systems: &BTreeMap<u64, Dir>) -> Result<(), SealedError> {
        let all = systems.values().try_for_each(dir::sync_file_system);
        all.at("flush", &self.session.store.root).map_err(SealedError::File)
    }

    fn name(&self, parts: &[Part<'_>]) -> Result<(), SealedError> {
        let mut folders: BTreeSet<(&Tree, Option<&Path>)> = BTreeSet::new();
        // Transcripts last: until then the client sees no session.
        let (transcripts, others): (Vec<_>, Vec<_>) =
            parts.iter().filter(|part| part.is_new).partition(|part| part.entry.kind == Kind::Transcript);
        for part in others.into_iter().chain(transcripts) {
            let (path, name) = (self.target_of(part.entry), part.entry.path.file_name().unwrap_or_default());
            let folder = self
                .folder(&part.entry.temp, part.entry.path.parent(), None)
                .at("open the folder of", &path)?;
            // Nothing is overwritten, whoever made it since it was looked at.
            match dir::rename_new(&folder, &self.unfinished(part.entry), name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(in_the_way(path, part.entry.mtime, folder.stat(name).ok().as_ref()));
                }
                other => other.at("name", &path)?,
            }
            folders.insert((&part.entry.temp, part.entry.path.parent()));
        }
        if !dir::FLUSHES_WHOLE {
            for (tree, below) in folders {
                let flushed = self.folder(tree, below, None).and_then(|dir| dir::sync(&dir));
                flushed.at("flush", &self.session.store.root)?;
            }
        }
        Ok(())
    }

    /// The name of a file until it is whole.
    fn unfinished(&self, entry: &SealedFile) -> OsString {
        naming::unfinished_name(self.session.id, entry.tree(), &entry.path)
    }

    /// Gives files that were there already the date that the others have: Claude Code goes by it.
    fn touch(&self, parts: &[Part<'_>]) -> Result<(), SealedError> {
        let Dates::Touch(now) = self.dates else { return Ok(()) };
        for part in parts.iter().filter(|part| !part.is_new) {
            let entry = part.entry;
            let times = FileTimes::new().set_modified(seal::system_time(FileTime::of(now)));
            let file = self
                .folder(&entry.temp, entry.path.parent(), None)
                .and_then(|folder| folder.read(entry.path.file_name().unwrap_or_default()));
            file.and_then(|file| file.set_times(times)).at("date", self.target_of(entry))?;
        }
        Ok(())
    }

    fn target_of(&self, entry: &SealedFile) -> PathBuf {
        self.target(entry.temp.as_deref(), &entry.path)
    }

    /// Where something is restored to.
    fn target(&self, temp: Option<&Path>, path: &Path) -> PathBuf {
        temp.unwrap_or(&self.session.store.root).join(path)
    }

    /// Anyone can write a record: only files of sessions are restored, and into no other temp
    /// folder than one of this session.
    fn is_a_place(&self, tree: naming::Tree, path: &Path, temp: Option<&Path>) -> Result<(), SealedError> {
        let no_place = || SealedError::NoPlace(self.target(temp, path));
        // The path in a temp tree begins below the session's own folder.
        let is_its = |id: SessionId| tree == naming::Tree::Temp || id == self.session.id;
        let found = naming::recognise(tree, path).filter(|found| found.session.is_none_or(is_its));
        if !found.is_some_and(|found| found.kind.row().sealable) {
            return Err(no_place());
        }
        // The record names an absolute folder: it must be one where Claude Code itself would put this session's
        // files.
        let Some(temp) = temp else { return Ok(()) };
        let is_its_own = naming::is_temp_place_of(temp, path, self.session.id);
        let root = temp.parent().and_then(Path::parent).ok_or_else(no_place)?;
        let is_known = self.temps.iter().any(|known| known == root);
        let is_plain = temp
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::RootDir));
        if is_plain && is_known && is_its_own { Ok(()) } else { Err(no_place()) }
    }

    /// Opens the folder of a file, which is made where `made` is given and it is not there.
    fn folder(&self, tree: &Tree, below: Option<&Path>, mut made: Option<&mut Vec<Made>>) -> io::Result<Dir> {
        let store = self.session.store;
        let below = below.unwrap_or(Path::new(""));
        let (mut at, rest) = match tree {
            None => {
                let (nearest, rest) = store.nearest(below);
                (nearest.again()?, rest)
            }
            Some(temp) => (temp_folder(temp, store, made.as_deref_mut())?, below),
        };
        let mut path: PathBuf = below.iter().take(below.iter().count() - rest.iter().count()).collect();
        for name in rest {
            path.push(name);
            at = match at.child(name) {
                Ok(dir) => dir,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let Some(made) = made.as_deref_mut() else { return Err(error) };
                    dir::make_new_folder(&at, name)?;
                    made.push(Made::Below(tree.clone(), path.clone()));
                    at.child(name)?
                }
                Err(error) => return Err(error),
            };
        }
        Ok(at)
    }

    fn remove_made(&self, made: &[Made]) {
        for one in made.iter().rev() {
            let (parent, path) = match one {
                Made::Below(tree, path) => (self.folder(tree, path.parent(), None), path),
                Made::Temp(path) => (Dir::among_others(path.parent().unwrap_or(path)), path),
            };
            if let (Ok(parent), Some(name)) = (parent, path.file_name()) {
                let _ = dir::remove_if_empty(&parent, name);
            }
        }
    }
}

/// Opens a session's folder in a temp tree, of which the last three may have to be made.
fn temp_folder(temp: &Path, store: &Store, mut made: Option<&mut Vec<Made>>) -> io::Result<Dir> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let project = temp.parent().ok_or_else(missing)?;
    let root = project.parent().ok_or_else(missing)?;
    let mut enter = |above: &Dir, path: &Path| -> io::Result<Dir> {
        let name = path.file_name().ok_or_else(missing)?;
        match (above.child(name), made.as_deref_mut()) {
            (Err(error), Some(made)) if error.kind() == io::ErrorKind::NotFound => {
                dir::make_new_folder(above, name)?;
                made.push(Made::Temp(path.to_path_buf()));
                above.child(name)
            }
            (found, _) => found,
        }
    };
    let at = match Dir::among_others(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            enter(&Dir::among_others(root.parent().ok_or_else(missing)?)?, root)?
        }
        found => found?,
    };
    // In a folder that everybody may write to, somebody else may have been first.
    owned(&at, store)?;
    let at = enter(&at, project)?;
    enter(&at, temp)
}

fn owned(dir: &Dir, store: &Store) -> io::Result<()> {
    if dir.stat_self()?.owner == store.owner {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is another owner's"))
    }
}

/// Takes bytes that must be those of a file, in order.
struct Comparing(File);

impl Write for Comparing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut same = vec![0; bytes.len()];
        match self.0.read_exact(&mut same) {
            Ok(()) if same == bytes => Ok(bytes.len()),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
