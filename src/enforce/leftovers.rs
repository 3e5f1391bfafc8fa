//! What an interrupted run left behind: unfinished files, and what remains of a sealed session that
//! is unsealed. The stores are locked, so whoever wrote them is gone; unfinished files may hold
//! plaintext, so they do not wait for a rule.
//!
//! The inventory has listed every folder, so it alone says what is left; the disk is looked at again
//! only where something is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::lock::ClientLock;
use super::{Outcome, Outcomes, Skip, Stop, Tools, dir};
use crate::catalogue::{Kind, SessionId};
use crate::dir::{Dir, FileType};
use crate::error::PathError;
use crate::escape::text;
use crate::inventory::{
    Artifact, ArtifactIndex, Evidence, FolderIndex, Inventory, Oddity, SessionIndex, StoreIndex,
};
use crate::ledger::{Entry, Event, Journal};
use crate::plan::{Decision, Keep, Plan};
use crate::policy::{Hold, Policy};
use crate::seal::naming;

/// Removes every unfinished file of our own, our locks around files of the client, and records and
/// folders of sealed files that are gone because their session was unsealed.
pub(super) fn remove(
    inventory: &Inventory,
    plan: &Plan,
    policy: &Policy,
    tools: &mut Tools<'_>,
    outcomes: &mut Outcomes,
    emptied: &mut BTreeSet<FolderIndex>,
) {
    let mut found: BTreeMap<StoreIndex, Vec<ArtifactIndex>> = BTreeMap::new();
    let (mut in_scope, mut has_files) = (BTreeSet::new(), BTreeSet::new());
    for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&plan.decisions).enumerate() {
        has_files.insert(inventory.store_of(artifact));
        if !is_touched(inventory, artifact, *decision) {
            continue;
        }
        in_scope.insert(inventory.store_of(artifact));
        let is_deleted = matches!(decision, Decision::Delete(_));
        let is_ours = match artifact.kind {
            // Those that a purge takes are among its units.
            Some(Kind::OwnLeftover) => {
                is_unfinished(inventory, artifact, *decision) && !(plan.purge.is_some() && is_deleted)
            }
            Some(Kind::SealedRecord) => {
                // A hold covers what is recorded of its session, too.
                let is_held = matches!(decision, Decision::Keep(Keep::Held(_)));
                !is_deleted && !is_held && is_hollow(inventory, artifact)
            }
            _ => false,
        };
        if is_ours && artifact.oddity == Oddity::None {
            found.entry(inventory.store_of(artifact)).or_default().push(ArtifactIndex::of(at));
        }
    }
    give_back_locks(inventory, &in_scope, outcomes);
    let is_left_empty = left_empty(inventory, policy, tools.now);
    let is_in_scope = |store: &StoreIndex| {
        in_scope.contains(store) || !has_files.contains(store) && inventory.store(*store).store.in_scope
    };
    let is_ours = |folder: &FolderIndex| {
        is_in_scope(&inventory.folder(*folder).store)
            && (is_for_sealed(inventory, *folder) || is_left_empty(*folder))
    };
    emptied.extend(unused(inventory).filter(is_ours));
    for (store, files) in found {
        if let Err(error) = remove_files(inventory, store, &files, tools.ledger, tools.now, outcomes, emptied)
        {
            outcomes.stopped = Some(Stop::Ledger(error));
            return;
        }
    }
}

/// Whether a run may touch an artifact at all.
fn is_touched(inventory: &Inventory, artifact: &Artifact, decision: Decision) -> bool {
    let store = &inventory.store(inventory.store_of(artifact)).store;
    store.in_scope && !matches!(decision, Decision::Keep(Keep::OutOfScope))
}

/// Whether it is an unfinished file of an interrupted run, which the next one removes whatever the rules say.
pub fn is_unfinished(inventory: &Inventory, artifact: &Artifact, decision: Decision) -> bool {
    artifact.kind == Some(Kind::OwnLeftover)
        && artifact.oddity == Oddity::None
        && naming::is_part(inventory.name(artifact))
        && is_touched(inventory, artifact, decision)
}

/// Gives back the locks around files of the client that a killed run has left.
fn give_back_locks(inventory: &Inventory, in_scope: &BTreeSet<StoreIndex>, outcomes: &mut Outcomes) {
    for file in inventory.line_files.iter().filter(|file| file.content.format.has_lock()) {
        let artifact = inventory.artifact(file.artifact);
        if !in_scope.contains(&inventory.store_of(artifact)) {
            continue;
        }
        let given = inventory
            .open(artifact.folder)
            .and_then(|dir| ClientLock::give_back(&dir, inventory.name(artifact)));
        match given {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let path = inventory.full_path(artifact);
                outcomes.problems.push(PathError { path, doing: "give back the lock on", source });
            }
            _ => {}
        }
    }
}

