//! Grouping what was found into sessions, and telling which of them are live.

mod owners;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::batch::{Found, Later};
use super::content::Said;
use super::intern::Interner;
use super::lines::{Line, LineFile};
use super::liveness::{self, Liveness, PidRecord, Processes};
use super::memory::Absent;
use super::names::{Name, Names};
use super::parts::{FEW, Last, Part, Parts, Places};
use super::{
    Artifact, ArtifactIndex, Belongs, FirstSeen, Folder, FolderIndex, Inventory, LiveClient, Oddity,
    PartIndex, Problem, Session, SessionIndex, StoreIndex, StoreView,
};
use crate::catalogue::{Kind, Root, SessionId};
use crate::locate::Store;
use crate::seal::manifest::Manifest;
use crate::seal::naming;

/// More folders than this above a sealed file, and its original is not known by its path.
const DEEPEST: usize = 256;
/// So many lines are worth a thread.
const LINES_AT_ONCE: usize = 2048;

/// The folders that a walk entered.
#[derive(Debug)]
pub(super) struct Folders {
    pub list: Vec<Folder>,
    pub names: Names,
}

impl Folders {
    /// None yet, with room for those of a large store.
    pub fn with_room() -> Self {
        Self { list: Vec::with_capacity(64 << 10), names: Names::with_room() }
    }
}

/// What a walk brought home.
pub(super) struct Raw<'a> {
    pub stores: Vec<Store>,
    pub folders: Folders,
    pub found: Found,
    pub parts: Parts,
    pub problems: Vec<Problem>,
    pub is_complete: bool,
    pub now: DateTime<Utc>,
    pub interner: Interner,
    pub processes: &'a dyn Processes,
    /// Whether an earlier run saw the transcript of a session in a root.
    pub saw_transcript: &'a dyn Fn(&Path, SessionId) -> bool,
}

