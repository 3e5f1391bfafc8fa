//! Files of which the lines or entries are artifacts: prompt histories and session indexes.
//!
//! Shapes observed on clients 1.0.128 to 2.1.330: `history.jsonl` has one object a line with
//! `timestamp` in milliseconds, `project`, `sessionId` (not in old ones) and `pastedContents`;
//! `.claude.json` of old clients has `projects[<path>].history` lists without dates;
//! `sessions-index.json` has `entries` with `sessionId`, `projectPath`, `modified`, `fileMtime`.

mod history;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::ArtifactIndex;
use super::intern::Interner;
use super::lenient::{Lenient, object, whole};
use super::members::{self, Object};
use crate::catalogue::SessionId;

pub use history::read_history;

/// A file with its lines.
#[derive(Debug)]
pub struct LineFile {
    /// The file.
    pub artifact: ArtifactIndex,
    /// What its lines say.
    pub content: Lines,
}

/// What a line file holds.
#[derive(Debug, Default)]
pub struct Lines {
    /// How it is written.
    pub format: Format,
    /// Whether it has the shape the client gives it.
    pub is_well_formed: bool,
    /// Every line or entry, in the order of the file; unparsable ones too.
    pub lines: Vec<Line>,
    /// Which line refers to which paste: the hash, and the line's position.
    pub references: Vec<(Box<str>, u32)>,
    /// Whether it may refer to any paste: a line is not understood, or there are more references than can be held.
    pub refers_to_any: bool,
    /// The members of a global file, of which a purge takes some.
    pub objects: Vec<Object>,
}

/// How a line file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One JSON value a line.
    #[default]
    JsonLines,
    /// Lists named `history` in the projects of a JSON object.
    ProjectLists,
    /// One list named `entries` in a JSON object.
    Entries,
}

impl Format {
    /// Whether the client locks such a file while it writes; the index of a project has no lock.
    pub fn has_lock(self) -> bool {
        self != Self::Entries
    }
}

/// One line or entry.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Where it begins, in bytes; of a line file in lines, the newline before is not its own.
    pub start: u64,
    /// Where it ends; of a file in lines, its newline is its own.
    pub end: u64,
    /// The list it is in, counted through the file.
    pub list: u32,
    /// When it was written, where it says so.
    pub date: Option<DateTime<Utc>>,
    /// The project it names.
    pub project: Option<Arc<str>>,
    /// The session it names.
    pub session: Option<SessionId>,
}

/// More entries of one file are not held: it is not understood.
const MOST_ENTRIES: usize = 500_000;

/// Values of a list, as they are written; of a longer list than can be held only that it is one.
#[derive(Default)]
struct Values<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    // One more than can be held tells that there are more.
                    if values.len() <= MOST_ENTRIES {
                        values.push(value);
                    }
                }
                Ok(values)
            }
        }
        from.deserialize_seq(List).map(Self)
    }
}

impl Lines {
    /// Adds an entry, if there is room for it.
    fn add(&mut self, line: Line) -> io::Result<()> {
        if self.lines.len() >= MOST_ENTRIES {
            return Err(history::too_much("it has more entries than can be held"));
        }
        self.lines.push(line);
        Ok(())
    }
}

/// Reads the `history` lists of a global file of the client.
///
/// # Errors
/// `FileTooLarge` for more than can be held. A file that is no such object is no error but not well formed.
pub fn read_project_lists(document: &[u8], interner: &Interner) -> io::Result<Lines> {
    #[derive(Deserialize)]
    struct Project<'a> {
        #[serde(borrow, default)]
        history: Values<'a>,
    }
    let text = text_of(document);
    let mut found = Lines { format: Format::ProjectLists, ..Lines::default() };
    let read = members::read(text, interner)?;
    found.is_well_formed = read.is_well_formed;
    // A parser takes the last of two projects of one path; each of them may hold prompts.
    for (list, (path, range)) in read.projects.into_iter().enumerate() {
        let Some(project) = text.get(range).and_then(|raw| object::<Project<'_>>(raw.as_bytes())) else {
            continue;
        };
        for entry in project.history.0 {
            let mut line = entry_line(text, entry, list);
            line.project = Some(Arc::clone(&path));
            found.add(line)?;
        }
    }
    found.objects = read.objects;
    Ok(found)
}

