//! `schedule`: install, remove, look at and print what calls `enforce`.

mod install;
mod job;
mod status;

use std::path::PathBuf;

use chrono::{DateTime, Local};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::context::{Context, Exit, Failure};
use crate::period::Period;
use crate::schedule::{
    At, Backend, Every, Job, Places, ScheduleError, Scheduler, Scope, SystemHost, printed, render,
};

pub(super) use status::installed;

/// Run enforce on a schedule.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the schedule.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Put the schedule in place; twice is once.
    Install(JobArgs),
    /// Take the schedule away, without a trace.
    Remove(WhereArgs),
    /// Show what is installed, when it runs next, and how the last run ended.
    Status {
        /// The schedule of the whole system.
        #[arg(long)]
        system: bool,
    },
    /// Print the units without installing them.
    Print(JobArgs),
}

/// Which scheduler, and whose.
#[derive(Debug, Args)]
pub struct WhereArgs {
    /// The scheduler; auto is the one this machine runs (remove: all that are installed).
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    pub backend: BackendArg,
    /// The schedule of the whole system, for all users; needs root.
    #[arg(long)]
    pub system: bool,
    /// With claude-hook: change the user's settings instead of printing the change.
    #[arg(long)]
    pub write: bool,
}

/// What to run, and when.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// Which scheduler, and whose.
    #[command(flatten)]
    pub place: WhereArgs,
    /// How often: hourly, daily, weekly, or a span such as 6h or 30min.
    #[arg(long, default_value = "daily", value_name = "SPAN")]
    pub every: Every,
    /// At what local time.
    #[arg(long, default_value_t = At::DEFAULT, value_name = "HH:MM")]
    pub at: At,
    /// The form of the log that runs write.
    #[arg(long, value_enum, value_name = "FORM")]
    pub log_format: Option<LogFormatArg>,
    /// The Prometheus text file that runs leave.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// The bound on one run.
    #[arg(long, value_name = "PERIOD")]
    pub max_runtime: Option<Period>,
}

/// A scheduler by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BackendArg {
    /// The one this machine runs.
    #[default]
    Auto,
    /// A systemd service and timer.
    Systemd,
    /// A launchd agent or daemon.
    Launchd,
    /// A line of a cron table.
    Cron,
    /// A `SessionEnd` hook in the settings of Claude Code.
    ClaudeHook,
}

impl BackendArg {
    fn named(self) -> Option<Backend> {
        match self {
            Self::Auto => None,
            Self::Systemd => Some(Backend::Systemd),
            Self::Launchd => Some(Backend::Launchd),
            Self::Cron => Some(Backend::Cron),
            Self::ClaudeHook => Some(Backend::ClaudeHook),
        }
    }
}

/// The form of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl ScheduleArgs {
    /// Whether it is about the schedule of the whole system.
    pub fn is_of_system(&self) -> bool {
        match &self.action {
            Action::Install(job) | Action::Print(job) => job.place.system,
            Action::Remove(place) => place.system,
            Action::Status { system } => *system,
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// A scheduler that is missing, disabled or refuses; files that cannot be read or written.
pub fn run(args: &ScheduleArgs, ctx: &Context) -> Result<Exit, Failure> {
    let system = args.is_of_system();
    let host = host(ctx);
    let places = places(ctx);
    let scope = if system { Scope::System } else { Scope::User };
    let with = Scheduler { host: &host, places: &places, scope };
    match &args.action {
        Action::Install(args) => install::install(args, with, ctx),
        Action::Remove(args) => install::remove(args, with, ctx),
        Action::Status { .. } => status::status(with, ctx),
        Action::Print(args) => {
            let backend = args.place.backend.named().unwrap_or_else(|| with.likely());
            print(backend, &job::job(args, backend, with, ctx)?, ctx)
        }
    }
}

fn print(backend: Backend, job: &Job, ctx: &Context) -> Result<Exit, Failure> {
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

fn local(ctx: &Context) -> DateTime<Local> {
    ctx.env.now.with_timezone(&Local)
}

fn needs_root(with: Scheduler<'_>, ctx: &Context) -> Result<(), Failure> {
    if with.scope == Scope::System && ctx.env.user.uid != 0 {
        let failure = Failure::new(Exit::Usage, "the schedule of the whole system needs root");
        return Err(failure.hint("use sudo, or leave --system away for a schedule of your own"));
    }
    Ok(())
}

fn failure(error: ScheduleError) -> Failure {
    let exit = match &error {
        ScheduleError::Job(_) | ScheduleError::Unsupported { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    let failure = Failure::because(exit, &error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn host(ctx: &Context) -> SystemHost {
    // After su or in a cron job the variable is missing although the user's manager runs.
    let runtime = PathBuf::from(format!("/run/user/{}", ctx.env.user.uid));
    let missing = ctx.env.variable("XDG_RUNTIME_DIR").is_none() && runtime.is_dir();
    SystemHost {
        variables: missing.then(|| ("XDG_RUNTIME_DIR".into(), runtime.into())).into_iter().collect(),
        is_confined: ctx.parent.is_some(),
    }
}

fn places(ctx: &Context) -> Places {
    let env = &ctx.env;
    Places::new(
        env.platform,
        (&env.user.name, env.user.uid),
        &env.user.home,
        &|name| env.variable(name).map(std::ffi::OsStr::to_os_string),
        &env.state_dir(),
    )
}
