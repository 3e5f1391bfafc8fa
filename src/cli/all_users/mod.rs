//! `--all-users`: one run for every account of the machine ([`crate::run::accounts`]).

mod certificate;
mod check;
mod consent;
mod document;
mod printing;
mod task;

use super::args::Command;
use super::context::{Context, Exit, Failure};
use super::{named, surroundings};
use crate::check::gather;
use crate::error::chain;
use crate::locate::users::Account;
use crate::policy::Policy;
use crate::purge::certificate::Witness;
use crate::report::all_users::{self, Figures};
use crate::run::accounts::{self, Accounts, Handled, Turns};
use crate::run::purge::of_all;
use certificate::Certificate;
use consent::consent;
use document::document;
use printing::report;
use task::{Task, allowed};

/// Runs a command for all accounts.
///
/// # Errors
/// Not root, or a command that is for one account (2); no consent, no ledger (4).
pub fn run(command: &Command, ctx: &Context) -> Result<Exit, Failure> {
    let task = allowed(command, ctx)?;
    let (policy, invalid) = policy_of_machine(&task, ctx)?;
    let Accounts { fit: accounts, refused } = accounts::find(ctx)?;
    let turns = Turns::new(task.max_runtime, task.longest());
    let mut certificate = Certificate::prepare(&task, &accounts, ctx)?;
    let mut arguments = task.arguments(ctx);
    let has_agreed = task.asks && consent(&task, &arguments, &accounts, &policy, &turns, ctx)?;
    arguments.extend(has_agreed.then(|| "--yes".into()));
    let consent = match (task.asks, has_agreed) {
        (false, _) => Witness::CommandLine,
        (true, true) => Witness::Terminal,
        (true, false) => Witness::Unneeded,
    };
    let keeper = task.keeper(&policy, ctx)?;
    if let Some(certificate) = &mut certificate {
        certificate.reserve()?;
        // Before any child: what children record must not come before the record that a purge began.
        of_all::begin(ctx, &policy, &keeper.run)?;
    }
    let accounts = if task.changes { accounts::longest_ago_first(accounts, ctx)? } else { accounts };
    let mut handled = Handled::all(accounts, &arguments, &keeper, &turns, ctx);
    let mut document = document(task.name, &keeper.run, &policy, &mut handled, &refused, ctx);
    if let Command::Check(args) = command {
        return check::report(args, &document, invalid, ctx);
    }
    // What follows is to be done whether or not stdout takes the report.
    let (ended, told) = report(&mut document, task.changes, &handled, ctx);
    let mut exit = ended;
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
    told.map(|()| exit)
}

/// The policy of the machine, and why it cannot be used where a check tells of that.
fn policy_of_machine(task: &Task<'_>, ctx: &Context) -> Result<(Policy, Option<String>), Failure> {
    match accounts::policy_of_machine(ctx) {
        // Only a file that was named must be one.
        Err(error) if task.name == "check" && ctx.global.policy.is_none() => {
            Ok((gather::nothing(ctx)?, Some(chain(&error))))
        }
        policy => Ok((policy?, None)),
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

/// Whether a store is an account's: in its home, or a folder of its own elsewhere.
fn owns(account: &Account, store: &str) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let store = std::path::Path::new(store);
    store.starts_with(&account.home)
        || fs_err::symlink_metadata(store).is_ok_and(|meta| meta.is_dir() && meta.uid() == account.uid)
}
