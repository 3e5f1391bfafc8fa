//! Carrying out a plan: with progress, until it is done or cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::Context;
use crate::enforce::{self, Outcomes, Stop, Tools};
use crate::inventory::Inventory;
use crate::inventory::liveness::System;
use crate::ledger::{Entry, Journal};
use crate::period::Period;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::seal::Recipients;

/// A plan that is to be carried out.
pub struct Execution<'a> {
    /// For whom.
    pub ctx: &'a Context,
    /// What was found.
    pub inventory: &'a Inventory,
    /// What was decided.
    pub plan: &'a Plan,
    pub policy: &'a Policy,
    /// To whom sessions are sealed; `None` where no rule seals.
    pub recipients: Option<&'a Recipients>,
    /// What stops it between two items.
    pub stop: CancelToken,
    /// What is said beside the bar of progress.
    pub doing: &'static str,
}

impl Execution<'_> {
    /// Carries out the plan, with progress, until it is done or stopped.
    pub fn run(&self, ledger: &mut dyn Journal) -> Outcomes {
        let total = self.plan.decisions.iter().filter(|decision| decision.due().is_some()).count() as u64;
        tracing::debug!(files = total, "carrying out the plan");
        let bar = self.ctx.screen.progress(total, self.doing);
        let tell = || bar.suspend(|| self.ctx.screen.note(STOPPING));
        self.stop.answering(tell, || self.carry_out(ledger, &bar))
    }

    fn carry_out(&self, ledger: &mut dyn Journal, bar: &indicatif::ProgressBar) -> Outcomes {
        let mut tools = Tools {
            ledger,
            processes: &System::default(),
            progress: &|done| bar.inc(done as u64),
            stop: &|| self.stop.asked(),
            recipients: self.recipients,
            now: self.ctx.env.now,
        };
        let mut outcomes = enforce::enforce(self.inventory, self.plan, self.policy, &mut tools);
        bar.finish_and_clear();
        tracing::debug!(stopped = outcomes.stopped.as_ref().map(Stop::word), "carried out the plan");
        // Threads end in any order; two equal runs report the same.
        outcomes.problems.sort_by(|a, b| a.path.cmp(&b.path));
        outcomes
    }

    /// The same, once the opening is in the ledger; nothing is done where it cannot be written.
    pub fn run_after(&self, opening: &[Entry<'_>], ledger: &mut dyn Journal) -> Outcomes {
        match ledger.append(opening, self.ctx.env.now) {
            Ok(()) => self.run(ledger),
            Err(error) => Outcomes::stopped_by(self.inventory.artifacts.len(), Stop::Ledger(error)),
        }
    }
}

/// What a person is told who asks a run to stop.
pub const STOPPING: &str = "stopping after the current session (Ctrl-C again: at once)";

/// How often it is looked whether somebody wants an answer.
const GLANCE: std::time::Duration = std::time::Duration::from_millis(50);

/// Whether the run was asked to stop.
pub struct CancelToken {
    signalled: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl CancelToken {
    /// Asked by a signal, or once this period is over.
    pub fn new(max_runtime: Option<&Period>) -> Self {
        let signalled = Arc::new(AtomicBool::new(false));
        let interrupted = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        super::signals::note_stops(&signalled, &interrupted);
        let most = max_runtime.and_then(Period::span);
        let deadline = most.and_then(|span| Instant::now().checked_add(span.to_std().unwrap_or_default()));
        Self { signalled, interrupted, deadline }
    }

    /// Does some work, and tells a person who asks it to stop meanwhile that this was heard.
    pub fn answering<T>(&self, tell: impl FnOnce() + Send, work: impl FnOnce() -> T) -> T {
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let listener = scope.spawn(|| {
                // Looked at once more when the work is done: whoever asked is answered.
                loop {
                    let is_last = is_done.load(Ordering::Relaxed);
                    if self.asked().is_some_and(|stop| !matches!(stop, Stop::MaxRuntime)) {
                        return tell();
                    }
                    if is_last {
                        return;
                    }
                    std::thread::park_timeout(GLANCE);
                }
            });
            let done = work();
            is_done.store(true, Ordering::Relaxed);
            listener.thread().unpark();
            done
        })
    }

    /// Why it is to stop; `None` while it may go on.
    pub fn asked(&self) -> Option<Stop> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Some(Stop::Interrupt);
        }
        if self.signalled.load(Ordering::Relaxed) {
            return Some(Stop::Signal);
        }
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline).then_some(Stop::MaxRuntime)
    }
}
