//! Which unrecognised files stay on the operator's word: globs of paths in a store.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

/// Characters with which a glob takes whatever comes.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// A glob of `--except`.
#[derive(Debug, Clone)]
pub struct Except {
    matcher: GlobMatcher,
}

/// Why a text is no such glob.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExceptError {
    /// It would keep what nobody has looked at.
    #[error("it begins with a wildcard, so it would keep files that nobody has looked at: begin with a name")]
    Wildcard,
    /// It is no path in a store.
    #[error("it is not a path in a store: write it as it is below the store, such as 'notes/**'")]
    NoPath,
    /// It is no glob.
    #[error(transparent)]
    Glob(#[from] globset::Error),
}

impl Except {
    /// Reads a glob; `*` stops at `/`.
    ///
    /// # Errors
    /// It begins with a wildcard, is no path in a store, or no glob.
    pub fn parse(written: &str) -> Result<Self, ExceptError> {
        if written.starts_with(WILDCARDS) {
            return Err(ExceptError::Wildcard);
        }
        // By the text itself: a path would not tell of a dot or a slash at the end.
        if written.split('/').any(|name| matches!(name, "" | "." | ".." | "~")) {
            return Err(ExceptError::NoPath);
        }
        let matcher = GlobBuilder::new(written).literal_separator(true).build()?.compile_matcher();
        Ok(Self { matcher })
    }

    /// Whether it keeps a file at this path in its store.
    pub fn keeps(&self, path: &Path) -> bool {
        self.matcher.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_begins_with_a_name_and_stays_in_the_store() {
        for wildcard in ["*", "**/x", "?.txt", "[a-z]", "{a,b}"] {
            assert!(matches!(Except::parse(wildcard), Err(ExceptError::Wildcard)), "{wildcard}");
        }
        for path in ["", "/etc/x", "../x", "a/../b", "a/", "./a", "~/x", "a//b"] {
            assert!(matches!(Except::parse(path), Err(ExceptError::NoPath)), "{path}");
        }
        assert!(matches!(Except::parse("a[b"), Err(ExceptError::Glob(_))));
    }

    #[test]
    fn a_wildcard_stops_at_a_folder_and_two_do_not() {
        let keeps = |glob: &str, path: &str| Except::parse(glob).unwrap().keeps(Path::new(path));
        assert!(keeps("notes.txt", "notes.txt") && !keeps("notes.txt", "x/notes.txt"));
        assert!(keeps("notes/*", "notes/a") && !keeps("notes/*", "notes/a/b"));
        assert!(keeps("notes/**", "notes/a/b") && !keeps("notes/**", "notesx/a"));
        assert!(!keeps("notes", "notes/a"));
    }
}
