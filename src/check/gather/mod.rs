//! Gathering what a verdict is made from: for a check, and for the findings in a report.

mod machine;
mod runs;

use chrono::{DateTime, TimeDelta, Utc};

use super::facts::{LedgerFact, PolicyFacts, RefusedFact};
use super::modes::Repair;
use super::{Facts, look, modes, parked, returned, untried};
use crate::catalogue::Root;
use crate::enforce::lock;
use crate::error::chain;
use crate::escape::{shown, text};
use crate::hold;
use crate::inventory::{Inventory, OUT_OF_REACH, Problem};
use crate::ledger::Record;
use crate::locate::{Refusal, Store};
use crate::plan::{self, Plan};
use crate::policy::{self, Mode, Policy};
use crate::run::{self, Context, Error, Workspace, guards};
use crate::state::StateFile;
use machine::{clients, exposed, loose, readable};
use runs::{runs, unrecognised_before};

pub use machine::{host, machine_id};

/// Everything that was gathered.
pub struct Posture {
    /// What the verdict is made from.
    pub facts: Facts,
    /// Policy, state and stores; an invalid policy is replaced by one that judges nothing.
    pub ground: Workspace,
    /// What was found.
    pub inventory: Inventory,
    /// What is decided; `None` where the policy cannot be used.
    pub plan: Option<Plan>,
    /// What `--fix` would repair.
    pub repair: Repair,
    /// The summaries of the last runs, the newest first.
    pub runs: Vec<Record>,
}

impl Posture {
    /// The policy, where it can be used.
    pub fn policy(&self) -> Option<&Policy> {
        self.plan.as_ref().map(|_| &self.ground.policy)
    }
}

/// Looks at everything.
///
/// # Errors
/// A policy that was named and cannot be used, as everywhere; any other is a finding.
pub fn gather(grace: TimeDelta, repairs: bool, ctx: &Context) -> Result<Posture, Error> {
    let (policy, invalid) = match run::in_force(ctx) {
        Ok(policy) => (policy, None),
        // Who names a file wants that one.
        Err(error) if ctx.policy.is_some() => return Err(error),
        Err(error) => (nothing(ctx)?, Some(chain(&error))),
    };
    let (state, state_error) = match run::remembered::remembered(&policy, ctx) {
        Ok((state, unused)) => (state, unused.into_iter().next()),
        Err(error) => (forgotten(ctx)?, Some(chain(&error))),
    };
    let ground = run::locate(ctx, policy, state, Vec::new());
    let inventory = ground.inventory(ctx);
    let now = ctx.env.now;
    let plan = invalid.is_none().then(|| plan::plan(&inventory, &ground.policy, now));
    let mut facts = Facts { now, grace, ..Facts::default() };
    facts.policy = of_policy(&ground.policy, invalid);
    facts.untried = untried::look(&inventory);
    facts.stores = look::stores(&inventory, plan.as_ref(), now, grace);
    let mut summaries = Vec::new();
    facts.runs = runs(&ground, &mut summaries, ctx);
    facts.runs.state = state_error;
    facts.runs.locked = locked(&ground, ctx);
    if let Some(plan) = &plan {
        of_plan(&mut facts, plan, &ground, &inventory, &summaries, ctx);
    }
    let recipients = run::recipients(&ground.policy);
    if let Err(error) = &recipients {
        facts.policy.complaints.push(chain(error));
    }
    facts.sealed = look::sealed(&inventory, recipients.ok().flatten().as_ref());
    unseen(&mut facts, &ground, &inventory);
    let (seen, repair) = modes::look(&inventory, repairs);
    facts.modes = seen;
    facts.modes.own = readable(ctx);
    facts.modes.loose = loose(ctx);
    match returned::look(&inventory, ctx) {
        Ok(found) => facts.came_back = found,
        // What it needs of the ledger is a finding already.
        Err(_) if facts.runs.ledger != LedgerFact::Sound => {}
        Err(why) => facts.runs.ledger = LedgerFact::Unreadable(why),
    }
    let roots: Vec<_> = ground
        .stores
        .iter()
        .filter(|store| !store.kind.holds_strays())
        .map(|store| store.root.clone())
        .collect();
    facts.exposure = exposed(&roots, &run::moved::evidence(&ground, ctx), ctx);
    facts.clients = clients(&ground, &inventory, plan.as_ref(), ctx);
    Ok(Posture { facts, ground, inventory, plan, repair, runs: summaries })
}

