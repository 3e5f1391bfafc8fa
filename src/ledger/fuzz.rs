//! Fuzz targets: a ledger that somebody changed, and what a child asks to be recorded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::entry::{Batch, stamp};
use super::{ACTIVE, Clock, Entry, Event, Expected, Filter, Head, Item, Record, records, verify};
use crate::fuzzing::{Choices, Vocabulary, json, now};

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
}

/// A ledger with changes, or any bytes in its place.
pub fn ledger(data: &[u8]) {
    let mut choices = Choices::new(data);
    let base = base();
    let text = match choices.below(3) {
        0 => choices.rest().to_vec(),
        _ => changed(&base, &mut choices),
    };
    FOLDER.with(|folder| {
        File::create(folder.path().join(ACTIVE)).unwrap().write_all(&text).unwrap();
        both_ways(folder.path());
        let expected = Expected { head: None, keep: None, now: now() };
        if verify(folder.path(), &expected).unwrap().is_sound() {
            let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
            let whole: Vec<&[u8]> = base.split_inclusive(|byte| *byte == b'\n').collect();
            // Of the newest record nothing tells whether it is the one that was written.
            let chained = &lines[..lines.len().saturating_sub(1)];
            assert!(
                whole.starts_with(chained),
                "a changed ledger is not sound: {:?}",
                String::from_utf8_lossy(&text)
            );
        }
    });
}

/// Records are the same from the beginning and from the end.
fn both_ways(dir: &Path) {
    let read = |newest| {
        let filter = Filter { newest, ..Filter::default() };
        records(dir, &filter).unwrap().collect::<Result<Vec<Item>, _>>().unwrap()
    };
    assert_eq!(read(None), read(Some(usize::MAX)));
}

fn base() -> Vec<u8> {
    let batch = Batch { time: stamp(now()), run: "r", clock: Clock::Proven, names: None };
    let (mut head, mut text) = (Head::genesis(), Vec::new());
    for event in
        [Event::Started, Event::Intent, Event::Outcome, Event::Intent, Event::Outcome, Event::Summary]
    {
        let entry = Entry { session: Some("s".into()), files: Some(3), ..Entry::new(event) };
        batch.encode(&entry, &mut head, &mut text).unwrap();
    }
    text
}

fn changed(base: &[u8], choices: &mut Choices<'_>) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = base.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for _ in 0..=choices.below(4) {
        let at = choices.below(lines.len());
        match choices.below(8) {
            0 => {
                let place = choices.below(lines.get(at).map_or(1, Vec::len));
                if let Some(byte) = lines.get_mut(at).and_then(|line| line.get_mut(place)) {
                    *byte = choices.byte();
                }
            }
            1 if !lines.is_empty() => drop(lines.remove(at)),
            2 => lines.insert(at, choices.some().to_vec()),
            3 if !lines.is_empty() => lines.insert(at, lines[at].clone()),
            4 => lines.truncate(at),
            5 if !lines.is_empty() => {
                let other = choices.below(lines.len());
                lines.swap(at, other);
            }
            6 => {
                let mut text = json(choices, &FIELDS).into_bytes();
                text.push(b'\n');
                lines.insert(at, text);
            }
            _ => {
                if let Some(line) = lines.get_mut(at) {
                    line.truncate(choices.below(256));
                }
            }
        }
    }
    lines.concat()
}

/// An entry that the child of a run over all users sends.
pub fn entry(data: &[u8]) {
    let mut choices = Choices::new(data);
    let text = match choices.below(3) {
        0 => choices.rest().to_vec(),
        _ => json(&mut choices, &FIELDS).into_bytes(),
    };
    let Ok(entry) = serde_json::from_slice::<Entry<'static>>(&text) else { return };
    let batch = Batch { time: stamp(now()), run: "r", clock: Clock::Proven, names: None };
    let (mut head, mut line) = (Head::genesis(), Vec::new());
    batch.encode(&entry, &mut head, &mut line).unwrap();
    let text = line.strip_suffix(b"\n").unwrap();
    assert!(!text.contains(&b'\n'), "an entry is one line");
    let record = Record::parse(text).expect("what is written can be read");
    assert_eq!((record.seq, record.run.as_str(), record.time), (1, "r", now()));
    let parts = entry.split(64);
    assert!(!parts.is_empty());
}

const FIELDS: Vocabulary = Vocabulary {
    keys: &[
        "event", "seq", "time", "run", "prev", "clock", "store", "session", "project", "rule", "decision",
        "outcome", "files", "bytes", "lines", "sha256", "error", "path", "failed", "sealed", "counts",
        "head", "kind",
    ],
    values: &[
        "\"intent\"",
        "\"outcome\"",
        "\"torn\"",
        "\"segment\"",
        "\"expired\"",
        "1",
        "7",
        "18446744073709551615",
        "\"2026-05-28T00:00:00Z\"",
        "\"unproven\"",
        "\"0000000000000000000000000000000000000000000000000000000000000000\"",
        "{\"event\":\"intent\",\"store\":\"/s\",\"failed\":[{\"path\":\"/p\",\"error\":\"e\\n\"}]}",
        "{\"seq\":1,\"sha256\":\"00\"}",
    ],
};
