//! `check --all-users`: one document of those of all accounts.

use std::ffi::OsString;

use crate::check::{gather, retention};
use crate::cli::check::{CheckArgs, format, print};
use crate::cli::context::{Context, Exit, Failure};
use crate::report::all_users::AllUsers;
use crate::report::check::{Document, Subject};
use crate::state::StateFile;

/// What each account's child is asked: the document of this check, whatever the parent prints.
pub(super) fn for_child(args: &CheckArgs, ctx: &Context) -> Vec<OsString> {
    let mut words: Vec<OsString> =
        ["check", "--json", "--fail-on", args.fail_on.word(), "--grace"].map(Into::into).into();
    words.push(args.grace.to_string().into());
    if args.fix {
        words.push("--fix".into());
    }
    if let Some(policy) = &ctx.global.policy {
        words.push("--policy".into());
        words.push(ctx.env.absolute(policy).into());
    }
    words
}

/// One document of those of all accounts, printed; `invalid` is why the policy of the machine cannot
/// be used.
///
/// # Errors
/// It cannot be printed.
pub(super) fn report(
    args: &CheckArgs,
    all: &AllUsers<'_>,
    invalid: Option<String>,
    ctx: &Context,
) -> Result<Exit, Failure> {
    let format = format(args, ctx)?;
    let host = gather::host(ctx);
    let machine = gather::machine_id(all.policy, ctx);
    let subject = Subject { host: &host, machine: machine.as_deref(), user: None, fail_on: args.fail_on };
    let policy = if invalid.is_none() { Some(all.policy) } else { None };
    let facts = gather::of_machine(all.policy, invalid, ctx);
    let findings = retention::of_machine(&facts);
    let machine = Document::new(subject, &facts, policy, findings, None);
    // A state that cannot be read is a finding of root's own account, where it has one.
    let state = StateFile::load(&ctx.env.state_dir());
    let last = state.ok().and_then(|file| file.state.last_run_of_all);
    let left_last = last.map(|last| last.unfinished).unwrap_or_default();
    print(args, format, &machine.with_users(all, &left_last), ctx)
}
