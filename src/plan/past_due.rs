//! What managed rules have wanted gone, or sealed, for longer than a grace and what keeps it. A plan keeps
//! it in silence, since doubt keeps; but its owner may have made the doubt.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::judge::{Judge, Subject, judges};
use super::{Decision, Keep, References};
use crate::catalogue::{Kind, SessionId};
use crate::inventory::{Artifact, Inventory, Session};
use crate::policy::{Mode, Policy, RuleRef};

/// The reason where a session is in plaintext past the date on which it should have been sealed.
const NOT_SEALED: &str = "not-sealed";
/// The reason where the project of the first record is not that of the folder, and others are stricter.
const OTHER_PROJECT: &str = "other-project";

/// The reason where the last line of a transcript is damaged, and its file new.
const NOT_UNDERSTOOD: &str = "not-understood";
/// The reason where the transcript is gone, and what it left was written to since.
const TOUCHED: &str = "touched";

/// How many sessions are kept past the date of a managed rule, by reason; those of which the plan demands
/// what the rule does are not among them.
#[must_use]
pub fn past_due(
    inventory: &Inventory,
    policy: &Policy,
    now: DateTime<Utc>,
    grace: TimeDelta,
) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    if !policy.is_managed() {
        return counts;
    }
    let references = References::new(inventory);
    let all = judges(inventory, &references, policy, now);
    let enforced = |judge: &&Judge<'_>| judge.mandate.is_managed && judge.mandate.mode.value == Mode::Enforce;
    for judge in all.iter().filter(enforced) {
        let past = PastDue { judge, grace };
        let sessions = inventory.sessions.iter().filter_map(|session| past.session(session));
        let renamed = inventory.artifacts.iter().filter(|artifact| past.is_renamed_transcript(artifact));
        for reason in sessions.chain(renamed.map(|_| Keep::Unrecognised.reason())) {
            *counts.entry(reason).or_default() += 1;
        }
    }
    counts
}

struct PastDue<'a> {
    judge: &'a Judge<'a>,
    grace: TimeDelta,
}