/// Makes an inventory of what was found.
pub(super) fn group(raw: Raw<'_>) -> Inventory {
    let Raw {
        stores,
        folders,
        mut found,
        parts,
        problems,
        is_complete,
        now,
        interner,
        processes,
        saw_transcript,
    } = raw;
    drop(interner);
    found.facts = Vec::new();
    let mut later = std::mem::take(&mut found.later);
    give_jobs_their_session(&folders.list, &found.artifacts, &mut later);
    // Whether a folder is a session's own is known once every transcript was seen.
    later.sort_by_key(|later| found.artifacts[later.artifact.at()].kind.is_some_and(Kind::is_by_place));
    let mut own = OwnFolders { stores: &stores, saw_transcript, known: FxHashMap::default() };
    owners::tell(&folders, &mut found, &parts, &mut later);
    let mut last = Last::default();
    let (mut line_files, mut logs) = (Vec::new(), FxHashMap::default());
    let mut pids: Vec<(ArtifactIndex, PidRecord)> = Vec::new();
    let mut locks: Vec<(ArtifactIndex, PidRecord)> = Vec::new();
    let mut from_elsewhere = FromElsewhere::default();
    let mut workers: Vec<(StoreIndex, PidRecord)> = Vec::new();
    for Later { artifact: index, owner, said } in later {
        let store = folders.list[found.artifacts[index.at()].folder.at()].store;
        let artifact = &mut found.artifacts[index.at()];
        if let (Some(Kind::SealedFile | Kind::SealedRecord), Some(id)) = (artifact.kind, owner) {
            parts.show_sealed(store, id);
        }
        if artifact.kind == Some(Kind::SealedFile) {
            artifact.kind = Some(kind_of_sealed(&folders, artifact.folder, found.names.get(artifact.name)));
        }
        if artifact.kind.is_some_and(Kind::is_by_place)
            && !artifact.sealed
            && !owner.is_some_and(|id| own.is_of_session(&parts, store, id))
        {
            artifact.kind = None;
        }
        found.parts[index.at()] = parts.place(&mut last, artifact, &mut found.projects, store, owner, &said);
        // A background session that is not known to be over is in use.
        if artifact.kind == Some(Kind::Job) && !matches!(said, Said::Job(true)) {
            artifact.oddity = Oddity::InUse;
        }
        match said {
            Said::Manifest(record) => from_elsewhere.learn(store, &record),
            Said::Log(log) => drop(logs.insert(artifact.key(), *log)),
            Said::Workers(records) => {
                let modified = artifact.modified();
                workers.extend(records.into_iter().map(|record| (store, PidRecord { modified, ..record })));
            }
            // One that cannot be understood may be of a service that runs.
            _ if owners::is_roster(artifact.kind, found.names.get(artifact.name)) => {
                workers.push((store, PidRecord::unknown(artifact.modified())));
            }
            Said::Lines(content) => line_files.push(LineFile { artifact: index, content: *content }),
            Said::Pid(record) if artifact.kind == Some(Kind::PidFile) => pids.push((index, *record)),
            Said::Pid(record) => locks.push((index, *record)),
            _ => {}
        }
    }
    let is_config = |store: StoreIndex| stores[store.at()].kind == Root::Config;
    let mut units = Units::of(parts, is_complete, is_config);
    let Found { names, mut artifacts, parts: of_artifacts, projects, .. } = found;
    let reached = |store: StoreIndex| reaching(stores.iter(), store);
    let stores_of_lines: Vec<(Vec<StoreIndex>, &[Line])> = line_files
        .iter()
        .map(|file| {
            let folder = &folders.list[artifacts[file.artifact.at()].folder.at()];
            (reached(folder.store), &*file.content.lines)
        })
        .collect();
    let (learnt, counts) =
        rayon::join(|| units.heard_of(&stores_of_lines), || units.tell_owners(&mut artifacts, &of_artifacts));
    units.learn(learnt);
    let grouped = units.give_out(&artifacts, counts);
    let mut sessions = units.sessions;
    let origins = from_elsewhere.of(&artifacts, &names, &folders, &sessions);
    let mut problems = problems;
    let reported: HashSet<PathBuf> = problems.iter().map(|problem| problem.path.clone()).collect();
    for session in sessions.iter_mut().filter(|session| session.sealed > 0 && !session.has_record) {
        // Without its record neither its date nor its projects are known.
        session.is_unreadable = true;
        let root = &stores[session.store.at()].root;
        let path = root.join(naming::session_folder(session.id)).join(naming::RECORD);
        if !reported.contains(&path) {
            let error = std::io::Error::from(std::io::ErrorKind::NotFound);
            problems.push(Problem { store: Some(session.store), path, doing: "read", error });
        }
    }
    let with_empty_projects = with_empty_projects(&folders, &artifacts, &stores);
    let views = stores.into_iter().zip(with_empty_projects);
    let mut views: Vec<StoreView> = views
        .map(|(store, has_empty_projects)| StoreView {
            store,
            live: Vec::new(),
            workers: Vec::new(),
            has_empty_projects,
        })
        .collect();
    let pids = pids.into_iter().map(|(index, record)| {
        let artifact = &artifacts[index.at()];
        let store = folders.list[artifact.folder.at()].store;
        let owner = views[store.at()].store.owner;
        let place = liveness::Place { name: names.get(artifact.name), owner };
        let checked = liveness::judge_checked(&record, &place, processes, now);
        (store, record, checked)
    });
    let pids: Vec<(StoreIndex, PidRecord, Liveness)> = pids.collect();
    look_for_clients(&mut views, &mut sessions, pids, processes, now);
    look_for_workers(&mut views, workers, processes, now);
    for (index, record) in locks {
        let alive = liveness::judge(&record, processes, artifacts[index.at()].modified(), now).is_live();
        if alive {
            artifacts[index.at()].oddity = Oddity::InUse;
        }
    }
    keep_newest_backup(&mut artifacts, &names, &line_files, &folders.list);
    join_hard_links(&mut artifacts);
    let mut inventory = Inventory {
        taken: now,
        stores: views,
        folders: folders.list,
        folder_names: folders.names,
        artifacts,
        names,
        projects,
        sessions,
        grouped,
        line_files,
        plans: FxHashMap::default(),
        slug_key: None,
        logs,
        first_seen: FirstSeen::default(),
        problems,
        is_complete,
        absent: Absent::default(),
        origins,
    };
    inventory.count_for_sealing();
    inventory
}

/// Of each store, whether its folder of projects, or that of one, is there and empty.
fn with_empty_projects(folders: &Folders, artifacts: &[Artifact], stores: &[Store]) -> Vec<bool> {
    let mut is_used = vec![false; folders.list.len()];
    let parents = folders.list.iter().filter_map(|folder| folder.parent);
    for index in parents.chain(artifacts.iter().map(|artifact| artifact.folder)) {
        is_used[index.at()] = true;
    }
    let is_root = |index: FolderIndex| folders.list[index.at()].parent.is_none();
    let holds_projects = |folder: &Folder| {
        folder.parent.is_some_and(is_root) && folders.names.get(folder.name) == OsStr::new("projects")
    };
    let mut found = vec![false; stores.len()];
    for (folder, is_used) in folders.list.iter().zip(is_used) {
        let parent = folder.parent.map(|parent| &folders.list[parent.at()]);
        let counts = holds_projects(folder) || parent.is_some_and(holds_projects);
        found[folder.store.at()] |= !is_used && counts && stores[folder.store.at()].kind == Root::Config;
    }
    found
}

