//! Which sessions a ledger says were deleted, so that what lies there again is noticed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::segments::{self, Backwards};
use super::{LedgerError, Names, Record};
use crate::error::At as _;

/// At most this much of a ledger is read, in bytes, from its end: it may hold years.
const MOST_READ: u64 = 64 << 20;
/// What a line has that says so; every other line is passed over without being understood.
const MARK: &[u8] = b"\"whole\":true";
/// What a line has that says that a session was put back on purpose.
const PUT_BACK: &[u8] = b"\"decision\":\"hold-restore\"";

/// A session of a store, both as records name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sought {
    /// The root of the store.
    pub store: String,
    /// The id of the session.
    pub session: String,
}

/// When a session was deleted, and by which run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    pub time: DateTime<Utc>,
    pub run: String,
}

/// The newest deletion of each session that is sought, by its position; `user` narrows it to the records of one
/// account.
///
/// # Errors
/// When a segment cannot be read.
pub fn deletions(
    dir: &Path,
    names: Option<&Names>,
    user: Option<&str>,
    sought: &[Sought],
) -> Result<BTreeMap<usize, Deletion>, LedgerError> {
    // Names are compared as they are and, where there is a key, in keyed form, because the policy may have
    // changed that. A session that was put back after it counts as none.
    let keyed = |name: &str| names.map(|names| names.keyed(name));
    let mut open: HashMap<(String, String), usize> = HashMap::new();
    let mut stores: HashMap<&str, Option<String>> = HashMap::new();
    for (at, each) in sought.iter().enumerate() {
        let store = stores.entry(&each.store).or_insert_with(|| keyed(&each.store));
        open.extend(store.clone().zip(keyed(&each.session)).map(|key| (key, at)));
        open.insert((each.store.clone(), each.session.clone()), at);
    }
    let users: Vec<String> =
        user.into_iter().flat_map(|user| [Some(user.to_owned()), keyed(user)]).flatten().collect();
    let mut found = BTreeMap::new();
    let mut settled = vec![false; sought.len()];
    let mut read = 0;
    for segment in segments::open_all(dir)?.iter().rev() {
        for line in Backwards::new(&segment.file).at("read", &segment.path)? {
            if open.is_empty() || read > MOST_READ {
                // What is older than that is taken for not deleted: it costs a remark of `check`, and no file.
                return Ok(found);
            }
            let bytes = line.at("read", &segment.path)?.bytes;
            read += bytes.len() as u64 + 1;
            let has = |mark: &[u8]| memchr::memmem::find(&bytes, mark).is_some();
            // By their bytes: to parse each line of years would take minutes, and these are a few of thousands.
            // A name that holds such text has its quotes escaped.
            if !has(MARK) && !has(PUT_BACK) {
                continue;
            }
            let Some(record) = Record::parse(&bytes).filter(|record| record.event == "outcome") else {
                continue;
            };
            let is_theirs = || record.text("user").is_some_and(|name| users.iter().any(|user| user == name));
            if user.is_some() && !is_theirs() {
                continue;
            }
            let (Some(store), Some(session)) = (record.text("store"), record.text("session")) else {
                continue;
            };
            // The newest record of a session is met first, and decides.
            let Some(at) = open.remove(&(store.to_owned(), session.to_owned())) else { continue };
            if std::mem::replace(&mut settled[at], true) || record.text("decision") == Some("hold-restore") {
                continue;
            }
            found.insert(at, Deletion { time: record.time, run: record.run });
        }
    }
    Ok(found)
}
