//! `--all-users`: one run for every account of the machine, each with its own rights and no more.
//!
//! Root looks at the list of accounts and at the homes themselves. Everything else is done by a
//! child for each account, this same program, which becomes the user before it opens anything.
//! The ledger is root's alone: the child sends what it is about to do and waits until that is on
//! disk. Its user can stop and end it, so it is bounded in time, and in what it says.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::accounts::{self, Accounts};
use super::args::Command;
use super::child::{Child, Ended};
use super::keeper::Keeper;
use super::kept_state;
use super::purge::handover_all::{All, AllHandover};
use super::{Context, Exit, Failure, surroundings};
use crate::error::chain;
use crate::escape::{self, text};
use crate::guard::{self, ClockSight};
use crate::ledger::{self, Place, RunId};
use crate::locate::users::{Account, HomeRefusal};
use crate::period::Length;
use crate::policy::load::Places;
use crate::policy::{self, Policy};
use crate::report::all_users::{self, AllUsers, Figures, Refusal, User};
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
    if matches!(command, Command::Check(args) if args.services) {
        return Err(Failure::new(Exit::Usage, "check --services is for one account: run it as the user"));
    }
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
    let Accounts { fit: accounts, refused } = accounts::find(ctx)?;
    let stop = Stop::new(max_runtime.map(crate::period::Period::length), longest(command));
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
        let would = all(accounts.clone(), &looking, &keeper, &stop, ctx);
        for ended in &would.ended {
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
    let accounts = if changes { longest_ago_first(accounts, ctx)? } else { accounts };
    let mut handled = all(accounts, &arguments, &keeper, &stop, ctx);
    let mut document = document(verb, &run, &policy, &mut handled, &refused, ctx);
    if let Command::Check(args) = command {
        return super::check::all(args, &document, invalid, ctx);
    }
    let mut exit = report(&mut document, &handled, ctx)?;
    if let (Some(handover), Command::Purge(args)) = (handover, command) {
        let ended = handled.ended.iter_mut();
        let parts = ended.map(|ended| (text(&ended.account.home), ended.parts.take())).collect();
        let refused = document.refused.iter().chain(&document.not_reached);
        let refused = refused.map(|refusal| (refusal.home.clone(), refusal.why.clone())).collect();
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
        let owns: Vec<_> =
            handled.ended.iter().map(|ended| |store: &str| owns(&ended.account, store)).collect();
        let of_users = handled.ended.iter().zip(&owns);
        let of_users: Vec<Figures<'_>> =
            of_users.map(|(ended, owns)| Figures { text: &ended.figures, owns }).collect();
        let figures = all_users::figures(&of_users, surroundings::now(), exit.code());
        if let Err(error) = metrics::write(&ctx.env.absolute(file), &figures) {
            ctx.console.failure(&Failure::because(Exit::Failed, &error));
            exit = exit.or(Exit::Failed);
        }
    }
    if is_done {
        remember(&run, exit, &handled, &document, ctx).unwrap_or_else(|error| {
            ctx.console.failure(&Failure::because(Exit::Failed, &error));
            exit = exit.or(Exit::Failed);
        });
    }
    Ok(exit)
}

/// Remembers how a run over all users ended, for `schedule status --system`, and whom it served, so
/// that the next begins with the others.
fn remember(
    run: &RunId,
    exit: Exit,
    handled: &Handled,
    document: &AllUsers<'_>,
    ctx: &Context,
) -> Result<(), StateError> {
    // Root's own child, which is through, has written the same state.
    let mut file = StateFile::load(&ctx.env.state_dir())?;
    // Also one that ran into an error: it had its turn.
    for ended in &handled.ended {
        file.state.saw_served(ended.account.uid, surroundings::now());
    }
    let unfinished = handled.ended.iter().filter(|ended| ended.is_unfinished);
    let unfinished = unfinished.map(|ended| text(&ended.account.name));
    let not_reached = document.not_reached.iter().map(|refusal| refusal.user.clone());
    file.state.last_run_of_all = Some(LastRun {
        run: run.0.clone(),
        time: surroundings::now(),
        exit: exit.code(),
        head: None,
        refusals: Vec::new(),
        unfinished: unfinished.chain(not_reached).collect(),
        unknown: serde_json::Map::default(),
    });
    file.save().map(drop)
}

