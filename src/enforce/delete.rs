//! Deleting a unit: first every file is compared with what was seen, then every file goes,
//! transcripts last, so that after a crash what is left is still a session and still dated.

use std::collections::BTreeSet;
use std::io;

use rayon::prelude::*;

use super::handles::Handles;
use super::record::Recorder;
use super::watch::Watch;
use super::{BATCH, Effect, Outcome, Outcomes, OwnFolders, Owner, Skip, Stop, Tools, Unit, dir};
use crate::catalogue::{Kind, Protection, SessionId};
use crate::inventory::{Artifact, ArtifactIndex, FolderIndex, Inventory};
use crate::plan::Plan;
use crate::policy::Policy;

/// What deleting needs.
pub(super) struct Deletion<'a> {
    pub inventory: &'a Inventory,
    pub folders: &'a OwnFolders<'a>,
    pub plan: &'a Plan,
    pub policy: &'a Policy,
    pub watch: &'a Watch<'a>,
    /// Whether a client that opens a session does not matter.
    pub even_live: bool,
}

/// What became of a unit.
#[derive(Debug, Default)]
struct Done {
    outcomes: Vec<(ArtifactIndex, Outcome)>,
    /// Folders that may have become empty.
    emptied: Vec<FolderIndex>,
}

/// Deletes units, batch after batch.
pub(super) fn run(
    deletion: &Deletion<'_>,
    units: &[Unit],
    records: &Recorder<'_>,
    tools: &mut Tools<'_>,
    outcomes: &mut Outcomes,
    emptied: &mut BTreeSet<FolderIndex>,
) {
    // While one batch is deleted, what became of the one before it and the intents of the next go to the ledger
    // with one flush, so that neither waits for the other.
    let mut batches = units.chunks(BATCH);
    let (mut done, mut announced): (&[Unit], &[Unit]) = (&[], &[]);
    loop {
        if outcomes.stopped.is_none() {
            outcomes.stopped = (tools.stop)();
        }
        let next = batches.next().filter(|_| outcomes.stopped.is_none()).unwrap_or_default();
        // The intents of the next batch go with the outcomes of the last one: both are flushed at once, and
        // none of the next is touched before this has returned.
        let mut entries = records.outcomes(done, outcomes);
        entries.extend(records.intents(next));
        if entries.is_empty() && announced.is_empty() {
            return;
        }
        let (progress, stop, mut gone, mut appended) = (tools.progress, tools.stop, Vec::new(), Ok(()));
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| {
                let delete = |unit| {
                    // Whoever asks it to stop does not wait for a whole batch.
                    if stop().is_some() {
                        return Done::default();
                    }
                    let done = deletion.unit(unit);
                    progress(unit.artifacts.len());
                    done
                };
                gone = announced.par_iter().with_max_len(8).map(delete).collect();
            });
            if !entries.is_empty() {
                appended = tools.ledger.append(&entries, tools.now);
            }
        });
        for unit in gone {
            emptied.extend(unit.emptied.iter().copied());
            unit.outcomes.into_iter().for_each(|(index, outcome)| outcomes.set(index, outcome));
        }
        if let Err(error) = appended {
            outcomes.stopped = Some(Stop::Ledger(error));
            return;
        }
        (done, announced) = (announced, next);
    }
}

