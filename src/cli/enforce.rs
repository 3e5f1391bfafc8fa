//! `ccretain enforce`: the main job.

use std::mem::ManuallyDrop;
use std::path::PathBuf;

use clap::Args;

use super::schedule::LogFormatArg;
use super::{Context, Exit, Failure, surroundings};
use crate::enforce::{Outcome, Outcomes, Stop, preserve};
use crate::escape::text;
use crate::hold::{self, Vanished};
use crate::inventory::memory::Memory;
use crate::inventory::{Inventory, Problem};
use crate::ledger::{Clock, Entry, Event, RunId};
use crate::locate::Store;
use crate::period::Period;
use crate::plan::{self, Plan};
use crate::policy::{Mode, Policy};
use crate::report::human::counted;
use crate::report::{Run, metrics};
use crate::run::guards::{self, Judged};
use crate::run::journal::{self, RunJournal};
use crate::run::{self, Workspace};
use crate::run::{CancelToken, Execution};
use crate::seal::Recipients;
use crate::state::LastRun;
use crate::state::sessions::Remembered;

/// What `enforce` takes.
#[derive(Debug, Clone, Args)]
pub struct EnforceArgs {
    /// Only say what would be done.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask; the guards against a wrong clock and mass deletion stay.
    #[arg(short, long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Stop after this period, as at SIGTERM: between two items and with exit 0; the rest waits for the next run.
    #[arg(long, value_name = "PERIOD")]
    pub max_runtime: Option<Period>,
    /// Leave figures for a Prometheus textfile collector.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Write a line of log about the run to stderr, and errors in the same form.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormatArg>,
}

/// Runs the verb.
///
/// # Errors
/// What kept it from starting; failures of single items are in the report and make exit 1.
pub fn run(args: &EnforceArgs, ctx: &Context) -> Result<Exit, Failure> {
    let mut ground = run::prepare(ctx)?;
    let recipients = if args.dry_run { None } else { recipients(&mut ground.policy, ctx)? };
    let audits = ground.policy.mode() == Mode::Audit;
    let _locks = if args.dry_run || audits { None } else { Some(run::lock_writable(&mut ground, ctx)?) };
    // Never dropped: the program ends with this verb, and freeing a hundred thousand names one by
    // one would be the last thing it does.
    let (inventory, remembered) = ground.inventory_and_memory(ctx);
    let mut inventory = ManuallyDrop::new(inventory);
    let vanished = hold::vanished(&ground.state.state.held, &inventory, &ground.policy, ctx.env.now);
    inventory.problems.extend(vanished.iter().map(|vanished| problem(vanished, &ground.stores)));
    let id = journal::run_id(ctx);
    let policy = &ground.policy;
    let mut plan = plan::plan(&inventory, policy, ctx.env.now);
    let mut judged = guards::judge(&ground, &inventory, &plan, policy, ctx)?;
    if !args.dry_run && !audits {
        judged = consent(args, ctx, &inventory, &plan, policy, judged)?;
        if !judged.refused.is_empty() {
            plan = plan::plan_refusing(&inventory, policy, ctx.env.now, &judged.refused);
        }
    }
    let work = Work { args, ctx, id: &id, inventory: &inventory, plan: &plan, policy };
    if args.dry_run {
        return work.finish(&work.report(None, &ground, &judged), &ground);
    }
    let mut ledger = work.open_ledger(&judged)?;
    // Before the first change: what dated a session must be known also where this run is killed. On a
    // full disk there is room only when something has gone.
    let memory = remembered.filter(|_| !audits).map(|it| (it, plan::memory(&inventory, &plan, policy)));
    let save = |(remembered, memory): &(Remembered, Memory)| {
        run::remembered::remember_sessions(remembered, memory.clone(), ctx)
    };
    let unsaved = memory.filter(|memory| save(memory).is_err());
    let outcomes = if audits {
        None
    } else {
        Some(work.carry_out(&ground, &judged, &vanished, recipients.as_ref(), &mut ledger))
    };
    let report = work.report(outcomes.as_ref(), &ground, &judged);
    let exit = exit_of(&report, &ground);
    let head = ledger.close(summary(&report, exit), ctx.env.now);
    let remembered = LastRun {
        run: id.0.clone(),
        time: surroundings::now(),
        exit: exit.code(),
        // Of a ledger that somebody else keeps nothing is remembered here.
        head: match &head {
            Ok(None) => ground.state.state.last_run.as_ref().and_then(|last| last.head.clone()),
            Ok(head) => head.clone(),
            Err(_) => None,
        },
        refusals: judged.refusals.clone(),
        unfinished: Vec::new(),
        unknown: serde_json::Map::default(),
    };
    let mut exit = work.finish(&report, &ground)?;
    exit = refused(&report).unwrap_or(exit);
    if let Err(failure) = work.leave_traces(&report, exit) {
        ctx.console.failure(&failure);
        exit = exit.or(failure.exit);
    }
    ground.state.state.last_run = Some(remembered);
    ground.state.state.clock = judged.doubt;
    ground.state.state.mass = judged.reports;
    if judged.clock_allowed {
        ground.state.state.saw_undated(&inventory);
    }
    let held = &ground.state.state.held;
    ground.state.state.held =
        hold::remember(held, &inventory, &ground.policy, outcomes.as_ref(), ctx.env.now);
    ground.remember_roots(ctx);
    ground.forget_gone(&inventory);
    if let Some(Err(error)) = unsaved.as_ref().map(save) {
        let failure = Failure::from(error);
        ctx.console.failure(&failure);
        exit = exit.or(failure.exit);
    }
    if let Err(error) = run::remembered::save(&mut ground.state, ctx) {
        let failure = Failure::from(error);
        ctx.console.failure(&failure);
        exit = exit.or(Exit::Failed);
    }
    if let Err(error) = head {
        ctx.console.error(&format!("cannot close the ledger: {error}"));
        exit = exit.or(Exit::Failed);
    }
    Ok(exit)
}

