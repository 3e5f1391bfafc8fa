//! Counting what a run does or would do.

use serde::Serialize;

use super::Run;
use crate::enforce::{Effect, Outcome};
use crate::inventory::{Artifact, ArtifactIndex, Oddity, Session};
use crate::plan::{Decision, Keep, Verdict};

/// The counts of a run; in a dry run, of what would happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Files that stay.
    pub kept: u64,
    /// Files that went.
    pub deleted: u64,
    /// Files that were sealed.
    pub sealed: u64,
    /// Files that lost lines.
    pub pruned: u64,
    /// Files that were left alone because they had changed.
    pub skipped: u64,
    /// Files with which something went wrong.
    pub failed: u64,
    /// Files that only rules in audit mode want deleted, sealed or cut; no run acts on them.
    pub audit: u64,
    /// Sessions of which that is so.
    pub audit_sessions: u64,
    /// Lines and entries that went.
    pub pruned_lines: u64,
    /// Bytes that are free now; hard-linked data is not among them.
    pub bytes_freed: u64,
    /// Sessions that stay.
    pub sessions_kept: u64,
    /// Sessions that went.
    pub sessions_deleted: u64,
    /// Sessions that were sealed.
    pub sessions_sealed: u64,
    /// Sessions that went, but for something in their folders.
    pub partly_deleted: u64,
    /// Sessions that the desktop application wrote.
    pub desktop: u64,
    /// Sessions under a hold.
    pub held: u64,
    /// Sessions that are open, or were touched a moment ago.
    pub live: u64,
    /// Files the catalogue does not know.
    pub unrecognised: u64,
    /// Their bytes.
    pub unrecognised_bytes: u64,
    /// Files of other accounts, which are never touched.
    pub foreign: u64,
    /// Files that are gone while their data remain under another name.
    pub data_remains: u64,
    /// Lines that have no date or cannot be read, and so stay.
    pub undated_lines: u64,
    /// Sessions of which records and modification time differ by more than a day.
    pub dates_differ: u64,
}

/// What became, or would become, of one artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept,
    /// It goes.
    Deleted,
    /// It is sealed.
    Sealed,
    /// It loses lines.
    Pruned,
    /// Only rules in audit mode demand anything of it.
    Audited,
    /// It was left alone.
    Skipped,
    /// Something went wrong.
    Failed,
}

impl Fate {
    /// Every one.
    pub(super) const ALL: [Self; 7] =
        [Self::Kept, Self::Deleted, Self::Sealed, Self::Pruned, Self::Audited, Self::Skipped, Self::Failed];
}

