//! Files that the caller names: metrics, pages and reports.

use std::path::Path;

use super::context::{Context, Exit, Failure};
use crate::catalogue::{Cursor, Root};
use crate::files;

/// Puts a file in place in one step: what was there is replaced, where that is no file of Claude Code's.
///
/// # Errors
/// Exit 1: something else has the name, or it cannot be written; what was there is whole then.
pub(super) fn put(path: &Path, content: &[u8], ctx: &Context) -> Result<(), Failure> {
    let path = ctx.env.absolute(path);
    if is_of_claude_code(&path) {
        let message =
            format!("cannot write '{}': it is a file of Claude Code, and stays", crate::escape::shown(&path));
        return Err(Failure::new(Exit::Failed, message).hint("name another file"));
    }
    files::replace_named(&path, content).map_err(|error| Failure::because(Exit::Failed, &error))
}

/// Whether there is a file that lies where one of Claude Code's does, in any folder that looks like a store: which are in
/// use here need not be known for that.
fn is_of_claude_code(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let Ok(folder) = folder.canonicalize() else { return false };
    folder.join(name).symlink_metadata().is_ok()
        && folder.ancestors().filter(|root| root.join("projects").is_dir()).any(|root| {
            let below = folder.strip_prefix(root).unwrap_or(&folder).iter();
            let cursor = below
                .fold(Cursor::at(Root::Config), |cursor, folder| cursor.enter(folder.as_encoded_bytes()));
            cursor.classify(name.as_encoded_bytes()).is_some()
        })
}
