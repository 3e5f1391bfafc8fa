//! What a purge came to: what went, what the second look found, what stays and why. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::certificate::{
    Counts, Exception, ExceptionReason, Form, Left, Remaining, RemainingKind, Verification,
};
use super::exceptions::{doubts, exception, refused, unreadable};
use super::unknown;
use crate::catalogue::{Class, Kind, Protection, SessionId};
use crate::enforce::{Effect, Outcome, Outcomes, Skip, Stop};
use crate::error::PathError;
use crate::escape::text;
use crate::inventory::{Artifact, ArtifactIndex, Inventory, Problem, Session};
use crate::locate::Refused;
use crate::plan::purge::{Doubt, Doubtful, LOCK, Purging};
use crate::plan::{Decision, Keep};

/// What was done and what was found by looking again.
#[derive(Debug, Clone, Copy)]
pub struct Looked<'a> {
    pub before: &'a Inventory,
    /// What was to be done with it.
    pub purging: &'a Purging,
    /// What did happen.
    pub outcomes: &'a Outcomes,
    pub after: &'a Inventory,
    /// What the same purge would do with that.
    pub again: &'a Purging,
    /// Roots that were not taken, at the second look.
    pub refused: &'a [Refused],
    /// When the second look had ended.
    pub time: DateTime<Utc>,
}

/// What a purge came to.
#[derive(Debug, Clone)]
pub struct Aftermath {
    /// What was removed.
    pub counts: Counts,
    /// What was not removed although it should have been, or is not wholly gone.
    pub exceptions: Vec<Exception>,
    /// What the second look found.
    pub verification: Verification,
    /// What stays because it was not asked for.
    pub remaining: Vec<Remaining>,
}

/// What was to go, is there, and is no more taken for what was meant.
struct Lost<'a> {
    before: &'a Artifact,
    outcome: Option<&'a Outcome>,
    at: ArtifactIndex,
    after: &'a Artifact,
}

