//! `--all-users`: one run for every account of the machine, each with its own rights and no more.
//!
//! Root looks at the list of accounts and at the homes themselves. Everything else is done by a
//! child for each account, this same program, which has become the user before it opens anything.
//! The ledger is root's alone: the child sends what it is about to do and waits until that is on
//! disk. The user may do with his child as he likes, so it is bounded in time and in what it says.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::args::Command;
use super::child::{Child, Ended, Keeper};
use super::purge::handover_all::{All, AllHandover};
use super::{Context, Exit, Failure, surroundings};
use crate::error::chain;
use crate::escape::text;
use crate::guard::{self, ClockSight};
use crate::ledger::{self, Place, RunId};
use crate::locate::users::{self, Account, HomeRefusal, Ids};
use crate::period::Length;
use crate::platform::Platform;
use crate::policy::load::Places;
use crate::policy::{self, Policy};
use crate::report::all_users::{self, AllUsers, Refusal, User};
use crate::report::certificate::handed_over;
use crate::report::metrics;
use crate::state::{LastRun, StateError, StateFile};

/// Runs a verb for all accounts.
///
/// # Errors
/// Not root, or a verb that is for one account (2); no consent, no ledger (4).
pub fn run(command: &Command, ctx: &Context) -> Result<Exit, Failure> {
    let (verb, changes, max_runtime) = match command {
        Command::Enforce(args) => ("enforce", !args.dry_run, args.max_runtime.as_ref()),
        Command::Purge(args) => ("purge", !args.dry_run, None),
        Command::Status(_) => ("status", false, None),
        Command::Check(args) => ("check", args.fix, None),
        _ => {
            return Err(Failure::new(
                Exit::Usage,
                "--all-users is for enforce, purge, status, check and ledger",
            ));
        }
    };
    if !ctx.global.stores.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "--store names a store of one account, and --all-users means all",
        ));
    }
    let is_root = rustix::process::getuid().is_root() && rustix::process::geteuid().is_root();
    if !is_root {
        return Err(Failure::new(Exit::Usage, "--all-users is for root alone")
            .hint("without it, the stores of the account that runs it are handled"));
    }
    let mut arguments: Vec<OsString> = match command {
        Command::Check(args) => super::check::for_child(args, ctx),
        _ => std::env::args_os().skip(1).filter(|argument| argument != "--all-users").collect(),
    };
    let (policy, invalid) = match of_machine(ctx) {
        // A check tells of it; only a file that was named must be one.
        Err(failure) if matches!(command, Command::Check(_)) && ctx.global.policy.is_none() => {
            (super::posture::nothing(ctx)?, Some(failure.message))
        }
        policy => (policy?, None),
    };
    let (accounts, refused) = users::with_homes(accounts(ctx)?);
    let stop = Stop::new(max_runtime.map(crate::period::Period::length));
    let yes = match command {
        Command::Enforce(args) => args.yes,
        Command::Purge(args) => args.yes,
        // Nothing is lost by what the others change.
        _ => true,
    };
    let handover = match command {
        Command::Purge(args) if changes => Some(AllHandover::prepare(args, ctx, &accounts)?),
        _ => None,
    };
    let asked = changes && !yes;
    if asked {
        if !ctx.console.can_ask() {
            return Err(Failure::new(Exit::Refused, "there is no terminal to ask, so nothing was touched")
                .hint(format!("look with `ccretain --all-users {verb} --dry-run`, then add --yes")));
        }
        let mut looking = arguments.clone();
        looking.push("--dry-run".into());
        let keeper = keeper(ctx, &policy, false)?;
        let would = all(&accounts, &looking, keeper, &stop, ctx);
        for ended in &would {
            ctx.console.notice(&format!("{}\n{}", heading(&ended.account), printable(&ended.output)));
        }
        let word = if verb == "purge" { "purge" } else { "yes" };
        let question = "Change these files now? Deleted means gone: there is no trash.";
        if !ctx.console.confirm_by(question, word) {
            return Err(Failure::new(Exit::Refused, "not confirmed, so nothing was touched"));
        }
        arguments.push("--yes".into());
    }
    let keeper = match keeper(ctx, &policy, changes) {
        // A check that only looks tells of a ledger that cannot be read, too.
        Err(failure) if verb == "check" && !changes => {
            tracing::debug!(why = failure.message, "the ledger of all cannot be read");
            reader(ctx, &policy, None)
        }
        keeper => keeper?,
    };
    let run = keeper.run.clone();
    if let Some(handover) = &handover {
        handover.begin(ctx, &policy, &run)?;
    }
    let mut ended = all(&accounts, &arguments, keeper, &stop, ctx);
    if let Command::Check(args) = command {
        let document = document(verb, &run, &policy, &ended, &refused, ctx);
        return super::check::all(args, &document, invalid, ctx);
    }
    let mut exit = report(verb, &run, &policy, &ended, &refused, ctx)?;
    if let (Some(handover), Command::Purge(args)) = (handover, command) {
        let parts = ended.iter_mut().map(|ended| (text(&ended.account.home), ended.parts.take())).collect();
        let refused = refused.iter().map(|(account, why)| (text(&account.home), chain(why))).collect();
        let issued = handover.issue(All { args, ctx, policy: &policy, run: &run, asked, parts, refused });
        match issued {
            Ok(files) => files.iter().for_each(|file| ctx.console.notice(handed_over(file).trim_end())),
            Err(failure) => {
                ctx.console.failure(&failure);
                exit = exit.or(Exit::Failed);
            }
        }
    }
    let is_done = matches!(command, Command::Enforce(args) if !args.dry_run);
    if let Command::Enforce(super::enforce::EnforceArgs { metrics: Some(file), dry_run: false, .. }) = command
    {
        let of_users: Vec<&str> = ended.iter().map(|ended| ended.figures.as_str()).collect();
        let figures = all_users::figures(&of_users, surroundings::now(), exit.code());
        if let Err(error) = metrics::write(&ctx.env.absolute(file), &figures) {
            ctx.console.failure(&Failure::because(Exit::Failed, &error));
            exit = exit.or(Exit::Failed);
        }
    }
    if is_done {
        remember(&run, exit, ctx).unwrap_or_else(|error| {
            ctx.console.failure(&Failure::because(Exit::Failed, &error));
            exit = exit.or(Exit::Failed);
        });
    }
    Ok(exit)
}

