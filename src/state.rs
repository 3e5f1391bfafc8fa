//! What is remembered between runs: roots that were seen, doubts of the guards, the last run.
//!
//! One file, `state.json`, mode 0600, in the folder of state
//! ([`crate::environment::Environment::state_dir`]), replaced whole (a new file, flushed, renamed).
//! A missing file is an empty state. One that cannot be read, or that a newer version wrote, is an
//! error and never "nothing remembered": forgotten roots would no longer be cleaned, and forgotten
//! doubts would let a wrong clock pass. Only where managed rules must go on whatever the user does
//! is it begun anew ([`StateFile::anew`]). Keys that this version does not know are kept.
//!
//! Two runs do not write it at once: it is loaded and saved under the lock of the ledger.

pub mod dates;
mod file;
mod first_seen;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod sessions;

use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::guard::{ClockDoubt, MassReport};
pub use file::{FILE, StateError, StateFile, path};
pub use first_seen::FirstSeen;

/// Every file in the folder of state.
pub const FILES: [&str; 3] = [FILE, dates::FILE, sessions::FILE];

/// How long a state that was begun anew has not seen enough to tell which sessions are orphaned.
const LEARNING: TimeDelta = TimeDelta::days(7);

/// A root that was seen once and is visited by every later run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RememberedRoot {
    /// Where it lies.
    #[serde(with = "lossless")]
    pub path: PathBuf,
    /// What kind of store it is, e.g. `config`.
    pub kind: String,
    /// When it was first seen.
    pub first_seen: DateTime<Utc>,
    /// When it was last seen.
    pub last_seen: DateTime<Utc>,
    /// Folders of it that lay behind a link or a mount point, with something in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub followed: Vec<RememberedFolder>,
    /// What a later version knows besides.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A folder of a store that lay elsewhere, so that it may be an empty one when its volume is not mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RememberedFolder {
    /// Its path in the store.
    #[serde(with = "lossless")]
    pub path: PathBuf,
    /// The number of its device.
    pub device: u64,
    /// The number of its inode.
    pub inode: u64,
    /// What a later version knows besides.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// The last run that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// Its id.
    pub run: String,
    /// When it ended.
    pub time: DateTime<Utc>,
    pub exit: u8,
    /// Whether somebody else keeps the ledger that it is recorded in: root, of a run over all users.
    #[serde(default)]
    pub is_recorded_elsewhere: bool,
    /// Refusals of the guards, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<String>,
    /// Of a run over all users: the names of the accounts that it was not through with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfinished: Vec<String>,
    /// What a later version knows besides.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// When a run over all users was last through with an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// The account's id.
    pub uid: u32,
    pub time: DateTime<Utc>,
    /// What a later version knows besides.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A session that was unsealed with a new modification time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unsealed {
    /// The root of its store.
    #[serde(with = "lossless")]
    pub store: PathBuf,
    /// Its id.
    pub session: String,
    /// Its true last activity, which dates it for deletion.
    pub last_activity: DateTime<Utc>,
    /// When it was unsealed, which counts for `quiet` and `sealAfter`.
    pub unsealed_at: DateTime<Utc>,
    /// What its records said of its last activity, the files' own times of damaged ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<DateTime<Utc>>,
    /// What a later version knows besides.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Sessions that a hold covered at the end of the last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The name of the hold.
    pub hold: String,
    /// The root of their store.
    #[serde(with = "lossless")]
    pub store: PathBuf,
    /// Their ids, sorted.
    pub sessions: Vec<String>,
    /// What a later version knows besides.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Everything that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// When it was begun anew, because an earlier one could not be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<DateTime<Utc>>,
    /// Roots, in the order of their paths.
    pub roots: Vec<RememberedRoot>,
    /// A doubt of the clock guard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockDoubt>,
    /// Reports of the mass guard.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mass: Vec<MassReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// The last run over all users that this account, which is root, has started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_of_all: Option<LastRun>,
    /// When runs over all users that this account has started were through with each account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<Served>,
    /// Sessions whose modification time is not their own, by store and id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsealed: Vec<Unsealed>,
    /// What was held, to tell what has vanished.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// What has no date, by store and the run that first saw it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_seen: Vec<FirstSeen>,
    /// What a later version knows besides.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl State {
    /// Whether so little is remembered that a session without a transcript may have one somewhere.
    pub fn is_learning(&self, now: DateTime<Utc>) -> bool {
        self.begun.is_some_and(|begun| begun <= now && now.signed_duration_since(begun) < LEARNING)
    }

    /// Remembers that a root was seen.
    pub fn saw_root(&mut self, path: &Path, kind: &str, now: DateTime<Utc>) {
        match self.roots.binary_search_by(|root| root.path.as_path().cmp(path)) {
            Ok(at) => {
                if let Some(root) = self.roots.get_mut(at) {
                    kind.clone_into(&mut root.kind);
                    root.last_seen = now;
                }
            }
            Err(at) => self.roots.insert(
                at,
                RememberedRoot {
                    path: path.to_path_buf(),
                    kind: kind.to_owned(),
                    first_seen: now,
                    last_seen: now,
                    followed: Vec::new(),
                    unknown: Map::new(),
                },
            ),
        }
    }

    /// When a run over all users was last through with an account.
    #[cfg(unix)]
    pub fn served(&self, uid: u32) -> Option<DateTime<Utc>> {
        self.served.iter().find(|served| served.uid == uid).map(|served| served.time)
    }

    /// Remembers that a run over all users was through with an account.
    #[cfg(unix)]
    pub fn saw_served(&mut self, uid: u32, time: DateTime<Utc>) {
        self.served.retain(|served| served.uid != uid);
        self.served.push(Served { uid, time, unknown: Map::new() });
        self.served.sort_by_key(|served| served.uid);
    }

    /// What is remembered of unsealed sessions, by the root of the store and the id.
    pub fn all_unsealed(&self) -> FxHashMap<(&Path, &str), &Unsealed> {
        // Of two rows the first counts.
        let rows = self.unsealed.iter().rev();
        rows.map(|each| ((each.store.as_path(), each.session.as_str()), each)).collect()
    }

    /// Remembers an unsealed session, in place of what was remembered of it.
    pub fn remember_unsealed(&mut self, unsealed: Unsealed) {
        self.forget_unsealed(&unsealed.store, &unsealed.session);
        self.unsealed.push(unsealed);
        self.unsealed.sort_by(|a, b| (&a.store, &a.session).cmp(&(&b.store, &b.session)));
    }

    /// Forgets an unsealed session: it was sealed again or deleted.
    pub fn forget_unsealed(&mut self, store: &Path, session: &str) {
        self.unsealed.retain(|each| each.store != store || each.session != session);
    }

    /// Forgets that a session was held: this program itself removed it, and nobody else.
    pub fn forget_held(&mut self, session: &str) {
        for held in &mut self.held {
            held.sessions.retain(|id| id != session);
        }
        self.held.retain(|held| !held.sessions.is_empty());
    }
}

/// Paths as text where they are text, else as `{"hex": "…"}`: no root may be lost for its name.
mod lossless {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    #[derive(serde::Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Bytes { hex: String },
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        let written = match path.to_str() {
            Some(text) => Written::Text(text.to_owned()),
            None => Written::Bytes { hex: hex::encode(path.as_os_str().as_encoded_bytes()) },
        };
        written.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        match Written::deserialize(from)? {
            Written::Text(text) => Ok(text.into()),
            Written::Bytes { hex } => {
                let bytes = hex::decode(hex).map_err(serde::de::Error::custom)?;
                from_bytes(bytes).ok_or_else(|| serde::de::Error::custom("a path of another system"))
            }
        }
    }

    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere not every sequence of bytes is a path")]
    fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
        use std::os::unix::ffi::OsStringExt as _;
        Some(std::ffi::OsString::from_vec(bytes).into())
    }

    #[cfg(not(unix))]
    fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
        String::from_utf8(bytes).ok().map(PathBuf::from)
    }
}

#[cfg(test)]
#[path = "state/tests.rs"]
mod tests;