impl Deletion<'_> {
    /// Whether a managed rule demands an artifact.
    fn is_managed(&self, index: ArtifactIndex) -> bool {
        let due = self.plan.decisions.get(index.at()).and_then(|decision| decision.due());
        due.is_some_and(|due| self.policy.is_managed_rule(due.rule()))
    }

    fn unit(&self, unit: &Unit) -> Done {
        let all = |outcome: Outcome| Done {
            outcomes: unit.artifacts.iter().map(|index| (*index, outcome.clone())).collect(),
            emptied: Vec::new(),
        };
        // Again, and right before it goes: between the inventory and this session there may have been minutes,
        // and Claude Code takes no lock on what it has open.
        let became_live = match unit.owner {
            _ if self.even_live => false,
            Owner::Session(index) => self.watch.is_live(self.inventory.session(index)),
            Owner::Loose(store, Some(Kind::DaemonFile)) => {
                let managed = unit.artifacts.iter().all(|index| self.is_managed(*index));
                let is_purge = self.plan.purge.is_some();
                let mut workers = self.watch.workers(store, managed).into_iter();
                // Against a purge only one that surely runs counts, as in its plan.
                workers.any(|one| if is_purge { one.is_certain() } else { one.is_live() })
            }
            Owner::Loose(store, kind) => {
                kind.is_some_and(|kind| kind.row().protection == Protection::UnlessLive)
                    && self
                        .watch
                        .has_clients(store, unit.artifacts.iter().all(|index| self.is_managed(*index)))
            }
        };
        if became_live {
            return all(Outcome::Skipped(Skip::BecameLive));
        }
        let mut handles = Handles::new(self.inventory);
        let mut done = Done::default();
        let mut ready = Vec::with_capacity(unit.artifacts.len());
        for index in &unit.artifacts {
            // All are compared before the first goes: half a session must not be the way to find out that
            // somebody works on it.
            match self.check(&mut handles, *index) {
                None => ready.push(*index),
                Some(outcome) => done.outcomes.push((*index, outcome)),
            }
        }
        let changed =
            done.outcomes.iter().any(|(_, outcome)| *outcome == Outcome::Skipped(Skip::ChangedSincePlan));
        if changed && unit.whole {
            // Somebody works on the session: nothing of it is touched.
            return all(Outcome::Skipped(Skip::ChangedSincePlan));
        }
        // Stable, so that folders stay together; transcripts go last, and after them the record of
        // a sealed session, without which nobody would know its date.
        ready.sort_by_key(|index| match self.inventory.artifact(*index).kind {
            Some(Kind::SealedRecord) => 2,
            Some(Kind::Transcript) => 1,
            _ => 0,
        });
        for index in ready {
            let outcome = if self.describes_what_is_left(index, &done) {
                Outcome::Failed("cannot delete it: sealed files that only it describes are left".to_owned())
            } else {
                self.remove(&mut handles, index)
            };
            if matches!(outcome, Outcome::Done(_)) {
                done.emptied.push(self.inventory.artifact(index).folder);
            }
            done.outcomes.push((index, outcome));
        }
        done.emptied.dedup();
        if let (Owner::Session(session), true) = (unit.owner, unit.whole) {
            self.remove_own_folders(&mut handles, self.inventory.session(session).id, &mut done);
        }
        done
    }

    /// Whether a file is the record of sealed files of which some could not be deleted, or not even be seen.
    fn describes_what_is_left(&self, index: ArtifactIndex, done: &Done) -> bool {
        let record = self.inventory.artifact(index);
        // Without the record nobody knows what they are of, when they are due, and who holds them.
        let is_left = |(other, outcome): &(ArtifactIndex, Outcome)| {
            let file = self.inventory.artifact(*other);
            file.sealed
                && self.inventory.store_of(file) == self.inventory.store_of(record)
                && !matches!(outcome, Outcome::Done(_) | Outcome::Skipped(Skip::Vanished))
        };
        record.kind == Some(Kind::SealedRecord)
            && (done.outcomes.iter().any(is_left) || !self.inventory.saw_all_of(record.folder))
    }

    /// Compares a file with what was seen; `None` if it is the same.
    fn check(&self, handles: &mut Handles<'_>, index: ArtifactIndex) -> Option<Outcome> {
        let artifact = self.inventory.artifact(index);
        let found = handles.get(artifact.folder).and_then(|dir| dir.stat(self.inventory.name(artifact)));
        match found {
            Ok(stat) if dir::may_go(artifact, &stat) => None,
            Ok(_) => Some(Outcome::Skipped(Skip::ChangedSincePlan)),
            Err(error) => Some(gone_or_failed("look at it again", &error)),
        }
    }

    fn remove(&self, handles: &mut Handles<'_>, index: ArtifactIndex) -> Outcome {
        let artifact = self.inventory.artifact(index);
        let removed = handles.get(artifact.folder).and_then(|dir| {
            // The window between the first look and this one can be long for a large session.
            if artifact.kind == Some(Kind::Transcript)
                && !dir::may_go(artifact, &dir.stat(self.inventory.name(artifact))?)
            {
                return Ok(false);
            }
            dir::unlink(dir, self.inventory.name(artifact)).map(|()| true)
        });
        match removed {
            Ok(true) => gone(artifact),
            Ok(false) => Outcome::Skipped(Skip::ChangedSincePlan),
            Err(error) => gone_or_failed("delete it", &error),
        }
    }

    /// The session's own folders go with it where they are empty now, also those that the client
    /// left empty; what lies above them is left to the end of the run.
    fn remove_own_folders(&self, handles: &mut Handles<'_>, id: SessionId, done: &mut Done) {
        for index in self.folders.of(id).iter().rev() {
            // From the deepest on. One that is not empty, whatever is in it, refuses by itself.
            if super::remove_folder(handles, *index).is_ok_and(|removed| removed) {
                done.emptied.retain(|folder| folder != index);
                done.emptied.extend(self.inventory.folder(*index).parent);
            }
        }
    }
}

/// The outcome of a file of which one name is gone.
pub(super) fn gone(artifact: &Artifact) -> Outcome {
    // The certificate must not say of bytes that they are gone while another name leads to them.
    Outcome::Done(if artifact.hard_linked { Effect::DataRemains } else { Effect::Deleted })
}

/// The outcome of an error: a link where a folder was is a change, not a failure.
pub(super) fn gone_or_failed(doing: &str, error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::NotFound => Outcome::Skipped(Skip::Vanished),
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::CrossesDevices => {
            Outcome::Skipped(Skip::ChangedSincePlan)
        }
        // The folder, or a folder above, has been exchanged for a link: what lies behind is not what was
        // planned for, and nothing was opened through it.
        _ if is_link_error(error) => Outcome::Skipped(Skip::ChangedSincePlan),
        _ => Outcome::failed(doing, error),
    }
}

/// Whether a link was met where none may be; the standard library has no stable name for it.
#[cfg(unix)]
fn is_link_error(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_link_error(_: &io::Error) -> bool {
    false
}
