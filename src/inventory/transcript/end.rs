//! What comes after the last dated record: a power loss leaves lines there that cannot be read.

use chrono::{DateTime, Utc};

use super::{Reading, Record};
use crate::inventory::lenient::{Lenient, object};

/// What one line means for the search for damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// A record with a date that is not later than the look: nothing before it matters.
    Dated,
    /// A sound line without such a date, or a blank one.
    Undated,
    /// No JSON object, or one whose timestamp is no date.
    Damaged,
}

impl Line {
    pub(super) fn of_record(record: &Record<'_>, now: DateTime<Utc>) -> Self {
        match (&record.timestamp, record.timestamp.date()) {
            (Lenient::Absent, _) => Self::Undated,
            // A timestamp that is none is what a clock of 1970 leaves; none at all is what notes have.
            (_, None) => Self::Damaged,
            // A clock that was ahead dates nothing, so what was lost after it may be the newest.
            (_, Some(date)) if date > now => Self::Undated,
            (_, Some(_)) => Self::Dated,
        }
    }
}

impl Reading<'_> {
    /// Takes whole lines that come before those already taken, the last one first.
    pub(super) fn end(&mut self, bytes: &[u8]) {
        let mut rest = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        while self.is_end_damaged.is_none() {
            let start = memchr::memrchr(b'\n', rest).map_or(0, |newline| newline + 1);
            let line = self.line(&rest[start..]);
            self.end_with(line);
            let Some(newline) = start.checked_sub(1) else { break };
            rest = &rest[..newline];
        }
    }

    /// Takes what one line says.
    pub(super) fn line(&mut self, line: &[u8]) -> Line {
        // However its keys are written, a record that ends the search counts.
        match object::<Record<'_>>(line) {
            Some(record) => {
                self.note(&record);
                Line::of_record(&record, self.now)
            }
            None if line.trim_ascii().is_empty() => Line::Undated,
            None => Line::Damaged,
        }
    }

    /// Takes one line that comes before those already taken.
    pub(super) fn end_with(&mut self, line: Line) {
        self.is_end_damaged = self.is_end_damaged.or(match line {
            Line::Dated => Some(false),
            Line::Undated => None,
            Line::Damaged => Some(true),
        });
    }
}
