//! Reading records: for `ledger show`, for the time last seen, for the last run.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::LedgerError;
use super::segments::{self, Backwards, Segment};
use crate::error::{At as _, PathError};

/// A record as it was read; a record of a later version may hold fields this one does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The line as it stands in the file, without its newline.
    pub line: String,
    /// Its sequence number.
    pub seq: u64,
    /// When it was written, by the clock of the run.
    pub time: DateTime<Utc>,
    /// The run that wrote it.
    pub run: String,
    /// What it is about, e.g. `intent`.
    pub event: String,
    /// Whether the clock guard vouched for `time`.
    pub clock_proven: bool,
    /// Every key of the line, those above included.
    pub fields: Map<String, Value>,
}

impl Record {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Known {
            seq: u64,
            time: DateTime<Utc>,
            run: String,
            event: String,
            clock: Option<String>,
        }
        let line = std::str::from_utf8(bytes).ok()?;
        let Known { seq, time, run, event, clock } = serde_json::from_str(line).ok()?;
        let fields = serde_json::from_str(line).ok()?;
        Some(Self { line: line.to_owned(), seq, time, run, event, clock_proven: clock.is_none(), fields })
    }

    /// A field that is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key).and_then(Value::as_str)
    }

    /// Whether it is the summary of `enforce`, and not of another command.
    pub fn is_of_enforce(&self) -> bool {
        self.event == "summary" && matches!(self.text("decision"), Some("enforce" | "audit"))
    }

    /// What a run exited with, in its summary.
    pub fn exit(&self) -> Option<u64> {
        self.fields.get("counts")?.get("exit")?.as_u64()
    }
}

/// A line that is no record: cut off by a crash, or foreign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    pub segment: PathBuf,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; its content is not repeated.
    pub bytes: u64,
}

/// What a reader gives for each line.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Record(Box<Record>),
    /// A line that is none.
    Bad(BadLine),
}

/// Which records are wanted; everything that is given must match.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// At most this many, the newest.
    pub newest: Option<usize>,
    /// None written before this time.
    pub since: Option<DateTime<Utc>>,
    /// Only those whose `session` is one of these; for keyed names give the keyed form as well.
    pub sessions: BTreeSet<String>,
    /// Only those of the runs whose ids begin so.
    pub run: Option<String>,
}

impl Filter {
    fn wants(&self, item: &Item) -> bool {
        let Item::Record(record) = item else {
            // Lines without a time or a session are shown unless something is asked for by name.
            return self.sessions.is_empty() && self.run.is_none();
        };
        self.since.is_none_or(|since| record.time >= since)
            && (self.sessions.is_empty()
                || record.text("session").is_some_and(|id| self.sessions.contains(id)))
            && self.run.as_ref().is_none_or(|run| record.run.starts_with(run.as_str()))
    }
}

/// The records of a ledger in the order they were written.
///
/// With [`Filter::newest`] the files are read from their end, and no further than needed. A line
/// that is no record is given as [`Item::Bad`] and ends nothing. A ledger that does not exist has
/// no records. No lock is taken: a run may be writing.
///
/// # Errors
/// When a segment cannot be opened; later, per item, when one cannot be read.
pub fn records(
    dir: &Path,
    filter: &Filter,
) -> Result<Box<dyn Iterator<Item = Result<Item, PathError>>>, LedgerError> {
    let segments = segments::open_all(dir)?;
    if let Some(newest) = filter.newest {
        let mut found = VecDeque::new();
        for segment in segments.iter().rev() {
            for line in Backwards::new(&segment.file).at("read", &segment.path)? {
                if found.len() >= newest {
                    break;
                }
                let line = line.at("read", &segment.path)?;
                let item = item(&segment.path, &line.bytes, line.offset);
                if filter.wants(&item) {
                    found.push_front(Ok(item));
                }
            }
        }
        return Ok(Box::new(found.into_iter()));
    }
    let filter = filter.clone();
    let items = segments.into_iter().flat_map(forwards);
    Ok(Box::new(items.filter(move |item| item.as_ref().map_or(true, |item| filter.wants(item)))))
}

