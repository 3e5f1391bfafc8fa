//! What root keeps of each account between runs over all users: a folder an account, beside root's own state,
//! with the files that a user's folder of state has.
//!
//! The user can write his own state, so nothing that delays what an administrator demands may lie
//! there. The child reads and writes the content; here it is only kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{At as _, PathError};
use crate::files;
use crate::state;

/// The folder of the accounts' folders, in root's folder of state.
const FOLDER: &str = "accounts";
/// The files that are kept.
pub(super) const FILES: &[&str] = &[state::FILE, state::sessions::FILE];

/// The content of each file by its name; empty where there is nothing yet.
pub(super) type Kept = BTreeMap<String, String>;

fn folder(state_dir: &Path, uid: u32) -> PathBuf {
    state_dir.join(FOLDER).join(uid.to_string())
}

/// What is kept of an account; `None` for root's own, whose state nobody else writes.
///
/// # Errors
/// It is there and cannot be read, or is not root's alone.
pub(super) fn read(state_dir: &Path, uid: u32) -> Result<Option<Kept>, PathError> {
    if uid == 0 {
        return Ok(None);
    }
    let folder = folder(state_dir, uid);
    let content = |name: &&str| {
        let path = folder.join(name);
        // By the same rules as every file of ours, although the folder is root's: a link there would hand the
        // child, and thereby its user, a file of root's.
        let bytes = match files::open_own(&path)? {
            Some(file) => files::contents(&file, files::DOCUMENT).at("read", &path)?,
            None => Vec::new(),
        };
        // What is no text is found to be none of ours by whoever reads it.
        Ok(((*name).to_owned(), String::from_utf8_lossy(&bytes).into_owned()))
    };
    FILES.iter().map(content).collect::<Result<Kept, PathError>>().map(Some)
}

/// What stands in for what cannot be read: it is begun anew.
pub(super) fn nothing() -> Kept {
    FILES.iter().map(|name| ((*name).to_owned(), String::new())).collect()
}

/// Keeps a file that a child wants remembered of its account.
///
/// # Errors
/// It cannot be written; what was kept before is whole then.
pub(super) fn write(state_dir: &Path, uid: u32, name: &str, text: &str) -> Result<(), PathError> {
    let folder = folder(state_dir, uid);
    files::private_dir(&folder)?;
    files::replace(&folder.join(name), text.as_bytes(), 0o600)
}
