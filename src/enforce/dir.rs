//! The only calls that change a store; each through the handle of the folder it changes.
//!
//! None of them follows a link, and none takes a path of more than one component.

#[cfg(unix)]
mod calls;
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "the calls that change a store")]
#[path = "dir/calls_elsewhere.rs"]
mod calls;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::dir::{Dir, FileStamp, FileTime, Stat};
use crate::inventory::Artifact;
use crate::locate::Store;

/// Whether a file is still the one that was seen: same device, inode, size and modification time.
pub fn is_same(seen: &FileStamp, now: &Stat) -> bool {
    // The inode's own change time may differ: a chmod is no reason to keep.
    seen.device == now.stamp.device
        && seen.inode == now.stamp.inode
        && seen.size == now.stamp.size
        && seen.modified == now.stamp.modified
}

/// Whether a file may go: it is the one that was seen, and has no name that was not.
pub fn may_go(seen: &Artifact, now: &Stat) -> bool {
    // By a name that it has got meanwhile its data would remain, and nobody would say so. One that it lost is
    // mostly one that this run has removed.
    is_same(&seen.stamp, now) && now.links <= u64::from(seen.links)
}

/// Removes a name that is no folder.
///
/// # Errors
/// As `unlinkat(2)`.
pub fn unlink(dir: &Dir, name: &OsStr) -> io::Result<()> {
    calls::unlink(dir, name)
}

/// Removes an empty folder; says whether it did. One that is not empty stays, and is no error.
///
/// # Errors
/// As `unlinkat(2)`, but for a folder that is gone, not empty or in use.
pub fn remove_if_empty(dir: &Dir, name: &OsStr) -> io::Result<bool> {
    use io::ErrorKind::{DirectoryNotEmpty, NotADirectory, NotFound, ResourceBusy};
    // Nobody lists it first: the call itself finds out whether it is empty, so that nothing can be put into it
    // between a look and the removal.
    match calls::remove_folder(dir, name) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), NotFound | DirectoryNotEmpty | NotADirectory | ResourceBusy) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Opens a folder, which is made if it is not there, for the owner alone.
///
/// # Errors
/// As `mkdirat(2)` and [`Dir::child`]; a link is never followed.
pub fn folder(dir: &Dir, name: &OsStr) -> io::Result<Dir> {
    // Most are there, and to ask for a new one locks the folder above against everybody.
    match dir.child(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    // Somebody may have made it since. Whatever it is now, `child` follows no link to it.
    match calls::make_folder(dir, name, 0o700) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => dir.child(name),
    }
}

/// Opens a folder of a store; each folder on the way is made if it is not there, for the owner alone.
///
/// # Errors
/// As [`folder`].
pub fn folders(store: &Store, path: &Path) -> io::Result<Dir> {
    // What of the way is a link or a mount that was followed once has a handle: from there on nothing is
    // followed.
    let (above, rest) = store.nearest(path);
    if let Ok(dir) = above.below(rest) {
        return Ok(dir);
    }
    rest.iter().try_fold(above.again()?, |at, name| folder(&at, name))
}

/// Makes a folder that was not there, for the owner alone.
///
/// # Errors
/// As `mkdirat(2)`; `AlreadyExists` if there is anything of that name.
pub fn make_new_folder(dir: &Dir, name: &OsStr) -> io::Result<()> {
    calls::make_folder(dir, name, 0o700)
}

/// Makes an unfinished file, for the owner alone; what an interrupted run left under its name is ours
/// to replace.
///
/// # Errors
/// As `openat(2)` and `unlinkat(2)`.
pub fn create_part(dir: &Dir, name: &OsStr) -> io::Result<File> {
    match calls::create_new(dir, name, 0o600) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            calls::unlink(dir, name)?;
            calls::create_new(dir, name, 0o600)
        }
        other => other,
    }
}

/// Makes an unfinished file that will replace another, of which it has what can only be given to a new one.
///
/// # Errors
/// As [`create_part`]; on macOS as `fclonefileat(2)`, which alone carries an ACL over.
pub fn create_part_like(dir: &Dir, name: &OsStr, like: &File) -> io::Result<File> {
    calls::create_like(dir, name, like)
}

