//! What was taken from a ledger by something else than its own expiry, and the record that says so.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::entry::{Entry, Event, Head, digest};
use super::segments::{self, Backwards};
use super::{ACTIVE, Ledger, LedgerError};
use crate::error::At as _;
use crate::escape::shown;

/// A record that says that the ledger had been cut or replaced by the time it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub segment: PathBuf,
    /// The line of the record, from 1.
    pub line: u64,
    /// The record that was missing; `None` where the file held no record at all.
    pub missing: Option<Head>,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "'{}', line {}: ", shown(&self.segment), self.line)?;
        match &self.missing {
            Some(head) => {
                write!(out, "record {} with the hash {} was no longer there", head.seq, head.sha256)
            }
            None => write!(out, "the ledger held no record and was begun anew"),
        }
    }
}

impl Ledger {
    /// Compares the ledger with the head that the last run ended with, and records where it was cut or replaced.
    pub(super) fn compare(&mut self, remembered: &Head, now: DateTime<Utc>) -> Result<(), LedgerError> {
        if self.head == *remembered || is_accounted_for(&self.place.dir, remembered)? {
            return Ok(());
        }
        self.record_cut(Some(remembered), now).at("write", self.place.dir.join(ACTIVE))?;
        Ok(())
    }

    /// What this run found to be gone and recorded, in words.
    pub fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    pub(super) fn record_cut(&mut self, missing: Option<&Head>, now: DateTime<Utc>) -> std::io::Result<()> {
        let mut entry = Entry::new(Event::LedgerCut);
        entry.head = missing.cloned();
        self.write(&[entry], now)?;
        // The segment ends here: it expires when its newest record has, and in one that goes on this never ends.
        self.rotate_at = 0;
        self.rotate_if_large(now);
        let what = match missing {
            Some(head) => format!(
                "records were removed from the ledger in '{}', or it was replaced: record {}, which an earlier run ended \
                 with, is not in it",
                shown(&self.place.dir),
                head.seq
            ),
            None => format!(
                "the ledger '{}' held no record and was begun anew: what it recorded before is gone",
                shown(&self.place.dir.join(ACTIVE))
            ),
        };
        self.cut = Some(format!("{what}; this is recorded, and `ccretain ledger verify` shows it"));
        Ok(())
    }
}

/// Whether a record is there, has expired, or is recorded as missing already.
fn is_accounted_for(dir: &Path, sought: &Head) -> Result<bool, LedgerError> {
    #[derive(Deserialize)]
    struct Line {
        seq: u64,
        event: String,
        head: Option<Head>,
    }
    let (mut oldest, mut expired) = (u64::MAX, false);
    for segment in segments::open_all(dir)?.iter().rev() {
        for line in Backwards::new(&segment.file).at("read", &segment.path)? {
            let bytes = line.at("read", &segment.path)?.bytes;
            let Ok(Line { seq, event, head }) = serde_json::from_slice(&bytes) else { continue };
            if seq == sought.seq && digest(&bytes) == sought.sha256 {
                return Ok(true);
            }
            oldest = oldest.min(seq);
            match (event.as_str(), head) {
                // A run that was not by the rules leaves the remembered head as it was.
                ("ledger-cut", Some(missing)) if missing == *sought => return Ok(true),
                ("expired", Some(last)) => expired |= last.seq >= sought.seq,
                _ => {}
            }
        }
    }
    Ok(expired && oldest > sought.seq)
}