/// Which folders `projects/<P>/<S>` are the own ones of sessions, whatever lies in them.
struct OwnFolders<'a> {
    stores: &'a [Store],
    saw_transcript: &'a dyn Fn(&Path, SessionId) -> bool,
    known: FxHashMap<(StoreIndex, SessionId), bool>,
}

impl OwnFolders<'_> {
    /// Whether the transcript of a session is or was in a store.
    fn is_of_session(&mut self, parts: &Parts, store: StoreIndex, id: SessionId) -> bool {
        *self.known.entry((store, id)).or_insert_with(|| {
            parts.has_transcript(store, id) || (self.saw_transcript)(&self.stores[store.at()].root, id)
        })
    }
}

/// A file whose names are all of one session has none that would keep its data.
fn join_hard_links(artifacts: &mut [Artifact]) {
    let key = |artifact: &Artifact| (artifact.belongs, artifact.stamp.device, artifact.stamp.inode);
    let is_of_session = |artifact: &Artifact| {
        artifact.hard_linked && artifact.is_regular() && artifact.belongs != Belongs::Loose
    };
    let mut names: FxHashMap<_, u32> = FxHashMap::default();
    for artifact in artifacts.iter().filter(|artifact| is_of_session(artifact)) {
        *names.entry(key(artifact)).or_default() += 1;
    }
    for artifact in artifacts.iter_mut().filter(|artifact| is_of_session(artifact)) {
        artifact.hard_linked = names.get(&key(artifact)).is_none_or(|found| *found < artifact.links);
    }
}

impl Inventory {
    /// Counts of each session what could be sealed and is not, and what is in the way of that.
    fn count_for_sealing(&mut self) {
        let counts: Vec<(SessionIndex, u32, u32)> = self
            .artifacts
            .iter()
            .filter_map(|artifact| {
                let Belongs::Session(index) = artifact.belongs else { return None };
                let (plain, hinders) = (artifact.can_be_sealed(), artifact.hinders_sealing());
                let has_place = || self.sealing_store(artifact, self.session(index), |_| true).is_some();
                let counts = (plain || hinders) && has_place();
                counts.then_some((index, u32::from(plain), u32::from(hinders)))
            })
            .collect();
        for (index, plain, hinders) in counts {
            let session = &mut self.sessions[index.at()];
            session.plain += plain;
            session.unsealable += hinders;
        }
        // Links alone are nothing to encrypt, and a record without files is taken for a left one.
        let artifacts = &self.artifacts;
        for session in self.sessions.iter_mut().filter(|session| session.plain > 0 && session.sealed == 0) {
            let files = self.grouped.get(session.files.start as usize..session.files.end as usize);
            let mut files = files.unwrap_or_default().iter().map(|index| &artifacts[index.at()]);
            if !files.any(|artifact| artifact.is_regular() && artifact.can_be_sealed()) {
                session.plain = 0;
            }
        }
    }
}

/// What a sealed file was, by its path in the session's sealed folder.
fn kind_of_sealed(folders: &Folders, folder: FolderIndex, name: &OsStr) -> Kind {
    if naming::is_part(name) {
        return Kind::OwnLeftover;
    }
    let original = naming::original(&sealed_path(folders, folder, name));
    original.and_then(|original| original.kind).unwrap_or(Kind::SealedFile)
}

/// The path of a sealed file in the session's sealed folder.
fn sealed_path(folders: &Folders, folder: FolderIndex, name: &OsStr) -> PathBuf {
    let mut names: Vec<&OsStr> = vec![name];
    let mut at = &folders.list[folder.at()];
    // Up to the session's own folder, which lies in `sealed`.
    while let Some(parent) = at.parent.map(|parent| &folders.list[parent.at()]) {
        if folders.names.get(parent.name) == "sealed" {
            break;
        }
        names.push(folders.names.get(at.name));
        at = parent;
        // Nothing that is sealed lies that deep, and each file would be looked for up to the root.
        if names.len() > DEEPEST {
            return PathBuf::from(name);
        }
    }
    names.iter().rev().collect()
}

