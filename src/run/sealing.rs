//! Encrypting sessions that were named, or all that are idle, through the plan and the execution of a run by the policy.

use std::collections::{BTreeSet, HashSet};

use super::sealed;
use super::unseal::{Refusal, why_unknown};
use crate::inventory::liveness::Liveness;
use crate::inventory::{Belongs, Inventory, SessionIndex};
use crate::period::Period;
use crate::plan::{Decision, Keep, Plan};
use crate::policy::selector::Selector;
use crate::policy::{Mandate, Policy, Rule};

/// What the rule of the command is called in the ledger.
const RULE: &str = "command line";

/// A policy of one rule, bound by every hold and the longest quiet period of the one in force.
pub fn policy(
    in_force: &Policy,
    inventory: &Inventory,
    wanted: &HashSet<SessionIndex>,
    idle: Option<Period>,
) -> Policy {
    // Whether rules name a period is nothing to the rule of a command.
    let mut policy = Policy { suspended: None, ..in_force.clone() };
    // A command knows no mandates, and no mandate's own caution may be undercut by typing.
    let longest = policy.mandates.iter().max_by_key(|mandate| mandate.quiet.value.length()).cloned();
    let immediately = "immediately".parse().unwrap_or_else(|_| Period::hours(0));
    let sessions: BTreeSet<_> = wanted.iter().map(|index| inventory.session(*index).id).collect();
    let rule = Rule {
        name: RULE.to_owned(),
        selector: Selector { sessions: idle.is_none().then_some(sessions), ..Selector::default() },
        seal_after: Some(idle.unwrap_or(immediately)),
        delete_after: None,
    };
    let holds = policy.mandates.iter().flat_map(|mandate| mandate.holds.clone()).collect();
    let excluded = policy.mandates.iter().flat_map(|mandate| mandate.excluded_stores.clone()).collect();
    let Some(longest) = longest else { return policy };
    policy.mandates = vec![Mandate { holds, excluded_stores: excluded, ..longest.with_only(rule) }];
    policy
}

/// Takes from a plan everything that is not of the wanted sessions, and what would come later: no run of this policy follows.
pub fn only(plan: &mut Plan, inventory: &Inventory, wanted: &HashSet<SessionIndex>) {
    let keep = Decision::Keep(Keep::OutOfScope);
    for (artifact, decision) in inventory.artifacts.iter().zip(&mut plan.decisions) {
        // What the plan wants of other files is for a run of the policy, which asks its guards first.
        let is_wanted = matches!(artifact.belongs, Belongs::Session(index) if wanted.contains(&index));
        if !is_wanted {
            *decision = keep;
        }
    }
    for (at, verdict) in plan.sessions.iter_mut().enumerate() {
        verdict.next = None;
        if !wanted.contains(&SessionIndex::of(at)) {
            verdict.decision = keep;
        }
    }
}

/// Whether every named session can be sealed, or is sealed already.
pub fn may_seal(
    policy: &Policy,
    inventory: &Inventory,
    plan: &Plan,
    wanted: &HashSet<SessionIndex>,
) -> Result<(), Refusal> {
    for index in wanted {
        let session = inventory.session(*index);
        if let Some(hold) = sealed::hold_on(policy, inventory, session) {
            return Err(Refusal::Held(session.id, Box::new(hold.clone())));
        }
        let Decision::Keep(keep) = plan.sessions[index.at()].decision else { continue };
        // What is asked for is the case already, so that a script can ask twice.
        if session.plain == 0 && session.sealed > 0 {
            continue;
        }
        let stays = |why: String| Refusal::Stays(session.id, why);
        return Err(match keep {
            Keep::Live if session.liveness == Liveness::Unread => {
                Refusal::MayBeLive(session.id, why_unknown(inventory.unread_pid_files().next()))
            }
            Keep::Live => Refusal::Live(session.id),
            Keep::Quiet => stays(format!("is {} (`quiet`)", policy.active_within())),
            Keep::NoRule | Keep::NotDue(..) if session.plain == 0 => {
                stays("has nothing that could be sealed".to_owned())
            }
            keep => {
                let unread = sealed::unread(inventory).map(|unread| format!(", as {unread}"));
                stays(format!("stays as it is ({}){}", keep.reason(), unread.unwrap_or_default()))
            }
        });
    }
    Ok(())
}
