//! Files: each by what it belongs to.

use std::ffi::OsString;

use super::judge::Judge;
use super::rules::Subject;
use super::{Action, Decision, HoldRef, Keep, Verdict};
use crate::catalogue::{Disposal, Kind, Owner, Protection, Sensitivity};
use crate::inventory::{Artifact, Belongs, Inventory, Oddity};
use crate::policy::Hold;

impl Judge<'_> {
    pub(super) fn artifact(&self, artifact: &Artifact, verdicts: &[Verdict]) -> Decision {
        let store = self.inventory.store_of(artifact);
        if self.inventory.store(store).store.is_excluded {
            return Decision::Keep(Keep::OutOfScope);
        }
        match artifact.oddity {
            Oddity::Link => return Decision::Keep(Keep::Link),
            Oddity::Special | Oddity::Foreign => return Decision::Keep(Keep::Foreign),
            Oddity::OutOfReach => return Decision::Keep(Keep::OutOfReach),
            Oddity::InUse if !self.goes_with_its_session(artifact, verdicts) => {
                return Decision::Keep(Keep::Protected);
            }
            Oddity::InUse => {}
            Oddity::None => {}
        }
        let Some(kind) = artifact.kind else { return Decision::Keep(Keep::Unrecognised) };
        let row = kind.row();
        if kind.is_protected() {
            return Decision::Keep(Keep::Protected);
        }
        // Also for a part of a session of another store, such as its temp folder.
        if self.is_beyond(artifact) {
            return Decision::Keep(Keep::OutOfScope);
        }
        if let Belongs::Session(index) = artifact.belongs {
            let session = self.inventory.session(index);
            let verdict = verdicts.get(index.at()).copied().unwrap_or(Verdict::NONE);
            let decision = self.part(artifact, kind, session, verdict);
            return match decision {
                Decision::Delete(_) if kind == Kind::TeamConfig => self.with_its_messages(artifact, decision),
                decision => decision,
            };
        }
        if self.may_be_of_a_store_out_of_reach(store) {
            return Decision::Keep(Keep::OutOfReach);
        }
        let in_use = if kind == Kind::DaemonFile {
            let mut workers = self.inventory.store(store).workers.iter();
            workers.any(|client| client.is_checked || !self.mandate.is_managed)
        } else {
            self.in_use.get(store.at()).copied().unwrap_or(true)
        };
        if row.protection == Protection::UnlessLive && in_use {
            return Decision::Keep(Keep::Live);
        }
        if row.disposal != Disposal::File && kind != Kind::ConfigBackup {
            // The file itself stays; its lines are decided one by one.
            return Decision::Keep(Keep::NoRule);
        }
        if row.owner == Owner::References {
            return self.paste(artifact, kind);
        }
        if row.owner == Owner::Named {
            return self.log(artifact, kind);
        }
        self.loose(artifact, kind)
    }

    /// The members of a team stay while a message between them does.
    fn with_its_messages(&self, artifact: &Artifact, decision: Decision) -> Decision {
        let messages = self.messages_beside(artifact).iter().map(|message| self.artifact(message, &[]));
        messages.into_iter().find(|message| matches!(message, Decision::Keep(_))).unwrap_or(decision)
    }

    /// Whether a file is one of a background session that is dead and goes, whatever state it says it is in.
    fn goes_with_its_session(&self, artifact: &Artifact, verdicts: &[Verdict]) -> bool {
        let Belongs::Session(index) = artifact.belongs else { return false };
        let goes = verdicts.get(index.at()).is_some_and(|of| matches!(of.decision, Decision::Delete(_)));
        artifact.kind == Some(Kind::Job) && goes
    }

    /// A file of nobody: its own modification time dates it, or the day on which it was first seen.
    pub(super) fn loose(&self, artifact: &Artifact, kind: Kind) -> Decision {
        let modified = artifact.modified();
        let project = self.inventory.project_named(artifact);
        if let Some(held) = self.holds_of_loose(artifact, kind).next() {
            return Decision::Keep(Keep::Held(held));
        }
        if lacks_owner(self.inventory, kind) {
            return Decision::Keep(Keep::OwnerUnknown);
        }
        let date = match self.inventory.dated(artifact) {
            None => return Decision::Keep(Keep::Undated),
            _ if self.is_quiet(modified) => return Decision::Keep(Keep::Quiet),
            Some(date) if date > self.now => return Decision::Keep(Keep::FutureDated),
            Some(date) => date,
        };
        let subject = Subject { kind, project, session: None, is_desktop_deleted: false };
        self.timely(date, self.earliest(&subject, date, Action::Delete))
    }

    /// The holds in force that cover a file of nobody.
    pub(super) fn holds_of_loose(&self, artifact: &Artifact, kind: Kind) -> impl Iterator<Item = HoldRef> {
        let covers = covering_loose(self.inventory, artifact, kind);
        self.holds_in_force()
            .filter(move |held| self.mandate.holds.get(usize::from(held.hold)).is_some_and(&covers))
    }
}

/// Which holds cover a file of nobody: what is asked of the file is asked once, however many they are.
pub(super) fn covering_loose(
    inventory: &Inventory,
    artifact: &Artifact,
    kind: Kind,
) -> impl Fn(&Hold) -> bool {
    let project = inventory.project_named(artifact);
    let is_anyones = may_be_anyones(artifact, kind);
    // Scratch files are of a session that nothing else is left of, so that a hold on a session covers them
    // where their folder may be called after it; one that says nothing may stand for any.
    let digits = (kind == Kind::TempFile).then(|| inventory.scratch_digits(artifact));
    move |hold| {
        let names_some = || hold.selector.sessions.as_ref().is_some_and(|sessions| !sessions.is_empty());
        let may_be_of = |digits: &Option<OsString>| {
            names_some() && digits.as_ref().is_none_or(|digits| hold.selector.names_digits(digits))
        };
        hold.selector.covers(kind, project.into_iter(), is_anyones, None)
            || digits.as_ref().is_some_and(may_be_of)
    }
}

/// Whether a file of nobody may hold any project's content, so that every hold covers it.
pub(super) fn may_be_anyones(artifact: &Artifact, kind: Kind) -> bool {
    // A pointer to a remote session holds none, and is of some project by its place.
    artifact.project.is_none()
        && (kind.row().sensitivity >= Sensitivity::Content || kind == Kind::BridgePointer)
        // What a shell had set is of the user's machine, and no conversation.
        && !matches!(kind, Kind::OwnLeftover | Kind::ShellSnapshot)
}

/// Whether a file of nobody is somebody's all the same: its own content says whose and could not be read, or its
/// session may lie where nothing could be.
pub(super) fn lacks_owner(inventory: &Inventory, kind: Kind) -> bool {
    match kind.row().owner {
        // A pid file without a session is one of an older client.
        Owner::Content => kind != Kind::PidFile,
        // Scratch files are known to be a session's only by what else there is of it.
        Owner::Session => !inventory.is_complete,
        _ => false,
    }
}
