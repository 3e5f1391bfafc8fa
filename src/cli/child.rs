//! One account of a run over all users: a child that has become its user, and its records.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::all_users::Stop;
use super::link::{FromChild, Hello, ToChild};
use crate::error::chain;
use crate::ledger::{Clock, Entry, Event, Ledger, Place, RunId};
use crate::locate::users::Account;
use crate::policy::LedgerPolicy;
use crate::purge::certificate::Parts;

/// The longest message, in bytes; a batch of records has about a tenth of a percent of it.
const LONGEST: u64 = 256 << 20;
/// The most that one account may have recorded in one run, in bytes.
const MOST_RECORDED: u64 = 1 << 30;
/// The most that is kept of what a child says on its standard error, in bytes.
const MOST_SAID: u64 = 1 << 20;
/// How long a child may say nothing; looking into a store of a million files takes minutes.
const SILENCE: Duration = Duration::from_secs(60 * 60);
/// How long one account may take.
const LONGEST_RUN: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a child may take to end once it is asked to, or has said its last.
const GRACE: Duration = Duration::from_secs(60);
/// How often it is looked whether the run is to end.
const TICK: Duration = Duration::from_millis(200);

/// What keeps the ledger for all accounts.
#[derive(Debug)]
pub(super) struct Keeper {
    pub place: Place,
    pub policy: LedgerPolicy,
    pub run: RunId,
    /// Whether root's own clock guard vouches for the time.
    pub proven: bool,
    pub last: Option<DateTime<Utc>>,
    pub now: DateTime<Utc>,
    pub began: Instant,
}

/// What became of an account.
#[derive(Debug)]
pub(super) struct Ended {
    pub account: Account,
    /// What the child exited with; `None` where it never began or was ended.
    pub exit: Option<u8>,
    /// What it would have printed.
    pub output: String,
    /// The figures of its run, for a collector.
    pub figures: String,
    /// The facts of its certificate, after a purge.
    pub parts: Option<Box<Parts>>,
    /// What it said on standard error, line by line.
    pub messages: Vec<String>,
    /// What went wrong with the child itself.
    pub error: Option<String>,
}

/// One account to be handled.
pub(super) struct Child<'a> {
    pub account: &'a Account,
    pub arguments: &'a [OsString],
    pub keeper: &'a Keeper,
    pub stop: &'a Stop,
    pub working_dir: &'a Path,
}

impl Child<'_> {
    /// Runs the child to its end.
    pub(super) fn run(&self, variables: Vec<(&'static str, OsString)>) -> Ended {
        let mut ended = Ended {
            account: self.account.clone(),
            exit: None,
            output: String::new(),
            figures: String::new(),
            parts: None,
            messages: Vec::new(),
            error: None,
        };
        let mut command = Command::new(program());
        command
            .args(self.arguments)
            .env_clear()
            .envs(variables)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.arg0("ccretain");
        if self.account.uid != 0 {
            // The standard library empties the supplementary groups where a uid is set by root; the
            // child looks whether all of this has happened before it does anything else.
            command.gid(self.account.gid).uid(self.account.uid);
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                ended.error = Some(format!("cannot start its child: {error}"));
                return ended;
            }
        };
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
            let _ = child.kill();
            let _ = child.wait();
            ended.error = Some("the child has no streams".into());
            return ended;
        };
        let said = thread::spawn(move || {
            let mut stderr = stderr;
            let mut said = Vec::new();
            let _ = (&mut stderr).take(MOST_SAID).read_to_end(&mut said);
            let _ = io::copy(&mut stderr, &mut io::sink());
            String::from_utf8_lossy(&said).lines().map(str::to_owned).collect::<Vec<_>>()
        });
        let served = Serving {
            of: self,
            child: &mut child,
            ledger: None,
            recorded: 0,
            output: &mut ended.output,
            figures: &mut ended.figures,
            parts: &mut ended.parts,
        }
        .serve(stdin, stdout);
        if let Err(error) = served {
            ended.error = Some(error);
            let _ = child.kill();
        }
        let patience = Instant::now();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if patience.elapsed() < GRACE => thread::sleep(Duration::from_millis(10)),
                _ => {
                    let _ = child.kill();
                    ended.error.get_or_insert_with(|| "its child did not end".into());
                    break child.wait().ok();
                }
            }
        };
        ended.exit = status.and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
        if ended.exit.is_none() {
            ended.error.get_or_insert_with(|| "its child was ended by a signal".into());
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
}

/// The conversation with one child.
struct Serving<'a, 'c> {
    of: &'a Child<'a>,
    child: &'c mut std::process::Child,
    ledger: Option<Ledger>,
    recorded: u64,
    output: &'c mut String,
    figures: &'c mut String,
    parts: &'c mut Option<Box<Parts>>,
}

