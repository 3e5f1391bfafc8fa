//! `ccretain rekey`: what is sealed is sealed anew, to today's recipients.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::context::{Context, Exit, Failure};
use super::seal;
use super::vault::{self, Each, Head};
use crate::catalogue::{Root, SessionId};
use crate::enforce::preserve;
use crate::enforce::rekey::{self, Rekeyed};
use crate::enforce::sealed::SealedSession;
use crate::error::chain;
use crate::escape::{shown, text};
use crate::inventory::{Inventory, Problem};
use crate::ledger::{Ciphertext, Event, Failure as Failed, SealedRecords};
use crate::locate::{Refused, Store};
use crate::report::human::counted;
use crate::run::sealed::{self, Of};
use crate::run::{self, SealedRun, Workspace};
use crate::seal::{Identities, Recipients, naming};

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

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(flatten)]
    of: Of,
    /// The hold that a preservation copy was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    files: u64,
    outcome: &'static str,
    error: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head,
    recipients: Vec<String>,
    sessions: &'a [Item],
    /// What could not be looked into.
    errors: &'a [String],
}

/// Sealed files that are handled as one: those of a session, or a preservation copy of it.
struct Target<'a> {
    store: &'a Store,
    id: SessionId,
    below: PathBuf,
    item: Item,
}

/// Runs the verb.
///
/// # Errors
/// What kept it from starting: nothing was changed then.
pub fn run(args: &RekeyArgs, ctx: &Context) -> Result<Exit, Failure> {
    let ground = run::prepare(ctx)?;
    let recipients = seal::recipients(ctx, &ground.policy)?;
    let keys = vault::identities(ctx, &args.identity)?;
    let locks = run::lock_all(&ground, ctx)?;
    let inventory = ground.inventory(ctx);
    let mut unlisted = Vec::new();
    let targets = targets(&inventory, &mut unlisted);
    unlisted.extend(unread(&ground, &inventory, ctx));
    let deed = SealedRun::begin("rekey", ctx, &ground, locks)?;
    // What a record vouches for may unpack to any size; what somebody else put there may be made to fill the disk.
    let known = SealedRecords::load(&ctx.env.ledger_dir(), &ctx.env.state_dir(), &[], &[])
        .map_err(|error| chain(&error));
    let mut work = Work { ctx, keys: &keys, recipients: &recipients, all: args.all, known, deed };
    let each = vault::each(ctx, targets, "re-encrypting", |target| work.rekey(target));
    report(each, &unlisted, work)
}

/// What re-encrypting needs.
struct Work<'a> {
    ctx: &'a Context,
    keys: &'a Identities,
    recipients: &'a Recipients,
    all: bool,
    known: Result<SealedRecords, String>,
    deed: SealedRun,
}

impl Work<'_> {
    /// Seals one target anew, recorded before and after; a failure is in the item.
    fn rekey(&mut self, Target { store, id, below, mut item }: Target<'_>) -> Result<Item, Failure> {
        let mut entry = item.of.entry(Event::Intent, "rekey");
        entry.hold = item.hold.clone().map(Into::into);
        self.deed.run.record(std::slice::from_ref(&entry), self.ctx)?;
        let done = SealedSession::open_in(store, id, below.clone())
            .map(|sealed| sealed::vouched(sealed, &self.known))
            .map_err(Into::into)
            .and_then(|sealed| rekey::session(&sealed, self.keys, self.recipients, self.all));
        match done {
            Ok(Rekeyed::Already) => item.outcome = "already",
            Ok(Rekeyed::Done(files)) => {
                item.files = files.len() as u64;
                entry.sealed = files
                    .iter()
                    .map(|file| Ciphertext {
                        path: text(&below.join(&file.sealed)).into(),
                        sha256: hex::encode(file.sha256),
                    })
                    .collect();
            }
            Err(error) => {
                item.outcome = "failed";
                entry.failed = vec![Failed { path: text(&below).into(), error: chain(&error).into() }];
                item.error = Some(chain(&error));
            }
        }
        entry.event = Event::Outcome;
        entry.outcome = Some(item.outcome.into());
        entry.files = Some(item.files);
        self.deed.run.record(&[entry], self.ctx)?;
        Ok(item)
    }
}

/// Closes the ledger, and prints what was done.
fn report(each: Each<Item>, unlisted: &[String], work: Work<'_>) -> Result<Exit, Failure> {
    let Each { items, exit: stopped, failure } = each;
    let Work { ctx, recipients, deed, .. } = work;
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

/// What could not be looked at, so that something in it may still be sealed to the old keys.
fn unread(ground: &Workspace, inventory: &Inventory, ctx: &Context) -> Vec<String> {
    let is_sealed = |problem: &&Problem| {
        problem.store.is_some_and(|at| {
            let store = &inventory.store(at).store;
            let below = problem.path.strip_prefix(&store.root);
            store.kind == Root::Config
                && store.in_scope
                && below.is_ok_and(|below| below.as_os_str().is_empty() || below.starts_with("ccretain"))
        })
    };
    let problem = |Problem { path, doing, error, .. }: &Problem| {
        format!("cannot {doing} '{}', where sealed files may be: {error}", shown(path))
    };
    let is_meant = |refused: &&Refused| refused.kind == Root::Config && ctx.is_meant(refused);
    let refused = ground.refused.iter().filter(is_meant);
    let problems = inventory.problems.iter().filter(is_sealed).map(problem);
    refused.map(Refused::message).chain(problems).collect()
}

/// What is sealed in the stores in scope, and what cannot be listed.
fn targets<'a>(inventory: &'a Inventory, unlisted: &mut Vec<String>) -> Vec<Target<'a>> {
    let item = |of: Of, hold: Option<String>| Item { of, hold, files: 0, outcome: "rekeyed", error: None };
    let mut targets = Vec::new();
    for session in inventory.sessions.iter().filter(|session| session.sealed > 0) {
        let store = &inventory.store(session.store).store;
        if store.in_scope {
            let (id, below) = (session.id, naming::session_folder(session.id));
            targets.push(Target { store, id, below, item: item(Of::new(inventory, session), None) });
        }
    }
    let stores = inventory.stores.iter().map(|view| &view.store);
    for store in stores.filter(|store| store.kind == Root::Config && store.in_scope) {
        let copies = preserve::all(store).unwrap_or_else(|error| {
            unlisted
                .push(format!("cannot look for preservation copies in '{}': {error}", shown(&store.root)));
            Vec::new()
        });
        for copy in copies {
            let of = Of { store: text(&store.root), session: copy.session.to_string(), project: None };
            let item = item(of, Some(text(&copy.hold)));
            targets.push(Target { store, id: copy.session, below: copy.below, item });
        }
    }
    targets
}
