//! How a decision comes about: every rule that was considered, holds, floors, life.
//!
//! Nothing is decided here: the judges of a plan tell what they decide, and what they go by when they do.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::Keep;
use super::artifacts::lacks_owner;
use super::judge::Judge;
use super::logs::Term;
use super::rules::{Action, Considered, Standing, Subject};
use crate::catalogue::{Kind, Owner};
use crate::inventory::{Artifact, ArtifactIndex, Belongs, Log, Session, SessionIndex};
use crate::policy::{HoldRef, Policy, RuleRef};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A session as a whole.
    Session(SessionIndex),
    /// One file.
    Artifact(ArtifactIndex),
}

/// What one mandate has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The mandate's position in the policy.
    pub mandate: usize,
    /// The date that counts, or why there is none.
    pub date: Result<DateTime<Utc>, Keep>,
    /// Every rule with an action, layer by layer.
    pub rules: Vec<Considered>,
    /// The holds in force that cover it.
    pub holds: Vec<HoldRef>,
    /// Until when it is quiet; may be past.
    pub quiet_until: Option<DateTime<Utc>>,
    /// Until when `keepAtLeast` keeps it; may be past.
    pub floor: Option<DateTime<Utc>>,
}

/// What is not sealed by itself.
const NOTHING: (&[Subject<'_>], Option<DateTime<Utc>>) = (&[], None);

/// Whether any rule of a policy deletes a session sooner or later.
pub fn has_delete_rule(policy: &Policy, session: &Session) -> bool {
    policy.mandates.iter().any(|mandate| {
        let rules = mandate.layers.iter().flat_map(|layer| &layer.rules);
        let deletes = |project: Option<&str>| {
            let mut rules = rules.clone().filter(|rule| rule.delete_after.is_some());
            let subject = Subject {
                kind: Kind::Transcript,
                project,
                session: Some(session.id),
                is_desktop_deleted: session.is_desktop_deleted,
            };
            rules.any(|rule| subject.is_selected_by(rule))
        };
        session.matched_projects().all(deletes)
    })
}

/// The rule that decides over an action, of those that were considered: the first that comes to be due. One that only
/// reports decides nothing while another acts.
pub fn deciding(opinions: &[Opinion], action: Action, policy: &Policy) -> Option<RuleRef> {
    let rules = opinions.iter().flat_map(|opinion| &opinion.rules);
    let applying = rules.filter(|rule| rule.action == action && rule.standing == Standing::Applies);
    let due = applying.filter_map(|rule| Some((policy.audits(rule.rule), rule.due?, rule.rule)));
    due.min().map(|(.., rule)| rule)
}

impl Judge<'_> {
    /// What it goes by where it decides about something.
    pub(super) fn opinion(&self, what: What) -> Opinion {
        match what {
            What::Session(index) => self.of_unit(self.inventory.session(index), None),
            What::Artifact(index) => {
                let artifact = self.inventory.artifact(index);
                match self.inventory.session_of(artifact) {
                    Some(session) => self.of_unit(session, Some(artifact)),
                    None => self.of_file(artifact),
                }
            }
        }
    }

    /// A session, or a file of one: its own kind may have a rule, else it goes with the session.
    fn of_unit(&self, session: &Session, artifact: Option<&Artifact>) -> Opinion {
        let session = self.view(session);
        let date = self.date(session);
        let subject = |kind, action| self.latest(session, kind, date.unwrap_or(self.now), action).0;
        let deleting = |kind| subject(kind, Action::Delete);
        let own = artifact
            .and_then(|artifact| artifact.kind)
            .filter(|kind| !matches!(kind, Kind::Transcript | Kind::SealedRecord));
        let mut subjects = vec![deleting(Kind::Transcript)];
        subjects.extend(own.map(deleting));
        let kind = own.unwrap_or(Kind::Transcript);
        // As the plan has it: what was unsealed rests before it is sealed again.
        let rested = date.ok().map(|date| self.rested(session, kind, date));
        let sealing = (&[subject(kind, Action::Seal)][..], rested);
        let mut holds: Vec<HoldRef> = self.holds_of(session, Kind::Transcript).collect();
        holds.extend(own.into_iter().flat_map(|kind| self.holds_of(session, kind)));
        holds.sort_by_key(|hold| hold.hold);
        holds.dedup();
        self.said(date, &self.touches(session), &subjects, sealing, holds)
    }

    /// A file of nobody, or one that history lines refer to.
    fn of_file(&self, artifact: &Artifact) -> Opinion {
        let Some(kind) = artifact.kind else {
            return self.said(Err(Keep::Unrecognised), &[], &[], NOTHING, Vec::new());
        };
        debug_assert!(artifact.belongs == Belongs::Loose);
        let modified = artifact.modified();
        let is_paste = kind.row().owner == Owner::References;
        let owners = if is_paste { self.owners(artifact) } else { Ok(Cow::default()) };
        let store = self.inventory.store_of(artifact);
        // What would decide if nothing held or used it: that is told besides.
        let lines = owners.clone().unwrap_or_default();
        let term = self.term(&lines, kind, store, |_, _| None);
        if let Some(log) = self.inventory.logs.get(&artifact.key()) {
            return self.of_log(artifact, kind, log);
        }
        let Some(term) = term else {
            let project = self.inventory.project_named(artifact);
            let holds = match owners {
                Ok(_) => self.holds_of_loose(artifact, kind).collect(),
                // Of an owner that nobody knows any hold may be.
                Err(_) => self.holds_in_force().collect(),
            };
            let date = match (owners, self.inventory.dated(artifact)) {
                (Err(keep), _) => Err(keep),
                _ if lacks_owner(self.inventory, kind) => Err(Keep::OwnerUnknown),
                (_, None) => Err(Keep::Undated),
                (_, Some(date)) if date > self.now => Err(Keep::FutureDated),
                (_, Some(date)) => Ok(date),
            };
            let subject = Subject { kind, project, session: None, is_desktop_deleted: false };
            return self.said(date, &[modified], &[subject], NOTHING, holds);
        };
        let (mut touched, mut holds) = (vec![modified], Vec::new());
        for line in &*lines {
            let session = self.known_to(line, store).map(|known| known.session);
            touched.extend(session.into_iter().flat_map(|session| self.touches(session)));
            holds.extend(self.holds_of_line(line, kind, session));
        }
        holds.sort_by_key(|hold| hold.hold);
        holds.dedup();
        let line = term.line;
        let session = self.known_to(line, store).map(|known| known.session);
        let date = term.date.unwrap_or(self.now);
        let subjects = [self.of_line(line, kind, session, date).0, self.of_owner(line, session, date).0];
        let mut opinion = self.said(term.date, &touched, &subjects, NOTHING, holds);
        // From the newest of all lines, which need not be the one that decides.
        opinion.floor = term.newest.and_then(|newest| self.floor_end(newest));
        opinion
    }

    /// A log: its own date, or that of the last session it names.
    fn of_log(&self, artifact: &Artifact, kind: Kind, log: &Log) -> Opinion {
        let mut holds: Vec<HoldRef> = self.holds_of_log(artifact, log, kind).collect();
        holds.sort_by_key(|hold| hold.hold);
        holds.dedup();
        let date = self.date_of_log(artifact, log);
        let subject = self.subject_of_log(artifact, kind);
        let of_sessions = self.named(artifact).flat_map(|session| self.touches(session));
        let touched: Vec<_> = of_sessions.chain([artifact.modified()]).collect();
        let mut opinion = self.said(date, &touched, &[subject], NOTHING, holds);
        let term = date.ok().and_then(|date| self.term_of_log(artifact, log, kind, date));
        if let Some(Term { newest, .. }) = term {
            opinion.floor = self.floor_end(newest);
        }
        if let Some(Term { due: (due, rule), .. }) = self.last_owner(artifact, log) {
            let standing = Standing::Applies;
            opinion.rules.push(Considered { rule, action: Action::Delete, standing, due: Some(due) });
        }
        opinion
    }

    fn said(
        &self,
        date: Result<DateTime<Utc>, Keep>,
        touched: &[Option<DateTime<Utc>>],
        deleting: &[Subject<'_>],
        (sealing, rested): (&[Subject<'_>], Option<DateTime<Utc>>),
        holds: Vec<HoldRef>,
    ) -> Opinion {
        let of_layer = |layer| {
            let mut rules = self.considered(layer, deleting, date.ok(), Action::Delete);
            rules.extend(self.considered(layer, sealing, rested, Action::Seal));
            rules
        };
        Opinion {
            mandate: usize::from(self.index),
            date,
            rules: (0..self.mandate.layers.len()).flat_map(of_layer).collect(),
            holds,
            quiet_until: touched.iter().filter_map(|touched| self.quiet_until(*touched)).max(),
            floor: date.ok().and_then(|date| self.floor_end(date)),
        }
    }
}
