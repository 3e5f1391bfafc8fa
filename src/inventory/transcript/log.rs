//! What a log of an MCP server or of errors says about itself: the sessions and projects that its records name, and
//! the newest date.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::super::intern::Interner;
use super::{Facts, Projects, Reading, SESSION, TAIL, fill, plain_text, unmarked, values};
use crate::catalogue::SessionId;

/// A log is read whole up to this size; of a longer one the head and the tail are.
const WHOLE: u64 = 16 << 20;
/// How much is read at once.
const CHUNK: u64 = 1 << 20;
/// More sessions are not told apart.
const MOST: usize = 256;

/// What the records of a log say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The sessions that they name.
    pub sessions: Vec<SessionId>,
    /// The projects that they name.
    pub projects: Projects,
    /// Whether the first record that has a project may lie where nothing was read.
    pub lacks_first_project: bool,
    /// The newest record that is not later than the time of the look.
    pub newest: Option<DateTime<Utc>>,
    /// Whether all of it was read, so that it names no other session.
    pub is_whole: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            sessions: Vec::new(),
            projects: Projects::default(),
            lacks_first_project: false,
            newest: None,
            is_whole: true,
        }
    }
}

/// Reads an open log of `size` bytes.
///
/// # Errors
/// As `read(2)`. What is no record is no error.
pub fn read(mut file: &File, size: u64, now: DateTime<Utc>, interner: &Interner) -> io::Result<Log> {
    let mut reading = Reading::new(now, interner);
    let mut log = Log { is_whole: size <= WHOLE, ..Log::default() };
    let (mut buffer, mut left, mut at) = (Vec::new(), size.min(WHOLE), 0);
    loop {
        let read = file.take(CHUNK.min(left)).read_to_end(&mut buffer)?;
        left = left.saturating_sub(read as u64);
        let is_end = read == 0 || left == 0;
        // A line is not cut, unless it is longer than all that is read at once.
        let whole = memchr::memrchr(b'\n', &buffer).map_or(0, |newline| newline + 1);
        let end = if is_end || whole == 0 && buffer.len() as u64 > CHUNK { buffer.len() } else { whole };
        let is_cut = !is_end && end != whole;
        log.is_whole &= !is_cut;
        log.take(unmarked(at, &buffer[..end]), &mut reading);
        if is_cut {
            reading.skips();
        }
        at += end as u64;
        buffer.drain(..end);
        if is_end {
            break;
        }
    }
    if size > WHOLE {
        reading.skips();
        file.seek(SeekFrom::Start(size - TAIL))?;
        fill(file, TAIL, &mut buffer)?;
        let whole = memchr::memchr(b'\n', &buffer).map_or(buffer.len(), |newline| newline + 1);
        log.take(&buffer[whole..], &mut reading);
    }
    let Facts { projects, lacks_first_project, newest, .. } = reading.said();
    Ok(Log { projects, lacks_first_project, newest, ..log })
}

impl Log {
    /// The project that rules go by: that of the first record that has one.
    pub fn project(&self) -> Option<&Arc<str>> {
        self.projects.first().filter(|_| !self.lacks_first_project)
    }

    fn take(&mut self, lines: &[u8], reading: &mut Reading<'_>) {
        reading.lines(lines);
        for at in values(&SESSION, lines) {
            let Some(id) = plain_text(lines, at).and_then(SessionId::from_bytes) else { continue };
            if self.sessions.contains(&id) {
                continue;
            }
            if self.sessions.len() >= MOST {
                self.is_whole = false;
                break;
            }
            self.sessions.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn said(text: &[u8]) -> Log {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file.rewind().unwrap();
        let now = "2026-11-01T00:00:00Z".parse().unwrap();
        read(&file, text.len() as u64, now, &Interner::default()).unwrap()
    }

    fn record(number: u32, day: u32) -> String {
        format!(
            "{{\"error\":\"x\",\"timestamp\":\"2026-10-{day:02}T00:00:00Z\",\"sessionId\":\"{number:08x}-0000-4000-8000-000000000000\",\"cwd\":\"/p{number}\"}}\n"
        )
    }

    #[test]
    fn every_session_and_the_newest_record_are_found() {
        let log = said([record(1, 3), record(2, 9), record(1, 5)].concat().as_bytes());
        assert_eq!((log.sessions.len(), log.projects.len(), log.is_whole), (2, 2, true));
        assert_eq!(log.newest, Some("2026-10-09T00:00:00Z".parse().unwrap()));
        assert_eq!(said(b"plain text\nand more"), Log::default());
        assert_eq!(said(b""), Log::default());
        // A date that is still to come is none.
        assert_eq!(said(b"{\"timestamp\":\"2027-01-01T00:00:00Z\"}\n").newest, None);
    }

    #[test]
    fn a_first_project_that_was_not_read_is_told_by_no_other() {
        let filler = |length: u64| format!("{{\"error\":\"{}\"}}\n", "x".repeat(length as usize));
        let tail = record(2, 3).repeat(TAIL as usize / 64);
        let project = |text: String| said(text.as_bytes()).project().map(|project| project.to_string());
        assert_eq!(project(filler(CHUNK / 2) + &record(1, 3) + &tail).as_deref(), Some("/p1"));
        assert_eq!(project(filler(WHOLE) + &record(1, 3) + &tail), None);
        assert_eq!(project(record(1, 3) + &filler(WHOLE) + &tail).as_deref(), Some("/p1"));
        assert_eq!(project(filler(3 * CHUNK) + &tail), None, "a line that was cut may name one");
    }

    #[test]
    fn a_log_that_is_too_long_is_read_in_part_and_says_so() {
        let many: String = (0..CHUNK / 100).map(|_| record(1, 3)).collect();
        let log = said((many.clone() + &record(2, 4)).as_bytes());
        assert_eq!((log.sessions.len(), log.is_whole), (2, true), "records across the chunks are seen");
        let mut text = record(1, 3).into_bytes();
        text.resize(WHOLE as usize + (2 << 20), b' ');
        text.push(b'\n');
        text.extend(record(2, 9).bytes());
        let log = said(&text);
        assert_eq!((log.sessions.len(), log.is_whole), (2, false));
        assert_eq!(log.newest, Some("2026-10-09T00:00:00Z".parse().unwrap()));
        // One line that is longer than what is read at once.
        text.truncate(3 << 20);
        assert!(!said(&text).is_whole);
    }
}
