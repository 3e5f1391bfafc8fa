//! Grouping what was found into sessions, and telling which of them are live.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::content::Said;
use super::intern::Interner;
use super::lines::LineFile;
use super::liveness::{self, Liveness, PidRecord, Processes};
use super::scan::Batch;
use super::transcript::Facts;
use super::{
    Artifact, ArtifactIndex, Belongs, Evidence, Folder, FolderIndex, Inventory, LiveClient, Oddity, Problem,
    Session, SessionIndex, StoreIndex, StoreView,
};
use crate::catalogue::{Kind, SessionId};
use crate::locate::Store;
use crate::seal::manifest::{DatedBy, Manifest};
use crate::seal::naming;

/// What a walk brought home.
pub(super) struct Raw<'a> {
    pub stores: Vec<Store>,
    pub folders: Vec<Folder>,
    pub found: Batch,
    pub problems: Vec<Problem>,
    pub is_complete: bool,
    pub now: DateTime<Utc>,
    pub interner: Interner,
    pub processes: &'a dyn Processes,
}

/// Makes an inventory of what was found.
pub(super) fn group(raw: Raw<'_>) -> Inventory {
    let Raw { stores, folders, mut found, problems, is_complete, now, interner, processes } = raw;
    drop(interner);
    give_jobs_their_session(&folders, &mut found);
    let mut grouping = Grouping {
        folders: &folders,
        sessions: Vec::new(),
        of_store: FxHashMap::default(),
        newest: FxHashMap::default(),
        is_complete,
    };
    grouping.found_sessions(&found);
    let Batch { mut artifacts, owners, said } = found;
    let mut line_files = Vec::new();
    let mut pids: Vec<(StoreIndex, PidRecord)> = Vec::new();
    let mut locks: Vec<(ArtifactIndex, PidRecord)> = Vec::new();
    let mut said = said.into_iter().peekable();
    for ((at, artifact), owner) in artifacts.iter_mut().enumerate().zip(owners) {
        let said = said.next_if(|(of, _)| *of == at).map_or(Said::Nothing, |(_, said)| said);
        grouping.place(ArtifactIndex::of(at), artifact, owner, &said);
        match said {
            Said::Lines(content) => {
                line_files.push(LineFile { artifact: ArtifactIndex::of(at), content: *content });
            }
            Said::Pid(record) if artifact.kind == Some(Kind::PidFile) => {
                pids.push((folders[artifact.folder.at()].store, *record));
            }
            Said::Pid(record) => locks.push((ArtifactIndex::of(at), *record)),
            _ => {}
        }
    }
    let mut sessions = grouping.sessions;
    projects_from_lines(&mut sessions, &line_files, &artifacts, &folders);
    let mut problems = problems;
    for session in sessions.iter_mut().filter(|session| session.sealed > 0 && !session.has_record) {
        // Without its record neither its date nor its projects are known.
        session.is_unreadable = true;
        let root = &stores[session.store.at()].root;
        let path = root.join(naming::session_folder(session.id)).join(naming::RECORD);
        if !problems.iter().any(|problem| problem.path == path) {
            let error = std::io::Error::from(std::io::ErrorKind::NotFound);
            problems.push(Problem { store: Some(session.store), path, doing: "read", error });
        }
    }
    let mut views: Vec<StoreView> =
        stores.into_iter().map(|store| StoreView { store, live: Vec::new() }).collect();
    look_for_clients(&mut views, &mut sessions, pids, processes, now);
    for (index, record) in locks {
        let alive =
            liveness::judge(&record, processes, artifacts[index.at()].stamp.modified.date(), now).is_live();
        if alive {
            artifacts[index.at()].oddity = Oddity::InUse;
        }
    }
    keep_newest_backup(&mut artifacts, &line_files, &folders);
    let newest_date = newest_date(&artifacts, &sessions, now);
    Inventory {
        taken: now,
        stores: views,
        folders,
        artifacts,
        sessions,
        line_files,
        problems,
        is_complete,
        newest_date,
    }
}

