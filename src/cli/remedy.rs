//! What to type next about an error of the system or a folder that is no store: the one table of that.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::error::{PathError, chain, path_in};
use crate::escape::shown;
use crate::locate::{Refusal, Refused};
use crate::policy::error::{LoadError, checking};
use crate::policy::resolve::PolicyError;

/// What to do about an error; `None` where nothing but its words is known.
pub(super) fn of(error: &(dyn Error + 'static)) -> Option<String> {
    let words = chain(error);
    let path = path_in(&words).map(PathBuf::from)?;
    about(&path, io_kind(error)?, words.contains("cannot read "))
}

/// The kind of the error of the system that is the cause of all.
fn io_kind(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let (mut kind, mut cause) = (None, Some(error));
    while let Some(error) = cause {
        kind = error.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        cause = error.source();
    }
    kind
}

/// What to do where the system says no to a path, to read there or to write.
fn about(path: &Path, kind: ErrorKind, reads: bool) -> Option<String> {
    let near = near(path)?;
    let is_there = near == path;
    Some(match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("`df -h '{}'` shows how full the disk is: free some space, then try again", shown(near))
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!("`df -h '{}'` names the volume, which is mounted read-only", shown(near))
        }
        ErrorKind::PermissionDenied => denied(near),
        ErrorKind::NotFound if reads || path.parent() == Some(near) => {
            format!("`ls -la '{}'` lists what is there", shown(near))
        }
        ErrorKind::NotFound if !is_there && near.is_dir() => {
            format!("`mkdir -p '{}'` makes the folder", shown(path.parent()?))
        }
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::AlreadyExists
        | ErrorKind::DirectoryNotEmpty => {
            format!("`ls -ld '{}'` shows what is in the way: move it, or choose another place", shown(near))
        }
        _ => return None,
    })
}

/// Who may open what cannot be opened: its owner, who may have closed it, or root after a run with sudo.
#[cfg(unix)]
fn denied(near: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let me = rustix::process::geteuid().as_raw();
    let owner = |path: &Path| path.metadata().ok().map(|found| found.uid());
    if owner(near) == Some(me) {
        return format!("`chmod u+rwX '{}'` opens it", shown(near));
    }
    // The uppermost of root's in a folder of one's own; nothing that is root's by right lies there.
    let lent = near.ancestors().take_while(|path| owner(path) == Some(0)).last();
    match lent.filter(|path| path.parent().and_then(owner) == Some(me)) {
        Some(lent) => format!(
            "it belongs to root, probably since a run with sudo: `sudo chown -R \"$USER\" '{}'`",
            shown(lent)
        ),
        None => {
            format!("`ls -ld '{}'` shows whose it is: ask for access, or choose another place", shown(near))
        }
    }
}

#[cfg(not(unix))]
fn denied(near: &Path) -> String {
    format!("the properties of '{}' show who may open it", shown(near))
}

/// What to do about a folder that was refused as a store.
pub(super) fn of_refused(refused: &Refused) -> Option<String> {
    let kind = match &refused.why {
        Refusal::Unreachable(error) => Some(error.kind()),
        Refusal::Unlockable(PathError { source, .. }) => Some(source.kind()),
        Refusal::Guarded(_) => return None,
        _ => None,
    };
    let about =
        kind.filter(|kind| *kind != ErrorKind::NotFound).and_then(|kind| about(&refused.path, kind, false));
    Some(about.unwrap_or_else(|| {
        "`ccretain status` lists the folders that are covered: name one of them with --store, or others in \
         \"stores\" of the policy"
            .to_owned()
    }))
}

/// What to do about a policy that cannot be used.
pub(super) fn of_policy(error: &PolicyError) -> Option<String> {
    match error {
        PolicyError::Load(error) => of_policy_file(error),
        PolicyError::Contradiction { path, .. } => Some(checking(path)),
    }
}

/// What to do about a file that is no policy.
pub(super) fn of_policy_file(error: &LoadError) -> Option<String> {
    match error {
        LoadError::Missing { path } => {
            Some(format!("`ccretain policy init > '{}'` makes one to start from", shown(path)))
        }
        LoadError::Untrusted { path, .. } => Some(format!(
            "policies of the machine must belong to root and be writable by nobody else: `sudo chown root '{0}' && \
             sudo chmod go-w '{0}'`",
            shown(path)
        )),
        LoadError::Loose(loose) => {
            Some(format!("`{}` mends it, once you know that the file is as you left it", loose.remedy()))
        }
        LoadError::Syntax { path, .. } => Some(checking(path)),
        LoadError::Io(error) => of(error),
        LoadError::Unusable { path, .. } => {
            Some(format!("`ls -ld '{}'` shows what is there", shown(near(path)?)))
        }
    }
}

/// The path itself, or the nearest folder above it that is there.
fn near(path: &Path) -> Option<&Path> {
    path.ancestors().find(|at| at.symlink_metadata().is_ok())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::error::At as _;

    #[test]
    fn an_error_of_the_system_has_a_command() {
        let home = tempfile::tempdir().unwrap();
        let told = |below: &str, kind: ErrorKind| {
            let error = Err::<(), _>(io::Error::from(kind)).at("write", home.path().join(below)).unwrap_err();
            of(&error)
        };
        let dir = home.path().display();
        std::fs::File::create(home.path().join("file")).unwrap();
        assert_eq!(
            told("a/b/c", ErrorKind::NotFound),
            Some(format!("`mkdir -p '{dir}/a/b'` makes the folder"))
        );
        assert_eq!(told("a", ErrorKind::NotFound), Some(format!("`ls -la '{dir}'` lists what is there")));
        assert!(
            told("file/b/c", ErrorKind::NotADirectory)
                .unwrap()
                .starts_with(&format!("`ls -ld '{dir}/file'`"))
        );
        assert!(
            told("file/b/c", ErrorKind::NotFound).unwrap().starts_with(&format!("`ls -ld '{dir}/file'`"))
        );
        assert!(told("x", ErrorKind::StorageFull).unwrap().starts_with(&format!("`df -h '{dir}'`")));
        assert_eq!(told("x", ErrorKind::PermissionDenied), Some(format!("`chmod u+rwX '{dir}'` opens it")));
        assert_eq!(told("x", ErrorKind::Interrupted), None);
        // A quote in a name would end the words of a shell.
        assert_eq!(told("it's", ErrorKind::StorageFull), None);
    }
}
