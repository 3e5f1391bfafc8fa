//! Doing what a plan demands: the only room that changes a store.
//!
//! Sessions are handled in batches: the intents of a batch are in the ledger and on disk before
//! anything of it is touched, then its sessions are done in parallel, then their outcomes are
//! recorded, together with the intents of the batch after the next. Before a session is touched, every file of it is compared with what the inventory
//! saw, and the clients that run are looked at again.

mod delete;
pub mod dir;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handles;
pub mod leftovers;
pub mod lock;
pub mod modes;
mod outcome;
pub mod preserve;
mod prune;
mod record;
pub mod rekey;
mod seal;
pub mod sealed;
mod sealed_file;
pub mod unseal;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use chrono::{DateTime, Utc};

pub use outcome::{Effect, Outcome, Outcomes, Skip, Stop};

use crate::catalogue::{Kind, SessionId};
use crate::error::PathError;
use crate::inventory::liveness::Processes;
use crate::inventory::{ArtifactIndex, Belongs, FolderIndex, Inventory, SessionIndex, StoreIndex};
use crate::ledger::Journal;
use crate::plan::{Decision, Plan};
use crate::policy::{Detail, Policy};
use crate::seal::Recipients;
use delete::Deletion;
use handles::Handles;
use watch::Watch;

/// How many sessions share one flush of the ledger.
const BATCH: usize = 512;

/// What enforcing needs besides the plan.
pub struct Tools<'a> {
    /// Where intents and outcomes go.
    pub ledger: &'a mut dyn Journal,
    /// The processes that may have a session open.
    pub processes: &'a dyn Processes,
    /// Called with the number of artifacts done; must be quick.
    pub progress: &'a (dyn Fn(usize) + Sync),
    /// Whether to stop before the next batch: a signal, or the time is up.
    pub stop: &'a (dyn Fn() -> Option<Stop> + Sync),
    /// To whom sessions are sealed; `None` where no rule seals.
    pub recipients: Option<&'a Recipients>,
    /// The time of the run.
    pub now: DateTime<Utc>,
}

/// What belongs together in the ledger and in time: a session's files, or the loose files of one
/// kind in one store.
#[derive(Debug)]
struct Unit {
    owner: Owner,
    /// Whether the whole session goes, or only files of some kinds.
    whole: bool,
    artifacts: Vec<ArtifactIndex>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Session(SessionIndex),
    /// Of no kind where the catalogue does not know them.
    Loose(StoreIndex, Option<Kind>),
}

/// Carries out a plan.
///
/// Failures of single items are among the outcomes. Nothing is touched that is not in the ledger
/// first: when that fails, the rest is left alone and the outcomes say so.
pub fn enforce(inventory: &Inventory, plan: &Plan, policy: &Policy, tools: &mut Tools<'_>) -> Outcomes {
    let mut outcomes = Outcomes::new(inventory.artifacts.len());
    let mut units = units(inventory, plan, |decision| matches!(decision, Decision::Delete(_)));
    if plan.purge.is_some() {
        // Conversations last: by them a store is known, should the run be killed before its end.
        units.sort_by_key(|unit| matches!(unit.owner, Owner::Session(_)));
    }
    let folders = OwnFolders::new(inventory);
    let watch = Watch::new(inventory, plan, policy, tools.processes, tools.now);
    let purge = plan.purge.as_ref();
    let even_live = purge.is_some_and(|extent| extent.even_live);
    let deletion = Deletion { inventory, plan, policy, folders: &folders, watch: &watch, even_live };
    let records =
        record::Recorder { inventory, plan, policy, by_file: policy.ledger.value.detail == Detail::Files };
    let mut emptied: BTreeSet<FolderIndex> = BTreeSet::new();
    // First: unfinished files may be plaintext that no rule dates, and what they take is room for all the rest.
    leftovers::remove(inventory, plan, policy, tools, &mut outcomes, &mut emptied);
    if outcomes.stopped.is_some() {
        return outcomes;
    }
    // Before sealing, which needs room: on a full disk deletions are what helps.
    delete::run(&deletion, &units, &records, tools, &mut outcomes, &mut emptied);
    // After all deletions, since the last name of a file may be of another session than the first.
    outcomes.join_names(inventory);
    if outcomes.stopped.is_none() {
        let sealing = seal::Run { inventory, plan, policy, watch: &watch, records: &records };
        sealing.run(tools, &mut outcomes, &mut emptied);
    }
    if outcomes.stopped.is_none() {
        emptied.extend(purge.into_iter().flat_map(|extent| &extent.folders).copied());
    }
    remove_emptied(inventory, emptied, &mut outcomes);
    if outcomes.stopped.is_none() {
        // Last: a session that was left alone keeps its lines, so what became of each must be known.
        prune::all(inventory, plan, &watch, &records, tools, &mut outcomes);
    }
    outcomes.problems.extend(watch.problems());
    outcomes
}

