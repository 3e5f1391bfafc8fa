//! Reading a prompt history: tens of thousands of short lines, most like the one before.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::intern::Interner;
use super::super::lenient::{Lenient, object};
use super::{Line, Lines};
use crate::catalogue::SessionId;
use crate::files::{self, Turn};
use crate::inventory::lenient::MARK;

/// How the client begins a line, by which one that is cut off is still known.
const BEGINNING: &[u8] = b"{\"display\":";
/// Bytes of a line, as most are.
const USUAL_LINE: u64 = 256;
/// Room is made for the lines of so many bytes at most.
const LARGEST_ROOM: u64 = 64 << 20;
/// A line above this length is not understood, in bytes.
const LONGEST_LINE: usize = files::bound(64 << 20, 2048) as usize;
/// A file of more lines is not understood; somebody who types a prompt a minute needs four years for them.
const MOST_LINES: usize = 1_000_000;
/// More references of a file are not held: then it refers to every paste.
const MOST_REFERENCES: usize = 500_000;
/// A file that names more bytes of projects is not understood.
const MOST_PROJECTS: usize = 32 << 20;
/// No file's name is longer, in bytes.
const LONGEST_NAME: usize = 255;
/// No path is longer on any platform, in bytes.
const LONGEST_PATH: usize = 32 << 10;

/// How much is read at once, in bytes.
const BUFFER: usize = files::bound(256 << 10, 256) as usize;

/// Reads a prompt history of one object a line.
///
/// # Errors
/// As `read(2)`; `FileTooLarge` for a file of more lines or projects than can be held.
pub fn read_history(file: &File, interner: &Interner) -> io::Result<Lines> {
    // Memory that is not written to costs nothing, and a list that grows has to be moved.
    let usual = usize::try_from(file.metadata()?.len().min(LARGEST_ROOM) / USUAL_LINE).unwrap_or(0);
    let mut found = Lines { lines: Vec::with_capacity(usual), ..Lines::default() };
    let mut reader = Prompts { interner, projects: Last::default(), sessions: Last::default(), named: 0 };
    let mut at = 0u64;
    each_line(file, |length, text| {
        // A byte order mark is the file's, not its first line's.
        let mark = if at == 0 && text.is_some_and(|text| text.starts_with(MARK)) { MARK.len() } else { 0 };
        let line = Line { start: at + mark as u64, end: at + length, ..Line::default() };
        at += length;
        // A blank line is none: it says nothing, and stays.
        if text.is_some_and(|text| text[mark..].trim_ascii().is_empty()) {
            return Ok(());
        }
        if found.lines.len() >= MOST_LINES {
            return Err(too_much("it has more than a million lines"));
        }
        reader.line(text.map(|text| &text[mark..]), line, &mut found)
    })?;
    // What is left when every line has gone is nobody else's file.
    found.is_well_formed |= found.lines.is_empty();
    Ok(found)
}

pub(super) fn too_much(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, why)
}

/// What a line of a history says.
#[derive(Deserialize)]
struct Prompt<'a> {
    #[serde(borrow, default)]
    timestamp: Lenient<'a>,
    #[serde(borrow, default)]
    project: Lenient<'a>,
    #[serde(borrow, default, rename = "sessionId")]
    session: Lenient<'a>,
    #[serde(borrow, default, rename = "pastedContents")]
    pastes: Option<Pastes<'a>>,
}

/// Reads prompts; one is mostly of the project and session of the one before.
struct Prompts<'a> {
    interner: &'a Interner,
    projects: Last<Arc<str>>,
    sessions: Last<Option<SessionId>>,
    /// Bytes of the projects named so far, each as often as it comes after another.
    named: usize,
}

impl Prompts<'_> {
    /// Adds a line, of which the text is not given where it is too long to be understood.
    fn line(&mut self, text: Option<&[u8]>, mut line: Line, found: &mut Lines) -> io::Result<()> {
        let position = u32::try_from(found.lines.len()).unwrap_or(u32::MAX);
        let body = text.map(<[u8]>::trim_ascii);
        match body.map(|body| object::<Prompt<'_>>(body).ok_or(body)) {
            Some(Ok(prompt)) => {
                line.date = prompt.timestamp.date();
                let project = prompt.project.text().filter(|project| project.len() <= LONGEST_PATH);
                line.project = project.map(|project| self.project(project));
                if self.named > MOST_PROJECTS {
                    return Err(too_much("it names more projects than can be held"));
                }
                let id = |id: &str| SessionId::from_bytes(id.as_bytes());
                line.session = prompt.session.text().and_then(|text| self.sessions.of(text, id));
                // A line that names a session is the client's, dated or not: dated ones go first. A date
                // that is none is in the shape of the client, too.
                let has_time = line.date.is_some() || matches!(prompt.timestamp, Lenient::Number(_));
                found.is_well_formed |= line.session.is_some() || has_time && line.project.is_some();
                for hash in prompt.pastes.into_iter().flat_map(|Pastes(hashes)| hashes) {
                    found.refer(&hash, position);
                }
            }
            // A line that cannot be read refers to every hash it contains.
            Some(Err(body)) => {
                found.is_well_formed |= body.starts_with(BEGINNING);
                for hash in hashes_in(body) {
                    if !found.refer(hash, position) {
                        break;
                    }
                }
            }
            None => found.refers_to_any = true,
        }
        found.lines.push(line);
        Ok(())
    }

    fn project(&mut self, text: &str) -> Arc<str> {
        let (interner, named) = (self.interner, &mut self.named);
        self.projects.of(text, |text| {
            let shared = interner.intern(text);
            // Held by nobody before: it is new.
            if Arc::strong_count(&shared) <= 2 {
                *named += text.len();
            }
            shared
        })
    }
}

