//! Reaching a folder by its path: every link on the way is judged by its own handle, then followed.
//!
//! To ask a path whether it is a link and to open it afterwards are two looks, and whoever can
//! write to a folder above decides between them what the second one sees.

use std::io;
use std::path::{Path, PathBuf};

use super::Dir;
use crate::escape::shown;

/// Where on the way to a folder a link was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPlace {
    /// In place of a folder above.
    Above,
    /// In place of the folder itself.
    Entry,
    /// Behind a link that stands in place of the folder itself.
    Beyond,
}

/// A link on the way to a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its path, without other links.
    pub path: PathBuf,
    /// Its owner's id; 0 on platforms without one.
    pub owner: u32,
    /// Where it was met.
    pub place: LinkPlace,
}

/// A folder that was reached.
#[derive(Debug)]
pub struct Reached {
    /// Its handle.
    pub dir: Dir,
    /// Its path without links.
    pub path: PathBuf,
}

/// Why a folder was not reached.
#[derive(Debug)]
pub enum Unreached {
    /// A link was met that may not be followed.
    Link(Link),
    /// What lies there is no folder.
    NoFolder,
    /// The system says no.
    Io(io::Error),
}

impl<E: Into<io::Error>> From<E> for Unreached {
    fn from(error: E) -> Self {
        Self::Io(error.into())
    }
}

impl Link {
    /// Whether it is followed to a folder among those of others: where root made it, above.
    pub fn leads_among_others(&self) -> bool {
        self.place == LinkPlace::Above && self.owner == 0
    }
}

impl Unreached {
    /// The same as an error of the system.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Link(link) => io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("'{}' is a link of user {}, which is not followed", shown(&link.path), link.owner),
            ),
            Self::NoFolder => io::ErrorKind::NotADirectory.into(),
            Self::Io(error) => error,
        }
    }
}

impl Dir {
    /// Opens a folder that lies among those of others, by its absolute path.
    ///
    /// # Errors
    /// As [`Dir::reach`].
    pub fn among_others(path: &Path) -> io::Result<Self> {
        Self::reach(path, &Link::leads_among_others).map(|reached| reached.dir).map_err(Unreached::into_io)
    }
}

/// More links than this on one way are a loop, as for Linux itself.
pub(super) const MOST_LINKS: usize = 40;

#[cfg(unix)]
mod walk {
    use std::ffi::{OsStr, OsString};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStringExt as _;
    use std::path::{Component, Path, PathBuf};

    use rustix::fs::{Mode, OFlags, openat};
    use rustix::io::Errno;

    use super::super::unix::FOLDER;
    use super::{Dir, Link, LinkPlace, MOST_LINKS, Reached, Unreached};

    /// Folders above need not be readable to be passed through, where the system has a flag for that.
    /// As a folder is asked for, one that is mounted on demand is mounted.
    #[cfg(target_os = "linux")]
    const PASSED: OFlags =
        OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    const PASSED: OFlags = FOLDER;

    impl Dir {
        /// Opens a folder by its absolute path; a link is followed where `may_follow` says so.
        ///
        /// # Errors
        /// The first link that may not be followed, or as `openat(2)` and `readlinkat(2)`.
        pub fn reach(path: &Path, may_follow: &dyn Fn(&Link) -> bool) -> Result<Reached, Unreached> {
            if !path.is_absolute() {
                return Err(Errno::INVAL.into());
            }
            walk((root()?, PathBuf::from("/")), names(path), may_follow)
        }

        /// Opens a folder in this one that may be a link or lie on another file system; a link is followed where
        /// `may_follow` says so.
        ///
        /// # Errors
        /// As [`Dir::reach`].
        pub fn follow(&self, name: &OsStr, may_follow: &dyn Fn(&Link) -> bool) -> Result<Self, Unreached> {
            // Of its own, since the walk replaces the handle it is at.
            let here = openat(&self.0, c".", PASSED, Mode::empty())?;
            Ok(walk((here, PathBuf::new()), vec![name.to_os_string()], may_follow)?.dir)
        }

        /// Opens the folder above this one.
        ///
        /// # Errors
        /// As `openat(2)`.
        pub fn above(&self) -> io::Result<Self> {
            Ok(Self(openat(&self.0, c"..", FOLDER, Mode::empty())?))
        }
    }

    fn root() -> rustix::io::Result<OwnedFd> {
        rustix::fs::open("/", PASSED, Mode::empty())
    }

