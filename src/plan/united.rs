//! What several mandates come to together, where some only report and guards refuse others.

use super::{Decision, Due, Keep, Verdict};
use crate::policy::{Mode, Policy};

/// What the demands of a mandate come to in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Force {
    /// They are met.
    Acts,
    /// A guard refuses what they would remove.
    Refused,
    /// They are reported.
    Audits,
}

/// How the mandates of a policy are united, in its order.
#[derive(Debug)]
pub(super) struct United<'a> {
    policy: &'a Policy,
    forces: Vec<Force>,
}

impl<'a> United<'a> {
    pub(super) fn new(policy: &'a Policy, refused: &[usize]) -> Self {
        let force = |(at, mode)| match mode {
            Mode::Audit => Force::Audits,
            Mode::Enforce if refused.contains(&at) => Force::Refused,
            Mode::Enforce => Force::Acts,
        };
        let modes = policy.mandates.iter().map(|mandate| mandate.mode.value);
        Self { policy, forces: modes.enumerate().map(force).collect() }
    }

    /// One decision, of each mandate's.
    pub(super) fn decision(&self, of_mandates: impl Iterator<Item = Decision>) -> Decision {
        let (mut acting, mut audited) = (Verdict::NONE.decision, Verdict::NONE.decision);
        for (force, decision) in self.forces.iter().zip(of_mandates) {
            match force {
                Force::Acts => acting = acting.stronger(decision),
                // Before the strongest is sought: what a guard refuses one mandate, another may still demand.
                Force::Refused => acting = acting.stronger(decision.refused()),
                Force::Audits => audited = audited.stronger(decision),
            }
        }
        acting.or_audited(audited)
    }

    /// One verdict on a session, of each mandate's.
    pub(super) fn verdict(&self, of_mandates: impl Iterator<Item = Verdict> + Clone) -> Verdict {
        let decision = self.decision(of_mandates.clone().map(|verdict| verdict.decision));
        let of = |audits: bool| {
            let some = self.forces.iter().zip(of_mandates.clone());
            some.filter(move |(force, _)| (**force == Force::Audits) == audits).map(|(_, verdict)| verdict)
        };
        let first = |audits: bool| {
            let dues = of(audits).filter_map(|verdict| verdict.deletion);
            dues.reduce(|first, next| if next.0 < first.0 { next } else { first })
        };
        let coming = |audits: bool| of(audits).filter_map(|verdict| verdict.next).min_by_key(|step| step.at);
        Verdict {
            decision,
            date: of(false).chain(of(true)).find_map(|verdict| verdict.date),
            deletion: first(false).or_else(|| first(true)),
            next: decision.step().or_else(|| coming(false)).or_else(|| coming(true)),
        }
    }

    /// The decision on a line file, once those on its lines are known: it is pruned where it stays
    /// and a line of it goes.
    pub(super) fn of_line_file(&self, whole: Decision, lines: &[Decision]) -> Decision {
        if whole.due().is_some_and(|due| !self.policy.audits(due.rule)) {
            return whole;
        }
        let first = |audits: bool| {
            let dues = lines.iter().filter_map(|line| line.due());
            dues.filter(|due| self.policy.audits(due.rule) == audits).min_by_key(|due| due.since)
        };
        if let Some(due) = first(false) {
            return Decision::Prune(due);
        }
        let is_refused = |line: &&Decision| matches!(line, Decision::Keep(Keep::Refused(_)));
        match (whole, lines.iter().find(is_refused), first(true)) {
            (Decision::Keep(_), Some(refused), _) => *refused,
            (Decision::Keep(_), None, Some(due)) => Decision::Prune(due),
            _ => whole,
        }
    }
}

impl Decision {
    /// What is left of it where a guard refuses to remove anything.
    fn refused(self) -> Self {
        match self {
            Self::Delete(due) | Self::Prune(due) => Self::Keep(Keep::Refused(due)),
            other => other,
        }
    }

    /// The same, or what audits demand where nothing else has anything to say.
    fn or_audited(self, audited: Self) -> Self {
        match self {
            Self::Keep(Keep::NoRule) => audited,
            Self::Keep(Keep::Refused(Due { .. })) => self,
            Self::Keep(_) if audited.due().is_some() => audited,
            _ => self,
        }
    }
}
