//! How a decision comes about: every rule that was considered, holds, floors, life.
//!
//! Nothing is decided here; what the judges of a plan go by is asked of them and listed.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::artifacts::lacks_owner;
use super::judge::{Judge, Subject, judges};
use super::logs::Term;
use super::{Keep, References};
use crate::catalogue::{Kind, Owner};
use crate::inventory::{Artifact, ArtifactIndex, Belongs, Inventory, Log, Session, SessionIndex};
use crate::period::Period;
use crate::policy::{HoldRef, Policy, Rule, RuleRef};

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A session as a whole.
    Session(SessionIndex),
    /// One file.
    Artifact(ArtifactIndex),
}

/// What a rule does when its time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Deletion, or pruning of lines.
    Delete,
    /// Sealing.
    Seal,
}

impl Action {
    /// The word of JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Seal => "seal",
        }
    }
}

/// How a rule stands to what is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the first of its layer that matches.
    Applies,
    /// It matches, and this one before it in its layer does too.
    Shadowed(RuleRef),
    /// Its selector does not match.
    DoesNotMatch,
}

/// A rule that was considered for one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Considered {
    pub rule: RuleRef,
    pub action: Action,
    /// Whether it applies.
    pub standing: Standing,
    /// When it would be due; `None` for never, or where there is no date.
    pub due: Option<DateTime<Utc>>,
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

/// The period of one action of a rule.
type PeriodOf = fn(&Rule) -> Option<&Period>;

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
        deletes(session.project.as_deref()) && session.rivals.iter().all(|project| deletes(Some(project)))
    })
}

/// What each mandate has to say, in the order of the policy.
pub fn opinions(inventory: &Inventory, policy: &Policy, now: DateTime<Utc>, what: What) -> Vec<Opinion> {
    let references = References::new(inventory);
    let judges = judges(inventory, &references, policy, now);
    judges.iter().enumerate().map(|(at, judge)| judge.opinion(at, what)).collect()
}

