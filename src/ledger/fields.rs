//! The keys of a line and the events, in one table each; the manual prints them.

use super::Event;
use super::entry::SET_BY_CALLERS;

/// The keys that the ledger itself sets, with what they mean.
const SET_BY_LEDGER: &[(&str, &str)] = &[
    ("seq", "The number of the record; the first ever is 1, each next one more, across segments."),
    ("time", "When it was written: RFC 3339, UTC, milliseconds, by the clock of the run."),
    ("run", "The id of the run that wrote it."),
    ("event", "What the record is about; see EVENTS."),
    (
        "prev",
        "SHA-256, in lower-case hex, of exactly the bytes of the line before, without its newline; 64 zeros in the \
         first record ever.",
    ),
    ("clock", "`unproven` where the clock guard did not vouch for `time`; else absent."),
];

/// Every key of a line with what it means, in the order in which they are written.
pub fn fields() -> impl Iterator<Item = (&'static str, &'static str)> {
    SET_BY_LEDGER.iter().chain(SET_BY_CALLERS).copied()
}

/// Every event with what it means.
pub const EVENTS: &[(Event, &str)] = &[
    (Event::Started, "A run begins."),
    (Event::RootSeen, "A store was seen for the first time; every later run visits it."),
    (Event::Intent, "Something will be done. The record is on disk before it begins."),
    (Event::Outcome, "What did happen, with counts and every failed path."),
    (Event::Refused, "A guard refused, or a hold or a lock stopped the run."),
    (Event::HoldAdded, "A hold was added."),
    (Event::HoldReleased, "A hold was released or broken."),
    (Event::HeldVanished, "Something held is no longer there, and it was not ccretain that removed it."),
    (Event::Certificate, "A certificate was issued; `sha256` is that of the certificate."),
    (Event::Summary, "The last record of a run: its counts, and the head of the chain before it."),
    (Event::Segment, "The first record of a segment."),
    (Event::Torn, "A line that a crash had cut off was closed; it stays as it is."),
    (Event::Expired, "Old segments were dropped."),
    (
        Event::LedgerCut,
        "The ledger had been cut or replaced: the record in `head`, which an earlier run ended with, was not in it, or \
         the file held no record at all.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    use crate::ledger::entry::{Batch, Ciphertext, Clock, Entry, Failure, Head};

    #[test]
    fn every_key_that_a_line_can_have_is_in_the_table_in_its_order() {
        let text = || Some("x".into());
        let entry = Entry {
            event: Event::Summary,
            user: text(),
            store: text(),
            session: text(),
            project: text(),
            kind: text(),
            rule: text(),
            hold: text(),
            decision: text(),
            outcome: text(),
            whole: true,
            files: Some(1),
            bytes: Some(1),
            lines: Some(1),
            sha256: text(),
            policy: text(),
            reason: text(),
            error: text(),
            path: text(),
            failed: vec![Failure { path: "x".into(), error: "x".into() }],
            sealed: vec![Ciphertext { path: "x".into(), sha256: "x".into() }],
            counts: vec![("x".into(), 1)],
            until: Some(chrono::DateTime::UNIX_EPOCH),
            head: Some(Head::genesis()),
        };
        let batch = Batch { time: "x".into(), run: "x", clock: Clock::Unproven, names: None };
        let mut line = Vec::new();
        batch.encode(&entry, &mut Head::genesis(), &mut line).unwrap();
        let line: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&line).unwrap();
        let mut found: Vec<&str> = line.keys().map(String::as_str).collect();
        let mut table: Vec<&str> = fields().map(|(name, _)| name).collect();
        found.sort_unstable();
        table.sort_unstable();
        assert_eq!(found, table);
    }

    #[test]
    fn every_event_is_in_the_table() {
        // A new event does not compile here until it is in both places.
        let place = |event: Event| match event {
            Event::Started => 0,
            Event::RootSeen => 1,
            Event::Intent => 2,
            Event::Outcome => 3,
            Event::Refused => 4,
            Event::HoldAdded => 5,
            Event::HoldReleased => 6,
            Event::HeldVanished => 7,
            Event::Certificate => 8,
            Event::Summary => 9,
            Event::Segment => 10,
            Event::Torn => 11,
            Event::Expired => 12,
            Event::LedgerCut => 13,
        };
        let places: Vec<usize> = EVENTS.iter().map(|(event, _)| place(*event)).collect();
        assert_eq!(places, (0..14).collect::<Vec<_>>());
    }
}
