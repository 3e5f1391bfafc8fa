//! What was found at one moment, with its evidence. Read-only; knows no policy.
//!
//! `scan` walks the trees through directory handles and recognises names by the catalogue;
//! `transcript`, `lines` and `liveness` read what the files say about themselves; `batch` holds
//! what a thread of the walk has found, `parts` what is known of sessions; `session` makes units of it.
//! What comes of it is here: `artifact` and `conversation`, `paths`, what stores share, where sealed files go.

mod artifact;
mod batch;
mod content;
mod conversation;
mod date;
mod first_seen;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod index;
mod intern;
pub mod lenient;
pub mod lines;
pub mod liveness;
pub mod members;
pub mod memory;
#[cfg(test)]
#[path = "tests/model.rs"]
pub(crate) mod model;
mod names;
mod part;
mod parts;
mod paths;
mod plans;
mod scan;
pub mod sealing;
mod session;
mod sharing;
mod target;
mod title;
pub mod transcript;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::catalogue::{Kind, SessionId, Slug, SlugKey};
use crate::client::Written;
use crate::dir::FileStamp;
use crate::error::PathError;
use crate::locate::Store;
use index::PartIndex;
use lines::LineFile;
use liveness::Liveness;
use memory::Absent;
use transcript::Facts;

pub use artifact::{Artifact, Belongs, FileKey, Folder, Oddity};
pub use conversation::{Evidence, Session};
pub use first_seen::FirstSeen;
pub use index::{ArtifactIndex, FolderIndex, ProjectIndex, SessionIndex, StoreIndex};
pub use names::{Name, Names};
pub use scan::{OUT_OF_REACH, take};
pub use transcript::log::Log;

/// What earlier looks know.
pub struct Earlier<'a> {
    /// What transcripts said.
    pub dates: &'a mut dyn Dates,
    /// Whether the transcript of a session was seen in a root. Asked only where none is there now and
    /// something depends on it.
    pub saw_transcript: &'a dyn Fn(&Path, SessionId) -> bool,
}

/// What transcripts said at an earlier look; of one that has not changed since, nothing is read.
pub trait Dates: Send + Sync {
    /// What a file in exactly this state said: same device, inode, size and times.
    fn find(&self, stamp: &FileStamp) -> Option<Facts>;

    /// Keeps what the transcripts of this look said, for later ones; what was known before is not
    /// asked for again.
    fn keep(&mut self, all: &mut dyn Iterator<Item = (&FileStamp, &Facts)>);
}

/// Nothing is remembered: every transcript is read.
#[derive(Debug, Clone, Copy)]
pub struct Unremembered;

impl Dates for Unremembered {
    fn find(&self, _: &FileStamp) -> Option<Facts> {
        None
    }

    fn keep(&mut self, _: &mut dyn Iterator<Item = (&FileStamp, &Facts)>) {}
}

/// Everything that was found in the stores of one user at one moment.
#[derive(Debug)]
pub struct Inventory {
    /// When it was taken.
    pub taken: DateTime<Utc>,
    /// The stores, in the order in which they were located.
    pub stores: Vec<StoreView>,
    /// Every folder that was entered.
    pub folders: Vec<Folder>,
    /// Their names.
    pub folder_names: Names,
    /// Every file, recognised or not.
    pub artifacts: Vec<Artifact>,
    /// Their names.
    pub names: Names,
    /// The projects that loose artifacts name.
    pub projects: Vec<Arc<str>>,
    /// The artifacts grouped into sessions.
    pub sessions: Vec<Session>,
    /// The artifacts of sessions, those of each together and in their order.
    pub grouped: Vec<ArtifactIndex>,
    /// Files of which lines are artifacts, with those lines.
    pub line_files: Vec<LineFile>,
    /// The slugs that each plan may have, by its name.
    pub plans: FxHashMap<FileKey, SmallVec<[Slug; 1]>>,
    /// The key of slugs; `None` where there are no plans and none is remembered.
    pub slug_key: Option<SlugKey>,
    /// What logs say of themselves.
    pub logs: FxHashMap<FileKey, Log>,
    /// When earlier runs first saw the files of nobody that have no date.
    pub first_seen: FirstSeen,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Whether every projects folder of every known store was read completely, without which no
    /// session is known to be orphaned.
    pub is_complete: bool,
    /// What is remembered from earlier runs and was not found now.
    pub absent: Absent,
    /// The folders that sealed files lay in, of those from elsewhere than the store that they are sealed in.
    pub origins: FxHashMap<(FolderIndex, Name), PathBuf>,
}

/// A store as it was found.
#[derive(Debug)]
pub struct StoreView {
    /// Where and what it is.
    pub store: Store,
    /// The clients that are running in it.
    pub live: Vec<LiveClient>,
    /// The workers of the service for background sessions that are running in it.
    pub workers: Vec<LiveClient>,
    /// Whether its folder of projects, or that of one, is there and empty, as where a volume is not mounted.
    pub has_empty_projects: bool,
}