    /// Walks from an open folder, which has a path, along names, of which the next one is the last.
    fn walk(
        (mut at, mut real): (OwnedFd, PathBuf),
        mut way: Vec<OsString>,
        may_follow: &dyn Fn(&Link) -> bool,
    ) -> Result<Reached, Unreached> {
        // How many of the names are those that were given; the others are those of links.
        let mut given = way.len();
        let (mut links, mut is_behind) = (0, false);
        while let Some(name) = way.pop() {
            given = given.min(way.len());
            // The real folder above, as the kernel sees it: behind a link that is another one than the path
            // says.
            if name == ".." {
                at = openat(&at, "..", PASSED, Mode::empty())?;
                real.pop();
                continue;
            }
            match openat(&at, &*name, PASSED, Mode::empty()) {
                Ok(folder) => {
                    at = folder;
                    real.push(name);
                    continue;
                }
                // A link, as systems say it of NOFOLLOW with DIRECTORY, or no folder at all: its own handle
                // tells.
                Err(Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error.into()),
            }
            let Some((owner, target)) = read_link(&at, &name)? else {
                return Err(if given == 0 { Unreached::NoFolder } else { Errno::NOTDIR.into() });
            };
            links += 1;
            let place = match given {
                0 if is_behind => LinkPlace::Beyond,
                0 => LinkPlace::Entry,
                _ => LinkPlace::Above,
            };
            is_behind = given == 0;
            let link = Link { path: real.join(name), owner, place };
            // Counted before anybody is asked, so that a circle of links of the same owner ends.
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
            if !may_follow(&link) {
                return Err(Unreached::Link(link));
            }
            if target.is_absolute() {
                // What it names is walked like a path that was given: each link on that way is judged as well.
                (at, real) = (root()?, PathBuf::from("/"));
            }
            way.append(&mut names(&target));
        }
        // A handle that only passes through cannot list; `.` is the same folder, whatever bears its name by
        // now.
        let dir = Dir(openat(&at, c".", FOLDER, Mode::empty())?);
        Ok(Reached { dir, path: real })
    }

    /// The names of a path, the last one first.
    fn names(path: &Path) -> Vec<OsString> {
        path.components()
            .rev()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name.to_os_string()),
                Component::ParentDir => Some("..".into()),
                _ => None,
            })
            .collect()
    }

    /// The owner of a link and where it leads, both of one and the same link; `None` where it is none.
    #[cfg(target_os = "linux")]
    fn read_link(at: &OwnedFd, name: &OsStr) -> rustix::io::Result<Option<(u32, PathBuf)>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // The link itself is opened, and owner and target are read from that handle: one by the name could be
        // another link's, made by whoever may write to the folder between the two calls.
        let link = openat(at, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&link)?;
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink() {
            return Ok(None);
        }
        let target = rustix::fs::readlinkat(&link, c"", Vec::new())?;
        Ok(Some((stat.st_uid, OsString::from_vec(target.into_bytes()).into())))
    }

    /// Without handles on links, one that is another after it was read is none.
    #[cfg(not(target_os = "linux"))]
    fn read_link(at: &OwnedFd, name: &OsStr) -> rustix::io::Result<Option<(u32, PathBuf)>> {
        let look = || rustix::fs::statat(at, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        let before = look()?;
        if !rustix::fs::FileType::from_raw_mode(before.st_mode).is_symlink() {
            return Ok(None);
        }
        let target = rustix::fs::readlinkat(at, name, Vec::new())?;
        let after = look()?;
        let identity =
            |stat: &rustix::fs::Stat| (stat.st_dev, stat.st_ino, stat.st_ctime, stat.st_ctime_nsec);
        let is_same = identity(&before) == identity(&after);
        Ok(is_same.then(|| (before.st_uid, OsString::from_vec(target.into_bytes()).into())))
    }
}

#[cfg(not(unix))]
mod walk {
    use std::ffi::OsStr;
    use std::io;
    use std::path::{Path, PathBuf};

    use super::{Dir, Link, LinkPlace, MOST_LINKS, Reached, Unreached};

