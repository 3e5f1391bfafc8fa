//! Asking before a run over all accounts.

use std::ffi::OsString;

use super::printing::{accounts_of, each_account, messages};
use super::task::Task;
use crate::cli::context::{Context, Failure};
use crate::locate::users::Account;
use crate::policy::Policy;
use crate::run::accounts::{Handled, Keeper, Turns};

/// Shows what would be done, and asks: whether somebody agreed to it. Where nothing is due nobody is asked, and the
/// children, who were given no consent, refuse what has become due since.
pub(super) fn consent(
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
