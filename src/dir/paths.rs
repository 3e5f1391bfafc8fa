//! The handle where there are no `*at` calls: a path, checked at every use.

use std::ffi::OsStr;
use std::fs::{File, FileType as RawType, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Entry, FileStamp, FileTime, FileType, Stat};

/// A folder by its path.
#[derive(Debug)]
pub struct Dir(PathBuf);

impl Dir {
    /// Opens a folder by its path; the last component must not be a link.
    ///
    /// # Errors
    /// As the platform's calls; `NotADirectory` for a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let meta = path.symlink_metadata()?;
        if meta.is_dir() { Ok(Self(path.to_path_buf())) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// Where the folder lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Opens a folder in this one, which must be no link.
    ///
    /// # Errors
    /// As [`Dir::open`].
    pub fn child(&self, name: &OsStr) -> io::Result<Self> {
        Self::open(&self.0.join(name))
    }

    /// Opens a folder further down; no component may be a link.
    ///
    /// # Errors
    /// As [`Dir::open`]; an absolute path or `..` is `InvalidInput`.
    pub fn below(&self, path: &Path) -> io::Result<Self> {
        let mut at = self.again()?;
        for component in path.components() {
            let Component::Normal(name) = component else { return Err(io::ErrorKind::InvalidInput.into()) };
            at = at.child(name)?;
        }
        Ok(at)
    }

    /// A second handle on the same folder.
    ///
    /// # Errors
    /// None today; the signature is that of the other platforms.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self(self.0.clone()))
    }

    /// Every name in the folder.
    ///
    /// # Errors
    /// As the platform's calls.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut found = Vec::new();
        self.each(|name, file_type| found.push(Entry { name: name.to_os_string(), file_type }))?;
        Ok(found)
    }

    /// Shows every name of [`Dir::entries`].
    ///
    /// # Errors
    /// As the platform's calls.
    pub fn each(&self, mut show: impl FnMut(&OsStr, Option<FileType>)) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            show(&entry.file_name(), entry.file_type().ok().map(type_of));
        }
        Ok(())
    }

    /// What a name in the folder is; a link itself, not its target.
    ///
    /// # Errors
    /// As the platform's calls.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(from_raw(&self.0.join(name).symlink_metadata()?))
    }

    /// What the folder itself is.
    ///
    /// # Errors
    /// As the platform's calls.
    pub fn stat_self(&self) -> io::Result<Stat> {
        Ok(from_raw(&self.0.symlink_metadata()?))
    }

    /// Opens a file for reading; not a link.
    ///
    /// # Errors
    /// As the platform's calls.
    pub fn read(&self, name: &OsStr) -> io::Result<File> {
        let path = self.0.join(name);
        if path.symlink_metadata()?.is_file() {
            File::open(path)
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }

    /// Where a link leads, as it is written.
    ///
    /// # Errors
    /// As `std::fs::read_link`.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        self.0.join(name).read_link()
    }

    /// The stat of an open file.
    ///
    /// # Errors
    /// As the platform's calls.
    pub fn stat_open(file: &File) -> io::Result<Stat> {
        Ok(from_raw(&file.metadata()?))
    }
}

fn type_of(raw: RawType) -> FileType {
    if raw.is_symlink() {
        FileType::Link
    } else if raw.is_dir() {
        FileType::Folder
    } else if raw.is_file() {
        FileType::File
    } else {
        FileType::Special
    }
}

fn time(at: io::Result<SystemTime>) -> FileTime {
    at.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(FileTime::default(), |since| {
        FileTime::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
    })
}

/// Device and inode are not to be had without a handle here, so size and times have to do.
fn from_raw(raw: &Metadata) -> Stat {
    Stat {
        stamp: FileStamp {
            device: 0,
            inode: 0,
            size: raw.len(),
            modified: time(raw.modified()),
            changed: time(raw.created()),
        },
        file_type: type_of(raw.file_type()),
        links: 1,
        allocated: raw.len(),
        owner: 0,
        mode: if raw.is_dir() { 0o700 } else { 0o600 },
    }
}