impl PastDue<'_> {
    /// Why a session is still there; `None` where it may be.
    fn session(&self, session: &Session) -> Option<&'static str> {
        let judge = self.judge;
        let decision = judge.session(session).decision;
        let date = judge.date(session).ok().or_else(|| self.fallback(session))?;
        let is_past = |due: Option<(DateTime<Utc>, _)>| {
            due.is_some_and(|(due, _)| judge.now.signed_duration_since(due) > self.grace)
        };
        let goes = judge.latest(session, Kind::Transcript, date, |rule| rule.delete_after.as_ref()).1;
        let sealing = judge.latest(session, Kind::Transcript, date, |rule| rule.seal_after.as_ref()).1;
        let is_unsealed = session.plain > 0 && is_past(sealing);
        match decision {
            // What the plan does is overdue, or not sealed yet, and counted so; what the organisation itself
            // leaves alone is not late.
            Decision::Delete(_) | Decision::Seal(_) | Decision::Prune(_) => None,
            Decision::Keep(Keep::OutOfScope | Keep::KeepAtLeast(_)) => None,
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_) | Keep::NoRule) if is_unsealed => {
                Some(NOT_SEALED)
            }
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_))
                if is_past(self.due_by_records(session)) =>
            {
                Some(if session.before.is_some() { TOUCHED } else { NOT_UNDERSTOOD })
            }
            Decision::Keep(Keep::NotDue(..) | Keep::Unsealable(_) | Keep::NoRule) => {
                let is_stricter = |project: &str| {
                    let subject = Subject {
                        kind: Kind::Transcript,
                        project: Some(project),
                        session: Some(session.id),
                        is_desktop_deleted: session.is_desktop_deleted,
                    };
                    is_past(judge.earliest(&subject, date, |rule| rule.delete_after.as_ref()))
                };
                let others =
                    session.projects.iter().filter(|project| session.project.as_ref() != Some(*project));
                (others.into_iter().any(|project| is_stricter(project)) && !self.lies_in_its_folder(session))
                    .then_some(OTHER_PROJECT)
            }
            Decision::Keep(keep) => (is_past(goes) || is_unsealed).then(|| keep.reason()),
        }
    }

    /// When a session would go by its records alone, where files that were written later are what keeps it: those
    /// it left without its transcript, or one whose last line is damaged. A byte more makes them new.
    fn due_by_records(&self, session: &Session) -> Option<(DateTime<Utc>, RuleRef)> {
        let record = match &session.before {
            Some(before) => before.record,
            None => session.damaged.and(session.newest_record),
        };
        self.judge.latest(session, Kind::Transcript, record?, |rule| rule.delete_after.as_ref()).1
    }

    /// A date for a session that has none that counts: when its files were last written, else when anything
    /// of them was last changed on this disk, which nobody sets back.
    fn fallback(&self, session: &Session) -> Option<DateTime<Utc>> {
        let past = |date: &DateTime<Utc>| *date <= self.judge.now;
        let inventory = self.judge.inventory;
        let changed = || {
            let files = inventory.files(session).iter();
            files.filter_map(|file| inventory.artifact(*file).stamp.changed.date()).max()
        };
        session.modified.filter(past).or_else(|| changed().filter(past))
    }

    /// Whether a transcript lies in the folder that Claude Code makes for the project that rules go by, which
    /// is told by the first record.
    fn lies_in_its_folder(&self, session: &Session) -> bool {
        let inventory = self.judge.inventory;
        let Some(project) = &session.project else { return true };
        let folder: String =
            project.encode_utf16().map(|unit| u8::try_from(unit).map_or('-', encoded)).take(200).collect();
        let transcripts = inventory.files(session).iter().map(|file| inventory.artifact(*file));
        let mut transcripts = transcripts.filter(|file| file.kind == Some(Kind::Transcript) && !file.sealed);
        transcripts.all(|file| {
            let name = inventory.folder_name(inventory.folder(file.folder));
            name.to_str().is_some_and(|name| name.starts_with(&folder))
        })
    }

    /// Whether a file that the catalogue does not know lies where transcripts do, bears the id of a session and
    /// is as old as one that should have gone.
    fn is_renamed_transcript(&self, artifact: &Artifact) -> bool {
        let (judge, inventory) = (self.judge, self.judge.inventory);
        if artifact.kind.is_some()
            || !artifact.is_regular()
            || judge.is_out_of_scope(inventory.store_of(artifact))
        {
            return false;
        }
        let folder = inventory.folder(artifact.folder);
        let above = folder.parent.map(|above| inventory.folder(above));
        let is_of_a_project = above.is_some_and(|above| {
            let top = above.parent.map(|root| inventory.folder(root));
            top.is_some_and(|root| root.parent.is_none()) && inventory.folder_name(above) == "projects"
        });
        let name = inventory.name(artifact).as_encoded_bytes();
        if !is_of_a_project || !name.windows(36).any(|part| SessionId::from_bytes(part).is_some()) {
            return false;
        }
        let past = |date: &DateTime<Utc>| *date <= judge.now;
        let dates = [artifact.stamp.modified.date(), artifact.stamp.changed.date()];
        let subject =
            Subject { kind: Kind::Transcript, project: None, session: None, is_desktop_deleted: false };
        let date = dates.into_iter().flatten().find(past);
        let due = date.and_then(|date| judge.earliest(&subject, date, |rule| rule.delete_after.as_ref()));
        due.is_some_and(|(due, _)| judge.now.signed_duration_since(due) > self.grace)
    }
}

/// A unit of a project's path as Claude Code writes it into the name of a folder.
fn encoded(unit: u8) -> char {
    if unit.is_ascii_alphanumeric() { char::from(unit) } else { '-' }
}
