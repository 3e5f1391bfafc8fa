//! Asking the guards of an unattended run, with what state, ledger and stores know.

use super::{Context, Error, Workspace, journal};
use crate::catalogue::Sensitivity;
use crate::guard::{self, ClockSight, ClockVerdict, Load, MassGrace, Patience};
use crate::inventory::{Evidence, Inventory, Session};
use crate::plan::{Decision, Plan};
use crate::policy::{Mandate, Mode, Policy};
use crate::state::State;

/// What the guards say, and what they want remembered.
#[derive(Debug)]
pub struct Judged {
    /// Whether the clock is believed.
    pub clock_allowed: bool,
    /// The mandates that may not delete or prune, by their places in the policy.
    pub refused: Vec<usize>,
    /// What the guards refused, in words.
    pub refusals: Vec<String>,
    /// The doubt about the clock to remember.
    pub doubt: Option<guard::ClockDoubt>,
    /// The reports of large deletions to remember.
    pub reports: Vec<guard::MassReport>,
}

/// Whether the clock is believed, by the ledger and by what lies in the stores; and the doubt about
/// it to remember.
///
/// # Errors
/// Exit 4: the ledger cannot be read.
pub fn clock(
    state: &State,
    inventory: &Inventory,
    ctx: &Context,
) -> Result<(ClockVerdict, Option<guard::ClockDoubt>), Error> {
    let ledger = journal::last_time(ctx)?;
    let sight =
        ClockSight { now: ctx.env.now, built: ctx.env.built, ledger, stores: inventory.newest_date() };
    Ok(guard::clock(&sight, state.clock.as_ref()))
}

/// Asks the guards of an unattended run.
pub fn judge(
    workspace: &Workspace,
    inventory: &Inventory,
    plan: &Plan,
    policy: &Policy,
    ctx: &Context,
) -> Result<Judged, Error> {
    // Where the whole policy only reports, they say what they would refuse.
    let state = &workspace.state.state;
    let (verdict, doubt) = clock(state, inventory, ctx)?;
    let mut judged = Judged {
        clock_allowed: verdict.is_allowed(),
        refused: Vec::new(),
        refusals: Vec::new(),
        doubt,
        reports: state.mass.clone(),
    };
    let all = || (0..policy.mandates.len()).collect::<Vec<_>>();
    let acting;
    let looked_at = if policy.mode() == Mode::Audit {
        plan
    } else {
        acting = plan.acting(policy);
        &acting
    };
    let removes = |decision: &Decision| matches!(decision, Decision::Delete(_) | Decision::Prune(_));
    if let ClockVerdict::Refused(refusal) = verdict {
        judged.refused = all();
        // A refusal that stops nothing is nothing to report.
        if looked_at.decisions.iter().any(removes) {
            judged.refusals.push(refusal.to_string());
        }
    }
    // What the managed rules are refused nobody else's rule may take in their place; what they are
    // allowed nobody's guard may refuse, nor count.
    let managed = Group::of(policy, true);
    if judge_group(&managed, &Group::default(), inventory, plan, &mut judged, ctx) {
        judged.refused = all();
    } else {
        let others = Group::of(policy, false);
        if judge_group(&others, &managed, inventory, plan, &mut judged, ctx) {
            judged.refused.extend(others.mandates.iter().map(|(at, _)| at));
        }
    }
    Ok(judged)
}

/// Mandates that share a guard, each with its place in the policy.
#[derive(Default)]
struct Group<'a> {
    mandates: Vec<(usize, &'a Mandate)>,
}

impl<'a> Group<'a> {
    /// The managed mandates of a policy, or all others, as far as a run acts on them.
    fn of(policy: &'a Policy, is_managed: bool) -> Self {
        let mode = policy.mode();
        let mandates = policy.mandates.iter().enumerate();
        let mandates = mandates.filter(|(_, mandate)| mandate.is_managed == is_managed);
        Self { mandates: mandates.filter(|(_, mandate)| mandate.mode.value == mode).collect() }
    }

    /// Whether one of them wants a session deleted, by the bits of a plan.
    fn demands(&self, bits: u8) -> bool {
        self.mandates.iter().any(|(at, _)| {
            bits.checked_shr(u32::try_from(*at).unwrap_or(u32::MAX)).is_some_and(|bits| bits & 1 == 1)
        })
    }

    /// Whether a session counts: one that is not left out, and of which more than temp files and
    /// metadata is there.
    fn counts(&self, inventory: &Inventory, session: &Session) -> bool {
        let root = &inventory.store(session.store).store.root;
        let is_excluded = |(_, mandate): &(usize, &Mandate)| {
            mandate.excluded_stores.iter().any(|excluded| root.starts_with(&excluded.value))
        };
        let is_shown = matches!(session.evidence, Evidence::Transcript | Evidence::Sealed);
        let has_content = || {
            inventory.files(session).iter().any(|index| {
                let artifact = inventory.artifact(*index);
                let is_temp = inventory.store(inventory.store_of(artifact)).store.kind.is_temporary();
                !is_temp && artifact.kind.is_some_and(|kind| kind.row().sensitivity >= Sensitivity::Content)
            })
        };
        !self.mandates.iter().all(is_excluded) && (is_shown || has_content())
    }
}

/// Judges what a group would delete beside what another one deletes anyway; says whether it is refused.
fn judge_group(
    group: &Group<'_>,
    beside: &Group<'_>,
    inventory: &Inventory,
    plan: &Plan,
    judged: &mut Judged,
    ctx: &Context,
) -> bool {
    let Some((_, first)) = group.mandates.first() else { return false };
    let mut load = Load { due: 0, total: 0 };
    for (session, bits) in inventory.sessions.iter().zip(&plan.demanded) {
        if group.counts(inventory, session) {
            load.total += 1;
            load.due += usize::from(group.demands(*bits) && !beside.demands(*bits));
        }
    }
    let patience = if first.is_managed { Patience::MANAGED } else { Patience::OTHERS };
    let grace = MassGrace { now: ctx.env.now, policy: &first.digest, patience };
    // By a clock that is doubted no time has passed.
    let grace = judged.clock_allowed.then_some(grace);
    let refusal = guard::mass(&first.guard.value, load, grace, &mut judged.reports);
    judged.refusals.extend(refusal.iter().map(ToString::to_string));
    refusal.is_some()
}
