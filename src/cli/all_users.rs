//! `--all-users`: one run for every account of the machine ([`crate::run::accounts`]).

use std::ffi::OsString;
use std::time::Duration;

use super::args::Command;
use super::context::{Context, Exit, Failure};
use super::purge::PurgeArgs;
use super::purge::handover_all::{All, AllHandover};
use super::{named, surroundings};
use crate::document::Hue;
use crate::error::chain;
use crate::escape::{self, text};
use crate::ledger::RunId;
use crate::locate::users::{Account, HomeRefusal};
use crate::period::Period;
use crate::policy::Policy;
use crate::purge::certificate::Witness;
use crate::report;
use crate::report::accounts::AccountRow;
use crate::report::all_users::{self, AllUsers, Figures, Refusal, User};
use crate::report::certificate::handed_over;
use crate::run::accounts::{self, Accounts, Ended, Handled, Keeper, Turns};

/// A command that is done for each account.
struct Task<'a> {
    command: &'a Command,
    name: &'static str,
    changes: bool,
    max_runtime: Option<&'a Period>,
    /// Whether a person is asked before anything is changed.
    asks: bool,
}

impl<'a> Task<'a> {
    /// The one list of the commands that are for all accounts; the ledger of all is read by `ledger` itself.
    fn of(command: &'a Command) -> Option<Self> {
        let (name, changes, max_runtime, yes) = match command {
            Command::Enforce(args) => ("enforce", !args.dry_run, args.max_runtime.as_ref(), args.yes),
            Command::Purge(args) => ("purge", !args.dry_run, None, args.yes),
            // Nothing is lost by what these change.
            Command::Status(_) => ("status", false, None, true),
            Command::Check(args) => ("check", args.fix, None, true),
            _ => return None,
        };
        Some(Self { command, name, changes, max_runtime, asks: changes && !yes })
    }

    /// What each child is called with.
    fn arguments(&self, ctx: &Context) -> Vec<OsString> {
        match self.command {
            Command::Check(args) => super::check::for_child(args, ctx),
            _ => std::env::args_os().skip(1).filter(|argument| argument != "--all-users").collect(),
        }
    }

    /// How long a run may take where nothing else says so.
    fn longest(&self) -> Duration {
        // The service of a timer has two hours; a purge is for a machine that is handed in, and is watched.
        let hour = Duration::from_secs(60 * 60);
        if self.name == "purge" { 12 * hour } else { hour * 5 / 3 }
    }

    /// What keeps the ledger for the children.
    fn keeper(&self, policy: &Policy, ctx: &Context) -> Result<Keeper, Failure> {
        if self.changes {
            return Ok(Keeper::writing(ctx, policy)?);
        }
        match Keeper::reading(ctx, policy) {
            // A check that only looks tells of a ledger that cannot be read, too.
            Err(error) if self.name == "check" => {
                tracing::debug!(why = chain(&error), "the ledger of all cannot be read");
                Ok(Keeper::without_ledger(ctx, policy))
            }
            keeper => Ok(keeper?),
        }
    }
}

