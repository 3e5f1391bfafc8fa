//! The ledger: a hash-chained, append-only record of what was intended and what was done.
//!
//! # Files
//!
//! All in one folder of mode 0700, each of mode 0600 and owned by the user who runs:
//!
//! | file | what it is |
//! | --- | --- |
//! | `ledger.jsonl` | the active segment, the only one that is written to |
//! | `ledger-<N>.jsonl` | a closed segment; `<N>` (12 digits or more) is the last sequence number in it |
//! | `ledger.lock` | held exclusively (`flock`) by the one run that may write; never removed |
//! | `ledger.reserve` | 1 MiB given back on a full disk, so that deletions can still be recorded |
//! | `ledger.key` | the key of keyed names, in the folder of state |
//! | `head.json` | the head that the last run ended with, in the folder of state (`head-of-all.json`) |
//!
//! # Lines
//!
//! A segment is UTF-8 text; each line is one JSON object and ends with one newline. Keys come in a
//! fixed order, absent values are left out, and a reader ignores keys that it does not know.
//!
//! The keys are in [`fields()`], the events in [`EVENTS`].
//!
//! Paths are printed as everywhere ([`crate::escape`]). With `"names": "keyed"` `user`, `store`, `session`,
//! `project` and all paths are keyed hashes ([`Names`]) and paths are cut out of error messages.
//! No record holds content of a transcript.
//!
//! # Chain
//!
//! To check by hand: `head -n K ledger.jsonl | tail -n 1 | tr -d '\n' | sha256sum` is the `prev` of
//! line K+1. An *intent* is on disk (`fdatasync`) before its deed begins. A run ends with a
//! `summary`; the hash of its line is the *head* of the chain, to be kept elsewhere by whoever wants
//! to be able to show that nothing was removed from the end.
//!
//! A segment is closed when it is larger than 8 MiB, and by the first run that finds its first record older than a
//! tenth of `ledger.keep`, so that no record stays for much longer than that. The next begins with a `segment` record
//! that repeats the last number and hash of the one before, and the time of its newest record. Closed segments whose newest record is older than
//! `ledger.keep` are dropped whole, oldest first, after an `expired` record that names the last
//! record dropped is on disk. A clock that is not proven drops nothing.
//!
//! A line that a crash cut off is ended by the next run with a newline and left as it is; a `torn`
//! record follows, whose `sha256` covers all bytes between the last whole record and that newline, whose
//! `bytes` is their number, whose `prev` is as always the hash of the line before (the torn one), and
//! whose number follows that of the last whole record. A record that only lacks its newline is kept.
//!
//! A run compares the chain with the head that the last run left in `head.json`. Where that record is neither there nor expired,
//! or the file held no record at all, a `ledger-cut` record says so, and as long as it is there the ledger is not sound. The
//! segment is closed behind it, so that it expires as other records do.
//!
//! A chain without a secret shows changes to anyone who has a head from another place, and only
//! carelessness to others: whoever may write the files can also compute hashes.

mod cut;
mod deletions;
mod entry;
mod expiry;
mod fields;
pub(crate) mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod message;
mod names;
mod own;
mod read;
mod remembered;
mod sealed;
mod segments;
mod tail;
mod upkeep;
mod verify;

/// Opens the segment that is written to.
fn active_segment(dir: &Path) -> Result<(File, Head, tail::Tail), LedgerError> {
    let active = dir.join(ACTIVE);
    let mut options = files::private_options();
    options.read(true).append(true);
    // A rotation that was cut off left it with a second name of ours; any other second name is refused below.
    let opened = files::open_named_twice(&options, &active)?;
    upkeep::undo_half_rotation(dir, &opened)?;
    files::has_one_name(&opened, &active)?;
    let tail = tail::read(&opened).at("read", &active)?;
    let head = match &tail.head {
        Some(head) => head.clone(),
        None => tail::newest_closed(dir)?,
    };
    Ok((opened, head, tail))
}

/// Makes the segment that will be written to; on a full disk, in the place of the reserve.
fn first_segment(
    dir: &Path,
    batch: &Batch<'_>,
    reserve: &Reserve,
) -> Result<(File, Head, tail::Tail), LedgerError> {
    let (before, until) = (tail::newest_closed(dir)?, tail::newest_closed_proven(dir)?);
    let (opened, head) = match upkeep::new_segment(dir, batch, &before, until) {
        Err(error) if file::is_full(&error.source) && reserve.release() => {
            upkeep::new_segment(dir, batch, &before, until)?
        }
        other => other?,
    };
    // Only once its first record is on disk: an empty active segment would be a ledger without a beginning.
    files::rename_own(&dir.join(segments::FRESH), &dir.join(ACTIVE))?;
    files::sync_dir(dir)?;
    if let Some(above) = dir.parent() {
        // The folder itself may be new; who may not open what is above it loses nothing.
        let _ = files::sync_dir(above);
    }
    Ok((opened, head, tail::Tail::clean()))
}