impl Run<'_> {
    /// What became of an artifact; `None` for what is none of this run's business.
    #[must_use]
    pub fn fate(&self, at: usize) -> Option<Fate> {
        let decision = self.plan.decisions.get(at)?;
        if let Decision::Keep(Keep::OutOfScope) = decision {
            return None;
        }
        if self.is_audited(*decision) {
            return Some(Fate::Audited);
        }
        let Some(outcomes) = self.outcomes else {
            return Some(match decision {
                Decision::Keep(_) => Fate::Kept,
                Decision::Delete(_) => Fate::Deleted,
                Decision::Seal(_) => Fate::Sealed,
                Decision::Prune(_) => Fate::Pruned,
            });
        };
        Some(match outcomes.of(ArtifactIndex::of(at)) {
            // What was planned and not tried, because the run was stopped, stays.
            None => Fate::Kept,
            Some(Outcome::Done(Effect::Deleted | Effect::DataRemains)) => Fate::Deleted,
            Some(Outcome::Done(Effect::Sealed)) => Fate::Sealed,
            Some(Outcome::Done(Effect::Pruned { .. })) => Fate::Pruned,
            Some(Outcome::Skipped(_)) => Fate::Skipped,
            Some(Outcome::Failed(_)) => Fate::Failed,
        })
    }

    /// Whether only rules in audit mode demand this.
    #[must_use]
    pub fn is_audited(&self, decision: Decision) -> bool {
        decision.due().is_some_and(|due| self.policy.audits(due.rule()))
    }

    /// Lines and bytes that an artifact of lines loses.
    #[must_use]
    pub fn pruned(&self, at: usize) -> (u64, u64) {
        if let Some(outcomes) = self.outcomes {
            return match outcomes.of(ArtifactIndex::of(at)) {
                Some(Outcome::Done(Effect::Pruned { lines, bytes })) => (*lines, *bytes),
                _ => (0, 0),
            };
        }
        if let Some(extent) = &self.plan.purge {
            let file = self.inventory.line_files.iter().position(|file| file.artifact.at() == at);
            let cut = file.and_then(|file| extent.cuts.get(&file));
            return cut.map_or((0, 0), |cut| {
                (cut.count, cut.ranges.iter().map(|range| range.end - range.start).sum())
            });
        }
        let files = self.inventory.line_files.iter().zip(&self.plan.lines);
        files.filter(|(file, _)| file.artifact.at() == at).fold((0, 0), |_, (file, decisions)| {
            // A file that only audits cut shows what they would; one that is cut loses less than that.
            let is_audited = self.plan.decisions.get(at).is_some_and(|whole| self.is_audited(*whole));
            let is_cut = |line: &Decision| line.due().is_some() && self.is_audited(*line) == is_audited;
            let goes = |line: usize| decisions.get(line).is_some_and(is_cut);
            let lines = decisions.iter().filter(|line| is_cut(line)).count() as u64;
            (lines, file.content.cuts(goes).iter().map(|cut| cut.end - cut.start).sum())
        })
    }

    /// The counts of the run.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (at, artifact) in self.inventory.artifacts.iter().enumerate() {
            let Some(fate) = self.fate(at) else { continue };
            self.count(&mut tally, at, artifact, fate);
        }
        for (session, verdict) in self.inventory.sessions.iter().zip(&self.plan.sessions) {
            if !matches!(verdict.decision, Decision::Keep(Keep::OutOfScope)) {
                self.count_session(&mut tally, session, verdict);
            }
        }
        for lines in &self.plan.lines {
            let undated = |decision: &&Decision| matches!(decision, Decision::Keep(Keep::Undated));
            tally.undated_lines += lines.iter().filter(undated).count() as u64;
        }
        tally
    }

    fn count(&self, tally: &mut Tally, at: usize, artifact: &Artifact, fate: Fate) {
        match fate {
            Fate::Kept => tally.kept += 1,
            Fate::Deleted => {
                tally.deleted += 1;
                if artifact.hard_linked {
                    tally.data_remains += 1;
                } else {
                    tally.bytes_freed += artifact.stamp.size;
                }
            }
            Fate::Sealed => tally.sealed += 1,
            Fate::Pruned => {
                let (lines, bytes) = self.pruned(at);
                tally.pruned += 1;
                tally.pruned_lines += lines;
                tally.bytes_freed += bytes;
            }
            Fate::Audited => tally.audit += 1,
            Fate::Skipped => tally.skipped += 1,
            Fate::Failed => tally.failed += 1,
        }
        tally.foreign += u64::from(artifact.oddity == Oddity::Foreign);
        if let Some(Decision::Keep(Keep::Unrecognised)) = self.plan.decisions.get(at) {
            tally.unrecognised += 1;
            tally.unrecognised_bytes += artifact.stamp.size;
        }
    }

    fn count_session(&self, tally: &mut Tally, session: &Session, verdict: &Verdict) {
        let fates = || self.inventory.files(session).iter().filter_map(|index| self.fate(index.at()));
        tally.desktop += u64::from(session.is_desktop);
        if let (Some(record), Some(modified)) = (session.newest_record, session.modified) {
            let apart = modified.signed_duration_since(record).abs();
            tally.dates_differ += u64::from(apart > chrono::TimeDelta::days(1));
        }
        tally.audit_sessions += u64::from(self.is_audited(verdict.decision));
        match verdict.decision {
            Decision::Delete(_) if fates().any(|fate| fate == Fate::Deleted) => {
                tally.sessions_deleted += 1;
                let left = session.unrecognised > 0
                    || self.inventory.misses_parts_of(session)
                    || fates().any(|fate| fate != Fate::Deleted);
                tally.partly_deleted += u64::from(left);
            }
            Decision::Seal(_) if fates().any(|fate| fate == Fate::Sealed) => tally.sessions_sealed += 1,
            decision => {
                tally.sessions_kept += 1;
                tally.held += u64::from(matches!(decision, Decision::Keep(Keep::Held(_))));
                tally.live += u64::from(matches!(decision, Decision::Keep(Keep::Live | Keep::Quiet)));
            }
        }
    }
}