/// Remembers how a run over all users ended, for `schedule status --system`.
fn remember(run: &RunId, exit: Exit, ctx: &Context) -> Result<(), StateError> {
    // Root's own child, which is through, has written the same state.
    let mut file = StateFile::load(&ctx.env.state_dir())?;
    file.state.last_run_of_all = Some(LastRun {
        run: run.0.clone(),
        time: surroundings::now(),
        exit: exit.code(),
        head: None,
        refusals: Vec::new(),
        unknown: serde_json::Map::default(),
    });
    file.save().map(drop)
}

/// The policy of the machine, without any user's: what the ledger of all is kept by.
fn of_machine(ctx: &Context) -> Result<Policy, Failure> {
    let places = Places::new(&ctx.env);
    // No user's files: nothing lies there.
    let places = Places { user_dir: places.system_dir.join(".no-user"), ..places };
    let named = ctx.global.policy.as_ref().map(|path| ctx.env.absolute(path));
    policy::of(&ctx.env, &places, named.as_deref()).map_err(|error| Failure::because(Exit::Usage, &error))
}

/// The accounts of people, from the system's own list.
fn accounts(ctx: &Context) -> Result<Vec<Account>, Failure> {
    let listed = if ctx.env.platform == Platform::Macos {
        let keys = ["RecordName", "UniqueID", "PrimaryGroupID", "NFSHomeDirectory"];
        said("/usr/bin/dscl", [".", "-readall", "/Users"].iter().chain(&keys))
            .map(|text| users::from_dscl(&text))
    } else {
        // It knows accounts that no file has; a system without it has no others.
        said("/usr/bin/getent", ["passwd"].iter())
            .or_else(|| fs_err::read_to_string("/etc/passwd").ok())
            .map(|text| users::from_passwd(&text))
    };
    let Some(listed) = listed else {
        return Err(Failure::new(Exit::Failed, "the accounts of this machine cannot be listed"));
    };
    let login_defs = fs_err::read_to_string("/etc/login.defs").unwrap_or_default();
    let ids = Ids::new(ctx.env.platform, &login_defs);
    let has_store = |home: &Path| home.join(".claude").symlink_metadata().is_ok();
    Ok(users::of_people(listed, ids, has_store))
}

