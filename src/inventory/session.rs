//! Grouping what was found into sessions, and telling which of them are live.

mod live;
mod owners;
mod placed;
mod sealed;
mod units;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rustc_hash::FxHashMap;

use super::batch::Found;
use super::intern::Interner;
use super::lines::LineFile;
use super::liveness::{PidRecord, Processes};
use super::memory::Absent;
use super::names::Names;
use super::parts::Parts;
use super::{
    Artifact, ArtifactIndex, Belongs, FirstSeen, Folder, FolderIndex, Inventory, Oddity, Problem, Session,
    SessionIndex, StoreIndex, StoreView,
};
use crate::catalogue::{Kind, Root, SessionId};
use crate::locate::Store;
use crate::seal::naming;
use live::Seen;
use placed::{OwnFolders, Placed};
use units::Units;

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
    /// Of clients that may run, what could not be looked at.
    pub unread: Vec<(StoreIndex, PidRecord)>,
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
    let Raw { stores, folders, mut found, parts, unread, problems, is_complete, now, .. } = raw;
    // A large store's texts and facts are freed before the next large tables are made.
    drop(raw.interner);
    found.facts = Vec::new();
    let own = OwnFolders::new(&stores, raw.saw_transcript);
    let Placed { line_files, logs, running, from_elsewhere } = Placed::all(&folders, &mut found, &parts, own);
    let is_config = |store: StoreIndex| stores[store.at()].kind == Root::Config;
    let mut units = Units::of(parts, is_complete, is_config);
    let Found { names, mut artifacts, parts: of_artifacts, projects, .. } = found;
    let grouped = units.join(&line_files, &mut artifacts, &of_artifacts, &folders, &stores);
    let mut sessions = units.sessions;
    let origins = from_elsewhere.of(&artifacts, &names, &folders, &sessions);
    let mut problems = problems;
    miss_records(&mut sessions, &stores, &mut problems);
    let with_empty_projects = with_empty_projects(&folders, &artifacts, &stores);
    let views = stores.into_iter().zip(with_empty_projects);
    let mut stores: Vec<StoreView> = views
        .map(|(store, has_empty_projects)| StoreView {
            store,
            live: Vec::new(),
            workers: Vec::new(),
            has_empty_projects,
        })
        .collect();
    let mut seen = Seen { views: &mut stores, sessions: &mut sessions, processes: raw.processes, now };
    seen.look_for_all(running, unread, &mut artifacts, &names, &folders);
    keep_newest_backup(&mut artifacts, &names, &line_files, &folders.list);
    join_hard_links(&mut artifacts);
    let mut inventory = Inventory {
        taken: now,
        stores,
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

/// Reports sealed sessions without a record: neither their date nor their projects are known.
fn miss_records(sessions: &mut [Session], stores: &[Store], problems: &mut Vec<Problem>) {
    let reported: HashSet<PathBuf> = problems.iter().map(|problem| problem.path.clone()).collect();
    for session in sessions.iter_mut().filter(|session| session.sealed > 0 && !session.has_record) {
        session.is_unreadable = true;
        let root = &stores[session.store.at()].root;
        let path = root.join(naming::session_folder(session.id)).join(naming::RECORD);
        if !reported.contains(&path) {
            let error = std::io::Error::from(std::io::ErrorKind::NotFound);
            problems.push(Problem { store: Some(session.store), path, doing: "read", error });
        }
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
        // Counted against the links that the file itself has: a name outside of the session would keep the
        // plaintext.
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
                let plain = artifact.can_be_sealed();
                let hinders =
                    artifact.hinders_sealing() || plain && !naming::has_room(self.names.get(artifact.name));
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

/// A store, and those that share a folder with it.
fn reaching<'a>(stores: impl Iterator<Item = &'a Store> + Clone, index: StoreIndex) -> Vec<StoreIndex> {
    let Some(store) = stores.clone().nth(index.at()) else { return vec![index] };
    let others = stores.enumerate().filter(|(_, other)| other.shares_with(store));
    std::iter::once(index).chain(others.map(|(at, _)| StoreIndex::of(at))).collect()
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