/// A running client.
#[derive(Debug, Clone)]
pub struct LiveClient {
    /// Its process id, in its own pid domain.
    pub pid: u32,
    /// The session it has open.
    pub session: Option<SessionId>,
    /// How that is known.
    pub liveness: Liveness,
    /// Whether it is known by what can be checked.
    pub is_checked: bool,
    /// When it started.
    pub started: Option<DateTime<Utc>>,
}

impl LiveClient {
    /// Whether it has a session open, or may have.
    pub fn may_have(&self, id: SessionId) -> bool {
        self.liveness == Liveness::Unread || self.session == Some(id)
    }
}

/// Something that could not be read; the rest was.
#[derive(Debug)]
pub struct Problem {
    /// The store, if it is known.
    pub store: Option<StoreIndex>,
    pub path: PathBuf,
    /// What was being done, as an infinitive.
    pub doing: &'static str,
    /// Why it failed.
    pub error: io::Error,
}

impl From<&Problem> for PathError {
    fn from(problem: &Problem) -> Self {
        let source = io::Error::new(problem.error.kind(), problem.error.to_string());
        Self { path: problem.path.clone(), doing: problem.doing, source }
    }
}

impl Inventory {
    pub fn store(&self, index: StoreIndex) -> &StoreView {
        &self.stores[index.at()]
    }

    pub fn artifact(&self, index: ArtifactIndex) -> &Artifact {
        &self.artifacts[index.at()]
    }

    pub fn folder(&self, index: FolderIndex) -> &Folder {
        &self.folders[index.at()]
    }

    pub fn session(&self, index: SessionIndex) -> &Session {
        &self.sessions[index.at()]
    }

    /// The name of a folder; empty for the root of a store.
    pub fn folder_name(&self, folder: &Folder) -> &OsStr {
        self.folder_names.get(folder.name)
    }

    pub fn name(&self, artifact: &Artifact) -> &OsStr {
        self.names.get(artifact.name)
    }

    /// The project that a loose artifact names.
    pub fn project_named(&self, artifact: &Artifact) -> Option<&str> {
        artifact.project.and_then(|index| self.projects.get(index.at())).map(|project| &**project)
    }

    pub fn files(&self, session: &Session) -> &[ArtifactIndex] {
        self.grouped.get(session.files.start as usize..session.files.end as usize).unwrap_or_default()
    }

    /// The folder that a sealed file lay in, where that is not the store that it is sealed in.
    pub fn origin(&self, artifact: &Artifact) -> Option<&Path> {
        self.origins.get(&(artifact.folder, artifact.name)).map(PathBuf::as_path)
    }

    /// The session an artifact belongs to.
    pub fn session_of(&self, artifact: &Artifact) -> Option<&Session> {
        match artifact.belongs {
            Belongs::Session(index) => Some(self.session(index)),
            Belongs::Loose => None,
        }
    }

    /// The store an artifact lies in.
    pub fn store_of(&self, artifact: &Artifact) -> StoreIndex {
        self.folder(artifact.folder).store
    }

    /// What Claude Code's own cleanup goes by beside the date of a session's transcript.
    pub fn written(&self, session: &Session) -> Written {
        let files = self.files(session).iter().map(|index| self.artifact(*index));
        let mut transcripts = files.clone().filter(|file| file.kind == Some(Kind::Transcript)).peekable();
        let is_empty = transcripts.peek().is_some() && transcripts.all(|file| file.stamp.size == 0);
        let id = session.id.to_string();
        let has_folder = || {
            let names =
                |file: &Artifact| self.folder_path(file.folder).iter().nth(2) == Some(OsStr::new(&id));
            let is_sidefile = |file: &Artifact| self.folder_path(file.folder).starts_with("projects");
            files.clone().any(|file| is_sidefile(file) && names(file))
        };
        Written {
            by_desktop: session.is_desktop,
            released: session.released,
            is_empty: is_empty && !has_folder(),
        }
    }

    /// Takes note of sessions that were unsealed: when, their true last activity, which a touched
    /// file no longer shows, and what their records said of it.
    pub fn remember_unsealed(
        &mut self,
        is_it: impl Fn(&StoreView, SessionId) -> Option<(DateTime<Utc>, DateTime<Utc>, Option<DateTime<Utc>>)>,
    ) {
        for session in &mut self.sessions {
            if let Some((when, activity, recorded)) = is_it(&self.stores[session.store.at()], session.id) {
                // A moment that is still to come was written by somebody else.
                session.unsealed = Some(when).filter(|when| *when <= self.taken);
                // What was written since counts; what the touch alone did does not, and it never makes
                // anything older than it was.
                if session.modified.is_some_and(|modified| modified <= when) {
                    session.modified = session.modified.min(Some(activity));
                }
                if session.damaged.is_some_and(|damaged| damaged <= when) {
                    session.damaged = session.damaged.min(recorded.or(Some(activity)));
                }
            }
        }
    }

    /// Takes it that a session without a transcript may have one in a store that is not known.
    pub fn doubt_orphans(&mut self) {
        for session in self.sessions.iter_mut().filter(|session| session.evidence == Evidence::Orphaned) {
            session.evidence = Evidence::Unknown;
        }
    }
}
