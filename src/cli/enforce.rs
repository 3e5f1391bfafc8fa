//! `ccretain enforce`: the main job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::EnforceArgs;
use super::evidence::{self, Evidence};
use super::survey::{self, Ground};
use super::{Context, Exit, Failure};
use crate::catalogue::Root;
use crate::enforce::{self, Outcomes, Stop, Tools, lock};
use crate::escape::text;
use crate::guard::{self, ClockSight, ClockVerdict, Load, MassGrace};
use crate::hold::{self, Vanished};
use crate::inventory::liveness::System;
use crate::inventory::{Inventory, Problem};
use crate::ledger::{Clock, Entry, Event, Journal as _, RunId};
use crate::period::Period;
use crate::plan::{self, Decision, Plan};
use crate::policy::{Mode, Policy};
use crate::report::Run;
use crate::report::human::counted;
use crate::seal::Recipients;
use crate::state::LastRun;

/// Runs the verb.
///
/// # Errors
/// What kept it from starting; failures of single items are in the report and make exit 1.
pub fn run(args: &EnforceArgs, ctx: &Context) -> Result<Exit, Failure> {
    let mut ground = survey::ground(ctx)?;
    let only_looks = args.dry_run || ground.policy.mode() == Mode::Audit;
    let _locks = if only_looks { None } else { Some(take_locks(&ground)?) };
    let mut inventory = ground.inventory(ctx);
    let vanished = hold::vanished(&ground.state.state.held, &inventory, &ground.policy, ctx.env.now);
    inventory.problems.extend(vanished.iter().map(problem));
    let id = evidence::run_id(ctx);
    let policy = if args.dry_run { ground.policy.clone() } else { ground.policy.acting() };
    let mut plan = plan::plan(&inventory, &policy, ctx.env.now);
    let mut judged = judge(&ground, &inventory, &plan, &policy, ctx)?;
    judged.vanished = vanished;
    if args.dry_run {
        let report = report(&id, &inventory, &plan, &policy, None, &ground, &judged.refusals);
        return finish(args, ctx, &report, &ground);
    }
    judged = consent(args, ctx, &inventory, &plan, &policy, judged)?;
    let refused_policy = judged.without(&policy);
    if let Some(policy) = &refused_policy {
        plan = plan::plan(&inventory, policy, ctx.env.now);
    }
    if !judged.clock_allowed {
        plan = plan.without_removals();
    }
    let recipients = survey::recipients(&policy)?;
    let clock = if judged.clock_allowed { Clock::Proven } else { Clock::Unproven };
    let mut ledger = Evidence::open(ctx, &policy.ledger.value, &id, clock)?;
    let outcomes =
        carry_out(args, ctx, &inventory, &plan, &policy, &judged, recipients.as_ref(), &mut ledger);
    let report = report(&id, &inventory, &plan, &policy, Some(&outcomes), &ground, &judged.refusals);
    let exit = exit_of(&report, &ground, &judged);
    let head = ledger.close(summary(&report, &policy, exit), ctx.env.now);
    let remembered = LastRun {
        run: id.0.clone(),
        time: ctx.env.now,
        exit: exit.code(),
        // Of a ledger that somebody else keeps nothing is remembered here.
        head: match &head {
            Ok(None) => ground.state.state.last_run.as_ref().and_then(|last| last.head.clone()),
            Ok(head) => head.clone(),
            Err(_) => None,
        },
        refusals: judged.refusals.clone(),
        unknown: serde_json::Map::default(),
    };
    let exit = finish(args, ctx, &report, &ground)?;
    drop(report);
    ground.state.state.last_run = Some(remembered);
    ground.state.state.clock = judged.doubt;
    ground.state.state.mass = judged.reports;
    ground.state.state.held =
        hold::remember(&ground.state.state.held, &inventory, &ground.policy, Some(&outcomes), ctx.env.now);
    ground.remember_roots(ctx);
    if let Err(error) = ground.state.save() {
        ctx.console.failure(&Failure::because(Exit::Failed, &error));
        return Ok(worse(exit, Exit::Failed));
    }
    if let Err(error) = head {
        ctx.console.error(&format!("cannot close the ledger: {error}"));
        return Ok(worse(exit, Exit::Failed));
    }
    Ok(if judged.refusals.is_empty() { exit } else { Exit::Refused })
}

