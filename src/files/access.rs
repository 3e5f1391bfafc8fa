//! What gives or takes access to a file beside owner and mode: ACLs and security labels, with the other extended
//! attributes and flags that a file written anew would lose.

use std::fs::File;
use std::io;

/// Gives a new file the flags of the one it replaces, as far as the system lets; some can be set only while it is
/// empty.
// A clone has them.
#[cfg(all(unix, not(target_os = "macos")))]
pub fn keep_flags(new: &File, old: &File) {
    calls::keep_flags(new, old);
}

/// Gives a new file the owner, the mode, the ACL, the label and the other extended attributes of the one it replaces.
///
/// # Errors
/// As `fchown(2)`, `fchmod(2)` and `fsetxattr(2)`; where what gives or takes access cannot be kept. Attributes that do
/// neither are kept as far as the system lets.
pub fn keep(new: &File, old: &File) -> io::Result<()> {
    calls::keep_owner(new, old)?;
    calls::keep_attributes(new, old)
}

/// The access ACL of a file beyond its mode, as the system stores it; `None` where it has none.
///
/// # Errors
/// As `fgetxattr(2)`.
pub fn acl(file: &File) -> io::Result<Option<Vec<u8>>> {
    calls::acl(file)
}

/// Gives a file of ours, which nobody else can open yet, these permissions: a mode, and an ACL where it had one.
///
/// # Errors
/// As `fchmod(2)`.
pub fn give(file: &File, mode: u32, acl: Option<&[u8]>) -> io::Result<()> {
    // Where the ACL cannot be set, or one that the folder hands down cannot be taken away, the file is for its
    // owner alone.
    calls::give(file, mode, acl)
}

