//! `ccretain enforce`: the main job.

use std::path::PathBuf;

use clap::Args;

use super::context::{Context, Exit, Failure};
use super::schedule::LogFormatArg;
use super::{named, surroundings, vault};
use crate::enforce::{Outcome, Outcomes, Stop};
use crate::period::Period;
use crate::report::enforce::Detail;
use crate::run::{CancelToken, RuleRun, Run, Workspace};

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

/// Runs the command.
///
/// # Errors
/// What kept it from starting; failures of single items are in the report and make exit 1.
pub fn run(args: &EnforceArgs, ctx: &Context) -> Result<Exit, Failure> {
    let mut run = RuleRun::prepare(ctx, args.dry_run)?;
    let mut detail = Detail::of(ctx.global.verbose);
    if args.dry_run {
        return print(&run.view(None), detail, run.workspace(), ctx);
    }
    if !run.only_reports() {
        // Asked with the locks taken: what a person agrees to is what the run then does.
        let is_confirmed = consent(args, ctx, &run)?;
        // Who has confirmed it has just seen the table.
        if is_confirmed && detail == Detail::Projects {
            detail = Detail::Totals;
        }
        run.settle(is_confirmed);
    }
    let executed = run.execute(CancelToken::new(args.max_runtime.as_ref()))?;
    let view = run.view(executed.outcomes.as_ref());
    let recorded_exit = exit_of(&view).or(interrupted(view.outcomes, ctx));
    // Recorded before anything is printed: a closed pipe must not cost the ledger its last record.
    let (outcomes, unrecorded) = run.record(executed, recorded_exit.code(), surroundings::now());
    let view = run.view(outcomes.as_ref());
    let printed = print(&view, detail, run.workspace(), ctx)?;
    let mut exit = refused(&view).unwrap_or(printed);
    let failures = leave_traces(args, ctx, &view, exit).err().into_iter();
    for failure in failures.chain(unrecorded.into_iter().map(Failure::from)) {
        ctx.console.failure(&failure);
        exit = exit.or(failure.exit);
    }
    Ok(exit)
}

/// Asks before the first change, and lets a person at a terminal overrule the guards: whether one has confirmed.
fn consent(args: &EnforceArgs, ctx: &Context, run: &RuleRun<'_>) -> Result<bool, Failure> {
    let acting = run.acting();
    if acting.changes_nothing() || (args.yes && (run.refusals().is_empty() || !ctx.console.can_ask())) {
        return Ok(false);
    }
    if !ctx.console.can_ask() {
        return Err(Failure::unattended());
    }
    let would = Run { id: "", refused: &[], plan: &acting, ..run.view(None) };
    let paint = ctx.paint_messages();
    ctx.console.notice(&would.preview(paint));
    for refusal in run.refusals() {
        ctx.console.warning(refusal);
    }
    ctx.console.notice("");
    if !ctx.console.confirm(&would.question()) {
        return Err(Failure::cancelled());
    }
    Ok(true)
}

/// Prints the report and everything that went wrong.
fn print(view: &Run<'_>, detail: Detail, workspace: &Workspace, ctx: &Context) -> Result<Exit, Failure> {
    ctx.tell_totals(|| view.for_parent(view.notes()))?;
    if ctx.global.json {
        ctx.console.json(&view.json(ctx.global.verbose > 0))?;
    } else {
        ctx.console.data(&view.text(ctx.paint(), detail))?;
    }
    let mut exit = Exit::Done;
    for (path, error) in view.errors() {
        ctx.console.error_about(&path, &error);
        exit = Exit::Failed;
    }
    if view.policy.suspended.is_some() {
        ctx.console.hint("repair those settings, or set `deleteAfter` in a policy of your own");
    }
    vault::advise(&workspace.refused, ctx);
    if view.outcomes.is_some() && !view.refusals.is_empty() {
        ctx.console.hint(
            "`ccretain enforce --dry-run` shows what it would delete; `ccretain enforce` in a terminal asks and does it",
        );
    }
    match view.outcomes.and_then(|outcomes| outcomes.stopped.as_ref()) {
        Some(Stop::Signal | Stop::Interrupt) => {
            ctx.console.warning("stopped as asked; the next run does the rest");
        }
        Some(Stop::MaxRuntime) => ctx.console.warning("the time is up; the next run does the rest"),
        _ => {}
    }
    Ok(exit.or(interrupted(view.outcomes, ctx)))
}

/// What the run leaves for others to read: a line of log, and figures for a collector.
fn leave_traces(args: &EnforceArgs, ctx: &Context, view: &Run<'_>, exit: Exit) -> Result<(), Failure> {
    let ended = surroundings::now();
    if let Some(format) = args.log_format {
        ctx.console.log(&match format {
            LogFormatArg::Text => view.log_text(exit.code()),
            LogFormatArg::Json => view.log_json(exit.code(), ended),
        });
    }
    let Some(file) = &args.metrics else { return Ok(()) };
    let figures = view.metrics(exit.code(), ended);
    if let Some(parent) = &ctx.parent {
        return parent.figures(figures).map_err(|error| Failure::without_parent(&error));
    }
    named::put(file, figures.as_bytes(), ctx)
}

/// How a run ends that a person at a terminal stopped: a script that asked for all of it must not go on.
pub(super) fn interrupted(outcomes: Option<&Outcomes>, ctx: &Context) -> Exit {
    let stopped = outcomes.and_then(|outcomes| outcomes.stopped.as_ref());
    let is_persons = matches!(stopped, Some(Stop::Interrupt)) && ctx.console.can_ask();
    if is_persons { Exit::Interrupted } else { Exit::Done }
}

/// How a run ends that a guard refused something, or of which the ledger takes no records: as a refusal only where it
/// changed nothing.
pub(super) fn refused(report: &Run<'_>) -> Option<Exit> {
    let is_refused = |outcomes: &Outcomes| {
        !report.refusals.is_empty() || matches!(outcomes.stopped, Some(Stop::Ledger(_)))
    };
    let outcomes = report.outcomes.filter(|outcomes| is_refused(outcomes))?;
    // What an earlier run left unfinished is nobody's data: its removal is no deed of the plan.
    let mut demanded = report.plan.decisions.iter().zip(outcomes.iter());
    let is_done = demanded
        .any(|(decision, outcome)| decision.due().is_some() && matches!(outcome, Some(Outcome::Done(_))));
    Some(if is_done { Exit::Failed } else { Exit::Refused })
}

fn exit_of(report: &Run<'_>) -> Exit {
    match refused(report) {
        Some(exit) => exit,
        None if !report.errors().is_empty() => Exit::Failed,
        None => Exit::Done,
    }
}