/// What a program of the system prints; `None` where it is not there or fails.
fn said<'a>(program: &str, arguments: impl Iterator<Item = &'a &'a str>) -> Option<String> {
    let output = Process::new(program).args(arguments.copied()).env_clear().output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is needed to keep the ledger for the children.
fn keeper(ctx: &Context, policy: &Policy, opens: bool) -> Result<Keeper, Failure> {
    let dir = ctx.env.system_ledger_dir();
    let last = ledger::last_time(&dir).map_err(|error| Failure::because(Exit::Refused, &error))?;
    let mut proven = false;
    if opens {
        let mut file =
            StateFile::load(&ctx.env.state_dir()).map_err(|error| Failure::because(Exit::Refused, &error))?;
        let sight = ClockSight { now: ctx.env.now, built: ctx.env.built, ledger: last, stores: None };
        let (verdict, doubt) = guard::clock(&sight, file.state.clock.as_ref());
        file.state.clock = doubt;
        // Before any child begins, which may be root's own with the same state.
        file.save().map_err(|error| Failure::because(Exit::Refused, &error))?;
        proven = verdict.is_allowed();
    }
    Ok(Keeper { proven, ..reader(ctx, policy, last) })
}

/// What is needed where no ledger is written.
fn reader(ctx: &Context, policy: &Policy, last: Option<DateTime<Utc>>) -> Keeper {
    Keeper {
        place: Place { dir: ctx.env.system_ledger_dir(), state_dir: ctx.env.state_dir() },
        policy: policy.ledger.value.clone(),
        run: RunId::random(),
        proven: false,
        last,
        now: ctx.env.now,
        began: Instant::now(),
    }
}

/// Whether the run is to end before all are done.
pub(super) struct Stop {
    signalled: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stop {
    fn new(max_runtime: Option<Length>) -> Self {
        let signalled = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            let _ = signal_hook::flag::register(signal, Arc::clone(&signalled));
        }
        let deadline = match max_runtime {
            Some(Length::Span(span)) => Instant::now().checked_add(span.to_std().unwrap_or(Duration::ZERO)),
            Some(Length::Immediately) => Some(Instant::now()),
            Some(Length::Never) | None => None,
        };
        Self { signalled, deadline }
    }

    pub(super) fn asked(&self) -> bool {
        self.signalled.load(Ordering::Relaxed) || self.deadline.is_some_and(|end| Instant::now() >= end)
    }
}

/// Handles the accounts one after the other.
fn all(
    accounts: &[Account],
    arguments: &[OsString],
    keeper: Keeper,
    stop: &Stop,
    ctx: &Context,
) -> Vec<Ended> {
    let mut ended = Vec::new();
    let mut waiting: VecDeque<&Account> = accounts.iter().collect();
    while let Some(account) = waiting.pop_front() {
        if stop.asked() {
            ctx.console.warning(&format!(
                "asked to stop; {} and {} more accounts wait for the next run",
                text(&account.name),
                waiting.len()
            ));
            break;
        }
        let child = Child { account, arguments, keeper: &keeper, stop, working_dir: &ctx.env.working_dir };
        ended.push(child.run(variables(account, ctx)));
    }
    ended
}

/// The environment of a child: its user's, and nothing of root's.
fn variables(account: &Account, ctx: &Context) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("HOME", PathBuf::from(&account.home).into()),
        ("USER", account.name.clone().into()),
        ("LOGNAME", account.name.clone().into()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        (super::link::MARKER, "1".into()),
    ];
    for name in ["TZ", "LANG", "LC_ALL"] {
        variables.extend(ctx.env.variable(name).map(|value| (name, value.to_os_string())));
    }
    variables
}

