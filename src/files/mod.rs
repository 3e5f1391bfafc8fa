//! Files that somebody else may have put where they are, and files of our own.
//!
//! Whatever others may have put anywhere is opened without waiting, is a regular file, and is read up to a
//! bound: a FIFO, a terminal, a link to `/dev/zero` or a sparse file of a terabyte stops no command. Links are
//! followed here; what must not be one is opened through a folder's handle or is a file of our own (`own`).

mod absence;
pub mod access;
mod holes;
mod own;
#[cfg(unix)]
pub mod umask;
mod write;

pub use absence::{confirm_absence, is_absent};
pub use holes::{data_before, data_from};
pub use own::{
    has_one_name, open_for_reading, open_named_twice, open_own, open_private, private_options, random_key,
    remove_own, rename_own,
};
pub use write::{Draft, above, named_dir, private_dir, replace, replace_named, sync_dir};

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that a whole document may hold, in bytes: settings, `.claude.json`, an index, a report.
pub const DOCUMENT: u64 = 64 << 20;

/// A document above this size is large: there is one such buffer in the process at a time.
pub const LARGE: u64 = 4 << 20;

/// How many more bytes of large documents one walk reads: a user can make as many of them as there is room for, each
/// within its own bound.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    /// What a whole walk may read.
    pub const WHOLE: u64 = 4 * DOCUMENT;
    /// Nothing is left.
    pub const SPENT: Self = Self(0);

    /// Takes what reading a file of this size needs.
    ///
    /// # Errors
    /// `FileTooLarge` where not so much is left.
    pub fn take(&mut self, size: u64) -> io::Result<()> {
        // What is larger than any document is refused by whoever reads it, and costs nothing.
        if size > LARGE && size <= DOCUMENT {
            self.0 = self.0.checked_sub(size).ok_or_else(Self::spent)?;
        }
        Ok(())
    }

    /// The error of a file that is not read any more.
    pub fn spent() -> io::Error {
        let why =
            format!("it is one of many large files, of which {} MiB in all are read", Self::WHOLE >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, why)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self(Self::WHOLE)
    }
}

/// A bound, in bytes, and the one that fuzzing goes by: inputs of a few kilobytes cross it.
pub const fn bound(usual: u64, fuzzing: u64) -> u64 {
    if cfg!(fuzzing) { fuzzing } else { usual }
}

/// Opens a regular file for reading without ever waiting for it; links are followed.
///
/// # Errors
/// As `open(2)`; `InvalidInput` for anything but a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    regular(open_any(path)?)
}

/// The same; `None` where nothing has that name, and nothing is in the way.
///
/// # Errors
/// What is there and cannot be opened, and as [`confirm_absence`].
pub fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if is_absent(&error) => confirm_absence(path).map(|()| None),
        Err(error) => Err(error),
    }
}

/// The whole content of a file; links are followed. `None` where nothing has that name.
///
/// # Errors
/// What is there and cannot be read: no regular file, more than `most` bytes, and as [`confirm_absence`].
pub fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    open_if_there(path)?.map(|file| contents(&file, most)).transpose()
}

/// The whole content of an open file.
///
/// # Errors
/// As `read(2)`; `FileTooLarge` above `most` bytes.
pub fn contents(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    if size > most {
        return Err(too_large(most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    // One more than allowed, so that a file that grows is found too large instead of cut off.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

/// The beginning of an open file, up to a length.
///
/// # Errors
/// As `read(2)`.
pub fn head(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The content of a document among many that threads read; a large one is alone in memory.
#[derive(Debug)]
pub struct Document {
    bytes: Vec<u8>,
    _turn: Option<Turn>,
}

impl Document {
    /// Reads a file, whose name may be a link; `None` where nothing has that name.
    ///
    /// # Errors
    /// As [`open_if_there`] and [`Document::read`].
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        open_if_there(path)?.map(|file| Self::read(&file)).transpose()
    }

    /// Reads an open file, up to [`DOCUMENT`] bytes. A large one waits until the large one before is dropped,
    /// so no thread may hold two.
    ///
    /// # Errors
    /// As [`contents`].
    pub fn read(file: &File) -> io::Result<Self> {
        let turn = (file.metadata()?.len() > LARGE).then(Turn::take);
        Ok(Self { bytes: contents(file, DOCUMENT)?, _turn: turn })
    }
}

impl std::ops::Deref for Document {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The right to hold a large buffer; threads wait for each other.
#[must_use = "it ends when it is dropped"]
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held, not used")] MutexGuard<'static, ()>);

impl Turn {
    /// Waits until no other thread holds a large buffer.
    pub fn take() -> Self {
        static LARGE_BUFFER: Mutex<()> = Mutex::new(());
        Self(LARGE_BUFFER.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

fn too_large(most: u64) -> io::Error {
    let bound = if most < 1 << 20 { format!("{} KiB", most >> 10) } else { format!("{} MiB", most >> 20) };
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {bound}"))
}

#[cfg(unix)]
fn open_any(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    // Without NONBLOCK a FIFO would be waited for; without NOCTTY a terminal could become ours.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open_any(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(test)]
mod tests;
