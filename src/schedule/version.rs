//! Asking a program that a unit, a table or a hook names for its version.
//!
//! Anybody may have written the name there, and the program may never end or never stop talking. It is started
//! only where root or the user owns it, and left after a moment.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::found::Output;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// No answer is longer, in bytes.
const ANSWER: u64 = 4 << 10;
/// How long an end is waited for after the kill: who is traced by somebody else never ends.
const BURIAL: Duration = Duration::from_millis(500);

/// What a program prints when it is asked for its version.
pub(super) fn ask(program: &Path) -> io::Result<Output> {
    is_trusted(program)?;
    let mut command = Command::new(program);
    command.arg("--version").env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, so that what it starts ends with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let (sender, receiver) = mpsc::channel();
    if let Some(pipe) = child.stdout.take() {
        // Not joined: what it started may hold the pipe for ever.
        thread::spawn(move || {
            let mut said = Vec::new();
            let whole = pipe.take(ANSWER).read_to_end(&mut said);
            let _ = sender.send(whole.map(|_| said));
        });
    }
    let answer = match receiver.recv_timeout(PATIENCE) {
        Ok(said) => end(&mut child, deadline)?.map(|status| (status, said)),
        Err(_) => None,
    };
    let Some((status, said)) = answer else {
        // Before it is waited for: until then its number, and that of its group, is nobody else's.
        kill(&mut child);
        end(&mut child, Instant::now() + BURIAL)?;
        return Err(io::ErrorKind::TimedOut.into());
    };
    let stdout = said?;
    if stdout.len() as u64 >= ANSWER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Output { code: status.code(), stdout, stderr: Vec::new() })
}

/// Waits for a program until a deadline.
fn end(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        let ended = child.try_wait()?;
        if ended.is_some() || Instant::now() >= deadline {
            return Ok(ended);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
fn kill(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if group.is_none_or(|group| {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).is_err()
    }) {
        let _ = child.kill();
    }
}

#[cfg(not(unix))]
fn kill(child: &mut Child) {
    let _ = child.kill();
}

/// Whether a program is root's or our own.
#[cfg(unix)]
fn is_trusted(program: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = fs_err::metadata(program)?.uid();
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[cfg(not(unix))]
fn is_trusted(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[expect(clippy::disallowed_methods, reason = "a scratch folder")]
    fn script(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        fs_err::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        (dir, path)
    }

    /// Asks until the file is not busy: another thread may be starting a program at the moment.
    fn asked(text: &str) -> io::Result<Output> {
        let (_dir, path) = script(text);
        loop {
            match ask(&path) {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => thread::yield_now(),
                other => return other,
            }
        }
    }

    #[test]
    fn a_version_is_answered() {
        let answer = asked("echo ccretain 1.0.0").unwrap();
        assert!(answer.ok() && answer.text() == "ccretain 1.0.0");
        assert_eq!(asked("exit 3").unwrap().code, Some(3));
    }

    #[test]
    fn a_program_that_never_ends_or_never_stops_talking_is_left() {
        let start = Instant::now();
        assert_eq!(asked("sleep 600").unwrap_err().kind(), io::ErrorKind::TimedOut);
        // What it leaves behind holds the pipe.
        assert_eq!(asked("sleep 600 & exit 0").unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(asked("trap '' TERM PIPE; while :; do echo on and on; done").is_err());
        assert_eq!(asked("yes | head -c 10000").unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(start.elapsed() < 4 * PATIENCE + Duration::from_secs(4), "{:?}", start.elapsed());
    }

    #[test]
    fn a_program_of_somebody_else_is_not_started() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (_dir, path) = script("echo ccretain 1.0.0");
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        assert_eq!(ask(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
