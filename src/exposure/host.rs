//! The little of the machine that has to be looked at.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::dir::{Dir, FileType};
use crate::files;

/// No file that tells of a risk is longer; more of one is not read.
const LARGEST: u64 = 16 << 20;

/// As many names of a folder are listed, where others may have put any number of them.
const MOST_NAMES: usize = 10_000;

/// What lies below a folder that is others' to fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// A regular file, with as much of its beginning as was asked for.
    File(Vec<u8>),
    /// A folder, with some of the names in it.
    Folder(Vec<OsString>),
    /// Neither.
    Other,
}

/// The machine as the detection sees it; tests pass a made-up one. Nothing is changed through it.
pub trait Host {
    /// The content of a file, or its beginning; `None` where there is none.
    ///
    /// # Errors
    /// It exists and cannot be read.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// The names in a folder, sorted; `None` where there is no such folder.
    ///
    /// # Errors
    /// It exists and cannot be listed.
    fn list(&self, path: &Path) -> io::Result<Option<Vec<OsString>>>;

    /// Whether something is there; a link counts by itself, whatever it points to.
    ///
    /// # Errors
    /// It cannot be told, because a folder above may not be entered.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// What lies at a path below a folder that others may fill as they like: nothing is waited for, no link is followed
    /// but those above that root made, and no more is read than so many bytes. `None` where nothing is there.
    ///
    /// # Errors
    /// It cannot be reached, or is not this owner's.
    fn inside(&self, folder: &Path, below: &Path, owner: u32, bytes: u64) -> io::Result<Option<Inside>>;

    /// What a link says; `None` where there is none.
    ///
    /// # Errors
    /// It exists and cannot be read.
    fn link(&self, path: &Path) -> io::Result<Option<PathBuf>>;

    /// The path with every link resolved; the path itself where there is nothing.
    fn resolve(&self, path: &Path) -> PathBuf;

    /// The owner's id of what is there, links followed; `None` where it cannot be told.
    fn owner(&self, path: &Path) -> Option<u32>;

    /// Whether the file an open descriptor leads to has no name any more; `None` where it cannot
    /// be told.
    fn is_unlinked(&self, path: &Path) -> Option<bool>;

    /// Whether the file system encrypts this very file or folder (fscrypt); `None` where it does
    /// not say.
    fn encrypts(&self, path: &Path) -> Option<bool>;

    /// Our own process id.
    fn own_pid(&self) -> u32;

    /// What a program prints; only for platforms that have no files to read instead.
    ///
    /// # Errors
    /// It cannot be run, or ended with an error.
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<String>;
}

/// The machine this program runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Host for System {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = found(files::open(path))? else { return Ok(None) };
        files::head(&file, LARGEST).map(Some)
    }

    fn list(&self, path: &Path) -> io::Result<Option<Vec<OsString>>> {
        let Some(entries) = found(fs_err::read_dir(path))? else { return Ok(None) };
        let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(Some(names))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(found(fs_err::symlink_metadata(path))?.is_some())
    }

    fn inside(&self, folder: &Path, below: &Path, owner: u32, bytes: u64) -> io::Result<Option<Inside>> {
        // Projects are anybody's to fill: a link or a pipe there must not lead a run of root elsewhere, or hold
        // it up.
        let Some(dir) = found(Dir::among_others(folder))? else { return Ok(None) };
        let above = below.parent().unwrap_or(Path::new(""));
        let Some(at) = found(dir.below(above))? else { return Ok(None) };
        let Some(name) = below.file_name() else { return Ok(None) };
        // Before it is opened: to open a device or a pipe may have an effect of its own.
        let Some(stat) = found(at.stat(name))? else { return Ok(None) };
        if stat.owner != owner {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("it belongs to user {}", stat.owner),
            ));
        }
        Ok(Some(match stat.file_type {
            FileType::File if bytes == 0 => Inside::File(Vec::new()),
            FileType::File => Inside::File(files::head(&at.read(name)?, bytes)?),
            FileType::Folder => {
                let mut names = Vec::new();
                at.child(name)?.each(|name, _| {
                    if names.len() < MOST_NAMES {
                        names.push(name.to_os_string());
                    }
                })?;
                Inside::Folder(names)
            }
            _ => Inside::Other,
        }))
    }

    fn link(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        found(fs_err::read_link(path))
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
    }

    #[cfg(unix)]
    fn owner(&self, path: &Path) -> Option<u32> {
        use std::os::unix::fs::MetadataExt as _;
        fs_err::metadata(path).ok().map(|found| found.uid())
    }

    #[cfg(not(unix))]
    fn owner(&self, _: &Path) -> Option<u32> {
        None
    }

    #[cfg(unix)]
    fn is_unlinked(&self, path: &Path) -> Option<bool> {
        use std::os::unix::fs::MetadataExt as _;
        fs_err::metadata(path).ok().map(|found| found.nlink() == 0)
    }

    #[cfg(not(unix))]
    fn is_unlinked(&self, _: &Path) -> Option<bool> {
        None
    }

    #[cfg(target_os = "linux")]
    fn encrypts(&self, path: &Path) -> Option<bool> {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        let found = statx(CWD, path, AtFlags::empty(), StatxFlags::TYPE).ok()?;
        let says = found.stx_attributes_mask.contains(StatxAttributes::ENCRYPTED);
        says.then(|| found.stx_attributes.contains(StatxAttributes::ENCRYPTED))
    }

    #[cfg(not(target_os = "linux"))]
    fn encrypts(&self, _: &Path) -> Option<bool> {
        None
    }

    fn own_pid(&self) -> u32 {
        std::process::id()
    }

    #[cfg(target_os = "macos")]
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let output = std::process::Command::new(program)
            .args(arguments)
            // The words are parsed, and change with the language.
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .output()?;
        // Some of these say something and end with 1; what they say is judged by its parser.
        if output.status.success() || !output.stdout.is_empty() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(io::Error::other(format!("it ended with {}", output.status)))
    }

    #[cfg(not(target_os = "macos"))]
    fn run(&self, _: &str, _: &[&str]) -> io::Result<String> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Nothing there is no error.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if files::is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
