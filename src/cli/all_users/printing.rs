//! Printing what the accounts came to, and what each of them said.

use crate::cli::context::{Context, Exit, Failure};
use crate::document::Hue;
use crate::escape::{self, text};
use crate::locate::users::Account;
use crate::report;
use crate::report::accounts::AccountRow;
use crate::report::all_users::{AllUsers, Refusal};
use crate::run::accounts::{Ended, Handled};

/// What the accounts came to, for people; those of `left` were not handled.
pub(super) fn accounts_of<'a>(
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
pub(super) fn each_account(
    handled: &Handled,
    mut print: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let own = handled.ended.iter().filter(|ended| !ended.output.is_empty());
    own.into_iter()
        .try_for_each(|ended| print(&format!("\n{}\n{}", heading(&ended.account), printable(&ended.output))))
}

/// Prints what the accounts came to, and what went wrong; gives how the run ends, and whether stdout took the report.
pub(super) fn report(
    document: &mut AllUsers<'_>,
    is_done: bool,
    handled: &Handled,
    ctx: &Context,
) -> (Exit, Result<(), Failure>) {
    let told = print(document, is_done, handled, ctx);
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
    (exit(&handled.ended, any_left), told)
}

fn print(
    document: &mut AllUsers<'_>,
    is_done: bool,
    handled: &Handled,
    ctx: &Context,
) -> Result<(), Failure> {
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
    Ok(())
}

/// Prints what the accounts said beside their reports.
pub(super) fn messages(handled: &Handled, ctx: &Context) {
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

/// That of all where all ended alike; else some items failed and the rest was done.
fn exit(ended: &[Ended], any_left: bool) -> Exit {
    let of = |code: Option<u8>| match code {
        Some(0) => Exit::Done,
        Some(2) => Exit::Usage,
        Some(4) => Exit::Refused,
        Some(75) => Exit::Locked,
        _ => Exit::Failed,
    };
    // One end for all is that of each, so that a refusal stays one; else some failed and the rest was done.
    let mut exits =
        ended.iter().map(|ended| if ended.error.is_some() { Exit::Failed } else { of(ended.exit) });
    let first = exits.next().unwrap_or(Exit::Done);
    let alike = exits.all(|exit| exit == first);
    if alike && !any_left { first } else { Exit::Failed }
}

fn heading(account: &Account) -> String {
    format!("{} (uid {}, '{}')", text(&account.name), account.uid, text(&account.home))
}

/// What a child printed, line by line as it may be shown: it may be anything.
fn printable(output: &str) -> String {
    output.lines().map(|line| format!("  {}\n", text(line))).collect()
}
