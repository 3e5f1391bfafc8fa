//! Reading a prompt history: tens of thousands of short lines, most like the one before.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::intern::Interner;
use super::super::lenient::{Lenient, object};
use super::{Line, Lines};
use crate::catalogue::SessionId;

/// How the client begins a line, by which one that is cut off is still known.
const BEGINNING: &[u8] = b"{\"display\":";
/// Bytes of a line, as most are.
const USUAL_LINE: u64 = 256;
/// Room is made for the lines of so many bytes at most.
const LARGEST_ROOM: u64 = 64 << 20;

/// Reads a prompt history of one object a line.
///
/// # Errors
/// As `read(2)`.
pub fn read_history(file: &File, interner: &Interner) -> io::Result<Lines> {
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
    // Memory that is not written to costs nothing, and a list that grows has to be moved.
    let usual = usize::try_from(file.metadata()?.len().min(LARGEST_ROOM) / USUAL_LINE).unwrap_or(0);
    let mut found = Lines { lines: Vec::with_capacity(usual), ..Lines::default() };
    let mut at = 0u64;
    // A prompt is mostly of the project and session of the one before.
    let (mut projects, mut sessions) = (Last::default(), Last::default());
    each_line(BufReader::with_capacity(256 << 10, file), |text| {
        let mut line = Line { start: at, end: at + text.len() as u64, ..Line::default() };
        at = line.end;
        let position = u32::try_from(found.lines.len()).unwrap_or(u32::MAX);
        let body = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
        match object::<Prompt<'_>>(body) {
            Some(prompt) => {
                line.date = prompt.timestamp.date();
                let project = prompt.project.text();
                line.project =
                    project.map(|project| projects.of(project, |project| interner.intern(project)));
                let id = |id: &str| SessionId::from_bytes(id.as_bytes());
                line.session = prompt.session.text().and_then(|text| sessions.of(text, id));
                // A line that names a session is the client's, dated or not: dated ones go first. A date
                // that is none is in the shape of the client, too.
                let has_time = line.date.is_some() || matches!(prompt.timestamp, Lenient::Number(_));
                found.is_well_formed |= line.session.is_some() || has_time && line.project.is_some();
                let hashes = prompt.pastes.into_iter().flat_map(|Pastes(hashes)| hashes);
                found.references.extend(hashes.map(|hash| (Box::from(hash.as_ref()), position)));
            }
            // A line that cannot be read refers to every hash it contains.
            None => {
                found.is_well_formed |= body.starts_with(BEGINNING);
                found.references.extend(hashes_in(body).map(|hash| (hash, position)));
            }
        }
        found.lines.push(line);
    })?;
    // What is left when every line has gone is nobody else's file.
    found.is_well_formed |= found.lines.is_empty();
    Ok(found)
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
                    hashes.extend(paste.hash.into_text());
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

/// Shows every line, with its newline; copies only those that a buffer ends in.
fn each_line(mut reader: impl BufRead, mut show: impl FnMut(&[u8])) -> io::Result<()> {
    let mut begun: Vec<u8> = Vec::new();
    loop {
        let read = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if read.is_empty() {
            break;
        }
        let length = match memchr::memchr(b'\n', read) {
            Some(end) => {
                if begun.is_empty() {
                    show(&read[..=end]);
                } else {
                    begun.extend_from_slice(&read[..=end]);
                    show(&begun);
                    begun.clear();
                }
                end + 1
            }
            None => {
                begun.extend_from_slice(read);
                read.len()
            }
        };
        reader.consume(length);
    }
    if !begun.is_empty() {
        show(&begun);
    }
    Ok(())
}

/// Every run of 8 or more hexadecimal digits, and of longer runs every window of 16.
fn hashes_in(bytes: &[u8]) -> impl Iterator<Item = Box<str>> + '_ {
    const USUAL: usize = 16;
    bytes.split(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')).filter(|run| run.len() >= 8).flat_map(|run| {
        let windows = if run.len() > USUAL { run.windows(USUAL) } else { run.windows(run.len()) };
        windows.filter_map(|window| std::str::from_utf8(window).ok().map(Box::from))
    })
}