/// Runs a command for all accounts.
///
/// # Errors
/// Not root, or a command that is for one account (2); no consent, no ledger (4).
pub fn run(command: &Command, ctx: &Context) -> Result<Exit, Failure> {
    let task = allowed(command, ctx)?;
    let (policy, invalid) = policy_of_machine(&task, ctx)?;
    let Accounts { fit: accounts, refused } = accounts::find(ctx)?;
    let turns = Turns::new(task.max_runtime, task.longest());
    let certificate = Certificate::prepare(&task, &accounts, ctx)?;
    let mut arguments = task.arguments(ctx);
    let has_agreed = task.asks && consent(&task, &arguments, &accounts, &policy, &turns, ctx)?;
    arguments.extend(has_agreed.then(|| "--yes".into()));
    let consent = match (task.asks, has_agreed) {
        (false, _) => Witness::CommandLine,
        (true, true) => Witness::Terminal,
        (true, false) => Witness::Unneeded,
    };
    let keeper = task.keeper(&policy, ctx)?;
    if let Some(certificate) = &certificate {
        // Before any child: what children record must not come before the record that a purge began.
        certificate.handover.begin(ctx, &policy, &keeper.run)?;
    }
    let accounts = if task.changes { accounts::longest_ago_first(accounts, ctx)? } else { accounts };
    let mut handled = Handled::all(accounts, &arguments, &keeper, &turns, ctx);
    let mut document = document(task.name, &keeper.run, &policy, &mut handled, &refused, ctx);
    if let Command::Check(args) = command {
        return super::check::all(args, &document, invalid, ctx);
    }
    let mut exit = report(&mut document, task.changes, &handled, ctx)?;
    let must = |done: Result<(), Failure>, exit: Exit| match done {
        Ok(()) => exit,
        Err(failure) => {
            ctx.console.failure(&failure);
            exit.or(Exit::Failed)
        }
    };
    if let Some(certificate) = certificate {
        exit = must(certificate.issue(consent, &policy, &keeper.run, &mut handled, &document, ctx), exit);
    }
    exit = must(leave_figures(command, &handled, exit, ctx), exit);
    if task.name == "enforce" && task.changes {
        let remembered = handled.remember(&keeper.run, exit.code(), surroundings::now(), ctx);
        exit = must(remembered.map_err(Failure::from), exit);
    }
    Ok(exit)
}

/// What is to be done, where it may be.
fn allowed<'a>(command: &'a Command, ctx: &Context) -> Result<Task<'a>, Failure> {
    let task = Task::of(command).ok_or_else(|| {
        Failure::new(Exit::Usage, "--all-users is for enforce, purge, status, check and ledger").hint(
            "`ccretain --all-users status` shows every account; the other commands are for one: run them as that user",
        )
    })?;
    if matches!(command, Command::Check(args) if args.services) {
        return Err(Failure::new(Exit::Usage, "check --services is for one account")
            .hint("run it as the user: `ccretain check --services`"));
    }
    // A path is resolved as root here, and would be opened as a user whom it may not belong to.
    if !ctx.global.stores.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "--store names a store of one account, and --all-users means all",
        )
        .hint("leave one of the two out: `ccretain --all-users status` shows the stores of every account"));
    }
    // Both: a program with the set-user-id bit would run for whoever started it.
    let is_root = rustix::process::getuid().is_root() && rustix::process::geteuid().is_root();
    if !is_root {
        return Err(Failure::new(Exit::Usage, "--all-users is for root alone").hint(format!(
            "`sudo ccretain --all-users {0}` does it for every account, `ccretain {0}` for yours",
            task.name
        )));
    }
    Ok(task)
}

/// The policy of the machine, and why it cannot be used where a check tells of that.
fn policy_of_machine(task: &Task<'_>, ctx: &Context) -> Result<(Policy, Option<String>), Failure> {
    match accounts::policy_of_machine(ctx) {
        // Only a file that was named must be one.
        Err(error) if task.name == "check" && ctx.global.policy.is_none() => {
            Ok((super::posture::nothing(ctx)?, Some(chain(&error))))
        }
        policy => Ok((policy?, None)),
    }
}

