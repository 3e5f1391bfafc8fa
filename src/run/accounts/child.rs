//! One account of a run over all users: a child that becomes its user, and its time.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::ended::Ended;
use super::keeper::{Desk, Keeper};
use super::kept_state::Kept;
use super::turns::Turns;
use crate::locate::users::Account;
use crate::run::link::{Hello, LONGEST};
use crate::run::privileges;

/// The most that is kept of what a child says on its standard error, in bytes.
const MOST_SAID: u64 = 1 << 20;
/// How long a child may take to end once it is asked to, or has said its last.
const GRACE: Duration = Duration::from_secs(60);
/// How long a child may be stopped (SIGSTOP) or traced in all; nothing but its user does that.
const STANDSTILL: Duration = Duration::from_secs(60);
/// How long it is waited for a child that was killed: one that somebody traces, or that hangs in a
/// file system, stays in the list of processes for as long as they like.
const BURIAL: Duration = Duration::from_secs(5);
/// How often it is looked whether the run is to end, and whether the child goes on.
const TICK: Duration = Duration::from_millis(200);

/// One account to be handled.
pub(super) struct Child<'a> {
    pub account: &'a Account,
    pub arguments: &'a [OsString],
    pub keeper: &'a Keeper,
    pub turns: &'a Turns,
    /// How long it may take.
    pub share: Duration,
    pub working_dir: &'a Path,
    /// What root keeps of the account ([`Hello::kept`]).
    pub kept: Option<Kept>,
}

