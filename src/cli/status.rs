//! `ccretain status`: how things stand. Takes no lock and writes nothing.

use std::path::{Path, PathBuf};

use clap::Args;

use super::context::{Context, Exit, Failure};
use crate::check::{look, returned, untried};
use crate::error::{At as _, chain};
use crate::ledger;
use crate::locate::search;
use crate::plan;
use crate::report::Run;
use crate::report::json::time;
use crate::report::status::{LastRun, Schedule, Sight};
use crate::run::guards;
use crate::run::{self, Workspace};
use crate::schedule;

/// What `status` takes.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Also find stores anywhere below this folder by the marks Claude Code leaves.
    #[arg(long, value_name = "DIR")]
    pub search: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// An invalid policy is exit 2; what could not be read is in the report and makes exit 1.
pub fn run(args: &StatusArgs, ctx: &Context) -> Result<Exit, Failure> {
    let ground = run::prepare_to_look(ctx)?;
    let inventory = ground.inventory(ctx);
    let plan = plan::plan(&inventory, &ground.policy, ctx.env.now);
    let mut errors: Vec<(String, String)> = Vec::new();
    let refusals = match guards::judge(&ground, &inventory, &plan, &ground.policy, ctx) {
        Ok(judged) => judged.refusals,
        Err(error) => {
            errors.push((String::new(), chain(&error)));
            Vec::new()
        }
    };
    let last_run = last_run(&ground, ctx).unwrap_or_else(|error| {
        if errors.is_empty() {
            errors.push((String::new(), error));
        }
        None
    });
    let came_back = returned::look(&inventory, ctx).unwrap_or_else(|error| {
        // A ledger that cannot be read is told once.
        if errors.is_empty() {
            errors.push((String::new(), error));
        }
        Vec::new()
    });
    let last = ground.state.state.last_run.as_ref().map(|last| last.time);
    let schedules = schedule::installed(&ctx.env, ctx.parent.is_some(), last);
    let search = args.search.as_deref().map(|dir| searched(dir, ctx)).transpose()?;
    let sight = Sight {
        run: Run::planned(&inventory, &plan, &ground.policy, &ground.refused, &refusals),
        sweep: ground.client.sweep(None),
        clients: run::clients(&inventory, ctx),
        last_run,
        schedules: schedules.ok().map(|found| {
            let of = |installed: schedule::Installed| Schedule {
                complaints: installed.complaints(),
                backend: installed.backend.name().to_owned(),
                next: installed.next.map(time),
                program: installed.program.name().to_owned(),
                missed: installed.missed,
                place: installed.place,
            };
            found.into_iter().map(of).collect()
        }),
        complaints: ground.policy.faults(),
        untried: untried::look(&inventory),
        moved: run::moved::evidence(&ground, ctx),
        left_out_in_vain: ground.left_out_in_vain(&ground.policy, ctx),
        came_back,
        left_copies: look::left_copies(&inventory, &ground.policy),
        errors,
        search,
    };
    let status = sight.status();
    ctx.tell_totals(|| sight.run.for_parent(sight.notes(&status)))?;
    if ctx.global.json {
        ctx.console.json(&status)?;
    } else {
        ctx.console.data(&sight.text(&status, ctx.paint(), ctx.global.verbose > 0))?;
    }
    let mut exit = Exit::Done;
    for (path, error) in sight.unread() {
        ctx.console.error_about(&path, &error);
        exit = Exit::Failed;
    }
    Ok(exit)
}

/// What a search of one folder found, by the folder's real path.
fn searched(dir: &Path, ctx: &Context) -> Result<(PathBuf, search::Search), Failure> {
    let dir = ctx.env.absolute(dir);
    let real = std::fs::canonicalize(&dir)
        .at("search", &dir)
        .map_err(|error| Failure::because(Exit::Usage, &error))?;
    if !real.is_dir() {
        let message = format!("'{}' is not a folder", crate::escape::shown(&real));
        return Err(Failure::new(Exit::Usage, message));
    }
    let found = search::search(&real, &[]);
    Ok((real, found))
}

/// The last run, as state remembers it, else as the ledger has it.
fn last_run(ground: &Workspace, ctx: &Context) -> Result<Option<LastRun>, String> {
    if let Some(last) = &ground.state.state.last_run {
        return Ok(Some(LastRun {
            run: last.run.clone(),
            time: time(last.time),
            exit: Some(u64::from(last.exit)),
            refusals: last.refusals.clone(),
        }));
    }
    let record = ledger::last_run(&ctx.env.ledger_dir()).map_err(|error| chain(&error))?;
    Ok(record.map(|record| LastRun {
        exit: record.exit(),
        time: time(record.time),
        run: crate::escape::text(&record.run),
        refusals: Vec::new(),
    }))
}