#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::error::{At as _, PathError, chain};
use crate::escape::shown;
use crate::files;
use crate::policy::{self, LedgerPolicy};
pub use deletions::{Deletion, Sought, deletions};
use entry::Batch;
#[cfg(test)]
pub use entry::GENESIS;
pub use entry::{Ciphertext, Clock, Entry, Event, Failure, Head, RunId};
pub use expiry::{Allowed, Expiry, KeepInForce};
pub use fields::{EVENTS, fields};
use file::{Lost, Reserve};
#[cfg(test)]
pub use names::KEY_FILE;
pub use names::Names;
pub use read::{BadLine, Filter, Item, Record, last_run, last_time, records, roots, summaries, transcripts};
pub use remembered::remembered;
pub use sealed::SealedRecords;
pub use segments::ACTIVE;
pub use verify::{Expected, Fault, Given, LIMITS, Verification, verify};

/// Size in bytes above which the active segment is closed.
const SEGMENT_SIZE: u64 = 8 * 1024 * 1024;

/// Why a ledger cannot be used; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another run holds the lock (exit 75).
    #[error("another run holds the ledger '{}'", shown(path))]
    Locked {
        /// The folder of the ledger.
        path: PathBuf,
    },
    /// A file could not be read or written, or is not what a file of ours must be.
    #[error(transparent)]
    File(#[from] PathError),
}

impl LedgerError {
    /// Whether another run is the reason, and waiting would help.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }
}

/// The files that keep what the last run ended with, of a user's own ledger and of that of all. Not called as the
/// segments are: whoever removes those by a pattern leaves them.
pub const HEADS: [&str; 2] = ["head.json", "head-of-all.json"];

/// Where a ledger lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder of the ledger ([`crate::environment::Environment::ledger_dir`]).
    pub dir: PathBuf,
    /// The folder of state, where the key of keyed names is kept: on macOS logs are collected
    /// by support tools, and the key must not travel with the ledger.
    pub state_dir: PathBuf,
    /// Whether it is that of all users: root's own is kept by the same folder of state.
    pub is_of_all: bool,
}

impl Place {
    /// The file that keeps what the last run ended with.
    fn head(&self) -> PathBuf {
        let [own, of_all] = HEADS;
        self.state_dir.join(if self.is_of_all { of_all } else { own })
    }
}

