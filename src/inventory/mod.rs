//! What was found at one moment, with its evidence. Read-only; knows no policy.
//!
//! `scan` walks the trees through directory handles and recognises names by the catalogue;
//! `transcript`, `lines` and `liveness` read what the files say about themselves; `batch` holds
//! what a thread of the walk has found, `parts` what is known of sessions; `session` makes units of it.

mod batch;
mod content;
mod date;
mod first_seen;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
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
mod parts;
mod plans;
mod scan;
pub mod sealing;
mod session;
mod title;
pub mod transcript;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::catalogue::{self, Cursor, Kind, Root, SessionId, Slug, SlugKey, Version};
use crate::client::{Release, Written};
use crate::dir::{Dir, FileStamp, FileType};
use crate::locate::{Crossing, Store};
use crate::seal::naming::{self, Tree};
use lines::LineFile;
use liveness::Liveness;
use memory::{Absent, Before};
use sealing::Sealing;
use transcript::{Facts, Later, Projects};

pub use first_seen::FirstSeen;
pub use names::{Name, Names};
pub use scan::{OUT_OF_REACH, take};
pub use transcript::log::Log;

macro_rules! index {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        // One more than the position, so that an index that may be missing is no larger.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        $vis struct $name(NonZeroU32);

        impl $name {
            /// The position in the inventory's list.
            pub fn at(self) -> usize {
                self.0.get() as usize - 1
            }

            /// The index of a position; saturates, as no inventory holds that many.
            pub fn of(position: usize) -> Self {
                let position = u32::try_from(position).unwrap_or(u32::MAX);
                Self(NonZeroU32::MIN.saturating_add(position))
            }
        }
    };
}

index!(
    /// A store, by its place in [`Inventory::stores`].
    pub StoreIndex
);
index!(
    /// A folder, by its place in [`Inventory::folders`].
    pub FolderIndex
);
index!(
    /// An artifact, by its place in [`Inventory::artifacts`].
    pub ArtifactIndex
);
index!(
    /// A session, by its place in [`Inventory::sessions`].
    pub SessionIndex
);

index!(
    /// A project that a loose artifact names, by its place in [`Inventory::projects`].
    pub ProjectIndex
);
index!(
    /// What a walk has seen of a session, which has no place in the inventory yet.
    PartIndex
);

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

/// A folder that was entered.
#[derive(Debug)]
pub struct Folder {
    /// The store it lies in.
    pub store: StoreIndex,
    /// The folder it lies in; `None` for the root.
    pub parent: Option<FolderIndex>,
    /// Its name, as [`Inventory::folder_name`] gives it; empty for the root.
    pub name: Name,
    /// The handle, for roots and for what was followed.
    pub anchor: Option<Arc<Dir>>,
    /// The session whose own folder this is, or lies in.
    pub session: Option<SessionId>,
    /// Whether names in it are content, which no output may show.
    pub hides_names: bool,
}

/// What an artifact is besides a regular file of the store's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing unusual.
    None,
    /// A symbolic link.
    Link,
    /// A FIFO, socket or device.
    Special,
    /// Another owner's.
    Foreign,
    /// Something behind a mount point or a link that is not followed.
    OutOfReach,
    /// Protected although its kind is not: the newest usable backup, a lock of a live process.
    InUse,
}

/// A file, by the folder it lies in and its name.
pub type FileKey = (FolderIndex, Name);

/// What an artifact belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Belongs {
    /// A session.
    Session(SessionIndex),
    /// Nobody.
    Loose,
}