impl Child<'_> {
    /// Runs the child to its end, or leaves it behind.
    pub(super) fn run(&self, variables: Vec<(&'static str, OsString)>) -> Ended {
        let mut ended = Ended::new(self.account);
        let mut command = Command::new(program());
        command
            .arg0("ccretain")
            .args(self.arguments)
            .env_clear()
            .envs(variables)
            // Root's folder may be one that the user cannot enter, or one on a disk that is to be unmounted.
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        privileges::at_start(&mut command, self.account.uid);
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                ended.error = Some(format!("cannot start its child: {error}"));
                return ended;
            }
        };
        let streams = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            let _ = process.kill();
            let _ = process.wait();
            ended.error = Some("the child has no streams".into());
            return ended;
        };
        // By a thread: a child that fills the pipe would wait for this process, which waits for it.
        let said = listen(stderr);
        let pid = Pid::from_child(&process);
        let mut desk = Desk::new(self.account, self.keeper, &mut ended);
        let served = self.serve(&mut desk, pid, stdin, stdout);
        let (was_stopped, out_of_time) = match served {
            Ok(end) => (end.was_stopped, end.out_of_time),
            Err(error) => {
                desk.end_early(&error);
                ended.error = Some(error);
                let _ = process.kill();
                (false, false)
            }
        };
        let status = self.bury(&mut process, &mut ended);
        let was_stopped = was_stopped || self.turns.is_stop_asked();
        ended.exit = status.and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
        match status.and_then(|status| status.signal()) {
            // It had not begun: what began ends by itself when it is asked to.
            Some(signal) if signal == Signal::TERM.as_raw() && was_stopped => ended.is_unfinished = true,
            Some(_) => {
                ended.error.get_or_insert_with(|| "its child was ended by a signal".into());
            }
            None => {}
        }
        if out_of_time && ended.error.is_none() {
            ended.is_unfinished = true;
            ended.error = Some("its share of the time was over; the rest waits for the next run".into());
        }
        // Whoever the child left behind may hold the stream open: that is waited for no longer.
        if said.is_finished() || {
            thread::sleep(TICK);
            said.is_finished()
        } {
            ended.messages = said.join().unwrap_or_default();
        }
        ended
    }

    /// Speaks with the child until it has said its last.
    fn serve(
        &self,
        desk: &mut Desk<'_>,
        pid: Pid,
        stdin: ChildStdin,
        stdout: ChildStdout,
    ) -> Result<Served, String> {
        let (lines, answers) = (messages(stdout), answers(stdin));
        let keeper = self.keeper;
        say(
            &answers,
            &Hello {
                run: keeper.run.0.clone(),
                parent: std::process::id(),
                uid: self.account.uid,
                gid: self.account.gid,
                working_dir: self.working_dir.to_path_buf(),
                ledger_time: keeper.last,
                kept: self.kept.clone(),
            },
        );
        let began = Instant::now();
        let mut stands = Standstill::default();
        let mut served = Served::default();
        let mut asked_at: Option<Instant> = None;
        loop {
            served.was_stopped |= self.turns.is_stop_asked();
            served.out_of_time |= began.elapsed() > self.share;
            if asked_at.is_none() && (served.was_stopped || served.out_of_time) {
                asked_at = Some(Instant::now());
                // Asked first: it is in the middle of a session, and knows how to leave it whole.
                let _ = kill_process(pid, Signal::TERM);
            }
            // A stop lets it finish what it is at; a share of time that is over, what it can in a minute.
            let patience = if served.was_stopped { GRACE * 10 } else { GRACE };
            if asked_at.is_some_and(|asked| asked.elapsed() > patience) {
                return Err("its child did not stop when it was asked to, and was ended".to_owned());
            }
            // Its user may stop his own process, and must not thereby keep all other accounts waiting.
            if stands.look(pid) > STANDSTILL {
                let why = "its child was held up (stopped or traced) for a minute, and was ended";
                return Err(why.to_owned());
            }
            match lines.recv_timeout(TICK) {
                Ok(line) => {
                    if let Some(answer) = desk.hear(&line)? {
                        say(&answers, &answer);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        desk.end_early(if served.was_stopped { "stopped" } else { "its child ended early" });
        Ok(served)
    }

    /// Waits for the end of a child that has said its last or was killed; not for ever.
    fn bury(&self, process: &mut std::process::Child, ended: &mut Ended) -> Option<ExitStatus> {
        let mut patience = if ended.error.is_some() { BURIAL } else { GRACE };
        let mut since = Instant::now();
        loop {
            match process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if since.elapsed() < patience => thread::sleep(Duration::from_millis(10)),
                Ok(None) if ended.error.is_none() => {
                    let _ = process.kill();
                    ended.error = Some("its child did not end".into());
                    (since, patience) = (Instant::now(), BURIAL);
                }
                _ => {
                    let why = ended.error.take().unwrap_or_default();
                    ended.error = Some(format!("{why}; process {} was left behind", process.id()));
                    return None;
                }
            }
        }
    }
}

/// How a conversation came to its end.
#[derive(Debug, Clone, Copy, Default)]
struct Served {
    was_stopped: bool,
    out_of_time: bool,
}

/// For how long a child was held up.
#[derive(Debug, Default)]
struct Standstill {
    total: Duration,
    seen: Option<Instant>,
}

impl Standstill {
    /// Looks again; a child that is let go now and then is held up all the same.
    fn look(&mut self, pid: Pid) -> Duration {
        let now = Instant::now();
        let is_held = is_held(pid);
        if let (true, Some(seen)) = (is_held, self.seen) {
            self.total += now.duration_since(seen);
        }
        self.seen = is_held.then_some(now);
        self.total
    }
}

/// Whether a process is stopped or traced, as the system lists it.
fn is_held(pid: Pid) -> bool {
    let state = match fs_err::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
        // The name before may hold anything.
        Ok(stat) => stat.rsplit_once(") ").and_then(|(_, rest)| rest.bytes().next()),
        Err(_) if cfg!(target_os = "macos") => {
            let pid = pid.as_raw_nonzero().to_string();
            let ps = Command::new("/bin/ps").args(["-o", "state=", "-p", &pid]).env_clear().output();
            ps.ok().and_then(|said| said.stdout.trim_ascii_start().first().copied())
        }
        Err(_) => None,
    };
    matches!(state, Some(b'T' | b't'))
}

/// The child's messages, a line each, none longer than [`LONGEST`].
fn messages(stdout: ChildStdout) -> Receiver<Vec<u8>> {
    let (heard, lines) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        loop {
            let mut line = Vec::new();
            // A line without end must not take root's memory.
            let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line);
            let is_last = !matches!(read, Ok(read) if read > 0);
            if is_last || heard.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Where answers go: a child that does not listen must not stop this process.
fn answers(stdin: ChildStdin) -> Sender<Vec<u8>> {
    let (answers, to_write) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        let mut stdin = stdin;
        for answer in to_write {
            if stdin.write_all(&answer).and_then(|()| stdin.flush()).is_err() {
                break;
            }
        }
    });
    answers
}

fn say(answers: &Sender<Vec<u8>>, message: &impl serde::Serialize) {
    if let Ok(mut line) = serde_json::to_vec(message) {
        line.push(b'\n');
        let _ = answers.send(line);
    }
}

/// What a child says on standard error, line by line.
fn listen(stderr: ChildStderr) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let mut stderr = stderr;
        let mut said = Vec::new();
        let _ = (&mut stderr).take(MOST_SAID).read_to_end(&mut said);
        let _ = io::copy(&mut stderr, &mut io::sink());
        String::from_utf8_lossy(&said).lines().map(str::to_owned).collect()
    })
}

/// This very program: by the link to it where the system has one, so that a new version that is
/// being installed is not mixed in.
fn program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ccretain"))
}