/// Where a run records what it is about to do: its own ledger, or one that somebody else keeps.
pub trait Journal {
    /// Records a batch; only when this returns may the deeds it announces begin.
    ///
    /// # Errors
    /// When the batch is not on disk.
    fn append(&mut self, entries: &[Entry<'_>], now: DateTime<Utc>) -> io::Result<()>;
}

impl Journal for Ledger {
    fn append(&mut self, entries: &[Entry<'_>], now: DateTime<Utc>) -> io::Result<()> {
        Self::append(self, entries, now)
    }
}

/// A ledger opened for writing by one run; holds the lock until it is dropped.
#[derive(Debug)]
pub struct Ledger {
    place: Place,
    /// What the last run ended with.
    remembered: Option<Head>,
    run: RunId,
    clock: Clock,
    names: Option<Names>,
    file: File,
    length: u64,
    written: u64,
    head: Head,
    reserve: Reserve,
    reserve_used: bool,
    buffer: Vec<u8>,
    rotate_at: u64,
    segment_size: u64,
    poisoned: bool,
    complaints: Vec<String>,
    cut: Option<String>,
    _lock: File,
}

impl Ledger {
    /// Opens the ledger for one run: makes what is missing, takes the lock, closes a torn line,
    /// makes the reserve (where there is space), rotates, and lets old segments expire.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] where another run writes; otherwise when the ledger cannot be
    /// written or is a link, somebody else's or not a regular file. Nothing may be changed in a
    /// store then.
    pub fn open(
        place: &Place,
        policy: &LedgerPolicy,
        run: &RunId,
        clock: Clock,
        now: DateTime<Utc>,
    ) -> Result<Self, LedgerError> {
        Self::open_sized(place, policy, run, clock, now, SEGMENT_SIZE)
    }

    fn open_sized(
        place: &Place,
        policy: &LedgerPolicy,
        run: &RunId,
        clock: Clock,
        now: DateTime<Utc>,
        segment_size: u64,
    ) -> Result<Self, LedgerError> {
        let dir = &place.dir;
        files::private_dir(dir)?;
        // Before anything else is looked at: a run that still writes may be about to rotate.
        let lock = take_lock(dir)?;
        let names = match policy.names {
            policy::Names::Plain => None,
            policy::Names::Keyed => Some(Names::load_or_create(&place.state_dir)?),
        };
        let fresh = dir.join(segments::FRESH);
        // Whoever was making it is gone, since the lock is ours.
        files::remove_own(&fresh).at("remove", &fresh)?;
        let reserve = Reserve::new(dir);
        let active = dir.join(ACTIVE);
        let batch = Batch { time: entry::stamp(now), run: &run.0, clock, names: names.as_ref() };
        let (opened, head, tail) = match active.symlink_metadata() {
            Ok(_) => active_segment(dir)?,
            Err(_) => first_segment(dir, &batch, &reserve)?,
        };
        let length = opened.metadata().at("look at", &active)?.len();
        // One that cannot be used is written anew at the end of the run.
        let remembered = remembered(place).unwrap_or_else(|error| {
            tracing::warn!(error = chain(&error), "what the last run ended with is not known");
            None
        });
        let mut ledger = Self {
            place: place.clone(),
            remembered: remembered.clone(),
            run: run.clone(),
            clock,
            names,
            file: opened,
            length,
            written: 0,
            head,
            reserve,
            reserve_used: false,
            buffer: Vec::new(),
            rotate_at: segment_size,
            segment_size,
            poisoned: false,
            complaints: Vec::new(),
            cut: None,
            _lock: lock,
        };
        ledger.close_torn(&tail, now).at("write", &active)?;
        if let Err(error) = ledger.reserve.make() {
            ledger.complaints.push(chain(&error));
        }
        ledger.rotate_if_large(now);
        // A clock set ahead must not tell how old anything is.
        if clock == Clock::Proven {
            ledger.rotate_if_old(&policy.keep, now);
        }
        // Before anything expires, whose record would account for it.
        if let Some(head) = remembered {
            ledger.compare(&head, now)?;
        }
        // A clock set ahead would let all records expire, and with them what shows that it was set ahead.
        if clock == Clock::Proven {
            ledger.expire(&policy.keep, now)?;
        }
        Ok(ledger)
    }

    /// Appends a batch with one write and flushes it to disk once; then, and only then, the deeds
    /// it announces may begin. On a full disk the reserve is given back and the batch tried again.
    ///
    /// # Errors
    /// When the batch is not on disk: then none of it is in the ledger, and the next batch may be
    /// tried; if even that cannot be brought about, every later call fails too.
    pub fn append(&mut self, entries: &[Entry<'_>], now: DateTime<Utc>) -> io::Result<()> {
        self.rotate_if_large(now);
        self.write(entries, now)
    }

    /// Closes the run with its summary, which states the head before it; makes the reserve anew
    /// where it was used and there is space. Returns the head of the chain.
    ///
    /// # Errors
    /// When the summary is not on disk.
    pub fn close(&mut self, mut summary: Entry<'_>, now: DateTime<Utc>) -> io::Result<Head> {
        self.rotate_if_large(now);
        // The head before the summary, since no record can hold its own hash.
        summary.head = Some(self.head.clone());
        self.write(&[summary], now)?;
        if self.reserve_used {
            // The disk may still be full; the next run tries again and says so.
            let _ = self.reserve.make();
        }
        Ok(self.head.clone())
    }

    /// The last record: its number and the hash of its line.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many bytes of records this run has written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether the disk was full and the reserve was given back: deletions go first now.
    pub fn reserve_used(&self) -> bool {
        self.reserve_used
    }

    /// What is not as it should be and stops nothing: no reserve, a segment that could not be
    /// closed or dropped.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    fn write(&mut self, entries: &[Entry<'_>], now: DateTime<Utc>) -> io::Result<()> {
        if self.poisoned {
            return Err(io::Error::other("an earlier record could not be written whole"));
        }
        if entries.is_empty() {
            return Ok(());
        }
        // The chain goes on in a copy: a batch that is not on disk must leave no trace in it.
        let mut head = self.head.clone();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let batch = Batch {
            time: entry::stamp(now),
            run: &self.run.0,
            clock: self.clock,
            names: self.names.as_ref(),
        };
        let encoded = entries.iter().try_for_each(|entry| batch.encode(entry, &mut head, &mut buffer));
        let written = encoded.and_then(|()| self.put(&buffer));
        self.buffer = buffer;
        written.map_err(|source| {
            let path = self.place.dir.join(ACTIVE);
            io::Error::new(source.kind(), format!("cannot write '{}': {source}", shown(&path)))
        })?;
        self.head = head;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (reserve, used) = (&self.reserve, &mut self.reserve_used);
        let release = || {
            let freed = reserve.release();
            *used |= freed;
            freed
        };
        match file::put_durably(&mut self.file, self.length, bytes, release) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                self.written += bytes.len() as u64;
                Ok(())
            }
            Err(Lost::Clean(error)) => Err(error),
            Err(Lost::Dirty(error)) => {
                // What may be left of it is no whole record; anything behind it would be lost to every reader.
                self.poisoned = true;
                Err(error)
            }
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // Here and not with the summary, so that what comes after it or without one is remembered, too. Where that
        // fails, an older head is remembered, which is in the chain as well.
        if self.remembered.as_ref() != Some(&self.head)
            && let Err(error) = remembered::remember(&self.place, &self.head)
        {
            tracing::warn!(error = chain(&error), "what the run ended with is not remembered");
        }
    }
}

/// Takes the lock of a ledger without waiting.
fn take_lock(dir: &Path) -> Result<File, LedgerError> {
    let path = dir.join("ledger.lock");
    let options = files::private_options().read(true).write(true).create(true).truncate(false).clone();
    let lock = files::open_private(&options, &path)?;
    // Held by the open file, so that the kernel gives it back when a run is killed.
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Locked { path: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(error).at("lock", &path).map_err(LedgerError::from),
    }
}
