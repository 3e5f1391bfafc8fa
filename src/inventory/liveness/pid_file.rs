//! The files by which Claude Code says which process has which session open.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::Liveness;
use crate::catalogue::SessionId;
use crate::inventory::date;
use crate::inventory::lenient::{Lenient, whole};

/// The folder of a store that has them.
pub const FOLDER: &str = "sessions";

/// A pid file above this size is none.
const LARGEST: u64 = 1 << 20;

/// What a pid file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidRecord {
    /// The process.
    pub pid: u32,
    /// The session it has open.
    pub session: Option<SessionId>,
    /// When that process started, in the platform's own terms.
    pub start: Option<String>,
    /// When the client started.
    pub started_at: Option<DateTime<Utc>>,
    /// Where that process id means something.
    pub domain: Option<String>,
    /// When the file was written.
    pub modified: Option<DateTime<Utc>>,
    /// Whether the file could not be read, so that the process may have any session open.
    pub is_unread: bool,
}

impl PidRecord {
    /// A process of which nothing is known but when the file was written that tells of it.
    pub fn unknown(modified: Option<DateTime<Utc>>) -> Self {
        Self {
            pid: 0,
            session: None,
            start: None,
            started_at: None,
            domain: None,
            modified,
            is_unread: false,
        }
    }

    /// A pid file that could not be read, or a folder of them that could not be listed and so has no such name.
    pub fn unread(name: Option<&OsStr>, modified: Option<DateTime<Utc>>) -> Self {
        let pid = name.and_then(OsStr::to_str).and_then(|name| name.split('.').next()?.parse().ok());
        Self { pid: pid.unwrap_or_default(), is_unread: true, ..Self::unknown(modified) }
    }

    /// Whether the process has, or may have, a session open.
    pub fn may_be_of(&self, id: SessionId) -> bool {
        self.is_unread || self.session == Some(id)
    }

    /// What was judged, as it may be said of a file whose process is known by its name alone.
    pub(super) fn told(&self, judged: Liveness) -> Liveness {
        if self.is_unread && judged.is_live() { Liveness::Unread } else { judged }
    }

    /// Reads a pid file or the lock of an editor; `None` if it has no pid, and so is neither.
    ///
    /// # Errors
    /// As `read(2)`: then it may name any session.
    pub fn read(file: &File) -> io::Result<Option<Self>> {
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text)?;
        let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
        let modified = modified.map(DateTime::<Utc>::from).and_then(date::valid);
        Ok(Self::parse(&text).map(|record| Self { modified, ..record }))
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw<'a> {
            #[serde(borrow, default)]
            pid: Lenient<'a>,
            #[serde(borrow, default)]
            session_id: Lenient<'a>,
            #[serde(borrow, default)]
            proc_start: Lenient<'a>,
            #[serde(borrow, default)]
            started_at: Lenient<'a>,
            #[serde(borrow, default)]
            pid_domain: Lenient<'a>,
        }
        let raw: Raw<'_> = whole(text)?;
        let Lenient::Number(pid) = raw.pid else { return None };
        let text_of = |value: &Lenient<'_>| match value {
            Lenient::Text(text) => Some(text.to_string()),
            Lenient::Number(number) => Some(number.to_string()),
            Lenient::Other | Lenient::Absent => None,
        };
        Some(Self {
            pid: u32::try_from(pid).ok()?,
            session: raw.session_id.text().and_then(|id| SessionId::from_bytes(id.as_bytes())),
            start: text_of(&raw.proc_start),
            started_at: raw.started_at.date(),
            domain: raw.pid_domain.text().map(ToString::to_string),
            modified: None,
            is_unread: false,
        })
    }
}

/// The workers that the service for background sessions says it has (read in client 2.1.332); `None` where that
/// cannot be understood.
pub fn workers(file: &File) -> Option<Vec<PidRecord>> {
    #[derive(Deserialize)]
    struct Roster {
        workers: std::collections::BTreeMap<String, serde_json::Value>,
    }
    let text = crate::files::contents(file, LARGEST).ok()?;
    let roster = whole::<Roster>(&text)?;
    roster.workers.into_values().map(|worker| PidRecord::parse(worker.to_string().as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_pid_is_no_pid_file() {
        for text in ["", "{}", "[]", r#"{"pid":"10"}"#, "note: buy milk", r#"{"pid":-1}"#] {
            assert_eq!(PidRecord::parse(text.as_bytes()), None, "{text}");
        }
    }
}