/// The sealed files that lay elsewhere than in their store, by their paths in the session's sealed folder.
#[derive(Default)]
struct FromElsewhere(FxHashMap<(StoreIndex, SessionId), BTreeMap<PathBuf, PathBuf>>);

impl FromElsewhere {
    fn learn(&mut self, store: StoreIndex, record: &Manifest) {
        for file in &record.files {
            if let Some(temp) = &file.temp {
                let of_session = self.0.entry((store, record.session)).or_default();
                of_session.insert(file.sealed.clone(), temp.clone());
            }
        }
    }

    fn of(
        &self,
        artifacts: &[Artifact],
        names: &Names,
        folders: &Folders,
        sessions: &[Session],
    ) -> FxHashMap<(FolderIndex, Name), PathBuf> {
        let origin = |artifact: &Artifact| {
            let Belongs::Session(session) = artifact.belongs else { return None };
            let store = folders.list[artifact.folder.at()].store;
            let of_session = self.0.get(&(store, sessions[session.at()].id))?;
            let origin = of_session.get(&sealed_path(folders, artifact.folder, names.get(artifact.name)))?;
            Some(((artifact.folder, artifact.name), origin.clone()))
        };
        let sealed = artifacts.iter().filter(|artifact| artifact.sealed && !self.0.is_empty());
        sealed.filter_map(origin).collect()
    }
}

/// The files of a background session share what its `state.json` says.
fn give_jobs_their_session(folders: &[Folder], artifacts: &[Artifact], later: &mut [Later]) {
    let is_job = |later: &Later| artifacts[later.artifact.at()].kind == Some(Kind::Job);
    let known: BTreeMap<FolderIndex, (bool, Option<SessionId>)> = later
        .iter()
        .filter(|later| is_job(later))
        .filter_map(|later| match later.said {
            Said::Job(is_over) => Some((artifacts[later.artifact.at()].folder, (is_over, later.owner))),
            _ => None,
        })
        .collect();
    if known.is_empty() {
        return;
    }
    // The job of each folder, however deep it lies in that of the job; it comes after the one it lies in.
    let mut jobs: Vec<Option<(bool, Option<SessionId>)>> = Vec::with_capacity(folders.len());
    for (at, folder) in folders.iter().enumerate() {
        let own = known.get(&FolderIndex::of(at)).copied();
        jobs.push(own.or_else(|| jobs[folder.parent?.at()]));
    }
    for later in later.iter_mut().filter(|later| is_job(later)) {
        if let Some((is_over, owner)) = jobs[artifacts[later.artifact.at()].folder.at()] {
            // What its files said beside that is nothing, or that they could not be read.
            (later.said, later.owner) = (Said::Job(is_over), owner);
        }
    }
}

/// What a line tells of a session: when it was written, and the project it names.
type Heard = (SessionIndex, Option<DateTime<Utc>>, Arc<str>);

/// The sessions, each of one or more parts: the satellites of a store without the transcript belong
/// to the session of their id in another.
struct Units {
    sessions: Vec<Session>,
    /// The session of each part; `None` where an id is named only by what the catalogue does not know.
    of_parts: Vec<Option<SessionIndex>>,
    places: Places,
    /// The newest part of an id.
    newest: FxHashMap<SessionId, u32>,
}