/// What the accounts reported, and which were left out.
fn document<'a>(
    verb: &'static str,
    run: &'a RunId,
    policy: &'a Policy,
    ended: &[Ended],
    refused: &[(Account, HomeRefusal)],
    ctx: &Context,
) -> AllUsers<'a> {
    AllUsers {
        verb,
        run: &run.0,
        now: ctx.env.now,
        policy,
        users: ended.iter().map(user).collect(),
        refused: refused
            .iter()
            .map(|(account, why)| Refusal {
                user: text(&account.name),
                uid: account.uid,
                home: text(&account.home),
                why: chain(why),
            })
            .collect(),
    }
}

fn report(
    verb: &'static str,
    run: &RunId,
    policy: &Policy,
    ended: &[Ended],
    refused: &[(Account, HomeRefusal)],
    ctx: &Context,
) -> Result<Exit, Failure> {
    let document = document(verb, run, policy, ended, refused, ctx);
    if ctx.global.json {
        ctx.console.json(&document.json())?;
    } else {
        for ended in ended {
            ctx.console.data(&format!("{}\n{}", heading(&ended.account), printable(&ended.output)))?;
        }
        if ended.is_empty() && refused.is_empty() {
            ctx.console.data("no account has a home of its own\n")?;
        }
    }
    for ended in ended {
        let name = text(&ended.account.name);
        for line in &ended.messages {
            // A line of log for a machine stays one.
            if let Ok(serde_json::Value::Object(mut record)) = serde_json::from_str(line) {
                record.insert("user".into(), name.clone().into());
                ctx.console.log(&serde_json::Value::Object(record).to_string());
                continue;
            }
            let line = line.strip_prefix("ccretain: ").unwrap_or(line);
            ctx.console.passed_on(&format!("{name}: {}", text(line)));
        }
        if let Some(error) = &ended.error {
            ctx.console.error(&format!("{name}: {error}"));
        }
    }
    for refusal in &document.refused {
        ctx.console.error(&format!("{} ('{}') is left out: {}", refusal.user, refusal.home, refusal.why));
    }
    Ok(exit(ended, !refused.is_empty()))
}

fn user(ended: &Ended) -> User {
    User {
        user: text(&ended.account.name),
        uid: ended.account.uid,
        home: text(&ended.account.home),
        exit: ended.exit,
        report: serde_json::from_str(&ended.output).ok(),
        messages: ended.messages.iter().map(text).collect(),
        error: ended.error.clone(),
    }
}

/// That of all where all ended alike; else some items failed and the rest was done.
fn exit(ended: &[Ended], any_refused: bool) -> Exit {
    let of = |code: Option<u8>| match code {
        Some(0) => Exit::Done,
        Some(2) => Exit::Usage,
        Some(4) => Exit::Refused,
        Some(75) => Exit::Locked,
        _ => Exit::Failed,
    };
    let mut exits =
        ended.iter().map(|ended| if ended.error.is_some() { Exit::Failed } else { of(ended.exit) });
    let first = exits.next().unwrap_or(Exit::Done);
    let alike = exits.all(|exit| exit == first);
    if alike && !any_refused { first } else { Exit::Failed }
}

fn heading(account: &Account) -> String {
    format!("{} (uid {}, '{}')", text(&account.name), account.uid, text(&account.home))
}

/// What a child printed, line by line as it may be shown: it may be anything.
fn printable(output: &str) -> String {
    output.lines().map(|line| format!("  {}\n", text(line))).collect()
}

impl Keeper {
    /// The time of the run now: that of its start and what has passed since.
    pub(super) fn time(&self) -> DateTime<Utc> {
        let passed = chrono::TimeDelta::from_std(self.began.elapsed()).unwrap_or_default();
        self.now.checked_add_signed(passed).unwrap_or(self.now)
    }
}
