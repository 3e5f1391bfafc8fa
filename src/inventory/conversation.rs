//! One conversation, as all that is left of it tells.

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use super::index::StoreIndex;
use super::liveness::Liveness;
use super::memory::Before;
use super::part::FEW;
use super::sealing::Sealing;
use super::transcript::{Later, Projects};
use crate::catalogue::{SessionId, Slug, Version};
use crate::client::Release;
use crate::seal::manifest::DatedBy;

/// How it is known that something is a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// A transcript, or several of one id.
    Transcript,
    /// A sealed copy alone.
    Sealed,
    /// No transcript and no sealed copy in any known store, all of which were read completely.
    Orphaned,
    /// No transcript was found, but not everything could be read.
    Unknown,
}

/// One conversation: the transcript and every file that belongs to it.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    pub store: StoreIndex,
    /// How it is known.
    pub evidence: Evidence,
    /// The project by which rules go: that of the first record that has one, of its newest copy.
    pub project: Option<Arc<str>>,
    /// The projects of copies that are as new as the one that told `project`.
    pub rivals: Projects,
    /// Whether a copy that is as new as the one that told `project` may be of another, which nobody read.
    pub project_in_doubt: bool,
    /// Whether a transcript or the record of a sealed one told `project`.
    pub is_told: bool,
    /// Every project path found, which holds go by.
    pub projects: Projects,
    /// Whether of any copy the first project was not read, so that holds may mean one that is not among them.
    pub lacks_projects: bool,
    /// The slugs that its records name, by which plans are its own.
    pub slugs: Box<[Slug]>,
    /// Which states of its transcripts those are from, a digest each.
    pub slugs_of: Box<[u64]>,
    /// The newest record timestamp not later than the inventory.
    pub newest_record: Option<DateTime<Utc>>,
    /// Record timestamps that are later than the inventory.
    pub later: Later,
    /// The newest record of the oldest of its transcripts and subagents whose records name another session.
    pub stranger: Option<DateTime<Utc>>,
    /// The newest modification time of its transcripts; of its files where it is orphaned.
    pub modified: Option<DateTime<Utc>>,
    /// The newest modification time, not later than the inventory, of a transcript or subagent of
    /// which the newest record may be lost ([`super::transcript::Facts::is_damaged`]).
    pub damaged: Option<DateTime<Utc>>,
    /// When a run first saw it, where it has no date.
    pub first_seen: Option<DateTime<Utc>>,
    /// The newest moment, not later than the inventory, at which any of its files was modified or a
    /// client of it started.
    pub touched: Option<DateTime<Utc>>,
    /// The first such moment that is later than the inventory; it hides none that is not.
    pub touched_ahead: Option<DateTime<Utc>>,
    /// What dated its transcript when an earlier run saw it, where none is found now.
    pub before: Option<Box<Before>>,
    /// The newest modification time of its files before a run removed some, where it is orphaned.
    pub files_before: Option<DateTime<Utc>>,
    /// The same session without what is remembered of it, where that is a user's word and differs.
    pub found: Option<Box<Session>>,
    /// Whether a client has it open.
    pub liveness: Liveness,
    /// The same by what can be checked, which is all that managed rules go by.
    pub checked: Liveness,
    /// Whether a transcript of it could not be read, so that its date is not known.
    pub is_unreadable: bool,
    /// Whether a transcript of it belongs to another account, which is why it was not read.
    pub is_foreign: bool,
    /// Whether the desktop application wrote it.
    pub is_desktop: bool,
    /// Whether its user deleted it in the desktop application.
    pub is_desktop_deleted: bool,
    /// What the desktop application said when it let go of it.
    pub released: Option<Release>,
    /// The newest version of Claude Code that wrote it, where the catalogue was not tried with that.
    pub untried: Option<Version>,
    /// Its files, by their places in [`super::Inventory::grouped`]; [`super::Inventory::files`] gives them.
    pub files: Range<u32>,
    /// Whether a record of its sealed files could be read.
    pub has_record: bool,
    /// Whether its transcript, plain or sealed, is or was in its store, by which whatever lies in its own
    /// folder there is its own.
    pub has_transcript: bool,
    /// What that record claims, and what was known before.
    pub sealing: Option<Box<Sealing>>,
    /// The projects that rules went by at earlier runs, where they are others than now.
    pub earlier: Projects,
    /// Whether a transcript of it holds what was said, and not only notes about a conversation.
    pub talks: bool,
    /// How many of its files could be sealed and are not.
    pub plain: u32,
    /// How many of its files cannot be sealed, so that none is.
    pub unsealable: u32,
    /// How many of its files are sealed.
    pub sealed: u32,
    /// When it was last unsealed, as far as is remembered; it counts as touched then.
    pub unsealed: Option<DateTime<Utc>>,
    /// How many names the catalogue does not hold lie in its own folders.
    pub unrecognised: u32,
}