    impl Dir {
        /// Opens a folder by its absolute path; a link is followed where `may_follow` says so.
        ///
        /// # Errors
        /// The first link that may not be followed, or as the platform's calls.
        pub fn reach(path: &Path, may_follow: &dyn Fn(&Link) -> bool) -> Result<Reached, Unreached> {
            let mut at: PathBuf = path.to_path_buf();
            for links in 0..MOST_LINKS {
                let meta = at.symlink_metadata()?;
                if !meta.is_symlink() {
                    break;
                }
                let place = if links == 0 { LinkPlace::Entry } else { LinkPlace::Beyond };
                let link = Link { path: at.clone(), owner: 0, place };
                if !may_follow(&link) {
                    return Err(Unreached::Link(link));
                }
                let above = at.parent().map(Path::to_path_buf).unwrap_or_default();
                at = above.join(std::fs::read_link(&at)?);
            }
            let path = at.canonicalize()?;
            if !path.is_dir() {
                return Err(Unreached::NoFolder);
            }
            Ok(Reached { dir: Dir::open(&path)?, path })
        }

        /// Opens a folder in this one that may be a link; it is followed where `may_follow` says so.
        ///
        /// # Errors
        /// As [`Dir::reach`].
        pub fn follow(&self, name: &OsStr, may_follow: &dyn Fn(&Link) -> bool) -> Result<Self, Unreached> {
            Ok(Self::reach(&self.path().join(name), may_follow)?.dir)
        }

        /// Opens the folder above this one.
        ///
        /// # Errors
        /// `NotFound` at the top.
        pub fn above(&self) -> io::Result<Self> {
            Self::open(self.path().parent().ok_or(io::ErrorKind::NotFound)?)
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, lchown, symlink};
    use std::path::Path;

    use super::*;

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let real = root.path().canonicalize().unwrap();
        (root, real)
    }

    fn met(path: &Path) -> (Vec<(PathBuf, LinkPlace)>, Result<Reached, Unreached>) {
        let met = std::cell::RefCell::new(Vec::new());
        let reached = Dir::reach(path, &|link| {
            met.borrow_mut().push((link.path.clone(), link.place));
            true
        });
        (met.into_inner(), reached)
    }

    #[test]
    fn every_link_is_met_once_and_in_its_place() {
        let (_root, at) = scratch();
        fs_err::create_dir_all(at.join("real/store")).unwrap();
        symlink("real", at.join("above")).unwrap();
        symlink(at.join("above/store"), at.join("real/second")).unwrap();
        symlink("../above/./second", at.join("real/first")).unwrap();
        let (links, reached) = met(&at.join("above/first"));
        let reached = reached.unwrap();
        assert_eq!(reached.path, at.join("real/store"));
        let stat = reached.dir.stat_self().unwrap().stamp;
        assert_eq!(stat.inode, fs_err::metadata(at.join("real/store")).unwrap().ino());
        let expected = [
            ("above", LinkPlace::Above),
            ("real/first", LinkPlace::Entry),
            ("above", LinkPlace::Beyond),
            ("real/second", LinkPlace::Beyond),
            ("above", LinkPlace::Beyond),
        ];
        assert_eq!(links, expected.map(|(path, place)| (at.join(path), place)));
    }

    #[test]
    fn a_link_that_may_not_be_followed_is_named_with_its_own_owner() {
        let (_root, at) = scratch();
        fs_err::create_dir(at.join("real")).unwrap();
        symlink("real", at.join("entry")).unwrap();
        let owner = fs_err::metadata(&at).unwrap().uid();
        let owner =
            if owner == 0 && lchown(at.join("entry"), Some(65_534), None).is_ok() { 65_534 } else { owner };
        let refused = Dir::reach(&at.join("entry"), &|link| link.place == LinkPlace::Above);
        let expected = Link { path: at.join("entry"), owner, place: LinkPlace::Entry };
        assert!(matches!(refused, Err(Unreached::Link(link)) if link == expected));
    }

    #[test]
    fn what_is_no_folder_a_loop_and_nothing_are_told_apart() {
        let (_root, at) = scratch();
        fs_err::File::create(at.join("file")).unwrap();
        symlink("file", at.join("to-file")).unwrap();
        symlink("nowhere", at.join("dead")).unwrap();
        symlink("loop", at.join("loop")).unwrap();
        for name in ["file", "to-file"] {
            assert!(matches!(met(&at.join(name)).1, Err(Unreached::NoFolder)), "{name}");
        }
        let kind = |name: &str| match met(&at.join(name)).1 {
            Err(Unreached::Io(error)) => error.kind(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(kind("dead"), io::ErrorKind::NotFound);
        assert_eq!(kind("gone"), io::ErrorKind::NotFound);
        assert_eq!(kind("file/below"), io::ErrorKind::NotADirectory);
        assert!(matches!(met(&at.join("loop")).1, Err(Unreached::Io(_))));
        assert!(matches!(Dir::reach(Path::new("relative"), &|_| true), Err(Unreached::Io(_))));
    }
}
