//! What transcripts said at the last look: of a file that has not changed since, nothing is read
//! again.
//!
//! One file, `dates.json`, mode 0600, beside the state. It is only a saving: one that is missing,
//! damaged or of another version is as none, and one that cannot be written is no failure. Sessions
//! are deleted by what it says, so a digest guards it against a bit that flipped. It holds dates and
//! project paths, no content.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, TimeDelta, Utc};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::catalogue::Version;
use crate::dir::{FileStamp, FileTime};
use crate::error::{At as _, PathError};
use crate::files::{self, Draft};
use crate::inventory::Dates;
use crate::inventory::transcript::{Facts, Projects};

/// The name of the file.
pub const FILE: &str = "dates.json";
/// The version of its form.
const VERSION: u32 = 5;
/// The program that wrote it.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");
/// A file that changed this shortly before it was read may change again in the same tick of the
/// file system's clock, and look the same.
const SETTLED: TimeDelta = TimeDelta::seconds(3);

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    version: u32,
    /// Another version of the program may read transcripts in another way.
    program: String,
    /// Lists of projects, to which files refer by position: many share one.
    projects: Vec<Vec<String>>,
    files: Vec<Row>,
}

/// What was said, by file.
#[derive(Debug, Default)]
struct Known {
    projects: Vec<Projects>,
    files: Vec<Row>,
    /// The place of each file, by device and inode.
    places: FxHashMap<(u64, u64), u32>,
}

/// One transcript; written as a list of its values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Values")]
struct Row {
    /// Device and inode.
    identity: (u64, u64),
    size: u64,
    modified: Time,
    changed: Time,
    /// The newest record.
    newest: Option<Time>,
    /// Which of the lists of projects is its own.
    projects: u32,
    /// Whether the first project is not among them.
    lacks_first_project: bool,
    is_of_client: bool,
    is_desktop: bool,
    is_damaged: bool,
    untried: Option<Version>,
}

type Values = ((u64, u64), u64, Time, Time, Option<Time>, u32, bool, bool, bool, bool, Option<Version>);

impl From<Row> for Values {
    fn from(row: Row) -> Self {
        let Row { identity, size, modified, changed, newest, projects, lacks_first_project, .. } = row;
        let Row { is_of_client, is_desktop, is_damaged, untried, .. } = row;
        let flags = (is_of_client, is_desktop, is_damaged);
        (
            identity,
            size,
            modified,
            changed,
            newest,
            projects,
            lacks_first_project,
            flags.0,
            flags.1,
            flags.2,
            untried,
        )
    }
}

/// A moment, written as seconds since 1970 and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, u32)", into = "(i64, u32)")]
struct Time(FileTime);

impl From<(i64, u32)> for Time {
    fn from((seconds, nanoseconds): (i64, u32)) -> Self {
        Self(FileTime::new(seconds, nanoseconds))
    }
}

impl From<Time> for (i64, u32) {
    fn from(Time(time): Time) -> Self {
        (time.seconds(), time.nanoseconds())
    }
}

impl Row {
    fn is_of(&self, stamp: &FileStamp) -> bool {
        self.size == stamp.size
            && self.modified == Time(stamp.modified)
            && self.changed == Time(stamp.changed)
    }
}

/// The file of dates, read when the first is asked for.
#[derive(Debug)]
pub struct DateFile {
    path: PathBuf,
    now: DateTime<Utc>,
    known: OnceLock<Known>,
    found: AtomicUsize,
}

impl DateFile {
    /// The file in a folder of state.
    pub fn new(state_dir: &Path, now: DateTime<Utc>) -> Self {
        Self { path: state_dir.join(FILE), now, known: OnceLock::new(), found: AtomicUsize::new(0) }
    }

    fn known(&self) -> &Known {
        self.known.get_or_init(|| self.load().unwrap_or_default())
    }

    fn load(&self) -> Option<Known> {
        let file = files::open_own(&self.path).ok()??;
        let bytes = files::contents(&file, files::DOCUMENT).ok()?;
        let Written { version, program, projects, files } = serde_json::from_slice(guarded(&bytes)?).ok()?;
        // Another version may read a date where this one reads none.
        if version != VERSION || program != PROGRAM {
            return None;
        }
        let list = |list: Vec<String>| list.into_iter().map(Arc::from).collect();
        let places = files.iter().map(|row| row.identity).zip(0..).collect();
        Some(Known { projects: projects.into_iter().map(list).collect(), files, places })
    }

    fn save(&self, known: &Written) -> Result<(), Box<dyn std::error::Error>> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        files::private_dir(dir)?;
        let mut draft = Draft::private(dir)?;
        write_guarded(draft.file(), &serde_json::to_vec(known)?)?;
        // Not flushed to disk: what a crash leaves of it has not its digest, and so is as none.
        Ok(draft.replace(&self.path)?)
    }
}

