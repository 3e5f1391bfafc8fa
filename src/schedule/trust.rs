//! Whether only root can replace a file that root is to run, or to go by.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::escape::shown;

/// The kernel follows no more links in one path either.
const MOST_LINKS: usize = 40;

/// Why somebody else could put another file in the place of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// It, a folder above it or a link on the way to it is somebody else's.
    #[error("'{}' belongs to uid {uid}, not to root", shown(.path))]
    Owner {
        /// What belongs to another account.
        path: PathBuf,
        /// That account.
        uid: u32,
    },
    /// Others may write to it.
    #[error("'{}' is mode {mode:04o}, so accounts other than root can write to it", shown(.path))]
    Writable {
        /// What they may write to.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// An access control list lets others write to it.
    #[error("'{}' has an access control list that lets accounts other than root write to it", shown(.path))]
    Listed {
        /// What they may write to.
        path: PathBuf,
    },
    /// It cannot be looked at, or is no file.
    #[error("cannot look at '{}'", shown(.path))]
    Unseen {
        /// What cannot be looked at.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What a name is, without following it.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub uid: u32,
    pub mode: u32,
    /// Whether an access control list that the mode says nothing of lets others write to it.
    pub is_listed: bool,
    /// Where it leads, if it is a link.
    pub link: Option<PathBuf>,
    pub is_file: bool,
}

/// Checks a file, every folder above it and every link on the way to it: root's, and writable by nobody
/// else. An ACL that lets somebody else write shows in the bits of the group.
///
/// # Errors
/// The first of them that is not root's alone.
#[cfg(unix)]
pub fn only_root_can_replace(path: &Path) -> Result<(), Untrusted> {
    walk(path, &|path| {
        use std::os::unix::fs::MetadataExt as _;
        let found = fs_err::symlink_metadata(path)?;
        let link = found.is_symlink().then(|| fs_err::read_link(path)).transpose()?;
        let is_listed = link.is_none() && list_lets_others_write(path)?;
        let mode = found.mode() & 0o7777;
        Ok(Looked { uid: found.uid(), mode, is_listed, link, is_file: found.is_file() })
    })
}

/// On Linux such a list shows in the bits of the group.
#[cfg(all(unix, not(target_os = "macos")))]
fn list_lets_others_write(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Asked of `ls`, because no safe call of a library reads the lists of macOS.
#[cfg(target_os = "macos")]
fn list_lets_others_write(path: &Path) -> io::Result<bool> {
    let ls = std::process::Command::new("/bin/ls").args(["-lde", "--"]).arg(path).env_clear().output()?;
    if !ls.status.success() {
        return Err(io::Error::other("`ls -lde` does not list it"));
    }
    Ok(lets_others_write(&String::from_utf8_lossy(&ls.stdout)))
}

/// Whether what `ls -lde` prints of one name has an entry that lets somebody else write to it or replace it.
#[cfg(any(target_os = "macos", test))]
fn lets_others_write(listed: &str) -> bool {
    const WRITES: [&str; 10] = [
        "write",
        "append",
        "add_file",
        "add_subdirectory",
        "delete",
        "delete_child",
        "writeattr",
        "writeextattr",
        "writesecurity",
        "chown",
    ];
    // ` 0: group:staff inherited allow list,add_file`; what an entry denies takes access away.
    listed.lines().skip(1).filter_map(|entry| entry.split_once(" allow ")).any(|(who, rights)| {
        !who.trim_end_matches(" inherited").ends_with(" user:root")
            && rights.split(',').any(|right| WRITES.contains(&right.trim()))
    })
}

/// No schedule of the whole system is installed on this platform.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub fn only_root_can_replace(path: &Path) -> Result<(), Untrusted> {
    walk(path, &|_| Err(io::ErrorKind::Unsupported.into()))
}

/// Goes the way that the kernel goes, one name after the other.
pub(super) fn walk(path: &Path, look: &dyn Fn(&Path) -> io::Result<Looked>) -> Result<(), Untrusted> {
    let names = |path: &Path| -> Vec<OsString> {
        path.components().map(Component::as_os_str).map(OsStr::to_owned).collect()
    };
    let unseen = |path: &Path, source: io::Error| Untrusted::Unseen { path: path.to_path_buf(), source };
    let mut left: VecDeque<OsString> = names(path).into();
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        // An absolute name, as the first is and that of a link may be, begins anew.
        let next = at.join(&name);
        let found = look(&next).map_err(|source| unseen(&next, source))?;
        // Also of a link, whose owner alone decides where it leads.
        if found.uid != 0 {
            return Err(Untrusted::Owner { path: next, uid: found.uid });
        }
        if let Some(target) = found.link {
            links += 1;
            if links > MOST_LINKS {
                return Err(unseen(&next, io::ErrorKind::InvalidInput.into()));
            }
            names(&target).into_iter().rev().for_each(|name| left.push_front(name));
            continue;
        }
        // A sticky folder does not help: in `/tmp` nobody can replace the program, and anybody can be first
        // with a new name.
        if found.mode & 0o022 != 0 {
            return Err(Untrusted::Writable { path: next, mode: found.mode });
        }
        if found.is_listed {
            return Err(Untrusted::Listed { path: next });
        }
        if left.is_empty() && !found.is_file {
            return Err(unseen(&next, io::ErrorKind::InvalidInput.into()));
        }
        at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A machine of paths with owner, mode and target.
    fn judged(path: &str, entries: &[(&str, u32, u32, Option<&str>)]) -> Result<(), String> {
        let entries: BTreeMap<PathBuf, Looked> = entries
            .iter()
            .map(|(path, uid, mode, link)| {
                let is_file = path.ends_with("ccretain") && link.is_none();
                let is_listed = mode & LISTED != 0;
                let mode = mode & 0o7777;
                let looked = Looked { uid: *uid, mode, is_listed, link: link.map(PathBuf::from), is_file };
                (PathBuf::from(path), looked)
            })
            .collect();
        let look = |path: &Path| entries.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
        walk(Path::new(path), &look).map_err(|why| why.to_string())
    }

    const ROOT: (&str, u32, u32, Option<&str>) = ("/", 0, 0o755, None);

    /// Beside a mode: an access control list lets others write.
    const LISTED: u32 = 1 << 30;

    #[test]
    fn lists_of_macos_are_read() {
        let listed = |entries: &str| {
            lets_others_write(&format!("drwxr-xr-x+ 5 root  wheel  160 Nov 27 09:00 /opt/x\n{entries}"))
        };
        for fine in [
            "",
            " 0: group:everyone deny delete\n",
            " 0: user:ann allow list,search,readattr,readextattr,readsecurity\n",
            " 0: user:root inherited allow add_file,delete_child\n",
        ] {
            assert!(!listed(fine), "{fine}");
        }
        for open in [
            " 0: user:ann allow write,append\n",
            " 0: group:everyone deny delete\n 1: group:admin inherited allow list,add_file,search\n",
            " 0: user:notroot allow chown\n",
            " 0: group:staff allow delete_child,file_inherit,directory_inherit\n",
        ] {
            assert!(listed(open), "{open}");
        }
        let entries = [ROOT, ("/opt", 0, 0o755 | LISTED, None), ("/opt/ccretain", 0, 0o755, None)];
        assert_eq!(
            judged("/opt/ccretain", &entries).unwrap_err(),
            "'/opt' has an access control list that lets accounts other than root write to it"
        );
    }

    #[test]
    fn every_name_on_the_way_is_roots_alone() {
        let usr = ("/usr", 0, 0o755, None);
        let good = ("/usr/ccretain", 0, 0o755, None);
        assert_eq!(judged("/usr/ccretain", &[ROOT, usr, good]), Ok(()));
        for (bad, why) in [
            (vec![ROOT, usr, ("/usr/ccretain", 501, 0o755, None)], "'/usr/ccretain' belongs to uid 501"),
            (vec![ROOT, usr, ("/usr/ccretain", 0, 0o775, None)], "'/usr/ccretain' is mode 0775"),
            (vec![ROOT, usr, ("/usr/ccretain", 0, 0o757, None)], "'/usr/ccretain' is mode 0757"),
            (vec![ROOT, ("/usr", 501, 0o755, None), good], "'/usr' belongs to uid 501"),
            (vec![ROOT, ("/usr", 0, 0o1777, None), good], "'/usr' is mode 1777"),
            (vec![("/", 0, 0o775, None), usr, good], "'/' is mode 0775"),
            (vec![ROOT, usr], "cannot look at '/usr/ccretain'"),
        ] {
            let judged = judged("/usr/ccretain", &bad).unwrap_err();
            assert!(judged.starts_with(why), "{judged}");
        }
        // A folder is no program.
        assert!(judged("/usr", &[ROOT, usr]).is_err());
    }

    #[test]
    fn links_are_followed_name_by_name() {
        let usr = ("/usr", 0, 0o755, None);
        let program = ("/usr/ccretain", 0, 0o755, None);
        let bin = |uid, target| ("/bin", uid, 0o777, Some(target));
        for target in ["/usr", "usr", "/usr/../usr", "./usr"] {
            let entries = [ROOT, usr, program, bin(0, target)];
            assert_eq!(judged("/bin/ccretain", &entries), Ok(()), "{target}");
        }
        // A link of another account, a link through a folder of theirs, and one that leads to itself.
        assert!(judged("/bin/ccretain", &[ROOT, usr, program, bin(501, "/usr")]).is_err());
        let home = ("/home", 501, 0o755, None);
        let through = [ROOT, usr, program, home, ("/home/l", 0, 0o777, Some("/usr")), bin(0, "/home/l")];
        assert_eq!(judged("/bin/ccretain", &through).unwrap_err(), "'/home' belongs to uid 501, not to root");
        assert!(judged("/bin/ccretain", &[ROOT, usr, program, bin(0, "/bin")]).is_err());
    }
}
