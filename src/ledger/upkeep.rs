//! What a run does to the files besides appending: torn lines, rotation, expiry.

use std::fs::File;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::entry::{self, Batch, Entry, Event, Head};
use super::expiry::REASON;
use super::file::{self, Lost};
use super::{ACTIVE, Ledger, LedgerError, segments, tail};
use crate::error::{At as _, PathError, chain};
use crate::files;
use crate::period::{Length, Period};

/// So many segments hold the records that `keep` keeps.
const PARTS: i32 = 10;

impl Ledger {
    /// Ends what a crash cut off and says so.
    pub(super) fn close_torn(&mut self, tail: &tail::Tail, now: DateTime<Utc>) -> io::Result<()> {
        if tail.lacks_newline {
            // The bytes stay as they are, whatever they were: a ledger that is mended by removing something
            // proves nothing.
            self.put(b"\n")?;
        }
        let Some(torn) = &tail.torn else { return Ok(()) };
        // A ledger may begin here once what is before has expired, and it begins with a segment.
        let begins = tail.head.is_none();
        let mut entry = Entry::new(if begins { Event::Segment } else { Event::Torn });
        if begins {
            entry.until = tail::newest_closed_proven(&self.place.dir).map_err(io::Error::other)?;
        }
        entry.head = Some(self.head.clone());
        if !torn.sha256.is_empty() {
            entry.bytes = Some(torn.bytes);
            entry.sha256 = Some(torn.sha256.as_str().into());
            // The line before this record is the torn one.
            self.head.sha256.clone_from(&torn.last_line);
        }
        let is_begun_anew = begins && self.head.seq == 0;
        self.write(&[entry], now)?;
        // A first segment gets its name with a record in it, so that no crash leaves one without.
        if is_begun_anew { self.record_cut(None, now) } else { Ok(()) }
    }

    /// Begins a new segment where the active one is large.
    pub(super) fn rotate_if_large(&mut self, now: DateTime<Utc>) {
        if self.length >= self.rotate_at {
            self.begin_segment(now);
        }
    }

    /// Begins a new segment where the active one reaches far back. It goes as a whole once its newest record is older than
    /// `keep`: of one that every run adds to, the oldest would stay for ever.
    pub(super) fn rotate_if_old(&mut self, keep: &Period, now: DateTime<Utc>) {
        let Length::Span(keep) = keep.length() else { return };
        let first = tail::first_proven_in(&self.file).unwrap_or_else(|error| {
            self.complaints.push(error.to_string());
            None
        });
        if first.is_some_and(|first| now.signed_duration_since(first) > keep / PARTS) {
            self.begin_segment(now);
        }
    }

    fn begin_segment(&mut self, now: DateTime<Utc>) {
        // Failing that, the old one goes on: a ledger that is too long is better than a deed without a record.
        if self.poisoned {
            return;
        }
        if let Err(error) = self.rotate(now) {
            self.complaints.push(chain(&error));
            // Not with each batch: what failed just now fails for a while.
            self.rotate_at = self.length.saturating_add(self.segment_size);
        }
    }

    fn rotate(&mut self, now: DateTime<Utc>) -> Result<(), PathError> {
        let (active, fresh) = (self.place.dir.join(ACTIVE), self.place.dir.join(segments::FRESH));
        let closed = self.place.dir.join(segments::closed_name(self.head.seq));
        // Never over another segment: two of one number mean that something is wrong that must not be hidden.
        if closed.symlink_metadata().is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists)).at("create", closed);
        }
        let batch = Batch {
            time: entry::stamp(now),
            run: &self.run.0,
            clock: self.clock,
            names: self.names.as_ref(),
        };
        let until = tail::newest_proven_in(&self.file).at("read", &active)?;
        let (file, head) = new_segment(&self.place.dir, &batch, &self.head, until)?;
        let length = file.metadata().at("look at", &fresh)?.len();
        // The second name comes first, so that a reader always finds an active segment; a file
        // system without hard links has a moment in which there is none.
        if std::fs::hard_link(&active, &closed).is_err() {
            files::rename_own(&active, &closed)?;
        }
        if let Err(error) = files::rename_own(&fresh, &active) {
            // Records go on into the open file, so it needs its one name back.
            self.poisoned =
                files::rename_own(&closed, &active).is_err() || files::remove_own(&closed).is_err();
            return Err(error);
        }
        (self.file, self.head, self.length) = (file, head, length);
        self.rotate_at = self.segment_size;
        files::sync_dir(&self.place.dir)
    }

    /// Drops closed segments whose newest record is older than `keep`, oldest first.
    pub(super) fn expire(&mut self, keep: &Period, now: DateTime<Utc>) -> Result<(), LedgerError> {
        let mut closed = segments::closed(&self.place.dir)?;
        let mut drop = 0;
        for (index, path) in closed.iter().enumerate() {
            match tail::newest_proven(path)? {
                Some(time) if keep.after(time).is_some_and(|end| end <= now) => drop = index + 1,
                Some(_) => break,
                // Nothing dates it: it goes with the next one that is old.
                None => {}
            }
        }
        closed.truncate(drop);
        let Some(last) = closed.last() else { return Ok(()) };
        let Some(head) = tail::head_of(last)? else { return Ok(()) };
        let mut entry = Entry::new(Event::Expired);
        entry.head = Some(head);
        entry.files = Some(closed.len() as u64);
        entry.bytes =
            Some(closed.iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum());
        entry.reason = Some(format!("{REASON}{keep}").into());
        // On disk before the first file goes: a kill in between leaves more records than it says, and never
        // fewer.
        self.write(&[entry], now).at("write", self.place.dir.join(ACTIVE))?;
        for path in &closed {
            if let Err(error) = files::remove_own(path).at("remove", path) {
                self.complaints.push(chain(&error));
                // What is left must be one piece.
                break;
            }
        }
        Ok(files::sync_dir(&self.place.dir)?)
    }
}

/// Takes back the second name that a rotation left when it was cut off half-way.
pub(super) fn undo_half_rotation(dir: &Path, active: &File) -> Result<(), LedgerError> {
    let Some(path) = segments::closed(dir)?.pop() else { return Ok(()) };
    let Some(closed) = files::open_for_reading(&path)? else { return Ok(()) };
    // Only where it is the same file: a closed segment of its own has what no other has.
    if segments::same_file(&closed, active).at("look at", &path)? {
        files::remove_own(&path).at("remove", &path)?;
    }
    Ok(())
}

/// Writes a segment with its first record, complete and on disk, under its provisional name.
///
/// `until` is the time of the newest record before it, by which an expiry can be judged later.
pub(super) fn new_segment(
    dir: &Path,
    batch: &Batch<'_>,
    before: &Head,
    until: Option<DateTime<Utc>>,
) -> Result<(File, Head), PathError> {
    let fresh = dir.join(segments::FRESH);
    let mut entry = Entry::new(Event::Segment);
    entry.until = until;
    // What it continues, so that each segment can be checked without the one before, which may expire.
    entry.head = (before.seq > 0).then(|| before.clone());
    let mut head = before.clone();
    let mut line = Vec::new();
    batch.encode(&entry, &mut head, &mut line).at("write", &fresh)?;
    files::remove_own(&fresh).at("remove", &fresh)?;
    let mut file = files::private_options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&fresh)
        .at("create", &fresh)?;
    if let Err(Lost::Clean(error) | Lost::Dirty(error)) = file::put_durably(&mut file, 0, &line, || false) {
        let _ = files::remove_own(&fresh);
        return Err(error).at("write", &fresh);
    }
    Ok((file, head))
}