/// What stands before the digest of the dates, between the two, and at the end: together one object.
const AROUND: [&[u8]; 3] = [b"{\"sha256\":\"", b"\",\"dates\":", b"}"];

fn write_guarded(mut to: impl io::Write, dates: &[u8]) -> io::Result<()> {
    let [before, between, end] = AROUND;
    let digest = hex::encode(Sha256::digest(dates));
    [before, digest.as_bytes(), between, dates, end].into_iter().try_for_each(|part| to.write_all(part))
}

/// The dates in the content of a file, if they are those that were written.
fn guarded(bytes: &[u8]) -> Option<&[u8]> {
    let [before, between, end] = AROUND;
    let (digest, rest) = bytes.strip_prefix(before)?.split_at_checked(2 * Sha256::output_size())?;
    let dates = rest.strip_prefix(between)?.strip_suffix(end)?;
    (digest == hex::encode(Sha256::digest(dates)).as_bytes()).then_some(dates)
}

/// Forgets what every transcript said: where a purge has passed, not even their projects' paths stay.
///
/// # Errors
/// When the file is there and cannot be removed.
pub fn forget(state_dir: &Path) -> Result<(), PathError> {
    let path = state_dir.join(FILE);
    files::remove_own(&path).at("remove", &path)
}

impl Dates for DateFile {
    fn find(&self, stamp: &FileStamp) -> Option<Facts> {
        let known = self.known();
        let at = *known.places.get(&(stamp.device, stamp.inode))?;
        let row = known.files.get(at as usize).filter(|row| row.is_of(stamp))?;
        let newest = match row.newest {
            Some(Time(time)) => Some(time.date()?),
            None => None,
        };
        // The clock was set back since: what is not later than now has to be found anew.
        if newest > Some(self.now) {
            return None;
        }
        let projects = known.projects.get(row.projects as usize)?.clone();
        self.found.fetch_add(1, Ordering::Relaxed);
        let Row { lacks_first_project, is_of_client, is_desktop, is_damaged, untried, .. } = *row;
        Some(Facts {
            newest,
            projects,
            lacks_first_project,
            is_of_client,
            is_desktop,
            is_damaged,
            untried,
            ..Facts::default()
        })
    }

    fn keep(&mut self, all: &mut dyn Iterator<Item = (&FileStamp, &Facts)>) {
        let settled = self.now - SETTLED;
        let is_settled = |stamp: &FileStamp| stamp.changed.date().is_some_and(|changed| changed < settled);
        let all: Vec<_> = all.filter(|(stamp, facts)| is_settled(stamp) && !facts.has_later).collect();
        let before = self.known().files.len();
        // It is a megabyte of a large store, and what comes after needs room.
        drop(self.known.take());
        // Nothing to add, and nothing to forget.
        if all.len() == before && *self.found.get_mut() == before {
            return;
        }
        let (mut projects, mut files) = (Vec::new(), Vec::with_capacity(all.len()));
        let mut lists: HashMap<&[Arc<str>], u32> = HashMap::new();
        for (stamp, facts) in all {
            let list = *lists.entry(&facts.projects).or_insert_with(|| {
                projects.push(facts.projects.iter().map(|project| (**project).to_owned()).collect());
                u32::try_from(projects.len() - 1).unwrap_or(u32::MAX)
            });
            files.push(Row {
                identity: (stamp.device, stamp.inode),
                size: stamp.size,
                modified: Time(stamp.modified),
                changed: Time(stamp.changed),
                newest: facts.newest.map(|date| Time(FileTime::of(date))),
                projects: list,
                lacks_first_project: facts.lacks_first_project,
                is_of_client: facts.is_of_client,
                is_desktop: facts.is_desktop,
                is_damaged: facts.is_damaged,
                untried: facts.untried,
            });
        }
        files.sort_unstable_by_key(|row| row.identity);
        files.dedup_by_key(|row| row.identity);
        let written = Written { version: VERSION, program: PROGRAM.to_owned(), projects, files };
        if let Err(error) = self.save(&written) {
            tracing::debug!(error = %error, "the dates of transcripts are not kept for the next run");
        }
    }
}

/// Fuzz target: whatever the digest guards.
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used)]
pub(super) fn fuzz(dates: &[u8]) {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    let stamp = FileStamp {
        device: 1,
        inode: 2,
        size: 3,
        modified: FileTime::new(1_779_000_000, 0),
        changed: FileTime::new(1_779_000_000, 0),
    };
    FOLDER.with(|folder| {
        let now = crate::fuzzing::now();
        let file = DateFile::new(folder.path(), now);
        write_guarded(std::fs::File::create(&file.path).unwrap(), dates).unwrap();
        let facts = file.find(&stamp);
        assert!(facts.is_none_or(|facts| facts.newest.is_none_or(|newest| newest <= now)));
    });
}

#[cfg(test)]
#[path = "dates_tests.rs"]
mod tests;
