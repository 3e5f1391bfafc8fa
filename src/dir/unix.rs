//! The handle on Unix: a descriptor and the `*at` calls.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{Entry, FileStamp, FileTime, FileType, Stat};

/// An open folder.
#[derive(Debug)]
pub struct Dir(pub(super) OwnedFd);

// DIRECTORY with NOFOLLOW: a link in place of a folder is an error, and a FIFO there is not waited for.
pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How much of a listing the kernel is asked for at once.
#[cfg(target_os = "linux")]
const LISTED_AT_ONCE: usize = 32 << 10;

#[cfg(target_os = "linux")]
thread_local! {
    static LISTING: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
}

/// The most bytes of a relative path handed to the kernel at once (its own limit is 4096).
const PATH_CHUNK: usize = 3_000;

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Dir {
    /// Opens a folder by its path; the last component must not be a link.
    ///
    /// # Errors
    /// As `open(2)`; `ELOOP` or `ENOTDIR` for a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, FOLDER, Mode::empty())?))
    }

    /// Opens a folder in this one, which must be no link and on the same file system.
    ///
    /// # Errors
    /// As `openat2(2)`; `EXDEV` for another file system, `ELOOP` or `ENOTDIR` for a link.
    pub fn child(&self, name: &OsStr) -> io::Result<Self> {
        open_beneath(self.0.as_fd(), name.as_bytes(), FOLDER)?
            .map_or_else(|| self.step(name), |fd| Ok(Self(fd)))
    }

    /// Opens a folder further down; no component may be a link or on another file system.
    ///
    /// # Errors
    /// As [`Dir::child`]; an absolute path or `..` is `EINVAL`.
    pub fn below(&self, path: &Path) -> io::Result<Self> {
        let mut at: Option<Self> = None;
        let mut chunk: Vec<u8> = Vec::new();
        let mut components = path.components().peekable();
        while let Some(component) = components.next() {
            // Refused here too, where the kernel may have no RESOLVE_BENEATH: nothing below a store has such a
            // path.
            let Component::Normal(name) = component else { return Err(rustix::io::Errno::INVAL.into()) };
            if !chunk.is_empty() {
                chunk.push(b'/');
            }
            chunk.extend_from_slice(name.as_bytes());
            // As many components as fit go to the kernel in one call: it is the same check, and a deep folder
            // costs one system call and not one for each component.
            if components.peek().is_none() || chunk.len() > PATH_CHUNK {
                at = Some(at.as_ref().unwrap_or(self).below_chunk(&chunk)?);
                chunk.clear();
            }
        }
        at.map_or_else(|| self.again(), Ok)
    }

    fn below_chunk(&self, path: &[u8]) -> io::Result<Self> {
        if let Some(fd) = open_beneath(self.0.as_fd(), path, FOLDER)? {
            return Ok(Self(fd));
        }
        let mut at: Option<Self> = None;
        for name in path.split(|b| *b == b'/') {
            at = Some(at.as_ref().unwrap_or(self).step(OsStr::from_bytes(name))?);
        }
        at.map_or_else(|| self.again(), Ok)
    }

    /// One component without `openat2`: no link, and the same mount as the parent.
    fn step(&self, name: &OsStr) -> io::Result<Self> {
        // Opened first, and asked through the handle: what is judged is what was opened, whoever renames
        // meanwhile.
        let fd = rustix::fs::openat(&self.0, name, FOLDER, Mode::empty())?;
        if is_other_mount(fd.as_fd(), self.0.as_fd())? {
            return Err(rustix::io::Errno::XDEV.into());
        }
        Ok(Self(fd))
    }

    /// A second handle on the same folder.
    ///
    /// # Errors
    /// As `openat(2)`.
    pub fn again(&self) -> io::Result<Self> {
        // Not `dup`: a duplicate would share the position of listings with this one.
        Ok(Self(rustix::fs::openat(&self.0, c".", FOLDER, Mode::empty())?))
    }

    /// Every name in the folder but `.` and `..`, in the order of the file system.
    ///
    /// # Errors
    /// As `openat(2)` and `getdents(2)`.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        // By a handle of its own: a listing moves the position of the handle, which threads may share.
        let mut found = Vec::new();
        self.again()?.each(|name, file_type| found.push(Entry { name: name.to_os_string(), file_type }))?;
        Ok(found)
    }

    /// Shows every name of [`Dir::entries`] without keeping any: its type is `None` where only a
    /// `stat` can tell. Not to be called by two threads at once.
    ///
    /// # Errors
    /// As `getdents(2)`.
    pub fn each(&self, mut show: impl FnMut(&OsStr, Option<FileType>)) -> io::Result<()> {
        let mut show = |name: &[u8], file_type: rustix::fs::FileType| {
            if name != b"." && name != b".." {
                show(OsStr::from_bytes(name), type_of(file_type));
            }
        };
        #[cfg(target_os = "linux")]
        {
            // An earlier listing left the position at the end, where the folder looks empty.
            rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Start(0))?;
            // One buffer a thread: a walk lists tens of thousands of folders.
            let mut buffer = LISTING.take();
            buffer.reserve(LISTED_AT_ONCE);
            let mut raw = rustix::fs::RawDir::new(&self.0, buffer.spare_capacity_mut());
            while let Some(entry) = raw.next() {
                let entry = entry?;
                show(entry.file_name().to_bytes(), entry.file_type());
            }
            LISTING.set(buffer);
        }
        #[cfg(not(target_os = "linux"))]
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            show(entry.file_name().to_bytes(), entry.file_type());
        }
        Ok(())
    }

    /// What a name in the folder is; a link itself, not its target.
    ///
    /// # Errors
    /// As `fstatat(2)`.
    pub fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        // A link is a thing of the store like any other; what it leads to may be anybody's.
        Ok(from_raw(&rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// What the folder itself is.
    ///
    /// # Errors
    /// As `fstat(2)`.
    pub fn stat_self(&self) -> io::Result<Stat> {
        Ok(from_raw(&rustix::fs::fstat(&self.0)?))
    }

    /// Opens a regular file for reading; not a link, and never blocking on a FIFO.
    ///
    /// # Errors
    /// As `openat(2)`; `ELOOP` for a link, `EINVAL` for anything but a regular file.
    pub fn read(&self, name: &OsStr) -> io::Result<File> {
        // NONBLOCK because to open a FIFO waits for its writer, which anybody can leave out; NOCTTY because a
        // terminal that is opened may become the one that sends us its signals.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        // Of the handle and not of the name, which may be another file's by now.
        if from_raw(&rustix::fs::fstat(&fd)?).file_type != FileType::File {
            return Err(rustix::io::Errno::INVAL.into());
        }
        Ok(File::from(fd))
    }

    /// Where a link leads, as it is written.
    ///
    /// # Errors
    /// As `readlinkat(2)`; `EINVAL` for anything but a link.
    pub fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        let target = rustix::fs::readlinkat(&self.0, name, Vec::new())?;
        Ok(PathBuf::from(OsStr::from_bytes(target.to_bytes())))
    }

    /// The stat of an open file, to be sure that what was opened is what was seen.
    ///
    /// # Errors
    /// As `fstat(2)`.
    pub fn stat_open(file: &File) -> io::Result<Stat> {
        Ok(from_raw(&rustix::fs::fstat(file)?))
    }
}

