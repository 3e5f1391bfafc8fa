//! The system calls that change a folder, by its handle.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::dir::{Dir, FileTime};

pub fn close(open: impl std::os::fd::AsFd, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(open, mode_of(mode))?)
}

pub fn unlink(dir: &Dir, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?)
}

pub fn remove_folder(dir: &Dir, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?)
}

pub fn make_folder(dir: &Dir, name: &OsStr, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(dir, name, mode_of(mode))?)
}

pub fn create_new(dir: &Dir, name: &OsStr, mode: u32) -> io::Result<File> {
    // EXCL: what already has the name was put there by somebody, and would be written through if it is a
    // link.
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(dir, name, flags, mode_of(mode))?))
}

pub fn open_or_create(dir: &Dir, name: &OsStr, mode: u32) -> io::Result<File> {
    // The folder is the user's own: a link in it would let root make a file anywhere, a FIFO would hold the
    // run.
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(dir, name, flags, mode_of(mode))?))
}

pub fn rename(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::renameat(dir, from, dir, to)?)
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn rename_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
    use rustix::fs::{RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_new(dir, from, to),
        other => Ok(other?),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn rename_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
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
pub fn rename_folder_new(dir: &Dir, from: &OsStr, to: &OsStr) -> io::Result<()> {
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

pub fn make_link(dir: &Dir, name: &OsStr, target: &Path) -> io::Result<()> {
    Ok(rustix::fs::symlinkat(target, dir, name)?)
}

pub fn date_link(dir: &Dir, name: &OsStr, modified: FileTime) -> io::Result<()> {
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

pub fn touch(file: &File) -> io::Result<()> {
    use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    Ok(rustix::fs::futimens(file, &times)?)
}

pub fn mark(dir: &Dir, name: &OsStr) -> io::Result<()> {
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
pub fn create_like(dir: &Dir, name: &OsStr, like: &File) -> io::Result<File> {
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
pub fn create_like(dir: &Dir, name: &OsStr, like: &File) -> io::Result<File> {
    let file = super::create_part(dir, name)?;
    crate::files::access::keep_flags(&file, like);
    Ok(file)
}

pub fn sync(dir: &Dir) -> io::Result<()> {
    Ok(rustix::fs::fsync(dir)?)
}

fn mode_of(mode: u32) -> Mode {
    #[allow(clippy::useless_conversion, reason = "the width differs by platform")]
    Mode::from_bits_truncate(mode.try_into().unwrap_or(0o600))
}
