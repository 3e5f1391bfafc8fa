//! The decision: `plan(inventory, policy, now)` gives every artifact exactly one, with its reason.
//!
//! Pure: no disk, no environment, no clock, no log. A dry run is not calling the next stage.
//! The precedence is hold > live or quiet > `keepAtLeast` (which stops deleting and pruning,
//! never sealing) > delete rule > seal rule. Doubt keeps.
//!
//! Where a policy has several mandates, each is judged by itself and the strongest verdict is taken;
//! so nothing that may delay the one can delay another. What only mandates in audit mode demand is
//! taken where no other demands anything; what a guard refuses a mandate stays, and is no demand of
//! that mandate, before the strongest is sought.

mod artifacts;
mod judge;
mod lines;
mod logs;
mod memory;
mod next;
mod past_due;
mod pastes;
pub mod purge;
mod references;
mod rules;
mod sealing;
mod sessions;
mod united;
mod why;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use rayon::prelude::*;

use crate::inventory::Inventory;
use crate::inventory::lines::Line;
use crate::policy::{HoldRef, Policy, RuleRef};
use judge::{Judge, judges};
use references::References;
use united::United;

pub use memory::memory;
pub use next::Step;
pub use past_due::{Parked, past_due};
#[cfg(test)]
pub use rules::Considered;
pub use rules::{Action, Standing};
pub use why::{Opinion, What, deciding, has_delete_rule};

/// What is to be done with an artifact, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Decision {
    /// It stays as it is.
    Keep(Keep),
    /// It is encrypted, with its whole session.
    Seal(Due),
    /// Lines of it go.
    Prune(Due),
    /// It goes.
    Delete(Due),
}

/// Why something stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[expect(clippy::enum_variant_names, reason = "the name of the policy's key")]
#[strum(serialize_all = "kebab-case")]
pub enum Keep {
    /// A hold covers it.
    Held(HoldRef),
    /// A client has it open.
    Live,
    /// It was touched a moment ago.
    Quiet,
    /// A rule wants it gone, and `keepAtLeast` says not before this moment.
    KeepAtLeast(DateTime<Utc>),
    /// Its time has not come; it will at this moment, by this rule.
    NotDue(DateTime<Utc>, RuleRef),
    /// A rule wants it gone, and a guard refuses that.
    Refused(Due),
    /// A rule wants its session sealed, and a file of the session cannot be.
    Unsealable(Due),
    /// No rule ever wants it gone.
    NoRule,
    /// The catalogue protects its kind.
    Protected,
    /// The catalogue does not know it.
    Unrecognised,
    /// It has no date.
    Undated,
    /// Its date lies in the future.
    FutureDated,
    /// What it belongs to could not be found out.
    OwnerUnknown,
    Link,
    /// It is another owner's, or no regular file.
    Foreign,
    /// It, or the lock and the sealed files of the store that it may be of, cannot be reached.
    OutOfReach,
    /// The command was told to change other stores only.
    OutOfScope,
}

impl Keep {
    /// The word reports use.
    pub fn reason(self) -> &'static str {
        self.into()
    }
}

/// A demand of a rule whose time has come. Only a plan makes one, so that nothing can be removed
/// that no rule demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    rule: RuleRef,
    since: DateTime<Utc>,
}

impl Due {
    /// The rule that demands it.
    pub fn rule(self) -> RuleRef {
        self.rule
    }

    /// Since when.
    pub fn since(self) -> DateTime<Utc> {
        self.since
    }
}

/// A decision for every artifact and every line.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The moment it was made for.
    pub now: DateTime<Utc>,
    /// One for each artifact of the inventory, in its order.
    pub decisions: Vec<Decision>,
    /// One for each line file of the inventory, in its order: a decision a line.
    pub lines: Vec<Vec<Decision>>,
    /// One for each session of the inventory, in its order.
    pub sessions: Vec<Verdict>,
    /// For each session the mandates that want it deleted now, a bit each in the order of the policy;
    /// empty for a purge.
    pub demanded: Vec<u8>,
    /// One for each session that is remembered and was not found.
    pub absent: Vec<Verdict>,
    /// What a purge does besides; `None` where rules decided.
    pub purge: Option<purge::Extent>,
}

/// What becomes of a session as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What is done with the conversation itself.
    pub decision: Decision,
    /// Its last activity, by the clock the policy names.
    pub date: Option<DateTime<Utc>>,
    /// When it is due for deletion, whatever delays it.
    pub deletion: Option<(DateTime<Utc>, RuleRef)>,
    /// What happens to it next.
    pub next: Option<Step>,
}

/// Fewer things than this are not worth another thread: each is judged by itself.
const AT_ONCE: usize = 1024;

/// Decides about everything in an inventory.
pub fn plan(inventory: &Inventory, policy: &Policy, now: DateTime<Utc>) -> Plan {
    plan_refusing(inventory, policy, now, &[])
}

/// The same where guards refuse some mandates, by their places in the policy, to delete and to prune.
pub fn plan_refusing(inventory: &Inventory, policy: &Policy, now: DateTime<Utc>, refused: &[usize]) -> Plan {
    let references = References::new(inventory);
    decide(inventory, policy, now, refused, &judges(inventory, &references, policy, now))
}

/// The same, and what each mandate has to say about some things, in the order of the policy.
pub fn explained(
    inventory: &Inventory,
    policy: &Policy,
    now: DateTime<Utc>,
    asked: &[What],
) -> (Plan, Vec<Vec<Opinion>>) {
    let references = References::new(inventory);
    let judges = judges(inventory, &references, policy, now);
    // Of the same judges, so that nothing is told that did not decide.
    let opinions = |what: &What| judges.iter().map(|judge| judge.opinion(*what)).collect();
    (decide(inventory, policy, now, &[], &judges), asked.iter().map(opinions).collect())
}

