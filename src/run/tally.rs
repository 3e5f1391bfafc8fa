//! Counting what a run does or would do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Run;
use crate::catalogue::Kind;
use crate::enforce::{Effect, Outcome, Skip};
use crate::inventory::{Artifact, ArtifactIndex, Oddity, Session};
use crate::plan::{Decision, Keep, Verdict};

/// The counts of a run; in a dry run, of what would happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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
    /// Bytes of the disk that are free now; what has another name is not among them.
    pub bytes_freed: u64,
    /// Sessions that stay.
    pub sessions_kept: u64,
    /// Sessions that went.
    pub sessions_deleted: u64,
    /// Sessions that were sealed.
    pub sessions_sealed: u64,
    /// Sessions that went, but for something in their folders.
    pub partly_deleted: u64,
    /// Those of them of which something could not be removed.
    #[serde(skip)]
    pub partly_failed: u64,
    /// Sessions that the desktop application wrote.
    pub desktop: u64,
    /// Sessions under a hold.
    pub held: u64,
    /// Sessions that are open, or were touched a moment ago.
    pub live: u64,
    /// Sessions that stay plain because a file of theirs cannot be sealed.
    pub unsealable: u64,
    /// Files the catalogue does not know.
    pub unrecognised: u64,
    /// Their bytes.
    pub unrecognised_bytes: u64,
    /// Files of other accounts, which are never touched.
    pub foreign: u64,
    /// Files that were deleted, or lost lines, while their data remain under another name.
    pub data_remains: u64,
    /// Lines that have no date or cannot be read, and so stay.
    pub undated_lines: u64,
    /// Sessions of which records and modification time differ by more than a day.
    pub dates_differ: u64,
}

impl Tally {
    /// The same of a run that did nothing.
    pub fn without_acts(self) -> Self {
        Self {
            deleted: 0,
            sealed: 0,
            pruned: 0,
            pruned_lines: 0,
            bytes_freed: 0,
            sessions_deleted: 0,
            sessions_sealed: 0,
            partly_deleted: 0,
            partly_failed: 0,
            data_remains: 0,
            ..self
        }
    }
}

/// The usual block of a file system, for what pruning would free.
const BLOCK: u64 = 4096;

/// How many names of a file go, by device and inode.
pub type NamesGoing = BTreeMap<(u64, u64), u32>;

/// What became, or would become, of one artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept,
    /// It goes.
    Deleted,
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
    #[cfg(unix)]
    pub const ALL: [Self; 7] =
        [Self::Kept, Self::Deleted, Self::Sealed, Self::Pruned, Self::Audited, Self::Skipped, Self::Failed];
}