#[cfg(unix)]
fn change_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(unix)]
fn same_owner(new: &File, old: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let (mine, theirs) = (new.metadata()?, old.metadata()?);
    if (mine.uid(), mine.gid()) != (theirs.uid(), theirs.gid()) {
        // Before the mode, of which a change of owner takes away the set-id bits.
        std::os::unix::fs::fchown(new, Some(theirs.uid()), Some(theirs.gid()))?;
    }
    new.set_permissions(theirs.permissions())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod calls {
    use std::collections::BTreeMap;
    use std::ffi::{CStr, CString};

    use rustix::fs::{IFlags, XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
    use rustix::fs::{ioctl_getflags, ioctl_setflags};
    use rustix::io::Errno;

    use super::{File, change_mode, io};

    pub(super) use super::same_owner as keep_owner;

    /// No list of names and no value is longer (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
    const LONGEST: usize = 64 << 10;
    const ACL: &CStr = c"system.posix_acl_access";
    /// Flags that say how a file is stored or listed; with the others it could not be written.
    const KEPT: IFlags = IFlags::SYNC
        .union(IFlags::COMPRESSED)
        .union(IFlags::NODUMP)
        .union(IFlags::NOATIME)
        .union(IFlags::NOCOW)
        .union(IFlags::SECURE_REMOVAL)
        .union(IFlags::UNRM);

    pub(super) fn keep_flags(new: &File, old: &File) {
        let Ok(kept) = ioctl_getflags(old).map(|flags| flags & KEPT) else { return };
        let Ok(now) = ioctl_getflags(new) else { return };
        if now & KEPT == kept {
            return;
        }
        // One that this file system refuses must not take the others with it.
        for flag in KEPT.iter().filter(|flag| (now ^ kept).contains(*flag)) {
            let Ok(now) = ioctl_getflags(new) else { return };
            let _ = ioctl_setflags(new, if kept.contains(flag) { now | flag } else { now - flag });
        }
    }

    /// ACLs of all kinds, and labels; what measures the content changes with it.
    fn gives_access(name: &CStr) -> bool {
        let name = name.to_bytes();
        let measures = name == b"security.ima" || name == b"security.evm";
        !measures && (name.starts_with(b"system.") || name.starts_with(b"security."))
    }

    pub(super) fn keep_attributes(new: &File, old: &File) -> io::Result<()> {
        let (mine, theirs) = (attributes(new)?, attributes(old)?);
        // A folder's default ACL gives a new file one that the old had not.
        for name in mine.keys().filter(|name| !theirs.contains_key(*name) && gives_access(name)) {
            fremovexattr(new, name.as_c_str()).map_err(|error| not_kept(name, error.into()))?;
        }
        for (name, value) in theirs.iter().filter(|(name, value)| mine.get(*name) != Some(*value)) {
            match fsetxattr(new, name.as_c_str(), value, XattrFlags::empty()) {
                Err(error) if gives_access(name) => return Err(not_kept(name, error.into())),
                _ => {}
            }
        }
        let kept = |file: &File| -> io::Result<BTreeMap<CString, Vec<u8>>> {
            Ok(attributes(file)?.into_iter().filter(|(name, _)| gives_access(name)).collect())
        };
        // Compared in the end: a file system may take an attribute, and store another one.
        if kept(new)? == kept(old)? {
            return Ok(());
        }
        let why = "the ACL or security label of the file cannot be kept";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    fn not_kept(name: &CStr, error: io::Error) -> io::Error {
        let name = name.to_string_lossy();
        let name = crate::escape::shown(&*name);
        io::Error::new(error.kind(), format!("the ACL or security label '{name}' cannot be kept: {error}"))
    }

    fn attributes(file: &File) -> io::Result<BTreeMap<CString, Vec<u8>>> {
        let mut names = vec![0_u8; LONGEST];
        let length = match flistxattr(file, &mut names[..]) {
            // A file system without attributes has none to lose.
            Err(Errno::NOTSUP) => return Ok(BTreeMap::new()),
            other => other?,
        };
        let mut found = BTreeMap::new();
        for name in names[..length].split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
            match value(file, name) {
                Ok(Some(value)) => drop(found.insert(name.to_owned(), value)),
                Err(error) if gives_access(name) => return Err(error),
                // One that may not be read cannot be kept.
                Ok(None) | Err(_) => {}
            }
        }
        Ok(found)
    }

    fn value(file: &File, name: &CStr) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0_u8; LONGEST];
        match fgetxattr(file, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                Ok(Some(value))
            }
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn acl(file: &File) -> io::Result<Option<Vec<u8>>> {
        value(file, ACL)
    }

    pub(super) fn give(file: &File, mode: u32, acl: Option<&[u8]>) -> io::Result<()> {
        let set = match acl {
            Some(acl) => fsetxattr(file, ACL, acl, XattrFlags::empty()),
            None => match fremovexattr(file, ACL) {
                Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
                other => other,
            },
        };
        // The group's bits of a file with an ACL are its mask, and would be the group's own without it.
        change_mode(file, if set.is_ok() { mode } else { mode & 0o7700 })
    }
}

/// Where a new file is made as a clone of the old, it has its ACL and its attributes already.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod calls {
    use super::{File, change_mode, io};

    pub(super) use super::same_owner as keep_owner;

    #[cfg(not(target_os = "macos"))]
    pub(super) fn keep_flags(_: &File, _: &File) {}

    pub(super) fn keep_attributes(_: &File, _: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn acl(_: &File) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(super) fn give(file: &File, mode: u32, acl: Option<&[u8]>) -> io::Result<()> {
        // One of another system means nothing here.
        change_mode(file, if acl.is_none() { mode } else { mode & 0o7700 })
    }
}

#[cfg(not(unix))]
mod calls {
    use super::{File, io};

    pub(super) fn keep_owner(new: &File, old: &File) -> io::Result<()> {
        new.set_permissions(old.metadata()?.permissions())
    }

    pub(super) fn keep_attributes(_: &File, _: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn acl(_: &File) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    pub(super) fn give(_: &File, _: u32, _: Option<&[u8]>) -> io::Result<()> {
        Ok(())
    }
}