/// One file in a store.
#[derive(Debug)]
pub struct Artifact {
    /// The folder it lies in.
    pub folder: FolderIndex,
    /// Its name, as [`Inventory::name`] gives it.
    pub name: Name,
    /// Its identity and state when it was seen; checked again before it is touched.
    pub stamp: FileStamp,
    /// The permission bits.
    pub mode: u16,
    /// What it is; in a session's own folder it may be a link, FIFO or socket.
    pub file_type: FileType,
    /// Whether it has a hard link that is not of the same session.
    pub hard_linked: bool,
    /// How many names it has.
    pub links: u32,
    /// How many bytes it takes of the disk.
    pub allocated: u64,
    /// What is unusual about it.
    pub oddity: Oddity,
    /// Its row of the catalogue; `None` for names the catalogue does not hold.
    pub kind: Option<Kind>,
    /// What it belongs to.
    pub belongs: Belongs,
    /// Whether it is the sealed form of a file.
    pub sealed: bool,
    /// The project it names, for loose artifacts that name one; [`Inventory::project_named`] gives it.
    pub project: Option<ProjectIndex>,
}

impl Artifact {
    /// What tells it from all others.
    pub fn key(&self) -> FileKey {
        (self.folder, self.name)
    }

    /// Whether it is a file of our own, which no count includes.
    pub fn is_own(&self) -> bool {
        matches!(self.kind, Some(Kind::Own | Kind::OwnLeftover | Kind::SealedRecord))
    }

    /// Whether it is a record or a leftover of our own, and not a copy of content that we keep.
    pub fn is_bookkeeping(&self) -> bool {
        matches!(self.kind, Some(Kind::OwnLeftover | Kind::SealedRecord))
    }

    /// Whether it is a regular file.
    pub fn is_regular(&self) -> bool {
        self.file_type == FileType::File
    }

    /// Whether it can be sealed: a plain file of a kind that holds a session's content, or a link of the session's own.
    pub fn can_be_sealed(&self) -> bool {
        // A file of which a name elsewhere would keep the plaintext cannot.
        self.is_to_be_sealed()
            && self.oddity == Oddity::None
            && match self.file_type {
                FileType::File => !self.hard_linked,
                FileType::Link => true,
                FileType::Folder | FileType::Special => false,
            }
    }

    /// Whether it is in the way of sealing its session: content that cannot be sealed with the rest.
    pub fn hinders_sealing(&self) -> bool {
        let is_linked = self.oddity == Oddity::None && self.is_regular() && self.hard_linked;
        self.is_to_be_sealed() && (is_linked || self.oddity == Oddity::Foreign)
    }

    fn is_to_be_sealed(&self) -> bool {
        !self.sealed && self.kind.is_some_and(|kind| kind.row().sealable)
    }
}

/// How it is known that something is a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// A transcript, or several of one id.
    Transcript,
    /// A sealed copy alone.
    Sealed,
    /// No transcript and no sealed copy in any known store, all of which were read completely.
    Orphaned,
    /// No transcript was found, but not everything could be read.
    Unknown,
}