impl Units {
    fn of(parts: Parts, is_complete: bool, is_config: impl Fn(StoreIndex) -> bool) -> Self {
        let (mut parts, places) = parts.into_list();
        let mut newest: FxHashMap<SessionId, u32> =
            FxHashMap::with_capacity_and_hasher(parts.len(), FxBuildHasher);
        // The newest that a transcript shows. Satellites of one id in several stores, and no
        // transcript, are one unit, of a config store if any of them lies in one: what is sealed has
        // its place there.
        let rank = |part: &Part| {
            let date = part.session.activity().map(|(date, _)| date).filter(|_| part.is_shown());
            let store = part.session.store;
            (part.is_shown(), date, is_config(store), Reverse(store))
        };
        for (at, part) in (0..).zip(&parts).filter(|(_, part)| part.is_shown() || part.files > 0) {
            let entry = newest.entry(part.session.id).or_insert(at);
            if rank(part) > rank(&parts[*entry as usize]) {
                *entry = at;
            }
        }
        let whole = |(at, part): (u32, &Part)| {
            if part.is_shown() { Some(at) } else { newest.get(&part.session.id).copied() }
        };
        let wholes: Vec<Option<u32>> = (0..).zip(&parts).map(whole).collect();
        let mut of_parts: Vec<Option<SessionIndex>> = vec![None; parts.len()];
        let mut units = 0;
        for (at, whole) in (0..).zip(&wholes) {
            if *whole == Some(at) {
                of_parts[at as usize] = Some(SessionIndex::of(units));
                units += 1;
            }
        }
        let mut each = of_parts.iter();
        let others: Vec<Part> = parts.extract_if(.., |_| each.next().is_some_and(Option::is_none)).collect();
        let of_others = (0..).zip(wholes).filter(|(at, whole)| *whole != Some(*at));
        for (mut part, (at, whole)) in others.into_iter().zip(of_others) {
            let unit = whole.and_then(|whole| of_parts[whole as usize]);
            of_parts[at as usize] = unit;
            if let Some(unit) = unit {
                let whole = &mut parts[unit.at()];
                // What lies in another config store is not sealed with a transcript.
                if whole.session.has_transcript && is_config(part.session.store) {
                    part.session.unsealable = 0;
                }
                whole.join(part);
            }
        }
        let sessions = parts.into_iter().map(|part| part.into_session(is_complete)).collect();
        Self { sessions, of_parts, places, newest }
    }

    /// The session of a part.
    fn of_part(&self, place: u32) -> Option<SessionIndex> {
        *self.of_parts.get(place as usize)?
    }

    /// The session of an id that what lies in a store means: its own, or that of one which shares a
    /// folder with it, else the newest.
    fn meant_in(&self, stores: &[StoreIndex], id: SessionId) -> Option<SessionIndex> {
        let own = stores.iter().find_map(|store| self.of_part(self.places.find(*store, id)?));
        own.or_else(|| self.of_part(*self.newest.get(&id)?))
    }

    /// The projects that history lines and index entries of stores name beyond those that are known,
    /// with the dates of the lines.
    fn heard_of(&self, stores: &[(Vec<StoreIndex>, &[Line])]) -> Vec<Heard> {
        let mut new = Vec::new();
        // Of sessions with many projects, of which each line asks for one.
        let many = |(_, session): &(usize, &Session)| session.projects.len() > FEW;
        let sets: FxHashMap<usize, FxHashSet<&Arc<str>>> = (0..)
            .zip(&self.sessions)
            .filter(many)
            .map(|(at, session)| (at, session.projects.iter().collect()))
            .collect();
        for (meant, lines) in stores {
            let news = |line: &Line| {
                let (id, project) = line.session.zip(line.project.as_ref())?;
                let index = self.meant_in(meant, id)?;
                let is_known = match sets.get(&index.at()) {
                    Some(set) => set.contains(project),
                    None => self.sessions[index.at()].projects.contains(project),
                };
                (!is_known).then(|| (index, line.date, Arc::clone(project)))
            };
            new.par_extend(lines.par_iter().with_min_len(LINES_AT_ONCE).filter_map(news));
        }
        new
    }

    /// Adds projects to sessions. It is all that is known of the project of an orphaned one, which
    /// has that of its newest line.
    fn learn(&mut self, mut new: Vec<Heard>) {
        new.sort_unstable();
        for heard in new.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((index, newest, _)) = heard.last() else { continue };
            let session = &mut self.sessions[index.at()];
            if session.project.is_none() {
                let lines = heard.iter().filter(|(_, date, _)| date == newest);
                session.may_be_of(lines.map(|(.., project)| project));
            }
            let mut projects: Vec<Arc<str>> = heard.iter().map(|(.., project)| Arc::clone(project)).collect();
            projects.sort_unstable();
            projects.dedup();
            session.learn_all(&projects.into());
            session.sort_projects();
        }
    }

    /// Tells artifacts, each with its part, their session; says how many each session has.
    fn tell_owners(&self, artifacts: &mut [Artifact], parts: &[Option<PartIndex>]) -> Vec<u32> {
        let mut counts = vec![0_u32; self.sessions.len()];
        for (artifact, part) in artifacts.iter_mut().zip(parts) {
            if let Some(session) = part.and_then(|part| self.of_part(self.places.of(part))) {
                artifact.belongs = Belongs::Session(session);
                counts[session.at()] += 1;
            }
        }
        counts
    }

    /// Gives each session its artifacts, of which each has so many.
    fn give_out(&mut self, artifacts: &[Artifact], counts: Vec<u32>) -> Vec<ArtifactIndex> {
        let mut start = 0;
        for (session, count) in self.sessions.iter_mut().zip(counts) {
            session.files = start..start;
            start += count;
        }
        let mut grouped = vec![ArtifactIndex::of(0); start as usize];
        for (at, artifact) in artifacts.iter().enumerate() {
            if let Belongs::Session(session) = artifact.belongs {
                let files = &mut self.sessions[session.at()].files;
                grouped[files.end as usize] = ArtifactIndex::of(at);
                files.end += 1;
            }
        }
        grouped
    }
}

