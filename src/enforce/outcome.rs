//! What did happen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::catalogue::Kind;
use crate::error::PathError;
use crate::inventory::{Artifact, ArtifactIndex, Inventory, Session};

/// What did happen to one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done(Effect),
    /// It was left alone, because it is not what was planned for any more.
    Skipped(Skip),
    /// It could not be done; the text says what and why, and nothing of the content.
    Failed(String),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is gone.
    Deleted,
    /// It is gone under this name, and its data remain under another: it had hard links.
    DataRemains,
    /// It is encrypted, and the plaintext is gone.
    Sealed,
    /// Lines of it are gone: how many, and how many bytes.
    Pruned {
        /// Lines or entries.
        lines: u64,
        bytes: u64,
        /// How many bytes of the disk are free by it.
        freed: u64,
    },
}

/// Why something planned was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It, or something of its session, is not what the inventory saw.
    ChangedSincePlan,
    /// A client opened the session meanwhile.
    BecameLive,
    /// It was gone already.
    Vanished,
}

/// Why a run ended before its plan did.
#[derive(Debug)]
pub enum Stop {
    /// The ledger could not be written; nothing that is not in it was touched.
    Ledger(io::Error),
    /// Somebody asked it to stop.
    Signal,
    /// A person pressed Ctrl-C.
    Interrupt,
    /// `--max-runtime` is over.
    MaxRuntime,
}

impl Stop {
    /// The word reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "ledger",
            Self::Signal | Self::Interrupt => "signal",
            Self::MaxRuntime => "max-runtime",
        }
    }
}

impl Outcome {
    /// The word reports use.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done(Effect::Deleted | Effect::DataRemains) => "deleted",
            Self::Done(Effect::Sealed) => "sealed",
            Self::Done(Effect::Pruned { .. }) => "pruned",
            Self::Skipped(Skip::ChangedSincePlan) => "changed-since-plan",
            Self::Skipped(Skip::BecameLive) => "became-live",
            Self::Skipped(Skip::Vanished) => "vanished",
            Self::Failed(_) => "failed",
        }
    }

    /// A failure in words: what was being done, and the system's reason.
    pub(super) fn failed(doing: &str, error: &io::Error) -> Self {
        Self::Failed(format!("cannot {doing}: {error}"))
    }
}

/// What did happen to everything.
#[derive(Debug)]
pub struct Outcomes {
    of_artifacts: OfArtifacts,
    /// How many folders went because they became empty.
    pub folders_removed: u64,
    /// What went wrong beside the artifacts.
    pub problems: Vec<PathError>,
    /// Why not everything was tried.
    pub stopped: Option<Stop>,
}

impl Outcomes {
    /// Nothing was done, for this reason.
    pub fn stopped_by(artifacts: usize, stop: Stop) -> Self {
        Self { stopped: Some(stop), ..Self::new(artifacts) }
    }

    /// Nothing has happened yet.
    pub(crate) fn new(artifacts: usize) -> Self {
        let of_artifacts = OfArtifacts { common: vec![0; artifacts], rare: BTreeMap::new() };
        Self { of_artifacts, folders_removed: 0, problems: Vec::new(), stopped: None }
    }

    /// What did happen to an artifact; `None` for what was not to be touched.
    pub fn of(&self, artifact: ArtifactIndex) -> Option<&Outcome> {
        self.of_artifacts.get(artifact.at())
    }