impl Session {
    pub(super) fn soonest(&self, release: Release) -> Release {
        self.released.map_or(release, |known| known.sooner(release))
    }

    /// Whether a transcript or a sealed copy shows that there is such a session.
    pub fn is_shown(&self) -> bool {
        matches!(self.evidence, Evidence::Transcript | Evidence::Sealed)
    }

    /// Takes projects for such that rules may go by; the first by name is the one that is shown.
    pub(super) fn may_be_of<'p>(&mut self, projects: impl Iterator<Item = &'p Arc<str>>) {
        let mut all: SmallVec<[Arc<str>; 1]> = self.rule_projects().cloned().collect();
        all.extend(projects.cloned());
        all.sort_unstable();
        all.dedup();
        let mut all = all.into_iter();
        self.project = all.next();
        // Mostly there is one, and an empty list of its own would be an allocation.
        if all.len() > 0 {
            self.rivals = all.collect();
        }
    }

    /// Takes note of a moment at which something of it was touched.
    pub(super) fn touch(&mut self, moment: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        match moment {
            Some(ahead) if ahead > now => {
                self.touched_ahead = Some(self.touched_ahead.map_or(ahead, |known| known.min(ahead)));
            }
            moment => self.touched = self.touched.max(moment),
        }
    }

    /// Its last activity by its records, or by its files where no record is dated, whatever a policy prefers.
    pub fn activity(&self) -> Option<(DateTime<Utc>, DatedBy)> {
        // A damaged end may have been the newest record, so it counts with either.
        let (date, by) = self.said_of_activity();
        Some((date.or(self.first_seen)?, by))
    }

    /// Whether neither a record nor a file dates it.
    pub(super) fn is_undated(&self) -> bool {
        self.said_of_activity().0.is_none()
    }

    fn said_of_activity(&self) -> (Option<DateTime<Utc>>, DatedBy) {
        match self.newest_record {
            Some(record) if self.evidence != Evidence::Orphaned => {
                (Some(record).max(self.damaged), DatedBy::Record)
            }
            // A transcript that is out of sight still dates them.
            _ if self.before.is_some() => {
                let before = self.before.as_deref().and_then(|before| before.record.or(before.modified));
                (self.modified.max(before), DatedBy::Mtime)
            }
            _ => (self.modified.max(self.damaged), DatedBy::Mtime),
        }
    }

    /// Learns of slugs that records name.
    pub(super) fn learn_slugs(&mut self, slugs: &[Slug]) {
        if slugs.iter().all(|slug| self.slugs.contains(slug)) {
            return;
        }
        let mut all: Vec<Slug> = self.slugs.iter().chain(slugs).copied().collect();
        all.sort_unstable();
        all.dedup();
        self.slugs = all.into();
    }

    /// Puts the projects in an order that no thread decides.
    pub(super) fn sort_projects(&mut self) {
        if !self.projects.is_sorted() {
            let mut sorted = self.projects.to_vec();
            sorted.sort_unstable();
            self.projects = sorted.into();
        }
    }

    /// Learns of projects; mostly they are those it knows.
    pub(super) fn learn_all(&mut self, projects: &Projects) {
        if self.projects.is_empty() {
            self.projects = Arc::clone(projects);
            return;
        }
        if projects.len() > FEW {
            let known: FxHashSet<&Arc<str>> = self.projects.iter().collect();
            let new: FxHashSet<_> = projects.iter().filter(|project| !known.contains(project)).collect();
            self.projects = self.projects.iter().chain(new).cloned().collect();
            return;
        }
        let new = projects.iter().filter(|project| !self.projects.contains(project));
        if new.clone().next().is_some() {
            let new: Vec<_> = new.cloned().collect();
            self.projects = self.projects.iter().cloned().chain(new).collect();
        }
    }

    /// Whether a transcript of it, plain or sealed, is there; else it is satellites alone.
    pub fn is_conversation(&self) -> bool {
        self.evidence == Evidence::Transcript || self.is_shown() && self.has_transcript
    }

    /// Whether it may have to do with any project, so that every hold on projects covers it.
    pub fn may_be_of_any_project(&self) -> bool {
        self.projects.is_empty() || self.is_unreadable || self.lacks_projects
    }

    /// The same projects as rules match them: `None` matches no rule for projects.
    pub fn matched_projects(&self) -> impl Iterator<Item = Option<&str>> {
        let in_doubt = self.project_in_doubt && self.project.is_some();
        let rivals = self.rivals.iter().map(|project| Some(&**project));
        std::iter::once(self.project.as_deref()).chain(rivals).chain(in_doubt.then_some(None))
    }

    /// The projects by which rules may go: one, or those of copies that are equally new.
    pub fn rule_projects(&self) -> impl Iterator<Item = &Arc<str>> {
        self.project.iter().chain(self.rivals.iter())
    }
}
