//! What root keeps of each account between runs over all users: a file an account, beside root's own state.
//!
//! The user can write his own state, so nothing that delays what an administrator demands may lie
//! there. The child reads and writes the content; here it is only kept.

use std::path::{Path, PathBuf};

use crate::error::{At as _, PathError};
use crate::files;

/// The folder of the files, in root's folder of state.
const FOLDER: &str = "accounts";

fn path(state_dir: &Path, uid: u32) -> PathBuf {
    state_dir.join(FOLDER).join(format!("{uid}.json"))
}

/// What is kept of an account; empty where there is nothing yet, `None` for root's own account.
///
/// # Errors
/// It is there and cannot be read, or is not root's alone.
pub(super) fn read(state_dir: &Path, uid: u32) -> Result<Option<String>, PathError> {
    if uid == 0 {
        return Ok(None);
    }
    let path = path(state_dir, uid);
    let Some(file) = files::open_own(&path)? else { return Ok(Some(String::new())) };
    let bytes = files::contents(&file, files::DOCUMENT).at("read", &path)?;
    // What is no text is found to be none of ours by whoever reads it.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Keeps what a child wants remembered of its account.
///
/// # Errors
/// It cannot be written; what was kept before is whole then.
pub(super) fn write(state_dir: &Path, uid: u32, text: &str) -> Result<(), PathError> {
    let path = path(state_dir, uid);
    files::private_dir(&state_dir.join(FOLDER))?;
    files::replace(&path, text.as_bytes(), 0o600)
}
