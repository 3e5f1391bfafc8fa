//! One run of the policy's rules, stage by stage: prepare, settle, execute, record.

use std::borrow::Cow;
use std::mem::ManuallyDrop;

use chrono::{DateTime, Utc};

use super::guards::{self, Judged};
use super::journal::{self, RunJournal};
use super::{
    CancelToken, Context, Error, Execution, Run, Workspace, lock_writable, must_be_unchanged, prepare,
    recipients, remembered,
};
use crate::enforce::{Outcomes, lock::Locks, preserve};
use crate::escape::text;
use crate::hold::{self, Vanished};
use crate::inventory::{ArtifactIndex, Inventory, Problem};
use crate::ledger::{Clock, Entry, Event, RunId};
use crate::locate::Store;
use crate::plan::{self, Plan};
use crate::policy::{Mode, Policy};
use crate::seal::Recipients;
use crate::state::LastRun;
use crate::state::sessions::Remembered;

/// A run of the policy's rules over everything that was found.
pub struct RuleRun<'c> {
    ctx: &'c Context,
    id: RunId,
    is_dry: bool,
    workspace: Workspace,
    // Never dropped: the program ends with this run, and freeing a hundred thousand names one by one
    // would be the last thing it does.
    inventory: ManuallyDrop<Inventory>,
    plan: Plan,
    judged: Judged,
    vanished: Vec<Vanished>,
    recipients: Option<Recipients>,
    sessions: Option<Remembered>,
    _locks: Option<Locks>,
}

/// A run whose plan was carried out, and that is still to be recorded.
pub struct Executed {
    /// What became of the plan; `None` where the policy only reports.
    pub outcomes: Option<Outcomes>,
    journal: RunJournal,
    /// What is remembered of sessions as the disk has it.
    remembered: Option<Remembered>,
}

impl<'c> RuleRun<'c> {
    /// Reads the policy, finds the stores, takes their locks if the run changes anything, decides, and asks the guards.
    ///
    /// # Errors
    /// What kept it from starting; nothing was changed.
    pub fn prepare(ctx: &'c Context, is_dry: bool) -> Result<Self, Error> {
        let mut workspace = prepare(ctx)?;
        // Before anything is touched: a recipient that cannot be used must not be found out session by session.
        let recipients = if is_dry { None } else { usable_recipients(&mut workspace.policy, ctx)? };
        let only_looks = is_dry || workspace.policy.mode() == Mode::Audit;
        // Before the look: what another run removes in between would be planned for, and reported as vanished.
        let locks = if only_looks { None } else { Some(lock_writable(&mut workspace, ctx)?) };
        let (mut inventory, sessions) = workspace.inventory_and_memory(ctx);
        let vanished =
            hold::vanished(&workspace.state.state.held, &inventory, &workspace.policy, ctx.env.now);
        inventory.problems.extend(vanished.iter().map(|vanished| problem(vanished, &workspace.stores)));
        let plan = plan::plan(&inventory, &workspace.policy, ctx.env.now);
        let judged = guards::judge(&workspace, &inventory, &plan, &workspace.policy, ctx)?;
        Ok(Self {
            ctx,
            id: journal::run_id(ctx),
            is_dry,
            workspace,
            inventory: ManuallyDrop::new(inventory),
            plan,
            judged,
            vanished,
            recipients,
            sessions,
            _locks: locks,
        })
    }

    /// Whether the policy only reports.
    pub fn only_reports(&self) -> bool {
        self.policy().mode() == Mode::Audit
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.workspace.policy
    }

    /// What the run works on.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// What the guards refuse, in words.
    pub fn refusals(&self) -> &[String] {
        &self.judged.refusals
    }