fn take_locks(ground: &Ground) -> Result<lock::Locks, Failure> {
    let stores = ground.stores.iter().filter(|store| store.kind == Root::Config && store.in_scope);
    lock::all(stores).map_err(|error| match error {
        lock::LockError::Held(_) => {
            Failure::because(Exit::Locked, &error).hint("it will be done when that run is")
        }
        // A store that cannot be written to is one that cannot be changed: nothing was touched.
        _ => Failure::because(Exit::Failed, &error),
    })
}

/// What the guards say, and what they want remembered.
pub(super) struct Judged {
    clock_allowed: bool,
    /// The mandates that may not delete, because it would be too much.
    refused_mandates: Vec<usize>,
    pub(super) refusals: Vec<String>,
    doubt: Option<guard::ClockDoubt>,
    reports: Vec<guard::MassReport>,
    /// What was held and is gone, though nothing of ours removed it.
    vanished: Vec<Vanished>,
}

/// A held session that has vanished, as something that could not be read.
fn problem(vanished: &Vanished) -> Problem {
    let what = format!(
        "session {}, held by '{}', has vanished since the last run, and ccretain did not remove it",
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

impl Judged {
    /// The policy without the mandates that were refused; `None` if none was.
    fn without(&self, policy: &Policy) -> Option<Policy> {
        if self.refused_mandates.is_empty() {
            return None;
        }
        let mut rest = policy.clone();
        let mut at = 0;
        rest.mandates.retain(|_| {
            at += 1;
            !self.refused_mandates.contains(&(at - 1))
        });
        Some(rest)
    }
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
    let ledger = evidence::last_time(ctx)?;
    let sight = ClockSight { now: ctx.env.now, built: ctx.env.built, ledger, stores: inventory.newest_date };
    let (verdict, doubt) = guard::clock(&sight, state.clock.as_ref());
    let mut judged = Judged {
        clock_allowed: verdict.is_allowed(),
        refused_mandates: Vec::new(),
        refusals: Vec::new(),
        doubt,
        reports: state.mass.clone(),
        vanished: Vec::new(),
    };
    let removes = |decision: &Decision| matches!(decision, Decision::Delete(_) | Decision::Prune(_));
    if let ClockVerdict::Refused(refusal) = verdict {
        if plan.decisions.iter().any(removes) {
            judged.refusals.push(refusal.to_string());
        }
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

/// Asks before the first change, and lets a person at a terminal overrule the guards.
fn consent(
    args: &EnforceArgs,
    ctx: &Context,
    inventory: &Inventory,
    plan: &Plan,
    policy: &Policy,
    mut judged: Judged,
) -> Result<Judged, Failure> {
    if plan.changes_nothing() || (args.yes && judged.refusals.is_empty()) {
        return Ok(judged);
    }
    if args.yes && !ctx.console.can_ask() {
        return Ok(judged);
    }
    if !ctx.console.can_ask() {
        return Err(Failure::new(Exit::Refused, "there is no terminal to ask, so nothing was touched")
            .hint("look with `ccretain enforce --dry-run`, then run `ccretain enforce --yes`"));
    }
    let would =
        Run { id: "", inventory, plan, policy, outcomes: None, refused: &[], refusals: &judged.refusals };
    ctx.console.notice(&would.text());
    let files = plan.decisions.iter().filter(|decision| decision.due().is_some()).count() as u64;
    if !ctx
        .console
        .confirm(&format!("Change {} now? Deleted means gone: there is no trash.", counted(files, "file")))
    {
        return Err(Failure::new(Exit::Refused, "not confirmed, so nothing was touched"));
    }
    judged.clock_allowed = true;
    judged.doubt = None;
    judged.refused_mandates.clear();
    judged.refusals.clear();
    Ok(judged)
}

/// Carries out the plan, with progress, until it is done, the time is up or a signal comes.
fn carry_out(
    args: &EnforceArgs,
    ctx: &Context,
    inventory: &Inventory,
    plan: &Plan,
    policy: &Policy,
    judged: &Judged,
    recipients: Option<&Recipients>,
    ledger: &mut Evidence,
) -> Outcomes {
    let mut first = Entry::new(Event::Started);
    first.policy = Some(policy.digest.clone().into());
    let mut opening = vec![first];
    for refusal in &judged.refusals {
        let mut entry = Entry::new(Event::Refused);
        entry.reason = Some(refusal.clone().into());
        opening.push(entry);
    }
    for gone in &judged.vanished {
        let mut entry = Entry::new(Event::HeldVanished);
        entry.hold = Some(text(&gone.hold).into());
        entry.store = Some(text(&gone.store).into());
        entry.session = Some(gone.session.clone().into());
        opening.push(entry);
    }
    let stop = Stopper::new(args.max_runtime.as_ref());
    let total = plan.decisions.iter().filter(|decision| decision.due().is_some()).count() as u64;
    let bar = ctx.console.progress(total, "enforcing");
    let mut outcomes = match ledger.append(&opening, ctx.env.now) {
        Ok(()) => enforce::enforce(
            inventory,
            plan,
            policy,
            &mut Tools {
                ledger,
                processes: &System,
                progress: &|done| bar.inc(done as u64),
                stop: &|| stop.asked(),
                recipients,
                now: ctx.env.now,
            },
        ),
        Err(error) => Outcomes::stopped_by(inventory.artifacts.len(), Stop::Ledger(error)),
    };
    bar.finish_and_clear();
    outcomes.problems.sort_by(|a, b| a.0.cmp(&b.0));
    outcomes
}

/// Whether the run was asked to stop.
struct Stopper {
    signalled: Arc<AtomicBool>,
    deadline: Option<std::time::Instant>,
}

impl Stopper {
    fn new(max_runtime: Option<&Period>) -> Self {
        let signalled = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            // Without the handler the signal ends the program at once, which loses nothing either.
            let _ = signal_hook::flag::register(signal, Arc::clone(&signalled));
        }
        let deadline = max_runtime.and_then(|period| match period.length() {
            crate::period::Length::Span(span) => {
                std::time::Instant::now().checked_add(span.to_std().unwrap_or_default())
            }
            crate::period::Length::Immediately => Some(std::time::Instant::now()),
            crate::period::Length::Never => None,
        });
        Self { signalled, deadline }
    }

    fn asked(&self) -> Option<Stop> {
        if self.signalled.load(Ordering::Relaxed) {
            return Some(Stop::Signal);
        }
        self.deadline
            .is_some_and(|deadline| std::time::Instant::now() >= deadline)
            .then_some(Stop::MaxRuntime)
    }
}

fn report<'a>(
    id: &'a RunId,
    inventory: &'a Inventory,
    plan: &'a Plan,
    policy: &'a Policy,
    outcomes: Option<&'a Outcomes>,
    ground: &'a Ground,
    refusals: &'a [String],
) -> Run<'a> {
    Run { id: &id.0, inventory, plan, policy, outcomes, refused: &ground.refused, refusals }
}

/// The record that closes the run in the ledger.
fn summary(report: &Run<'_>, policy: &Policy, exit: Exit) -> Entry<'static> {
    let tally = report.tally();
    let mut entry = Entry::new(Event::Summary);
    entry.policy = Some(policy.digest.clone().into());
    entry.decision = Some("enforce".into());
    entry.counts = [
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
        ("exit", u64::from(exit.code())),
    ]
    .into_iter()
    .map(|(name, count)| (name.into(), count))
    .collect();
    entry
}

fn exit_of(report: &Run<'_>, ground: &Ground, judged: &Judged) -> Exit {
    let complaints = !ground.policy.complaints.is_empty() || ground.policy.suspended.is_some();
    if !judged.refusals.is_empty() {
        Exit::Refused
    } else if complaints || !report.errors().is_empty() {
        Exit::Failed
    } else {
        Exit::Done
    }
}

/// Prints the report and everything that went wrong.
fn finish(args: &EnforceArgs, ctx: &Context, report: &Run<'_>, ground: &Ground) -> Result<Exit, Failure> {
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
        let place = if path.is_empty() { String::new() } else { format!("'{path}': ") };
        ctx.console.error(&format!("{place}{error}"));
        exit = Exit::Failed;
    }
    if !args.dry_run {
        for refusal in report.refusals {
            ctx.console.error(refusal);
        }
    }
    match report.outcomes.and_then(|outcomes| outcomes.stopped.as_ref()) {
        Some(Stop::Signal) => ctx.console.warning("asked to stop; the rest waits for the next run"),
        Some(Stop::MaxRuntime) => ctx.console.warning("the time is up; the rest waits for the next run"),
        _ => {}
    }
    Ok(exit)
}

fn worse(one: Exit, other: Exit) -> Exit {
    if one == Exit::Done { other } else { one }
}
