//! What the commands about schedules share.

use serde_json::json;

use crate::cli::context::{Context, Exit, Failure};
use crate::schedule::{Backend, Job, Scheduler, Scope, printed, render};

pub(super) fn print(backend: Backend, job: &Job, ctx: &Context) -> Result<Exit, Failure> {
    let units = render(backend, job)?;
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

pub(super) fn needs_root(with: Scheduler<'_>, ctx: &Context) -> Result<(), Failure> {
    if with.scope == Scope::System && ctx.env.user.uid != 0 {
        let failure = Failure::new(Exit::Usage, "the schedule of the whole system needs root");
        return Err(failure.hint(
            "`sudo ccretain schedule install --system`, or `ccretain schedule install` for a schedule of your own",
        ));
    }
    Ok(())
}