    /// The part of the plan that this run acts on.
    pub fn acting(&self) -> Cow<'_, Plan> {
        self.plan.acting(self.policy())
    }

    /// Leaves out of the plan what the guards refuse, unless a person has confirmed all of it.
    pub fn settle(&mut self, is_confirmed: bool) {
        if is_confirmed {
            // A person who sees the time and the table vouches for both.
            self.judged.clock_allowed = true;
            self.judged.doubt = None;
            self.judged.refused.clear();
            self.judged.refusals.clear();
        }
        if !self.judged.refused.is_empty() {
            self.plan = plan::plan_refusing(
                &self.inventory,
                &self.workspace.policy,
                self.ctx.env.now,
                &self.judged.refused,
            );
        }
    }

    /// Opens the ledger and carries out the plan, until it is done or stopped; a policy that only reports changes
    /// nothing.
    ///
    /// # Errors
    /// The ledger cannot be opened, or policy or holds were changed since; nothing was changed.
    pub fn execute(&mut self, stop: CancelToken) -> Result<Executed, Error> {
        let clock = if self.judged.clock_allowed { Clock::Proven } else { Clock::Unproven };
        let (mut journal, cut) =
            RunJournal::open_silently(self.ctx, &self.policy().ledger.value, &self.id, clock)?;
        // A timer's run is heard by its exit alone.
        self.workspace.policy.complaints.extend(cut);
        must_be_unchanged(self.policy(), self.ctx)?;
        // With what others have remembered while a person was asked.
        self.workspace.reload_state(self.ctx)?;
        if self.only_reports() {
            return Ok(Executed { outcomes: None, journal, remembered: None });
        }
        remembered::begin(&self.workspace, self.ctx);
        // Before the first change: what dated a session must be known also where this run is killed.
        let mut remembered = self.sessions.take();
        if let Some(known) = &mut remembered {
            // On a full disk there is room for it only when something has gone.
            let _ = self.save_sessions(known, &|_| false);
        }
        let acting = self.acting();
        let execution = Execution {
            ctx: self.ctx,
            inventory: &self.inventory,
            plan: &acting,
            policy: self.policy(),
            recipients: self.recipients.as_ref(),
            stop,
            doing: "enforcing",
        };
        let outcomes = execution.run_after(&self.opening(), &mut journal);
        Ok(Executed { outcomes: Some(outcomes), journal, remembered })
    }

    /// The records that come before the first change.
    fn opening(&self) -> Vec<Entry<'static>> {
        let mut opening = vec![journal::started(&self.policy().digest, None)];
        opening.extend(self.workspace.new_roots(self.ctx).map(|store| {
            let mut entry = Entry::new(Event::RootSeen);
            entry.store = Some(text(&store.root).into());
            entry
        }));
        opening.extend(self.judged.refusals.iter().map(|refusal| {
            let mut entry = Entry::new(Event::Refused);
            entry.reason = Some(refusal.clone().into());
            entry
        }));
        opening.extend(self.vanished.iter().map(gone));
        opening
    }

    /// Closes the ledger and keeps what later runs must know; gives what could not be kept.
    pub fn record(
        &mut self,
        executed: Executed,
        exit: u8,
        ended: DateTime<Utc>,
    ) -> (Option<Outcomes>, Vec<Error>) {
        // The journal is dropped at the end: its lock is that of what is remembered, too.
        let Executed { outcomes, mut journal, remembered } = executed;
        let closed = journal.close(self.summary(outcomes.as_ref(), exit), self.ctx.env.now);
        let last = self.last_run(exit, ended);
        let state = &mut self.workspace.state.state;
        state.last_run = Some(last);
        state.clock = self.judged.doubt;
        state.mass = std::mem::take(&mut self.judged.reports);
        if self.judged.clock_allowed {
            state.saw_undated(&self.inventory);
        }
        state.held = hold::remember(
            &state.held,
            &self.inventory,
            &self.workspace.policy,
            outcomes.as_ref(),
            self.ctx.env.now,
        );
        self.workspace.remember_roots(self.ctx);
        self.workspace.forget_gone(&self.inventory);
        let mut failed = Vec::new();
        // Again, now that something has gone; a full disk may have room.
        if let (Some(mut known), Some(outcomes)) = (remembered, &outcomes) {
            failed.extend(self.save_sessions(&mut known, &|file| outcomes.is_gone(file)).err());
        }
        failed.extend(remembered::save(&mut self.workspace.state, self.ctx).err());
        failed.extend(closed.err().map(Error::Unclosed));
        (outcomes, failed)
    }

    fn save_sessions(
        &self,
        known: &mut Remembered,
        is_gone: &dyn Fn(ArtifactIndex) -> bool,
    ) -> Result<(), Error> {
        let memory = plan::memory(&self.inventory, &self.plan, self.policy(), is_gone);
        remembered::remember_sessions(known, memory.clone(), self.ctx)?;
        known.memory = memory;
        Ok(())
    }

    fn last_run(&self, exit: u8, ended: DateTime<Utc>) -> LastRun {
        LastRun {
            run: self.id.0.clone(),
            time: ended,
            exit,
            is_recorded_elsewhere: self.ctx.parent.is_some(),
            refusals: self.judged.refusals.clone(),
            unfinished: Vec::new(),
            unknown: serde_json::Map::default(),
        }
    }

    /// The record that closes the run in the ledger.
    fn summary(&self, outcomes: Option<&Outcomes>, exit: u8) -> Entry<'static> {
        let view = self.view(outcomes);
        let tally = view.tally();
        let counts = [
            ("kept", tally.kept),
            ("deleted", tally.deleted),
            ("sealed", tally.sealed),
            ("pruned", tally.pruned),
            ("skipped", tally.skipped),
            ("failed", tally.failed),
            ("prunedLines", tally.pruned_lines),
            ("bytesFreed", tally.bytes_freed),
            ("sessionsKept", tally.sessions_kept),
            ("sessionsDeleted", tally.sessions_deleted),
            ("sessionsSealed", tally.sessions_sealed),
            ("held", tally.held),
            ("live", tally.live),
            ("unrecognised", tally.unrecognised),
            ("audit", tally.audit),
        ];
        let what = if self.only_reports() { "audit" } else { "enforce" };
        let mut entry = journal::summary(&self.policy().digest, what, &counts, exit);
        entry.reason = view.stopped().map(|word| format!("stopped: {word}").into());
        entry
    }

    /// The run as reports see it.
    pub fn view<'r>(&'r self, outcomes: Option<&'r Outcomes>) -> Run<'r> {
        let (refused, refusals) = (&self.workspace.refused, &self.judged.refusals);
        Run {
            id: &self.id.0,
            is_dry: self.is_dry,
            outcomes,
            ..Run::planned(&self.inventory, &self.plan, self.policy(), refused, refusals)
        }
    }
}

