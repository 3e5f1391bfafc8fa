//! What is installed, when it runs next, and how the last run ended.

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::Value;

use super::shared::{failure, host, local, places};
use crate::cli::context::{Context, Exit, Failure};
use crate::schedule::{Backend, Installed, Scheduler, Scope, document};
use crate::state::{LastRun, StateFile};

pub(super) fn status(with: Scheduler<'_>, ctx: &Context) -> Result<Exit, Failure> {
    let state =
        StateFile::load(&ctx.env.state_dir()).map_err(|error| Failure::because(Exit::Failed, &error))?.state;
    let (installed, last) = match with.scope {
        Scope::System => (in_scope(with, state.last_run_of_all.as_ref(), ctx)?, state.last_run_of_all),
        Scope::User => (both(with, state.last_run.as_ref(), ctx)?, state.last_run),
    };
    if ctx.global.json {
        let last = last.map(serde_json::to_value).transpose();
        let last = last.map_err(|error| Failure::because(Exit::Failed, &error))?.unwrap_or(Value::Null);
        ctx.console.json(&document(&installed, last))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    if installed.is_empty() {
        let system = if with.scope == Scope::System { " --system" } else { "" };
        text.push_str(&format!(
            "no schedule is installed: 'ccretain schedule install{system}' puts one in place\n"
        ));
    }
    installed.iter().for_each(|installed| text.push_str(&shown(installed)));
    text.push_str(&last.map_or_else(|| "last run   none yet\n".to_owned(), |last| ended(&last)));
    ctx.console.data(&text)?;
    Ok(Exit::Done)
}

/// What is installed for the user, by the user or for the whole system; read only.
pub(in crate::cli) fn installed(ctx: &Context) -> Result<Vec<Installed>, Failure> {
    let (host, places) = (host(ctx), places(ctx));
    let with = Scheduler { host: &host, places: &places, scope: Scope::User };
    let last = StateFile::load(&ctx.env.state_dir()).ok().and_then(|state| state.state.last_run);
    both(with, last.as_ref(), ctx)
}

/// The schedules of a user: those of the whole system run for him, too.
fn both(with: Scheduler<'_>, last: Option<&LastRun>, ctx: &Context) -> Result<Vec<Installed>, Failure> {
    let mut installed = in_scope(with, last, ctx)?;
    // A system unit that this account may not read is no business of its own.
    installed.extend(in_scope(Scheduler { scope: Scope::System, ..with }, last, ctx).unwrap_or_default());
    Ok(installed)
}

fn in_scope(with: Scheduler<'_>, last: Option<&LastRun>, ctx: &Context) -> Result<Vec<Installed>, Failure> {
    let version = concat!("ccretain ", env!("CARGO_PKG_VERSION"));
    with.status(&local(ctx), version, last.map(|last| last.time)).map_err(failure)
}

/// One installed schedule for people.
fn shown(installed: &Installed) -> String {
    let complaints: String =
        installed.complaints().iter().map(|complaint| format!("\n  attention: {complaint}")).collect();
    let next = match (installed.next, installed.backend) {
        (Some(next), _) => time(next),
        (None, Backend::ClaudeHook) => "when a session ends".to_owned(),
        (None, _) => "unknown".to_owned(),
    };
    let missed = match installed.missed {
        None | Some(0) => String::new(),
        Some(count) => format!("\n  missed     {count} since the last run"),
    };
    format!(
        "{:<10} {}{}\n  command    {}\n  next       {next}{missed}{complaints}\n",
        installed.backend.name(),
        installed.place,
        if installed.scope == Scope::System { " (of the whole system)" } else { "" },
        installed.command
    )
}

fn ended(last: &LastRun) -> String {
    let refusals: String = last.refusals.iter().map(|refusal| format!("  refused    {refusal}\n")).collect();
    format!("last run   {}, exit {}\n{refusals}", time(last.time), last.exit)
}

fn time(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::Secs, false)
}
