//! Asking the guards of an unattended run, with what state, ledger and stores know.

use super::survey::Ground;
use super::{Context, Failure, evidence};
use crate::escape::text;
use crate::guard::{self, ClockSight, ClockVerdict, Load, MassGrace};
use crate::inventory::Inventory;
use crate::plan::{Decision, Plan};
use crate::policy::Policy;
use crate::state::State;

/// What the guards say, and what they want remembered.
#[derive(Debug)]
pub(super) struct Judged {
    /// Whether the clock is believed.
    pub clock_allowed: bool,
    /// The mandates that may not delete, because it would be too much.
    pub refused_mandates: Vec<usize>,
    /// What the guards refused, in words.
    pub refusals: Vec<String>,
    /// The doubt about the clock to remember.
    pub doubt: Option<guard::ClockDoubt>,
    /// The reports of large deletions to remember.
    pub reports: Vec<guard::MassReport>,
}

impl Judged {
    /// The policy without the mandates that were refused; `None` if none was.
    pub(super) fn without(&self, policy: &Policy) -> Option<Policy> {
        if self.refused_mandates.is_empty() {
            return None;
        }
        let mut rest = policy.clone();
        let mut at = 0..;
        rest.mandates.retain(|_| at.next().is_some_and(|at| !self.refused_mandates.contains(&at)));
        Some(rest)
    }
}

/// Whether the clock is believed, by the ledger and by what lies in the stores; and the doubt about
/// it to remember.
///
/// # Errors
/// Exit 4: the ledger cannot be read.
pub(super) fn clock(
    state: &State,
    inventory: &Inventory,
    ctx: &Context,
) -> Result<(ClockVerdict, Option<guard::ClockDoubt>), Failure> {
    let ledger = evidence::last_time(ctx)?;
    let sight = ClockSight { now: ctx.env.now, built: ctx.env.built, ledger, stores: inventory.newest_date };
    Ok(guard::clock(&sight, state.clock.as_ref()))
}

/// Asks the guards of an unattended run.
pub(super) fn judge(
    ground: &Ground,
    inventory: &Inventory,
    plan: &Plan,
    policy: &Policy,
    ctx: &Context,
) -> Result<Judged, Failure> {
    let state = &ground.state.state;
    let (verdict, doubt) = clock(state, inventory, ctx)?;
    let mut judged = Judged {
        clock_allowed: verdict.is_allowed(),
        refused_mandates: Vec::new(),
        refusals: Vec::new(),
        doubt,
        reports: state.mass.clone(),
    };
    let removes = |decision: &Decision| matches!(decision, Decision::Delete(_) | Decision::Prune(_));
    if let ClockVerdict::Refused(refusal) = verdict
        && plan.decisions.iter().any(removes)
    {
        judged.refusals.push(refusal.to_string());
    }
    let roots: Vec<String> = inventory.stores.iter().map(|view| text(&view.store.root)).collect();
    for (at, mandate) in policy.mandates.iter().enumerate() {
        let loads: Vec<Load<'_>> = roots
            .iter()
            .enumerate()
            .map(|(store, root)| {
                let of_store = || {
                    let sessions = inventory.sessions.iter().zip(&plan.sessions);
                    sessions.filter(move |(session, _)| session.store.at() == store)
                };
                let due = |decision: Decision| {
                    matches!(decision, Decision::Delete(due) if usize::from(due.rule().mandate) == at)
                };
                let due = of_store().filter(|(_, verdict)| due(verdict.decision)).count();
                Load { store: root, due, total: of_store().count() }
            })
            .filter(|load| load.total > 0)
            .collect();
        let grace = MassGrace { now: ctx.env.now, policy: &mandate.digest };
        let grace = (mandate.guard_has_grace && judged.clock_allowed).then_some(grace);
        let refusals = guard::mass(&mandate.guard.value, &loads, grace, &mut judged.reports);
        if !refusals.is_empty() {
            judged.refused_mandates.push(at);
            judged.refusals.extend(refusals.iter().map(ToString::to_string));
        }
    }
    Ok(judged)
}
