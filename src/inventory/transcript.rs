//! What a transcript says about itself: dates, projects, session. Its text is never kept.
//!
//! One read of the tail and one of the head. The last record is not always the newest, so the
//! maximum of the last 64 KiB counts; where no record there is dated, the look goes back line by
//! line until one is. Memory does not grow with the file or its lines.

mod end;
pub mod log;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use memchr::memmem::Finder;
use rustc_hash::FxHashSet;
use serde::Deserialize;

use super::intern::Interner;
use super::lenient::{self, Lenient, MARK, object};
use crate::catalogue::{SessionId, Version};
use crate::files;
use end::Line;

/// How much of the end is read at once.
pub(super) const TAIL: u64 = files::bound(64 << 10, 512);
/// How much of the beginning is read at once; the first records are often large.
const HEAD: u64 = files::bound(16 << 10, 128);
/// How far the search for the first project goes; beyond it the tail has to do.
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

static CWD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"cwd\""));
static SESSION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"sessionId\""));
static ENTRYPOINT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"entrypoint\""));
static VERSION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"version\""));
static PROMPT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"{\"display\":"));
static TIMESTAMP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"timestamp\""));

/// Project paths, each once; many transcripts and sessions share one list.
pub type Projects = Arc<[Arc<str>]>;

/// What the records of one transcript say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The newest record timestamp that is not later than the time of the look.
    pub newest: Option<DateTime<Utc>>,
    /// Every project path found; the first is that of the first record that has one.
    pub projects: Projects,
    /// The session that the first record with an id names.
    pub session: Option<SessionId>,
    /// Whether any record has the shape of the client's: an id of a session and a type.
    pub is_of_client: bool,
    /// Whether a record was read that holds what was said; notes about a conversation may have no date.
    pub talks: bool,
    /// Whether the desktop application wrote it, by its `entrypoint`.
    pub is_desktop: bool,
    /// The newest version of Claude Code that wrote it, where the catalogue was not tried with that.
    pub untried: Option<Version>,
    /// Whether a date later than the look was seen, which a later look would not pass over.
    pub has_later: bool,
    /// The timestamps of records that are later than the look, which will date it one day.
    pub later: Later,
    /// Whether a line after the last dated record cannot be read, as a power loss leaves it: the
    /// newest record may be lost, so the modification time counts too.
    pub is_damaged: bool,
}

/// Timestamps that lie ahead, in order.
// Of very many only some are kept, the last always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Later(Vec<DateTime<Utc>>);

impl Later {
    /// A clock that is wrong may have written any number of records.
    const MOST: usize = 64;

    /// Adds some, each once.
    pub fn add(&mut self, dates: impl IntoIterator<Item = DateTime<Utc>>) {
        for date in dates {
            if let Err(at) = self.0.binary_search(&date) {
                self.0.insert(at, date);
            }
        }
        while self.0.len() > Self::MOST {
            let mut left = self.0.len();
            self.0.retain(|_| {
                left -= 1;
                left.is_multiple_of(2)
            });
        }
    }

    /// Those that are kept.
    pub fn dates(&self) -> &[DateTime<Utc>] {
        &self.0
    }
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    timestamp: Lenient<'a>,
    #[serde(borrow, default)]
    cwd: Lenient<'a>,
    #[serde(borrow, default, rename = "sessionId")]
    session: Lenient<'a>,
    #[serde(borrow, default)]
    entrypoint: Lenient<'a>,
    #[serde(borrow, default)]
    version: Lenient<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Lenient<'a>,
}

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
        Ok(at)
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

/// A record that borrows nothing, for streams.
#[derive(Deserialize)]
struct OwnedRecord {
    #[serde(default, deserialize_with = "lenient::owned")]
    timestamp: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned")]
    cwd: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned", rename = "sessionId")]
    session: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned")]
    entrypoint: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned")]
    version: Lenient<'static>,
    #[serde(default, deserialize_with = "lenient::owned", rename = "type")]
    kind: Lenient<'static>,
}

impl From<OwnedRecord> for Record<'static> {
    fn from(record: OwnedRecord) -> Self {
        let OwnedRecord { timestamp, cwd, session, entrypoint, version, kind } = record;
        Self { timestamp, cwd, session, entrypoint, version, kind }
    }
}

/// The lines that begin at a place of a file. A byte order mark is the file's, at its beginning alone: in front of a
/// later line it hides that line from Claude Code too.
fn unmarked(at: u64, bytes: &[u8]) -> &[u8] {
    if at == 0 { bytes.strip_prefix(MARK).unwrap_or(bytes) } else { bytes }
}

/// Where the value of a key begins, everywhere the key is written; `key` has its quotes.
fn values<'b>(key: &'static Finder<'static>, bytes: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    key.find_iter(bytes).filter_map(|at| {
        let mut at = at + key.needle().len();
        let blank = |at: usize| bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\r'));
        while blank(at) {
            at += 1;
        }
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at += 1;
        while blank(at) {
            at += 1;
        }
        Some(at)
    })
}

fn version_of(text: &[u8]) -> Option<Version> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The text that begins at a place, if it is a string without escapes.
fn plain_text(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let text = bytes.get(at..)?.strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', text)?;
    (text[end] == b'"').then(|| &text[..end])
}

/// The date that begins at a place, in a string or as a number.
fn date_at(bytes: &[u8], at: usize) -> Option<DateTime<Utc>> {
    if let Some(text) = plain_text(bytes, at) {
        let text = std::str::from_utf8(text).ok()?;
        return Lenient::Text(Cow::Borrowed(text)).date();
    }
    let is_of_number = |b: &&u8| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = bytes.get(at..)?.iter().take_while(is_of_number).count();
    serde_json::from_slice::<Lenient<'_>>(bytes.get(at..at + length)?).ok()?.date()
}

/// Reads so many bytes, or up to the end of the file: one call where the file gives them at once,
/// where `read_to_end` would ask again and again whether there is more.
fn fill(mut file: &File, length: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// Where the line that ends at `end` begins: after the newline before it, or at 0.
fn line_start(mut file: &File, end: u64, buffer: &mut Vec<u8>) -> io::Result<u64> {
    let mut to = end;
    while to > 0 {
        if to < end {
            // No line begins in a hole.
            to = files::data_before(file, to)?;
        }
        let from = to.saturating_sub(TAIL);
        file.seek(SeekFrom::Start(from))?;
        fill(file, to - from, buffer)?;
        if let Some(at) = memchr::memrchr(b'\n', buffer) {
            return Ok(from + at as u64 + 1);
        }
        to = from;
    }
    Ok(0)
}

/// Where the line that holds `start` ends: at its newline, or at the end of the file.
fn line_end(mut file: &File, start: u64, buffer: &mut Vec<u8>) -> io::Result<u64> {
    file.seek(SeekFrom::Start(start))?;
    let mut at = start;
    loop {
        fill(file, TAIL, buffer)?;
        if buffer.is_empty() {
            return Ok(at);
        }
        if let Some(end) = memchr::memchr(b'\n', buffer) {
            return Ok(at + end as u64);
        }
        at += buffer.len() as u64;
    }
}

#[cfg(test)]
mod end_tests;
#[cfg(test)]
mod tests;
