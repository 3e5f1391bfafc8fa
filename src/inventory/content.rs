//! What a file says about itself, for the few kinds where that matters.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use chrono::{DateTime, Utc};

use super::Dates;
use super::intern::Interner;
use super::lenient::{self, Lenient, object, whole};
use super::lines::{self, Lines};
use super::liveness::{self, PidRecord};
use super::transcript::log::Log;
use super::transcript::{self, Facts};
use crate::catalogue::{Kind, SessionId};
use crate::client::Release;
use crate::dir::{Dir, FileStamp};
use crate::files::{self, Document};
use crate::seal::manifest::Manifest;

/// A small file of Claude Code's own, such as an index of one conversation, above this size is none.
const LARGEST_NOTE: u64 = 4 << 20;

/// Claude Code reads no longer note that a session was released, in bytes.
const LARGEST_RELEASE: u64 = 4096;

/// What a file's content said.
#[derive(Debug, Default)]
pub(super) enum Said {
    #[default]
    Nothing,
    Facts(Facts),
    Pid(Box<PidRecord>),
    /// The workers of the service for background sessions.
    Workers(Vec<PidRecord>),
    Log(Box<Log>),
    Lines(Box<Lines>),
    /// The record of a sealed session.
    Manifest(Box<Manifest>),
    /// A background session, and whether it is over.
    Job(bool),
    /// The desktop application no longer shows the session.
    Released(Release),
    /// It was not written to its end.
    Unfinished,
    /// It is called after a process, and says nothing that can be understood.
    Torn,
    Unreadable,
}

/// What reading needs beside the file.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub now: DateTime<Utc>,
    pub interner: &'a Interner,
    pub dates: &'a dyn Dates,
}

/// What is known of a file by its name, and after reading it by its content.
#[derive(Debug)]
pub(super) struct Known {
    pub kind: Option<Kind>,
    pub session: Option<SessionId>,
    pub said: Said,
}

impl Known {
    /// Whether the content itself shows that the client wrote it, or the kind is kept anyway.
    pub fn is_certain(&self) -> bool {
        self.kind.is_some_and(Kind::is_protected)
            || match &self.said {
                Said::Facts(facts) => facts.is_of_client,
                Said::Pid(_) => true,
                Said::Lines(lines) => lines.is_well_formed,
                _ => false,
            }
    }

    /// Whether a transcript may be dated by what it said before: one whose session is in its path.
    pub fn is_datable(kind: Option<Kind>, session: Option<SessionId>) -> bool {
        // Of the others the content decides what they are.
        matches!(kind, Some(Kind::Transcript | Kind::Subagent)) && session.is_some()
    }

    /// Reads what a regular file in a state says, where its kind says that anything matters.
    ///
    /// # Errors
    /// As `open(2)` and `read(2)`; what was known stays.
    pub fn read(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        stamp: &FileStamp,
        reading: &Reading<'_>,
    ) -> io::Result<()> {
        let Some(kind) = self.kind else { return Ok(()) };
        let Reading { now, interner, dates } = *reading;
        self.said = match kind {
            Kind::Transcript | Kind::Subagent | Kind::StrayTranscript => {
                let known = if Self::is_datable(self.kind, self.session) { dates.find(stamp) } else { None };
                Said::Facts(match known {
                    Some(facts) => facts,
                    None => transcript::read(&dir.read(name)?, stamp.size, now, interner)?,
                })
            }
            // What was not finished tells of no process.
            Kind::PidFile if !name.as_encoded_bytes().ends_with(b".json") => Said::Unfinished,
            Kind::DaemonFile if name == "roster.json" => {
                liveness::workers(&dir.read(name)?).map_or(Said::Nothing, Said::Workers)
            }
            Kind::PidFile | Kind::IdeLock => {
                let torn = if kind == Kind::PidFile { Said::Torn } else { Said::Nothing };
                PidRecord::read(&dir.read(name)?)?.map_or(torn, |record| Said::Pid(Box::new(record)))
            }
            Kind::McpLog | Kind::ErrorLog => {
                Said::Log(Box::new(transcript::log::read(&dir.read(name)?, stamp.size, now, interner)?))
            }
            Kind::DesktopIndex => {
                self.session = session_of_index(&note(&dir.read(name)?)?);
                Said::Nothing
            }
            Kind::SessionSide if is_release(name) && stamp.size <= LARGEST_RELEASE => {
                release(&note(&dir.read(name)?)?, stamp.modified.date()).map_or(Said::Nothing, Said::Released)
            }
            Kind::TeamConfig if name == "config.json" => {
                self.session = leader_of_team(&note(&dir.read(name)?)?);
                Said::Nothing
            }
            Kind::Job if name == "state.json" => {
                let (session, is_over) = job_state(&note(&dir.read(name)?)?);
                self.session = session;
                Said::Job(is_over)
            }
            Kind::History => Said::Lines(Box::new(lines::read_history(&dir.read(name)?, interner)?)),
            kind if is_document(kind) => {
                self.read_document(kind, &Document::read(&dir.read(name)?)?, interner)?
            }
            _ => return Ok(()),
        };
        match (&self.said, kind) {
            // Known by its records or not at all.
            (Said::Facts(facts), Kind::StrayTranscript) if !facts.is_of_client => self.kind = None,
            (Said::Facts(facts), Kind::StrayTranscript | Kind::Subagent) if self.session.is_none() => {
                self.session = facts.session;
            }
            (Said::Pid(record), Kind::PidFile) => self.session = record.session,
            // A file of digits in `sessions/` that is no pid file may be the user's own, and what a power loss or a full
            // disk left of one.
            (Said::Torn, Kind::PidFile) => self.kind = None,
            _ => {}
        }
        Ok(())
    }