/// Shows what would be done, and asks: whether somebody agreed to it. Where nothing is due nobody is asked, and the
/// children, who were given no consent, refuse what has become due since.
fn consent(
    task: &Task<'_>,
    arguments: &[OsString],
    accounts: &[Account],
    policy: &Policy,
    turns: &Turns,
    ctx: &Context,
) -> Result<bool, Failure> {
    if !ctx.console.can_ask() {
        return Err(Failure::unattended());
    }
    // Asked by a real look of every account, as nobody can agree to what he has not seen.
    let mut looking = arguments.to_vec();
    looking.push("--dry-run".into());
    let keeper = Keeper::reading(ctx, policy)?;
    let would = Handled::all(accounts.to_vec(), &looking, &keeper, turns, ctx);
    let report = accounts_of(task.name, false, &would, &[]);
    ctx.console.notice(&report.text(ctx.paint_messages()));
    // What could not be looked at is what a person must know before answering.
    messages(&would, ctx);
    if ctx.global.verbose > 0 {
        each_account(&would, |text| {
            ctx.console.notice(text);
            Ok(())
        })?;
    }
    let is_purge = task.name == "purge";
    if report.changes_nothing() {
        let all_seen = would.ended.iter().all(|ended| ended.error.is_none() && ended.exit == Some(0));
        let seen = if all_seen { "" } else { " in the accounts that could be looked at" };
        let nothing = if is_purge { "there is nothing to remove" } else { "nothing is due" };
        ctx.console.notice(&format!("{nothing}{seen}"));
        return Ok(false);
    }
    ctx.console.notice("");
    let word = if is_purge { "purge" } else { "yes" };
    if ctx.console.confirm_by(&report.question(), word) { Ok(true) } else { Err(Failure::cancelled()) }
}

/// The one certificate of a purge.
struct Certificate<'a> {
    args: &'a PurgeArgs,
    handover: AllHandover,
}

impl<'a> Certificate<'a> {
    fn prepare(task: &Task<'a>, accounts: &[Account], ctx: &Context) -> Result<Option<Self>, Failure> {
        let Command::Purge(args) = task.command else { return Ok(None) };
        if !task.changes {
            return Ok(None);
        }
        Ok(Some(Self { args, handover: AllHandover::prepare(args, ctx, accounts)? }))
    }

    fn issue(
        self,
        consent: Witness,
        policy: &Policy,
        run: &RunId,
        handled: &mut Handled,
        document: &AllUsers<'_>,
        ctx: &Context,
    ) -> Result<(), Failure> {
        let is_nothing =
            |ended: &Ended| ended.parts.as_ref().is_some_and(|parts| parts.counts.total().is_nothing());
        let missed = self.args.session.as_ref().filter(|_| handled.ended.iter().all(is_nothing));
        let ended = handled.ended.iter_mut();
        let parts = ended.map(|ended| (text(&ended.account.home), ended.parts.take())).collect();
        let refused = document.refused.iter().chain(&document.not_reached);
        let refused = refused.map(|refusal| (refusal.home.clone(), refusal.why.clone())).collect();
        let all = All { args: self.args, ctx, policy, run, consent, parts, refused };
        for file in self.handover.issue(all)? {
            ctx.console.notice(handed_over(&file).trim_end());
        }
        match missed {
            // Each of many accounts is right to have nothing of it; that none has is a mistake of whoever named it.
            Some(session) => {
                let message =
                    format!("no account has anything of session '{}': nothing was removed", text(session));
                Err(Failure::new(Exit::Failed, message))
            }
            None => Ok(()),
        }
    }
}

