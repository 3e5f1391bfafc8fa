//! `schedule`: install, remove, look at and print what calls `enforce`.

use std::path::PathBuf;

use chrono::{DateTime, Local, SecondsFormat, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Context, Exit, Failure, survey};
use crate::guard::{self, ClockSight};
use crate::ledger::{self, Clock, Ledger, Place, RunId};
use crate::period::Period;
use crate::schedule::{
    At, Backend, Every, Installed, Job, LogFormat, NAME, Places, Program, Report, ScheduleError, Scheduler,
    Scope, SystemHost, document, printed, render,
};
use crate::state::{LastRun, StateFile};

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

/// Runs the verb.
///
/// # Errors
/// A scheduler that is missing, disabled or refuses; files that cannot be read or written.
pub fn run(args: &ScheduleArgs, ctx: &Context) -> Result<Exit, Failure> {
    let system = match &args.action {
        Action::Install(job) | Action::Print(job) => job.place.system,
        Action::Remove(place) => place.system,
        Action::Status { system } => *system,
    };
    let host = host(ctx);
    let places = places(ctx);
    let scope = if system { Scope::System } else { Scope::User };
    let with = Scheduler { host: &host, places: &places, scope };
    match &args.action {
        Action::Install(args) => install(args, with, ctx),
        Action::Remove(args) => remove(args, with, ctx),
        Action::Status { .. } => status(with, ctx),
        Action::Print(args) => {
            let backend = args.place.backend.named().unwrap_or_else(|| with.likely());
            print(backend, &job(args, backend, with, ctx)?, ctx)
        }
    }
}