/// `openat2` with everything that keeps a path below its start; `None` where the kernel or a
/// sandbox does not offer the call.
#[cfg(target_os = "linux")]
fn open_beneath(at: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<Option<OwnedFd>> {
    use rustix::fs::ResolveFlags;
    use rustix::io::Errno;
    use std::sync::atomic::{AtomicBool, Ordering};
    static MISSING: AtomicBool = AtomicBool::new(false);
    if MISSING.load(Ordering::Relaxed) {
        return Ok(None);
    }
    // The kernel resolves the whole path at once, so that nobody can exchange a folder for a link between two
    // components. NO_XDEV ends at bind mounts too, NO_MAGICLINKS at `/proc/*/fd`, which leads anywhere.
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_XDEV
        | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(at, path, flags, Mode::empty(), resolve) {
        Ok(fd) => Ok(Some(fd)),
        // Before Linux 5.6. It will not come back while this process lives, so nobody asks again.
        Err(Errno::NOSYS) => {
            MISSING.store(true, Ordering::Relaxed);
            Ok(None)
        }
        // A filter of system calls may deny one and let the next pass.
        Err(Errno::PERM) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(_: BorrowedFd<'_>, _: &[u8], _: OFlags) -> io::Result<Option<OwnedFd>> {
    Ok(None)
}

/// The device and the mount that a folder is reached through: a folder of the same file system can be
/// mounted elsewhere in it, and then the device tells nothing.
#[cfg(target_os = "linux")]
fn mount_of(folder: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    use rustix::fs::StatxFlags;
    let device = from_raw(&rustix::fs::fstat(folder)?).stamp.device;
    let told = rustix::fs::statx(folder, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .ok()
        .filter(|stat| StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID));
    // Linux tells it by `statx` since 5.8, and by this file since 3.15.
    match told {
        Some(stat) => Ok((device, stat.stx_mnt_id)),
        None => Ok((device, mount_in_fdinfo(folder)?)),
    }
}

/// Whether a folder is reached through another mount than the one above it.
#[cfg(target_os = "linux")]
fn is_other_mount(folder: BorrowedFd<'_>, above: BorrowedFd<'_>) -> io::Result<bool> {
    match (mount_of(folder), mount_of(above)) {
        (Ok(one), Ok(other)) => Ok(one != other),
        (Err(error), _) | (_, Err(error)) => {
            let (one, other) = (rustix::fs::fstat(folder)?, rustix::fs::fstat(above)?);
            // Children of runs over all users may open nothing by `/proc/self`; the table of mounts was read
            // before they dropped their rights.
            let is_mounted = super::mounts::is_mounted(one.st_dev, one.st_ino).ok_or(error)?;
            Ok(is_mounted || one.st_dev != other.st_dev)
        }
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_other_mount(folder: BorrowedFd<'_>, above: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(mount_of(folder)? != mount_of(above)?)
}

#[cfg(target_os = "linux")]
fn mount_in_fdinfo(folder: BorrowedFd<'_>) -> io::Result<u64> {
    use std::os::fd::AsRawFd as _;
    let text = fs_err::read_to_string(format!("/proc/self/fdinfo/{}", folder.as_raw_fd()))?;
    let id = text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
    id.ok_or_else(|| io::Error::other("the system does not tell on which mount the folder lies"))
}

/// Elsewhere a folder is not mounted twice.
#[cfg(not(target_os = "linux"))]
fn mount_of(folder: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(from_raw(&rustix::fs::fstat(folder)?).stamp.device)
}

fn type_of(raw: rustix::fs::FileType) -> Option<FileType> {
    use rustix::fs::FileType as Raw;
    Some(match raw {
        Raw::RegularFile => FileType::File,
        Raw::Directory => FileType::Folder,
        Raw::Symlink => FileType::Link,
        // Some file systems do not record types in their folders.
        Raw::Unknown => return None,
        _ => FileType::Special,
    })
}

/// The fields differ in width and sign between platforms, so each is converted, never cast.
fn from_raw(raw: &rustix::fs::Stat) -> Stat {
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_fallible_conversions,
        reason = "differs by platform"
    )]
    fn wide<T: TryInto<u64>>(value: T) -> u64 {
        // What does not fit equals no stamp that was seen, so that the file is kept.
        value.try_into().unwrap_or(u64::MAX)
    }
    fn time<N: TryInto<u32>>(seconds: i64, nanoseconds: N) -> FileTime {
        FileTime::new(seconds, nanoseconds.try_into().unwrap_or(0))
    }
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "differs by platform")]
    Stat {
        stamp: FileStamp {
            device: wide(raw.st_dev),
            inode: wide(raw.st_ino),
            size: wide(raw.st_size),
            modified: time(i64::from(raw.st_mtime), raw.st_mtime_nsec),
            changed: time(i64::from(raw.st_ctime), raw.st_ctime_nsec),
        },
        file_type: type_of(rustix::fs::FileType::from_raw_mode(raw.st_mode)).unwrap_or(FileType::Special),
        links: wide(raw.st_nlink),
        // In units of 512 bytes, whatever the file system's own.
        allocated: wide(raw.st_blocks).saturating_mul(512),
        owner: raw.st_uid,
        mode: u32::from(raw.st_mode) & 0o7777,
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_can_be_listed_more_than_once_and_by_several_threads() {
        let folder = tempfile::tempdir().unwrap();
        for at in 0..2_000 {
            std::fs::File::create(folder.path().join(at.to_string())).unwrap();
        }
        let dir = Dir::open(folder.path()).unwrap();
        for _ in 0..2 {
            assert_eq!(dir.entries().unwrap().len(), 2_000);
            let mut count = 0;
            dir.each(|_, _| count += 1).unwrap();
            assert_eq!(count, 2_000);
        }
        let counts: Vec<usize> = std::thread::scope(|scope| {
            let list = || (0..20).map(|_| dir.entries().unwrap().len()).sum();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(list)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(counts, [40_000; 4]);
    }

    #[test]
    fn a_mount_is_told_alike_by_both_ways_of_asking() {
        for path in ["/", "/proc", "/dev"] {
            let dir = Dir::open(Path::new(path)).unwrap();
            let (_, told) = mount_of(dir.as_fd()).unwrap();
            assert_eq!(told, mount_in_fdinfo(dir.as_fd()).unwrap(), "{path}");
        }
        let root = Dir::open(Path::new("/")).unwrap();
        assert_eq!(root.step(OsStr::new("proc")).unwrap_err().kind(), io::ErrorKind::CrossesDevices);
    }
}
