//! What the verbs about sealed sessions share: identities, holds, the ledger, what it knows.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::ask::Terminal;
use super::context::{Context, Exit, Failure};
use super::key::own_identity;
use super::remedy;
use crate::enforce::Stop;
use crate::enforce::unseal::Dates;
use crate::escape::shown;
use crate::locate::Refused;
use crate::policy::Policy;
use crate::report::human::counted;
use crate::report::json::time;
use crate::run::{self, CancelToken, STOPPING, SealedRun};
use crate::seal::identities::IdentityError;
use crate::seal::identities::identity_path;
use crate::seal::{Ask, Identities, Plugins, Recipient, Recipients, identities, key};

/// The private keys of a command that opens what is sealed.
#[derive(Debug, Clone, Args)]
#[command(about = None, long_about = None)]
pub struct IdentityArgs {
    /// A file with the private key (repeatable); else identity.age beside the user's policy.
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
}

/// Which date files get that come back.
#[derive(Debug, Clone, Copy, Args)]
#[command(about = None, long_about = None)]
pub struct DateArgs {
    /// Give the files today's date, so that Claude Code does not delete them; the true one is
    /// remembered.
    #[arg(long, conflicts_with = "keep_date")]
    pub touch: bool,
    /// Give the files their own date, even if Claude Code will delete them at its next start.
    #[arg(long)]
    pub keep_date: bool,
}

impl DateArgs {
    /// The date they get.
    pub fn dates(self, ctx: &Context) -> Dates {
        if self.touch { Dates::Touch(ctx.env.now) } else { Dates::Original }
    }

    /// Whether somebody has said which.
    pub fn are_settled(self) -> bool {
        self.touch || self.keep_date
    }
}

/// What became of the sessions that a command did one after the other.
pub struct Each<Item> {
    pub items: Vec<Item>,
    /// How the command ends where some were not reached.
    pub exit: Exit,
    /// Why none may follow those that were done.
    pub failure: Option<Failure>,
}

/// Does one after the other, with progress, until all are done, one fails that none may follow, or somebody asks it to
/// stop. Whatever it came to is then to be recorded and told.
pub fn each<T, Item>(
    ctx: &Context,
    all: Vec<T>,
    doing: &'static str,
    mut one: impl FnMut(T) -> Result<Item, Failure>,
) -> Each<Item> {
    let (stop, count) = (CancelToken::new(None), all.len());
    let bar = ctx.console.progress(count as u64, doing);
    let mut items = Vec::new();
    let tell = || bar.suspend(|| ctx.console.note(STOPPING));
    let done = stop.answering(tell, || -> Result<(), Failure> {
        for target in all.into_iter().take_while(|_| stop.asked().is_none()) {
            items.push(one(target)?);
            bar.inc(1);
        }
        Ok(())
    });
    bar.finish_and_clear();
    match done {
        Err(failure) => Each { items, exit: failure.exit, failure: Some(failure) },
        Ok(()) => {
            let exit = ended(ctx, &stop, count - items.len());
            Each { items, exit, failure: None }
        }
    }
}

/// Says what ended a command early or kept its end from the ledger; gives how it ends. Before anything goes to stdout,
/// which may take nothing.
pub fn end(
    ctx: &Context,
    exit: Exit,
    failure: Option<Failure>,
    closed: Result<(), impl Into<Failure>>,
) -> Exit {
    let failures = failure.into_iter().chain(closed.err().map(Into::into));
    failures.fold(exit, |exit, failure| {
        ctx.console.failure(&failure);
        exit.or(failure.exit)
    })
}

/// How a command ends that a person stopped before it reached some sessions, of which that is said.
fn ended(ctx: &Context, stop: &CancelToken, unreached: usize) -> Exit {
    let Some(why) = stop.asked().filter(|_| unreached > 0) else { return Exit::Done };
    let left = counted(unreached as u64, "session");
    ctx.console.warning(&format!("stopped as asked: {left} not reached; the same command continues"));
    let is_persons = matches!(why, Stop::Interrupt) && ctx.console.can_ask();
    if is_persons { Exit::Interrupted } else { Exit::Done }
}

/// Reads the private keys: those named, else the user's own.
///
/// # Errors
/// Exit 2: a file that cannot be used; nothing was changed.
pub fn identities(ctx: &Context, named: &[PathBuf]) -> Result<Identities, Failure> {
    let ask: Arc<dyn Ask> = Arc::new(Terminal::new(&ctx.console));
    let mut keys = Identities::new();
    if named.is_empty() {
        own_identity(&ctx.env)?;
    }
    let own = [identity_path(&ctx.env)];
    let paths: Vec<PathBuf> =
        if named.is_empty() { own.into() } else { named.iter().map(|path| ctx.env.absolute(path)).collect() };
    for path in &paths {
        keys.load(path, &ask).map_err(|error| {
            let failure = Failure::because(Exit::Usage, &error);
            match error {
                // One that is there and closed can be opened.
                IdentityError::Read(_) if path.symlink_metadata().is_ok() => failure,
                _ => failure.hint("name the file that holds the key: `--identity FILE`"),
            }
        })?;
        // Told and not refused: what it opens is needed now, and was exposed before.
        if identities::is_exposed(path).unwrap_or(false) {
            ctx.console.warning(&format!("'{}' can be read or changed by others", shown(path)));
            ctx.console.hint(&format!("`chmod 600 '{}'` closes it", shown(path)));
        }
    }
    Ok(keys)
}

/// To whom is sealed: whom the policy names, else the owner of the identity beside it.
pub(super) fn recipients(ctx: &Context, policy: &Policy) -> Result<Recipients, Failure> {
    if let Some(recipients) = run::recipients(policy)? {
        return Ok(recipients);
    }
    let own = own_identity(&ctx.env)?;
    let ask: Arc<dyn Ask> = Arc::new(Terminal::new(&ctx.console));
    let nobody = || {
        Failure::new(Exit::Usage, "the policy names no recipient to seal to, so nothing was changed")
            .hint("`ccretain key new` makes a key pair; for runs by the policy, name its recipient in \"recipients\"")
    };
    let path = own.ok_or_else(nobody)?;
    // From the private key itself: a recipient in a file beside it could be exchanged for somebody else's.
    let texts = key::recipients_in(&path, &ask).map_err(|error| Failure::because(Exit::Usage, &error))?;
    let parsed: Result<Vec<Recipient>, _> =
        texts.iter().map(|text| Recipient::parse(text, Plugins::Refused)).collect();
    let recipients =
        parsed.and_then(Recipients::new).map_err(|error| Failure::because(Exit::Usage, &error))?;
    ctx.console.note(&format!("the policy names no recipient: sealing to the own one of '{}'", shown(&path)));
    Ok(recipients)
}

/// Says what to do about folders that were refused as stores, each thing once.
pub fn advise(refused: &[Refused], ctx: &Context) {
    let hints = refused.iter().filter(|refused| !refused.is_note()).filter_map(remedy::of_refused);
    for hint in hints.collect::<std::collections::BTreeSet<_>>() {
        ctx.console.hint(&hint);
    }
}

/// The head of what a verb about sealed sessions prints as JSON.
#[derive(Debug, Serialize)]
pub struct Head {
    schema: &'static str,
    run: String,
    now: String,
}

impl Head {
    /// The head of a document about a run.
    #[must_use]
    pub fn new(schema: &'static str, deed: &SealedRun, ctx: &Context) -> Self {
        Self { schema, run: deed.run.id().to_owned(), now: time(ctx.env.now) }
    }
}
