//! The end of a segment: where the chain stands, and what a crash left behind it.

use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::LedgerError;
use super::entry::{Head, digest};
use super::read::Record;
use super::segments::{self, Backwards};
use crate::error::At as _;
use crate::files;

/// How a segment ends.
pub(super) struct Tail {
    /// The last whole record in it.
    pub head: Option<Head>,
    /// Whether the last byte is something else than a newline.
    pub lacks_newline: bool,
    /// What a `torn` record has to account for.
    pub torn: Option<Torn>,
}

/// Bytes behind the last whole record.
pub(super) struct Torn {
    /// How many, without the newline that ends them.
    pub bytes: u64,
    /// Their SHA-256 (hex).
    pub sha256: String,
    /// SHA-256 (hex) of the last line of them.
    pub last_line: String,
}

impl Tail {
    pub(super) fn clean() -> Self {
        Self { head: None, lacks_newline: false, torn: None }
    }
}

fn head_from(line: &[u8]) -> Option<Head> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
        #[serde(rename = "prev")]
        _prev: serde::de::IgnoredAny,
    }
    let Numbered { seq, .. } = serde_json::from_slice(line).ok()?;
    Some(Head { seq, sha256: digest(line) })
}

/// Reads back from the end to the last whole record.
pub(super) fn read(file: &File) -> io::Result<Tail> {
    let length = file.metadata()?.len();
    let mut tail = Tail::clean();
    // The hash of the last line, once it is known to be no record.
    let mut last_line = None;
    let mut torn_from = 0;
    for line in Backwards::new(file)? {
        let line = line?;
        tail.lacks_newline |= !line.ended;
        if let Some(head) = head_from(&line.bytes) {
            tail.head = Some(head);
            torn_from = line.offset + line.bytes.len() as u64 + 1;
            break;
        }
        // Of the last one alone, which the record that accounts for it names as the one before.
        last_line.get_or_insert_with(|| digest(&line.bytes));
    }
    tail.torn = match last_line {
        Some(last_line) => {
            let bytes = (length - u64::from(!tail.lacks_newline)).saturating_sub(torn_from);
            Some(Torn { bytes, sha256: hash_range(file, torn_from, bytes)?, last_line })
        }
        // A record without its newline, and a segment without a record, are torn as well.
        None if tail.lacks_newline || tail.head.is_none() => {
            Some(Torn { bytes: 0, sha256: String::new(), last_line: String::new() })
        }
        None => None,
    };
    Ok(tail)
}

fn hash_range(mut file: &File, from: u64, length: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(from))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file.take(length), &mut hasher)?;
    Ok(hex::encode(hasher.finalize()))
}

/// The last whole record of the closed segments; the place before the first where there is none.
pub(super) fn newest_closed(dir: &Path) -> Result<Head, LedgerError> {
    for path in segments::closed(dir)?.iter().rev() {
        if let Some(head) = head_of(path)? {
            return Ok(head);
        }
    }
    Ok(Head::genesis())
}

/// The last whole record of a segment.
pub(super) fn head_of(path: &Path) -> Result<Option<Head>, LedgerError> {
    let Some(file) = files::open_for_reading(path)? else { return Ok(None) };
    Ok(read(&file).at("read", path)?.head)
}

/// The time of the newest record of a segment that a proven clock wrote.
pub(super) fn newest_proven(path: &Path) -> Result<Option<DateTime<Utc>>, LedgerError> {
    let Some(file) = files::open_for_reading(path)? else { return Ok(None) };
    Ok(newest_proven_in(&file).at("read", path)?)
}

/// The same of an open one.
pub(super) fn newest_proven_in(file: &File) -> io::Result<Option<DateTime<Utc>>> {
    for line in Backwards::new(file)? {
        if let Some(record) = Record::parse(&line?.bytes).filter(|record| record.clock_proven) {
            return Ok(Some(record.time));
        }
    }
    Ok(None)
}

/// The time of the first record of an open segment that a proven clock wrote.
pub(super) fn first_proven_in(mut file: &File) -> io::Result<Option<DateTime<Utc>>> {
    file.seek(SeekFrom::Start(0))?;
    for line in io::BufReader::new(file).split(b'\n') {
        if let Some(record) = Record::parse(&line?).filter(|record| record.clock_proven) {
            return Ok(Some(record.time));
        }
    }
    Ok(None)
}

/// The time of the newest record of the closed segments that a proven clock wrote.
pub(super) fn newest_closed_proven(dir: &Path) -> Result<Option<DateTime<Utc>>, LedgerError> {
    for path in segments::closed(dir)?.iter().rev() {
        if let Some(time) = newest_proven(path)? {
            return Ok(Some(time));
        }
    }
    Ok(None)
}