    /// That of each artifact of the inventory, in its order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&Outcome>> {
        (0..self.of_artifacts.common.len()).map(|at| self.of_artifacts.get(at))
    }

    /// Whether nothing is at the path of an artifact any more.
    pub fn is_gone(&self, artifact: ArtifactIndex) -> bool {
        matches!(
            self.of(artifact),
            Some(Outcome::Done(Effect::Deleted | Effect::DataRemains) | Outcome::Skipped(Skip::Vanished))
        )
    }

    /// Whether nothing is left of a session's conversation: its transcripts are gone, or what there was of
    /// a session without one.
    pub fn conversation_gone(&self, inventory: &Inventory, session: &Session) -> bool {
        let is_gone = |index: ArtifactIndex| self.is_gone(index);
        let files = || inventory.files(session).iter().copied();
        let is_transcript = |index: &ArtifactIndex| inventory.artifact(*index).kind == Some(Kind::Transcript);
        files().any(is_gone) && files().filter(is_transcript).all(is_gone)
    }

    /// How many bytes of the disk are free by deleting and pruning each artifact of the inventory, in its
    /// order: allocated blocks. Every count of freed bytes is a sum of these.
    pub fn freed(&self, inventory: &Inventory) -> Vec<u64> {
        // Names of one file share its data, and are gone together or not at all.
        let mut counted = BTreeSet::new();
        let freed = |(artifact, outcome): (&Artifact, Option<&Outcome>)| match outcome {
            _ if artifact.is_own() => 0,
            Some(Outcome::Done(Effect::Deleted)) => {
                let file = (artifact.stamp.device, artifact.stamp.inode);
                if artifact.links < 2 || counted.insert(file) { artifact.allocated } else { 0 }
            }
            Some(Outcome::Done(Effect::Pruned { freed, .. })) => *freed,
            _ => 0,
        };
        inventory.artifacts.iter().zip(self.iter()).map(freed).collect()
    }

    /// A file of which every name went is gone, though each went while there was another.
    pub(super) fn join_names(&mut self, inventory: &Inventory) {
        let remains = |at: usize| self.of_artifacts.get(at) == Some(&Outcome::Done(Effect::DataRemains));
        let names: Vec<usize> = (0..inventory.artifacts.len()).filter(|at| remains(*at)).collect();
        let file = |at: usize| {
            let stamp = &inventory.artifact(ArtifactIndex::of(at)).stamp;
            (stamp.device, stamp.inode)
        };
        let mut gone: BTreeMap<(u64, u64), u32> = BTreeMap::new();
        for at in &names {
            *gone.entry(file(*at)).or_default() += 1;
        }
        for at in names {
            let index = ArtifactIndex::of(at);
            // Every name that the inventory counted went in this run.
            if gone.get(&file(at)) == Some(&inventory.artifact(index).links) {
                self.set(index, Outcome::Done(Effect::Deleted));
            }
        }
    }

    /// Takes note of what did happen to an artifact.
    pub(super) fn set(&mut self, artifact: ArtifactIndex, outcome: Outcome) {
        self.of_artifacts.set(artifact.at(), outcome);
    }
}

/// The outcomes of a hundred thousand artifacts in little memory: a byte for each, and beside them the
/// few that have something to tell.
#[derive(Debug)]
struct OfArtifacts {
    /// One more than the place in [`COMMON`]; 0 for none of them.
    common: Vec<u8>,
    rare: BTreeMap<usize, Outcome>,
}

/// The outcomes without a text or a number.
static COMMON: [Outcome; 6] = [
    Outcome::Done(Effect::Deleted),
    Outcome::Done(Effect::DataRemains),
    Outcome::Done(Effect::Sealed),
    Outcome::Skipped(Skip::ChangedSincePlan),
    Outcome::Skipped(Skip::BecameLive),
    Outcome::Skipped(Skip::Vanished),
];

impl OfArtifacts {
    fn get(&self, at: usize) -> Option<&Outcome> {
        match self.common.get(at)?.checked_sub(1) {
            Some(place) => COMMON.get(usize::from(place)),
            None => self.rare.get(&at),
        }
    }

    fn set(&mut self, at: usize, outcome: Outcome) {
        let Some(common) = self.common.get_mut(at) else { return };
        let place = COMMON.iter().position(|known| *known == outcome);
        *common = place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(0);
        match place {
            Some(_) => drop(self.rare.remove(&at)),
            None => drop(self.rare.insert(at, outcome)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_outcome_of_an_artifact_is_what_is_known_of_it() {
        let pruned = Outcome::Done(Effect::Pruned { lines: 3, bytes: 5_000_000_000, freed: 4096 });
        let failed = Outcome::Failed("cannot delete it: no".to_owned());
        let all: Vec<Outcome> = COMMON.iter().cloned().chain([pruned, failed]).collect();
        for first in &all {
            for second in &all {
                let mut outcomes = Outcomes::new(3);
                outcomes.set(ArtifactIndex::of(1), first.clone());
                assert_eq!(outcomes.of(ArtifactIndex::of(1)), Some(first));
                outcomes.set(ArtifactIndex::of(1), second.clone());
                assert_eq!(outcomes.iter().collect::<Vec<_>>(), [None, Some(second), None]);
            }
        }
    }
}
