//! Claude Code's own program, run for `resume`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::context::{Context, Exit, Failure};
use crate::catalogue::SessionId;

/// Claude Code's program, looked for in `PATH`.
const CLIENT: &str = "claude";

/// The names of its file: on Windows that of the installer, and that of npm.
const FILES: &[&str] = if cfg!(windows) { &["claude.exe", "claude.cmd"] } else { &[CLIENT] };

/// Whether a file can be run by this account, as a shell looks for it.
fn is_program(path: &Path) -> bool {
    #[cfg(unix)]
    let may_run = rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    // A name with its ending is what makes a program there.
    #[cfg(not(unix))]
    let may_run = true;
    may_run && path.is_file()
}

/// Claude Code's program.
///
/// # Errors
/// Exit 2: there is none.
pub(super) fn find(session: SessionId, ctx: &Context) -> Result<PathBuf, Failure> {
    let path = ctx.env.variable("PATH").unwrap_or_default();
    std::env::split_paths(path)
        .flat_map(|folder| FILES.iter().map(move |name| ctx.env.working_dir.join(&folder).join(name)))
        .find(|program| is_program(program))
        .ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no `{CLIENT}` in PATH, so nothing was changed")).hint(
                format!("`ccretain unseal {} --touch` brings the session back without starting it", session),
            )
        })
}

/// Runs Claude Code to its end, with our streams.
///
/// # Errors
/// It cannot be run.
pub(super) fn run(
    ctx: &Context,
    program: &Path,
    session: SessionId,
    more: &[OsString],
    folder: Option<&Path>,
) -> Result<Exit, Failure> {
    if folder.is_none() {
        ctx.console.note("the folder of its project is not there: Claude Code starts in this one");
    }
    // A key typed to interrupt the client is for the client alone.
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGQUIT]
        .into_iter()
        .filter(|signal| !crate::run::signals::is_ignored(*signal))
    {
        let ignored = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let _ = signal_hook::flag::register(signal, ignored);
    }
    let mut command = Command::new(program);
    command.arg("--resume").arg(session.to_string()).args(more);
    command.current_dir(folder.unwrap_or(&ctx.env.working_dir));
    let run = || command.status();
    #[cfg(unix)]
    let status = crate::files::umask::as_caller(run);
    #[cfg(not(unix))]
    let status = { run }();
    let status =
        status.map_err(|error| Failure::new(Exit::Failed, format!("cannot run `{CLIENT}`: {error}")))?;
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    // 128 and the signal's number, as shells have it.
    let code = status.code().or(signal.map(|signal| signal + 128)).unwrap_or(1);
    Ok(if code == 0 { Exit::Done } else { Exit::Client(u8::try_from(code).unwrap_or(1)) })
}