/// The policy of the machine, without any user's: what the ledger of all is kept by.
fn of_machine(ctx: &Context) -> Result<Policy, Failure> {
    let places = Places { user: None, ..Places::new(&ctx.env) };
    let named = ctx.global.policy.as_ref().map(|path| ctx.env.absolute(path));
    policy::of(&ctx.env, &places, named.as_deref()).map_err(|error| Failure::because(Exit::Usage, &error))
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

/// How long a run may take where nothing else says so. The service of a timer has two hours; a purge
/// is for a machine that is handed in, and is watched.
fn longest(command: &Command) -> Duration {
    let hour = Duration::from_secs(60 * 60);
    if matches!(command, Command::Purge(_)) { 12 * hour } else { hour * 5 / 3 }
}

/// The least that one account may take of what is left: large stores take minutes.
const LEAST_SHARE: Duration = Duration::from_secs(10 * 60);

/// Whether the run is to end before all are done.
pub(super) struct Stop {
    signalled: Arc<AtomicBool>,
    deadline: Option<Instant>,
    end: Instant,
}

impl Stop {
    fn new(max_runtime: Option<Length>, longest: Duration) -> Self {
        let signalled = Arc::new(AtomicBool::new(false));
        crate::run::signals::note_stops(&signalled);
        let now = Instant::now();
        let deadline = match max_runtime {
            Some(Length::Span(span)) => now.checked_add(span.to_std().unwrap_or(Duration::ZERO)),
            Some(Length::Immediately) => Some(now),
            Some(Length::Never) | None => None,
        };
        Self { signalled, deadline, end: deadline.unwrap_or(now + longest) }
    }

    /// Whether somebody asked for the end, by a signal or `--max-runtime`.
    pub(super) fn asked(&self) -> bool {
        self.signalled.load(Ordering::Relaxed) || self.deadline.is_some_and(|end| Instant::now() >= end)
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// How long one of so many accounts may take: no account takes the time of all others.
    fn share(&self, accounts: usize) -> Duration {
        let left = self.left();
        let fair = left / u32::try_from(accounts.max(1)).unwrap_or(u32::MAX);
        fair.max(LEAST_SHARE.min(left))
    }
}

/// What became of the accounts.
struct Handled {
    ended: Vec<Ended>,
    /// Those whose turn did not come.
    waiting: Vec<Account>,
    /// Whether that was asked for.
    was_asked: bool,
}

/// Handles the accounts one after the other.
fn all(
    accounts: Vec<Account>,
    arguments: &[OsString],
    keeper: &Keeper,
    stop: &Stop,
    ctx: &Context,
) -> Handled {
    let mut ended = Vec::new();
    let mut waiting = VecDeque::from(accounts);
    while !stop.asked() && !stop.left().is_zero() {
        let share = stop.share(waiting.len());
        let Some(account) = waiting.pop_front() else { break };
        let (working_dir, state_dir) = (&ctx.env.working_dir, ctx.env.state_dir());
        let kept = kept_state::read(&state_dir, account.uid);
        // Begun anew where it cannot be used.
        let before = kept.as_ref().map_or_else(|_| Some(kept_state::nothing()), Clone::clone);
        let child = Child { account: &account, arguments, keeper, stop, share, working_dir, kept: before };
        let mut end = child.run(variables(&account, ctx));
        if let Err(error) = kept {
            end.error.get_or_insert_with(|| format!("what root keeps of it: {}", chain(&error)));
        }
        // A child that was stopped before it had begun has not been one.
        if end.is_unfinished && end.error.is_none() {
            waiting.push_front(account);
        } else {
            ended.push(end);
        }
    }
    Handled { ended, waiting: waiting.into(), was_asked: stop.asked() }
}

/// The accounts in the order in which they were served last: what kept a run from its end must not
/// keep the same accounts waiting again.
fn longest_ago_first(mut accounts: Vec<Account>, ctx: &Context) -> Result<Vec<Account>, Failure> {
    let file = StateFile::load(&ctx.env.state_dir());
    let state = file.map_err(|error| Failure::because(Exit::Refused, &error))?.state;
    accounts.sort_by_key(|account| state.served(account.uid));
    Ok(accounts)
}

/// The environment of a child: its user's, and nothing of root's.
fn variables(account: &Account, ctx: &Context) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("HOME", PathBuf::from(&account.home).into()),
        ("USER", account.name.clone().into()),
        ("LOGNAME", account.name.clone().into()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
        (crate::run::link::MARKER, "1".into()),
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
    handled: &mut Handled,
    refused: &[(Account, HomeRefusal)],
    ctx: &Context,
) -> AllUsers<'a> {
    let refusal = |account: &Account, why: String, is_of_a_store: bool| Refusal {
        user: text(&account.name),
        uid: account.uid,
        home: text(&account.home),
        why,
        is_of_a_store,
    };
    let not_reached = match handled.was_asked {
        true => "the run was stopped before its turn came; the next run begins with it",
        false => "the time of the run was over before its turn came; the next run begins with it",
    };
    AllUsers {
        verb,
        run: &run.0,
        now: ctx.env.now,
        policy,
        users: handled.ended.iter_mut().map(user).collect(),
        refused: refused
            .iter()
            .map(|(account, why)| refusal(account, chain(why), why.is_of_a_store()))
            .collect(),
        not_reached: handled
            .waiting
            .iter()
            .map(|account| refusal(account, not_reached.to_owned(), false))
            .collect(),
    }
}

/// Prints what the accounts came to, and what went wrong.
fn report(document: &mut AllUsers<'_>, handled: &Handled, ctx: &Context) -> Result<Exit, Failure> {
    if ctx.global.json {
        ctx.console.json(&document.json())?;
    } else {
        for ended in &handled.ended {
            ctx.console.data(&format!("{}\n{}", heading(&ended.account), printable(&ended.output)))?;
        }
        if document.is_empty() {
            ctx.console.data("no account has a home of its own\n")?;
        }
    }
    for ended in &handled.ended {
        let name = text(&ended.account.name);
        for line in &ended.messages {
            // A line of log for a machine stays one.
            if let Ok(serde_json::Value::Object(mut record)) = serde_json::from_str(line) {
                record.insert("user".into(), name.clone().into());
                ctx.console.log(&escape::json::line(&record).unwrap_or_default());
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
    for waits in &document.not_reached {
        let message = format!("{} ('{}') was not reached: {}", waits.user, waits.home, waits.why);
        match handled.was_asked {
            true => ctx.console.warning(&message),
            false => ctx.console.error(&message),
        }
    }
    let any_left = !document.refused.is_empty() || !(handled.was_asked || handled.waiting.is_empty());
    Ok(exit(&handled.ended, any_left))
}

fn user(ended: &mut Ended) -> User {
    if ended.is_cut {
        ended.error.get_or_insert_with(|| "its report is too long; the work is done, and recorded".into());
    }
    let report: Option<serde_json::Value> = serde_json::from_str(&ended.output).ok();
    if report.as_ref().is_some_and(|report| !ended.recorded.covers_report(report)) {
        ended.error.get_or_insert_with(|| "its report counts more than was recorded".into());
    }
    User {
        user: text(&ended.account.name),
        uid: ended.account.uid,
        home: text(&ended.account.home),
        exit: ended.exit,
        report,
        messages: ended.messages.iter().map(text).collect(),
        error: ended.error.clone(),
    }
}

/// That of all where all ended alike; else some items failed and the rest was done.
fn exit(ended: &[Ended], any_left: bool) -> Exit {
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
    if alike && !any_left { first } else { Exit::Failed }
}

/// Whether a store is an account's: in its home, or a folder of its own elsewhere.
fn owns(account: &Account, store: &str) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let store = std::path::Path::new(store);
    store.starts_with(&account.home)
        || fs_err::symlink_metadata(store).is_ok_and(|meta| meta.is_dir() && meta.uid() == account.uid)
}

fn heading(account: &Account) -> String {
    format!("{} (uid {}, '{}')", text(&account.name), account.uid, text(&account.home))
}

/// What a child printed, line by line as it may be shown: it may be anything.
fn printable(output: &str) -> String {
    output.lines().map(|line| format!("  {}\n", text(line))).collect()
}
