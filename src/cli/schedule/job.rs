//! What a scheduler is told to run: this program, as it is called and in the surroundings it has here.

use std::path::PathBuf;

use super::args::{JobArgs, LogFormatArg};
use crate::cli::context::{Context, Exit, Failure};
use crate::schedule::{Backend, Job, LogFormat, NAME, Scheduler, Scope, only_root_can_replace};

/// The job that was asked for.
pub(super) fn job(
    args: &JobArgs,
    backend: Backend,
    with: Scheduler<'_>,
    ctx: &Context,
) -> Result<Job, Failure> {
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
        ..Job::new(program(with.scope, ctx)?, with.scope)
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
            Failure::new(Exit::Usage, format!("'{path}' is not UTF-8 and cannot be written in a unit file"))
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

/// The program as schedulers are to call it: by its name in `PATH` where that is this program, because the name
/// outlives an update that moves the file it links to.
fn program(scope: Scope, ctx: &Context) -> Result<PathBuf, Failure> {
    // Of a name that root is to run only root may change where it leads.
    let own = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot tell where this program lies: {error}"))
    })?;
    let real = fs_err::canonicalize(&own).unwrap_or_else(|_| own.clone());
    let search = ctx.env.variable("PATH").map(std::ffi::OsStr::to_os_string).unwrap_or_default();
    let named = std::env::split_paths(&search)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(NAME))
        .filter(|path| fs_err::canonicalize(path).is_ok_and(|path| path == real))
        .find(|path| scope == Scope::User || only_root_can_replace(path).is_ok());
    Ok(named.unwrap_or(real))
}

/// Refuses what root would run, or go by, and somebody else could replace.
pub(super) fn trusted(job: &Job) -> Result<(), Failure> {
    if job.scope == Scope::User {
        return Ok(());
    }
    for (what, path) in [("program", Some(&job.program)), ("policy", job.policy.as_ref())] {
        let Some(path) = path else { continue };
        only_root_can_replace(path).map_err(|why| {
            Failure::new(
                Exit::Refused,
                format!(
                    "cannot schedule the {what} '{}' to run as root, because others could replace it: {}",
                    crate::escape::shown(path),
                    crate::error::chain(&why)
                ),
            )
            .hint(format!(
                "put the {what} where only root can write, with folders that are root's (such as {}), and repeat the command",
                if what == "program" { "/usr/bin or /usr/local/bin" } else { "/etc/ccretain" }
            ))
        })?;
    }
    Ok(())
}