impl Lines {
    /// Notes that a line refers to a paste; says whether there is room for more.
    fn refer(&mut self, hash: &str, line: u32) -> bool {
        self.refers_to_any |= self.references.len() >= MOST_REFERENCES;
        // A paste's name is its hash, and no name is longer.
        if !self.refers_to_any && hash.len() <= LONGEST_NAME {
            self.references.push((Box::from(hash), line));
        }
        !self.refers_to_any
    }
}

/// The hashes of the pastes of one prompt.
struct Pastes<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Pastes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Paste<'a> {
            #[serde(borrow, default, rename = "contentHash")]
            hash: Lenient<'a>,
        }
        struct Hashes;
        impl<'de> Visitor<'de> for Hashes {
            type Value = Vec<Cow<'de, str>>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("pastes by number")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut hashes = Vec::new();
                while let Some((IgnoredAny, paste)) = map.next_entry::<IgnoredAny, Paste<'de>>()? {
                    // One more than can be held tells that there are more.
                    if hashes.len() <= MOST_REFERENCES {
                        hashes.extend(paste.hash.into_text());
                    }
                }
                Ok(hashes)
            }
        }
        deserializer.deserialize_map(Hashes).map(Self)
    }
}

/// What was made of a text the last time, as long as it is the same text.
#[derive(Default)]
struct Last<T> {
    text: String,
    value: Option<T>,
}

impl<T: Clone> Last<T> {
    fn of(&mut self, text: &str, make: impl FnOnce(&str) -> T) -> T {
        match &self.value {
            Some(value) if self.text == text => value.clone(),
            _ => {
                text.clone_into(&mut self.text);
                self.value.insert(make(text)).clone()
            }
        }
    }
}

/// Shows every line with its newline: its length, and its text unless it is too long.
fn each_line(file: &File, mut show: impl FnMut(u64, Option<&[u8]>) -> io::Result<()>) -> io::Result<()> {
    // Copies only those that a buffer ends in, and reads no hole.
    let mut buffer = vec![0; BUFFER];
    let mut begun = Begun::default();
    let (mut at, mut data_end) = (0, 0);
    loop {
        if at >= data_end {
            // A file of a petabyte of holes costs nothing to make and days to read.
            let data = files::data_from(file, at)?;
            let next = match &data {
                Some(data) => data.start,
                None => file.metadata()?.len(),
            };
            // A hole reads as zeros, of which none ends a line.
            begun.skip(next.saturating_sub(at));
            let Some(data) = data else { break };
            (at, data_end) = (data.start, data.end);
            let _ = (&*file).seek(SeekFrom::Start(at))?;
        }
        // Not beyond the data: what follows is a hole, which is counted and not read.
        let room = usize::try_from(data_end - at).unwrap_or(BUFFER).min(BUFFER);
        let count = match (&*file).read(&mut buffer[..room]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if count == 0 {
            break;
        }
        at += count as u64;
        let mut rest = &buffer[..count];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            // Most lines end in the buffer they begin in, and are shown without being copied.
            if begun.length == 0 {
                show(line.len() as u64, Some(line))?;
            } else {
                begun.add(line);
                begun.show(&mut show)?;
            }
            rest = after;
        }
        begun.add(rest);
    }
    if begun.length > 0 {
        begun.show(&mut show)?;
    }
    Ok(())
}

/// A line of which a part was read.
#[derive(Default)]
struct Begun {
    text: Vec<u8>,
    length: u64,
    /// Held while the text is large: there is one such buffer in the process at a time.
    turn: Option<Turn>,
}

impl Begun {
    fn add(&mut self, part: &[u8]) {
        if self.grow(part.len() as u64) {
            self.text.extend_from_slice(part);
        }
    }

    /// Adds zeros.
    fn skip(&mut self, hole: u64) {
        if self.grow(hole) {
            self.text.resize(usize::try_from(self.length).unwrap_or_default(), 0);
        }
    }

    /// Whether its text may still be held.
    fn grow(&mut self, by: u64) -> bool {
        self.length += by;
        if self.length > LONGEST_LINE as u64 {
            self.text = Vec::new();
            self.turn = None;
            return false;
        }
        // With a large line for each thread, somebody who writes some of them could take all memory.
        if self.length > files::LARGE && self.turn.is_none() {
            self.turn = Some(Turn::take());
        }
        true
    }

    fn show(&mut self, show: &mut impl FnMut(u64, Option<&[u8]>) -> io::Result<()>) -> io::Result<()> {
        let Self { text, length, turn } = std::mem::take(self);
        let is_whole = length == text.len() as u64;
        let shown = show(length, is_whole.then_some(&text));
        drop(text);
        drop(turn);
        shown
    }
}

/// Every run of 8 or more hexadecimal digits, and of longer runs every window of 16.
fn hashes_in(bytes: &[u8]) -> impl Iterator<Item = &str> {
    const USUAL: usize = 16;
    bytes.split(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')).filter(|run| run.len() >= 8).flat_map(|run| {
        // In a line that was cut a hash may run into other digits, and none of it may be lost.
        let windows = if run.len() > USUAL { run.windows(USUAL) } else { run.windows(run.len()) };
        windows.filter_map(|window| std::str::from_utf8(window).ok())
    })
}