/// Reads the entries of an index of sessions.
///
/// # Errors
/// As [`read_project_lists`].
pub fn read_entries(document: &[u8], interner: &Interner) -> io::Result<Lines> {
    #[derive(Deserialize)]
    struct Index<'a> {
        #[serde(borrow)]
        entries: Values<'a>,
    }
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow, default, rename = "projectPath")]
        project: Lenient<'a>,
    }
    let text = text_of(document);
    let mut found = Lines { format: Format::Entries, ..Lines::default() };
    let Some(index) = whole::<Index<'_>>(text.as_bytes()) else { return Ok(found) };
    found.is_well_formed = true;
    for entry in index.entries.0 {
        let mut line = entry_line(text, entry, 0);
        line.project = object::<Entry<'_>>(entry.get().as_bytes())
            .and_then(|entry| entry.project.text().map(|project| interner.intern(project)));
        found.add(line)?;
    }
    Ok(found)
}

/// A document as text; what is no text has no entries.
fn text_of(document: &[u8]) -> &str {
    std::str::from_utf8(document).unwrap_or_default()
}

/// Where a part of a text begins in it.
fn offset(text: &str, part: &str) -> u64 {
    // Both are slices of one buffer, so the addresses tell.
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize) as u64
}

fn entry_line(text: &str, raw: &RawValue, list: usize) -> Line {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry<'a> {
        #[serde(borrow, default)]
        timestamp: Lenient<'a>,
        #[serde(borrow, default)]
        modified: Lenient<'a>,
        #[serde(borrow, default)]
        file_mtime: Lenient<'a>,
        #[serde(borrow, default)]
        session_id: Lenient<'a>,
    }
    let start = offset(text, raw.get());
    let mut line = Line {
        start,
        end: start + raw.get().len() as u64,
        list: u32::try_from(list).unwrap_or(u32::MAX),
        ..Line::default()
    };
    if let Some(entry) = object::<Entry<'_>>(raw.get().as_bytes()) {
        line.date =
            [entry.timestamp, entry.modified, entry.file_mtime].iter().filter_map(Lenient::date).max();
        line.session = entry.session_id.text().and_then(|id| SessionId::from_bytes(id.as_bytes()));
    }
    line
}