/// To whom this run seals; to nobody, with a complaint, where a plugin had to be run and may not.
fn recipients(policy: &mut Policy, ctx: &Context) -> Result<Option<Recipients>, Failure> {
    let recipients = run::recipients(policy)?;
    if ctx.parent.is_none() || !recipients.as_ref().is_some_and(Recipients::need_programs) {
        return Ok(recipients);
    }
    policy.complaints.push(
        "nothing is sealed: a recipient of the policy needs a plugin, and a run over all users starts no program; \
         run 'ccretain enforce' as the user for that"
            .to_owned(),
    );
    Ok(None)
}

/// Asks before the first change, and lets a person at a terminal overrule the guards.
fn consent(
    args: &EnforceArgs,
    ctx: &Context,
    inventory: &Inventory,
    plan: &Plan,
    policy: &Policy,
    mut judged: Judged,
) -> Result<Judged, Failure> {
    let acting = plan.acting(policy);
    if acting.changes_nothing() || (args.yes && judged.refusals.is_empty()) {
        return Ok(judged);
    }
    if args.yes && !ctx.console.can_ask() {
        return Ok(judged);
    }
    if !ctx.console.can_ask() {
        return Err(Failure::new(Exit::Refused, "there is no terminal to ask, so nothing was touched")
            .hint("look with `ccretain enforce --dry-run`, then run `ccretain enforce --yes`"));
    }
    let would = Run::planned(inventory, plan, policy, &[], &judged.refusals);
    ctx.console.notice(&would.text());
    let files = acting.decisions.iter().filter(|decision| decision.due().is_some()).count() as u64;
    if !ctx
        .console
        .confirm(&format!("Change {} now? Deleted means gone: there is no trash.", counted(files, "file")))
    {
        return Err(Failure::new(Exit::Refused, "not confirmed, so nothing was touched"));
    }
    judged.clock_allowed = true;
    judged.doubt = None;
    judged.refused.clear();
    judged.refusals.clear();
    Ok(judged)
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

/// A run that has been decided on.
struct Work<'a> {
    args: &'a EnforceArgs,
    ctx: &'a Context,
    id: &'a RunId,
    inventory: &'a Inventory,
    plan: &'a Plan,
    policy: &'a Policy,
}

impl<'a> Work<'a> {
    fn open_ledger(&self, judged: &Judged) -> Result<RunJournal, Failure> {
        let clock = if judged.clock_allowed { Clock::Proven } else { Clock::Unproven };
        Ok(RunJournal::open(self.ctx, &self.policy.ledger.value, self.id, clock)?)
    }

    /// Carries out the plan, with progress, until it is done, the time is up or a signal comes.
    fn carry_out(
        &self,
        ground: &Workspace,
        judged: &Judged,
        vanished: &[Vanished],
        recipients: Option<&Recipients>,
        ledger: &mut RunJournal,
    ) -> Outcomes {
        let mut opening = vec![journal::started(&self.policy.digest, None)];
        for store in ground.new_roots(self.ctx) {
            let mut entry = Entry::new(Event::RootSeen);
            entry.store = Some(text(&store.root).into());
            opening.push(entry);
        }
        for refusal in &judged.refusals {
            let mut entry = Entry::new(Event::Refused);
            entry.reason = Some(refusal.clone().into());
            opening.push(entry);
        }
        opening.extend(vanished.iter().map(gone));
        let acting = self.plan.acting(self.policy);
        let deeds = Execution {
            ctx: self.ctx,
            inventory: self.inventory,
            plan: &acting,
            policy: self.policy,
            recipients,
            stop: CancelToken::new(self.args.max_runtime.as_ref()),
            doing: "enforcing",
        };
        deeds.run_after(&opening, ledger)
    }