impl Judge<'_> {
    fn opinion(&self, mandate: usize, what: What) -> Opinion {
        let (session, artifact) = match what {
            What::Session(index) => (Some(self.inventory.session(index)), None),
            What::Artifact(index) => {
                let artifact = self.inventory.artifact(index);
                (self.inventory.session_of(artifact), Some(artifact))
            }
        };
        match (session, artifact) {
            (Some(session), artifact) => self.of_unit(mandate, session, artifact),
            (None, Some(artifact)) => self.of_file(mandate, artifact),
            (None, None) => self.said(mandate, Err(Keep::Unrecognised), &[], &[], &[], Vec::new()),
        }
    }

    /// A session, or a file of one: its own kind may have a rule, else it goes with the session.
    fn of_unit(&self, mandate: usize, session: &Session, artifact: Option<&Artifact>) -> Opinion {
        let date = self.date(session);
        let subject = |kind, period: PeriodOf| self.latest(session, kind, date.unwrap_or(self.now), period).0;
        let deleting = |kind| subject(kind, |rule| rule.delete_after.as_ref());
        let own = artifact
            .and_then(|artifact| artifact.kind)
            .filter(|kind| !matches!(kind, Kind::Transcript | Kind::SealedRecord));
        let mut subjects = vec![deleting(Kind::Transcript)];
        subjects.extend(own.map(deleting));
        let sealing = [subject(own.unwrap_or(Kind::Transcript), |rule| rule.seal_after.as_ref())];
        let mut holds: Vec<HoldRef> = self.holds_of(session, Kind::Transcript).collect();
        holds.extend(own.into_iter().flat_map(|kind| self.holds_of(session, kind)));
        holds.sort_by_key(|hold| hold.hold);
        holds.dedup();
        let mut opinion = self.said(mandate, date, &self.touches(session), &subjects, &sealing, holds);
        // What was unsealed counts as touched then, for sealing alone.
        if let Some(rested) =
            opinion.date.ok().zip(session.unsealed).map(|(date, unsealed)| date.max(unsealed))
        {
            for considered in opinion.rules.iter_mut().filter(|rule| rule.action == Action::Seal) {
                let layer = self.mandate.layers.get(usize::from(considered.rule.layer));
                let rule = layer.and_then(|layer| layer.rules.get(usize::from(considered.rule.rule)));
                considered.due = rule.and_then(|rule| rule.seal_after.as_ref()?.after(rested));
            }
        }
        opinion
    }

    /// A file of nobody, or one that history lines refer to.
    fn of_file(&self, mandate: usize, artifact: &Artifact) -> Opinion {
        let Some(kind) = artifact.kind else {
            return self.said(mandate, Err(Keep::Unrecognised), &[], &[], &[], Vec::new());
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
            return self.of_log(mandate, artifact, kind, log);
        }
        let Some(term) = term else {
            let project = self.inventory.project_named(artifact);
            let holds = self.holds_of_loose(artifact, kind).collect();
            let date = match (owners, self.inventory.dated(artifact)) {
                (Err(keep), _) => Err(keep),
                _ if lacks_owner(kind) => Err(Keep::OwnerUnknown),
                (_, None) => Err(Keep::Undated),
                (_, Some(date)) if date > self.now => Err(Keep::FutureDated),
                (_, Some(date)) => Ok(date),
            };
            let subject = Subject { kind, project, session: None, is_desktop_deleted: false };
            return self.said(mandate, date, &[modified], &[subject], &[], holds);
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
        let mut opinion = self.said(mandate, term.date, &touched, &subjects, &[], holds);
        opinion.floor = term.newest.and_then(|newest| self.floor_end(newest));
        opinion
    }

    /// A log: its own date, or that of the last session it names.
    fn of_log(&self, mandate: usize, artifact: &Artifact, kind: Kind, log: &Log) -> Opinion {
        let mut holds: Vec<HoldRef> = self.holds_of_log(artifact, log, kind).collect();
        holds.sort_by_key(|hold| hold.hold);
        holds.dedup();
        let date = self.date_of_log(artifact, log);
        let subject = self.subject_of_log(artifact, kind);
        let of_sessions = self.named(artifact).flat_map(|session| self.touches(session));
        let touched: Vec<_> = of_sessions.chain([artifact.modified()]).collect();
        let mut opinion = self.said(mandate, date, &touched, &[subject], &[], holds);
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
        mandate: usize,
        date: Result<DateTime<Utc>, Keep>,
        touched: &[Option<DateTime<Utc>>],
        deleting: &[Subject<'_>],
        sealing: &[Subject<'_>],
        holds: Vec<HoldRef>,
    ) -> Opinion {
        let mut rules = Vec::new();
        for (layer, of) in self.mandate.layers.iter().enumerate() {
            let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
            let at = |rule| RuleRef { mandate: self.index, layer: place(layer), rule: place(rule) };
            let actions: [(Action, &[Subject<'_>], PeriodOf); 2] = [
                (Action::Delete, deleting, |rule| rule.delete_after.as_ref()),
                (Action::Seal, sealing, |rule| rule.seal_after.as_ref()),
            ];
            for (action, subjects, period) in actions {
                // The first that matches decides; a file may be matched as itself and with its session.
                let mut first: Vec<Option<usize>> = vec![None; subjects.len()];
                for (rule, said) in of.rules.iter().enumerate() {
                    let Some(after) = period(said) else { continue };
                    let mut standing = Standing::DoesNotMatch;
                    for (subject, first) in subjects.iter().zip(&mut first) {
                        if !subject.is_selected_by(said) {
                            continue;
                        }
                        match *first {
                            None => {
                                *first = Some(rule);
                                standing = Standing::Applies;
                            }
                            Some(before) if standing == Standing::DoesNotMatch => {
                                standing = Standing::Shadowed(at(before));
                            }
                            Some(_) => {}
                        }
                    }
                    let due = date.ok().and_then(|date| after.after(date));
                    rules.push(Considered { rule: at(rule), action, standing, due });
                }
            }
        }
        Opinion {
            mandate,
            date,
            rules,
            holds,
            quiet_until: touched.iter().filter_map(|touched| self.quiet_until(*touched)).max(),
            floor: date.ok().and_then(|date| self.floor_end(date)),
        }
    }
}