struct Grouping<'a> {
    folders: &'a [Folder],
    sessions: Vec<Session>,
    of_store: FxHashMap<(StoreIndex, SessionId), SessionIndex>,
    newest: FxHashMap<SessionId, SessionIndex>,
    is_complete: bool,
}

impl Grouping<'_> {
    /// A first pass: every session that a transcript shows, dated, so that satellites in other
    /// trees know the newest of their id.
    fn found_sessions(&mut self, found: &Batch) {
        let mut said = found.said.iter().peekable();
        for ((at, artifact), owner) in found.artifacts.iter().enumerate().zip(&found.owners) {
            let said = said.next_if(|(of, _)| *of == at).map_or(&Said::Nothing, |(_, said)| said);
            let (Some(kind), Some(id)) = (artifact.kind, *owner) else { continue };
            let evidence = match kind {
                Kind::Transcript => Evidence::Transcript,
                Kind::SealedRecord | Kind::SealedFile => Evidence::Sealed,
                _ => continue,
            };
            let store = self.folders[artifact.folder.at()].store;
            let index = self.session(store, id, evidence);
            let session = &mut self.sessions[index.at()];
            match (said, kind) {
                (said, Kind::Transcript) => {
                    session.evidence = Evidence::Transcript;
                    session.modified = session.modified.max(artifact.stamp.modified.date());
                    if let Said::Facts(facts) = said {
                        session.newest_record = session.newest_record.max(facts.newest);
                    }
                }
                (Said::Manifest(record), _) => session.read_record(record),
                _ => {}
            }
        }
        for (at, session) in self.sessions.iter().enumerate() {
            let date = |session: &Session| session.newest_record.or(session.modified);
            let entry = self.newest.entry(session.id).or_insert(SessionIndex::of(at));
            if date(session) > date(&self.sessions[entry.at()]) {
                *entry = SessionIndex::of(at);
            }
        }
    }

    fn session(&mut self, store: StoreIndex, id: SessionId, evidence: Evidence) -> SessionIndex {
        let sessions = &mut self.sessions;
        *self.of_store.entry((store, id)).or_insert_with(|| {
            sessions.push(Session {
                id,
                store,
                evidence,
                project: None,
                projects: Vec::new(),
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
                artifacts: Vec::new(),
                unrecognised: 0,
            });
            SessionIndex::of(sessions.len() - 1)
        })
    }

    /// The session that a satellite in a store belongs to: the store's own, else the newest of
    /// that id anywhere, else an orphan.
    fn owner(&mut self, store: StoreIndex, id: SessionId) -> SessionIndex {
        if let Some(index) = self.of_store.get(&(store, id)).or_else(|| self.newest.get(&id)) {
            return *index;
        }
        let evidence = if self.is_complete { Evidence::Orphaned } else { Evidence::Unknown };
        let index = self.session(store, id, evidence);
        // Satellites of one id in several stores are one unit.
        self.newest.insert(id, index);
        index
    }

    /// Finds the session an artifact belongs to, and lets that session know of it.
    fn place(&mut self, index: ArtifactIndex, artifact: &mut Artifact, id: Option<SessionId>, said: &Said) {
        let store = self.folders[artifact.folder.at()].store;
        let is_record = artifact.kind == Some(Kind::SealedRecord);
        if artifact.kind == Some(Kind::SealedFile) {
            artifact.kind = Some(self.kind_of_sealed(artifact.folder, &artifact.name));
        }
        let owner = match (artifact.kind, id) {
            (Some(kind), Some(id)) if kind.is_of_session() => Some(self.owner(store, id)),
            // An unknown name in a session's own folder is not the session's, but is counted.
            (None, Some(id)) => {
                let owner = self.of_store.get(&(store, id)).or_else(|| self.newest.get(&id)).copied();
                if let Some(owner) = owner {
                    self.sessions[owner.at()].unrecognised += 1;
                }
                None
            }
            _ => None,
        };
        artifact.belongs = owner.map_or(Belongs::Loose, Belongs::Session);
        if let (Some(owner), Some(kind)) = (owner, artifact.kind) {
            self.tell(owner, index, kind, artifact.stamp.modified.date(), said, artifact.oddity);
            let session = &mut self.sessions[owner.at()];
            session.sealed += u32::from(artifact.sealed && !is_record);
            session.plain += u32::from(artifact.can_be_sealed());
        }
        artifact.project = match said {
            Said::Project(project) => Some(Arc::clone(project)),
            Said::Facts(facts) if owner.is_none() => facts.projects.first().cloned(),
            _ => None,
        };
        // A background session that is not known to be over is in use.
        if artifact.kind == Some(Kind::Job) && !matches!(said, Said::Over) {
            artifact.oddity = Oddity::InUse;
        }
    }

    /// What a sealed file was, by its path in the session's sealed folder.
    fn kind_of_sealed(&self, folder: FolderIndex, name: &OsStr) -> Kind {
        if naming::is_part(name) {
            return Kind::OwnLeftover;
        }
        let mut names: Vec<&OsStr> = vec![name];
        let mut at = &self.folders[folder.at()];
        // Up to the session's own folder, which lies in `sealed`.
        while let Some(parent) = at.parent.map(|parent| &self.folders[parent.at()]) {
            if *parent.name == *"sealed" {
                break;
            }
            names.push(&at.name);
            at = parent;
        }
        let path: PathBuf = names.iter().rev().collect();
        naming::original(&path).and_then(|original| original.kind).unwrap_or(Kind::SealedFile)
    }

    /// Lets a session know of a file of its own.
    fn tell(
        &mut self,
        owner: SessionIndex,
        index: ArtifactIndex,
        kind: Kind,
        modified: Option<DateTime<Utc>>,
        said: &Said,
        oddity: Oddity,
    ) {
        let session = &mut self.sessions[owner.at()];
        session.artifacts.push(index);
        // A pid file tells of a process, a record of the sealing, neither of the conversation.
        if !matches!(kind, Kind::PidFile | Kind::SealedRecord) {
            session.touched = session.touched.max(modified);
        }
        if matches!(session.evidence, Evidence::Orphaned | Evidence::Unknown) {
            session.modified = session.modified.max(modified);
        }
        match said {
            Said::Facts(facts) => session.hear(facts, kind),
            Said::Unreadable => session.is_unreadable = true,
            _ if kind == Kind::Transcript => session.is_unreadable |= oddity != Oddity::None,
            _ => {}
        }
    }
}

