//! What happens to a session next, and when: the one answer that every report gives.

use chrono::{DateTime, Utc};

use super::judge::Judge;
use super::{Action, Decision, Keep, Verdict};
use crate::catalogue::Kind;
use crate::inventory::Session;
use crate::policy::RuleRef;

/// What the policy does with a session next, if nobody touches it until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Deleting or encrypting.
    pub action: Action,
    /// When; past for what is due.
    pub at: DateTime<Utc>,
    /// The rule that demands it.
    pub rule: RuleRef,
}

impl Decision {
    /// The step that this decision takes now; `None` for what stays.
    pub fn step(self) -> Option<Step> {
        let action = if matches!(self, Self::Seal(_)) { Action::Seal } else { Action::Delete };
        self.due().map(|due| Step { action, at: due.since, rule: due.rule })
    }
}

impl Judge<'_> {
    /// The next step of a session; `None` where a hold or a doubt keeps it, or no rule ever applies.
    pub(super) fn next(
        &self,
        session: &Session,
        decision: Decision,
        date: Option<DateTime<Utc>>,
        deletion: Option<(DateTime<Utc>, RuleRef)>,
    ) -> Option<Step> {
        match decision {
            Decision::Keep(
                Keep::Live
                | Keep::Quiet
                | Keep::KeepAtLeast(_)
                | Keep::NotDue(..)
                | Keep::Unsealable(_)
                | Keep::NoRule,
            ) => self.coming(session, date?, deletion),
            decision => decision.step(),
        }
    }

    fn coming(
        &self,
        session: &Session,
        date: DateTime<Utc>,
        deletion: Option<(DateTime<Utc>, RuleRef)>,
    ) -> Option<Step> {
        let touches = self.touches(session);
        let mut idle = DateTime::<Utc>::MIN_UTC;
        for touched in touches.into_iter().filter(|touched| self.is_quiet(*touched)) {
            // An activity window that never ends keeps for ever.
            idle = idle.max(self.quiet_until(touched)?);
        }
        let floor = self.floor_end(date).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let delete = deletion.filter(|_| floor < DateTime::<Utc>::MAX_UTC).map(|(due, rule)| Step {
            action: Action::Delete,
            at: due.max(floor).max(idle),
            rule,
        });
        // Neither a floor nor a hold on deleting delays it: sealing takes nothing away.
        let seal = self.sealing(session, date).map(|(due, rule)| Step {
            action: Action::Seal,
            at: due.max(idle),
            rule,
        });
        // Where both come at once, what is deleted is not encrypted first.
        delete.into_iter().chain(seal).min_by_key(|step| step.at)
    }

    /// When a session is due for encryption; `None` where nothing of it can be.
    fn sealing(&self, session: &Session, date: DateTime<Utc>) -> Option<(DateTime<Utc>, RuleRef)> {
        if session.plain == 0 || session.unsealable > 0 || !self.can_seal(session) {
            return None;
        }
        self.seal_due(session, Kind::Transcript, date)
    }
}

impl Verdict {
    /// The step that is still to come after this moment.
    pub fn coming(&self, now: DateTime<Utc>) -> Option<Step> {
        self.next.filter(|step| step.at > now)
    }
}