impl Serving<'_, '_> {
    fn serve(mut self, stdin: ChildStdin, stdout: ChildStdout) -> Result<(), String> {
        let (heard, lines) = mpsc::sync_channel(4);
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            loop {
                let mut line = Vec::new();
                let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line);
                let is_last = !matches!(read, Ok(read) if read > 0);
                if is_last || heard.send(line).is_err() {
                    break;
                }
            }
        });
        // A child that does not listen must not stop this process.
        let (answers, to_write) = mpsc::channel::<Vec<u8>>();
        thread::spawn(move || {
            let mut stdin = stdin;
            for answer in to_write {
                if stdin.write_all(&answer).and_then(|()| stdin.flush()).is_err() {
                    break;
                }
            }
        });
        let say = |message: &dyn Fn() -> serde_json::Result<Vec<u8>>| {
            if let Ok(mut line) = message() {
                line.push(b'\n');
                let _ = answers.send(line);
            }
        };
        let keeper = self.of.keeper;
        let hello = Hello {
            run: keeper.run.0.clone(),
            uid: self.of.account.uid,
            gid: self.of.account.gid,
            working_dir: self.of.working_dir.to_path_buf(),
            ledger_time: keeper.last,
        };
        say(&|| serde_json::to_vec(&hello));
        let began = Instant::now();
        let mut heard_at = began;
        let mut asked_at: Option<Instant> = None;
        let result = loop {
            if self.of.stop.asked() && asked_at.is_none() {
                asked_at = Some(Instant::now());
                self.ask_to_stop();
            }
            if asked_at.is_some_and(|asked| asked.elapsed() > GRACE * 10) {
                break Err("its child did not stop when it was asked to".to_owned());
            }
            if began.elapsed() > LONGEST_RUN || heard_at.elapsed() > SILENCE {
                break Err("its child took too long".to_owned());
            }
            match lines.recv_timeout(TICK) {
                Ok(line) => {
                    heard_at = Instant::now();
                    match self.hear(&line) {
                        Ok(Some(answer)) => say(&|| serde_json::to_vec(&answer)),
                        Ok(None) => {}
                        Err(why) => break Err(why),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break Ok(()),
            }
        };
        self.end_early(result.as_ref().err());
        result
    }

    /// Handles one message; gives the answer, if it needs one.
    fn hear(&mut self, line: &[u8]) -> Result<Option<ToChild>, String> {
        let no_sense = || "its child said something that makes no sense".to_owned();
        let message: FromChild = serde_json::from_slice(line).map_err(|_| no_sense())?;
        let keeper = self.of.keeper;
        let failed = |error: String| Ok(Some(ToChild::Failed { error, locked: false }));
        match message {
            FromChild::Output { text } => {
                if (self.output.len() + text.len()) as u64 > LONGEST {
                    return Err("its child said too much".to_owned());
                }
                self.output.push_str(&text);
                Ok(None)
            }
            FromChild::Figures { text } => {
                *self.figures = text;
                Ok(None)
            }
            FromChild::Certificate { parts } => {
                *self.parts = Some(parts);
                Ok(None)
            }
            FromChild::Open { proven } => {
                if self.ledger.is_some() {
                    return Err(no_sense());
                }
                let clock = if proven && keeper.proven { Clock::Proven } else { Clock::Unproven };
                match Ledger::open(&keeper.place, &keeper.policy, &keeper.run, clock, keeper.time()) {
                    Ok(ledger) => {
                        self.ledger = Some(ledger);
                        Ok(Some(ToChild::Done))
                    }
                    Err(error) => {
                        Ok(Some(ToChild::Failed { error: chain(&error), locked: error.is_locked() }))
                    }
                }
            }
            FromChild::Append { entries } => {
                self.recorded += line.len() as u64;
                if self.recorded > MOST_RECORDED {
                    return failed("too much for one account in one run".to_owned());
                }
                let Some(ledger) = &mut self.ledger else { return Err(no_sense()) };
                if !entries.iter().all(|entry| is_a_runs_own(entry.event)) {
                    return Err(no_sense());
                }
                let name = crate::escape::text(&self.of.account.name);
                let entries: Vec<Entry<'_>> =
                    entries.into_iter().map(|entry| of_user(entry, &name)).collect();
                match ledger.append(&entries, keeper.time()) {
                    Ok(()) => Ok(Some(ToChild::Done)),
                    Err(error) => failed(error.to_string()),
                }
            }
            FromChild::Close { summary } => {
                let Some(ledger) = self.ledger.take() else { return Err(no_sense()) };
                if summary.event != Event::Summary {
                    return Err(no_sense());
                }
                let name = crate::escape::text(&self.of.account.name);
                match ledger.close(of_user(*summary, &name), keeper.time()) {
                    Ok(_) => Ok(Some(ToChild::Done)),
                    Err(error) => failed(error.to_string()),
                }
            }
        }
    }

    /// A child that has gone without its summary leaves a record of that.
    fn end_early(&mut self, why: Option<&String>) {
        let Some(ledger) = self.ledger.take() else { return };
        let mut summary = Entry::new(Event::Summary);
        summary.error = Some(why.cloned().unwrap_or_else(|| "its child ended early".into()).into());
        let name = crate::escape::text(&self.of.account.name);
        if let Err(error) = ledger.close(of_user(summary, &name), self.of.keeper.time()) {
            tracing::warn!(%error, "the ledger could not be closed");
        }
    }

    fn ask_to_stop(&self) {
        let pid = rustix::process::Pid::from_child(self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Whether a record is one that a run makes of its own work; the others are the keeper's.
fn is_a_runs_own(event: Event) -> bool {
    // A purge for root breaks holds in its child.
    matches!(
        event,
        Event::Started
            | Event::Intent
            | Event::Outcome
            | Event::Refused
            | Event::HeldVanished
            | Event::HoldReleased
    )
}

/// The record with the account it is of, whatever the child said.
fn of_user<'a>(mut entry: Entry<'a>, name: &str) -> Entry<'a> {
    entry.user = Some(name.to_owned().into());
    entry.head = None;
    entry
}

/// This very program: by the link to it where the system has one, so that a user who may not reach
/// its folder can be served, and a new version that is being installed is not mixed in.
fn program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("ccretain"))
}
