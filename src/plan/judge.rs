//! One mandate as a judge: what it goes by, whatever it judges.

use chrono::{DateTime, Utc};

use super::references::References;
use super::{Decision, Due, Keep};
use crate::catalogue::{Kind, SessionId};
use crate::inventory::{Inventory, StoreIndex};
use crate::period::Period;
use crate::policy::{HoldRef, Mandate, Policy, Rule, RuleRef};

/// One mandate, and what it judges.
pub(super) struct Judge<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) references: &'a References<'a>,
    pub(super) mandate: &'a Mandate,
    pub(super) index: u8,
    /// Whether any rule or hold asks for kinds, so that a session's files may differ.
    pub(super) by_kind: bool,
    pub(super) now: DateTime<Utc>,
}

/// One judge a mandate.
pub(super) fn judges<'a>(
    inventory: &'a Inventory,
    references: &'a References<'a>,
    policy: &'a Policy,
    now: DateTime<Utc>,
) -> Vec<Judge<'a>> {
    policy
        .mandates
        .iter()
        .enumerate()
        .map(|(at, mandate)| Judge {
            inventory,
            references,
            mandate,
            index: u8::try_from(at).unwrap_or(u8::MAX),
            by_kind: mandate
                .layers
                .iter()
                .flat_map(|layer| &layer.rules)
                .any(|rule| rule.selector.kinds.is_some())
                || mandate.holds.iter().any(|hold| hold.selector.kinds.is_some()),
            now,
        })
        .collect()
}

/// What an artifact is judged by.
pub(super) struct Subject<'s> {
    pub(super) kind: Kind,
    pub(super) project: Option<&'s str>,
    pub(super) session: Option<SessionId>,
}

impl Subject<'_> {
    pub(super) fn is_selected_by(&self, rule: &Rule) -> bool {
        rule.selector.selects(self.kind, self.project, self.session)
    }
}

impl Judge<'_> {
    /// The first rule of each layer that matches decides; across layers the earliest date wins.
    pub(super) fn earliest(
        &self,
        subject: &Subject<'_>,
        date: DateTime<Utc>,
        period: impl Fn(&Rule) -> Option<&Period>,
    ) -> Option<(DateTime<Utc>, RuleRef)> {
        let dues = self.mandate.layers.iter().enumerate().filter_map(|(layer, rules)| {
            let (rule, period) = rules
                .rules
                .iter()
                .enumerate()
                .filter_map(|(at, rule)| Some((at, rule, period(rule)?)))
                .find(|(_, rule, _)| subject.is_selected_by(rule))
                .map(|(at, _, period)| (at, period))?;
            let place = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
            Some((
                period.after(date)?,
                RuleRef { mandate: self.index, layer: place(layer), rule: place(rule) },
            ))
        });
        dues.min_by_key(|(due, _)| *due)
    }

    /// Whether the mandate has no say in a store: the command is for others, or it is excluded.
    pub(super) fn is_out_of_scope(&self, store: StoreIndex) -> bool {
        let store = &self.inventory.store(store).store;
        !store.in_scope || self.mandate.excluded_stores.iter().any(|excluded| excluded.value == store.root)
    }

    pub(super) fn held<'p>(
        &self,
        kind: Kind,
        projects: impl Iterator<Item = &'p str> + Clone,
        unknown: bool,
        session: Option<SessionId>,
    ) -> Option<Keep> {
        let hold = self.mandate.holds.iter().position(|hold| {
            hold.is_active(self.now) && hold.selector.covers(kind, projects.clone(), unknown, session)
        })?;
        Some(Keep::Held(HoldRef { mandate: self.index, hold: u16::try_from(hold).unwrap_or(u16::MAX) }))
    }

    /// Whether a moment is within the quiet period, on either side of now.
    pub(super) fn is_quiet(&self, touched: Option<DateTime<Utc>>) -> bool {
        touched.is_some_and(|touched| {
            let (from, to) = if touched <= self.now { (touched, self.now) } else { (self.now, touched) };
            self.mandate.quiet.value.after(from).is_none_or(|end| to < end)
        })
    }

    /// When `keepAtLeast` lets go of something of this date; `None` if it does already.
    pub(super) fn floor(&self, date: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let floor = self.mandate.keep_at_least.as_ref()?;
        let end = floor.value.after(date).unwrap_or(DateTime::<Utc>::MAX_UTC);
        (end > self.now).then_some(end)
    }

    /// Deletion when its time has come and the floor lets it.
    pub(super) fn timely(&self, date: DateTime<Utc>, deletion: Option<(DateTime<Utc>, RuleRef)>) -> Decision {
        match deletion {
            None => Decision::Keep(Keep::NoRule),
            Some((due, rule)) if due > self.now => Decision::Keep(Keep::NotDue(due, rule)),
            Some((since, rule)) => match self.floor(date) {
                Some(end) => Decision::Keep(Keep::KeepAtLeast(end)),
                None => Decision::Delete(Due { rule, since }),
            },
        }
    }
}
