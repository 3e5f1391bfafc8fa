//! What one thread of a walk has found, and the sessions as far as it has seen them.
//!
//! What is noted about a session while its files are at hand need not be looked for again when all
//! threads are done: only what needs the whole picture is left then.

use std::ffi::OsStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::content::Said;
use super::liveness::Liveness;
use super::names::Names;
use super::transcript::{Facts, Projects};
use super::{Artifact, ArtifactIndex, Evidence, Oddity, PartIndex, ProjectIndex, Session, StoreIndex};
use crate::catalogue::{Kind, SessionId};
use crate::dir::FileStamp;
use crate::seal::manifest::{DatedBy, Manifest};

/// So many artifacts are handed over at once.
const AT_ONCE: usize = 1024;

/// A thread has room for so many sessions, as many as a large store has; what is not used costs nothing.
const ROOM: usize = 14_000;

/// What one thread has at hand.
#[derive(Debug)]

pub(super) struct Batch {
    found: Found,
    parts: Parts,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub names: Names,
    /// All loose, until sessions are told apart.
    pub artifacts: Vec<Artifact>,
    /// The part of each artifact that is of a session.
    pub parts: Vec<Option<PartIndex>>,
    /// The projects that loose artifacts name.
    pub projects: Vec<Arc<str>>,
    /// What transcripts said that stand for themselves.
    pub facts: Vec<(ArtifactIndex, Facts)>,
    /// What is placed when everything was seen.
    pub later: Vec<Later>,
    /// The newest modification time that is not later than the walk.
    pub newest: Option<DateTime<Utc>>,
}

/// An artifact of which more must be known than its own folder tells.
#[derive(Debug)]
pub(super) struct Later {
    pub artifact: ArtifactIndex,
    pub owner: Option<SessionId>,
    pub said: Said,
}

/// A file as it was met.
pub(super) struct Met<'a> {
    pub name: &'a OsStr,
    pub store: StoreIndex,
    /// The session that its path or its content names.
    pub owner: Option<SessionId>,
    pub said: Said,
    /// Whether it may be dated by what it says now.
    pub is_datable: bool,
}

impl Batch {
    /// An empty one for each of some threads.
    pub fn of_threads(threads: usize) -> impl Iterator<Item = Self> {
        (0..threads).map(move |thread| Self { found: Found::default(), parts: Parts::new(thread, threads) })
    }

    /// Adds a file, whose artifact has no name yet; hands everything over where that is enough.
    pub fn add(&mut self, mut artifact: Artifact, met: Met<'_>, now: DateTime<Utc>) -> Option<Found> {
        let Self { found, parts } = self;
        let Met { name, store, owner, said, is_datable } = met;
        artifact.name = found.names.add(name);
        let modified = artifact.stamp.modified.date();
        found.newest = found.newest.max(modified.filter(|date| *date <= now));
        let index = ArtifactIndex::of(found.artifacts.len());
        let waits = matches!(artifact.kind, Some(Kind::SealedFile | Kind::SealedRecord | Kind::Job))
            || matches!(said, Said::Pid(_) | Said::Lines(_));
        let part = if waits {
            found.later.push(Later { artifact: index, owner, said });
            None
        } else {
            let part = parts.place(&mut artifact, &mut found.projects, store, owner, &said);
            if let (Said::Facts(facts), true) = (said, is_datable) {
                found.facts.push((index, facts));
            }
            part
        };
        found.artifacts.push(artifact);
        found.parts.push(part);
        (found.artifacts.len() >= AT_ONCE).then(|| std::mem::take(found))
    }

    /// Puts together what threads still have at hand, and what they know of sessions.
    pub fn finish(batches: impl Iterator<Item = Self>, found: &mut Found) -> Parts {
        let parts = batches.map(|batch| {
            found.append(batch.found);
            batch.parts
        });
        parts.reduce(Parts::join).unwrap_or_else(|| Parts::new(0, 1))
    }
}