impl Run<'_> {
    /// What became of an artifact; `None` for what is none of this run's business.
    pub fn fate(&self, at: usize) -> Option<Fate> {
        let decision = self.plan.decisions.get(at)?;
        // Those were only read, so that shared files are understood; to count them would be to report on
        // another store.
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
    pub fn is_audited(&self, decision: Decision) -> bool {
        decision.due().is_some_and(|due| self.policy.audits(due.rule()))
    }

    /// Lines and bytes that an artifact of lines loses.
    pub fn pruned(&self, at: usize) -> (u64, u64) {
        if let Some(outcomes) = self.outcomes {
            return match outcomes.of(ArtifactIndex::of(at)) {
                Some(Outcome::Done(Effect::Pruned { lines, bytes, .. })) => (*lines, *bytes),
                _ => (0, 0),
            };
        }
        if let Some(extent) = &self.plan.purge {
            return extent.left_out_of(self.inventory, at);
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

    /// How many names of each file are to go, of files that have several.
    pub fn names_going(&self) -> NamesGoing {
        let mut names = NamesGoing::new();
        for (at, artifact) in self.inventory.artifacts.iter().enumerate() {
            if artifact.hard_linked && self.fate(at) == Some(Fate::Deleted) {
                *names.entry((artifact.stamp.device, artifact.stamp.inode)).or_default() += 1;
            }
        }
        names
    }

    /// Whether the data of an artifact that goes, or of what it loses, remain under another name.
    pub fn data_remains(&self, at: usize, going: &NamesGoing) -> bool {
        let Some(artifact) = self.inventory.artifacts.get(at).filter(|artifact| artifact.hard_linked) else {
            return false;
        };
        match self.fate(at) {
            Some(Fate::Pruned) => true,
            Some(Fate::Deleted) => match self.outcomes {
                Some(outcomes) => {
                    outcomes.of(ArtifactIndex::of(at)) == Some(&Outcome::Done(Effect::DataRemains))
                }
                None => {
                    let file = (artifact.stamp.device, artifact.stamp.inode);
                    // Only if every name goes do the data go: a name outside of the stores keeps them.
                    going.get(&file) != Some(&artifact.links)
                }
            },
            _ => false,
        }
    }

    /// How many bytes of the disk are free by each artifact, or would be.
    pub fn freed(&self) -> Vec<u64> {
        self.freed_where(&self.names_going())
    }

    fn freed_where(&self, going: &NamesGoing) -> Vec<u64> {
        if let Some(outcomes) = self.outcomes {
            return outcomes.freed(self.inventory);
        }
        let would_free = |(at, artifact): (usize, &Artifact)| match self.fate(at) {
            Some(fate) if !artifact.is_own() => {
                self.would_free(at, artifact, fate, self.data_remains(at, going))
            }
            _ => 0,
        };
        self.inventory.artifacts.iter().enumerate().map(would_free).collect()
    }

    /// How many bytes of the disk a dry run would free.
    fn would_free(&self, at: usize, artifact: &Artifact, fate: Fate, remains: bool) -> u64 {
        match fate {
            _ if remains => 0,
            // Each of its names has its share.
            Fate::Deleted => artifact.allocated / u64::from(artifact.links.max(1)),
            Fate::Pruned => {
                let left = artifact.stamp.size.saturating_sub(self.pruned(at).1);
                artifact.allocated.saturating_sub(left.next_multiple_of(BLOCK))
            }
            _ => 0,
        }
    }

    /// The counts of the run.
    pub fn tally(&self) -> Tally {
        *self.tally.get_or_init(|| self.counts())
    }

    fn counts(&self) -> Tally {
        let going = self.names_going();
        let mut tally = Tally { bytes_freed: self.freed_where(&going).iter().sum(), ..Tally::default() };
        for (at, artifact) in self.inventory.artifacts.iter().enumerate() {
            let Some(fate) = self.fate(at) else { continue };
            // What is wrong with a file of our own is told, and nothing else of it.
            if !artifact.is_own() {
                self.count(&mut tally, at, fate, self.data_remains(at, &going));
            } else if fate == Fate::Failed {
                tally.failed += 1;
            }
        }
        for (session, verdict) in self.sessions() {
            self.count_session(&mut tally, session, verdict);
        }
        for lines in &self.plan.lines {
            let undated = |decision: &&Decision| matches!(decision, Decision::Keep(Keep::Undated));
            tally.undated_lines += lines.iter().filter(undated).count() as u64;
        }
        tally
    }

    fn count(&self, tally: &mut Tally, at: usize, fate: Fate, remains: bool) {
        let artifact = self.inventory.artifact(ArtifactIndex::of(at));
        match fate {
            Fate::Kept => tally.kept += 1,
            Fate::Deleted => tally.deleted += 1,
            Fate::Sealed => tally.sealed += 1,
            Fate::Pruned => {
                tally.pruned += 1;
                tally.pruned_lines += self.pruned(at).0;
            }
            Fate::Audited => tally.audit += 1,
            Fate::Skipped => tally.skipped += 1,
            Fate::Failed => tally.failed += 1,
        }
        tally.foreign += u64::from(artifact.oddity == Oddity::Foreign);
        tally.data_remains += u64::from(remains);
        if let Some(Decision::Keep(Keep::Unrecognised)) = self.plan.decisions.get(at) {
            tally.unrecognised += 1;
            tally.unrecognised_bytes += artifact.stamp.size;
        }
    }

    fn count_session(&self, tally: &mut Tally, session: &Session, verdict: &Verdict) {
        tally.desktop += u64::from(session.is_desktop);
        if let (Some(record), Some(modified)) = (session.newest_record, session.modified) {
            let apart = modified.signed_duration_since(record).abs();
            tally.dates_differ += u64::from(apart > chrono::TimeDelta::days(1));
        }
        tally.audit_sessions += u64::from(self.is_audited(verdict.decision));
        match verdict.decision {
            Decision::Delete(_) if self.conversation_goes(session) => {
                tally.sessions_deleted += 1;
                let left = self.leaves_files(session);
                let passed_over = session.unrecognised > 0 || self.inventory.misses_parts_of(session);
                tally.partly_deleted += u64::from(left || passed_over);
                tally.partly_failed += u64::from(left);
            }
            Decision::Seal(_) if self.is_sealed_whole(session) => tally.sessions_sealed += 1,
            decision => {
                tally.sessions_kept += 1;
                tally.held += u64::from(matches!(decision, Decision::Keep(Keep::Held(_))));
                tally.live += u64::from(matches!(decision, Decision::Keep(Keep::Live | Keep::Quiet)));
                tally.unsealable += u64::from(matches!(decision, Decision::Keep(Keep::Unsealable(_))));
            }
        }
    }

    /// Whether what was decided about a whole session was done.
    pub fn is_done(&self, session: &Session, verdict: &Verdict) -> bool {
        match verdict.decision {
            // What a rule in audit mode demands is shown as if it were done.
            decision if self.is_audited(decision) => true,
            Decision::Delete(_) => self.conversation_goes(session),
            Decision::Seal(_) => self.is_sealed_whole(session),
            decision => decision.due().is_some(),
        }
    }

    /// What became of each file of a session that is not our own.
    fn fates(&self, session: &Session) -> impl Iterator<Item = (&Artifact, Fate)> {
        let files = self.inventory.files(session).iter();
        let with_fate =
            files.filter_map(|index| Some((self.inventory.artifact(*index), self.fate(index.at())?)));
        with_fate.filter(|(artifact, _)| !artifact.is_own())
    }

    /// Whether a session that is to go has gone: one of which a transcript is left has not.
    pub fn conversation_goes(&self, session: &Session) -> bool {
        match self.outcomes {
            Some(outcomes) => outcomes.conversation_gone(self.inventory, session),
            None => {
                let mut fates = self.fates(session);
                // Of a session that only an audit would take, rules for single kinds may delete the rest.
                let stays = |(artifact, fate): (&Artifact, Fate)| {
                    artifact.kind == Some(Kind::Transcript) && fate != Fate::Deleted
                };
                self.fates(session).any(|(_, fate)| fate == Fate::Deleted) && !fates.any(stays)
            }
        }
    }

    /// Whether a file of a session that went is still there.
    fn leaves_files(&self, session: &Session) -> bool {
        let vanished = |index: ArtifactIndex| {
            let outcome = self.outcomes.and_then(|outcomes| outcomes.of(index));
            outcome == Some(&Outcome::Skipped(Skip::Vanished))
        };
        let files = self.inventory.files(session).iter();
        files.filter(|index| !vanished(**index)).any(|index| {
            let is_left = self.fate(index.at()).is_some_and(|fate| fate != Fate::Deleted);
            is_left && !self.inventory.artifact(*index).is_own()
        })
    }

    /// Whether no transcript of a session is left in plaintext.
    fn is_sealed_whole(&self, session: &Session) -> bool {
        let mut fates = self.fates(session);
        let is_plain = |(artifact, fate): &(&Artifact, Fate)| {
            artifact.kind == Some(Kind::Transcript) && !artifact.sealed && *fate != Fate::Sealed
        };
        self.fates(session).any(|(_, fate)| fate == Fate::Sealed) && !fates.any(|each| is_plain(&each))
    }
}