    fn report<'r>(
        &'r self,
        outcomes: Option<&'r Outcomes>,
        ground: &'r Workspace,
        judged: &'r Judged,
    ) -> Run<'r>
    where
        'a: 'r,
    {
        Run {
            id: &self.id.0,
            inventory: self.inventory,
            plan: self.plan,
            policy: self.policy,
            outcomes,
            refused: &ground.refused,
            refusals: &judged.refusals,
        }
    }

    /// Prints the report and everything that went wrong.
    fn finish(&self, report: &Run<'_>, ground: &Workspace) -> Result<Exit, Failure> {
        let ctx = self.ctx;
        if ctx.global.json {
            ctx.console.json(&report.json(ctx.global.verbose > 0))?;
        } else {
            ctx.console.data(&report.text())?;
            if ctx.global.verbose > 0 {
                ctx.console.data(&report.kept())?;
            }
        }
        let mut exit = Exit::Done;
        if let Some(why) = &ground.policy.suspended {
            ctx.console
                .error(&format!("no policy names a period and the client's own settings give none: {why}"));
            ctx.console.hint("mend those settings, or give `deleteAfter` in a policy of your own");
            exit = Exit::Failed;
        }
        for complaint in &ground.policy.complaints {
            ctx.console.error(complaint);
            exit = Exit::Failed;
        }
        for (path, error) in report.errors() {
            ctx.console.error_about(&path, &error);
            exit = Exit::Failed;
        }
        match report.outcomes.and_then(|outcomes| outcomes.stopped.as_ref()) {
            Some(Stop::Signal) => ctx.console.warning("asked to stop; the rest waits for the next run"),
            Some(Stop::MaxRuntime) => ctx.console.warning("the time is up; the rest waits for the next run"),
            _ => {}
        }
        Ok(exit)
    }

    /// What the run leaves for others to read: a line of log, and figures for a collector.
    fn leave_traces(&self, report: &Run<'_>, exit: Exit) -> Result<(), Failure> {
        let ended = surroundings::now();
        if let Some(format) = self.args.log_format {
            self.ctx.console.log(&match format {
                LogFormatArg::Text => report.log_text(exit.code()),
                LogFormatArg::Json => report.log_json(exit.code(), ended),
            });
        }
        if let Some(file) = &self.args.metrics {
            let figures = report.metrics(exit.code(), ended);
            if let Some(parent) = &self.ctx.parent {
                return parent.figures(figures).map_err(|error| {
                    Failure::new(Exit::Failed, format!("cannot reach the parent: {error}"))
                });
            }
            let path = self.ctx.env.absolute(file);
            metrics::write(&path, &figures).map_err(|error| Failure::because(Exit::Failed, &error))?;
        }
        Ok(())
    }
}

/// The record that closes the run in the ledger.
fn summary(report: &Run<'_>, exit: Exit) -> Entry<'static> {
    let tally = report.tally();
    let audits = report.policy.mode() == Mode::Audit;
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
    let what = if audits { "audit" } else { "enforce" };
    let mut entry = journal::summary(&report.policy.digest, what, &counts, exit.code());
    entry.reason = report.stopped().map(|word| format!("stopped: {word}").into());
    entry
}

/// How a run ends that a guard refused something: as a refusal only where it changed nothing.
fn refused(report: &Run<'_>) -> Option<Exit> {
    let outcomes = report.outcomes.filter(|_| !report.refusals.is_empty())?;
    // What an earlier run left unfinished is nobody's data: its removal is no deed of the plan.
    let mut demanded = report.plan.decisions.iter().zip(outcomes.iter());
    let is_done = demanded
        .any(|(decision, outcome)| decision.due().is_some() && matches!(outcome, Some(Outcome::Done(_))));
    Some(if is_done { Exit::Failed } else { Exit::Refused })
}

fn exit_of(report: &Run<'_>, ground: &Workspace) -> Exit {
    let complaints = !ground.complaints().is_empty();
    match refused(report) {
        Some(exit) => exit,
        None if complaints || !report.errors().is_empty() => Exit::Failed,
        None => Exit::Done,
    }
}
