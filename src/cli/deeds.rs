//! What the verbs that change stores share: the locks, the deeds themselves, and what stops them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::survey::Ground;
use super::{Context, Exit, Failure};
use crate::catalogue::Root;
use crate::enforce::{self, Outcomes, Stop, Tools, lock};
use crate::escape::shown;
use crate::inventory::Inventory;
use crate::inventory::liveness::System;
use crate::ledger::{Entry, Journal};
use crate::locate::{Refusal, Refused, Store};
use crate::period::{Length, Period};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::report::json::time;
use crate::seal::Recipients;

/// Takes the locks of the stores that may be changed.
///
/// # Errors
/// Exit 75 where another run works, exit 1 where one seems to hang or a store cannot be locked; nothing was touched.
pub fn take_locks(ground: &Ground, ctx: &Context) -> Result<lock::Locks, Failure> {
    let mut locks = lock::Locks::default();
    for at in to_lock(&ground.stores) {
        locks.take(&ground.stores[at]).map_err(|error| unlocked(&error, ctx))?;
    }
    Ok(locks)
}

/// The stores that a run locks, always in one order: config folders that may be changed, and those
/// that share a folder with one. What lies beside them goes with them.
fn to_lock(stores: &[Store]) -> Vec<usize> {
    let is_changed = |store: &&Store| store.kind == Root::Config && store.in_scope;
    let has_lock = |store: &Store| {
        is_changed(&store)
            || (store.without_own_folder().is_none()
                && stores.iter().filter(is_changed).any(|other| store.shares_with(other)))
    };
    let mut found: Vec<usize> = (0..stores.len()).filter(|at| has_lock(&stores[*at])).collect();
    found.sort_by_key(|at| stores[*at].identity);
    found
}

fn unlocked(error: &lock::LockError, ctx: &Context) -> Failure {
    match error {
        lock::LockError::Held { store, since: Some(since) } if lock::is_stuck(*since, ctx.env.now) => {
            let file = store.join("ccretain/lock");
            let message = format!("the lock '{}' has been held since {}", shown(&file), time(*since));
            Failure::new(Exit::Failed, message)
                .hint(format!("`fuser -v '{}'` names the process that holds it", shown(&file)))
        }
        lock::LockError::Held { .. } => {
            Failure::because(Exit::Locked, error).hint("it will be done when that run is")
        }
        // A store that cannot be written to is one that cannot be changed: nothing was touched.
        _ => Failure::because(Exit::Failed, error),
    }
}

/// Takes the locks for a run over all stores: one that cannot be written to is refused, and the others
/// are done. Then reads again what is remembered: what another run remembered until the locks were ours
/// must not be lost.
///
/// # Errors
/// Exit 75 where another run works, exit 4 where what is remembered cannot be read.
pub fn lock(ground: &mut Ground, ctx: &Context) -> Result<lock::Locks, Failure> {
    let mut locks = lock::Locks::default();
    let Ground { stores, refused, .. } = ground;
    for at in to_lock(stores) {
        match locks.take(&stores[at]) {
            Ok(()) => {}
            Err(lock::LockError::File(error)) => {
                let failed = stores[at].clone();
                refuse(&mut stores[at], Refusal::Unlockable(error), refused);
                for store in stores.iter_mut().filter(|store| store.in_scope && store.shares_with(&failed)) {
                    refuse(store, Refusal::SharedUnlockable(failed.root.clone()), refused);
                }
            }
            Err(error) => return Err(unlocked(&error, ctx)),
        }
    }
    ground.reload_state(ctx)?;
    Ok(locks)
}

fn refuse(store: &mut Store, why: Refusal, refused: &mut Vec<Refused>) {
    store.in_scope = false;
    refused.push(Refused { path: store.root.clone(), kind: store.kind, why });
}

/// A plan that is to be carried out.
pub struct Deeds<'a> {
    /// For whom.
    pub ctx: &'a Context,
    /// What was found.
    pub inventory: &'a Inventory,
    /// What was decided.
    pub plan: &'a Plan,
    /// By which policy.
    pub policy: &'a Policy,
    /// To whom sessions are sealed; `None` where no rule seals.
    pub recipients: Option<&'a Recipients>,
    /// What stops it between two items.
    pub stop: Stopper,
    /// What is said beside the bar of progress.
    pub doing: &'static str,
}

impl Deeds<'_> {
    /// Carries out the plan, with progress, until it is done or stopped.
    pub fn carry_out(&self, ledger: &mut dyn Journal) -> Outcomes {
        let total = self.plan.decisions.iter().filter(|decision| decision.due().is_some()).count() as u64;
        let bar = self.ctx.console.progress(total, self.doing);
        let mut tools = Tools {
            ledger,
            processes: &System,
            progress: &|done| bar.inc(done as u64),
            stop: &|| self.stop.asked(),
            recipients: self.recipients,
            now: self.ctx.env.now,
        };
        let mut outcomes = enforce::enforce(self.inventory, self.plan, self.policy, &mut tools);
        bar.finish_and_clear();
        outcomes.problems.sort_by(|a, b| a.0.cmp(&b.0));
        outcomes
    }

    /// The same, once the opening is in the ledger; nothing is done where it cannot be written.
    pub fn carry_out_after(&self, opening: &[Entry<'_>], ledger: &mut dyn Journal) -> Outcomes {
        match ledger.append(opening, self.ctx.env.now) {
            Ok(()) => self.carry_out(ledger),
            Err(error) => Outcomes::stopped_by(self.inventory.artifacts.len(), Stop::Ledger(error)),
        }
    }
}

/// Whether the run was asked to stop.
pub struct Stopper {
    signalled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stopper {
    /// Asked by a signal, or once this period is over.
    pub fn new(max_runtime: Option<&Period>) -> Self {
        let signalled = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        super::signals::note_stops(&signalled);
        let deadline = max_runtime.and_then(|period| match period.length() {
            Length::Span(span) => Instant::now().checked_add(span.to_std().unwrap_or_default()),
            Length::Immediately => Some(Instant::now()),
            Length::Never => None,
        });
        Self { signalled, deadline }
    }

    /// Never: a signal ends the program.
    pub fn never() -> Self {
        Self { signalled: Arc::default(), deadline: None }
    }

    /// Why it is to stop; `None` while it may go on.
    pub fn asked(&self) -> Option<Stop> {
        if self.signalled.load(Ordering::Relaxed) {
            return Some(Stop::Signal);
        }
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline).then_some(Stop::MaxRuntime)
    }
}
