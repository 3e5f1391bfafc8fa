//! What the last run ended with, kept apart from the segments: by it a ledger that was cut or replaced is known.

use std::io;

use super::{Head, LedgerError, Place};
use crate::error::{At as _, PathError};
use crate::files;

/// As long as such a file can be, in bytes.
const LONGEST: u64 = 4 << 10;

/// What the last run ended with; `None` where none is remembered.
///
/// # Errors
/// When the file cannot be read, is a link, somebody else's or none of ours.
pub fn remembered(place: &Place) -> Result<Option<Head>, LedgerError> {
    let path = place.head();
    let Some(opened) = files::open_own(&path)? else { return Ok(None) };
    let bytes = files::contents(&opened, LONGEST).at("read", &path)?;
    let head = serde_json::from_slice(&bytes).map_err(io::Error::from).at("understand", &path)?;
    Ok(Some(head))
}

/// Remembers what a run ends with.
pub(super) fn remember(place: &Place, head: &Head) -> Result<(), PathError> {
    let path = place.head();
    files::private_dir(&place.state_dir)?;
    let text = serde_json::to_string(head).map_err(io::Error::from).at("write", &path)?;
    files::replace(&path, format!("{text}\n").as_bytes(), 0o600)
}
