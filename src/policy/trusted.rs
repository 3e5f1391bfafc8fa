//! Opens policy files: what is checked is the opened file, never a path that may change under it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;

use super::error::LoadError;
use crate::dir::{Dir, FileType, Stat};
use crate::error::{At as _, PathError};
use crate::files;

/// The most a policy may hold, in bytes; more is none.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Reads a file of the user; links are followed. `None` where nothing has that name.
///
/// # Errors
/// What is there and cannot be read: without permission, a dangling link, a pipe, too large.
pub fn read_own(path: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    open_own(path)?.map(|file| contents(&file, path)).transpose()
}

/// Opens a file of the user for reading; `None` where nothing has that name and nothing is in the way.
pub(super) fn open_own(path: &Path) -> Result<Option<File>, LoadError> {
    Ok(files::open_if_there(path).at("read", path)?)
}

/// The content of such a file.
pub(super) fn contents(file: &File, path: &Path) -> Result<Vec<u8>, LoadError> {
    Ok(files::contents(file, LARGEST).at("read", path)?)
}

/// A folder of the machine's administrator, opened and found to be his alone.
#[derive(Debug)]
pub struct TrustedDir<'a> {
    dir: Dir,
    path: &'a Path,
    owner: u32,
}

impl<'a> TrustedDir<'a> {
    /// Opens a folder; `None` where nothing has that name.
    ///
    /// # Errors
    /// A folder that cannot be opened, is a link, or belongs to or is writable by others.
    pub fn open(path: &'a Path, owner: u32) -> Result<Option<Self>, LoadError> {
        // By a handle: between a look at the path and the opening of a file in it, whoever owns a folder above
        // could exchange it.
        let dir = match Dir::open(path) {
            Ok(dir) => dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // No policy means built-in rules and no holds, so it must be certain that there is none.
                files::confirm_absence(path).at("open", path)?;
                return Ok(None);
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory || path.is_symlink() => {
                return Err(LoadError::unusable(path, "it is a link or not a folder"));
            }
            Err(error) => return Err(error).at("open", path).map_err(LoadError::from),
        };
        trust(path, &dir.stat_self().at("open", path)?, owner)?;
        Ok(Some(Self { dir, path, owner }))
    }

    /// Reads a file of the folder; `None` where nothing has that name.
    ///
    /// # Errors
    /// A file that cannot be read, is a link or no regular file, or belongs to or is writable by others.
    pub fn read(&self, name: &OsStr) -> Result<Option<Vec<u8>>, LoadError> {
        let path = self.path.join(name);
        let file = match self.dir.read(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(match self.dir.stat(name).map(|stat| stat.file_type) {
                    Ok(FileType::Link) => LoadError::unusable(&path, "it is a link"),
                    Ok(FileType::Folder | FileType::Special) => {
                        LoadError::unusable(&path, "it is not a regular file")
                    }
                    _ => PathError { path, doing: "read", source: error }.into(),
                });
            }
        };
        // Of the open file, not of its name: that may be another one by now.
        trust(&path, &Dir::stat_open(&file).at("read", &path)?, self.owner)?;
        Ok(Some(contents(&file, &path)?))
    }

    /// The names in the folder, sorted.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<OsString>, LoadError> {
        let entries = self.dir.entries().at("list", self.path)?;
        let mut names: Vec<OsString> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        Ok(names)
    }
}

/// Whether a file or folder is one account's alone; a platform without owners guards such folders itself.
fn trust(path: &Path, stat: &Stat, owner: u32) -> Result<(), LoadError> {
    let uid = stat.owner;
    if uid != owner {
        let whom = if owner == 0 { "root".to_owned() } else { format!("uid {owner}") };
        return Err(LoadError::untrusted(path, &format!("it belongs to uid {uid}, not to {whom}")));
    }
    if stat.mode & 0o022 != 0 {
        let mode = stat.mode & 0o7777;
        return Err(LoadError::untrusted(path, &format!("others may write to it (mode {mode:04o})")));
    }
    Ok(())
}