/// The plan of some judges.
fn decide(
    inventory: &Inventory,
    policy: &Policy,
    now: DateTime<Utc>,
    refused: &[usize],
    judges: &[Judge<'_>],
) -> Plan {
    let united = United::new(policy, refused);
    let verdicts: Vec<Vec<Verdict>> = judges
        .iter()
        .map(|judge| {
            let found = inventory.sessions.par_iter().with_min_len(AT_ONCE);
            let absent = inventory.absent.sessions.par_iter().with_min_len(AT_ONCE);
            found.chain(absent.map(|(session, _)| session)).map(|session| judge.session(session)).collect()
        })
        .collect();
    let of_session = |at: usize| verdicts.iter().map(move |of| of.get(at).copied().unwrap_or(Verdict::NONE));
    let all = inventory.sessions.len() + inventory.absent.sessions.len();
    let mut sessions: Vec<Verdict> = (0..all).map(|at| united.verdict(of_session(at))).collect();
    let absent = sessions.split_off(inventory.sessions.len());
    let demanded = (0..inventory.sessions.len())
        .map(|at| {
            let wants = (0..u8::BITS).zip(of_session(at));
            wants.fold(0, |bits, (bit, verdict)| {
                bits | (u8::from(matches!(verdict.decision, Decision::Delete(_))) << bit)
            })
        })
        .collect();
    let lines: Vec<Vec<Decision>> = inventory
        .line_files
        .iter()
        .map(|file| {
            let store = inventory.store_of(inventory.artifact(file.artifact));
            let decide = |line: &Line| {
                let of_mandates = judges.iter().zip(&verdicts);
                united.decision(of_mandates.map(|(judge, of)| judge.line(file, store, line, of)))
            };
            file.content.lines.par_iter().with_min_len(AT_ONCE).map(decide).collect()
        })
        .collect();
    let mut decisions: Vec<Decision> = inventory
        .artifacts
        .par_iter()
        .with_min_len(AT_ONCE)
        .map(|artifact| {
            let of_mandates = judges.iter().zip(&verdicts);
            united.decision(of_mandates.map(|(judge, of)| judge.artifact(artifact, of)))
        })
        .collect();
    for (file, lines) in inventory.line_files.iter().zip(&lines) {
        let decision = &mut decisions[file.artifact.at()];
        *decision = united.of_line_file(*decision, lines);
    }
    let mut plan = Plan { now, decisions, lines, sessions, absent, demanded, purge: None };
    // Last, since it goes by what was decided about the others.
    plan.keep_records(inventory, policy);
    plan
}

impl Plan {
    /// The plan without what only rules in audit mode demand: what a run carries out.
    pub fn acting(&self, policy: &Policy) -> Cow<'_, Self> {
        if !policy.audits_some() {
            return Cow::Borrowed(self);
        }
        let mut acting = self.clone();
        let keep = |decision: &mut Decision| {
            if let Some(due) = decision.due().filter(|due| policy.audits(due.rule)) {
                // Not left out: a run that acts counts it among what it keeps.
                *decision = Decision::Keep(Keep::NotDue(due.since, due.rule));
            }
        };
        acting.decisions.iter_mut().for_each(keep);
        acting.lines.iter_mut().flatten().for_each(keep);
        acting.sessions.iter_mut().for_each(|verdict| keep(&mut verdict.decision));
        Cow::Owned(acting)
    }

    /// Whether anything at all would change.
    pub fn changes_nothing(&self) -> bool {
        self.decisions.iter().all(|decision| matches!(decision, Decision::Keep(_)))
    }
}

impl Decision {
    /// The demand behind it; `None` for what stays.
    pub fn due(self) -> Option<Due> {
        match self {
            Self::Keep(_) => None,
            Self::Seal(due) | Self::Prune(due) | Self::Delete(due) => Some(due),
        }
    }

    /// The word reports use.
    pub fn word(self) -> &'static str {
        self.into()
    }

    fn strength(self) -> u8 {
        match self {
            Self::Keep(_) => 0,
            Self::Seal(_) => 1,
            Self::Prune(_) => 2,
            Self::Delete(_) => 3,
        }
    }

    /// The stronger of two mandates' decisions.
    fn stronger(self, other: Self) -> Self {
        // Of two that keep, the one that will act first names the reason; one that never acts has nothing to
        // say.
        match (self, other) {
            (Self::Keep(Keep::Refused(_)), Self::Keep(_)) => self,
            (Self::Keep(_), Self::Keep(Keep::Refused(_))) => other,
            (Self::Keep(Keep::Unsealable(_)), Self::Keep(_)) => self,
            (Self::Keep(_), Self::Keep(Keep::Unsealable(_))) => other,
            (Self::Keep(Keep::NotDue(mine, _)), Self::Keep(Keep::NotDue(theirs, _))) => {
                if theirs < mine {
                    other
                } else {
                    self
                }
            }
            (Self::Keep(_), Self::Keep(Keep::NotDue(..))) | (Self::Keep(Keep::NoRule), Self::Keep(_)) => {
                other
            }
            _ if other.strength() > self.strength() => other,
            (Self::Seal(mine) | Self::Prune(mine) | Self::Delete(mine), _) => match other.due() {
                Some(theirs) if other.strength() == self.strength() && theirs.since < mine.since => other,
                _ => self,
            },
            (Self::Keep(_), _) => self,
        }
    }
}

impl Verdict {
    const NONE: Self =
        Self { decision: Decision::Keep(Keep::NoRule), date: None, deletion: None, next: None };
}

#[cfg(test)]
mod tests;
