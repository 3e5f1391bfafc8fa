//! What the ledger is told of a unit: its intent before, its outcome after.

use std::borrow::Cow;

use super::{Effect, Outcome, Outcomes, Owner, Unit};
use crate::catalogue::Kind;
use crate::escape::text;
use crate::inventory::{ArtifactIndex, Inventory};
use crate::ledger::{Ciphertext, Entry, Event, Failure};
use crate::plan::{Decision, Plan};
use crate::policy::Policy;

/// Makes the ledger's entries.
pub(super) struct Recorder<'a> {
    pub inventory: &'a Inventory,
    pub plan: &'a Plan,
    pub policy: &'a Policy,
    /// Whether each file has a line of its own.
    pub by_file: bool,
}

impl<'a> Recorder<'a> {
    pub(super) fn intents(&self, units: &[Unit]) -> Vec<Entry<'a>> {
        units.iter().map(|unit| self.entry(Event::Intent, unit)).collect()
    }

    pub(super) fn outcomes(&self, units: &[Unit], outcomes: &Outcomes) -> Vec<Entry<'a>> {
        units.iter().flat_map(|unit| self.outcome(unit, outcomes, Vec::new())).collect()
    }

    fn entry(&self, event: Event, unit: &Unit) -> Entry<'a> {
        let mut entry = Entry::new(event);
        let store = match unit.owner {
            Owner::Session(index) => {
                let session = self.inventory.session(index);
                entry.session = Some(session.id.to_string().into());
                entry.project = session.project.as_deref().map(|project| Cow::Owned(text(project)));
                session.store
            }
            Owner::Loose(store, kind) => {
                entry.kind = Some(kind.map_or("unrecognised", Kind::name).into());
                store
            }
        };
        entry.store = Some(text(&self.inventory.store(store).store.root).into());
        let decision = unit.artifacts.first().map(|index| self.plan.decisions[index.at()]);
        entry.decision = decision.map(|decision| decision.word().into());
        entry.rule = decision.and_then(Decision::due).map(|due| self.policy.rule_name(due.rule()).into());
        self.count(&mut entry, unit.artifacts.iter().copied());
        entry
    }

    /// States how many files these are, and their bytes, as every report counts.
    fn count(&self, entry: &mut Entry<'_>, artifacts: impl Iterator<Item = ArtifactIndex>) {
        let all = artifacts.map(|index| self.inventory.artifact(index));
        let sizes = all.filter(|artifact| !artifact.is_own()).map(|artifact| artifact.stamp.size);
        let (files, bytes) = sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size));
        (entry.files, entry.bytes) = (Some(files), Some(bytes));
    }

    /// What became of one unit, with what of it was sealed.
    pub(super) fn outcome(
        &self,
        unit: &Unit,
        outcomes: &Outcomes,
        sealed: Vec<Ciphertext<'a>>,
    ) -> Vec<Entry<'a>> {
        let of = |index: &ArtifactIndex| outcomes.of(*index);
        let mut whole = self.entry(Event::Outcome, unit);
        let done = unit.artifacts.iter().filter(|index| matches!(of(index), Some(Outcome::Done(_))));
        self.count(&mut whole, done.copied());
        whole.failed = unit
            .artifacts
            .iter()
            .filter_map(|index| match of(index) {
                Some(Outcome::Failed(error)) => {
                    Some(Failure { path: self.path(*index), error: error.clone().into() })
                }
                _ => None,
            })
            .collect();
        // The word of the whole is that of its worst part.
        let worst = unit.artifacts.iter().filter_map(of).max_by_key(|outcome| match outcome {
            Outcome::Done(Effect::DataRemains) => 1,
            Outcome::Done(_) => 0,
            Outcome::Skipped(_) => 2,
            Outcome::Failed(_) => 3,
        });
        whole.outcome = worst.map(|outcome| outcome.word().into());
        if worst.is_none() {
            // Announced, and not reached before the run was stopped.
            whole.outcome = Some("kept".into());
        }
        // Later runs go by it: of a session whose transcript a run *deleted*, what is left is an orphan; of one
        // that only vanished it is not, for its volume may not be mounted.
        whole.whole = unit.whole && self.lost_its_transcript(unit, outcomes);
        whole.sealed = sealed;
        let mut entries = vec![whole];
        if self.by_file {
            entries.extend(unit.artifacts.iter().map(|index| self.file(unit, *index, of(index))));
        }
        entries
    }

    /// Whether every transcript of a session is gone, plain and sealed, and there was one.
    fn lost_its_transcript(&self, unit: &Unit, outcomes: &Outcomes) -> bool {
        let is_transcript =
            |index: &&ArtifactIndex| self.inventory.artifact(**index).kind == Some(Kind::Transcript);
        let mut transcripts = unit.artifacts.iter().filter(is_transcript).peekable();
        let is_gone = |index: &ArtifactIndex| {
            matches!(outcomes.of(*index), Some(Outcome::Done(Effect::Deleted | Effect::DataRemains)))
        };
        transcripts.peek().is_some() && transcripts.all(is_gone)
    }

    fn file(&self, unit: &Unit, index: ArtifactIndex, outcome: Option<&Outcome>) -> Entry<'a> {
        let artifact = self.inventory.artifact(index);
        let mut entry = self.entry(Event::Outcome, unit);
        entry.kind = artifact.kind.map(|kind| kind.name().into());
        entry.path = Some(self.path(index));
        entry.files = None;
        entry.bytes = Some(artifact.stamp.size);
        entry.outcome = outcome.map(|outcome| outcome.word().into());
        if let Some(Outcome::Failed(error)) = outcome {
            entry.error = Some(error.clone().into());
        }
        entry
    }

    fn path(&self, index: ArtifactIndex) -> Cow<'a, str> {
        text(&self.inventory.path(self.inventory.artifact(index))).into()
    }

    /// A line file that loses lines.
    pub(super) fn pruning(&self, event: Event, index: ArtifactIndex, lines: u64, bytes: u64) -> Entry<'a> {
        let artifact = self.inventory.artifact(index);
        let mut entry = Entry::new(event);
        entry.store = Some(text(&self.inventory.store(self.inventory.store_of(artifact)).store.root).into());
        entry.kind = artifact.kind.map(|kind| kind.name().into());
        entry.path = Some(self.path(index));
        entry.decision = Some("prune".into());
        entry.rule =
            self.plan.decisions[index.at()].due().map(|due| self.policy.rule_name(due.rule()).into());
        entry.lines = Some(lines);
        entry.bytes = Some(bytes);
        entry
    }

    /// The same, once it was tried.
    pub(super) fn pruned(&self, index: ArtifactIndex, outcome: &Outcome) -> Entry<'a> {
        let (lines, bytes) = match outcome {
            Outcome::Done(Effect::Pruned { lines, bytes, .. }) => (*lines, *bytes),
            _ => (0, 0),
        };
        let mut entry = self.pruning(Event::Outcome, index, lines, bytes);
        entry.outcome = Some(outcome.word().into());
        if let Outcome::Failed(error) = outcome {
            entry.error = Some(error.clone().into());
        }
        entry
    }
}
