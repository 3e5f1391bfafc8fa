//! What an interrupted run left behind: unfinished files, and what remains of a sealed session that
//! is unsealed. The stores are locked, so whoever wrote them is gone; unfinished files may hold
//! plaintext, so they do not wait for a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use super::{Effect, Outcome, Outcomes, Stop, Tools, dir};
use crate::catalogue::Kind;
use crate::dir::{Dir, FileType};
use crate::escape::text;
use crate::inventory::{Artifact, ArtifactIndex, FolderIndex, Inventory, Oddity, StoreIndex};
use crate::ledger::{Entry, Event};
use crate::plan::{Decision, Keep, Plan};
use crate::seal::naming;

/// Removes every unfinished file of our own, and records and folders of sealed files that are gone
/// because their session was unsealed.
pub(super) fn remove(
    inventory: &Inventory,
    plan: &Plan,
    tools: &mut Tools<'_>,
    outcomes: &mut Outcomes,
    emptied: &mut BTreeMap<FolderIndex, ()>,
) {
    let mut found: BTreeMap<StoreIndex, Vec<ArtifactIndex>> = BTreeMap::new();
    let mut in_scope = BTreeSet::new();
    for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&plan.decisions).enumerate() {
        if matches!(decision, Decision::Keep(Keep::OutOfScope)) {
            continue;
        }
        in_scope.insert(inventory.store_of(artifact));
        let is_deleted = matches!(decision, Decision::Delete(_));
        let is_ours = match artifact.kind {
            // Those that a purge takes are among its units.
            Some(Kind::OwnLeftover) => {
                naming::is_part(inventory.name(artifact)) && !(plan.purge.is_some() && is_deleted)
            }
            Some(Kind::SealedRecord) => {
                let is_held = matches!(decision, Decision::Keep(Keep::Held(_)));
                !is_deleted && !is_held && is_hollow(inventory, artifact)
            }
            _ => false,
        };
        if is_ours && artifact.oddity == Oddity::None {
            found.entry(inventory.store_of(artifact)).or_default().push(ArtifactIndex::of(at));
        }
    }
    emptied.extend(empty_folders(inventory, &in_scope).map(|folder| (folder, ())));
    for (store, files) in found {
        let mut entry = Entry::new(Event::Intent);
        entry.store = Some(text(&inventory.store(store).store.root).into());
        entry.kind = Some(Kind::OwnLeftover.name().into());
        entry.decision = Some("delete".into());
        entry.reason = Some("an interrupted run left it".into());
        entry.files = Some(files.len() as u64);
        if let Err(error) = tools.ledger.append(&[entry.clone()], tools.now) {
            outcomes.stopped = Some(Stop::Ledger(error));
            return;
        }
        let mut gone = 0;
        for index in files {
            let artifact = inventory.artifact(index);
            let removed = inventory.open(artifact.folder).and_then(|folder| {
                let stat = folder.stat(inventory.name(artifact))?;
                if stat.file_type != FileType::File || !dir::is_same(&artifact.stamp, &stat) {
                    return Ok(Outcome::Skipped(super::Skip::ChangedSincePlan));
                }
                dir::unlink(&folder, inventory.name(artifact)).map(|()| Outcome::Done(Effect::Deleted))
            });
            let outcome = removed.unwrap_or_else(|error| super::delete::gone_or_failed("delete it", &error));
            if outcome == Outcome::Done(Effect::Deleted) {
                gone += 1;
                emptied.insert(artifact.folder, ());
            }
            outcomes.set(index, outcome);
        }
        entry.event = Event::Outcome;
        entry.outcome = Some("deleted".into());
        entry.files = Some(gone);
        if let Err(error) = tools.ledger.append(&[entry], tools.now) {
            outcomes.stopped = Some(Stop::Ledger(error));
            return;
        }
    }
}

/// Whether a record describes no sealed file any more while its session is there in plaintext:
/// unsealing was interrupted between the last sealed file and the record.
fn is_hollow(inventory: &Inventory, record: &Artifact) -> bool {
    let Some(session) = inventory.session_of(record) else { return false };
    let is_plain = |index: &ArtifactIndex| {
        let artifact = inventory.artifact(*index);
        artifact.kind == Some(Kind::Transcript) && !artifact.sealed
    };
    session.sealed == 0
        && inventory.files(session).iter().any(is_plain)
        && inventory.open(record.folder).is_ok_and(|folder| holds_nothing(&folder, inventory.name(record)))
}

/// Whether there is nothing but a record, unfinished files and folders without anything else.
fn holds_nothing(folder: &Dir, record: &OsStr) -> bool {
    let Ok(entries) = folder.entries() else { return false };
    entries.iter().all(|entry| {
        entry.name == record
            || naming::is_part(&entry.name)
            || folder.child(&entry.name).is_ok_and(|below| holds_nothing(&below, OsStr::new("")))
    })
}

/// The folders of sealed files in which there is nothing.
fn empty_folders(inventory: &Inventory, of: &BTreeSet<StoreIndex>) -> impl Iterator<Item = FolderIndex> {
    let mut is_used = vec![false; inventory.folders.len()];
    let parents = inventory.folders.iter().filter_map(|folder| folder.parent);
    for folder in inventory.artifacts.iter().map(|artifact| artifact.folder).chain(parents) {
        is_used[folder.at()] = true;
    }
    let unused = is_used.into_iter().enumerate().filter(|(_, is_used)| !is_used);
    unused.map(|(at, _)| FolderIndex::of(at)).filter(|index| {
        let folder = inventory.folder(*index);
        let below = inventory.folder_path(*index);
        let is_sealed = below.strip_prefix(naming::FOLDER).is_ok_and(|below| below.iter().next().is_some());
        is_sealed && folder.session.is_some() && of.contains(&folder.store)
    })
}
