//! Large documents of a store: read last, one after another, and within a budget that they share.
//!
//! Which of them are read must not depend on threads, or two equal dry runs would differ: the newest are.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use super::{Place, Walk, locked};
use crate::catalogue::Match;
use crate::dir::{FileType, Stat};
use crate::files::{Budget, LARGE};
use crate::inventory::batch::Batch;
use crate::inventory::content::{Said, is_document};

/// More entries of large documents are not held.
const MOST_ENTRIES: usize = 1_000_000;
/// More large documents than these are beyond the budget, whatever is in it.
const MOST: usize = (Budget::WHOLE / LARGE) as usize;

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
    is_document(recognised.kind) && stat.file_type == FileType::File && stat.stamp.size > LARGE
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
            let mut none = Room { bytes: Budget::SPENT, entries: 0 };
            self.note(batch, &place, &name, &stat, Some(recognised), Some(&mut none));
        }
    }

    /// Reads what was put off, once everything else has been seen.
    pub(super) fn read_large(&self) {
        let mut room = Room { bytes: Budget::default(), entries: MOST_ENTRIES };
        for Large { place, name, stat, recognised } in std::mem::take(&mut *locked(&self.large)) {
            self.note(&mut self.batch(), &place, &name, &stat, Some(recognised), Some(&mut room));
        }
    }
}

/// How much more of large documents is read.
#[derive(Debug)]
pub(super) struct Room {
    pub bytes: Budget,
    entries: usize,
}

impl Room {
    /// Takes the room that holding what it says needs.
    pub fn hold(&mut self, said: &Said) -> io::Result<()> {
        if let Said::Lines(lines) = said {
            self.entries = self.entries.checked_sub(lines.lines.len()).ok_or_else(Budget::spent)?;
        }
        Ok(())
    }
}
