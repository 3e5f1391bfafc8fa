//! The only calls that change a store; each through the handle of the folder it changes.
//!
//! None of them follows a link, and none takes a path of more than one component.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::dir::{Dir, FileStamp, FileTime, Stat};
use crate::locate::Store;

/// Whether a file is still the one that was seen: same device, inode, size and modification time.
pub fn is_same(seen: &FileStamp, now: &Stat) -> bool {
    // The inode's own change time may differ: a chmod is no reason to keep.
    seen.device == now.stamp.device
        && seen.inode == now.stamp.inode
        && seen.size == now.stamp.size
        && seen.modified == now.stamp.modified
}

#[cfg(unix)]
mod calls {
    use super::{Dir, File, FileTime, OsStr, Path, io};
    use rustix::fs::{AtFlags, Mode, OFlags};

    pub(super) fn close(open: impl std::os::fd::AsFd, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(open, mode_of(mode))?)
    }

    pub(super) fn unlink(dir: &Dir, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?)
    }

    pub(super) fn remove_folder(dir: &Dir, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?)
    }

    pub(super) fn make_folder(dir: &Dir, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(dir, name, mode_of(mode))?)
    }

    pub(super) fn create_new(dir: &Dir, name: &OsStr, mode: u32) -> io::Result<File> {
        // EXCL: what already has the name was put there by somebody, and would be written through if it is a
        // link.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(dir, name, flags, mode_of(mode))?))
    }

    pub(super) fn open_or_create(dir: &Dir, name: &OsStr, mode: u32) -> io::Result<File> {
        // The folder is the user's own: a link in it would let root make a file anywhere, a FIFO would hold the
        // run.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(dir, name, flags, mode_of(mode))?))
    }

    pub(super) fn rename(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(dir, from, dir, to)?)
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    pub(super) fn rename_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        use rustix::fs::{RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_new(dir, from, to),
            other => Ok(other?),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    pub(super) fn rename_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        link_new(dir, from, to)
    }

    /// A rename that never replaces, where the file system has no call for it.
    fn link_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        // A second name is refused where the name is taken, so nothing is replaced. A kill in between leaves
        // both names on one whole file.
        rustix::fs::linkat(dir, from, dir, to, AtFlags::empty())?;
        unlink(dir, from)
    }

    /// Where the file system has no rename that never replaces, the folder is made anew.
    pub(super) fn rename_folder_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            use rustix::io::Errno;
            match renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                other => return Ok(other?),
            }
        }
        make_folder(dir, to, 0o700)?;
        // Only now, as a folder has no second name: a kill before it leaves a lock that looks like somebody
        // else's, which costs the pruning and never breaks a lock of Claude Code's.
        mark(dir, to)?;
        remove_folder(dir, from)
    }

    pub(super) fn make_link(dir: &Dir, name: &OsStr, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, dir, name)?)
    }

    pub(super) fn date_link(dir: &Dir, name: &OsStr, modified: FileTime) -> io::Result<()> {
        use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: modified.seconds(),
                tv_nsec: i64::from(modified.nanoseconds()),
            },
        };
        Ok(rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    pub(super) fn touch(file: &File) -> io::Result<()> {
        use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        };
        Ok(rustix::fs::futimens(file, &times)?)
    }

    pub(super) fn mark(dir: &Dir, name: &OsStr) -> io::Result<()> {
        use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};
        // Its seconds stay: whoever looks at the age of a lock must see the true one.
        let made = dir.stat(name)?.stamp.modified.seconds();
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: made, tv_nsec: i64::from(super::MARK) },
        };
        Ok(rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    #[cfg(target_os = "macos")]
    pub(super) fn create_like(dir: &Dir, name: &OsStr, like: &File) -> io::Result<File> {
        use rustix::fs::{CloneFlags, fclonefileat};
        // `CLONE_ACL` of <sys/clonefile.h>; without it a clone gets the ACL that its folder hands down.
        let flags = CloneFlags::from_bits_retain(4);
        match fclonefileat(like, dir, name, flags) {
            // An interrupted run left it; a clone never replaces.
            Err(rustix::io::Errno::EXIST) => {
                unlink(dir, name)?;
                fclonefileat(like, dir, name, flags)?;
            }
            other => other?,
        }
        let opened =
            rustix::fs::openat(dir, name, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let file = File::from(opened);
        file.set_len(0)?;
        Ok(file)
    }

    #[cfg(not(target_os = "macos"))]
    pub(super) fn create_like(dir: &Dir, name: &OsStr, like: &File) -> io::Result<File> {
        let file = super::create_part(dir, name)?;
        crate::files::access::keep_flags(&file, like);
        Ok(file)
    }

    pub(super) fn sync(dir: &Dir) -> io::Result<()> {
        Ok(rustix::fs::fsync(dir)?)
    }

    fn mode_of(mode: u32) -> Mode {
        #[allow(clippy::useless_conversion, reason = "the width differs by platform")]
        Mode::from_bits_truncate(mode.try_into().unwrap_or(0o600))
    }
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "the calls that change a store")]
mod calls {
    use super::{Dir, File, FileTime, OsStr, Path, io};

    pub(super) fn unlink(dir: &Dir, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(dir.path().join(name))
    }

    pub(super) fn remove_folder(dir: &Dir, name: &OsStr) -> io::Result<()> {
        std::fs::remove_dir(dir.path().join(name))
    }

    pub(super) fn make_folder(dir: &Dir, name: &OsStr, _: u32) -> io::Result<()> {
        std::fs::create_dir(dir.path().join(name))
    }

    pub(super) fn create_new(dir: &Dir, name: &OsStr, _: u32) -> io::Result<File> {
        File::options().read(true).write(true).create_new(true).open(dir.path().join(name))
    }

    pub(super) fn open_or_create(dir: &Dir, name: &OsStr, _: u32) -> io::Result<File> {
        File::options().read(true).write(true).create(true).truncate(false).open(dir.path().join(name))
    }

    pub(super) fn make_link(_: &Dir, _: &OsStr, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn date_link(_: &Dir, _: &OsStr, _: FileTime) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn touch(_: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn rename(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        std::fs::rename(dir.path().join(from), dir.path().join(to))
    }

    pub(super) fn rename_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let target = dir.path().join(to);
        if target.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(dir.path().join(from), target)
    }

    pub(super) fn rename_folder_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
        make_folder(dir, to, 0o700)?;
        remove_folder(dir, from)
    }

    pub(super) fn mark(_: &Dir, _: &OsStr) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn create_like(dir: &Dir, name: &OsStr, _: &File) -> io::Result<File> {
        super::create_part(dir, name)
    }

    pub(super) fn sync(_: &Dir) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn close<T>(_: &T, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
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
