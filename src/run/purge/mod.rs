//! A purge, in stages: look, plan, execute, look again, certify, remember.

mod again;
pub mod certificate;
mod clock;
mod identity;
mod look;
mod memory;
mod records;

use std::path::PathBuf;
use std::time::Instant;

use chrono::{DateTime, Utc};

use super::{CancelToken, Context, Error, Execution, Run, Workspace, journal, must_be_unchanged, remembered};
use crate::enforce::Outcomes;
use crate::enforce::lock::Locks;
use crate::inventory::Inventory;
use crate::ledger::{RunId, SealedRecords};
use crate::locate::{Refusal, Refused};
use crate::plan::purge::{self as taking, Purging, Wanted};
use crate::policy::Policy;
use crate::purge::acting;
use crate::purge::aftermath::Aftermath;
use crate::purge::certificate::{Identity, Scope, Verdict, Witness, judge};
use crate::run::journal::RunJournal;

pub use again::After;
use again::sealed_here;
pub use certificate::Request;
#[cfg(unix)]
pub use certificate::of_all;
pub use clock::ClockSays;
use look::Found;
pub use look::{Located, Look};

/// What the ledger calls it.
pub const COMMAND: &str = "purge";

/// A purge that has been decided on, with everything locked that it may change.
pub struct PurgeRun<'a> {
    pub ctx: &'a Context,
    pub request: &'a Request,
    pub id: RunId,
    pub workspace: Workspace,
    pub inventory: Inventory,
    pub wanted: Wanted,
    pub purging: Purging,
    /// The policy that it is carried out by: the one in force, with the purge as its only rule.
    pub acting: Policy,
    pub clock: ClockSays,
    found: Found,
    /// What was sealed here, by the ledger; `None` where the parent keeps it.
    sealed_here: Option<SealedRecords>,
    began: Instant,
    _locks: Option<Locks>,
}

pub struct Done {
    pub outcomes: Outcomes,
    pub after: After,
    pub aftermath: Aftermath,
    pub verdict: Verdict,
    pub scope: Scope,
    pub identity: Identity,
    pub witness: Witness,
}

impl<'a> PurgeRun<'a> {
    /// Decides what goes, by what was found and is wanted.
    ///
    /// # Errors
    /// Exit 4: the ledger or its key cannot be read.
    pub fn plan(
        ctx: &'a Context,
        request: &'a Request,
        look: Look,
        wanted: Wanted,
        began: Instant,
    ) -> Result<Self, Error> {
        let Look { workspace, inventory, found, locks } = look;
        // Before anybody is asked: what a person agrees to is what is then done.
        let purging = taking::purge(&inventory, &workspace.policy, &wanted, ctx.env.now);
        let clock = ClockSays::ask(ctx, &workspace, &inventory, &wanted)?;
        // Before the first change, after which nothing may keep a purge from its summary and its certificate.
        let sealed_here = sealed_here(ctx, &inventory)?;
        let (id, acting) = (journal::run_id(ctx), acting(&workspace.policy));
        Ok(Self {
            ctx,
            request,
            id,
            workspace,
            inventory,
            wanted,
            purging,
            acting,
            clock,
            found,
            sealed_here,
            began,
            _locks: locks,
        })
    }

    /// The time now: that of the start and what has passed since.
    pub fn now(&self) -> DateTime<Utc> {
        // By the clock of the start and what has passed: a clock that is set meanwhile cannot make a purge end
        // before it began.
        let passed = chrono::TimeDelta::from_std(self.began.elapsed()).unwrap_or_default();
        self.ctx.env.now.checked_add_signed(passed).unwrap_or(self.ctx.env.now)
    }

    /// The run as reports see it.
    pub fn view<'r>(&'r self, outcomes: Option<&'r Outcomes>, refusals: &'r [String]) -> Run<'r> {
        let (plan, refused) = (&self.purging.plan, &self.workspace.refused);
        let planned = Run::planned(&self.inventory, plan, &self.acting, refused, refusals);
        Run { id: &self.id.0, outcomes, ..planned }
    }

    /// Whether what was refused is of what was asked for.
    pub fn is_meant(&self, refused: &Refused) -> bool {
        self.ctx.is_meant(refused)
    }

    /// Opens the ledger; its times are as certain as the clock is to whoever agreed.
    ///
    /// # Errors
    /// Exit 4 where there can be no evidence, or policy or holds were changed since, 75 where another run writes;
    /// nothing was changed.
    pub fn open_ledger(&self, witness: Witness) -> Result<RunJournal, Error> {
        let policy = &self.workspace.policy.ledger.value;
        let journal = RunJournal::open(self.ctx, policy, &self.id, self.clock.kind(witness))?;
        must_be_unchanged(&self.workspace.policy, self.ctx)?;
        Ok(journal)
    }

    /// Removes what goes, looks again, and says what it came to.
    pub fn execute(&self, witness: Witness, ledger: &mut RunJournal) -> Done {
        remembered::begin(&self.workspace, self.ctx);
        // With the first record, so that no hold is broken without a trace where the run dies early.
        let mut opening = vec![self.started()];
        opening.extend(self.purging.broken.iter().map(|stop| self.broken(stop)));
        let deeds = Execution {
            ctx: self.ctx,
            inventory: &self.inventory,
            plan: &self.purging.plan,
            policy: &self.acting,
            recipients: None,
            stop: CancelToken::new(None),
            doing: "purging",
        };
        let outcomes = deeds.run_after(&opening, ledger);
        let after = self.look_again();
        // After the second look, which alone says whether anything is left that it opens.
        let (identity, kept) = self.destroy_identity(&outcomes, &after, ledger);
        let mut aftermath = self.sum_up(&outcomes, &after);
        aftermath.exceptions.extend(kept);
        let scope = self.scope(&after.refused_beside);
        let verdict = judge(&scope, &aftermath.exceptions, &aftermath.remaining, &aftermath.verification);
        Done { outcomes, after, aftermath, verdict, scope, identity, witness }
    }
}

impl Context {
    /// The stores that were named, by their paths.
    pub(super) fn named_stores(&self) -> Vec<PathBuf> {
        self.stores.iter().map(|path| self.env.absolute(path)).collect()
    }

    /// Whether what was refused is of what was asked for.
    pub fn is_meant(&self, refused: &Refused) -> bool {
        let only = self.named_stores();
        // Only what may be changed is locked, and it bears its real path.
        only.is_empty() || only.contains(&refused.path) || matches!(refused.why, Refusal::Unlockable(_))
    }
}