/// One conversation: the transcript and every file that belongs to it.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The store it is of.
    pub store: StoreIndex,
    /// How it is known.
    pub evidence: Evidence,
    /// The project by which rules go: that of the first record that has one, of its newest copy.
    pub project: Option<Arc<str>>,
    /// The projects of copies that are as new as the one that told `project`.
    pub rivals: Projects,
    /// Whether a transcript or the record of a sealed one told `project`.
    pub is_told: bool,
    /// Every project path found, which holds go by.
    pub projects: Projects,
    /// The slugs that its records name, by which plans are its own.
    pub slugs: Box<[Slug]>,
    /// Which states of its transcripts those are from, a digest each.
    pub slugs_of: Box<[u64]>,
    /// The newest record timestamp not later than the inventory.
    pub newest_record: Option<DateTime<Utc>>,
    /// Record timestamps that are later than the inventory.
    pub later: Later,
    /// The newest record of the oldest of its transcripts and subagents whose records name another session.
    pub stranger: Option<DateTime<Utc>>,
    /// The newest modification time of its transcripts; of its files where it is orphaned.
    pub modified: Option<DateTime<Utc>>,
    /// The newest modification time, not later than the inventory, of a transcript or subagent of
    /// which the newest record may be lost ([`Facts::is_damaged`]).
    pub damaged: Option<DateTime<Utc>>,
    /// When a run first saw it, where it has no date.
    pub first_seen: Option<DateTime<Utc>>,
    /// The newest moment, not later than the inventory, at which any of its files was modified or a
    /// client of it started.
    pub touched: Option<DateTime<Utc>>,
    /// The first such moment that is later than the inventory; it hides none that is not.
    pub touched_ahead: Option<DateTime<Utc>>,
    /// What dated its transcript when an earlier run saw it, where none is found now.
    pub before: Option<Box<Before>>,
    /// The newest modification time of its files before a run removed some, where it is orphaned.
    pub files_before: Option<DateTime<Utc>>,
    /// The same session without what is remembered of it, where that is a user's word and differs.
    pub found: Option<Box<Session>>,
    /// Whether a client has it open.
    pub liveness: Liveness,
    /// The same by what can be checked, which is all that managed rules go by.
    pub checked: Liveness,
    /// Whether a transcript of it could not be read, so that its date is not known.
    pub is_unreadable: bool,
    /// Whether a transcript of it belongs to another account, which is why it was not read.
    pub is_foreign: bool,
    /// Whether the desktop application wrote it.
    pub is_desktop: bool,
    /// Whether its user deleted it in the desktop application.
    pub is_desktop_deleted: bool,
    /// What the desktop application said when it let go of it.
    pub released: Option<Release>,
    /// The newest version of Claude Code that wrote it, where the catalogue was not tried with that.
    pub untried: Option<Version>,
    /// Its files, by their places in [`Inventory::grouped`]; [`Inventory::files`] gives them.
    pub files: Range<u32>,
    /// Whether a record of its sealed files could be read.
    pub has_record: bool,
    /// Whether its transcript, plain or sealed, is or was in its store, by which whatever lies in its own
    /// folder there is its own.
    pub has_transcript: bool,
    /// What that record claims, and what was known before.
    pub sealing: Option<Box<Sealing>>,
    /// The projects that rules went by at earlier runs, where they are others than now.
    pub earlier: Projects,
    /// Whether a transcript of it holds what was said, and not only notes about a conversation.
    pub talks: bool,
    /// How many of its files could be sealed and are not.
    pub plain: u32,
    /// How many of its files cannot be sealed, so that none is.
    pub unsealable: u32,
    /// How many of its files are sealed.
    pub sealed: u32,
    /// When it was last unsealed, as far as is remembered; it counts as touched then.
    pub unsealed: Option<DateTime<Utc>>,
    /// How many names the catalogue does not hold lie in its own folders.
    pub unrecognised: u32,
}

impl Session {
    /// Whether a transcript of it, plain or sealed, is there; else it is satellites alone.
    pub fn is_conversation(&self) -> bool {
        self.evidence == Evidence::Transcript || self.is_shown() && self.has_transcript
    }

    /// The projects by which rules may go: one, or those of copies that are equally new.
    pub fn rule_projects(&self) -> impl Iterator<Item = &Arc<str>> {
        self.project.iter().chain(self.rivals.iter())
    }
}

/// Something that could not be read; the rest was.
#[derive(Debug)]
pub struct Problem {
    /// The store, if it is known.
    pub store: Option<StoreIndex>,
    /// The path.
    pub path: PathBuf,
    /// What was being done, as an infinitive.
    pub doing: &'static str,
    /// Why it failed.
    pub error: io::Error,
}

/// The path of a folder, or of a name in it, as it may be shown.
fn shown_path(folders: &[Folder], names: &Names, folder: FolderIndex, name: Option<&OsStr>) -> PathBuf {
    let (mut open, mut hidden): (Vec<&OsStr>, Vec<&OsStr>) = (Vec::new(), name.into_iter().collect());
    let mut at = folders.get(folder.at());
    while let Some(folder) = at.filter(|folder| folder.parent.is_some()) {
        let above = folder.parent.and_then(|parent| folders.get(parent.at()));
        if above.is_some_and(|above| above.hides_names) { &mut hidden } else { &mut open }
            .push(names.get(folder.name));
        at = above;
    }
    let hides = folders.get(folder.at()).is_some_and(|folder| folder.hides_names);
    let mut path: PathBuf = open.iter().rev().collect();
    let below: PathBuf = hidden.iter().rev().collect();
    match below.as_os_str().is_empty() {
        true => {}
        false if hides => path.push(catalogue::hidden(&below)),
        false => path.push(below),
    }
    path
}