/// Leaves the figures of all accounts for a collector, where that was asked for.
fn leave_figures(command: &Command, handled: &Handled, exit: Exit, ctx: &Context) -> Result<(), Failure> {
    let Command::Enforce(args) = command else { return Ok(()) };
    let Some(file) = args.metrics.as_ref().filter(|_| !args.dry_run) else { return Ok(()) };
    let owns: Vec<_> = handled.ended.iter().map(|ended| |store: &str| owns(&ended.account, store)).collect();
    let of_users = handled.ended.iter().zip(&owns);
    let of_users: Vec<Figures<'_>> =
        of_users.map(|(ended, owns)| Figures { text: &ended.figures, owns }).collect();
    let figures = all_users::figures(&of_users, surroundings::now(), exit.code());
    named::put(file, figures.as_bytes(), ctx)
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

/// What the accounts came to, for people; those of `left` were not handled.
fn accounts_of<'a>(
    verb: &'static str,
    is_done: bool,
    handled: &'a Handled,
    left: &[(&Refusal, (&'static str, Hue))],
) -> report::accounts::Accounts<'a> {
    let ended = handled.ended.iter().map(|ended| AccountRow {
        name: text(&ended.account.name),
        ended: match ended.exit {
            _ if ended.error.is_some() => ("failed", Hue::Bad),
            Some(0) => ("done", Hue::Plain),
            Some(2) => ("not begun", Hue::Bad),
            Some(4) => ("refused", Hue::Warn),
            Some(75) => ("another run", Hue::Warn),
            _ => ("with errors", Hue::Bad),
        },
        totals: ended.totals.as_deref(),
    });
    let left = left.iter().map(|(account, ended)| AccountRow {
        name: account.user.clone(),
        ended: *ended,
        totals: None,
    });
    report::accounts::Accounts { verb, is_done, rows: ended.chain(left).collect() }
}

/// Each account's own report.
fn each_account(
    handled: &Handled,
    mut print: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let own = handled.ended.iter().filter(|ended| !ended.output.is_empty());
    own.into_iter()
        .try_for_each(|ended| print(&format!("\n{}\n{}", heading(&ended.account), printable(&ended.output))))
}

/// Prints what the accounts came to, and what went wrong.
fn report(
    document: &mut AllUsers<'_>,
    is_done: bool,
    handled: &Handled,
    ctx: &Context,
) -> Result<Exit, Failure> {
    if ctx.global.json {
        ctx.console.json(&document.json())?;
    } else if document.is_empty() {
        ctx.console.sentences("no account has a home of its own\n")?;
    } else {
        let refused = document.refused.iter().map(|one| (one, ("left out", Hue::Bad)));
        let waiting = document.not_reached.iter().map(|one| (one, ("not reached", Hue::Warn)));
        let left: Vec<_> = refused.chain(waiting).collect();
        ctx.console.data(&accounts_of(document.verb, is_done, handled, &left).text(ctx.paint()))?;
        if ctx.global.verbose > 0 {
            each_account(handled, |text| ctx.console.data(text))?;
        }
    }
    messages(handled, ctx);
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

/// Prints what the accounts said beside their reports.
fn messages(handled: &Handled, ctx: &Context) {
    let mut plain: Vec<(String, String, Vec<String>)> = Vec::new();
    for ended in &handled.ended {
        let name = text(&ended.account.name);
        let mut lines = Vec::new();
        for line in &ended.messages {
            // A line of log for a machine stays one.
            if let Ok(serde_json::Value::Object(mut record)) = serde_json::from_str(line) {
                record.insert("user".into(), name.clone().into());
                ctx.console.log(&escape::json::line(&record).unwrap_or_default());
                continue;
            }
            lines.push(text(line.strip_prefix("ccretain: ").unwrap_or(line)));
        }
        plain.push((name, text(&ended.account.home), lines));
    }
    let all = plain.iter().map(|(name, home, lines)| (name.as_str(), home.as_str(), lines.as_slice()));
    for (names, words) in report::accounts::said_by(all) {
        for line in words.lines() {
            ctx.console.passed_on(&format!("{names}: {line}"));
        }
    }
    for ended in &handled.ended {
        if let Some(error) = &ended.error {
            ctx.console.error(&format!("{}: {error}", text(&ended.account.name)));
        }
    }
}

fn user(ended: &mut Ended) -> User {
    if ended.is_cut {
        ended.error.get_or_insert_with(|| "its report is too long; the work is done, and recorded".into());
    }
    let report: Option<serde_json::Value> = serde_json::from_str(&ended.output).ok();
    // A child runs as its user, who may have taken it over: what it says is believed as far as it was recorded.
    if report.as_ref().is_some_and(|report| !ended.recorded.covers_report(report)) {
        ended.error.get_or_insert_with(accounts::more_than_recorded);
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