impl Session {
    /// Takes what the record of a sealed session says.
    fn read_record(&mut self, record: &Manifest) {
        self.is_desktop |= record.desktop;
        self.project = self.project.take().or_else(|| record.project.as_deref().map(Arc::from));
        for project in record.project.iter().chain(&record.cwds) {
            self.learn(&Arc::from(project.as_str()));
        }
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
        for project in &facts.projects {
            self.learn(project);
        }
    }

    fn learn(&mut self, project: &Arc<str>) {
        if !self.projects.contains(project) {
            // Most sessions have one.
            self.projects.reserve_exact(1);
            self.projects.push(Arc::clone(project));
        }
    }
}

/// The files of a background session share what its `state.json` says.
fn give_jobs_their_session(folders: &[Folder], found: &mut Batch) {
    let mut over: BTreeMap<FolderIndex, Option<SessionId>> = BTreeMap::new();
    for (at, said) in &found.said {
        let artifact = &found.artifacts[*at];
        if artifact.kind == Some(Kind::Job) && matches!(said, Said::Over) {
            over.insert(artifact.folder, found.owners[*at]);
        }
    }
    if over.is_empty() {
        return;
    }
    // The folder of the job above a file, however deep it lies.
    let job_of = |folder: FolderIndex| {
        let mut at = Some(folder);
        while let Some(index) = at {
            if over.contains_key(&index) {
                return Some(index);
            }
            at = folders[index.at()].parent;
        }
        None
    };
    let jobs = found.artifacts.iter().enumerate().filter(|(_, artifact)| artifact.kind == Some(Kind::Job));
    let of_jobs: Vec<(usize, FolderIndex)> =
        jobs.filter_map(|(at, artifact)| Some((at, job_of(artifact.folder)?))).collect();
    // What its files said beside that is nothing, or that they could not be read.
    found.said.retain(|(at, _)| of_jobs.binary_search_by_key(at, |(of, _)| *of).is_err());
    for (at, job) in of_jobs {
        found.owners[at] = over.get(&job).copied().flatten();
        found.said.push((at, Said::Over));
    }
    found.said.sort_by_key(|(at, _)| *at);
}

