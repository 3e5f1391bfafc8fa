//! What the commands about schedules share.

use std::path::PathBuf;

use chrono::{DateTime, Local};
use serde_json::json;

use crate::cli::context::{Context, Exit, Failure};
use crate::schedule::{Backend, Job, Places, ScheduleError, Scheduler, Scope, SystemHost, printed, render};

pub(super) fn print(backend: Backend, job: &Job, ctx: &Context) -> Result<Exit, Failure> {
    let units = render(backend, job).map_err(failure)?;
    if ctx.global.json {
        let units: Vec<_> =
            units.iter().map(|unit| json!({ "name": unit.name, "content": unit.content })).collect();
        let schema = "ccretain.schedule-print/1";
        ctx.console.json(&json!({ "schema": schema, "backend": backend.name(), "units": units }))?;
    } else {
        ctx.console.raw(printed(&units).as_bytes())?;
    }
    Ok(Exit::Done)
}

pub(super) fn local(ctx: &Context) -> DateTime<Local> {
    ctx.env.now.with_timezone(&Local)
}

pub(super) fn needs_root(with: Scheduler<'_>, ctx: &Context) -> Result<(), Failure> {
    if with.scope == Scope::System && ctx.env.user.uid != 0 {
        let failure = Failure::new(Exit::Usage, "the schedule of the whole system needs root");
        return Err(failure.hint(
            "`sudo ccretain schedule install --system`, or `ccretain schedule install` for a schedule of your own",
        ));
    }
    Ok(())
}

pub(super) fn failure(error: ScheduleError) -> Failure {
    let exit = match &error {
        ScheduleError::Job(_) | ScheduleError::Unsupported { .. } => Exit::Usage,
        ScheduleError::Ambiguous { .. } => Exit::Refused,
        _ => Exit::Failed,
    };
    let failure = Failure::because(exit, &error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

pub(super) fn host(ctx: &Context) -> SystemHost {
    // After su or in a cron job the variable is missing although the user's manager runs.
    let runtime = PathBuf::from(format!("/run/user/{}", ctx.env.user.uid));
    let missing = ctx.env.variable("XDG_RUNTIME_DIR").is_none() && runtime.is_dir();
    SystemHost {
        variables: missing.then(|| ("XDG_RUNTIME_DIR".into(), runtime.into())).into_iter().collect(),
        is_confined: ctx.parent.is_some(),
    }
}

pub(super) fn places(ctx: &Context) -> Places {
    let env = &ctx.env;
    Places::new(
        env.platform,
        (&env.user.name, env.user.uid),
        &env.user.home,
        &|name| env.variable(name).map(std::ffi::OsStr::to_os_string),
        &env.state_dir(),
    )
}