/// What remains of the sealed form of one session that is there in plaintext again.
#[derive(Debug)]
pub struct Remains {
    store: StoreIndex,
    files: Vec<ArtifactIndex>,
    folders: Vec<FolderIndex>,
}

impl Remains {
    /// What an interrupted unsealing left of a session; `None` where there is nothing to settle.
    pub fn of(inventory: &Inventory, index: SessionIndex) -> Option<Self> {
        let session = inventory.session(index);
        // As long as one sealed file is left, the record is all that tells what it is of.
        if session.evidence != Evidence::Transcript || session.sealed > 0 {
            return None;
        }
        let is_its = |folder: FolderIndex| {
            inventory.folder(folder).store == session.store
                && inventory.folder_path(folder).starts_with(naming::session_folder(session.id))
        };
        let is_record = |index: &&ArtifactIndex| inventory.artifact(**index).kind == Some(Kind::SealedRecord);
        let mut folders: Vec<FolderIndex> =
            unused(inventory).filter(|at| is_for_sealed(inventory, *at) && is_its(*at)).collect();
        let mut files = Vec::new();
        for index in inventory.files(session).iter().filter(is_record) {
            let record = inventory.artifact(*index);
            if record.oddity != Oddity::None || !is_hollow(inventory, record) {
                return None;
            }
            folders.push(record.folder);
            // Nothing is below but the record and unfinished files.
            files.extend(below(inventory, record.folder).map(|(at, _)| at));
        }
        (!folders.is_empty()).then_some(Self { store: session.store, files, folders })
    }

    /// Removes it; gives what could not be removed, and why.
    ///
    /// # Errors
    /// The ledger could not be written; then nothing is removed that is not in it.
    pub fn remove(
        self,
        inventory: &Inventory,
        ledger: &mut dyn Journal,
        now: DateTime<Utc>,
    ) -> io::Result<Vec<(PathBuf, String)>> {
        let mut outcomes = Outcomes::new(inventory.artifacts.len());
        let mut emptied: BTreeSet<FolderIndex> = BTreeSet::new();
        if !self.files.is_empty() {
            remove_files(inventory, self.store, &self.files, ledger, now, &mut outcomes, &mut emptied)?;
        }
        emptied.extend(self.folders);
        super::remove_emptied(inventory, emptied, &mut outcomes);
        let mut left = Vec::new();
        for index in self.files {
            let why = match outcomes.of(index) {
                Some(Outcome::Failed(why)) => why.clone(),
                Some(Outcome::Skipped(Skip::ChangedSincePlan)) => "it was changed meanwhile".to_owned(),
                _ => continue,
            };
            left.push((inventory.full_path(inventory.artifact(index)), why));
        }
        let of_folders = outcomes.problems.into_iter();
        left.extend(
            of_folders.map(|problem| (problem.path, format!("cannot remove it: {}", problem.source))),
        );
        Ok(left)
    }
}

/// Removes files of one store, with an intent before and an outcome after.
fn remove_files(
    inventory: &Inventory,
    store: StoreIndex,
    files: &[ArtifactIndex],
    ledger: &mut dyn Journal,
    now: DateTime<Utc>,
    outcomes: &mut Outcomes,
    emptied: &mut BTreeSet<FolderIndex>,
) -> io::Result<()> {
    let mut entry = Entry::new(Event::Intent);
    entry.store = Some(text(&inventory.store(store).store.root).into());
    entry.kind = Some(Kind::OwnLeftover.name().into());
    entry.decision = Some("delete".into());
    entry.reason = Some("an interrupted run left it".into());
    entry.files = Some(files.len() as u64);
    ledger.append(&[entry.clone()], now)?;
    let mut gone = 0;
    for index in files {
        let artifact = inventory.artifact(*index);
        let outcome = remove_file(inventory, artifact)
            .unwrap_or_else(|error| super::delete::gone_or_failed("delete it", &error));
        if matches!(outcome, Outcome::Done(_)) {
            gone += 1;
            emptied.insert(artifact.folder);
        }
        outcomes.set(*index, outcome);
    }
    entry.event = Event::Outcome;
    entry.outcome = Some("deleted".into());
    entry.files = Some(gone);
    ledger.append(&[entry], now)
}

fn remove_file(inventory: &Inventory, artifact: &Artifact) -> io::Result<Outcome> {
    let (folder, name) = (inventory.open(artifact.folder)?, inventory.name(artifact));
    let stat = folder.stat(name)?;
    // The name alone proves nothing: a user may have given it to a link or to a file of his own.
    let is_it = stat.file_type == FileType::File && dir::may_go(artifact, &stat);
    // A record goes only as long as it describes nothing.
    let is_needed = artifact.kind == Some(Kind::SealedRecord) && !holds_nothing(&folder, name);
    if !is_it || is_needed {
        return Ok(Outcome::Skipped(Skip::ChangedSincePlan));
    }
    dir::unlink(&folder, name).map(|()| super::delete::gone(artifact))
}