impl Looked<'_> {
    /// Sums it up; `sealed_here` says whether a record shows that a session's sealed files were
    /// plaintext on this machine before.
    pub fn sum_up(&self, sealed_here: &dyn Fn(SessionId) -> bool) -> Aftermath {
        let lost = self.no_longer_wanted();
        let left = self.left(&lost);
        let roots = self.after.stores.iter().filter(|view| view.store.in_scope).count();
        let exceptions = self.exceptions(&lost);
        // A scan that could not read everything has proved nothing, even where it found nothing.
        let readable = !exceptions.iter().any(|one| one.reason == ExceptionReason::Unreadable);
        let files = self.after.artifacts.len() as u64;
        Aftermath {
            counts: self.counts(sealed_here),
            verification: Verification::scanned(self.time, roots as u64, files, left, readable),
            exceptions,
            remaining: self.remaining(),
        }
    }

    fn counts(&self, sealed_here: &dyn Fn(SessionId) -> bool) -> Counts {
        let mut counts = Counts { folders: self.outcomes.folders_removed, ..Counts::default() };
        let done = self.before.artifacts.iter().zip(self.outcomes.iter());
        for ((artifact, outcome), freed) in done.zip(self.outcomes.freed(self.before)) {
            match outcome {
                _ if artifact.is_own() => {}
                Some(Outcome::Done(Effect::Deleted | Effect::DataRemains)) => {
                    counts.file(artifact.kind, self.form(artifact, sealed_here), freed);
                }
                Some(Outcome::Done(Effect::Pruned { lines, .. })) => {
                    counts.lines(artifact.kind.unwrap_or(Kind::History), *lines, freed);
                }
                _ => {}
            }
        }
        let is_removed = |outcome: Option<&Outcome>| {
            matches!(outcome, Some(Outcome::Done(Effect::Deleted | Effect::DataRemains)))
        };
        // A session of which the transcript could not be removed is still there.
        let is_gone = |session: &&Session| {
            let mut files = self.before.files(session).iter();
            files.any(|file| is_removed(self.outcomes.of(*file)))
                && self.outcomes.conversation_gone(self.before, session)
        };
        let gone = || self.before.sessions.iter().filter(is_gone);
        counts.sessions = gone().count() as u64;
        counts.projects =
            gone().filter_map(|session| session.project.as_ref()).collect::<BTreeSet<_>>().len() as u64;
        counts
    }

    fn form(&self, artifact: &Artifact, sealed_here: &dyn Fn(SessionId) -> bool) -> Form {
        let path = || self.before.path(artifact);
        let session = match artifact.kind {
            _ if artifact.sealed => self.before.session_of(artifact).map(|session| session.id),
            // Of a session of this machine.
            Some(Kind::Preserved) => path().iter().nth(3).and_then(|id| id.to_str()?.parse().ok()),
            _ => return Form::Plaintext,
        };
        match session {
            Some(session) if sealed_here(session) => Form::SealedAfterPlaintext,
            Some(_) => Form::OnlySealed,
            None => Form::Plaintext,
        }
    }

    /// What the second look found that was to be removed.
    fn left(&self, lost: &[Lost<'_>]) -> Left {
        let mut left = Left::default();
        for (at, artifact, decision) in self.due_again() {
            match decision {
                Decision::Prune(_) => {
                    let extent = self.again.plan.purge.as_ref();
                    let (lines, bytes) = extent.map_or((0, 0), |extent| extent.left_out_of(self.after, at));
                    left.lines += lines;
                    left.bytes += bytes;
                }
                _ => {
                    left.files += 1;
                    left.bytes += artifact.stamp.size;
                }
            }
        }
        left.files += lost.len() as u64;
        left.bytes += lost.iter().map(|one| one.after.stamp.size).sum::<u64>();
        let sessions = self.due_again().filter_map(|(_, artifact, _)| self.after.session_of(artifact));
        left.sessions =
            sessions.map(|session| (session.store, session.id)).collect::<BTreeSet<_>>().len() as u64;
        left
    }

    /// What was to go and did not, and is wanted no more: what told whose it is has gone.
    fn no_longer_wanted(&self) -> Vec<Lost<'_>> {
        let of_before = self.before.artifacts.iter().zip(&self.purging.plan.decisions);
        let undone: Vec<_> = of_before
            .zip(self.outcomes.iter())
            .filter(|((_, decision), outcome)| {
                let is_gone = matches!(outcome, Some(Outcome::Done(_) | Outcome::Skipped(Skip::Vanished)));
                // Lines say whose they are.
                matches!(decision, Decision::Delete(_)) && !is_gone
            })
            .map(|((artifact, _), outcome)| (artifact, outcome))
            .collect();
        if undone.is_empty() {
            return Vec::new();
        }
        let there = self.there();
        let again: HashSet<usize> = self.due_again().map(|(at, ..)| at).collect();
        undone
            .into_iter()
            .filter_map(|(before, outcome)| {
                let at = *there.get(&self.before.full_path(before))?;
                let after = self.after.artifact(at);
                (!again.contains(&at.at())).then_some(Lost { before, outcome, at, after })
            })
            .collect()
    }

    fn due_again(&self) -> impl Iterator<Item = (usize, &Artifact, Decision)> {
        let decided = self.after.artifacts.iter().zip(&self.again.plan.decisions).enumerate();
        decided
            .filter(|(_, (_, decision))| decision.due().is_some())
            .map(|(at, (artifact, decision))| (at, artifact, *decision))
    }

    fn exceptions(&self, lost: &[Lost<'_>]) -> Vec<Exception> {
        let mut exceptions: Vec<Exception> = self.refused.iter().map(refused).collect();
        // The look again takes in stores that were not asked for, so that a file which another store shares is
        // seen; what cannot be read there says nothing against this purge.
        let in_scope =
            |problem: &&Problem| problem.store.is_none_or(|store| self.after.store(store).store.in_scope);
        exceptions.extend(self.after.problems.iter().filter(in_scope).map(unreadable));
        let mut before: HashMap<PathBuf, (&Artifact, Option<&Outcome>)> = HashMap::new();
        for (artifact, outcome) in self.before.artifacts.iter().zip(self.outcomes.iter()) {
            let detail = match outcome {
                Some(Outcome::Done(Effect::DataRemains)) => {
                    // To remove a name was what could be done; the certificate must not say that the data went
                    // with it.
                    "it is gone by this name, and its data remain under another"
                }
                // The file was written anew; its other name leads to the old one.
                Some(Outcome::Done(Effect::Pruned { .. })) if artifact.hard_linked => {
                    "what was taken out of it remains under another name"
                }
                _ => continue,
            };
            let detail = detail.to_owned();
            exceptions.push(exception(ExceptionReason::HardLinked, self.before, artifact, detail));
        }
        let due: Vec<_> = self.due_again().collect();
        // A hundred thousand paths are only put together where something is left to be explained.
        if !due.is_empty() {
            for (artifact, outcome) in self.before.artifacts.iter().zip(self.outcomes.iter()) {
                before.insert(self.before.full_path(artifact), (artifact, outcome));
            }
        }
        for (_, artifact, _) in due {
            let was = before.get(&self.after.full_path(artifact)).copied();
            let (reason, detail) = self.why_left(artifact, was);
            exceptions.push(exception(reason, self.after, artifact, detail));
        }
        for one in lost {
            let (reason, detail) = self.why_left(one.after, Some((one.before, one.outcome)));
            exceptions.push(exception(reason, self.after, one.after, detail));
        }
        let lost: HashSet<ArtifactIndex> = lost.iter().map(|one| one.at).collect();
        let others = self.again.doubts.iter().filter(|one| !lost.contains(&one.artifact));
        exceptions.extend(doubts(self.after, &others.copied().collect::<Vec<_>>()));
        exceptions.extend(self.no_longer_told());
        // A folder that stays has a name, and the name of a project folder is the path of the project.
        exceptions.extend(self.outcomes.problems.iter().map(|PathError { path, doing, source }| Exception {
            reason: ExceptionReason::Failed,
            path: text(path),
            detail: format!("cannot {doing} it: {source}"),
            bytes: None,
        }));
        if let Some(Stop::Ledger(error)) = &self.outcomes.stopped {
            exceptions.push(Exception {
                reason: ExceptionReason::Ledger,
                path: String::new(),
                detail: format!("the ledger could not be written, so the rest was left alone: {error}"),
                bytes: None,
            });
        }
        exceptions
    }

    /// What stays because it may be of what went: once the lines and sessions that told so are gone,
    /// the second look takes it for somebody else's.
    fn no_longer_told(&self) -> Vec<Exception> {
        let of_what_went = |one: &&Doubtful| match one.why {
            Doubt::Mixed | Doubt::Shared | Doubt::NoProject | Doubt::Unrecognised => one.lines == 0,
            Doubt::NoSession => true,
            _ => false,
        };
        let mut untold: Vec<Doubtful> = self.purging.doubts.iter().filter(of_what_went).copied().collect();
        if untold.is_empty() {
            return Vec::new();
        }
        let told = self.again.doubts.iter().map(|one| self.after.artifact(one.artifact));
        let due = self.due_again().map(|(_, artifact, _)| artifact);
        // By path, as the two looks number their files each in its own way.
        let told: HashSet<PathBuf> = told.chain(due).map(|artifact| self.after.full_path(artifact)).collect();
        let there = self.there();
        untold.retain(|one| {
            let path = self.before.full_path(self.before.artifact(one.artifact));
            there.contains_key(&path) && !told.contains(&path)
        });
        doubts(self.before, &untold)
    }

    /// What is there after, by its path.
    fn there(&self) -> HashMap<PathBuf, ArtifactIndex> {
        let all = self.after.artifacts.iter().enumerate();
        all.map(|(at, artifact)| (self.after.full_path(artifact), ArtifactIndex::of(at))).collect()
    }

    /// What stays on the operator's word, as far as either look tells.
    fn excepted(&self) -> BTreeSet<ArtifactIndex> {
        let mut excepted: BTreeSet<ArtifactIndex> = self.again.excepted.iter().copied().collect();
        // What the second look no longer takes for meant, because what showed it is gone, was kept on the same
        // word.
        if self.purging.excepted.len() > excepted.len() {
            let there = self.there();
            let paths =
                self.purging.excepted.iter().map(|at| self.before.full_path(self.before.artifact(*at)));
            excepted.extend(paths.filter_map(|path| there.get(&path).copied()));
        }
        excepted
    }

    /// Why something that was to go is there.
    fn why_left(
        &self,
        artifact: &Artifact,
        was: Option<(&Artifact, Option<&Outcome>)>,
    ) -> (ExceptionReason, String) {
        // The path alone may be that of a file which somebody wrote after the first one was gone.
        let is_same = |was: &Artifact| was.stamp.inode == artifact.stamp.inode;
        match was {
            Some((_, Some(Outcome::Failed(error)))) => (ExceptionReason::Failed, error.clone()),
            Some((_, Some(Outcome::Skipped(Skip::BecameLive)))) => {
                (ExceptionReason::Live, "Claude Code opened it meanwhile".to_owned())
            }
            Some((_, Some(Outcome::Skipped(Skip::ChangedSincePlan)))) => {
                (ExceptionReason::Changed, "it changed between the plan and the act".to_owned())
            }
            Some((was, None)) if is_same(was) && self.outcomes.stopped.is_some() => {
                (ExceptionReason::Stopped, "the run was stopped before it got there".to_owned())
            }
            Some((was, None)) if is_same(was) => {
                (ExceptionReason::Left, "the second look found it".to_owned())
            }
            _ => (ExceptionReason::WrittenSince, "it was written after the first look".to_owned()),
        }
    }

    fn remaining(&self) -> Vec<Remaining> {
        let mut found: BTreeMap<(RemainingKind, PathBuf), (u64, u64)> = BTreeMap::new();
        let doubtful = self.again.doubts.iter().map(|doubtful| doubtful.artifact);
        let excepted = self.excepted();
        // Nothing is listed twice, as an exception and as a remainder: the sums of a certificate are added up
        // by its readers.
        let is_told: HashSet<ArtifactIndex> = doubtful.chain(excepted.iter().copied()).collect();
        let decided = self.after.artifacts.iter().zip(&self.again.plan.decisions);
        for (at, (artifact, decision)) in decided.enumerate() {
            let at = ArtifactIndex::of(at);
            let Decision::Keep(keep) = decision else { continue };
            let protection = artifact.kind.map(|kind| kind.row().protection);
            let what = match (keep, protection) {
                // The others are exceptions, or listed one by one.
                (Keep::Unrecognised, _) if is_told.contains(&at) => continue,
                (Keep::Unrecognised, _) => RemainingKind::Unrecognised,
                _ if self.after.path(artifact) == Path::new(LOCK) => RemainingKind::Lock,
                (Keep::OutOfScope, _) if self.after.session_of(artifact).is_some() => {
                    RemainingKind::OutsideScope
                }
                (_, Some(Protection::With(Class::Credentials))) => RemainingKind::Credentials,
                (_, Some(Protection::With(Class::Settings))) => RemainingKind::Settings,
                (_, Some(Protection::With(Class::Memory))) => RemainingKind::Memory,
                _ => continue,
            };
            let root = self.after.store(self.after.store_of(artifact)).store.root.clone();
            let (files, bytes) = found.entry((what, root)).or_default();
            *files += 1;
            *bytes += artifact.stamp.size;
        }
        let excepted = unknown::gathered(self.after, excepted.into_iter()).into_iter();
        let excepted = excepted.map(|one| ((RemainingKind::Excepted, one.path), (one.files, one.bytes)));
        found
            .into_iter()
            .chain(excepted)
            .map(|((what, path), (files, bytes))| Remaining { what, path: text(&path), files, bytes })
            .collect()
    }
}