impl Lines {
    /// The byte ranges to leave out so that the chosen lines are gone and every other byte is
    /// kept; sorted, without overlaps.
    pub fn cuts(&self, goes: impl Fn(usize) -> bool) -> Vec<Range<u64>> {
        let mut cuts: Vec<Range<u64>> = Vec::new();
        let mut cut = |range: Range<u64>| match cuts.last_mut() {
            Some(last) if range.start <= last.end => {
                last.start = last.start.min(range.start);
                last.end = last.end.max(range.end);
            }
            _ => cuts.push(range),
        };
        let mut kept_end: Option<(u32, u64)> = None;
        for (at, line) in self.lines.iter().enumerate() {
            if !goes(at) {
                kept_end = Some((line.list, line.end));
                continue;
            }
            if self.format == Format::JsonLines {
                cut(line.start..line.end);
                continue;
            }
            // With its comma: up to the next entry of its list, or, for the last one, from the
            // end of the last entry that stays.
            match self.lines.get(at + 1).filter(|next| next.list == line.list) {
                Some(next) => cut(line.start..next.start),
                None => {
                    let from =
                        kept_end.filter(|(list, _)| *list == line.list).map_or(line.start, |(_, end)| end);
                    cut(from..line.end);
                }
            }
        }
        cuts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::File;

    fn file(text: &str) -> File {
        crate::fuzzing::file(text.as_bytes())
    }

    fn without(text: &str, cuts: &[Range<u64>]) -> String {
        String::from_utf8(crate::fuzzing::without(text.as_bytes(), cuts)).unwrap()
    }

    #[test]
    fn history_lines_know_their_date_project_session_and_pastes() {
        let text = "\u{feff}{\"display\":\"x\",\"pastedContents\":{\"1\":{\"contentHash\":\"0123456789abcdef\"}},\
                    \"timestamp\":1780000000000,\"project\":\"/w\",\"sessionId\":\"aaaaaaaa-0000-4000-8000-000000000001\"}\r\n\
                    {\"display\":\"old\",\"timestamp\":1710000000,\"project\":\"/v\"}\n\
                    not json fedcba9876543210\n{\"torn";
        let lines = read_history(&file(text), &Interner::default()).unwrap();
        assert!(lines.is_well_formed);
        assert_eq!(lines.lines.len(), 4);
        assert_eq!(lines.lines[0].date, DateTime::from_timestamp(1_780_000_000, 0));
        assert_eq!(lines.lines[0].project.as_deref(), Some("/w"));
        assert!(lines.lines[0].session.is_some());
        assert_eq!(lines.lines[1].session, None);
        assert_eq!(lines.lines[1].date, DateTime::from_timestamp(1_710_000_000, 0));
        assert_eq!(lines.lines[2].date, None);
        let references: Vec<(&str, u32)> =
            lines.references.iter().map(|(hash, line)| (&**hash, *line)).collect();
        assert_eq!(references, [("0123456789abcdef", 0), ("fedcba9876543210", 2)]);
        assert_eq!(lines.lines[3].end, text.len() as u64);
    }

    #[test]
    fn what_is_left_of_a_file_that_lost_every_line_has_none() {
        for text in ["", "\n", "\u{feff}", "\u{feff}\r\n", " \n\t"] {
            let lines = read_history(&file(text), &Interner::default()).unwrap();
            assert!(lines.lines.is_empty() && lines.is_well_formed, "{text:?}");
        }
    }

    #[test]
    fn a_date_before_the_client_is_none() {
        let text: String = [0, -1, 12, 1_600_000_000, 1_600_000_000_000, 1_704_067_199_999, i64::MAX]
            .iter()
            .map(|date| format!("{{\"display\":\"x\",\"timestamp\":{date},\"project\":\"/w\"}}\n"))
            .collect();
        let lines = read_history(&file(&text), &Interner::default()).unwrap();
        assert!(lines.is_well_formed && lines.lines.len() == 7);
        assert!(lines.lines.iter().all(|line| line.date.is_none()));
    }

    #[test]
    fn lists_of_a_global_file_are_cut_with_their_commas() {
        let text = r#"{ "a": 1, "projects": { "/w": { "history": [ "x" , {"display":"y","timestamp":1710000000005} ,"z" ], "b": [] }, "/v": {"history":["q"]}, "/u": 7 } }"#;
        let lines = read_project_lists(text.as_bytes(), &Interner::default()).unwrap();
        assert_eq!(lines.lines.len(), 4);
        assert_eq!(lines.lines[1].date, DateTime::from_timestamp_millis(1_710_000_000_005));
        assert_eq!(lines.lines[3].project.as_deref(), Some("/v"));
        let all = without(text, &lines.cuts(|_| true));
        assert_eq!(
            all,
            r#"{ "a": 1, "projects": { "/w": { "history": [  ], "b": [] }, "/v": {"history":[]}, "/u": 7 } }"#
        );
        let last = without(text, &lines.cuts(|at| at == 2));
        assert_eq!(last, text.replace(r#" ,"z""#, ""));
    }

    #[test]
    fn what_is_no_such_file_is_not_well_formed() {
        for text in ["", "[]", "{\"projects\":3}", "\u{0}\u{1}"] {
            let lines = read_project_lists(text.as_bytes(), &Interner::default()).unwrap();
            assert!(!lines.is_well_formed && lines.lines.is_empty(), "{text}");
            assert!(!read_entries(text.as_bytes(), &Interner::default()).unwrap().is_well_formed, "{text}");
        }
    }

    proptest! {
        /// Whatever goes, the rest stays valid and in order.
        #[test]
        fn cuts_leave_a_valid_file(entries in prop::collection::vec(0u32..1000, 0..12), mask in any::<u16>(), pretty in any::<bool>()) {
            let separator = if pretty { "\n    " } else { "" };
            let list: Vec<String> = entries.iter().map(|n| format!("{{\"sessionId\":\"{n}\"}}")).collect();
            let text = format!("{{\"version\":1,\"entries\":[{separator}{}{separator}]}}", list.join(&format!(",{separator}")));
            let lines = read_entries(text.as_bytes(), &Interner::default()).unwrap();
            prop_assert_eq!(lines.lines.len(), entries.len());
            let goes = |at: usize| mask >> at & 1 == 1;
            let cuts = lines.cuts(goes);
            prop_assert!(cuts.windows(2).all(|pair| pair[0].end < pair[1].start));
            let left: serde_json::Value = serde_json::from_str(&without(&text, &cuts)).unwrap();
            let left: Vec<&str> = left["entries"].as_array().unwrap().iter().map(|e| e["sessionId"].as_str().unwrap()).collect();
            let expected: Vec<String> = entries.iter().enumerate().filter(|(at, _)| !goes(*at)).map(|(_, n)| n.to_string()).collect();
            prop_assert_eq!(left, expected);
        }
    }
}