impl Inventory {
    /// A store.
    pub fn store(&self, index: StoreIndex) -> &StoreView {
        &self.stores[index.at()]
    }

    /// An artifact.
    pub fn artifact(&self, index: ArtifactIndex) -> &Artifact {
        &self.artifacts[index.at()]
    }

    /// A folder.
    pub fn folder(&self, index: FolderIndex) -> &Folder {
        &self.folders[index.at()]
    }

    /// A session.
    pub fn session(&self, index: SessionIndex) -> &Session {
        &self.sessions[index.at()]
    }

    /// The folders that are links or mount points and were followed once, each with its store.
    pub fn crossings(&self) -> impl Iterator<Item = (StoreIndex, &Crossing)> {
        self.stores.iter().enumerate().flat_map(|(at, view)| {
            let own = view.store.crossings.followed.iter().filter(|crossing| crossing.is_own);
            own.map(move |crossing| (StoreIndex::of(at), crossing))
        })
    }

    /// Whether a folder that may hold files of a session could not be reached, such as that of all edited files.
    pub fn misses_parts_of(&self, session: &Session) -> bool {
        let store = &self.store(session.store).store;
        store.crossings.out_of_reach.iter().any(|missed| {
            let inside = missed
                .path
                .iter()
                .fold(Cursor::at(store.kind), |cursor, name| cursor.enter(name.as_encoded_bytes()));
            missed.path.iter().count() == 1 && inside.kinds().any(Kind::is_of_session)
        })
    }

    /// The stores that reach a folder of a store, or of which it reaches one.
    pub fn sharing(&self, index: StoreIndex) -> impl Iterator<Item = StoreIndex> {
        let store = &self.store(index).store;
        let others = self.stores.iter().enumerate();
        others.filter(|(_, view)| view.store.shares_with(store)).map(|(at, _)| StoreIndex::of(at))
    }

    /// The name of a folder; empty for the root of a store.
    pub fn folder_name(&self, folder: &Folder) -> &OsStr {
        self.folder_names.get(folder.name)
    }

    /// The name of an artifact.
    pub fn name(&self, artifact: &Artifact) -> &OsStr {
        self.names.get(artifact.name)
    }

