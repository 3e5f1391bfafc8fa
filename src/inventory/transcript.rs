//! What a transcript says about itself: dates, projects, session. Its text is never kept.
//!
//! One read of the tail and one of the head. The last record is not always the newest, so the
//! maximum of the last 64 KiB counts; where no record there is dated, the look goes back line by
//! line until one is. Memory does not grow with the file or its lines.

mod end;
mod facts;
mod keys;
pub mod log;
pub(super) mod record;
mod window;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashSet;

use super::intern::Interner;
use super::lenient::{MARK, object};
use crate::catalogue::{SessionId, Version};
use crate::files;
use end::Line;
use keys::{CWD, ENTRYPOINT, PROMPT, SESSION, TIMESTAMP, VERSION, date_at, plain_text, values, version_of};
use record::{OwnedRecord, Record};
use window::{fill, line_end, line_start, unmarked};

pub use facts::{Facts, Later, Projects};

/// How much of the end is read at once.
pub(super) const TAIL: u64 = files::bound(64 << 10, 512);
/// How much of the beginning is read at once; the first records are often large.
const HEAD: u64 = files::bound(16 << 10, 128);
/// How far the search for the first project goes; beyond it that is not known.
const HEAD_LIMIT: u64 = files::bound(8 << 20, 4096);
/// The entry points whose transcripts the client's own sweep spares (read in client 2.1.330).
const DESKTOP_HOSTS: [&str; 4] = ["claude-desktop", "claude-desktop-3p", "local-agent", "local_agent"];
/// The types of records that hold what was said; Claude Code dates each of them.
const SAID: [&str; 2] = ["user", "assistant"];
/// A line above this is parsed as a stream.
const LONG_LINE: u64 = files::bound(4 << 20, 1024);
/// A line above this is not understood: it has no date, and counts as damaged.
pub(super) const LONGEST_LINE: u64 = files::bound(64 << 20, 8192);
/// More projects than this are looked for in a set.
const FEW: usize = 32;
/// A buffer above this is not kept for the next transcript.
const KEPT: usize = 256 << 10;

thread_local! {
    /// One buffer a thread: a walk reads tens of thousands of transcripts.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads the facts of an open transcript of `size` bytes.
///
/// # Errors
/// As `read(2)`. Lines that cannot be parsed are no error.
pub fn read(file: &File, size: u64, now: DateTime<Utc>, interner: &Interner) -> io::Result<Facts> {
    let mut buffer = BUFFER.take();
    let facts = read_with(&mut buffer, file, size, now, interner);
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    facts
}

/// Reads the facts of a file of any name, if its ends have the form of a transcript or a prompt history.
///
/// # Errors
/// As `read(2)`.
pub fn if_it_is_one(file: &File, size: u64, now: DateTime<Utc>) -> io::Result<Option<Facts>> {
    let interner = Interner::default();
    let ends = [(0, HEAD), (size.saturating_sub(TAIL), TAIL)];
    for (start, length) in ends {
        let mut reading = Reading::new(now, &interner);
        let mut buffer = Vec::new();
        (&*file).seek(SeekFrom::Start(start))?;
        fill(file, length.min(size), &mut buffer)?;
        reading.lines(unmarked(start, &buffer));
        let Facts { is_of_client, session, .. } = reading.facts;
        let is_history = || PROMPT.find(&buffer).is_some() && SESSION.find(&buffer).is_some();
        if session.is_some() && (is_of_client || is_history()) {
            return read(file, size, now, &interner).map(Some);
        }
    }
    Ok(None)
}

fn read_with(
    buffer: &mut Vec<u8>,
    mut file: &File,
    size: u64,
    now: DateTime<Utc>,
    interner: &Interner,
) -> io::Result<Facts> {
    let mut reading = Reading::new(now, interner);
    // Most transcripts: one read, and everything in it counts.
    if size <= TAIL {
        fill(file, size, buffer)?;
        let text = unmarked(0, buffer);
        reading.lines(text);
        reading.end(text);
        return Ok(reading.said());
    }
    let tail_start = size - TAIL;
    // The head first, so that its project comes first.
    let head_end = reading.head(file, tail_start, buffer)?;
    // One byte more, which tells whether the window begins with a line or in the middle of one.
    let before = tail_start - 1;
    file.seek(SeekFrom::Start(before))?;
    fill(file, TAIL + 1, buffer)?;
    let whole = memchr::memchr(b'\n', buffer).map(|at| at + 1).filter(|at| *at < buffer.len());
    let boundary = before + whole.unwrap_or(buffer.len()) as u64;
    // Whether a dated record is in the window decides how far back the look goes; the head's do
    // not count for that, but they count.
    let head_newest = reading.facts.newest.take();
    if let Some(at) = whole {
        reading.lines(&buffer[at..]);
        reading.end(&buffer[at..]);
    }
    if reading.facts.newest.is_none() {
        reading.backwards(file, boundary, head_end, buffer)?;
    }
    // The last dated record may be one of the head's.
    if reading.is_end_damaged.is_none() {
        reading.backwards(file, boundary.min(head_end), 0, buffer)?;
    }
    reading.facts.newest = reading.facts.newest.max(head_newest);
    Ok(reading.said())
}

struct Reading<'a> {
    facts: Facts,
    /// The projects found so far.
    projects: Vec<Arc<str>>,
    /// Those beyond the first few, of which there may be as many as records.
    further: FxHashSet<Arc<str>>,
    /// Whether a line after the last dated record is damaged; `None` until either was found.
    is_end_damaged: Option<bool>,
    now: DateTime<Utc>,
    interner: &'a Interner,
}

