//! `ccretain rekey`: what is sealed is sealed anew, to today's recipients.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::context::{Context, Exit, Failure};
use super::identities;
use super::vault::{self, Each, Head};
use crate::error::chain;
use crate::ledger::SealedRecords;
use crate::report::human::counted;
use crate::run::rekey::{Item, Work, targets, unread};
use crate::run::{self, SealedRun};

/// What `rekey` takes.
#[derive(Debug, Clone, Args)]
pub struct RekeyArgs {
    /// A file with a private key that opens what is sealed (repeatable); else identity.age beside
    /// the user's policy.
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// Also what is recorded as sealed to exactly today's recipients.
    #[arg(long)]
    pub all: bool,
    /// Accepted for scripts: this command never asks.
    #[arg(short, long, hide = true)]
    pub yes: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head,
    recipients: Vec<String>,
    sessions: &'a [Item],
    /// What could not be looked into, and what is wrong with the policy.
    errors: &'a [String],
}

/// Runs the verb.
///
/// # Errors
/// What kept it from starting: nothing was changed then.
pub fn run(args: &RekeyArgs, ctx: &Context) -> Result<Exit, Failure> {
    let ground = run::prepare(ctx)?;
    let recipients = identities::recipients(ctx, &ground.policy)?;
    let keys = identities::read(ctx, &args.identity)?;
    let locks = run::lock_all(&ground, ctx)?;
    let inventory = ground.inventory(ctx);
    let mut unlisted = ground.policy.complaints.clone();
    let targets = targets(&inventory, &mut unlisted);
    unlisted.extend(unread(&ground, &inventory, ctx));
    let deed = SealedRun::begin("rekey", ctx, &ground, locks)?;
    // What a record vouches for may unpack to any size; what somebody else put there may be made to fill the disk.
    let known = SealedRecords::load(&ctx.env.ledger_dir(), &ctx.env.state_dir(), &[], &[])
        .map_err(|error| chain(&error));
    let mut work = Work { ctx, keys: &keys, recipients: &recipients, all: args.all, known, deed };
    let each = vault::each(ctx, targets, "re-encrypting", |target| work.rekey(target));
    report(each, &unlisted, work, ctx)
}

/// Closes the ledger, and prints what was done.
fn report(each: Each<Item>, unlisted: &[String], work: Work<'_>, ctx: &Context) -> Result<Exit, Failure> {
    let Each { items, exit: stopped, failure } = each;
    let Work { recipients, deed, .. } = work;
    let count = |outcome: &str| items.iter().filter(|item| item.outcome == outcome).count() as u64;
    let (done, already, failed) = (count("rekeyed"), count("already"), count("failed"));
    // Copies that could not even be listed are still sealed to the old keys.
    let exit = if failed == 0 && unlisted.is_empty() { stopped } else { Exit::Failed };
    let head = Head::new("ccretain.rekey/1", &deed, ctx);
    // Before anything is printed: a full disk behind stdout must not cost the ledger its last record.
    let counts = [("rekeyed", done), ("already", already), ("failed", failed)];
    let closed = deed.end(&counts, exit.code(), ctx);
    let exit = vault::end(ctx, exit, failure, closed);
    for item in &items {
        if let Some(error) = &item.error {
            let copy = item.hold.as_ref().map(|hold| format!(", preserved for hold '{hold}'"));
            ctx.console.error(&format!("session {}{}: {error}", item.of.session, copy.unwrap_or_default()));
        }
    }
    for why in unlisted {
        ctx.console.error(why);
    }
    if ctx.global.json {
        ctx.console.json(&Document {
            head,
            recipients: recipients.iter().map(ToString::to_string).collect(),
            sessions: &items,
            errors: unlisted,
        })?;
    }
    let recorded = if already == 0 {
        String::new()
    } else {
        format!(", {already} recorded as sealed to the same recipients (--all does those too)")
    };
    let copies = items.iter().filter(|item| item.outcome == "rekeyed" && item.hold.is_some()).count() as u64;
    // Apart from copies, which nobody counts as sessions.
    let sessions = counted(done - copies, "session");
    let anew = match copies {
        0 => sessions,
        1 => format!("{sessions} and 1 preservation copy"),
        some => format!("{sessions} and {some} preservation copies"),
    };
    let to = counted(recipients.iter().count() as u64, "recipient");
    ctx.console.sentences(&format!("{anew} re-encrypted to {to}{recorded}\n"))?;
    Ok(exit)
}