/// The units of work of a plan: the artifacts of one kind of decision, grouped.
fn units(inventory: &Inventory, plan: &Plan, wanted: impl Fn(Decision) -> bool) -> Vec<Unit> {
    let mut grouped: BTreeMap<Owner, Vec<ArtifactIndex>> = BTreeMap::new();
    for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&plan.decisions).enumerate() {
        if !wanted(*decision) {
            continue;
        }
        let owner = match (artifact.belongs, artifact.kind) {
            (Belongs::Session(session), _) => Owner::Session(session),
            // What the catalogue does not know goes only in a purge, at a person's word.
            (Belongs::Loose, None) if plan.purge.is_none() => continue,
            (Belongs::Loose, kind) => Owner::Loose(inventory.store_of(artifact), kind),
        };
        grouped.entry(owner).or_default().push(ArtifactIndex::of(at));
    }
    grouped
        .into_iter()
        .map(|(owner, artifacts)| Unit {
            whole: matches!(owner, Owner::Session(session)
                if matches!(plan.sessions.get(session.at()).map(|verdict| verdict.decision), Some(Decision::Delete(_)))),
            owner,
            artifacts,
        })
        .collect()
}

/// The folders that are a session's own, in the order of sessions.
struct OwnFolders<'a> {
    inventory: &'a Inventory,
    sorted: Vec<FolderIndex>,
}

impl<'a> OwnFolders<'a> {
    fn new(inventory: &'a Inventory) -> Self {
        let all = (0..inventory.folders.len()).map(FolderIndex::of);
        let mut sorted: Vec<_> = all.filter(|index| inventory.folder(*index).session.is_some()).collect();
        sorted.sort_unstable_by_key(|index| (inventory.folder(*index).session, *index));
        Self { inventory, sorted }
    }

    /// Those of a session, each after the one it lies in.
    fn of(&self, id: SessionId) -> &[FolderIndex] {
        let owner = |index: &FolderIndex| self.inventory.folder(*index).session;
        let from = self.sorted.partition_point(|index| owner(index) < Some(id));
        let length = self.sorted[from..].partition_point(|index| owner(index) == Some(id));
        &self.sorted[from..from + length]
    }
}

/// Removes the folders that became empty by this run, from the bottom up; roots and links stay.
fn remove_emptied(inventory: &Inventory, mut emptied: BTreeSet<FolderIndex>, outcomes: &mut Outcomes) {
    let mut handles = Handles::new(inventory);
    // By it a store is known, should the run be killed before the others are gone.
    let is_mark = |index: FolderIndex| {
        let folder = inventory.folder(index);
        let is_top = folder.parent.is_some_and(|above| inventory.folder(above).parent.is_none());
        is_top && inventory.folder_name(folder) == "projects"
    };
    let mut marks = Vec::new();
    // A folder has a higher index than the one it lies in, so the last is always a deepest.
    while let Some(index) = emptied.pop_last().or_else(|| marks.pop()) {
        if is_mark(index) && !emptied.is_empty() {
            marks.push(index);
            continue;
        }
        match remove_folder(&mut handles, index) {
            Ok(true) => {
                outcomes.folders_removed += 1;
                emptied.extend(inventory.folder(index).parent);
            }
            Ok(false) => {}
            Err(source) => {
                let path = inventory.full_folder_path(index);
                outcomes.problems.push(PathError { path, doing: "remove", source });
            }
        }
    }
}

/// Removes a folder if it is empty; says whether it did.
fn remove_folder(handles: &mut Handles<'_>, index: FolderIndex) -> io::Result<bool> {
    let inventory = handles.inventory;
    let folder = inventory.folder(index);
    let (Some(parent), None) = (folder.parent, &folder.anchor) else { return Ok(false) };
    handles.close(index);
    match handles.get(parent) {
        Ok(above) => {
            let (store, name) = (&inventory.store(folder.store).store, inventory.folder_name(folder));
            // The tree that accounts share may be another's.
            // By the folder above and without following, right before the call that removes it.
            if store.kind.is_everybodys() && above.stat(name).is_ok_and(|stat| stat.owner != store.owner) {
                return Ok(false);
            }
            dir::remove_if_empty(above, name)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