    fn read_document(&self, kind: Kind, text: &[u8], interner: &Interner) -> io::Result<Said> {
        Ok(match kind {
            Kind::SealedRecord => {
                let id = self.session.ok_or(io::ErrorKind::InvalidData)?;
                Said::Manifest(Box::new(Manifest::parse(text, id).map_err(io::Error::other)?))
            }
            Kind::SessionsIndex => Said::Lines(Box::new(lines::read_entries(text, interner)?)),
            _ => Said::Lines(Box::new(lines::read_project_lists(text, interner)?)),
        })
    }
}

/// Whether a kind of file is read whole, and may be large.
pub(super) fn is_document(kind: Kind) -> bool {
    matches!(kind, Kind::GlobalConfig | Kind::ConfigBackup | Kind::SessionsIndex | Kind::SealedRecord)
}

/// A document without the mark that some editors put before it.
fn note(file: &File) -> io::Result<Vec<u8>> {
    let mut text = files::contents(file, LARGEST_NOTE)?;
    if text.starts_with(lenient::MARK) {
        text.drain(..lenient::MARK.len());
    }
    Ok(text)
}

/// The session a conversation of the desktop application refers to.
pub(super) fn session_of_index(text: &[u8]) -> Option<SessionId> {
    #[derive(serde::Deserialize)]
    struct Index {
        #[serde(rename = "cliSessionId")]
        session: SessionId,
    }
    object::<Index>(text).map(|index| index.session)
}

fn is_release(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b".desktop-released.json")
}

/// Why the desktop application let go of a session; other reasons mean nothing to Claude Code.
pub(super) fn release(text: &[u8], modified: Option<DateTime<Utc>>) -> Option<Release> {
    #[derive(serde::Deserialize)]
    struct Note<'a> {
        #[serde(borrow, default)]
        reason: Lenient<'a>,
    }
    let note = whole::<Note<'_>>(text)?;
    let reason = note.reason.text()?;
    match reason.as_ref() {
        "delete" => Some(Release::Deleted),
        "archive" => modified.map(Release::Archived),
        _ => None,
    }
}

/// The session that leads a team.
pub(super) fn leader_of_team(text: &[u8]) -> Option<SessionId> {
    #[derive(serde::Deserialize)]
    struct Team {
        #[serde(rename = "leadSessionId")]
        session: SessionId,
    }
    object::<Team>(text).map(|team| team.session)
}

/// The session of a background job, and whether the job is known to be over: its `state` is
/// final and its `tempo` not active (read in client 2.1.330).
pub(super) fn job_state(text: &[u8]) -> (Option<SessionId>, bool) {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct State<'a> {
        #[serde(borrow, default)]
        state: Lenient<'a>,
        #[serde(borrow, default)]
        tempo: Lenient<'a>,
        #[serde(borrow, default)]
        session_id: Lenient<'a>,
    }
    let Some(state) = whole::<State<'_>>(text) else { return (None, false) };
    let is_final =
        state.state.text().is_some_and(|state| ["done", "failed", "stopped"].contains(&state.as_ref()));
    let is_active = state.tempo.text().is_some_and(|tempo| tempo == "active");
    let session = state.session_id.text().and_then(|id| SessionId::from_bytes(id.as_bytes()));
    (session, is_final && !is_active)
}
