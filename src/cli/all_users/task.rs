//! Which commands are for all accounts, and how each is done.

use std::ffi::OsString;
use std::time::Duration;

use super::check;
use crate::cli::args::Command;
use crate::cli::context::{Context, Exit, Failure};
use crate::error::chain;
use crate::period::Period;
use crate::policy::Policy;
use crate::run::accounts::Keeper;

/// A command that is done for each account.
pub(super) struct Task<'a> {
    pub command: &'a Command,
    pub name: &'static str,
    pub changes: bool,
    pub max_runtime: Option<&'a Period>,
    /// Whether a person is asked before anything is changed.
    pub asks: bool,
}

impl<'a> Task<'a> {
    /// The one list of the commands that are for all accounts; the ledger of all is read by `ledger` itself.
    pub fn of(command: &'a Command) -> Option<Self> {
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
    pub fn arguments(&self, ctx: &Context) -> Vec<OsString> {
        match self.command {
            Command::Check(args) => check::for_child(args, ctx),
            _ => std::env::args_os().skip(1).filter(|argument| argument != "--all-users").collect(),
        }
    }

    /// How long a run may take where nothing else says so.
    pub fn longest(&self) -> Duration {
        // The service of a timer has two hours; a purge is for a machine that is handed in, and is watched.
        let hour = Duration::from_secs(60 * 60);
        if self.name == "purge" { 12 * hour } else { hour * 5 / 3 }
    }

    /// What keeps the ledger for the children.
    pub fn keeper(&self, policy: &Policy, ctx: &Context) -> Result<Keeper, Failure> {
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

/// What is to be done, where it may be.
pub(super) fn allowed<'a>(command: &'a Command, ctx: &Context) -> Result<Task<'a>, Failure> {
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