/// Makes a link that was not there, with its own date.
///
/// # Errors
/// As `symlinkat(2)` and `utimensat(2)`; `AlreadyExists` if there is anything of that name.
pub fn make_link(dir: &Dir, name: &OsStr, target: &Path, modified: Option<FileTime>) -> io::Result<()> {
    calls::make_link(dir, name, target)?;
    modified.map_or(Ok(()), |modified| calls::date_link(dir, name, modified))
}

/// Opens a file of our own for locking, which is made if it is not there.
///
/// # Errors
/// As `openat(2)`.
pub fn open_or_create(dir: &Dir, name: &OsStr, mode: u32) -> io::Result<File> {
    calls::open_or_create(dir, name, mode)
}

/// Renames within a folder, replacing what is there.
///
/// # Errors
/// As `renameat(2)`.
pub fn rename(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    calls::rename(dir, from, to)
}

/// Renames within a folder, never replacing.
///
/// # Errors
/// As `renameat2(2)`; `AlreadyExists` if the name is taken.
pub fn rename_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    calls::rename_new(dir, from, to)
}

/// Renames a folder of ours, which is empty and marked, never replacing.
///
/// # Errors
/// As `renameat2(2)`; `AlreadyExists` if the name is taken.
pub fn rename_folder_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    calls::rename_folder_new(dir, from, to)
}

/// Gives an open file of ours the present moment as its modification time, by the kernel's clock.
///
/// # Errors
/// As `futimens(2)`.
pub fn touch(file: &File) -> io::Result<()> {
    calls::touch(file)
}

/// The nanoseconds of the modification time of a lock of ours: the client sets whole
/// milliseconds, and a file system's own clock meets it once in a thousand million times.
const MARK: u32 = 271_828_183;

/// Marks an empty folder as ours.
///
/// # Errors
/// As `utimensat(2)`.
pub fn mark(dir: &Dir, name: &OsStr) -> io::Result<()> {
    calls::mark(dir, name)
}

/// Whether a folder bears our mark; without one it is taken for somebody else's.
pub fn is_marked(dir: &Dir, name: &OsStr) -> bool {
    // Not followed: a link to a folder with such a date is no lock of ours.
    dir.stat(name).is_ok_and(|stat| {
        stat.file_type == crate::dir::FileType::Folder && stat.stamp.modified.nanoseconds() == MARK
    })
}

/// Makes the names in a folder durable.
///
/// # Errors
/// As `fsync(2)`.
pub fn sync(dir: &Dir) -> io::Result<()> {
    calls::sync(dir)
}

/// Whether one call flushes a whole file system here, so that files need no flush of their own.
pub const FLUSHES_WHOLE: bool = cfg!(target_os = "linux");

/// Makes everything on the file system of a folder durable; does nothing where there is no such
/// call, and files and folders are flushed one by one.
///
/// # Errors
/// As `syncfs(2)`, which reports failed writes since Linux 5.8.
pub fn sync_file_system(dir: &Dir) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(dir)?;
    #[cfg(not(target_os = "linux"))]
    let _ = dir;
    Ok(())
}

/// Makes a file durable where [`sync_file_system`] does nothing.
///
/// # Errors
/// As `fsync(2)`.
pub fn sync_unless_whole(file: &File) -> io::Result<()> {
    if FLUSHES_WHOLE { Ok(()) } else { file.sync_all() }
}

/// Gives an open folder these permissions, which give nothing to group and others.
///
/// # Errors
/// As `fchmod(2)`.
pub fn close_folder(dir: &Dir, mode: u32) -> io::Result<()> {
    calls::close(dir, mode)
}

/// Gives an open file these permissions, which give nothing to group and others.
///
/// # Errors
/// As `fchmod(2)`.
pub fn close_file(file: &File, mode: u32) -> io::Result<()> {
    calls::close(file, mode)
}
