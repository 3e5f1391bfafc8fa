//! `ccretain rekey`: what is sealed is sealed anew, to today's recipients.

use serde::Serialize;

use super::args::RekeyArgs;
use super::enforce::take_locks;
use super::vault::{self, Deed, Head, Of};
use super::{Context, Exit, Failure, seal, survey};
use crate::enforce::rekey::{self, Rekeyed};
use crate::enforce::sealed::SealedSession;
use crate::error::chain;
use crate::escape::text;
use crate::ledger::{Ciphertext, Event, Failure as Failed};
use crate::report::human::counted;
use crate::seal::naming;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(flatten)]
    of: Of,
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
}

/// Runs the verb.
///
/// # Errors
/// What kept it from starting: nothing was changed then.
pub fn run(args: &RekeyArgs, ctx: &Context) -> Result<Exit, Failure> {
    let ground = survey::ground(ctx)?;
    let recipients = seal::recipients(ctx, &ground.policy)?;
    let keys = vault::identities(ctx, &args.identity)?;
    let locks = take_locks(&ground)?;
    let inventory = ground.inventory(ctx);
    let sessions: Vec<_> = inventory
        .sessions
        .iter()
        .filter(|session| session.sealed > 0 && inventory.store(session.store).store.in_scope)
        .collect();
    let mut deed = Deed::begin("rekey", ctx, &ground, locks)?;
    let bar = ctx.console.progress(sessions.len() as u64, "sealing anew");
    let mut items = Vec::new();
    for session in sessions {
        let store = &inventory.store(session.store).store;
        let mut intent = vault::entry(Event::Intent, &inventory, session, "rekey");
        intent.files = Some(u64::from(session.sealed));
        deed.record(&[intent], ctx)?;
        let done = SealedSession::open(store, session.id)
            .map_err(Into::into)
            .and_then(|sealed| rekey::session(&sealed, &keys, &recipients, args.all));
        let mut outcome = vault::entry(Event::Outcome, &inventory, session, "rekey");
        let mut item = Item { of: Of::new(&inventory, session), files: 0, outcome: "rekeyed", error: None };
        match done {
            Ok(Rekeyed::Already) => item.outcome = "already",
            Ok(Rekeyed::Done(files)) => {
                item.files = files.len() as u64;
                let folder = naming::session_folder(session.id);
                outcome.sealed = files
                    .iter()
                    .map(|file| Ciphertext {
                        path: text(&folder.join(&file.sealed)).into(),
                        sha256: hex::encode(file.sha256),
                    })
                    .collect();
            }
            Err(error) => {
                item.outcome = "failed";
                outcome.failed =
                    vec![Failed { path: item.of.store.clone().into(), error: chain(&error).into() }];
                item.error = Some(chain(&error));
            }
        }
        outcome.outcome = Some(item.outcome.into());
        outcome.files = Some(item.files);
        deed.record(&[outcome], ctx)?;
        items.push(item);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let count = |outcome: &str| items.iter().filter(|item| item.outcome == outcome).count() as u64;
    let (done, already, failed) = (count("rekeyed"), count("already"), count("failed"));
    let exit = if failed == 0 { Exit::Done } else { Exit::Failed };
    if ctx.global.json {
        ctx.console.json(&Document {
            head: deed.head("ccretain.rekey/1", ctx),
            recipients: recipients.iter().map(ToString::to_string).collect(),
            sessions: &items,
        })?;
    }
    let recorded = if already == 0 {
        String::new()
    } else {
        format!(", {already} recorded as sealed to the same recipients (--all does those too)")
    };
    let to = counted(recipients.iter().count() as u64, "recipient");
    ctx.console.data(&format!("{} sealed anew to {to}{recorded}\n", counted(done, "session")))?;
    for item in &items {
        if let Some(error) = &item.error {
            ctx.console.error(&format!("session {}: {error}", item.of.session));
        }
    }
    deed.end(&[("rekeyed", done), ("already", already), ("failed", failed)], exit, ctx)?;
    Ok(exit)
}