/// Adds the projects that history lines and index entries name, which is all that is known of
/// the project of an orphaned session.
fn projects_from_lines(
    sessions: &mut [Session],
    files: &[LineFile],
    artifacts: &[Artifact],
    folders: &[Folder],
) {
    let mut of_id: FxHashMap<SessionId, Vec<usize>> =
        FxHashMap::with_capacity_and_hasher(sessions.len(), FxBuildHasher);
    for (at, session) in sessions.iter().enumerate() {
        of_id.entry(session.id).or_default().push(at);
    }
    for file in files {
        let store = folders[artifacts[file.artifact.at()].folder.at()].store;
        for line in &file.content.lines {
            let (Some(id), Some(project)) = (line.session, &line.project) else { continue };
            for at in of_id.get(&id).into_iter().flatten() {
                let session = &mut sessions[*at];
                if session.store == store
                    || matches!(session.evidence, Evidence::Orphaned | Evidence::Unknown)
                {
                    session.learn(project);
                }
            }
        }
    }
    for session in sessions {
        if session.project.is_none() {
            session.project = session.projects.first().cloned();
        }
    }
}

/// Tells from the pid files which sessions are open.
fn look_for_clients(
    views: &mut [StoreView],
    sessions: &mut [Session],
    pids: Vec<(StoreIndex, PidRecord)>,
    processes: &dyn Processes,
    now: DateTime<Utc>,
) {
    for (store, record) in pids {
        let touched = record.session.and_then(|id| {
            sessions.iter().filter(|session| session.id == id).filter_map(|session| session.touched).max()
        });
        let liveness = liveness::judge(&record, processes, touched, now);
        if !liveness.is_live() {
            continue;
        }
        for session in sessions.iter_mut().filter(|session| Some(session.id) == record.session) {
            session.liveness = liveness;
        }
        views[store.at()].live.push(LiveClient { pid: record.pid, session: record.session, liveness });
    }
}

/// The newest backup of the global file that can still be parsed is what a client would be
/// restored from: it stays.
fn keep_newest_backup(artifacts: &mut [Artifact], files: &[LineFile], folders: &[Folder]) {
    let mut newest: FxHashMap<StoreIndex, ArtifactIndex> = FxHashMap::default();
    for file in files.iter().filter(|file| file.content.is_well_formed) {
        let artifact = &artifacts[file.artifact.at()];
        // What the client set aside as damaged is no backup, even where it parses.
        let is_damaged = artifact.name.as_encoded_bytes().starts_with(b".claude.json.corrupted");
        if artifact.kind != Some(Kind::ConfigBackup) || is_damaged {
            continue;
        }
        let entry = newest.entry(folders[artifact.folder.at()].store).or_insert(file.artifact);
        if artifact.stamp.modified.date() > artifacts[entry.at()].stamp.modified.date() {
            *entry = file.artifact;
        }
    }
    for index in newest.into_values() {
        artifacts[index.at()].oddity = Oddity::InUse;
    }
}

fn newest_date(artifacts: &[Artifact], sessions: &[Session], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let files = artifacts.iter().filter_map(|artifact| artifact.stamp.modified.date());
    let records = sessions.iter().filter_map(|session| session.newest_record);
    files.chain(records).filter(|date| *date <= now).max()
}
