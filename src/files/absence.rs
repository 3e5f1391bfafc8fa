//! Whether a name that was not found is absent, or only out of reach.
//!
//! The system answers "no such file" also for a path through a link that leads nowhere: a volume that is not
//! mounted today. Taking that for absence would take a user's policy and holds away.

use std::io;
use std::path::Path;

use crate::escape::shown;

/// Confirms that nothing has this name: the nearest entry above it is a folder that can be reached.
///
/// # Errors
/// What is in the way instead: a link that leads nowhere, something that is no folder, or no permission.
pub fn confirm_absence(path: &Path) -> io::Result<()> {
    for at in path.ancestors().filter(|at| !at.as_os_str().is_empty()) {
        let entry = match fs_err::symlink_metadata(at) {
            Ok(entry) => entry,
            // A folder above may be what is missing, or what leads nowhere.
            Err(error) if is_absent(&error) => continue,
            Err(error) => return Err(error),
        };
        return match at.metadata() {
            Ok(found) if found.is_dir() && at != path => Ok(()),
            Ok(_) if at == path => Err(io::Error::other("it appeared while it was looked for")),
            Ok(_) => Err(in_the_way(at, "is not a folder")),
            Err(_) if entry.is_symlink() => Err(in_the_way(at, "is a link that leads nowhere")),
            Err(error) => Err(error),
        };
    }
    Ok(())
}

/// Whether an error says that nothing has that name, or that it cannot be reached: [`confirm_absence`] tells
/// the two apart.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn in_the_way(at: &Path, why: &str) -> io::Error {
    io::Error::other(format!("'{}' {why}", shown(at)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_folder_that_can_be_reached_shows_absence() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let told = |path: &str| confirm_absence(&at(path)).unwrap_err().to_string();
        fs_err::create_dir(at("real")).unwrap();
        symlink(at("real"), at("good")).unwrap();
        symlink(at("nowhere"), at("dead")).unwrap();
        symlink(at("dead"), at("real/chain")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        std::fs::File::create(at("file")).unwrap();
        for absent in ["x", "real/a/b/c", "good/a/b"] {
            confirm_absence(&at(absent)).unwrap();
        }
        for dead in ["dead", "dead/a", "dead/a/b", "good/chain/a"] {
            assert!(told(dead).contains("is a link that leads nowhere"), "{dead}: {}", told(dead));
        }
        assert!(told("file/a/b").contains("is not a folder"));
        assert!(confirm_absence(&at("loop/a")).is_err());
        assert!(confirm_absence(&at("real")).is_err());
    }
}