/// A store, and those that share a folder with it.
fn reaching<'a>(stores: impl Iterator<Item = &'a Store> + Clone, index: StoreIndex) -> Vec<StoreIndex> {
    let Some(store) = stores.clone().nth(index.at()) else { return vec![index] };
    let others = stores.enumerate().filter(|(_, other)| other.shares_with(store));
    std::iter::once(index).chain(others.map(|(at, _)| StoreIndex::of(at))).collect()
}

/// Tells from the pid files which sessions are open.
fn look_for_clients(
    views: &mut [StoreView],
    sessions: &mut [Session],
    pids: Vec<(StoreIndex, PidRecord, Liveness)>,
    processes: &dyn Processes,
    now: DateTime<Utc>,
) {
    // There may be as many pid files as sessions.
    let mut of_ids: FxHashMap<SessionId, Vec<usize>> = FxHashMap::default();
    for id in pids.iter().filter_map(|(_, record, _)| record.session) {
        of_ids.entry(id).or_default();
    }
    for (at, session) in sessions.iter().enumerate() {
        if let Some(named) = of_ids.get_mut(&session.id) {
            named.push(at);
        }
    }
    for (store, record, checked) in pids {
        let named: &[usize] = record.session.and_then(|id| of_ids.get(&id)).map_or(&[], Vec::as_slice);
        let touched = named.iter().filter_map(|at| sessions[*at].touched).max();
        let liveness = liveness::judge(&record, processes, touched, now);
        if !liveness.is_live() {
            continue;
        }
        for at in named {
            let session = &mut sessions[*at];
            session.liveness = liveness;
            if checked.is_live() {
                session.checked = checked;
            }
        }
        let reached = reaching(views.iter().map(|view| &view.store), store);
        for at in reached {
            let (pid, session, is_checked) = (record.pid, record.session, checked.is_live());
            let started = record.started_at;
            views[at.at()].live.push(LiveClient { pid, session, liveness, is_checked, started });
        }
    }
}

/// Tells which workers of the service for background sessions run.
fn look_for_workers(
    views: &mut [StoreView],
    workers: Vec<(StoreIndex, PidRecord)>,
    processes: &dyn Processes,
    now: DateTime<Utc>,
) {
    for (store, record) in workers {
        let liveness = liveness::judge(&record, processes, record.modified, now);
        let owner = views[store.at()].store.owner;
        let is_checked = liveness::judge_worker_checked(&record, owner, processes, now).is_live();
        if liveness.is_live() {
            let (pid, session) = (record.pid, record.session);
            views[store.at()].workers.push(LiveClient {
                pid,
                session,
                liveness,
                is_checked,
                started: record.started_at,
            });
        }
    }
}

/// The newest backup of the global file that can still be parsed is what a client would be
/// restored from: it stays.
fn keep_newest_backup(artifacts: &mut [Artifact], names: &Names, files: &[LineFile], folders: &[Folder]) {
    let mut newest: FxHashMap<StoreIndex, ArtifactIndex> = FxHashMap::default();
    for file in files.iter().filter(|file| file.content.is_well_formed) {
        let artifact = &artifacts[file.artifact.at()];
        // What the client set aside as damaged is no backup, even where it parses.
        let is_damaged = names.get(artifact.name).as_encoded_bytes().starts_with(b".claude.json.corrupted");
        if artifact.kind != Some(Kind::ConfigBackup) || is_damaged {
            continue;
        }
        let entry = newest.entry(folders[artifact.folder.at()].store).or_insert(file.artifact);
        if artifact.modified() > artifacts[entry.at()].modified() {
            *entry = file.artifact;
        }
    }
    for index in newest.into_values() {
        artifacts[index.at()].oddity = Oddity::InUse;
    }
}

#[cfg(test)]
mod tests;
