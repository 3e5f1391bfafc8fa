//! Putting a schedule in place, and taking it away.

use serde_json::{Value, json};

use super::args::{JobArgs, WhereArgs};
use super::job::{job, trusted};
use super::shared::{needs_root, print};
use crate::cli::context::{Context, Exit, Failure};
use crate::ledger::{Clock, RunId};
use crate::report::human::counted;
use crate::run;
use crate::run::guards;
use crate::run::journal;
use crate::schedule::{Backend, Installed, Report, Scheduler, render};

pub(super) fn install(args: &JobArgs, with: Scheduler<'_>, ctx: &Context) -> Result<Exit, Failure> {
    needs_root(with, ctx)?;
    let backend = match args.place.backend.named() {
        Some(backend) => backend,
        None => with.detect()?,
    };
    let job = job(args, backend, with, ctx)?;
    if backend == Backend::ClaudeHook && !args.place.write {
        ctx.console.note("nothing is changed: with --write this is merged into the settings of Claude Code");
        return print(backend, &job, ctx);
    }
    render(backend, &job)?;
    trusted(&job)?;
    // A timer sees neither CLAUDE_CONFIG_DIR nor TMPDIR: what is seen now is remembered for it.
    let (roots, errors) = look(ctx)?;
    let mut report = with.install(backend, &job)?;
    for other in with.installed()?.into_iter().filter(|other| *other != backend) {
        report.notes.push(format!(
            "{other} calls it too; to remove that: `ccretain schedule remove --backend {other}{}`",
            if other == Backend::ClaudeHook { " --write" } else { "" }
        ));
    }
    let exit = ctx.tell_errors(&errors);
    if ctx.global.json {
        let mut document = said("install", &[(backend, report)]);
        document["errors"] = json!(errors);
        ctx.console.json(&document)?;
        return Ok(exit);
    }
    let did = if report.changed { "installed" } else { "already installed" };
    let when = match backend {
        Backend::ClaudeHook => "when a session ends".to_owned(),
        _ => format!("{} at {}", job.every, job.at),
    };
    let mut text = format!("{did}: {backend}, {when}\n");
    for place in &report.places {
        text.push_str(&format!("  {place}\n"));
    }
    text.push_str(&format!("  scheduled runs will cover {}\n", counted(roots as u64, "store folder")));
    text.push_str(&notes(&report));
    ctx.console.sentences(&text)?;
    Ok(exit)
}

/// Looks at the stores once, changing nothing in them: remembers their roots, and lets the clock
/// guard see the clock for the first time. Gives how many roots are remembered now, and what is wrong with the policy
/// that runs will go by.
fn look(ctx: &Context) -> Result<(usize, Vec<String>), Failure> {
    let mut ground = run::prepare(ctx)?;
    let inventory = ground.inventory(ctx);
    let ledger = &ground.policy.ledger.value;
    let _lock = journal::own_ledger(ctx, ledger, &RunId::random(), Clock::Unproven)?;
    // What another run remembered until the lock was ours must not be lost.
    ground.reload_state(ctx)?;
    let (_, doubt) = guards::clock(&ground.state.state, &inventory, ctx)?;
    ground.state.state.clock = doubt;
    ground.remember_roots(ctx);
    ground.state.save()?;
    Ok((ground.state.state.roots.len(), ground.policy.complaints))
}

pub(super) fn remove(args: &WhereArgs, with: Scheduler<'_>, ctx: &Context) -> Result<Exit, Failure> {
    needs_root(with, ctx)?;
    let backends = match args.backend.named() {
        Some(backend) => vec![backend],
        None => with.installed()?,
    };
    let mut reports = Vec::new();
    let mut exit = Exit::Done;
    for backend in backends {
        let report = if backend == Backend::ClaudeHook && !args.write {
            let hook = with.status(&ctx.env.now, "", None)?;
            let hook = hook.into_iter().find(|installed| installed.backend == backend);
            let note = |hook: Installed| {
                format!(
                    "not removed: the SessionEnd hook in '{}' ({}); to remove it: \
                     `ccretain schedule remove --backend claude-hook --write`",
                    hook.place, hook.command
                )
            };
            // Whoever scripts it must not take it for gone.
            exit = if hook.is_some() { Exit::Failed } else { exit };
            Report { notes: hook.map(note).into_iter().collect(), ..Report::default() }
        } else {
            with.remove(backend)?
        };
        reports.push((backend, report));
    }
    if ctx.global.json {
        ctx.console.json(&said("remove", &reports))?;
        return Ok(exit);
    }
    let mut text = String::new();
    for (backend, report) in &reports {
        if report.changed {
            text.push_str(&format!("removed: {backend}\n"));
        }
        for place in &report.places {
            text.push_str(&format!("  {place}\n"));
        }
        text.push_str(&notes(report));
    }
    if text.is_empty() {
        text.push_str("nothing was installed\n");
    }
    ctx.console.sentences(&text)?;
    Ok(exit)
}

fn notes(report: &Report) -> String {
    report.notes.iter().map(|note| format!("  note: {note}\n")).collect()
}

fn said(verb: &str, reports: &[(Backend, Report)]) -> Value {
    let one = |(backend, report): &(Backend, Report)| {
        json!({
            "backend": backend.name(),
            "changed": report.changed,
            "where": report.places,
            "notes": report.notes,
        })
    };
    let reports: Vec<_> = reports.iter().map(one).collect();
    json!({ "schema": format!("ccretain.schedule-{verb}/1"), "schedules": reports })
}
