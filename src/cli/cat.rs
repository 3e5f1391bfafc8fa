//! `ccretain cat`: a transcript to stdout, sealed or not, without touching the disk.

use std::io::{self, Write};

use clap::Args;

use super::context::{Context, Exit, Failure};
use super::identities::{self, IdentityArgs};
use super::session;
use crate::catalogue::Kind;
use crate::enforce::sealed::{SealedError, SealedSession, place};
use crate::error::{At as _, chain};
use crate::escape::shown;
use crate::inventory::{ArtifactIndex, Inventory, Session};
use crate::run::{self, sealed};
use crate::seal::UnsealError;
use crate::seal::manifest::SealedFile;

/// What `cat` takes.
#[derive(Debug, Clone, Args)]
pub struct CatArgs {
    /// The session: a full id, or a prefix of 8 or more characters.
    #[arg(value_name = "SESSION")]
    pub session: String,
    #[command(flatten)]
    pub keys: IdentityArgs,
}

/// Runs the verb.
///
/// # Errors
/// There is no such session or transcript, or it cannot be opened.
pub fn run(args: &CatArgs, ctx: &Context) -> Result<Exit, Failure> {
    if ctx.global.json {
        return Err(Failure::new(Exit::Usage, "a transcript is printed as it is, not as JSON of ours"));
    }
    let workspace = run::prepare(ctx)?;
    let told = ctx.tell_errors(&workspace.policy.complaints);
    Ok(print(args, &workspace.inventory(ctx), ctx)?.or(told))
}

fn print(args: &CatArgs, inventory: &Inventory, ctx: &Context) -> Result<Exit, Failure> {
    let session = inventory.session(session::find(inventory, &args.session, ctx)?);
    let store = &inventory.store(session.store).store;
    let plain = newest_plain(inventory, session);
    let sealed = match session.sealed {
        0 => None,
        _ => match SealedSession::open(store, session.id) {
            Ok(sealed) => Some(sealed),
            // A plain transcript can be shown whatever the record says.
            Err(_) if plain.is_some() => None,
            Err(error) => return Err(Failure::from(&error)),
        },
    };
    let newest = sealed.as_ref().and_then(|sealed| {
        let transcripts = sealed.record.newest().into_iter().filter(|file| file.kind == Kind::Transcript);
        transcripts.max_by_key(|file| file.mtime).cloned()
    });
    let mut out = ctx.console.stream();
    if let Some(plain) =
        plain.filter(|plain| newest.as_ref().is_none_or(|sealed| is_as_new(inventory, *plain, sealed)))
    {
        let artifact = inventory.artifact(plain);
        let path = inventory.full_path(artifact);
        let open = || inventory.open(artifact.folder)?.read(inventory.name(artifact));
        let mut file = open().at("open", &path)?;
        return ended(io::copy(&mut file, &mut out).and_then(|_| out.flush()));
    }
    let (Some(sealed), Some(entry)) = (sealed, &newest) else {
        return Err(Failure::new(Exit::Failed, format!("session {} has no transcript", session.id)));
    };
    let keys = identities::read(ctx, &args.keys.identity)?;
    let known = sealed::known_of(ctx, [session.id]);
    let sealed = sealed::vouched(sealed, &known);
    // What is in no record may be a later part of it.
    let is_whole = sealed.is_whole();
    // Straight to the output: nothing of it is written to a disk.
    match sealed.decrypt(entry, &keys, &mut out) {
        Ok(digest) => {
            if let Err(error) = is_whole {
                let why = chain(&error);
                let message = format!("what was printed may be a part of session {}: {why}", session.id);
                return Err(Failure::new(Exit::Failed, message));
            }
            let unknown = sealed::warn_unknown(session.id, &known, &[digest]);
            let outdated = sealed::warn_outdated(session.id, &known, &sealed.record.files);
            let older = plain.map(|plain| {
                let path = inventory.full_path(inventory.artifact(plain));
                format!(
                    "the encrypted transcript was printed: '{}' is older and not a later part of it",
                    shown(&path)
                )
            });
            for warning in unknown.iter().chain(&outdated).chain(&older) {
                ctx.console.warning(warning);
            }
            Ok(Exit::Done)
        }
        Err(SealedError::Open { source: UnsealError::Target(error), .. }) => ended(Err(error)),
        Err(error) => Err(Failure::from(&error)),
    }
}

/// A reader that has seen enough is no failure.
fn ended(result: io::Result<()>) -> Result<Exit, Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("cannot copy the transcript: {error}")))
        }
        _ => Ok(Exit::Done),
    }
}

/// The transcript that was written last and is not sealed.
fn newest_plain(inventory: &Inventory, session: &Session) -> Option<ArtifactIndex> {
    let is_plain = |index: &ArtifactIndex| {
        let artifact = inventory.artifact(*index);
        artifact.kind == Some(Kind::Transcript) && !artifact.sealed
    };
    let all = inventory.files(session).iter().copied().filter(is_plain);
    all.max_by_key(|index| inventory.artifact(*index).stamp.modified.date())
}

/// Whether a plain transcript has all that was sealed: then Claude Code goes on with it. It only ever appends, so a
/// longer one of the same name is a later one even where a restore or a clock gave it an older date.
fn is_as_new(inventory: &Inventory, plain: ArtifactIndex, sealed: &SealedFile) -> bool {
    let (_, path, temp) = place(inventory, plain);
    let stamp = inventory.artifact(plain).stamp;
    let has_grown = (temp, path) == (sealed.temp.clone(), sealed.path.clone()) && stamp.size >= sealed.size;
    has_grown || stamp.modified.date() >= Some(sealed.mtime)
}
