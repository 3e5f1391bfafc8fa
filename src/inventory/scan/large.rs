//! Large documents of a store: read last, one after another, and within a budget that they share.
//!
//! Each is within its own bound, and many of them would still take minutes and gigabytes: a user can make as many
//! copies of a global file as there is room for. Which of them are read must not depend on threads, or two equal dry
//! runs would differ: the newest are.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use super::{Place, Walk, locked};
use crate::catalogue::{Kind, Match};
use crate::dir::{FileType, Stat};
use crate::files::{DOCUMENT, LARGE};
use crate::inventory::batch::Batch;
use crate::inventory::content::Said;

/// So many bytes of large documents are read in one look.
const MOST_BYTES: u64 = 4 * DOCUMENT;
/// Nor are more of their entries held.
const MOST_ENTRIES: usize = 1_000_000;
/// More large documents than these are beyond the budget, whatever is in it.
const MOST: usize = (MOST_BYTES / LARGE) as usize;

/// A large document that was met.
pub(super) struct Large {
    place: Arc<Place>,
    name: Box<OsStr>,
    stat: Stat,
    recognised: Match,
}

impl Large {
    /// The newest first.
    fn order(&self, other: &Self, walk: &Walk<'_>) -> std::cmp::Ordering {
        let modified = |large: &Self| {
            let time = large.stat.stamp.modified;
            Reverse((time.seconds(), time.nanoseconds()))
        };
        let path = |large: &Self| walk.path(large.place.store, large.place.index, Some(&large.name));
        modified(self).cmp(&modified(other)).then_with(|| path(self).cmp(&path(other)))
    }
}

/// Whether a file is read whole and is large.
pub(super) fn is_large(recognised: Match, stat: &Stat) -> bool {
    let is_document = matches!(
        recognised.kind,
        Kind::GlobalConfig | Kind::ConfigBackup | Kind::SessionsIndex | Kind::SealedRecord
    );
    is_document && stat.file_type == FileType::File && stat.stamp.size > LARGE
}

impl Walk<'_> {
    /// Takes a large document for later.
    pub(super) fn put_off(
        &self,
        batch: &mut Batch,
        place: &Arc<Place>,
        name: &OsStr,
        stat: Stat,
        recognised: Match,
    ) {
        let large = Large { place: Arc::clone(place), name: Box::from(name), stat, recognised };
        let last = {
            let mut all = locked(&self.large);
            let at = all.partition_point(|other| other.order(&large, self).is_lt());
            all.insert(at, large);
            // Each keeps its folder open.
            if all.len() > MOST { all.pop() } else { None }
        };
        if let Some(Large { place, name, stat, recognised }) = last {
            let mut none = Room { bytes: 0, entries: 0 };
            self.note(batch, &place, &name, &stat, Some(recognised), Some(&mut none));
        }
    }

    /// Reads what was put off, once everything else has been seen.
    pub(super) fn read_large(&self) {
        let mut room = Room { bytes: MOST_BYTES, entries: MOST_ENTRIES };
        for Large { place, name, stat, recognised } in std::mem::take(&mut *locked(&self.large)) {
            self.note(&mut self.batch(), &place, &name, &stat, Some(recognised), Some(&mut room));
        }
    }
}

/// How much more of large documents is read.
#[derive(Debug)]
pub(super) struct Room {
    bytes: u64,
    entries: usize,
}

impl Room {
    /// Takes the room that reading a file needs.
    pub fn take(&mut self, size: u64) -> io::Result<()> {
        // What is larger than any document is told so, and not read.
        if size <= DOCUMENT {
            self.bytes = self.bytes.checked_sub(size).ok_or_else(too_much)?;
        }
        Ok(())
    }

    /// Takes the room that holding what it says needs.
    pub fn hold(&mut self, said: &Said) -> io::Result<()> {
        if let Said::Lines(lines) = said {
            self.entries = self.entries.checked_sub(lines.lines.len()).ok_or_else(too_much)?;
        }
        Ok(())
    }
}

fn too_much() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is one of many large files, of which {} MiB in all are read", MOST_BYTES >> 20),
    )
}
