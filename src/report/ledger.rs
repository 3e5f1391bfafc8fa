//! `ledger show` as a report: the records for people and as JSON.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::human::{counted, grouped, size};
use super::when;
use crate::document::{Column, Document, Hue, Line, Paint, Table};
use crate::escape::text;
use crate::ledger::{BadLine, Item, Record};

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

    /// A row a run for people.
    pub fn by_run(&self, now: DateTime<Utc>, paint: Paint<'_>) -> String {
        let mut rows = Table::new(vec![
            Column::new("run"),
            Column::new("began").rank(1),
            Column::new("command"),
            Column::number("deleted").rank(4),
            Column::number("encrypted").rank(5),
            Column::number("lines").rank(6),
            Column::number("freed").rank(3),
            Column::new("exit"),
            Column::text("note").rank(2),
        ]);
        let mut runs: Vec<(&str, Vec<&Record>)> = Vec::new();
        let mut bad = 0;
        for item in &self.items {
            let Item::Record(record) = item else {
                bad += 1;
                continue;
            };
            match runs.iter_mut().rev().find(|(run, _)| *run == record.run) {
                Some((_, records)) => records.push(record),
                None => runs.push((&record.run, vec![record])),
            }
        }
        for (run, records) in &runs {
            let hue = records.iter().map(|record| hue_of(record)).max_by_key(|hue| *hue as u8);
            rows.coloured(hue.unwrap_or_default(), run_cells(run, records, now, paint));
        }
        let mut document = Document::default();
        let newest = runs.last().map(|(run, _)| short(run));
        document.table(rows);
        if bad > 0 {
            let bad = counted(bad, "line");
            let line = Line::of(format!("{bad} cannot be read: "), Hue::Warn);
            document.text(line.and("`ccretain ledger verify`", Hue::Strong).and(" says where", Hue::Plain));
        }
        match newest {
            None => document.text("no records"),
            Some(run) => {
                let runs = counted(runs.len() as u64, "run");
                document.text(
                    Line::from(format!("{runs}; the records of one: "))
                        .and(format!("`ccretain ledger show --run {run}`"), Hue::Strong),
                );
            }
        }
        document.print(paint)
    }

    /// A row a record for people, with a total below.
    pub fn text(&self, now: DateTime<Utc>, paint: Paint<'_>) -> String {
        if self.items.is_empty() {
            return "no records: `ccretain ledger show` lists the runs\n".to_owned();
        }
        let mut rows = Table::new(vec![
            Column::number("seq").rank(4),
            Column::new("time"),
            Column::new("event"),
            Column::new("what").rank(2),
            Column::new("session").rank(1),
            Column::path("project").rank(5),
            Column::number("files").rank(6),
            Column::number("lines").rank(8),
            Column::number("size").rank(7),
            Column::text("rule").rank(5),
            Column::text("note").rank(3),
        ]);
        let mut runs: Vec<&str> = Vec::new();
        let mut records = 0;
        for item in &self.items {
            match item {
                Item::Record(record) => {
                    records += 1;
                    if runs.last() != Some(&record.run.as_str()) {
                        runs.push(&record.run);
                    }
                    rows.coloured(hue(item), cells(record, now, paint));
                }
                Item::Bad(BadLine { segment, offset, bytes }) => {
                    let name = segment.file_name().map(text).unwrap_or_default();
                    let note = format!("no record: {} at byte {offset} of '{name}'", counted(*bytes, "byte"));
                    let mut cells = vec!["?".to_owned()];
                    cells.extend(std::iter::repeat_n("-".to_owned(), 9));
                    cells.push(note);
                    rows.coloured(hue(item), cells);
                }
            }
        }
        runs.sort_unstable();
        runs.dedup();
        let mut document = Document::default();
        document.table(rows);
        document.text(format!("{} of {}", counted(records, "record"), counted(runs.len() as u64, "run")));
        document.print(paint)
    }
}

fn hue(item: &Item) -> Hue {
    match item {
        Item::Record(record) => hue_of(record),
        Item::Bad(_) => Hue::Warn,
    }
}

/// What one run came to: of most commands its summary tells.
fn run_cells(run: &str, records: &[&Record], now: DateTime<Utc>, paint: Paint<'_>) -> Vec<String> {
    let summary = records.iter().rev().find(|record| record.event == "summary");
    let count = |key: &str| summary?.fields.get("counts")?.get(key)?.as_u64();
    let number = |key: &str| count(key).filter(|count| *count > 0);
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let command = summary.into_iter().chain(records).find_map(|record| record.text("decision"));
    let refused = records.iter().filter(|record| record.event == "refused");
    let mut notes: Vec<String> =
        refused.filter_map(|record| Some(format!("refused: {}", text(record.text("reason")?)))).collect();
    let failed = records.iter().filter(|record| hue_of(record) == Hue::Bad).count() as u64;
    notes.extend((failed > 0).then(|| format!("{} failed", counted(failed, "record"))));
    notes.extend(summary.is_none().then(|| "it did not end".to_owned()));
    vec![
        short(run),
        records.first().map_or_else(String::new, |record| when::moment(record.time, now, paint)),
        or_dash(command.map(text)),
        or_dash(number("sessionsDeleted").map(grouped)),
        or_dash(number("sessionsSealed").map(grouped)),
        or_dash(number("prunedLines").map(grouped)),
        or_dash(number("bytesFreed").map(size)),
        or_dash(count("exit").map(grouped)),
        if notes.is_empty() { "-".to_owned() } else { notes.join("; ") },
    ]
}

fn hue_of(record: &Record) -> Hue {
    let failed = record.text("error").is_some()
        || record.text("outcome") == Some("failed")
        || record.fields.get("failed").is_some();
    match record.event.as_str() {
        _ if failed => Hue::Bad,
        "refused" | "torn" | "held-vanished" => Hue::Warn,
        _ => Hue::Plain,
    }
}

fn cells(record: &Record, now: DateTime<Utc>, paint: Paint<'_>) -> Vec<String> {
    // Names were escaped when they were written; a ledger that was tampered with may hold others.
    let said = |key: &str| record.text(key).map(text);
    let number = |key: &str| record.fields.get(key).and_then(Value::as_u64);
    let counts = |key: &str| record.fields.get("counts").and_then(|counts| counts.get(key)?.as_u64());
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let place = said("project").or_else(|| said("path")).or_else(|| said("store"));
    vec![
        record.seq.to_string(),
        when::moment(record.time, now, paint),
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
