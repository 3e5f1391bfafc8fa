//! The sealing half of a run: batch after batch, each in the ledger before it is begun and after it
//! is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::super::record::Recorder;
use super::super::watch::Watch;
use super::super::{BATCH, Effect, Outcome, Outcomes, Stop, Tools, Unit, units};
use super::{Removed, Sealing, Written};
use crate::inventory::{ArtifactIndex, FolderIndex, Inventory, StoreIndex};
use crate::plan::{Decision, Plan};
use crate::policy::Policy;

/// How many bytes of plaintext share the flushes of a batch.
const BYTES: u64 = 128 << 20;

/// What the sealing half of a run works on.
pub(in super::super) struct Run<'a> {
    pub inventory: &'a Inventory,
    pub plan: &'a Plan,
    pub policy: &'a Policy,
    pub watch: &'a Watch<'a>,
    pub records: &'a Recorder<'a>,
}

impl Run<'_> {
    /// Seals what the plan says, after the deletions, which make room.
    pub fn run(&self, tools: &mut Tools<'_>, outcomes: &mut Outcomes, emptied: &mut BTreeSet<FolderIndex>) {
        let units = units(self.inventory, self.plan, |decision| matches!(decision, Decision::Seal(_)));
        let store_for = |index| self.plan.sealing_store(self.inventory, self.policy, index);
        let units = by_store(units, store_for);
        let Some(recipients) = tools.recipients.filter(|_| !units.is_empty()) else { return };
        let sealers = Mutex::new(Vec::new());
        let sealing = Sealing {
            inventory: self.inventory,
            watch: self.watch,
            recipients,
            compression: self.policy.compression.value,
            now: tools.now,
            store_for: &store_for,
            sealers: &sealers,
            progress: tools.progress,
            stop: tools.stop,
        };
        // Where there are none, one batch is finished before the next is written.
        let finishers = rayon::ThreadPoolBuilder::new().num_threads(crate::threads::count()).build().ok();
        let mut unfinished: Option<Written<'_>> = None;
        for batch in by_size(self.inventory, &units) {
            if let Some(stop) = (tools.stop)() {
                outcomes.stopped = Some(stop);
                break;
            }
            // On disk before the first byte of the batch is written.
            if let Err(error) = tools.ledger.append(&self.records.intents(batch), tools.now) {
                outcomes.stopped = Some(Stop::Ledger(error));
                break;
            }
            let (written, removed) = sealing.write_batch(batch, unfinished.take(), finishers.as_ref());
            if let Some(removed) = removed
                && let Err(stop) = self.settle(removed, tools, outcomes, emptied)
            {
                // The ledger cannot be written: what has no outcome there must not lose its plaintext.
                sealing.take_back(&written);
                outcomes.stopped = Some(stop);
                break;
            }
            unfinished = Some(written);
        }
        // What is written is finished, whatever ended the run.
        if let Some(written) = unfinished
            && let Err(stop) = self.settle(sealing.finish_batch(written), tools, outcomes, emptied)
        {
            outcomes.stopped.get_or_insert(stop);
        }
        // Whoever asks it to stop within the last batch is answered there, and not by a batch to come.
        let mut all = units.iter().flat_map(|unit| &unit.artifacts);
        if outcomes.stopped.is_none() && all.any(|index| outcomes.of(*index).is_none()) {
            outcomes.stopped = (tools.stop)();
        }
        // That the plaintext is gone must outlive a crash too; the batches before the last were
        // flushed by those that followed.
        let sealed =
            |index: &ArtifactIndex| matches!(outcomes.of(*index), Some(Outcome::Done(Effect::Sealed)));
        let artifacts = units.iter().flat_map(|unit| &unit.artifacts).copied();
        sealing.flush_removed(artifacts.filter(sealed));
    }

    /// Takes note of what became of a batch, here and in the ledger.
    fn settle(
        &self,
        removed: Removed<'_>,
        tools: &mut Tools<'_>,
        outcomes: &mut Outcomes,
        emptied: &mut BTreeSet<FolderIndex>,
    ) -> Result<(), Stop> {
        let mut entries = Vec::new();
        for (unit, done) in removed.units.iter().zip(removed.done) {
            emptied.extend(done.emptied.iter().copied());
            for (index, outcome) in done.outcomes {
                outcomes.set(index, outcome);
            }
            entries.extend(self.records.outcome(unit, outcomes, done.sealed));
        }
        tools.ledger.append(&entries, tools.now).map_err(Stop::Ledger)
    }
}

/// The same units, of which each has one store that its sealed files go to.
fn by_store(units: Vec<Unit>, store_for: impl Fn(ArtifactIndex) -> Option<StoreIndex>) -> Vec<Unit> {
    let split = |unit: Unit| {
        let mut of_stores: BTreeMap<Option<StoreIndex>, Vec<ArtifactIndex>> = BTreeMap::new();
        for index in unit.artifacts {
            of_stores.entry(store_for(index)).or_default().push(index);
        }
        let Unit { owner, whole, .. } = unit;
        of_stores.into_values().map(move |artifacts| Unit { owner, whole, artifacts })
    };
    units.into_iter().flat_map(split).collect()
}

/// Batches of sessions that hold about as many bytes each, so that a flush is worth its price.
fn by_size<'u>(inventory: &Inventory, units: &'u [Unit]) -> Vec<&'u [Unit]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, unit) in units.iter().enumerate() {
        let size: u64 = unit.artifacts.iter().map(|index| inventory.artifact(*index).stamp.size).sum();
        bytes += size;
        // A flush takes as long for one file as for a hundred; more than this at once, and a stop or a crash
        // would wait for, or lose, too much.
        if bytes >= BYTES || at + 1 - start >= BATCH {
            batches.push(&units[start..=at]);
            (start, bytes) = (at + 1, 0);
        }
    }
    if start < units.len() {
        batches.push(&units[start..]);
    }
    batches
}
