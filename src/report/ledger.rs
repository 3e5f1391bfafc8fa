//! The ledger for people and as JSON: its records, and whether they hold together.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::human::{counted, grouped, size, table};
use super::json::time;
use super::style::{Hue, Paint};
use crate::escape::text;
use crate::ledger::{BadLine, Given, Head, Item, LIMITS, Record, Verification};
use crate::purge::certificate::Comparison;

/// What `ledger show` found.
#[derive(Debug)]
pub struct Shown {
    /// Records and lines that are none, in the order they were written.
    pub items: Vec<Item>,
    /// What could not be read.
    pub errors: Vec<String>,
}

/// The records as JSON (`ccretain.ledger/1`), each exactly as the ledger has it.
#[derive(Debug, Serialize)]
pub struct ShownJson<'a> {
    schema: &'static str,
    records: Vec<&'a RawValue>,
    bad: Vec<BadJson>,
    errors: &'a [String],
}

/// A line that is no record.
#[derive(Debug, Serialize)]
pub struct BadJson {
    segment: String,
    offset: u64,
    bytes: u64,
}

impl Shown {
    /// The document for other programs.
    #[must_use]
    pub fn json(&self) -> ShownJson<'_> {
        let mut records = Vec::new();
        let mut bad = Vec::new();
        for item in &self.items {
            match item {
                // Every record was read as JSON before.
                Item::Record(record) => records.extend(serde_json::from_str::<&RawValue>(&record.line)),
                Item::Bad(BadLine { segment, offset, bytes }) => {
                    bad.push(BadJson { segment: text(segment), offset: *offset, bytes: *bytes });
                }
            }
        }
        ShownJson { schema: "ccretain.ledger/1", records, bad, errors: &self.errors }
    }

    /// A table for people, with a total below.
    #[must_use]
    pub fn text(&self, paint: Paint) -> String {
        if self.items.is_empty() {
            return "no records\n".to_owned();
        }
        let mut rows = table(
            &["seq", "time", "event", "what", "session", "project", "files", "lines", "size", "rule", "note"],
            &[0, 6, 7, 8],
        );
        let mut runs: Vec<&str> = Vec::new();
        let mut records = 0;
        for item in &self.items {
            match item {
                Item::Record(record) => {
                    records += 1;
                    if runs.last() != Some(&record.run.as_str()) {
                        runs.push(&record.run);
                    }
                    rows.add_row(cells(record));
                }
                Item::Bad(BadLine { segment, offset, bytes }) => {
                    let name = segment.file_name().map(text).unwrap_or_default();
                    let note = format!("no record: {} at byte {offset} of '{name}'", counted(*bytes, "byte"));
                    let mut cells = vec!["?".to_owned()];
                    cells.extend(std::iter::repeat_n("-".to_owned(), 9));
                    cells.push(note);
                    rows.add_row(cells);
                }
            }
        }
        runs.sort_unstable();
        runs.dedup();
        let mut out = paint.table(&rows, 0, |row| self.items.get(row).map_or(Hue::Plain, hue));
        let _ = writeln!(out, "{} of {}", counted(records, "record"), counted(runs.len() as u64, "run"));
        out
    }
}

fn hue(item: &Item) -> Hue {
    let Item::Record(record) = item else { return Hue::Warn };
    let failed = record.text("error").is_some()
        || record.text("outcome") == Some("failed")
        || record.fields.get("failed").is_some();
    match record.event.as_str() {
        _ if failed => Hue::Bad,
        "refused" | "torn" | "held-vanished" => Hue::Warn,
        _ => Hue::Plain,
    }
}

fn cells(record: &Record) -> Vec<String> {
    // Names were escaped when they were written; a ledger that was tampered with may hold others.
    let said = |key: &str| record.text(key).map(text);
    let number = |key: &str| record.fields.get(key).and_then(Value::as_u64);
    let counts = |key: &str| record.fields.get("counts").and_then(|counts| counts.get(key)?.as_u64());
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let place = said("project").or_else(|| said("path")).or_else(|| said("store"));
    vec![
        record.seq.to_string(),
        time(record.time),
        text(&record.event),
        or_dash(said("outcome").or_else(|| said("decision"))),
        or_dash(said("session").map(|id| short(&id))),
        or_dash(place),
        or_dash(number("files").or_else(|| counts("deleted")).map(grouped)),
        or_dash(number("lines").or_else(|| counts("prunedLines")).map(grouped)),
        or_dash(number("bytes").or_else(|| counts("bytesFreed")).map(size)),
        or_dash(said("rule").or_else(|| said("hold"))),
        note(record),
    ]
}