impl Found {
    /// Room for what a large store holds, so that it need not be moved as it grows; memory that is
    /// not written to costs nothing.
    pub fn with_room() -> Self {
        Self {
            artifacts: Vec::with_capacity(64 << 10),
            parts: Vec::with_capacity(64 << 10),
            names: Names::with_room(),
            ..Self::default()
        }
    }

    /// Takes in what a thread has found.
    pub fn append(&mut self, other: Self) {
        let Self { names, mut artifacts, mut parts, projects, facts, later, newest } = other;
        let before = self.artifacts.len();
        let names_before = self.names.append(names);
        let projects_before = self.projects.len();
        for artifact in &mut artifacts {
            artifact.name = artifact.name.moved(names_before);
            artifact.project = artifact.project.map(|index| ProjectIndex::of(index.at() + projects_before));
        }
        let moved = |index: ArtifactIndex| ArtifactIndex::of(index.at() + before);
        self.artifacts.append(&mut artifacts);
        self.parts.append(&mut parts);
        self.projects.extend(projects);
        self.facts.extend(facts.into_iter().map(|(index, facts)| (moved(index), facts)));
        self.later.extend(later.into_iter().map(|later| Later { artifact: moved(later.artifact), ..later }));
        self.newest = self.newest.max(newest);
    }

    /// What transcripts said that stand for themselves, with the state they were in.
    pub fn facts(&self) -> impl Iterator<Item = (&FileStamp, &Facts)> {
        self.facts.iter().map(|(index, facts)| (&self.artifacts[index.at()].stamp, facts))
    }
}

/// Sessions as far as they were seen, by store and id.
///
/// Every thread has its own list; that of the first takes in the others at the end. Numbers stay
/// what they are: those of a thread are its places in steps of as many as there are threads.
#[derive(Debug)]
pub(super) struct Parts {
    pub list: Vec<Part>,
    places: Places,
    /// The files of a session lie together, so it is mostly the one that was asked for before.
    last: usize,
    thread: usize,
    threads: usize,
}

/// Where in the list of the first thread the parts are.
#[derive(Debug)]
pub(super) struct Places {
    by_id: FxHashMap<(StoreIndex, SessionId), u32>,
    /// Those of the other threads, by thread and place there.
    joined: Vec<Vec<u32>>,
}

impl Places {
    /// The place of a session of a store, if it was seen.
    pub fn find(&self, store: StoreIndex, id: SessionId) -> Option<u32> {
        self.by_id.get(&(store, id)).copied()
    }

    /// The place of the part of a number.
    pub fn of(&self, number: PartIndex) -> Option<u32> {
        let threads = self.joined.len();
        let (at, thread) = (number.at() / threads, number.at() % threads);
        if thread == 0 { u32::try_from(at).ok() } else { self.joined.get(thread)?.get(at).copied() }
    }
}

impl Parts {
    fn new(thread: usize, threads: usize) -> Self {
        let by_id = FxHashMap::with_capacity_and_hasher(ROOM, FxBuildHasher);
        let places = Places { by_id, joined: vec![Vec::new(); threads] };
        Self { list: Vec::with_capacity(ROOM), places, last: 0, thread, threads }
    }

    /// Finds the part of the session that an artifact is of, and lets it know of the artifact.
    pub fn place(
        &mut self,
        artifact: &mut Artifact,
        projects: &mut Vec<Arc<str>>,
        store: StoreIndex,
        owner: Option<SessionId>,
        said: &Said,
    ) -> Option<PartIndex> {
        let part = match (artifact.kind, owner) {
            (Some(kind), Some(id)) if kind.is_of_session() => {
                let at = self.at(store, id);
                self.list[at].take(artifact, kind, said);
                Some(PartIndex::of(at * self.threads + self.thread))
            }
            // An unknown name in a session's own folder is not the session's, but is counted.
            (None, Some(id)) => {
                let at = self.at(store, id);
                self.list[at].session.unrecognised += 1;
                None
            }
            _ => None,
        };
        let project = match said {
            Said::Project(project) => Some(project),
            Said::Facts(facts) if part.is_none() => facts.projects.first(),
            _ => None,
        };
        artifact.project = project.map(|project| {
            projects.push(Arc::clone(project));
            ProjectIndex::of(projects.len() - 1)
        });
        part
    }

