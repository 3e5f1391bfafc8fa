//! Doing what a plan demands: the only room that changes a store.
//!
//! Sessions are handled in batches: the intents of a batch are in the ledger and on disk before
//! anything of it is touched, then its sessions are done in parallel, then their outcomes are
//! recorded. Before a session is touched, every file of it is compared with what the inventory
//! saw, and the clients that run are looked at again.

mod delete;
pub mod dir;
pub mod lock;
mod outcome;
mod prune;
mod record;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;

use chrono::{DateTime, Utc};
use rayon::prelude::*;

pub use outcome::{Effect, Outcome, Outcomes, Skip, Stop};

use crate::catalogue::{Kind, SessionId};
use crate::inventory::liveness::Processes;
use crate::inventory::{ArtifactIndex, Belongs, FolderIndex, Inventory, SessionIndex, StoreIndex};
use crate::ledger::Ledger;
use crate::plan::{Decision, Plan};
use crate::policy::{Detail, Policy};
use delete::Deletion;
use watch::Watch;

/// How many sessions share one flush of the ledger.
const BATCH: usize = 512;
/// The most threads; deleting is bound by the file system's journal.
const MOST_THREADS: usize = 8;

/// What enforcing needs besides the plan.
pub struct Tools<'a> {
    /// Where intents and outcomes go.
    pub ledger: &'a mut Ledger,
    /// The processes that may have a session open.
    pub processes: &'a dyn Processes,
    /// Called with the number of artifacts done; must be quick.
    pub progress: &'a (dyn Fn(usize) + Sync),
    /// Whether to stop before the next batch: a signal, or the time is up.
    pub stop: &'a (dyn Fn() -> Option<Stop> + Sync),
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
    Loose(StoreIndex, Kind),
}

/// Carries out a plan.
///
/// Failures of single items are among the outcomes. Nothing is touched that is not in the ledger
/// first: when that fails, the rest is left alone and the outcomes say so.
pub fn enforce(inventory: &Inventory, plan: &Plan, policy: &Policy, tools: &mut Tools<'_>) -> Outcomes {
    let mut outcomes = Outcomes::new(inventory.artifacts.len());
    let units = units(inventory, plan);
    let folders = session_folders(inventory);
    let watch = Watch::new(inventory, tools.processes, tools.now);
    let deletion = Deletion { inventory, folders: &folders, watch: &watch };
    let pool = {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()
    };
    let records =
        record::Recorder { inventory, plan, policy, by_file: policy.ledger.value.detail == Detail::Files };
    let mut emptied: BTreeMap<FolderIndex, ()> = BTreeMap::new();
    for batch in units.chunks(BATCH) {
        if let Some(stop) = (tools.stop)() {
            outcomes.stopped = Some(stop);
            break;
        }
        if let Err(error) = tools.ledger.append(&records.intents(batch), tools.now) {
            outcomes.stopped = Some(Stop::Ledger(error));
            break;
        }
        let progress = tools.progress;
        let work = || -> Vec<delete::Done> {
            batch
                .par_iter()
                .map(|unit| {
                    let done = deletion.unit(unit);
                    progress(unit.artifacts.len());
                    done
                })
                .collect()
        };
        let done = match &pool {
            Some(pool) => pool.install(work),
            None => work(),
        };
        for unit in &done {
            emptied.extend(unit.emptied.iter().map(|folder| (*folder, ())));
        }
        for unit in done {
            for (index, outcome) in unit.outcomes {
                outcomes.of_artifacts[index.at()] = Some(outcome);
            }
        }
        if let Err(error) = tools.ledger.append(&records.outcomes(batch, &outcomes), tools.now) {
            outcomes.stopped = Some(Stop::Ledger(error));
            break;
        }
    }
    remove_emptied(inventory, emptied, &mut outcomes);
    if outcomes.stopped.is_none() {
        prune::all(inventory, plan, &watch, &records, tools, &mut outcomes);
    }
    outcomes
}

/// The units of work of a plan: deletions, grouped.
fn units(inventory: &Inventory, plan: &Plan) -> Vec<Unit> {
    let mut grouped: BTreeMap<Owner, Vec<ArtifactIndex>> = BTreeMap::new();
    for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&plan.decisions).enumerate() {
        let Decision::Delete(_) = decision else { continue };
        let owner = match (artifact.belongs, artifact.kind) {
            (Belongs::Session(session), _) => Owner::Session(session),
            (Belongs::Loose, Some(kind)) => Owner::Loose(inventory.store_of(artifact), kind),
            // Nothing unrecognised is ever decided to be deleted; if it were, it would stay.
            (Belongs::Loose, None) => continue,
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

/// The folders that are a session's own, by session.
fn session_folders(inventory: &Inventory) -> HashMap<SessionId, Vec<FolderIndex>> {
    let mut of: HashMap<SessionId, Vec<FolderIndex>> = HashMap::new();
    for (at, folder) in inventory.folders.iter().enumerate() {
        if let Some(id) = folder.session {
            of.entry(id).or_default().push(FolderIndex::of(at));
        }
    }
    of
}

/// Removes the folders that became empty by this run, from the bottom up; roots and links stay.
fn remove_emptied(inventory: &Inventory, mut emptied: BTreeMap<FolderIndex, ()>, outcomes: &mut Outcomes) {
    // A folder has a higher index than the one it lies in, so the last is always a deepest.
    while let Some((index, ())) = emptied.pop_last() {
        match remove_folder(inventory, index) {
            Ok(true) => {
                outcomes.folders_removed += 1;
                emptied.extend(inventory.folder(index).parent.map(|parent| (parent, ())));
            }
            Ok(false) => {}
            Err(error) => outcomes.problems.push((inventory.full_folder_path(index), error)),
        }
    }
}

/// Removes a folder if it is empty; says whether it did.
fn remove_folder(inventory: &Inventory, index: FolderIndex) -> io::Result<bool> {
    let folder = inventory.folder(index);
    let (Some(parent), None) = (folder.parent, &folder.anchor) else { return Ok(false) };
    match inventory.open(parent) {
        Ok(above) => dir::remove_if_empty(&above, OsStr::new(&folder.name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