/// An id as people tell it apart: its first 8 characters, of a keyed one the first 8 of the hash.
#[must_use]
pub fn short(id: &str) -> String {
    let hash = id.strip_prefix("hmac-sha256:").unwrap_or(id);
    hash.chars().take(8).collect()
}

fn note(record: &Record) -> String {
    let mut notes: Vec<String> = Vec::new();
    for key in ["kind", "reason", "error"] {
        notes.extend(record.text(key).map(text));
    }
    for failed in record.fields.get("failed").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| failed.get(key).and_then(Value::as_str).map(text).unwrap_or_default();
        notes.push(format!("'{}': {}", part("path"), part("error")));
    }
    if let Some(exit) = record.fields.get("counts").and_then(|counts| counts.get("exit")?.as_u64()) {
        notes.push(format!("exit {exit}"));
    }
    if !record.clock_proven {
        notes.push("clock not proven".to_owned());
    }
    if notes.is_empty() { "-".to_owned() } else { notes.join("; ") }
}

/// The result of `ledger verify` as JSON (`ccretain.ledger-verify/1`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyJson {
    schema: &'static str,
    sound: bool,
    segments: usize,
    records: u64,
    first: Option<u64>,
    last: Option<u64>,
    head: Option<Head>,
    broken: Option<BrokenJson>,
    closed: Vec<PlaceJson>,
    given: Option<GivenJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateJson>,
    /// Whether the head that the last run left in the state is in the chain.
    remembered_head_found: Option<bool>,
    limits: &'static str,
}

/// The first line that does not fit.
#[derive(Debug, Serialize)]
pub struct BrokenJson {
    #[serde(flatten)]
    place: PlaceJson,
    fault: String,
}

/// A line of a segment.
#[derive(Debug, Serialize)]
pub struct PlaceJson {
    segment: String,
    line: u64,
}

/// Where the head that was asked for lies.
#[derive(Debug, Serialize)]
pub struct GivenJson {
    is: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
}

/// A certificate that was compared with the ledger.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateJson {
    file: String,
    id: String,
    belongs: bool,
    /// The record that holds its hash.
    recorded: Option<u64>,
    /// The number of the head that it names.
    head: u64,
    signed_by: Option<String>,
    differs: Vec<String>,
}

/// A certificate and what comparing it with the ledger has shown.
#[derive(Debug)]
pub struct Checked {
    /// The file it was read from.
    pub file: std::path::PathBuf,
    /// Its id.
    pub id: String,
    /// The number of the head of the ledger that it names.
    pub head: u64,
    /// The fingerprint of the key that it says it is signed by.
    pub signed_by: Option<String>,
    /// What was found.
    pub comparison: Comparison,
}

impl Checked {
    fn json(&self) -> CertificateJson {
        CertificateJson {
            file: text(&self.file),
            id: text(&self.id),
            belongs: self.comparison.fits(),
            recorded: self.comparison.recorded,
            head: self.head,
            signed_by: self.signed_by.as_ref().map(text),
            differs: self.comparison.differs.clone(),
        }
    }

    fn text(&self, paint: Paint, out: &mut String) {
        let (file, id) = (text(&self.file), text(&self.id));
        if self.comparison.fits() {
            let recorded = self.comparison.recorded.unwrap_or_default();
            let _ = writeln!(
                out,
                "certificate: {} to this ledger: '{file}', id {id}; it names record {}, and record {recorded} holds its hash",
                paint.good("belongs"),
                self.head
            );
        } else {
            let _ = writeln!(
                out,
                "certificate: {} to this ledger: '{file}', id {id}",
                paint.bad("does not belong")
            );
            for difference in &self.comparison.differs {
                let _ = writeln!(out, "  {}", text(difference));
            }
        }
        if let Some(key) = &self.signed_by {
            let _ = writeln!(
                out,
                "note:  it says that {} signs it, which is for `ssh-keygen -Y verify` to verify",
                text(key)
            );
        }
    }
}

/// A verification with what it was asked.
#[derive(Debug)]
pub struct Verified<'a> {
    /// What was found.
    pub found: &'a Verification,
    /// Whether the head was given by the user, and not only remembered by the last run.
    pub was_given: bool,
    /// The certificate that was to belong to it.
    pub certificate: Option<&'a Checked>,
}