    /// The list, and where in it the parts are.
    pub fn into_list(self) -> (Vec<Part>, Places) {
        (self.list, self.places)
    }

    /// Takes note of a sealed copy.
    pub fn show_sealed(&mut self, store: StoreIndex, id: SessionId) {
        let at = self.at(store, id);
        let session = &mut self.list[at].session;
        if !session.is_shown() {
            session.evidence = Evidence::Sealed;
        }
    }

    /// The place of a session of a store in the list, where it is put if it is new.
    pub fn at(&mut self, store: StoreIndex, id: SessionId) -> usize {
        if !self.list.get(self.last).is_some_and(|part| part.is_of(store, id)) {
            self.last = self.find(store, id).unwrap_or_else(|| self.add(Part::new(store, id)));
        }
        self.last
    }

    fn find(&self, store: StoreIndex, id: SessionId) -> Option<usize> {
        self.places.find(store, id).map(|at| at as usize)
    }

    fn add(&mut self, part: Part) -> usize {
        let at = self.list.len();
        self.places
            .by_id
            .insert((part.session.store, part.session.id), u32::try_from(at).unwrap_or(u32::MAX));
        self.list.push(part);
        at
    }

    /// Takes in what another thread knows of sessions.
    fn join(mut self, other: Self) -> Self {
        let places = other.list.into_iter().map(|part| {
            let at = match self.find(part.session.store, part.session.id) {
                Some(at) => {
                    self.list[at].join(part);
                    at
                }
                None => self.add(part),
            };
            u32::try_from(at).unwrap_or(u32::MAX)
        });
        let places = places.collect();
        self.places.joined[other.thread] = places;
        self
    }
}

/// What was seen of one session in one store.
#[derive(Debug)]
pub(super) struct Part {
    /// The session, as if this were all of it; shown by a transcript, by a sealed copy, or unknown.
    pub session: Session,
    /// The newest modification time of any of its files.
    pub latest: Option<DateTime<Utc>>,
    /// How many files it has here.
    pub files: u32,
}

impl Part {
    pub fn new(store: StoreIndex, id: SessionId) -> Self {
        let session = Session {
            id,
            store,
            evidence: Evidence::Unknown,
            project: None,
            projects: Projects::default(),
            newest_record: None,
            modified: None,
            touched: None,
            liveness: Liveness::Dead,
            is_desktop: false,
            is_unreadable: false,
            has_record: false,
            plain: 0,
            sealed: 0,
            unsealed: None,
            files: 0..0,
            unrecognised: 0,
        };
        Self { session, latest: None, files: 0 }
    }

    fn is_of(&self, store: StoreIndex, id: SessionId) -> bool {
        self.session.id == id && self.session.store == store
    }

    /// Whether a transcript or a sealed copy shows that there is such a session here.
    pub fn is_shown(&self) -> bool {
        self.session.is_shown()
    }

    /// The session, once all parts of it are one.
    pub fn into_session(self, is_complete: bool) -> Session {
        let mut session = self.session;
        if !session.is_shown() {
            session.evidence = if is_complete { Evidence::Orphaned } else { Evidence::Unknown };
            // Without a transcript, all of its files date it.
            session.modified = self.latest;
        }
        session
    }

    /// Takes note of a file.
    fn take(&mut self, artifact: &Artifact, kind: Kind, said: &Said) {
        let modified = artifact.stamp.modified.date();
        let session = &mut self.session;
        self.files += 1;
        self.latest = self.latest.max(modified);
        let is_record = kind == Kind::SealedRecord;
        // A pid file tells of a process, a record of the sealing, neither of the conversation.
        if !is_record && kind != Kind::PidFile {
            session.touched = session.touched.max(modified);
        }
        session.sealed += u32::from(artifact.sealed && !is_record);
        session.plain += u32::from(artifact.can_be_sealed());
        // What was a transcript before it was sealed is dated by the record.
        if kind == Kind::Transcript && !artifact.sealed {
            session.evidence = Evidence::Transcript;
            session.modified = session.modified.max(modified);
        }
        match said {
            Said::Facts(facts) => session.hear(facts, kind),
            Said::Manifest(record) => session.read_record(record),
            Said::Unreadable => session.is_unreadable = true,
            _ if kind == Kind::Transcript => session.is_unreadable |= artifact.oddity != Oddity::None,
            _ => {}
        }
    }