/// To whom this run seals; to nobody, with a complaint, where a plugin had to be run and may not.
fn usable_recipients(policy: &mut Policy, ctx: &Context) -> Result<Option<Recipients>, Error> {
    let recipients = recipients(policy)?;
    // A program that a child starts would run outside of what closes the child to its user.
    if ctx.parent.is_none() || !recipients.as_ref().is_some_and(Recipients::need_programs) {
        return Ok(recipients);
    }
    policy.complaints.push(
        "nothing is sealed: a recipient of the policy needs a plugin, and a run over all users starts no program; \
         run `ccretain enforce` as the user for that"
            .to_owned(),
    );
    Ok(None)
}

/// A held session that has vanished, as something that could not be read.
fn problem(vanished: &Vanished, stores: &[Store]) -> Problem {
    let copies = stores.iter().find(|store| store.root == vanished.store).map(preserve::all);
    let is_preserved = copies.and_then(Result::ok).is_some_and(|copies| {
        copies.iter().any(|copy| copy.hold == vanished.hold && copy.session.to_string() == vanished.session)
    });
    let way_back = if is_preserved {
        format!("; `ccretain hold restore {}` puts it back", vanished.session)
    } else {
        String::new()
    };
    let what = format!(
        "session {}, held by '{}', has vanished since the last run, and ccretain did not remove it{way_back}",
        vanished.session,
        text(&vanished.hold)
    );
    Problem {
        store: None,
        path: vanished.store.clone(),
        doing: "find what is held in",
        error: std::io::Error::other(what),
    }
}

/// The record of a held session that has vanished.
fn gone(vanished: &Vanished) -> Entry<'static> {
    let mut entry = Entry::new(Event::HeldVanished);
    entry.hold = Some(text(&vanished.hold).into());
    entry.store = Some(text(&vanished.store).into());
    entry.session = Some(vanished.session.clone().into());
    entry
}