impl Verified<'_> {
    /// Whether the ledger is sound, the head the user gave, if any, is in it, and so is the
    /// certificate.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.wrong().is_empty()
    }

    /// What is wrong, a line each.
    #[must_use]
    pub fn wrong(&self) -> Vec<&'static str> {
        let mut wrong = Vec::new();
        if self.found.broken.is_some() {
            wrong.push("the ledger does not hold together");
        } else if self.was_given && !self.found.is_sound() {
            wrong.push("the head given is not in the ledger");
        }
        if self.certificate.is_some_and(|checked| !checked.comparison.fits()) {
            wrong.push("the certificate does not belong to the ledger");
        }
        wrong
    }

    /// Whether the head that the last run remembered is missing from a chain that holds together.
    #[must_use]
    pub fn lacks_remembered(&self) -> bool {
        !self.was_given && self.found.broken.is_none() && self.found.given == Some(Given::Absent)
    }

    /// The document for other programs.
    #[must_use]
    pub fn json(&self) -> VerifyJson {
        let found = self.found;
        let place = |segment: &std::path::Path, line| PlaceJson { segment: text(segment), line };
        let given = found.given.as_ref().map(|given| match given {
            Given::Newest => GivenJson { is: "newest", seq: found.last(), after: Some(0) },
            Given::Inside { seq, after } => GivenJson { is: "inside", seq: Some(*seq), after: Some(*after) },
            Given::Expired => GivenJson { is: "expired", seq: None, after: None },
            Given::Absent => GivenJson { is: "absent", seq: None, after: None },
        });
        let remembered = found.given.as_ref().filter(|_| !self.was_given).map(|at| *at != Given::Absent);
        VerifyJson {
            schema: "ccretain.ledger-verify/1",
            sound: self.is_sound(),
            segments: found.segments,
            records: found.records,
            first: found.first,
            last: found.last(),
            head: found.head.clone(),
            broken: found.broken.as_ref().map(|broken| BrokenJson {
                place: place(&broken.segment, broken.line),
                fault: broken.fault.to_string(),
            }),
            closed: found.closed.iter().map(|closed| place(&closed.segment, closed.line)).collect(),
            given: given.filter(|_| self.was_given),
            certificate: self.certificate.map(Checked::json),
            remembered_head_found: remembered,
            limits: LIMITS,
        }
    }

    /// The result in words.
    #[must_use]
    pub fn text(&self, paint: Paint) -> String {
        let found = self.found;
        let mut out = String::new();
        let read =
            format!("{} in {}", counted(found.records, "record"), counted(found.segments as u64, "file"));
        match &found.broken {
            None if found.segments == 0 => {
                let _ = writeln!(out, "empty: nothing has been recorded yet");
            }
            None => {
                let _ = writeln!(out, "{}: {read}", paint.good("holds together"));
            }
            Some(broken) => {
                let _ = writeln!(
                    out,
                    "{}: '{}' line {}: {}",
                    paint.bad("broken"),
                    text(&broken.segment),
                    broken.line,
                    broken.fault
                );
                let _ = writeln!(out, "before it: {read} that fit");
            }
        }
        if let (Some(first), Some(head)) = (found.first, &found.head) {
            let _ = writeln!(out, "first: {first}\nlast:  {}\nhead:  {}", head.seq, head.sha256);
        }
        for closed in &found.closed {
            let (segment, line) = (text(&closed.segment), closed.line);
            let _ =
                writeln!(out, "a line cut off by a crash was closed and recorded: '{segment}' line {line}");
        }
        if self.was_given {
            let _ = match &found.given {
                Some(Given::Newest) => {
                    writeln!(out, "the head given is the newest record: nothing is missing")
                }
                Some(Given::Inside { seq, after }) => writeln!(
                    out,
                    "the head given is record {seq}: nothing up to it is missing, and {} after it",
                    match after {
                        1 => "1 record comes".to_owned(),
                        _ => format!("{} come", counted(*after, "record")),
                    }
                ),
                Some(Given::Expired) => writeln!(
                    out,
                    "the head given is that of the last record that expired: nothing after it is missing"
                ),
                Some(Given::Absent) => writeln!(
                    out,
                    "{}: records were removed or changed, or it is the head of another ledger",
                    paint.bad("the head given is not in the chain")
                ),
                None => Ok(()),
            };
        }
        if let Some(checked) = self.certificate {
            checked.text(paint, &mut out);
        }
        if !matches!((self.was_given, &found.given), (true, Some(Given::Newest))) {
            let _ = writeln!(out, "note:  {LIMITS}");
        }
        out
    }
}