fn install(args: &JobArgs, with: Scheduler<'_>, ctx: &Context) -> Result<Exit, Failure> {
    needs_root(with, ctx)?;
    let backend = match args.place.backend.named() {
        Some(backend) => backend,
        None => with.detect().map_err(failure)?,
    };
    let job = job(args, backend, with, ctx)?;
    if backend == Backend::ClaudeHook && !args.place.write {
        ctx.console
            .notice("Nothing is changed: with --write this is merged into the settings of Claude Code.");
        return print(backend, &job, ctx);
    }
    render(backend, &job).map_err(failure)?;
    // A timer sees neither CLAUDE_CONFIG_DIR nor TMPDIR: what is seen now is remembered for it.
    let roots = look(ctx)?;
    let mut report = with.install(backend, &job).map_err(failure)?;
    for other in with.installed().map_err(failure)?.into_iter().filter(|other| *other != backend) {
        report.notes.push(format!(
            "{other} calls it too: 'ccretain schedule remove --backend {other}' takes that away"
        ));
    }
    if ctx.global.json {
        ctx.console.json(&said("install", &[(backend, report)]))?;
        return Ok(Exit::Done);
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
    text.push_str(&format!("  {roots} store folders are remembered for the runs\n"));
    text.push_str(&notes(&report));
    ctx.console.data(&text)?;
    Ok(Exit::Done)
}

/// Looks at the stores once, changing nothing in them: remembers their roots, and lets the clock
/// guard see the clock for the first time. Says how many roots are remembered now.
fn look(ctx: &Context) -> Result<usize, Failure> {
    let mut ground = survey::ground(ctx)?;
    let inventory = ground.inventory(ctx);
    let place = Place { dir: ctx.env.ledger_dir(), state_dir: ctx.env.state_dir() };
    // Its lock is also that of the state.
    let ledger =
        Ledger::open(&place, &ground.policy.ledger.value, &RunId::random(), Clock::Unproven, ctx.env.now);
    let _lock = ledger.map_err(|error| {
        let exit = if error.is_locked() { Exit::Locked } else { Exit::Refused };
        Failure::because(exit, &error)
    })?;
    let seen = ledger::last_time(&place.dir).map_err(|error| Failure::because(Exit::Refused, &error))?;
    let sight =
        ClockSight { now: ctx.env.now, built: ctx.env.built, ledger: seen, stores: inventory.newest_date };
    let (_, doubt) = guard::clock(&sight, ground.state.state.clock.as_ref());
    ground.state.state.clock = doubt;
    ground.remember_roots(ctx);
    ground.state.save().map_err(|error| Failure::because(Exit::Failed, &error))?;
    Ok(ground.state.state.roots.len())
}

fn remove(args: &WhereArgs, with: Scheduler<'_>, ctx: &Context) -> Result<Exit, Failure> {
    needs_root(with, ctx)?;
    let backends = match args.backend.named() {
        Some(backend) => vec![backend],
        None => with.installed().map_err(failure)?,
    };
    let mut reports = Vec::new();
    for backend in backends {
        let report = if backend == Backend::ClaudeHook && !args.write {
            let hook = with.status(&local(ctx), "", None).map_err(failure)?;
            let hook = hook.into_iter().find(|installed| installed.backend == backend);
            let note = |hook: Installed| {
                format!("with --write the SessionEnd hook goes from '{}': {}", hook.place, hook.command)
            };
            Report { notes: hook.map(note).into_iter().collect(), ..Report::default() }
        } else {
            with.remove(backend).map_err(failure)?
        };
        reports.push((backend, report));
    }
    if ctx.global.json {
        ctx.console.json(&said("remove", &reports))?;
        return Ok(Exit::Done);
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
    ctx.console.data(&text)?;
    Ok(Exit::Done)
}

fn status(with: Scheduler<'_>, ctx: &Context) -> Result<Exit, Failure> {
    let state =
        StateFile::load(&ctx.env.state_dir()).map_err(|error| Failure::because(Exit::Failed, &error))?;
    let last = state.state.last_run;
    let version = concat!("ccretain ", env!("CARGO_PKG_VERSION"));
    let installed =
        with.status(&local(ctx), version, last.as_ref().map(|last| last.time)).map_err(failure)?;
    if ctx.global.json {
        let last = last.map(serde_json::to_value).transpose();
        let last = last.map_err(|error| Failure::because(Exit::Failed, &error))?.unwrap_or(Value::Null);
        ctx.console.json(&document(&installed, last))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    if installed.is_empty() {
        text.push_str("no schedule is installed: 'ccretain schedule install' puts one in place\n");
    }
    installed.iter().for_each(|installed| text.push_str(&shown(installed)));
    text.push_str(&last.map_or_else(|| "last run   none yet\n".to_owned(), |last| ended(&last)));
    ctx.console.data(&text)?;
    Ok(Exit::Done)
}

/// What is installed for the user; read only.
pub(super) fn installed(ctx: &Context) -> Result<Vec<Installed>, Failure> {
    installed_for(Scope::User, ctx)
}

/// What is installed for the user or for the whole machine; read only.
pub(super) fn installed_for(scope: Scope, ctx: &Context) -> Result<Vec<Installed>, Failure> {
    let (host, places) = (host(ctx), places(ctx));
    let with = Scheduler { host: &host, places: &places, scope };
    let last = StateFile::load(&ctx.env.state_dir()).ok().and_then(|state| state.state.last_run);
    let version = concat!("ccretain ", env!("CARGO_PKG_VERSION"));
    with.status(&local(ctx), version, last.map(|last| last.time)).map_err(failure)
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

/// One installed schedule for people.
fn shown(installed: &Installed) -> String {
    let program = match &installed.program {
        Program::Current => String::new(),
        Program::Other(version) => format!(
            "\n  attention: the program there is '{version}', not this one; 'ccretain schedule install' renews it"
        ),
        Program::Missing => {
            "\n  attention: the program is not there or does not start; 'ccretain schedule install' renews it"
                .to_owned()
        }
    };
    let idle = match installed.active {
        Some(false) => {
            "\n  attention: the scheduler does not have it running; 'ccretain schedule install' starts it"
        }
        Some(true) | None => "",
    };
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
        "{:<10} {}\n  command    {}\n  next       {next}{missed}{program}{idle}\n",
        installed.backend.name(),
        installed.place,
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

fn local(ctx: &Context) -> DateTime<Local> {
    ctx.env.now.with_timezone(&Local)
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

fn job(args: &JobArgs, backend: Backend, with: Scheduler<'_>, ctx: &Context) -> Result<Job, Failure> {
    let env = &ctx.env;
    let global = &ctx.global;
    Ok(Job {
        every: args.every,
        at: args.at,
        stores: global.stores.iter().map(|store| env.absolute(store)).collect(),
        policy: global.policy.as_ref().map(|policy| env.absolute(policy)),
        log_format: args.log_format.map(|format| match format {
            LogFormatArg::Text => LogFormat::Text,
            LogFormatArg::Json => LogFormat::Json,
        }),
        metrics: args.metrics.as_ref().map(|metrics| env.absolute(metrics)),
        max_runtime: args.max_runtime.as_ref().map(ToString::to_string),
        environment: environment(backend, with, ctx)?,
        log: (backend == Backend::Launchd).then(|| with.places.launchd_log(with.scope)),
        ..Job::new(program(ctx)?, with.scope)
    })
}

/// Variables that a run needs to find the same policy, state and stores as this one.
fn environment(
    backend: Backend,
    with: Scheduler<'_>,
    ctx: &Context,
) -> Result<Vec<(String, String)>, Failure> {
    let env = &ctx.env;
    let text = |path: PathBuf| {
        path.into_os_string().into_string().map_err(|path| {
            let path = crate::escape::text(&path);
            Failure::new(Exit::Usage, format!("'{path}' is no UTF-8 and cannot be written in a unit file"))
        })
    };
    let mut variables = Vec::new();
    // A scheduler takes the home of the account; where HOME says otherwise, HOME is meant. A hook
    // has the client's own.
    let foreign = with.scope == Scope::User && backend != Backend::ClaudeHook;
    if foreign && account_home(with, ctx).is_some_and(|home| home != env.user.home) {
        variables.push(("HOME".to_owned(), text(env.user.home.clone())?));
    }
    let own = ["CCRETAIN_CONFIG_DIR", "CCRETAIN_STATE_DIR"].as_slice();
    let users = ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"].as_slice();
    for name in own.iter().chain(users.iter().filter(|_| with.scope == Scope::User)) {
        if let Some(value) = env.variable(name) {
            variables.push(((*name).to_owned(), text(env.working_dir.join(value))?));
        }
    }
    Ok(variables)
}

/// The home that the account database of a Unix machine names; `None` where that cannot be told.
fn account_home(with: Scheduler<'_>, ctx: &Context) -> Option<PathBuf> {
    let accounts = with.host.read(std::path::Path::new("/etc/passwd")).ok()??;
    let accounts = String::from_utf8_lossy(&accounts);
    let uid = ctx.env.user.uid.to_string();
    accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&uid.as_str())).then(|| fields.get(5).map(PathBuf::from))?
    })
}

/// The program as schedulers are to call it: by its name in `PATH` where that is this program,
/// because the name outlives an update that moves the file it links to.
fn program(ctx: &Context) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot tell where this program lies: {error}"))
    })?;
    let real = fs_err::canonicalize(&own).unwrap_or_else(|_| own.clone());
    let search = ctx.env.variable("PATH").map(std::ffi::OsStr::to_os_string).unwrap_or_default();
    let named = std::env::split_paths(&search)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(NAME))
        .find(|path| fs_err::canonicalize(path).is_ok_and(|path| path == real));
    Ok(named.unwrap_or(real))
}
