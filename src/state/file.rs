//! The file of the state: read, begun anew, replaced.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::State;
use crate::error::{At as _, PathError};
use crate::escape::shown;
use crate::files;

/// The name of the file.
pub const FILE: &str = "state.json";
/// How what root keeps of an account is named in messages of the account's own child.
const KEPT: &str = "root's state of this account";
/// The version this program writes.
const VERSION: u32 = 1;
/// What files are called that could not be used, with the number of the later ones.
pub(super) const UNUSABLE: &str = "state.json.unusable";
/// So many of them are put aside; whoever makes more of them has other means to fill his own disk.
const MOST_UNUSABLE: u32 = 1000;
/// The most that the state may hold, in bytes: it is parsed whole, to about twelve times that, and 50,000 first-seen
/// days take 6 MiB.
const LARGEST: u64 = 16 << 20;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It could not be read or written, or is a link or somebody else's.
    #[error(transparent)]
    File(#[from] PathError),
    /// It is damaged.
    #[error(
        "cannot understand '{}': repair it, or move it away, and name stores in unusual places again with 'schedule install' or 'stores.extra'",
        shown(path)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A later version of this program wrote it.
    #[error(
        "'{}' has version {found}, and this program knows {VERSION}: use the version that wrote it, or a later one",
        shown(path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u64,
    },
}

/// The state with the file it came from; only a change is saved.
#[derive(Debug, Clone)]
pub struct StateFile {
    /// What is remembered; to be changed at will.
    pub state: State,
    /// `None` where the file cannot be used and is left as it is.
    path: Option<PathBuf>,
    saved: State,
    /// Whether what lies at the path cannot be used, and is put aside when this is saved.
    replaces: bool,
    /// Whether there was a file.
    is_there: bool,
}

/// Where the state lies in a folder of state.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

impl StateFile {
    /// Reads the state of a folder; a missing file is an empty state.
    ///
    /// # Errors
    /// When the file is unreadable, damaged, of a later version, a link or somebody else's.
    pub fn load(state_dir: &Path) -> Result<Self, StateError> {
        let path = path(state_dir);
        let opened = files::open_own(&path)?;
        let is_there = opened.is_some();
        let mut state = match opened {
            None => State::default(),
            Some(opened) => {
                let bytes = files::contents(&opened, LARGEST).at("read", &path)?;
                parse(&bytes, &path)?
            }
        };
        state.roots.sort_by(|a, b| a.path.cmp(&b.path));
        // A file that was edited by hand, or put together from two, is used as far as it can be.
        state.roots.dedup_by(|a, b| a.path == b.path);
        Ok(Self { saved: state.clone(), state, path: Some(path), replaces: false, is_there })
    }

    /// Whether there was a file.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// The state of an account of which root keeps its own: what a run over all users goes by.
    pub fn of_account(
        own: Result<Self, StateError>,
        kept: &str,
        now: DateTime<Utc>,
    ) -> (Self, Vec<StateError>) {
        // `own` is the user's file, who may write into it what he likes; so only that counts of it which adds a
        // root to look at, or dates a session that was unsealed. `kept` is what root keeps, as `kept` gave it;
        // empty before the first run. What cannot be used, of either, is begun anew and given back as an error
        // beside.
        let mut errors = Vec::new();
        // A user who damages his file must not stop what root runs for all.
        let own = own.unwrap_or_else(|error| {
            errors.push(error);
            Self {
                state: State::default(),
                path: None,
                saved: State::default(),
                replaces: false,
                is_there: false,
            }
        });
        let mut state = match kept {
            // What is not known yet is not made up by the user, but for what was seen and held.
            "" => State {
                last_run: own.state.last_run.clone(),
                held: own.state.held.clone(),
                begun: (!errors.is_empty()).then_some(now),
                ..State::default()
            },
            kept => parse(kept.as_bytes(), Path::new(KEPT)).unwrap_or_else(|error| {
                errors.push(error);
                State { begun: Some(now), ..State::default() }
            }),
        };
        for root in &own.state.roots {
            if !state.roots.iter().any(|known| known.path == root.path) {
                state.roots.push(root.clone());
            }
        }
        state.roots.sort_by(|a, b| a.path.cmp(&b.path));
        // `unseal` is the user's own command and writes into his file alone; it protects for a day at most.
        state.unsealed.clone_from(&own.state.unsealed);
        (Self { state, ..own }, errors)
    }

    /// An empty state in place of one that cannot be used; that one is put aside when this is saved.
    pub fn anew(state_dir: &Path, now: DateTime<Utc>) -> Self {
        let state = State { begun: Some(now), ..State::default() };
        Self { state, path: Some(path(state_dir)), saved: State::default(), replaces: true, is_there: false }
    }

    /// What root keeps of an account: all but what its user alone records.
    ///
    /// # Errors
    /// Never in practice: the state is text.
    pub fn kept(&self) -> Result<String, StateError> {
        written(&State { unsealed: Vec::new(), ..self.state.clone() }, Path::new(KEPT))
    }

    /// Writes the state if it was changed; says whether it was.
    ///
    /// # Errors
    /// When it cannot be written; the old file is whole then.
    pub fn save(&mut self) -> Result<bool, StateError> {
        // A run that changes nothing writes nothing: on a full disk or a read-only home it still comes to its
        // end.
        if self.state == self.saved {
            return Ok(false);
        }
        let Some(path) = &self.path else { return Ok(false) };
        // It names projects by their paths.
        files::private_dir(path.parent().unwrap_or(Path::new(".")))?;
        // Only now: a run that fails before it has anything to write leaves the old one in its place.
        if self.replaces {
            put_aside(path)?;
            self.replaces = false;
        }
        files::replace(path, written(&self.state, path)?.as_bytes(), 0o600)?;
        self.saved = self.state.clone();
        Ok(true)
    }
}

/// The text of a state.
pub(super) fn written(state: &State, path: &Path) -> Result<String, StateError> {
    let damaged = |source| StateError::Damaged { path: path.to_path_buf(), source };
    let mut value = serde_json::to_value(state).map_err(damaged)?;
    if let Some(keys) = value.as_object_mut() {
        keys.insert("version".to_owned(), VERSION.into());
    }
    Ok(format!("{value:#}\n"))
}

/// Gives a file that cannot be used, or whatever is in its place, another name.
fn put_aside(path: &Path) -> Result<(), StateError> {
    let beside = |number: u32| match number {
        0 => path.with_file_name(UNUSABLE),
        _ => path.with_file_name(format!("{UNUSABLE}.{number}")),
    };
    let is_free =
        |to: &PathBuf| to.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let to = (0..MOST_UNUSABLE).map(beside).find(is_free).unwrap_or_else(|| beside(MOST_UNUSABLE));
    Ok(files::rename_own(path, &to)?)
}

pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<State, StateError> {
    let damaged = |source| StateError::Damaged { path: path.to_path_buf(), source };
    let mut keys: Map<String, Value> = serde_json::from_slice(bytes).map_err(damaged)?;
    match keys.remove("version").as_ref().and_then(Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        // Not begun anew: the later program has remembered what this one would throw away.
        Some(found) if found > u64::from(VERSION) => {
            return Err(StateError::Newer { path: path.to_path_buf(), found });
        }
        _ => {
            let source = io::Error::new(io::ErrorKind::InvalidData, "it has no version this program knows");
            return Err(damaged(serde_json::Error::io(source)));
        }
    }
    serde_json::from_value(Value::Object(keys)).map_err(damaged)
}
