//! What counts as a date, and what the clock guard may compare the clock with.

use chrono::{DateTime, Datelike as _, Utc};

use super::{Artifact, Inventory, Oddity};
use crate::catalogue::{Disposal, Kind};

/// 2024-01-01.
// Clocks without a battery start in 1970, 1980 or 2000, seconds taken for milliseconds give January 1970, and
// Claude Code did not exist before this.
const FIRST: i64 = 1_704_067_200;
/// The last year of RFC 3339; a number beyond it is no date.
const LAST_YEAR: i32 = 9999;

/// The date, if it is one that a file or record of Claude Code can have.
pub fn valid(date: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (date.timestamp() >= FIRST && date.year() <= LAST_YEAR).then_some(date)
}

impl Artifact {
    /// When it was modified, if its modification time is a date.
    pub fn modified(&self) -> Option<DateTime<Utc>> {
        self.stamp.modified.date().and_then(valid)
    }
}

impl Inventory {
    /// The newest date not later than the inventory that Claude Code left in a store.
    pub fn newest_date(&self) -> Option<DateTime<Utc>> {
        // A wrong clock must not vouch for itself, so nothing counts that ccretain may have written: its locks
        // and sealed files, line files (their lines do), settings, which a hook goes into, and files that an
        // unsealing gave today's date. Unknown files may be logs, policies or state of ccretain that somebody
        // keeps in the store.
        let files = self.artifacts.iter().filter(|artifact| self.is_evidence_of_time(artifact));
        let modified = files.filter_map(|artifact| artifact.modified());
        let records = self.sessions.iter().filter_map(|session| session.newest_record);
        let lines = self.line_files.iter().flat_map(|file| &file.content.lines).filter_map(|line| line.date);
        modified.chain(records).chain(lines).filter(|date| *date <= self.taken).max()
    }

    fn is_evidence_of_time(&self, artifact: &Artifact) -> bool {
        let written_by_claude_code = artifact.oddity != Oddity::Foreign
            && !artifact.sealed
            && artifact.kind.is_some_and(|kind| {
                kind.row().disposal == Disposal::File
                    && !matches!(kind, Kind::Own | Kind::Preserved | Kind::OwnLeftover | Kind::Settings)
            });
        let unsealed = self.session_of(artifact).and_then(|session| session.unsealed);
        written_by_claude_code
            && unsealed.is_none_or(|when| artifact.modified().is_some_and(|date| date > when))
    }
}