impl<'a> Reading<'a> {
    fn new(now: DateTime<Utc>, interner: &'a Interner) -> Self {
        let (facts, projects, further) = (Facts::default(), Vec::new(), FxHashSet::default());
        Self { facts, projects, further, is_end_damaged: None, now, interner }
    }
}

impl Reading<'_> {
    fn said(self) -> Facts {
        let is_damaged = self.is_end_damaged.unwrap_or(false);
        Facts { projects: self.projects.into(), is_damaged, ..self.facts }
    }

    /// Takes the lines from the start until a project is known; says where it stopped reading.
    fn head(&mut self, mut file: &File, tail_start: u64, buffer: &mut Vec<u8>) -> io::Result<u64> {
        let limit = tail_start.min(HEAD_LIMIT);
        let mut at = 0;
        while at < limit && self.projects.is_empty() {
            file.seek(SeekFrom::Start(at))?;
            fill(file, HEAD.min(limit - at), buffer)?;
            if buffer.is_empty() {
                break;
            }
            match memchr::memrchr(b'\n', buffer) {
                Some(end) => {
                    self.lines(unmarked(at, &buffer[..end]));
                    at += end as u64 + 1;
                }
                // One line fills the window.
                None => {
                    let end = line_end(file, at, buffer)?;
                    self.long_line(file, at, end, buffer)?;
                    at = end + 1;
                }
            }
        }
        if at < tail_start {
            self.skips();
        }
        Ok(at)
    }

    /// Takes note that something is not read: where no project was found before, it may hold the first.
    fn skips(&mut self) {
        self.facts.lacks_first_project |= self.projects.is_empty();
    }

    /// Takes the lines from `end` back to `stop`, a window at a time, until one is dated.
    fn backwards(
        &mut self,
        mut file: &File,
        mut end: u64,
        stop: u64,
        buffer: &mut Vec<u8>,
    ) -> io::Result<()> {
        while end > stop && self.facts.newest.is_none() {
            let from = end.saturating_sub(TAIL).max(stop);
            file.seek(SeekFrom::Start(from))?;
            fill(file, end - from, buffer)?;
            // The first line of the window is whole only where lines were read up to it.
            let whole = if from == stop { Some(0) } else { memchr::memchr(b'\n', buffer).map(|at| at + 1) };
            if let Some(at) = whole.filter(|at| *at < buffer.len()) {
                let begin = from + at as u64;
                let text = unmarked(begin, &buffer[at..]);
                self.lines(text);
                self.end(text);
                end = begin;
                continue;
            }
            // A line longer than the window.
            let start = line_start(file, end - 1, buffer)?;
            let record = self.long_line(file, start, end, buffer)?;
            self.end_with(record);
            end = start;
        }
        Ok(())
    }

    /// Takes what one line longer than a window says, as a stream where it is longer than memory
    /// is to be spent on.
    fn long_line(&mut self, mut file: &File, start: u64, end: u64, buffer: &mut Vec<u8>) -> io::Result<Line> {
        // Nobody parses a line of gigabytes, and to read it takes longer than a whole store.
        if end - start > LONGEST_LINE {
            self.skips();
            return Ok(Line::Damaged);
        }
        file.seek(SeekFrom::Start(start))?;
        if end - start <= LONG_LINE {
            fill(file, end - start, buffer)?;
            let text = unmarked(start, buffer);
            self.lines(text);
            return Ok(self.line(text));
        }
        let mut reader = BufReader::with_capacity(TAIL as usize, file.take(end - start));
        if start == 0 && reader.fill_buf()?.starts_with(MARK) {
            reader.consume(MARK.len());
        }
        // Like `object`: serde would take a list for the fields in their order.
        if !reader.fill_buf()?.trim_ascii_start().starts_with(b"{") {
            return Ok(Line::Damaged);
        }
        let Ok(record) = serde_json::from_reader::<_, OwnedRecord>(&mut reader) else {
            return Ok(Line::Damaged);
        };
        let record = record.into();
        self.note(&record);
        Ok(Line::of_record(&record, self.now))
    }

    /// Takes what whole lines say.
    fn lines(&mut self, bytes: &[u8]) {
        // Only records that can add something are parsed: those that name a project or host not known yet, the
        // first that names a session, and the newest.
        let mut parsed = Parsed::default();
        // Both in the order of the lines: the first project and the first session count.
        let mut sessions = values(&SESSION, bytes).peekable();
        let mut cwds = values(&CWD, bytes).peekable();
        loop {
            let session =
                sessions.peek().filter(|_| self.facts.session.is_none() || !self.facts.is_of_client);
            let at = match (session, cwds.peek()) {
                (Some(session), Some(cwd)) => *session.min(cwd),
                (Some(at), None) | (None, Some(at)) => *at,
                (None, None) => break,
            };
            let is_session = sessions.next_if_eq(&at).is_some();
            let is_known = || plain_text(bytes, at).is_some_and(|cwd| self.knows(cwd));
            if is_session || cwds.next_if_eq(&at).is_some() && !is_known() {
                self.parse_line(bytes, at, &mut parsed);
            }
        }
        for at in values(&ENTRYPOINT, bytes) {
            let is_host = |host: &[u8]| DESKTOP_HOSTS.iter().any(|known| known.as_bytes() == host);
            if !self.facts.is_desktop && plain_text(bytes, at).is_none_or(is_host) {
                self.parse_line(bytes, at, &mut parsed);
            }
        }
        for at in values(&VERSION, bytes) {
            // Mostly it is one that is known; and what a record tells of may have a version, too.
            let version = plain_text(bytes, at).and_then(version_of);
            if version.is_some_and(Version::is_untried) && version > self.facts.untried {
                self.parse_line(bytes, at, &mut parsed);
            }
        }
        self.newest(bytes, &mut parsed);
    }

    /// Finds the newest record: the newest timestamp that is written anywhere, if it is a record's
    /// own and not part of what the record tells of; else the next.
    fn newest(&mut self, bytes: &[u8], parsed: &mut Parsed) {
        let (now, known) = (self.now, self.facts.newest);
        let dates = || values(&TIMESTAMP, bytes).filter_map(|at| Some((date_at(bytes, at)?, at)));
        let written = || dates().filter(move |(date, _)| *date <= now && Some(*date) > known);
        // All of these are parsed, however many: each will be the newest one day.
        let later: Vec<usize> = dates().filter(|(date, _)| *date > now).map(|(_, at)| at).collect();
        self.facts.has_later |= !later.is_empty();
        later.into_iter().for_each(|at| self.parse_line(bytes, at, parsed));
        let Some((newest, at)) = written().max() else { return };
        self.parse_line(bytes, at, parsed);
        // As a rule that was it.
        if self.facts.newest >= Some(newest) {
            return;
        }
        let mut written: Vec<(DateTime<Utc>, usize)> = written().collect();
        written.sort_unstable();
        for (date, at) in written.into_iter().rev() {
            if self.facts.newest >= Some(date) {
                break;
            }
            self.parse_line(bytes, at, parsed);
        }
    }

    /// Parses the line that holds a place, unless it was parsed before.
    fn parse_line(&mut self, bytes: &[u8], at: usize, parsed: &mut Parsed) {
        if parsed.contains(at) {
            return;
        }
        let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
        let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |newline| at + newline);
        parsed.add(start..end);
        if let Some(record) = object::<Record<'_>>(&bytes[start..end]) {
            self.note(&record);
        }
    }

    /// Whether a project was found before.
    fn knows(&self, cwd: &[u8]) -> bool {
        let first = &self.projects[..self.projects.len().min(FEW)];
        first.iter().any(|project| project.as_bytes() == cwd)
            || !self.further.is_empty()
                && std::str::from_utf8(cwd).is_ok_and(|cwd| self.further.contains(cwd))
    }

    fn note(&mut self, record: &Record<'_>) {
        match record.timestamp.date() {
            Some(time) if time <= self.now => self.facts.newest = self.facts.newest.max(Some(time)),
            Some(time) => {
                self.facts.has_later = true;
                self.facts.later.add([time]);
            }
            None => {}
        }
        if let Some(cwd) = record.cwd.text().filter(|cwd| !cwd.is_empty() && !self.knows(cwd.as_bytes())) {
            let project = self.interner.intern(cwd);
            if self.projects.len() >= FEW {
                self.further.insert(Arc::clone(&project));
            }
            self.projects.push(project);
        }
        if let Some(id) = record.session.text() {
            self.facts.is_of_client |= record.kind.text().is_some();
            self.facts.talks |= record.kind.text().is_some_and(|kind| SAID.contains(&kind.as_ref()));
            if self.facts.session.is_none() {
                self.facts.session = SessionId::from_bytes(id.as_bytes());
            }
        }
        if let Some(version) = record.version.text().and_then(|version| version_of(version.as_bytes()))
            && version.is_untried()
            // Of anybody's JSON in a line nothing is believed.
            && record.session.text().is_some()
        {
            self.facts.untried = self.facts.untried.max(Some(version));
        }
        self.facts.is_desktop |=
            record.entrypoint.text().is_some_and(|host| DESKTOP_HOSTS.contains(&host.as_ref()));
    }
}

/// The lines of a window that were parsed: one may hold thousands of keys that look like its own.
#[derive(Default)]
struct Parsed {
    last: Range<usize>,
    /// Where the others end, by where they begin.
    others: BTreeMap<usize, usize>,
}

impl Parsed {
    fn contains(&self, at: usize) -> bool {
        self.last.contains(&at) || self.others.range(..=at).next_back().is_some_and(|(_, end)| at < *end)
    }

    fn add(&mut self, line: Range<usize>) {
        let before = std::mem::replace(&mut self.last, line);
        if !before.is_empty() {
            self.others.insert(before.start, before.end);
        }
    }
}

#[cfg(test)]
mod end_tests;
#[cfg(test)]
mod tests;