/// What the plan shows.
fn of_plan(
    facts: &mut Facts,
    plan: &Plan,
    ground: &Workspace,
    inventory: &Inventory,
    summaries: &[Record],
    ctx: &Context,
) {
    facts.unruled = look::unruled(inventory, plan, &ground.policy);
    // Each file that stays is opened for it, which only a policy that a user may want to evade is worth.
    if ground.policy.is_managed() {
        let parked = parked::look(inventory, plan, facts.now);
        facts.past_due = plan::past_due(inventory, &ground.policy, &parked, facts.now, facts.grace);
    }
    facts.left_copies = look::left_copies(inventory, &ground.policy);
    facts.unruled.unrecognised_before = unrecognised_before(summaries, ctx);
    match guards::judge(ground, inventory, plan, &ground.policy, ctx) {
        Ok(judged) => {
            let new = judged.refusals.into_iter();
            facts.runs.refusals.extend(new.filter(|refusal| !is_known(ground, refusal)));
        }
        // What it needs of the ledger is a finding already.
        Err(_) if facts.runs.ledger != LedgerFact::Sound => {}
        Err(error) => facts.runs.ledger = LedgerFact::Unreadable(chain(&error)),
    }
    facts.vanished = hold::vanished(&ground.state.state.held, inventory, &ground.policy, facts.now)
        .iter()
        .map(|gone| {
            format!("session {}, held by '{}', in '{}'", gone.session, text(&gone.hold), shown(&gone.store))
        })
        .collect();
}

/// What could not be looked at.
fn unseen(facts: &mut Facts, ground: &Workspace, inventory: &Inventory) {
    facts.refused = ground
        .refused
        .iter()
        .filter(|refused| !refused.is_note())
        .map(|refused| RefusedFact {
            path: refused.path.clone(),
            why: refused.why.to_string(),
            is_missing: refused.why.is_absence(),
        })
        .collect();
    let (missed, unread): (Vec<&Problem>, Vec<&Problem>) =
        inventory.problems.iter().partition(|problem| problem.doing == OUT_OF_REACH);
    let told =
        |problem: &&Problem| (text(&problem.path), format!("cannot {} it: {}", problem.doing, problem.error));
    facts.unread = unread.iter().map(told).collect();
    facts.out_of_reach = missed.iter().map(told).collect();
    let refused = ground.refused.iter().filter(|refused| matches!(refused.why, Refusal::OwnFolder(_)));
    facts.out_of_reach.extend(refused.map(|refused| (text(&refused.path), refused.why.to_string())));
}

/// A policy that nobody wrote: what stands in for one that cannot be used.
pub fn nothing(ctx: &Context) -> Result<Policy, Error> {
    Ok(policy::built_in(&ctx.env)?)
}

/// State that remembers nothing: what stands in for one that cannot be read. Never saved.
fn forgotten(ctx: &Context) -> Result<StateFile, Error> {
    // A folder that does not exist: an empty state, and no way of writing it over the one that cannot be read.
    StateFile::load(&ctx.env.state_dir().join(".no-state")).map_err(Error::State)
}

/// What is to be said of the machine in a check over all users; of everything else the accounts' own checks tell.
#[cfg(unix)]
pub fn of_machine(policy: &Policy, invalid: Option<String>, ctx: &Context) -> Facts {
    let place = run::journal::place_of_all(ctx);
    let mut facts = Facts { now: ctx.env.now, ..Facts::default() };
    facts.runs.ledger = runs::ledger_fact(&place, policy, ctx);
    facts.runs.unwritable = runs::unwritable(&place.dir);
    facts.policy.invalid = invalid;
    facts
}

fn of_policy(policy: &Policy, invalid: Option<String>) -> PolicyFacts {
    if invalid.is_some() {
        return PolicyFacts { invalid, ..PolicyFacts::default() };
    }
    PolicyFacts {
        invalid: None,
        complaints: policy.complaints.clone(),
        ignored: policy.ignored.iter().map(|path| format!("'{}'", shown(path))).collect(),
        suspended: policy.suspended.clone(),
        audits: policy.mode() == Mode::Audit,
    }
}

/// The stores of which the lock is held for too long.
fn locked(ground: &Workspace, ctx: &Context) -> Vec<(String, DateTime<Utc>)> {
    let since = |store: &Store| {
        let since = lock::held_since(store).filter(|since| lock::is_stuck(*since, ctx.env.now))?;
        Some((text(&store.root), since))
    };
    ground.stores.iter().filter(|store| store.kind == Root::Config).filter_map(since).collect()
}

fn is_known(ground: &Workspace, refusal: &str) -> bool {
    let last = ground.state.state.last_run.as_ref();
    last.is_some_and(|last| last.refusals.iter().any(|known| known == refusal))
}
