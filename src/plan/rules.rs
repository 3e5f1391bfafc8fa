//! Rules: which of a mandate decides over something, and when that is due.

use chrono::{DateTime, Utc};

use super::judge::Judge;
use crate::catalogue::{Kind, SessionId};
use crate::inventory::Session;
use crate::period::Period;
use crate::policy::selector::Selector;
use crate::policy::{Rule, RuleRef};

/// What a rule does when its time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Action {
    /// Deletion, or pruning of lines.
    Delete,
    Seal,
}

impl Action {
    /// After how long a rule does it; `None` where it never says.
    fn period(self, rule: &Rule) -> Option<&Period> {
        match self {
            Self::Delete => rule.delete_after.as_ref(),
            Self::Seal => rule.seal_after.as_ref(),
        }
    }

    /// The word of JSON.
    pub fn word(self) -> &'static str {
        self.into()
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

/// What an artifact is judged by.
pub(super) struct Subject<'s> {
    pub(super) kind: Kind,
    pub(super) project: Option<&'s str>,
    pub(super) session: Option<SessionId>,
    /// Whether the session was deleted in the desktop application.
    pub(super) is_desktop_deleted: bool,
}

impl Subject<'_> {
    pub(super) fn is_selected_by(&self, rule: &Rule) -> bool {
        let selects = if self.is_desktop_deleted { Selector::selects_deleted } else { Selector::selects };
        selects(&rule.selector, self.kind, self.project, self.session)
    }
}

impl Judge<'_> {
    /// The rules of a layer that say something about an action.
    fn rules(&self, layer: usize, action: Action) -> impl Iterator<Item = (RuleRef, &Rule, &Period)> {
        let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        let rules = self.mandate.layers.get(layer).into_iter().flat_map(|layer| &layer.rules).enumerate();
        rules.filter_map(move |(at, rule)| {
            let at = RuleRef { mandate: self.index, layer: place(layer), rule: place(at) };
            Some((at, rule, action.period(rule)?))
        })
    }

    /// The first rule of a layer that matches, which decides.
    fn first(&self, layer: usize, subject: &Subject<'_>, action: Action) -> Option<(RuleRef, &Period)> {
        // Of the rules that speak of this action alone: one that seals hides none that deletes.
        let mut rules = self.rules(layer, action);
        rules.find(|(_, rule, _)| subject.is_selected_by(rule)).map(|(at, _, after)| (at, after))
    }

    /// When something is due: across layers the earliest date wins.
    pub(super) fn earliest(
        &self,
        subject: &Subject<'_>,
        date: DateTime<Utc>,
        action: Action,
    ) -> Option<(DateTime<Utc>, RuleRef)> {
        let layers = 0..self.mandate.layers.len();
        // Dates are compared and not rules, so that a further layer can only make it sooner.
        let dues = layers.filter_map(|layer| {
            let (rule, after) = self.first(layer, subject, action)?;
            Some((after.after(date)?, rule))
        });
        dues.min_by_key(|(due, _)| *due)
    }

    /// How each rule of a layer stands to something that may be matched as several: a file as itself and with its
    /// session.
    pub(super) fn considered(
        &self,
        layer: usize,
        subjects: &[Subject<'_>],
        date: Option<DateTime<Utc>>,
        action: Action,
    ) -> Vec<Considered> {
        let first = |subject| self.first(layer, subject, action).map(|(at, _)| at);
        let firsts: Vec<Option<RuleRef>> = subjects.iter().map(first).collect();
        let consider = |(rule, said, after): (RuleRef, &Rule, &Period)| {
            let mut matching =
                subjects.iter().zip(&firsts).filter(|(subject, _)| subject.is_selected_by(said));
            let standing = match matching.next() {
                // For one of them it decides, whatever comes before it for the others.
                _ if firsts.contains(&Some(rule)) => Standing::Applies,
                Some((_, Some(before))) => Standing::Shadowed(*before),
                _ => Standing::DoesNotMatch,
            };
            Considered { rule, action, standing, due: date.and_then(|date| after.after(date)) }
        };
        self.rules(layer, action).map(consider).collect()
    }

    /// When the strictest rule would have a session gone, if it were of the project that the rule selects.
    pub(super) fn earliest_of_any_project(
        &self,
        session: SessionId,
        date: DateTime<Utc>,
    ) -> Option<(DateTime<Utc>, RuleRef)> {
        let (kind, session) = (Kind::Transcript, Some(session));
        let rules = (0..self.mandate.layers.len()).flat_map(|layer| self.rules(layer, Action::Delete));
        let dues = rules.filter_map(|(at, rule, after)| {
            let selects = rule.selector.selects_in_any_project(kind, session);
            Some((after.after(date).filter(|_| selects)?, at))
        });
        dues.min_by_key(|(due, _)| *due)
    }

    /// What a kind of file of a session is judged by, and when it is due.
    pub(super) fn latest<'s>(
        &self,
        session: &'s Session,
        kind: Kind,
        date: DateTime<Utc>,
        action: Action,
    ) -> (Subject<'s>, Option<(DateTime<Utc>, RuleRef)>) {
        // Of projects that are equally the session's, the later due date counts; no due date is later than any.
        let judged = |project| {
            let is_desktop_deleted = session.is_desktop_deleted;
            let subject = Subject { kind, project, session: Some(session.id), is_desktop_deleted };
            let due = self.earliest(&subject, date, action);
            (subject, due)
        };
        let mut all = session.matched_projects().map(judged);
        let first = all.next().unwrap_or_else(|| judged(None));
        all.fold(first, |known, other| {
            let is_later = match (known.1, other.1) {
                (Some((known, _)), Some((other, _))) => other > known,
                (known, other) => known.is_some() && other.is_none(),
            };
            if is_later { other } else { known }
        })
    }
}
