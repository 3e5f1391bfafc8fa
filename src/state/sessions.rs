//! What dated sessions and told their projects at earlier runs.
//!
//! One file, `sessions.json`, mode 0600, beside the state; a file of its own because it has a row for
//! every session, which most commands do not need. It holds ids, dates and project paths, no content.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::StateError;
use crate::error::{At as _, PathError};
use crate::files;
use crate::inventory::memory::Memory;

/// The name of the file.
pub const FILE: &str = "sessions.json";
/// The version this program writes.
const VERSION: u64 = 1;
/// How long no session is known to be an orphan once what was remembered could not be used.
const BLIND: TimeDelta = TimeDelta::days(7);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    version: u64,
    /// When it was begun anew, because the one before was damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<DateTime<Utc>>,
    #[serde(flatten)]
    memory: Memory,
}

/// What is remembered of sessions, with its file.
#[derive(Debug, Default)]
pub struct Remembered {
    /// What is remembered.
    pub memory: Memory,
    /// Why it could not be used, so that it begins anew.
    pub damage: Option<serde_json::Error>,
    begun: Option<DateTime<Utc>>,
    /// Whether the file says something else, so that it has to be written in any case.
    is_new: bool,
}

/// Where the file lies in a folder of state.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

impl Remembered {
    /// Reads the file; a missing one is nothing remembered, a damaged one begins anew.
    ///
    /// # Errors
    /// It is there and cannot be read, is a link or somebody else's, or of a later version.
    pub fn load(state_dir: &Path, now: DateTime<Utc>) -> Result<Self, StateError> {
        let path = path(state_dir);
        let Some(opened) = files::open_own(&path)? else { return Ok(Self::default()) };
        let bytes = files::contents(&opened, files::DOCUMENT).at("read", &path)?;
        Self::parse(&bytes, path, now)
    }

    /// Reads the content of a file; an empty one is nothing remembered, a damaged one begins anew.
    ///
    /// # Errors
    /// It is of a later version.
    pub fn parse(bytes: &[u8], path: PathBuf, now: DateTime<Utc>) -> Result<Self, StateError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice::<Written>(bytes) {
            Ok(written) if written.version > VERSION => {
                Err(StateError::Newer { path, found: written.version })
            }
            Ok(Written { begun, memory, .. }) => Ok(Self { memory, damage: None, begun, is_new: false }),
            Err(damage) => {
                // Not an error: a file that a power loss cut would stop every run of an unattended machine.
                // Instead no orphan goes for a week.
                Ok(Self { memory: Memory::default(), damage: Some(damage), begun: Some(now), is_new: true })
            }
        }
    }

    /// Whether it was begun anew a short while ago, so that the transcript of any session may have been
    /// seen by runs that are forgotten.
    pub fn is_blind(&self, now: DateTime<Utc>) -> bool {
        self.begun.is_some_and(|begun| begun <= now && now.signed_duration_since(begun) < BLIND)
    }

    /// The text of what is to be remembered from now on; `None` where it is what it was.
    ///
    /// # Errors
    /// Never in practice: all of it is text.
    pub fn changed(&self, memory: Memory) -> Result<Option<String>, StateError> {
        if memory == self.memory && !self.is_new {
            return Ok(None);
        }
        let written = Written { version: VERSION, begun: self.begun, memory };
        Ok(Some(serde_json::to_string(&written).map_err(io::Error::from).at("write", FILE)?))
    }
}

/// Writes the file in a folder of state.
///
/// # Errors
/// It cannot be written; the old file is whole then.
pub fn save(state_dir: &Path, text: &str) -> Result<(), StateError> {
    files::private_dir(state_dir)?;
    Ok(files::replace(&path(state_dir), text.as_bytes(), 0o600)?)
}

/// Forgets every session: where a purge has passed, not even their projects' paths stay.
///
/// # Errors
/// When the file is there and cannot be removed.
pub fn forget(state_dir: &Path) -> Result<(), PathError> {
    let path = path(state_dir);
    files::remove_own(&path).at("remove", &path)
}
