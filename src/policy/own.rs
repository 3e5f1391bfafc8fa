//! A user's own policy, holds and identity: nobody else may be able to write them.
//!
//! "Nobody else" leaves out root, who may do anything, and a group whose only member is the user, as
//! distributions with a group for each user make them.

use std::path::{Path, PathBuf};

/// Why a file or folder of the user's is not believed: somebody else may have written it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", words(path, *by))]
pub struct Loose {
    /// The file or folder.
    pub path: PathBuf,
    /// Who else can write it.
    pub by: Writer,
}

/// Who can write a file beside its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Another account owns it.
    Owner(u32),
    /// Its mode lets others write.
    Mode(u32),
}

impl Loose {
    /// The command that mends it.
    pub fn remedy(&self) -> String {
        let path = crate::escape::shown(&self.path);
        match self.by {
            Writer::Owner(_) => format!("chown \"$USER\" '{path}'"),
            Writer::Mode(_) => format!("chmod go-w '{path}'"),
        }
    }
}

fn words(path: &Path, by: Writer) -> String {
    let path = crate::escape::shown(path);
    match by {
        Writer::Owner(uid) => format!("'{path}' belongs to uid {uid}, who can change it"),
        Writer::Mode(mode) => {
            format!("others can write to '{path}' (mode {mode:04o}): run `chmod go-w '{path}'`")
        }
    }
}

/// What is loose about an open file or folder of the user with this id.
#[cfg(unix)]
pub(super) fn of_open(file: &std::fs::File, path: &Path, uid: u32) -> Option<Loose> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().ok()?;
    let loose = |by| Some(Loose { path: path.to_path_buf(), by });
    // Root may do anything anyway, and `sudo` leaves such files.
    if metadata.uid() != uid && metadata.uid() != 0 {
        return loose(Writer::Owner(metadata.uid()));
    }
    let mode = metadata.mode();
    let by_group = mode & 0o020 != 0 && (has_acl(file) || !is_group_of(metadata.gid(), uid));
    if mode & 0o002 != 0 || by_group { loose(Writer::Mode(mode & 0o7777)) } else { None }
}

#[cfg(not(unix))]
pub(super) fn of_open(_: &std::fs::File, _: &Path, _: u32) -> Option<Loose> {
    None
}

/// What is loose about a folder of the user, or about the one that really holds a linked file. In a `sticky`
/// one, `/tmp` for instance, nobody can exchange a file of the user's that is there.
#[cfg(unix)]
pub(super) fn of_folder(path: &Path, uid: u32, sticky: bool) -> Option<Loose> {
    use rustix::fs::{Mode, OFlags, open};
    use std::os::unix::fs::MetadataExt as _;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // What cannot be opened is told by who reads the files in it.
    let folder = std::fs::File::from(open(path, flags, Mode::empty()).ok()?);
    if sticky && folder.metadata().is_ok_and(|metadata| metadata.mode() & 0o1000 != 0) {
        return None;
    }
    of_open(&folder, path, uid)
}

#[cfg(not(unix))]
pub(super) fn of_folder(_: &Path, _: u32, _: bool) -> Option<Loose> {
    None
}

/// What is loose about the folder that a file of the user's really lies in, where its name is a link.
pub(super) fn of_real_folder(path: &Path, uid: u32) -> Option<Loose> {
    of_folder(fs_err::canonicalize(path).ok()?.parent()?, uid, true)
}

/// Looks at a file of the user and at the folder it really lies in; `None` where nothing is loose, or nothing
/// is there.
pub fn look(path: &Path, uid: u32) -> Option<Loose> {
    let folder = path.parent().and_then(|folder| of_folder(folder, uid, false));
    folder.or_else(|| of_real_folder(path, uid)).or_else(|| {
        let file = crate::files::open_if_there(path).ok()??;
        of_open(&file, path, uid)
    })
}

/// Whether the file has an access list: then the bits of the group are its mask, and stand for others.
#[cfg(unix)]
fn has_acl(file: &std::fs::File) -> bool {
    let nothing: &mut [u8] = &mut [];
    rustix::fs::fgetxattr(file, c"system.posix_acl_access", nothing).is_ok_and(|size| size > 0)
}

#[cfg(unix)]
fn is_group_of(gid: u32, uid: u32) -> bool {
    let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
    is_alone(&read("/etc/passwd"), &read("/etc/group"), gid, uid)
}

/// Whether the files of accounts say that nobody but this user is in the group.
#[cfg(unix)]
fn is_alone(passwd: &str, group: &str, gid: u32, uid: u32) -> bool {
    // A group that they do not name may have anybody in it.
    let number = |field: Option<&str>| field.and_then(|field| field.parse::<u32>().ok());
    let accounts = || {
        passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            Some((name, number(fields.nth(1))?, number(fields.next())?))
        })
    };
    let is_user = |name: &str| accounts().any(|(known, id, _)| known == name && (id == uid || id == 0));
    let mut entries = group.lines().filter_map(|line| {
        let mut fields = line.split(':').skip(2);
        let id = number(fields.next())?;
        (id == gid).then(|| fields.next().unwrap_or_default())
    });
    let members = entries.next();
    members.is_some_and(|members| members.split(',').filter(|name| !name.is_empty()).all(is_user))
        && entries.next().is_none()
        && accounts().all(|(_, id, primary)| primary != gid || id == uid || id == 0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_the_users_alone_only_where_the_files_say_so() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:100::/home/bob:/bin/sh\n";
        let alone = |group: &str, gid| is_alone(passwd, group, gid, 1000);
        assert!(alone("ann:x:1000:\n", 1000));
        assert!(alone("ann:x:1000:ann\n", 1000));
        assert!(!alone("ann:x:1000:ann,bob\n", 1000), "another member");
        assert!(!alone("ann:x:1000:stranger\n", 1000), "a member of a directory");
        assert!(!alone("users:x:100:\n", 100), "the primary group of another");
        assert!(!alone("ann:x:1000:\nalias:x:1000:bob\n", 1000), "two names of one group");
        assert!(!alone("", 1000), "a group of a directory");
        assert!(alone("root:x:0:\n", 0), "root may do anything");
    }
}
