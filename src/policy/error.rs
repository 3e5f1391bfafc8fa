//! Why a policy cannot be read.

use std::path::{Path, PathBuf};

use super::own::Loose;
use super::parse::SyntaxError;
use crate::error::PathError;
use crate::escape::shown;

/// Why a policy cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The file that was named is not there.
    #[error("there is no policy '{}'", shown(path))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Nothing that a policy can be read from lies there.
    #[error("cannot use '{}': {reason}", shown(path))]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Others than root own it or may write to it.
    #[error("cannot use '{}': {reason}", shown(path))]
    Untrusted {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else may have written a file of the user's.
    #[error(transparent)]
    Loose(#[from] Loose),
    /// The file does not fit the grammar.
    #[error("policy '{}' is not valid", shown(path))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: SyntaxError,
    },
}

/// What shows the mistakes of a policy.
pub fn checking(path: &Path) -> String {
    format!("`ccretain policy check '{}'` shows every mistake with its line", shown(path))
}

impl LoadError {
    pub(super) fn unusable(path: &Path, reason: &str) -> Self {
        Self::Unusable { path: path.to_path_buf(), reason: reason.to_owned() }
    }

    pub(super) fn untrusted(path: &Path, reason: &str) -> Self {
        Self::Untrusted { path: path.to_path_buf(), reason: reason.to_owned() }
    }

    pub(super) fn syntax(path: &Path, source: SyntaxError) -> Self {
        Self::Syntax { path: path.to_path_buf(), source }
    }
}