fn forwards(segment: Segment) -> impl Iterator<Item = Result<Item, PathError>> {
    let Segment { path, file, .. } = segment;
    let mut reader = BufReader::new(file);
    let mut offset = 0;
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut bytes = Vec::new();
        match reader.read_until(b'\n', &mut bytes).at("read", &path) {
            Ok(0) => None,
            Ok(length) => {
                let start = offset;
                offset += length as u64;
                Some(Ok(item(&path, bytes.strip_suffix(b"\n").unwrap_or(&bytes), start)))
            }
            Err(error) => {
                ended = true;
                Some(Err(error))
            }
        }
    })
}

fn item(path: &Path, bytes: &[u8], offset: u64) -> Item {
    match Record::parse(bytes) {
        Some(record) => Item::Record(Box::new(record)),
        None => Item::Bad(BadLine { segment: path.to_owned(), offset, bytes: bytes.len() as u64 }),
    }
}

/// The newest record that `wanted` accepts, read from the end.
fn newest(dir: &Path, wanted: impl Fn(&Record) -> bool) -> Result<Option<Record>, LedgerError> {
    for segment in segments::open_all(dir)?.iter().rev() {
        for line in Backwards::new(&segment.file).at("read", &segment.path)? {
            let line = line.at("read", &segment.path)?;
            if let Some(record) = Record::parse(&line.bytes).filter(&wanted) {
                return Ok(Some(record));
            }
        }
    }
    Ok(None)
}

/// The time of the newest record whose clock was proven: what the clock guard compares with.
///
/// # Errors
/// When a segment cannot be read.
pub fn last_time(dir: &Path) -> Result<Option<DateTime<Utc>>, LedgerError> {
    Ok(newest(dir, |record| record.clock_proven)?.map(|record| record.time))
}

/// The summary of the last run of `enforce` that came to its end.
///
/// # Errors
/// When a segment cannot be read.
pub fn last_run(dir: &Path) -> Result<Option<Record>, LedgerError> {
    newest(dir, Record::is_of_enforce)
}

/// The roots that runs worked on, as they were written; with keyed names they cannot be told.
///
/// # Errors
/// When a segment cannot be read.
pub fn roots(dir: &Path) -> Result<BTreeSet<String>, LedgerError> {
    let mut roots = BTreeSet::new();
    for item in records(dir, &Filter::default())? {
        if let Item::Record(record) = item? {
            roots
                .extend(record.text("store").filter(|root| Path::new(root).is_absolute()).map(str::to_owned));
        }
    }
    Ok(roots)
}

/// The sessions of which a transcript was sealed, or deleted as a file with a record of its own, each with the
/// root it lay in; both as they were written.
///
/// # Errors
/// When a segment cannot be read.
pub fn transcripts(dir: &Path) -> Result<BTreeSet<(String, String)>, LedgerError> {
    let mut seen = BTreeSet::new();
    for item in records(dir, &Filter::default())? {
        let Item::Record(record) = item? else { continue };
        let (Some(root), Some(id)) = (record.text("store"), record.text("session")) else { continue };
        let name = format!("/{id}.jsonl.");
        let is_it =
            |sealed: &Value| sealed.get("path").and_then(Value::as_str).is_some_and(|p| p.contains(&name));
        let sealed = record.fields.get("sealed").and_then(Value::as_array);
        if record.text("kind") == Some("transcript") || sealed.into_iter().flatten().any(is_it) {
            seen.insert((root.to_owned(), id.to_owned()));
        }
    }
    Ok(seen)
}

/// The summaries of the newest runs, at most `most`, the newest first.
///
/// # Errors
/// When a segment cannot be read.
pub fn summaries(dir: &Path, most: usize) -> Result<Vec<Record>, LedgerError> {
    // Lines that are none are passed over without being understood.
    const MARK: &[u8] = b"\"event\":\"summary\"";
    let mut found = Vec::new();
    for segment in segments::open_all(dir)?.iter().rev() {
        for line in Backwards::new(&segment.file).at("read", &segment.path)? {
            if found.len() >= most {
                return Ok(found);
            }
            let line = line.at("read", &segment.path)?;
            // To parse a year's records takes seconds, and this is asked for by `status`.
            if !line.bytes.windows(MARK.len()).any(|part| part == MARK) {
                continue;
            }
            found.extend(Record::parse(&line.bytes).filter(|record| record.event == "summary"));
        }
    }
    Ok(found)
}
