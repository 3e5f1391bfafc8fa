//! File errors that say what was being done, to which path, and why it failed.

use std::io;
use std::path::{Path, PathBuf};

use crate::escape::shown;

/// An I/O error with its path and the deed that failed, as an infinitive ("read", "create").
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} '{}'", shown(path))]
pub struct PathError {
    /// The path that was acted on.
    pub path: PathBuf,
    /// What was being done, as an infinitive.
    pub doing: &'static str,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

/// Adds the path and the deed to an I/O result.
pub trait At<T> {
    /// Turns the error into a [`PathError`]: `read(p).at("read", p)?`.
    ///
    /// # Errors
    /// The same failure, with its path.
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, PathError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, PathError> {
        self.map_err(|source| PathError { path: path.as_ref().to_path_buf(), doing, source: source.into() })
    }
}

/// The path that the words of a [`PathError`] name, however deep it lies among the causes of another error; `None` where
/// its words cannot be put into the quotes of a shell.
pub fn path_in(words: &str) -> Option<&str> {
    let (_, after) = words.split_once("cannot ")?;
    let (_, path) = after.split_once('\'')?;
    let (path, rest) = path.split_once('\'')?;
    let is_plain =
        path.starts_with('/') && !path.contains('\\') && matches!(rest.chars().next(), None | Some(':'));
    is_plain.then_some(path)
}

/// Prints an error and its causes on one line, separated by colons, for reports and the ledger.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
