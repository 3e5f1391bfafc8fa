//! Unfinished files that an interrupted run left behind. The stores are locked, so whoever wrote
//! them is gone; they may hold plaintext, so they do not wait for a rule.

use std::collections::BTreeMap;

use super::{Effect, Outcome, Outcomes, Stop, Tools, dir};
use crate::catalogue::Kind;
use crate::dir::FileType;
use crate::escape::text;
use crate::inventory::{ArtifactIndex, FolderIndex, Inventory, Oddity, StoreIndex};
use crate::ledger::{Entry, Event};
use crate::plan::{Decision, Keep, Plan};
use crate::seal::naming;

/// Removes every unfinished file of our own.
pub(super) fn remove(
    inventory: &Inventory,
    plan: &Plan,
    tools: &mut Tools<'_>,
    outcomes: &mut Outcomes,
    emptied: &mut BTreeMap<FolderIndex, ()>,
) {
    let mut found: BTreeMap<StoreIndex, Vec<ArtifactIndex>> = BTreeMap::new();
    for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&plan.decisions).enumerate() {
        let is_ours = artifact.kind == Some(Kind::OwnLeftover) && naming::is_part(inventory.name(artifact));
        // Those that a purge takes are among its units.
        let is_out = matches!(decision, Decision::Keep(Keep::OutOfScope))
            || plan.purge.is_some() && matches!(decision, Decision::Delete(_));
        if is_ours && !is_out && artifact.oddity == Oddity::None {
            found.entry(inventory.store_of(artifact)).or_default().push(ArtifactIndex::of(at));
        }
    }
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
            outcomes.of_artifacts[index.at()] = Some(outcome);
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
