//! `ccretain resume`: unseals a session, runs the client on it, and removes the sealed copy once
//! the client has ended well.

use std::path::Path;

use clap::Args;

use super::context::{Context, Exit, Failure};
use super::identities::{self, IdentityArgs};
use super::{program, session};
use crate::catalogue::{Kind, SessionId};
use crate::enforce::leftovers::Remains;
use crate::enforce::sealed::SealedSession;
use crate::enforce::unseal::Dates;
use crate::escape::shown;
use crate::inventory::Session;
use crate::ledger::Event;
use crate::run::unseal::{After, How, may_unseal, one, settle, unread};
use crate::run::{self, SealedRun, Workspace, sealed};
use crate::seal::manifest::SealedFile;

/// What `resume` takes.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// The session: a full id, or a prefix of 8 or more characters.
    #[arg(value_name = "SESSION")]
    pub session: String,
    #[command(flatten)]
    pub keys: IdentityArgs,
    /// What Claude Code gets besides `--resume SESSION`.
    #[arg(last = true, value_name = "ARGS")]
    pub client: Vec<std::ffi::OsString>,
}

/// Runs the verb.
///
/// # Errors
/// What kept it from starting, as for `unseal`; Claude Code cannot be run.
pub fn run(args: &ResumeArgs, ctx: &Context) -> Result<Exit, Failure> {
    if ctx.global.json {
        return Err(Failure::new(Exit::Usage, "what Claude Code prints is not JSON of ours"));
    }
    let ground = run::prepare(ctx)?;
    // Before Claude Code takes the screen.
    let told = ctx.tell_errors(&ground.policy.complaints);
    Ok(resumed(args, ground, ctx)?.or(told))
}

fn resumed(args: &ResumeArgs, ground: Workspace, ctx: &Context) -> Result<Exit, Failure> {
    let locks = run::lock_all(&ground, ctx)?;
    let inventory = ground.inventory(ctx);
    let index = session::find(&inventory, &args.session, ctx)?;
    let session = inventory.session(index);
    if let Some(hold) = sealed::hold_on(&ground.policy, &inventory, session) {
        return Err(Failure::held(session.id, hold));
    }
    let folder = sealed::project_folder(session).map(Path::to_path_buf);
    let found = program::find(session.id, ctx)?;
    let root = &inventory.store(session.store).store.root;
    if session.sealed == 0 {
        if let Some(error) = unread(&inventory, root, session.id) {
            return Err(Failure::from(&error));
        }
        if let Some(remains) = Remains::of(&inventory, index) {
            let mut deed = SealedRun::begin("resume", ctx, &ground, locks)?;
            let item = settle(ctx, &inventory, index, remains, &mut deed)?;
            deed.end(&[("sessionsSettled", u64::from(item.exit() == Exit::Done))], item.exit().code(), ctx)?;
            item.say_problems(ctx);
        } else {
            // Before the client is started: it runs for hours, and a timer must not wait for it.
            drop(locks);
        }
        return program::run(ctx, &found, session.id, &args.client, folder.as_deref());
    }
    let temps = sealed::temps(ctx, &ground, &inventory);
    may_unseal(ctx, &ground, &inventory, index, &temps, true)?;
    let keys = identities::read(ctx, &args.keys.identity)?;
    let mut deed = SealedRun::begin("resume", ctx, &ground, locks)?;
    let known = sealed::known_of(ctx, [session.id]);
    let dates = Dates::Touch(ctx.env.now);
    let how = How { keys: &keys, dates, after: After::Keep, temps: &temps, known: &known };
    let (item, restored) = one(ctx, &inventory, index, &how, &mut deed)?;
    let exit = item.exit();
    // The locks end here: a run of the timer must not wait for a conversation.
    deed.end(&[("sessionsUnsealed", u64::from(restored.is_some()))], exit.code(), ctx)?;
    item.say_problems(ctx);
    // A conversation may last for days: nothing of a key stays in memory meanwhile.
    drop(keys);
    let Some(restored) = restored else { return Ok(exit) };
    // While it runs both forms are there, so that a client which fails to start has cost nothing.
    let ended = program::run(ctx, &found, session.id, &args.client, folder.as_deref());
    match ended {
        Ok(Exit::Done) => match remove(ctx, root, session.id, &restored.files) {
            Ok(()) => Ok(Exit::Done),
            Err(failure) => {
                ctx.console.warning(&format!("the sealed copy stays: {}", failure.message));
                if let Some(hint) = &failure.hint {
                    ctx.console.hint(hint);
                }
                Ok(Exit::Failed)
            }
        },
        other => {
            let how = other.as_ref().map_or_else(
                |_| "could not be run".to_owned(),
                |exit| format!("exited with {}", exit.code()),
            );
            ctx.console.warning(&format!(
                "Claude Code {how}: the sealed copy was kept, and the plaintext is on disk as well"
            ));
            ctx.console.hint(&format!(
                "once the session is no longer active, `ccretain seal {}` removes the plaintext",
                session.id
            ));
            other
        }
    }
}