/// Whether a record describes no sealed file any more while its session is there in plaintext:
/// unsealing was interrupted between the last sealed file and the record.
fn is_hollow(inventory: &Inventory, record: &Artifact) -> bool {
    let Some(session) = inventory.session_of(record) else { return false };
    let is_plain = |index: &ArtifactIndex| {
        let artifact = inventory.artifact(*index);
        artifact.kind == Some(Kind::Transcript) && !artifact.sealed
    };
    let is_ours = |artifact: &Artifact| {
        std::ptr::eq(artifact, record)
            || (artifact.oddity == Oddity::None && naming::is_part(inventory.name(artifact)))
    };
    session.sealed == 0
        && inventory.files(session).iter().any(is_plain)
        && below(inventory, record.folder).all(|(_, artifact)| is_ours(artifact))
        && inventory.saw_all_of(record.folder)
}

/// The files in a folder, however deep.
fn below(inventory: &Inventory, folder: FolderIndex) -> impl Iterator<Item = (ArtifactIndex, &Artifact)> {
    // It looks through all there are, as only a run that was interrupted makes it necessary.
    let artifacts = inventory.artifacts.iter().enumerate();
    artifacts
        .filter(move |(_, artifact)| {
            let mut at = Some(artifact.folder);
            // A folder has a higher index than the one it lies in.
            while at.is_some_and(|index| index > folder) {
                at = at.and_then(|index| inventory.folder(index).parent);
            }
            at == Some(folder)
        })
        .map(|(at, artifact)| (ArtifactIndex::of(at), artifact))
}

/// Whether there is nothing but a record, unfinished files and folders without anything else.
fn holds_nothing(folder: &Dir, record: &OsStr) -> bool {
    // What cannot be listed may hold anything.
    let Ok(entries) = folder.entries() else { return false };
    entries.iter().all(|entry| {
        entry.name == record
            || naming::is_part(&entry.name)
            || folder.child(&entry.name).is_ok_and(|below| holds_nothing(&below, OsStr::new("")))
    })
}

/// Whether a folder is one for sealed files of a session.
fn is_for_sealed(inventory: &Inventory, index: FolderIndex) -> bool {
    let path = inventory.folder_path(index);
    inventory.folder(index).session.is_some()
        && path.strip_prefix(naming::FOLDER).is_ok_and(|below| below.iter().next().is_some())
}

/// Tells whether an empty folder is an own one of a session that is gone, or sealed: a run removes its folders at its
/// end, so that one that was killed leaves some, each with the name of a session. One that was changed within `quiet`
/// may be of a client that is about to begin.
fn left_empty(inventory: &Inventory, policy: &Policy, now: DateTime<Utc>) -> impl Fn(FolderIndex) -> bool {
    let is_plain = |index: &ArtifactIndex| {
        let artifact = inventory.artifact(*index);
        !artifact.sealed && artifact.kind != Some(Kind::SealedRecord)
    };
    let sessions = inventory.sessions.iter();
    let plain = sessions.filter(|session| inventory.files(session).iter().any(is_plain));
    let plain: BTreeSet<SessionId> = plain.map(|session| session.id).collect();
    let is_quiet = move |changed: DateTime<Utc>| {
        policy
            .mandates
            .iter()
            .all(|mandate| mandate.quiet.value.after(changed).is_some_and(|until| until <= now))
    };
    move |index| {
        let Some(id) = inventory.folder(index).session.filter(|id| !plain.contains(id)) else {
            return false;
        };
        let mut holds = policy.mandates.iter().flat_map(|mandate| &mandate.holds);
        let covers = |hold: &Hold| hold.selector.covers(Kind::Transcript, std::iter::empty(), true, Some(id));
        if holds.any(|hold| hold.is_active(now) && covers(hold)) {
            return false;
        }
        let changed = inventory.open(index).and_then(|dir| dir.stat_self()).ok();
        changed.and_then(|stat| stat.stamp.modified.date()).is_some_and(is_quiet)
    }
}

/// The folders in which there is nothing that was seen.
fn unused(inventory: &Inventory) -> impl Iterator<Item = FolderIndex> {
    let mut is_used = vec![false; inventory.folders.len()];
    let parents = inventory.folders.iter().filter_map(|folder| folder.parent);
    for folder in inventory.artifacts.iter().map(|artifact| artifact.folder).chain(parents) {
        is_used[folder.at()] = true;
    }
    let unused = is_used.into_iter().enumerate().filter(|(_, is_used)| !is_used);
    unused.map(|(at, _)| FolderIndex::of(at))
}
