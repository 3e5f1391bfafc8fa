//! Opens policy files: what is checked is the opened file, never a path that may change under it.

use std::fs::File;
#[cfg(not(unix))]
use std::io;
use std::path::Path;

use super::error::LoadError;
use crate::error::At as _;
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
#[cfg(unix)]
#[derive(Debug)]
pub struct TrustedDir<'a> {
    handle: rustix::fd::OwnedFd,
    path: &'a Path,
    owner: u32,
}

#[cfg(unix)]
impl<'a> TrustedDir<'a> {
    /// Opens a folder; `None` where nothing has that name.
    ///
    /// # Errors
    /// A folder that cannot be opened, is a link, or belongs to or is writable by others.
    pub fn open(path: &'a Path, owner: u32) -> Result<Option<Self>, LoadError> {
        use rustix::fs::{CWD, Mode, OFlags, openat};
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY;
        let handle = match openat(CWD, path, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::NOENT) => {
                files::confirm_absence(path).at("open", path)?;
                return Ok(None);
            }
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                return Err(LoadError::untrusted(path, "it is a link or not a folder"));
            }
            Err(error) => return Err(error).at("open", path).map_err(LoadError::from),
        };
        let stat = rustix::fs::fstat(&handle).at("open", path)?;
        trust(path, stat.st_uid, stat.st_mode, owner)?;
        Ok(Some(Self { handle, path, owner }))
    }

    /// Reads a file of the folder; `None` where nothing has that name.
    ///
    /// # Errors
    /// A file that cannot be read, is a link or no regular file, or belongs to or is writable by others.
    pub fn read(&self, name: &std::ffi::OsStr) -> Result<Option<Vec<u8>>, LoadError> {
        use rustix::fs::{Mode, OFlags, openat};
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(rustix::io::Errno::LOOP) => return Err(LoadError::untrusted(&path, "it is a link")),
            Err(error) => return Err(error).at("read", &path).map_err(LoadError::from),
        };
        let stat = rustix::fs::fstat(&file).at("read", &path)?;
        trust(&path, stat.st_uid, stat.st_mode, self.owner)?;
        if !file.metadata().at("read", &path)?.is_file() {
            return Err(LoadError::untrusted(&path, "it is not a regular file"));
        }
        Ok(Some(files::contents(&file, LARGEST).at("read", &path)?))
    }

    /// The names in the folder, sorted.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<std::ffi::OsString>, LoadError> {
        use std::os::unix::ffi::OsStrExt as _;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.handle).at("list", self.path)? {
            let entry = entry.at("list", self.path)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(std::ffi::OsStr::from_bytes(name).to_os_string());
            }
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(unix)]
fn trust(path: &Path, uid: u32, mode: rustix::fs::RawMode, owner: u32) -> Result<(), LoadError> {
    if uid != owner {
        let whom = if owner == 0 { "root".to_owned() } else { format!("uid {owner}") };
        return Err(LoadError::untrusted(path, &format!("it belongs to uid {uid}, not to {whom}")));
    }
    if mode & 0o022 != 0 {
        let mode = mode & 0o7777;
        return Err(LoadError::untrusted(path, &format!("others may write to it (mode {mode:04o})")));
    }
    Ok(())
}

/// A folder of the machine's administrator; on this platform the system guards it.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct TrustedDir<'a> {
    path: &'a Path,
}

#[cfg(not(unix))]
impl<'a> TrustedDir<'a> {
    /// Opens a folder; `None` where nothing has that name.
    ///
    /// # Errors
    /// A folder that cannot be opened or is a link.
    pub fn open(path: &'a Path, _owner: u32) -> Result<Option<Self>, LoadError> {
        match fs_err::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(Some(Self { path })),
            Ok(_) => Err(LoadError::untrusted(path, "it is a link or not a folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files::confirm_absence(path).at("open", path)?;
                Ok(None)
            }
            Err(error) => Err(error).at("open", path).map_err(LoadError::from),
        }
    }

    /// Reads a file of the folder; `None` where nothing has that name.
    ///
    /// # Errors
    /// A file that cannot be read or is a link.
    pub fn read(&self, name: &std::ffi::OsStr) -> Result<Option<Vec<u8>>, LoadError> {
        let path = self.path.join(name);
        match fs_err::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => Err(LoadError::untrusted(&path, "it is a link")),
            _ => read_own(&path),
        }
    }

    /// The names in the folder, sorted.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<std::ffi::OsString>, LoadError> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(self.path).at("list", self.path)? {
            names.push(entry.at("list", self.path)?.file_name());
        }
        names.sort();
        Ok(names)
    }
}