    /// The project that a loose artifact names.
    pub fn project_named(&self, artifact: &Artifact) -> Option<&str> {
        artifact.project.and_then(|index| self.projects.get(index.at())).map(|project| &**project)
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

    /// The files of a session.
    pub fn files(&self, session: &Session) -> &[ArtifactIndex] {
        self.grouped.get(session.files.start as usize..session.files.end as usize).unwrap_or_default()
    }

    /// The folder that a sealed file lay in, where that is not the store that it is sealed in.
    pub fn origin(&self, artifact: &Artifact) -> Option<&Path> {
        self.origins.get(&(artifact.folder, artifact.name)).map(PathBuf::as_path)
    }

    /// The digits that stand for the session of a scratch file, by the folder it lies in.
    pub fn scratch_digits(&self, artifact: &Artifact) -> Option<OsString> {
        let path = self.secret_path(artifact);
        path.strip_prefix("s").ok()?.iter().next().map(OsStr::to_os_string)
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

    /// The config store that the sealed form of an artifact goes to, of those that `may` be written to.
    pub fn sealing_store(
        &self,
        artifact: &Artifact,
        session: &Session,
        may: impl Fn(StoreIndex) -> bool,
    ) -> Option<StoreIndex> {
        // A session is sealed where its transcript lies or lay, satellites that never had one are where they
        // lie. A temp tree is no place to keep anything: what lies there goes to the others, or to the user's
        // own store. `None` for what lies in another config store than the transcript, and for what lies in a
        // folder of everybody's, into which nothing can be put back that others could not exchange.
        let is_config = |store: &StoreIndex| self.store(*store).store.kind == Root::Config;
        let at = self.store_of(artifact);
        if self.store(at).store.kind.is_everybodys() {
            return None;
        }
        let files = || self.files(session).iter().map(|index| self.artifact(*index));
        let has_files = |store| {
            let is_one = |file: &Artifact| file.sealed || file.is_regular() && file.can_be_sealed();
            files().any(|file| self.store_of(file) == store && is_one(file))
        };
        let own = match &session.before {
            Some(before) => self.store_at(&before.root),
            None => Some(session.store).filter(|_| session.is_conversation()),
        };
        match own.filter(is_config) {
            Some(own) => return Some(own).filter(|own| may(*own) && (at == *own || !is_config(&at))),
            // Links alone are nothing to encrypt.
            None if is_config(&at) => {
                return Some(at).filter(|at| may(*at) && (artifact.is_regular() || has_files(*at)));
            }
            None => {}
        }
        let stores =
            || (0..self.stores.len()).map(StoreIndex::of).filter(is_config).filter(|store| may(*store));
        let holds_some = |store: &StoreIndex| files().any(|file| self.store_of(file) == *store);
        stores().find(holds_some).or_else(|| stores().next())
    }

    /// How many files of a session could be sealed by their kind, and not where they lie.
    pub fn plain_elsewhere(&self, session: &Session) -> u64 {
        let files = self.files(session).iter().map(|index| self.artifact(*index));
        let is_elsewhere = |file: &&Artifact| {
            file.is_to_be_sealed() && self.store(self.store_of(file)).store.kind.is_everybodys()
        };
        files.filter(is_elsewhere).count() as u64
    }

    /// The path of a folder relative to its store.
    pub fn folder_path(&self, index: FolderIndex) -> PathBuf {
        let mut names: Vec<&OsStr> = Vec::new();
        let mut at = Some(index);
        while let Some(folder) = at.map(|index| self.folder(index)) {
            if folder.parent.is_some() {
                names.push(self.folder_name(folder));
            }
            at = folder.parent;
        }
        let mut path = OsString::new();
        for name in names.iter().rev() {
            if !path.is_empty() {
                path.push("/");
            }
            path.push(name);
        }
        PathBuf::from(path)
    }

    /// Whether everything in a folder, however deep, could be seen.
    pub fn saw_all_of(&self, folder: FolderIndex) -> bool {
        let path = self.full_folder_path(folder);
        !self.problems.iter().any(|problem| problem.path.starts_with(&path))
    }

    /// The full path of a folder, as it may be shown.
    pub fn full_folder_path(&self, index: FolderIndex) -> PathBuf {
        let below = shown_path(&self.folders, &self.folder_names, index, None);
        self.store(self.folder(index).store).store.root.join(below)
    }

    /// The path of an artifact relative to its store, as it may be shown: a name that is content is hidden.
    pub fn path(&self, artifact: &Artifact) -> PathBuf {
        shown_path(&self.folders, &self.folder_names, artifact.folder, Some(self.name(artifact)))
    }

    /// The path of an artifact relative to its store, to be opened or compared and never to be shown.
    pub fn secret_path(&self, artifact: &Artifact) -> PathBuf {
        self.folder_path(artifact.folder).join(self.name(artifact))
    }

    /// The path of an artifact relative to its store, and of a sealed one that which it had before.
    pub fn original_path(&self, artifact: &Artifact) -> PathBuf {
        let path = self.path(artifact);
        let below = path.strip_prefix(naming::FOLDER).ok().filter(|_| artifact.sealed);
        // The first name is the session's.
        let sealed: Option<PathBuf> = below.map(|below| below.iter().skip(1).collect());
        let original = sealed.and_then(|sealed| naming::original(&sealed));
        original.filter(|original| original.tree == Tree::Store).map_or(path, |original| original.path)
    }

    /// Whether a file lies in a folder that one of some other stores reaches too.
    pub fn is_reached_from(&self, artifact: &Artifact, is_one: impl Fn(StoreIndex) -> bool) -> bool {
        let store = &self.store(self.store_of(artifact)).store;
        let is_one = |root: &Path| {
            let at = self.stores.iter().position(|view| view.store.root == root);
            at.is_some_and(|at| is_one(StoreIndex::of(at)))
        };
        let mut reached = store.crossings.reached_from.iter().filter(|(_, root)| is_one(root));
        reached.any(|(folder, _)| self.original_path(artifact).starts_with(folder))
    }

    /// Whether a transcript of a session lies in such a folder.
    pub fn is_session_reached_from(&self, session: &Session, is_one: impl Fn(StoreIndex) -> bool) -> bool {
        // Hardly any store shares a folder with another, and a session has many files.
        let files = self.files(session).iter().map(|index| self.artifact(*index));
        let mut transcripts = files.filter(|artifact| artifact.kind == Some(Kind::Transcript));
        !self.store(session.store).store.crossings.reached_from.is_empty()
            && transcripts.any(|artifact| self.is_reached_from(artifact, &is_one))
    }

    /// The full path of an artifact, as it may be shown.
    pub fn full_path(&self, artifact: &Artifact) -> PathBuf {
        self.store(self.store_of(artifact)).store.root.join(self.path(artifact))
    }

    /// Takes it that a session without a transcript may have one in a store that is not known.
    pub fn doubt_orphans(&mut self) {
        for session in self.sessions.iter_mut().filter(|session| session.evidence == Evidence::Orphaned) {
            session.evidence = Evidence::Unknown;
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

    /// The preservation copies in all stores, each once: the name of the hold, and of the session's folder.
    pub fn preserved(&self) -> BTreeSet<(String, PathBuf)> {
        let holds = ["ccretain", "held"];
        let mut found = BTreeSet::new();
        // How deep each folder lies on the way to a copy; a folder comes after the one it lies in.
        let mut levels: Vec<Option<usize>> = Vec::with_capacity(self.folders.len());
        for (at, folder) in self.folders.iter().enumerate() {
            let name = self.folder_name(folder);
            let level = match folder.parent {
                None => (self.store(folder.store).store.kind == Root::Config).then_some(0),
                Some(parent) => levels[parent.at()].filter(|level| match holds.get(*level) {
                    Some(hold) => name == *hold,
                    None => *level < 4,
                }),
            };
            let level = level.map(|level| level + usize::from(folder.parent.is_some()));
            levels.push(level);
            if let (Some(4), Some(hold)) = (level, folder.parent) {
                let hold = self.folder_name(self.folder(hold)).to_string_lossy().into_owned();
                found.insert((hold, self.full_folder_path(FolderIndex::of(at))));
            }
        }
        found
    }

    /// How many folders each folder lies in.
    pub fn depths(&self) -> Vec<u32> {
        let mut depths: Vec<u32> = Vec::with_capacity(self.folders.len());
        for folder in &self.folders {
            // A folder comes after the one it lies in.
            depths.push(folder.parent.map_or(0, |parent| depths[parent.at()] + 1));
        }
        depths
    }

    /// Opens a folder through the handle of its store, following no link.
    ///
    /// # Errors
    /// As [`Dir::below`].
    pub fn open(&self, index: FolderIndex) -> io::Result<Dir> {
        let mut names: Vec<&OsStr> = Vec::new();
        let mut at = index;
        loop {
            let folder = self.folder(at);
            if let Some(anchor) = &folder.anchor {
                let path: PathBuf = names.iter().rev().collect();
                return anchor.below(&path);
            }
            names.push(self.folder_name(folder));
            at = folder.parent.ok_or(io::ErrorKind::NotFound)?;
        }
    }
}
