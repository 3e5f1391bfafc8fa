//! `ccretain ledger`: what was recorded, and whether the records hold together.

use std::path::PathBuf;

use super::args::{LedgerCommand, LedgerShow, Since};
use super::{Context, Exit, Failure};
use crate::error::chain;
use crate::escape::shown;
use crate::ledger::{self, Filter, Item, Names};
use crate::report::ledger::{Shown, Verified};
use crate::report::style::Paint;
use crate::state::StateFile;

/// Runs the verb. Takes no lock: a run may be writing meanwhile.
///
/// # Errors
/// When the ledger cannot be read, or a session is named in a way that fits several or none.
pub fn run(command: &LedgerCommand, ctx: &Context) -> Result<Exit, Failure> {
    match command {
        LedgerCommand::Show(args) => show(args, ctx),
        LedgerCommand::Verify { head } => verify(head.as_deref(), ctx),
    }
}

/// The folder of the user's own ledger, or of that of all.
fn dir(ctx: &Context) -> PathBuf {
    if ctx.global.all_users { ctx.env.system_ledger_dir() } else { ctx.env.ledger_dir() }
}

fn show(args: &LedgerShow, ctx: &Context) -> Result<Exit, Failure> {
    let dir = dir(ctx);
    let failed = |error: ledger::LedgerError| Failure::because(Exit::Failed, &error);
    let since = match &args.since {
        None => None,
        Some(Since::Time(time)) => Some(*time),
        Some(Since::Ago(span)) => Some(ctx.env.now.checked_sub_signed(*span).unwrap_or_default()),
    };
    let sessions = match &args.session {
        Some(named) => sessions_named(named, ctx)?,
        None => Vec::new(),
    };
    let filter = Filter { newest: args.newest, since, sessions, run: args.run.clone() };
    let mut shown = Shown { items: Vec::new(), errors: Vec::new() };
    for item in ledger::records(&dir, &filter).map_err(failed)? {
        match item {
            Ok(item) => shown.items.push(item),
            Err(error) => shown.errors.push(chain(&error)),
        }
    }
    if ctx.global.json {
        ctx.console.json(&shown.json())?;
    } else {
        ctx.console.data(&shown.text(Paint::new(ctx.console.colours_data())))?;
    }
    for error in &shown.errors {
        ctx.console.error(error);
    }
    Ok(if shown.errors.is_empty() { Exit::Done } else { Exit::Failed })
}

/// The ids, as the ledger writes them, that a full id or the beginning of one stands for.
fn sessions_named(named: &str, ctx: &Context) -> Result<Vec<String>, Failure> {
    let named = named.to_lowercase();
    let names = Names::load(&ctx.env.state_dir()).map_err(|error| Failure::because(Exit::Failed, &error))?;
    if named.len() == 36 || named.starts_with("hmac-sha256:") {
        let keyed = names.map(|names| names.keyed(&named));
        return Ok(std::iter::once(named).chain(keyed).collect());
    }
    if named.len() < 8 {
        return Err(Failure::new(Exit::Usage, format!("'{}' is too short", shown(&named)))
            .hint("give the whole id, or 8 or more of its first characters"));
    }
    let mut found: Vec<String> = Vec::new();
    let all = ledger::records(&dir(ctx), &Filter::default())
        .map_err(|error| Failure::because(Exit::Failed, &error))?;
    for item in all.flatten() {
        let Item::Record(record) = item else { continue };
        let fits = |id: &&str| id.starts_with(&named) && !found.iter().any(|known| known == id);
        if let Some(id) = record.text("session").filter(fits).map(str::to_owned) {
            found.push(id);
        }
    }
    match found.len() {
        0 => Err(Failure::new(Exit::Usage, format!("no record names a session '{}…'", shown(&named)))
            .hint("where names are keyed, only a whole id can be looked up")),
        1 => Ok(found),
        _ => {
            let list: Vec<String> = found.iter().map(|id| shown(id).to_string()).collect();
            Err(Failure::new(
                Exit::Usage,
                format!("'{}' fits several sessions: {}", shown(&named), list.join(", ")),
            ))
        }
    }
}

fn verify(head: Option<&str>, ctx: &Context) -> Result<Exit, Failure> {
    // What the last run remembered is no proof, for who can cut the ledger can write the state
    // too; but where it is missing from the chain, that is worth a warning.
    let remembered = || {
        // The last run of root's own account wrote its own ledger.
        if ctx.global.all_users {
            return None;
        }
        let state = StateFile::load(&ctx.env.state_dir()).ok()?;
        Some(state.state.last_run?.head?.sha256)
    };
    let compared = head.map(str::to_owned).or_else(remembered);
    let found = ledger::verify(&dir(ctx), compared.as_deref())
        .map_err(|error| Failure::because(Exit::Failed, &error))?;
    let verified = Verified { found: &found, was_given: head.is_some() };
    if ctx.global.json {
        ctx.console.json(&verified.json())?;
    } else {
        ctx.console.data(&verified.text(Paint::new(ctx.console.colours_data())))?;
    }
    if verified.lacks_remembered() {
        ctx.console.warning(
            "the head that the last run noted is not in the chain: the newest records may have been removed",
        );
    }
    if verified.is_sound() {
        return Ok(Exit::Done);
    }
    ctx.console.error(match &found.broken {
        Some(_) => "the ledger does not hold together",
        None => "the head given is not in the ledger",
    });
    Ok(Exit::Failed)
}
