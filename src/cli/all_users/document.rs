//! What the accounts reported, put together.

use crate::cli::context::Context;
use crate::error::chain;
use crate::escape::text;
use crate::ledger::RunId;
use crate::locate::users::{Account, HomeRefusal};
use crate::policy::Policy;
use crate::report::all_users::{AllUsers, Refusal, User};
use crate::run::accounts::{self, Ended, Handled};

/// What the accounts reported, and which were left out.
pub(super) fn document<'a>(
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
    // Who stopped it knows why; a run that was too slow has to say so.
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
