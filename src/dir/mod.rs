//! Directory handles, read only: everything below a store is reached through them.
//!
//! A handle is opened one component at a time without following links (`openat2` with BENEATH,
//! NO_SYMLINKS and NO_XDEV where the kernel has it), so a folder that is swapped for a link
//! between a look and a deed is never followed. Changing anything is the business of `enforce`.

#[cfg(target_os = "linux")]
pub mod mounts;
#[cfg(not(unix))]
mod paths;
mod reach;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub use paths::Dir;
pub use reach::{Link, LinkPlace, Reached, Unreached};
#[cfg(unix)]
pub use unix::Dir;

use std::ffi::OsString;

use chrono::{DateTime, Utc};

/// What a name in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    Folder,
    /// A symbolic link (on Windows also a junction).
    Link,
    /// A FIFO, socket or device.
    Special,
}

/// A name in a folder, with its type where the folder itself records it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name, one component.
    pub name: OsString,
    /// What it is; `None` where only a `stat` can tell.
    pub file_type: Option<FileType>,
}

/// A moment as the file system gives it: seconds since 1970 and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileTime {
    seconds: i64,
    nanoseconds: u32,
}

impl FileTime {
    /// A moment: whole seconds, negative before 1970, and the nanoseconds after that second.
    pub const fn new(seconds: i64, nanoseconds: u32) -> Self {
        Self { seconds, nanoseconds }
    }

    /// A date as the file system writes it.
    pub fn of(date: DateTime<Utc>) -> Self {
        Self::new(date.timestamp(), date.timestamp_subsec_nanos())
    }

    /// Whole seconds, negative before 1970.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// The nanoseconds after that second.
    pub fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// The same moment as a date; `None` beyond what dates can hold.
    pub fn date(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.seconds(), self.nanoseconds)
    }
}

/// What identifies one state of one file: if any part differs, it is not the file that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileStamp {
    pub device: u64,
    pub inode: u64,
    /// The size in bytes.
    pub size: u64,
    /// The last change of the content.
    pub modified: FileTime,
    /// The last change of the inode.
    pub changed: FileTime,
}

/// What a `stat` without following links says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Identity and state.
    pub stamp: FileStamp,
    pub file_type: FileType,
    /// How many names the file has.
    pub links: u64,
    /// How many bytes it takes of the disk; a hole takes none.
    pub allocated: u64,
    /// The owner's id; 0 on platforms without one.
    pub owner: u32,
    /// The permission bits; 0o600 or 0o700 on platforms without them.
    pub mode: u32,
}