/// Removes the sealed copy, with the locks taken anew.
fn remove(ctx: &Context, root: &Path, id: SessionId, files: &[SealedFile]) -> Result<(), Failure> {
    let ground = run::prepare(ctx)?;
    let locks = run::lock_all(&ground, ctx)?;
    // Looked at anew: Claude Code, a timer's run or anybody else may have taken the plain files meanwhile, and then what
    // is sealed is all there is.
    let seen = &ground.inventory(ctx);
    let is_it = |session: &&Session| {
        session.id == id && session.sealed > 0 && seen.store(session.store).store.root == root
    };
    let Some(session) = seen.sessions.iter().find(is_it) else {
        // Somebody removed it, or it cannot be seen.
        return unread(seen, root, id).map_or(Ok(()), |error| Err(Failure::from(&error)));
    };
    // A hold may have been placed while the client ran.
    if let Some(hold) = sealed::hold_on(&ground.policy, seen, session) {
        return Err(Failure::held(id, hold));
    }
    let (files, gone) = sealed::with_plain(seen, session, files);
    if let Some(transcript) = gone.iter().find(|file| file.kind == Kind::Transcript) {
        let message = format!("the transcript '{}' is gone, or shorter than it was", shown(&transcript.path));
        return Err(Failure::new(Exit::Failed, message)
            .hint(format!("move away what is left of it; `ccretain unseal {id} --touch` brings it back")));
    }
    for file in gone {
        ctx.console.warning(&format!("the sealed copy of '{}' stays: the file is gone", shown(&file.path)));
        ctx.console.hint(&format!("`ccretain unseal {id} --touch` brings it back"));
    }
    let mut deed = SealedRun::begin("resume", ctx, &ground, locks)?;
    let mut intent = sealed::Of::new(seen, session).entry(Event::Intent, "remove-sealed-copy");
    intent.files = Some(files.len() as u64);
    deed.run.record(&[intent], ctx)?;
    let store = &seen.store(session.store).store;
    let removed = SealedSession::open(store, id).and_then(|sealed| sealed.remove(&files));
    let mut outcome = sealed::Of::new(seen, session).entry(Event::Outcome, "remove-sealed-copy");
    let (count, word) = match &removed {
        Ok(count) if *count == files.len() => (*count, "deleted"),
        // `rekey` may have run, or another look.
        Ok(count) => (*count, "skipped"),
        Err(_) => (0, "failed"),
    };
    outcome.outcome = Some(word.into());
    outcome.files = Some(count as u64);
    deed.run.record(&[outcome], ctx)?;
    let exit = if word == "deleted" { Exit::Done } else { Exit::Failed };
    deed.end(&[("sealedFilesRemoved", count as u64)], exit.code(), ctx)?;
    match removed {
        Err(error) => Err(Failure::from(&error)),
        Ok(_) if word == "deleted" => Ok(()),
        Ok(_) => Err(Failure::new(Exit::Failed, "it was encrypted anew meanwhile")
            .hint(format!("once it is idle, `ccretain seal {id}` encrypts what is there now"))),
    }
}
