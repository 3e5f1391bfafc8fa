//! Temp folders: those that the system keeps for an account, and what Claude Code leaves in one beside its own tree.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::catalogue::{Cursor, Root};
use crate::dir::Dir;

/// The tree of older clients in a temp folder, which all accounts share.
pub const SHARED_TREE: &str = "claude";

/// The temp folders of an account below the folder of all of them, as macOS has them: `<2 letters>/<account>/T`.
pub(super) fn of_account(all: &Path, uid: u32) -> Vec<PathBuf> {
    // The system tells it to programs of that account alone, and a child of a run over all users starts none:
    // the owner of a folder tells it, too.
    let below = |path: &Path| -> Vec<PathBuf> {
        let Ok(dir) = Dir::among_others(path) else { return Vec::new() };
        let Ok(entries) = dir.entries() else { return Vec::new() };
        entries.into_iter().map(|entry| path.join(entry.name)).collect()
    };
    let is_own = |path: &PathBuf| {
        let stat = Dir::among_others(path).and_then(|dir| dir.stat_self());
        stat.is_ok_and(|stat| stat.owner == uid)
    };
    let accounts = below(all).into_iter().flat_map(|letters| below(&letters));
    accounts.map(|account| account.join("T")).filter(is_own).collect()
}

/// Whether a temp folder holds something of an account that is Claude Code's by its name.
pub(super) fn holds_something_of(dir: &Dir, uid: u32) -> bool {
    let cursor = Cursor::at(Root::TempNeighbours);
    let Ok(entries) = dir.entries() else { return false };
    entries.iter().any(|entry| {
        let name = entry.name.as_encoded_bytes();
        let is_claimed = cursor.claims(name) || !cursor.enter(name).is_dead();
        is_claimed && (is_of(dir, &entry.name, uid) || entry.name == SHARED_TREE && shares_in(dir, uid))
    })
}

fn is_of(dir: &Dir, name: &OsStr, uid: u32) -> bool {
    dir.stat(name).is_ok_and(|stat| stat.owner == uid)
}

/// Whether an account has something in the tree of all of them, whoever made that.
fn shares_in(dir: &Dir, uid: u32) -> bool {
    let Ok(shared) = dir.child(OsStr::new(SHARED_TREE)) else { return false };
    shared.entries().is_ok_and(|entries| entries.iter().any(|entry| is_of(&shared, &entry.name, uid)))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    #[test]
    fn the_temp_folder_of_an_account_is_told_by_its_owner() {
        let all = tempfile::tempdir().unwrap();
        let me = rustix::process::getuid().as_raw();
        for folder in ["zz/own/T", "zz/own/C", "zz/other/T", "ab/none"] {
            fs::create_dir_all(all.path().join(folder)).unwrap();
        }
        symlink(all.path().join("zz/own"), all.path().join("zz/link")).unwrap();
        fs::File::create(all.path().join("zz/file")).unwrap();
        let real = fs::canonicalize(all.path()).unwrap();
        if me == 0 {
            lchown(real.join("zz/other/T"), Some(65_534), Some(65_534)).unwrap();
            lchown(real.join("zz/link"), Some(65_534), Some(65_534)).unwrap();
            assert_eq!(of_account(&real, me), [real.join("zz/own/T")]);
            assert_eq!(of_account(&real, 65_534), [real.join("zz/other/T")]);
        } else {
            assert!(of_account(&real, me).contains(&real.join("zz/own/T")));
        }
        assert!(of_account(&real, 4_711).is_empty());
        assert!(of_account(&real.join("nowhere"), me).is_empty());
    }
}
