//! Which part of which session each file is of, and what the files say beside.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use rustc_hash::FxHashMap;

use super::sealed::{FromElsewhere, kind_of_sealed};
use super::{Folders, owners};
use crate::catalogue::{Kind, SessionId};
use crate::inventory::batch::{Found, Later};
use crate::inventory::content::Said;
use crate::inventory::lines::LineFile;
use crate::inventory::liveness::PidRecord;
use crate::inventory::parts::Parts;
use crate::inventory::transcript::log::Log;
use crate::inventory::{Artifact, ArtifactIndex, FileKey, Folder, FolderIndex, Oddity, StoreIndex};
use crate::locate::Store;

/// What files say of processes.
#[derive(Default)]
pub(super) struct Running {
    /// Of clients.
    pub pids: Vec<(ArtifactIndex, PidRecord)>,
    /// Of whoever holds a lock.
    pub locks: Vec<(ArtifactIndex, PidRecord)>,
    /// Of the service for background sessions.
    pub workers: Vec<(StoreIndex, PidRecord)>,
}

/// What is known once every file has its part.
#[derive(Default)]
pub(super) struct Placed {
    pub line_files: Vec<LineFile>,
    pub logs: FxHashMap<FileKey, Log>,
    pub running: Running,
    pub from_elsewhere: FromElsewhere,
}

impl Placed {
    /// Gives each file its part.
    pub(super) fn all(folders: &Folders, found: &mut Found, parts: &Parts, mut own: OwnFolders<'_>) -> Self {
        let mut later = std::mem::take(&mut found.later);
        give_jobs_their_session(&folders.list, &found.artifacts, &mut later);
        // Whether a folder is a session's own is known once every transcript was seen.
        later.sort_by_key(|later| found.artifacts[later.artifact.at()].kind.is_some_and(Kind::is_by_place));
        owners::tell(folders, found, parts, &mut later);
        let mut placed = Self::default();
        for Later { artifact: index, owner, said } in later {
            let store = folders.list[found.artifacts[index.at()].folder.at()].store;
            let artifact = &mut found.artifacts[index.at()];
            if let (Some(Kind::SealedFile | Kind::SealedRecord), Some(id)) = (artifact.kind, owner) {
                parts.show_sealed(store, id);
            }
            if artifact.kind == Some(Kind::SealedFile) {
                artifact.kind =
                    Some(kind_of_sealed(folders, artifact.folder, found.names.get(artifact.name)));
            }
            if artifact.kind.is_some_and(Kind::is_by_place)
                && !artifact.sealed
                && !owner.is_some_and(|id| own.is_of_session(parts, store, id))
            {
                // In a folder that no transcript vouches for, a name that the catalogue takes for a session's
                // may be the user's.
                artifact.kind = None;
            }
            found.parts[index.at()] = parts.place(artifact, &mut found.projects, store, owner, &said);
            // A background session that is not known to be over is in use.
            if artifact.kind == Some(Kind::Job) && !matches!(said, Said::Job(true)) {
                artifact.oddity = Oddity::InUse;
            }
            placed.note(said, index, artifact, store, found.names.get(artifact.name));
        }
        placed
    }

    /// Keeps what a file said for when all were seen.
    fn note(
        &mut self,
        said: Said,
        index: ArtifactIndex,
        artifact: &Artifact,
        store: StoreIndex,
        name: &OsStr,
    ) {
        let workers = &mut self.running.workers;
        match said {
            Said::Manifest(record) => self.from_elsewhere.learn(store, &record),
            Said::Log(log) => drop(self.logs.insert(artifact.key(), *log)),
            Said::Workers(records) => {
                let modified = artifact.modified();
                workers.extend(records.into_iter().map(|record| (store, PidRecord { modified, ..record })));
            }
            // One that cannot be understood may be of a service that runs.
            _ if owners::is_roster(artifact.kind, name) => {
                workers.push((store, PidRecord::unknown(artifact.modified())))
            }
            Said::Lines(content) => self.line_files.push(LineFile { artifact: index, content: *content }),
            Said::Pid(record) if artifact.kind == Some(Kind::PidFile) => {
                self.running.pids.push((index, *record));
            }
            Said::Pid(record) => self.running.locks.push((index, *record)),
            Said::Torn => {
                self.running.pids.push((index, PidRecord::unread(Some(name), artifact.modified())));
            }
            Said::Unreadable if artifact.kind == Some(Kind::PidFile) => {
                let record = PidRecord::unread(Some(name), artifact.modified());
                self.running.pids.push((index, record));
            }
            _ => {}
        }
    }
}

/// Which folders `projects/<P>/<S>` are the own ones of sessions, whatever lies in them.
pub(super) struct OwnFolders<'a> {
    stores: &'a [Store],
    saw_transcript: &'a dyn Fn(&Path, SessionId) -> bool,
    known: FxHashMap<(StoreIndex, SessionId), bool>,
}

impl<'a> OwnFolders<'a> {
    pub(super) fn new(stores: &'a [Store], saw_transcript: &'a dyn Fn(&Path, SessionId) -> bool) -> Self {
        Self { stores, saw_transcript, known: FxHashMap::default() }
    }

    /// Whether the transcript of a session is or was in a store.
    fn is_of_session(&mut self, parts: &Parts, store: StoreIndex, id: SessionId) -> bool {
        *self.known.entry((store, id)).or_insert_with(|| {
            parts.has_transcript(store, id) || (self.saw_transcript)(&self.stores[store.at()].root, id)
        })
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
