//! Transcripts where none belong: under a name that the catalogue does not know, among what no age removes,
//! or among the files of a session that is in use. A plan never touches them, and whoever puts them there keeps them for ever.
//!
//! Only their ends are read, and only whether they have the form of Claude Code's records; what anybody
//! else keeps there, examples of a skill say, has not.

use std::io;

use chrono::{DateTime, Utc};

use crate::catalogue::Kind;
use crate::dir::Dir;
use crate::inventory::{Artifact, ArtifactIndex, FolderIndex, Inventory, Oddity, transcript};
use crate::plan::{Decision, Keep, Parked, Plan};

/// No record is shorter, in bytes.
const SHORTEST: u64 = 64;
/// More files are not looked into, but counted as if they held a transcript: only who hides one has so many.
const MOST_FILES: u32 = 200_000;
/// The same of the folders on the way to them, each of which is entered from the root of its store.
const MOST_STEPS: u32 = 4_000_000;

/// Looks for them in what a plan keeps.
pub fn look(inventory: &Inventory, plan: &Plan, now: DateTime<Utc>) -> Vec<Parked> {
    let mut looker = Looker { inventory, depths: inventory.depths(), last: None, files: 0, steps: 0 };
    let mut found = Vec::new();
    for (at, (artifact, decision)) in inventory.artifacts.iter().zip(&plan.decisions).enumerate() {
        // One that is there is the owner of its own records.
        let owner = inventory.session_of(artifact).filter(|session| session.is_shown());
        // Without a transcript the files of a session are dated by themselves, so that a touch keeps them.
        let is_left = owner.is_none() || artifact.kind.is_some_and(never_holds_records);
        if !is_left || !may_hide(artifact, *decision) {
            continue;
        }
        let index = ArtifactIndex::of(at);
        // Not passed over: else two hundred thousand small files would be the way to hide one.
        if looker.is_spent() {
            found.push(Parked { artifact: index, date: None, project: None });
        } else if let Ok(Some(facts)) = looker.read(artifact, now)
            && owner.is_none_or(|owner| facts.session != Some(owner.id))
        {
            let project = facts.project().map(|project| project.to_string());
            found.push(Parked { artifact: index, date: facts.newest, project });
        }
    }
    found
}

/// Whether a file may hide a transcript: one that stays, of which not every line is read anyway, and that holds no
/// credentials, which are nobody's to read.
fn may_hide(artifact: &Artifact, decision: Decision) -> bool {
    let is_regular = artifact.is_regular() && matches!(artifact.oddity, Oddity::None | Oddity::InUse);
    let is_elsewhere = matches!(decision, Decision::Keep(Keep::OutOfScope | Keep::OutOfReach));
    let is_kept = matches!(decision, Decision::Keep(_)) && !is_elsewhere;
    // Each line of the history is dated and decided on by itself, so nothing can hide there.
    let is_read = matches!(artifact.kind, Some(Kind::Credentials | Kind::History));
    is_regular && is_kept && !is_read && artifact.stamp.size >= SHORTEST
}

/// Whether Claude Code writes no records of another session into a session's files of this kind.
fn never_holds_records(kind: Kind) -> bool {
    // What it keeps for a session, output of its tools or files that it changed, may be a transcript that was
    // looked at.
    matches!(
        kind,
        Kind::SessionFile
            | Kind::SessionSide
            | Kind::SubagentMeta
            | Kind::Image
            | Kind::SessionEnv
            | Kind::Task
            | Kind::Todo
            | Kind::DevMod
            | Kind::DebugLog
            | Kind::UsageSummary
    )
}

struct Looker<'a> {
    inventory: &'a Inventory,
    depths: Vec<u32>,
    /// The folder opened last, which is mostly that of the next file too.
    last: Option<(FolderIndex, Dir)>,
    files: u32,
    steps: u32,
}

impl Looker<'_> {
    fn is_spent(&self) -> bool {
        self.files > MOST_FILES || self.steps > MOST_STEPS
    }

    fn read(&mut self, artifact: &Artifact, now: DateTime<Utc>) -> io::Result<Option<transcript::Facts>> {
        self.files += 1;
        if self.last.as_ref().is_none_or(|(folder, _)| *folder != artifact.folder) {
            self.steps = self.steps.saturating_add(self.depths[artifact.folder.at()]);
            self.last = Some((artifact.folder, self.inventory.open(artifact.folder)?));
        }
        let Some((_, folder)) = &self.last else { return Ok(None) };
        let file = folder.read(self.inventory.name(artifact))?;
        transcript::if_it_is_one(&file, artifact.stamp.size, now)
    }
}