    /// Takes in what is known of the same session elsewhere.
    pub fn join(&mut self, other: Self) {
        let Self { session: theirs, latest, files } = other;
        let mine = &mut self.session;
        mine.evidence = match (mine.evidence, theirs.evidence) {
            (Evidence::Transcript, _) | (_, Evidence::Transcript) => Evidence::Transcript,
            (Evidence::Sealed, _) | (_, Evidence::Sealed) => Evidence::Sealed,
            (mine, _) => mine,
        };
        mine.project = mine.project.take().or(theirs.project);
        mine.learn_all(&theirs.projects);
        mine.newest_record = mine.newest_record.max(theirs.newest_record);
        mine.modified = mine.modified.max(theirs.modified);
        mine.touched = mine.touched.max(theirs.touched);
        mine.is_unreadable |= theirs.is_unreadable;
        mine.is_desktop |= theirs.is_desktop;
        mine.has_record |= theirs.has_record;
        mine.plain += theirs.plain;
        mine.sealed += theirs.sealed;
        mine.unrecognised += theirs.unrecognised;
        self.latest = self.latest.max(latest);
        self.files += files;
    }
}

impl Session {
    /// Whether a transcript or a sealed copy shows that there is such a session.
    pub(super) fn is_shown(&self) -> bool {
        matches!(self.evidence, Evidence::Transcript | Evidence::Sealed)
    }

    /// Takes what the record of a sealed session says.
    fn read_record(&mut self, record: &Manifest) {
        self.is_desktop |= record.desktop;
        // What it was when the session was sealed goes before what was written since.
        self.project = record.project.as_deref().map(Arc::from).or_else(|| self.project.take());
        let mut projects: Vec<Arc<str>> = Vec::new();
        for project in record.project.iter().chain(&record.cwds) {
            if !projects.iter().any(|known| **known == **project) {
                projects.push(Arc::from(project.as_str()));
            }
        }
        self.learn_all(&projects.into());
        match record.last_activity_from {
            Some(DatedBy::Mtime) => {}
            _ => self.newest_record = self.newest_record.max(record.last_activity),
        }
        let transcripts = record.files.iter().filter(|file| file.kind == Kind::Transcript);
        let modified = transcripts.map(|file| file.mtime).max();
        // Where nothing but a file's date was known, it is that of before the session was unsealed
        // and touched; else the dates of the files are, as for a session that is not sealed.
        let modified = match record.last_activity_from {
            Some(DatedBy::Mtime) => record.last_activity.or(modified),
            _ => modified.or(record.last_activity),
        };
        self.modified = self.modified.max(modified);
        self.has_record = true;
    }

    fn hear(&mut self, facts: &Facts, kind: Kind) {
        self.newest_record = self.newest_record.max(facts.newest);
        self.is_desktop |= facts.is_desktop && kind == Kind::Transcript;
        // Rules go by the transcript's own project, also where a subagent was read first.
        if kind == Kind::Transcript && self.project.is_none() {
            self.project = facts.projects.first().cloned();
        }
        self.learn_all(&facts.projects);
    }

    /// Learns of projects; mostly they are those it knows.
    pub(super) fn learn_all(&mut self, projects: &Projects) {
        if self.projects.is_empty() {
            self.projects = Arc::clone(projects);
            return;
        }
        let new = projects.iter().filter(|project| !self.projects.contains(project));
        if new.clone().next().is_some() {
            let new: Vec<_> = new.cloned().collect();
            self.projects = self.projects.iter().cloned().chain(new).collect();
        }
    }
}
